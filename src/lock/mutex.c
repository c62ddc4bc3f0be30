/*
 * The 4-byte mutex: the third one of Ulrich Drepper's "Futexes Are Tricky"
 * (2004), with a spin before the first sleep.
 *
 *   FREE --lock--> HELD --another waits--> CROWDED --unlock--> FREE, unpark one
 *    ^______unlock___|
 *
 *   from \ by   lock            wait            unlock
 *   FREE        HELD            CROWDED (M2)    -
 *   HELD        -               CROWDED         FREE
 *   CROWDED     -               -               FREE + unpark one
 *
 * Invariants
 *   M1  a thread parks only while the state is CROWDED
 *   M2  a thread that waited takes the mutex as CROWDED: others may still
 *       sleep. The price is one unpark too many at the end of a crowd
 *   M3  unlock does not touch the mutex after its exchange, so the next owner
 *       may free it
 *
 * Thread rule: any thread; unlocked by the one that locked.
 * Rejected: fairness by hand-over: the mutex would stand idle for as long as it
 * takes to schedule the next thread.
 */
#include <pxrt/lock.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "lock/held.h"
#include "lock/slow.h"
#include "lock/spin.h"
#include "platform/park.h"

enum { FREE, HELD, CROWDED };

_Static_assert(sizeof(px_mutex) == 4, "documented size");

static bool
take(px_mutex *mutex)
{
    uint32_t state = FREE;
    /* pairs with the release in px_mutex_unlock */
    return px__cas_acquire(&mutex->state, &state, HELD);
}

/* Spin only while the owner runs alone: sleepers mean that it takes longer. */
static bool
spin(px_mutex *mutex)
{
    px__spin spin = px__spin_begin();
    while (px__spin_more(&spin)) {
        uint32_t state = px__load_relaxed(&mutex->state);
        if (state == FREE && take(mutex))
            return true;
        if (state == CROWDED)
            return false;
    }
    return false;
}

void
px__mutex_wait(px_mutex *mutex)
{
    if (spin(mutex))
        return;
    while (px__xchg_acquire(&mutex->state, CROWDED) != FREE) { /* M2 */
        px__held_expect_none(mutex);
        px__park(&mutex->state, CROWDED, -1); /* M1 */
    }
}

void(px_mutex_lock)(px_mutex *mutex)
{
    if (PX_UNLIKELY(!take(mutex)))
        px__mutex_wait(mutex);
    px__held_add(mutex, PX_HELD_WRITE);
}

bool
px_mutex_try_lock(px_mutex *mutex)
{
    bool taken = take(mutex);
    if (taken)
        px__held_add(mutex, PX_HELD_WRITE);
    return taken;
}

/* M3: the address only. */
void
px__mutex_wake(px_mutex *mutex)
{
    px__unpark_one(&mutex->state);
}

void(px_mutex_unlock)(px_mutex *mutex)
{
    px__held_remove(mutex, PX_HELD_WRITE);
    uint32_t state = px__xchg_release(&mutex->state, FREE);
    PX_INVARIANT(state != FREE);
    if (PX_UNLIKELY(state == CROWDED))
        px__mutex_wake(mutex);
}
