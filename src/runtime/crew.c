/*
 * Who sleeps and who is woken: an event count for the workers of a runtime.
 *
 *      pusher                                worker
 *      put the thing in a queue              SLEEPERS + 1
 *      read the crew word                    look into the queues again
 *      sleepers, and nobody LOOKING:         nothing: take a token, or park
 *        SLEEPERS - 1, LOOKING, token + 1
 *
 * Invariants
 *   W1  workers in take_token() == SLEEPERS + tokens (but for the instant
 *       between the two steps of wake_one)
 *   W2  no lost wake-up: both sides write, then read the other's word, in one
 *       total order (sequential consistency); one of them sees the other
 *   W3  who clears LOOKING looks into the queues afterwards, or has just found
 *       something and asks whether there is more. So a pusher that leaves the
 *       waking to it is served
 *   W4  a push may be left to a worker that is neither asleep nor polling: it
 *       looks into the queues before it is either (W2). So px__crew_share() wakes
 *       nobody when there are enough of these
 *   W5  the kick is sent as a KICKER, and the loop stays open while there is
 *       one: a thread that is no worker may be late by any time
 *
 * The throttle is LOOKING: between a wake-up and the moment when that worker
 * stands in front of the queues, pushes wake nobody. Without it each push costs
 * a system call, and a pool of no-op work runs at a fraction of its
 * speed.
 *
 * Thread rule: as said for each function in runtime.h.
 * Rejected: a park word per worker and a stack of sleepers (warmer caches, but
 * the stack needs a lock, or tags against ABA).
 */
#include "base/assert.h"
#include "platform/park.h"
#include "runtime/runtime.h"

/* How long a worker searches before it sleeps: about what a sleep and a
 * wake-up cost. */
enum { SEARCH_ROUNDS = 100 };

/* As px_current_context: a load, not a call. */
static __thread px__worker *self __attribute__((tls_model("initial-exec")));

px__worker *
px__worker_self(void)
{
    return self;
}

void
px__worker_set_self(px__worker *w)
{
    self = w;
}

unsigned
px_worker_id(void)
{
    return self ? self->id : 0;
}

/* --- waking --------------------------------------------------------------- */

static void
give_tokens(px_runtime *rt, uint32_t count)
{
    px__add_release(&rt->tokens, count); /* pairs with take_token() */
    px__add_relaxed(&rt->wakeups, count);
    if (count == 1)
        px__unpark_one(&rt->tokens);
    else
        px__unpark_all(&rt->tokens);
}

/* Clearing POLLING is what coalesces: one send for each poll. The exchange also
 * orders, whatever it finds: what the caller did before is seen after
 * poll_begin(). Who posts to a context or cancels a timer may be held up before
 * the send until the runtime is being released, hence W5. */
void
px__crew_kick(px_runtime *rt)
{
    uint32_t seen = px__load_relaxed(&rt->crew), kicked;
    do
        kicked = seen & PX__POLLING ? seen - PX__POLLING + PX__KICKER : seen;
    while (!px__cas_seqcst(&rt->crew, &seen, kicked));
    if (seen & PX__POLLING) {
        (void)uv_async_send(&rt->kick);
        px__sub_release(&rt->crew, PX__KICKER); /* pairs with await_kickers() */
    }
}

void
px__crew_await_kickers(px_runtime *rt)
{
    while (px__load_acquire(&rt->crew) >= PX__KICKER) /* W5 */
        px__thread_yield();
}

bool
px__crew_notify(px_runtime *rt)
{
    uint32_t seen = px__load_seqcst(&rt->crew); /* W2 */
    while (!(seen & PX__LOOKING) && (seen & PX__SLEEPERS)) {
        if (px__cas_seqcst(&rt->crew, &seen, (seen - 1) | PX__LOOKING)) {
            give_tokens(rt, 1);
            return true;
        }
    }
    bool polling = !(seen & PX__LOOKING) && (seen & PX__POLLING);
    if (polling)
        px__crew_kick(rt);
    return polling;
}

/* Who polls does not run, and nobody comes to a strand by that (W4). */
bool
px__crew_has_room(const px_runtime *rt)
{
    uint32_t crew = px__load_seqcst(&rt->crew); /* W2 */
    unsigned resting = (crew & PX__SLEEPERS) + ((crew & PX__POLLING) != 0);
    return rt->worker_count - resting < px__load_relaxed(&rt->crowd.useful);
}

void
px__crew_share(px_runtime *rt)
{
    if (px__crew_has_room(rt))
        px__crew_notify(rt);
}

void
px__crew_wake_all(px_runtime *rt)
{
    uint32_t seen =
        px__and_seqcst(&rt->crew, ~(uint32_t)(PX__SLEEPERS | PX__POLLING));
    if (seen & PX__SLEEPERS)
        give_tokens(rt, seen & PX__SLEEPERS);
    if (seen & PX__POLLING)
        (void)uv_async_send(&rt->kick);
}

/* --- resting -------------------------------------------------------------- */

static bool
anything_waiting(const px_runtime *rt)
{
    return px__strand_waiting(rt) || px__loop_waiting(rt) ||
           px__load_seqcst(&rt->stopping);
}

bool
px__crew_poll_begin(px_runtime *rt)
{
    px__or_seqcst(&rt->crew, PX__POLLING); /* W2 */
    return !px__strand_waiting(rt) && px_ilist_empty(&rt->ops) &&
           !px__load_seqcst(&rt->baton_wanted) &&
           !px__load_seqcst(&rt->stopping);
}

void
px__crew_poll_end(px_runtime *rt)
{
    if (px__load_relaxed(&rt->crew) & PX__POLLING)
        px__and_seqcst(&rt->crew, ~(uint32_t)PX__POLLING);
}

static void
take_token(px_runtime *rt)
{
    uint32_t seen = px__load_relaxed(&rt->tokens);
    while (seen == 0 || !px__cas_acquire(&rt->tokens, &seen, seen - 1)) {
        if (seen == 0)
            px__park(&rt->tokens, 0, -1);
        seen = px__load_relaxed(&rt->tokens);
    }
}

/* Take back the announcement of a sleep. False: all that slept were given
 * tokens, so one of those must be taken (W1). */
static bool
try_stay_awake(px_runtime *rt)
{
    uint32_t seen = px__load_relaxed(&rt->crew);
    while (seen & PX__SLEEPERS)
        if (px__cas_seqcst(&rt->crew, &seen, seen - 1))
            return true;
    return false;
}

static void
go_to_sleep(px_runtime *rt)
{
    px__add_seqcst(&rt->crew, 1); /* W2 */
    if (anything_waiting(rt) && try_stay_awake(rt)) {
        px__thread_yield(); /* perhaps a push is half done: let it end */
        return;
    }
    take_token(rt);
    px__and_seqcst(&rt->crew, ~(uint32_t)PX__LOOKING); /* W3 */
}

/* One worker at a time searches; the others go to sleep at once. */
static bool
search(px_runtime *rt)
{
    if (px__or_seqcst(&rt->crew, PX__LOOKING) & PX__LOOKING)
        return false;
    for (int i = 0; i < SEARCH_ROUNDS && !anything_waiting(rt); i++)
        px__pause();
    px__and_seqcst(&rt->crew, ~(uint32_t)PX__LOOKING); /* W3 */
    return anything_waiting(rt);
}

void
px__crew_rest(px_runtime *rt)
{
    if (!search(rt))
        go_to_sleep(rt);
}
