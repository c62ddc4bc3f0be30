/*
 * Run something exactly once, with failure and another try.
 *
 *            run           success
 *   IDLE ---------> RUNNING ---------> DONE       (final)
 *    ^ ^               | another waits   ^
 *    | |   failure     v                 |
 *    | +---------- RUNNING+WAITED -------+        both unpark all
 *    +- failure -- RUNNING
 *
 *   from \ to        IDLE    RUNNING  RUNNING+WAITED  DONE
 *   IDLE             -       yes      -               -
 *   RUNNING          yes     -        yes             yes
 *   RUNNING+WAITED   yes     -        -               yes
 *   DONE             -       -        -               -
 *
 * Invariants
 *   O1  only the thread that made it RUNNING leaves RUNNING
 *   O2  a thread parks only while RUNNING+WAITED; leaving that unparks all
 *   O3  the end of a run does not touch the control after its exchange
 *
 * Thread rule: any thread.
 * Rejected: pthread_once and InitOnce: the first cannot fail, the second is not
 * everywhere, and neither is 4 bytes.
 */
#include <pxrt/lock.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "lock/held.h"
#include "platform/park.h"

enum { IDLE, RUNNING, RUNNING_WAITED, DONE };

_Static_assert(sizeof(px_once) == 4, "documented size");

static void
leave_running(px_once *once, uint32_t next)
{
    /* releases what fn wrote; pairs with the acquires of the two loads below */
    uint32_t state = px__xchg_release(&once->state, next);
    PX_INVARIANT(state == RUNNING || state == RUNNING_WAITED); /* O1 */
    if (state == RUNNING_WAITED)
        px__unpark_all(&once->state); /* O2, O3 */
}

static int
run(px_once *once, px_once_fn fn, void *arg)
{
    px__held_add(once, PX_HELD_WRITE);
    int status = fn(arg);
    px__held_remove(once, PX_HELD_WRITE);
    leave_running(once, status < 0 ? IDLE : DONE);
    return status < 0 ? status : PX_OK;
}

/* Sleep until the present run is over, however it ends. */
static void
wait_for_run(px_once *once)
{
    uint32_t state = RUNNING;
    if (!px__cas(&once->state, &state, RUNNING_WAITED, __ATOMIC_RELAXED) &&
        state != RUNNING_WAITED)
        return;
    px__held_expect_none(once);
    px__park(&once->state, RUNNING_WAITED, -1); /* O2 */
}

int
px_once_run(px_once *once, px_once_fn fn, void *arg)
{
    if (!once || !fn)
        return PX_EINVAL;
    for (;;) {
        uint32_t state = px__load_acquire(&once->state);
        if (state == DONE)
            return PX_OK;
        if (state != IDLE)
            wait_for_run(once);
        else if (px__cas_acquire(&once->state, &state, RUNNING))
            return run(once, fn, arg); /* acquires what a failed run left */
    }
}

bool
px_once_done(const px_once *once)
{
    return px__load_acquire(&once->state) == DONE;
}
