/* See spin.h. The CPU count is asked for once: a process that is later confined
 * to one CPU spins a microsecond for nothing. Thread rule: any thread. */
#include "lock/spin.h"

#include <stdint.h>

#include "base/atomic.h"
#include "platform/thread.h"

/* A pause is some ten to a hundred nanoseconds, a park and a wake some
 * microseconds. */
enum { PAUSES = 100, NEXT_MAX = 16, BACK_OFF = 16 };

/* Threads that race to fill it in write the same value. */
static uint32_t limit_plus_one;

static unsigned
spin_limit(void)
{
    uint32_t known = px__load_relaxed(&limit_plus_one);
    if (known)
        return known - 1;
    unsigned limit = px__cpu_count() > 1 ? PAUSES : 0;
    px__store_relaxed(&limit_plus_one, limit + 1);
    return limit;
}

static void
pause_for(unsigned count)
{
    while (count-- > 0)
        px__pause();
}

bool
px__spin_more(px__spin *spin)
{
    if (spin->spent >= spin_limit())
        return false;
    pause_for(spin->next);
    spin->spent += spin->next;
    if (spin->next < NEXT_MAX)
        spin->next *= 2;
    return true;
}

void
px__spin_back_off(void)
{
    pause_for(BACK_OFF);
}

void
px__spin_give_way(void)
{
    px__thread_yield();
}
