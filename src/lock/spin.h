/*
 * How to wait for a contended word before parking.
 *
 * Every look at the word takes its cache line away from the threads that work
 * with it, and costs them more than the look: so the pauses between looks
 * double, and who has lost a race for the word lets the winner get on for a
 * while. Two threads that do nothing but take one lock then do so two to three
 * times as often, since each has the line to itself for some turns.
 */
#ifndef PX_LOCK_SPIN_H
#define PX_LOCK_SPIN_H

#include <stdbool.h>

typedef struct px__spin {
    unsigned spent; /* pauses so far */
    unsigned next;  /* pauses before the next look */
} px__spin;

/* Before the first look. */
static inline px__spin
px__spin_begin(void)
{
    return (px__spin){.spent = 0, .next = 1};
}

/* Pause before another look; false when what a park and a wake cost has been
 * spent, or when the process has one CPU, where nobody can leave meanwhile. Any
 * thread. */
bool px__spin_more(px__spin *spin);

/* Pause after a lost race, whether or not it is worth it to spin on. */
void px__spin_back_off(void);

/* After waking who waits for what was just left: let him run. With more threads
 * than CPUs he is queued behind the one that wakes him, who would take the lock
 * again and again for the rest of his time slice; and he has slept too briefly
 * for the scheduler to prefer him. One system call, after another. Any thread.
 */
void px__spin_give_way(void);

#endif
