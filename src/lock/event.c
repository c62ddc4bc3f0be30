/*
 * The auto-reset event.
 *
 *   state   31 ............................................ 1    0
 *           +----------------------------------------------+-----+
 *           | threads that wait (they may park)            | SET |
 *           +----------------------------------------------+-----+
 *
 *   move       when             change of state        then
 *   set        any              SET := 1               unpark one, if SET was 0
 *                                                      and somebody waits
 *   take       SET              SET := 0               return
 *   enlist     not SET          waiters + 1            park
 *   take late  SET, enlisted    SET := 0, waiters - 1  return
 *   give up    not SET, late    waiters - 1            PX_ETIMEDOUT
 *
 * Invariants
 *   E1  a change of SET and of the waiters that belong together is one
 *       compare-and-swap: a waiter that gives up leaves no SET behind that was
 *       meant for it while others sleep
 *   E2  while SET is clear every later set unparks one of the waiters
 *   E3  set does not touch the event after its read-modify-write, so the thread
 *       that it releases may free the event
 *
 * Thread rule: any thread.
 * Rejected: counting the sets (a semaphore): whoever is told "something
 * happened" looks at everything that happened.
 */
#include <pxrt/lock.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "platform/clock.h"
#include "platform/park.h"

enum { SET = 1, WAITER = 2 };

_Static_assert(sizeof(px_event) == 4, "documented size");

void
px_event_set(px_event *event)
{
    uint32_t state = px__load_relaxed(&event->state);
    while (!px__cas_weak(&event->state, &state, state | SET,
                         __ATOMIC_RELEASE)) { /* pairs with take() */
    } /* a set over a set also publishes: hence no early return */
    if (!(state & SET) && state >= WAITER)
        px__unpark_one(&event->state); /* E2, E3 */
}

/* Reset the event if it is set, dropping @waiters of our own (E1). On failure
 * *state is what was found. */
static bool
take(px_event *event, uint32_t *state, uint32_t waiters)
{
    while (*state & SET) {
        if (px__cas_weak(&event->state, state, *state - SET - waiters,
                         __ATOMIC_ACQUIRE)) /* pairs with px_event_set */
            return true;
    }
    return false;
}

bool
px_event_try(px_event *event)
{
    uint32_t state = px__load_relaxed(&event->state);
    return take(event, &state, 0);
}

/* Take the event or become a waiter: true when taken. */
static bool
take_or_enlist(px_event *event, uint32_t *state)
{
    while (!take(event, state, 0)) {
        if (px__cas_weak(&event->state, state, *state + WAITER,
                         __ATOMIC_RELAXED)) {
            *state += WAITER;
            return false;
        }
    }
    return true;
}

/* The time is over: take a set that came at the last moment, else leave. */
static int
take_or_give_up(px_event *event, uint32_t state)
{
    while (!take(event, &state, WAITER)) {
        PX_INVARIANT(state >= WAITER);
        if (px__cas_weak(&event->state, &state, state - WAITER,
                         __ATOMIC_RELAXED))
            return PX_ETIMEDOUT;
    }
    return PX_OK;
}

static int
wait_enlisted(px_event *event, uint32_t state, int64_t timeout_ns)
{
    int64_t start_ns = timeout_ns < 0 ? 0 : px__now_ns();
    while (!take(event, &state, WAITER)) {
        int64_t left_ns = px__time_left_ns(start_ns, timeout_ns);
        if (left_ns == 0)
            return take_or_give_up(event, state);
        px__park(&event->state, state, left_ns);
        state = px__load_relaxed(&event->state);
    }
    return PX_OK;
}

int
px_event_wait(px_event *event, int64_t timeout_ns)
{
    if (!event)
        return PX_EINVAL;
    uint32_t state = px__load_relaxed(&event->state);
    if (take(event, &state, 0))
        return PX_OK;
    if (timeout_ns == 0)
        return PX_ETIMEDOUT;
    if (take_or_enlist(event, &state))
        return PX_OK;
    return wait_enlisted(event, state, timeout_ns);
}
