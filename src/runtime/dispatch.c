/*
 * The baton, the loop's operations, and what a worker does all day.
 *
 *   worker:  +--> a strand that is ready? --> run it --+
 *            |    the baton is free?  --> one turn of the loop: operations,
 *            |                            uv_run, baton back, run the first
 *            |                            strand collected, queue the others
 *            |    nothing? --> sleep (crew.c)          |
 *            +-----------------------------------------+
 *
 * Invariants
 *   B1  baton is 1 exactly while a thread may call uv
 *   B2  an operation that was posted is seen: by the holder before it blocks
 *       (poll_begin looks again), by who takes the baton next, or its poster
 *       wakes a worker, even if it is one: its callback may go on for long. Who
 *       posts at the end of a run wakes nobody, but looks itself. Poster and
 *       holder both do a read-modify-write on the baton word after push and
 *       before the last look, so one sees the other
 *   B3  a loop that is alive is polled, or its holder is running a callback; in
 *       the latter case this worker, or the monitor within two ticks, gives the
 *       baton to somebody, or has a worker that gets on take it in between
 *
 * A worker that always finds ready strands would never serve the loop: every
 * LOOP_TICKS strands, or when the monitor says that it is due, it takes a turn
 * that does not block.
 *
 * Rejected: waking a follower each time the baton is let go (a hand-off costs
 * more than the callback it makes way for; the monitor finds the long ones).
 */
#include "runtime/dispatch.h"

#include "base/assert.h"
#include "platform/park.h"
#include "runtime/runtime.h"

enum { LOOP_TICKS = 61, FRESH_TICKS = 16 };

/* --- the loop's life ------------------------------------------------------ */

/* It only ends the poll. */
static void
kicked(uv_async_t *kick)
{
    (void)kick;
}

static void
forget_collected(px_runtime *rt)
{
    rt->collected = NULL;
    rt->collected_end = &rt->collected;
}

int
px__loop_open(px_runtime *rt)
{
    int status = uv_loop_init(&rt->loop);
    if (status)
        return status;
    status = uv_async_init(&rt->loop, &rt->kick, kicked);
    if (status) {
        (void)uv_loop_close(&rt->loop);
        return status;
    }
    /* A loop with nothing but this handle needs no holder. */
    uv_unref((uv_handle_t *)&rt->kick);
    px__list_init(&rt->wards);
    forget_collected(rt);
    return 0;
}

void
px__loop_close(px_runtime *rt)
{
    px__crew_await_kickers(rt);
    uv_close((uv_handle_t *)&rt->kick, NULL);
    (void)uv_run(&rt->loop, UV_RUN_DEFAULT);
    int status = uv_loop_close(&rt->loop);
    PX_CHECK(status == 0, "a uv handle was left open");
}

uv_loop_t *
px__loop(px_runtime *rt)
{
    PX_ASSERT(px__load_relaxed(&rt->baton));
    return &rt->loop;
}

/* --- the baton ------------------------------------------------------------ */

static bool
baton_take(px_runtime *rt)
{
    uint32_t none = 0;
    return px__cas_seqcst(&rt->baton, &none, 1);
}

static bool
baton_try(px_runtime *rt)
{
    return !px__load_relaxed(&rt->baton) &&
           !px__load_seqcst(&rt->baton_wanted) && baton_take(rt);
}

/* Pairs with the addition in px__loop_enter(): one sees the other. */
static void
baton_release(px_runtime *rt)
{
    px__store_relaxed(&rt->loop_alive, uv_loop_alive(&rt->loop) != 0);
    (void)px__xchg_seqcst(&rt->baton, 0); /* B2 */
    if (px__load_seqcst(&rt->baton_wanted))
        px__unpark_all(&rt->baton);
}

void
px__loop_enter(px_runtime *rt)
{
    px__add_seqcst(&rt->baton_wanted, 1);
    while (!baton_take(rt)) {
        px__crew_kick(rt);
        px__park(&rt->baton, 1, -1);
    }
    px__sub_relaxed(&rt->baton_wanted, 1);
}

static px__strand *take_collected(px_runtime *rt);
static void queue_all(px__strand *chain);

void
px__loop_leave(px_runtime *rt)
{
    px__strand *chain = take_collected(rt);
    baton_release(rt);
    queue_all(chain);
    px__crew_notify(rt); /* somebody must poll what was opened */
}

bool
px__loop_waiting(const px_runtime *rt)
{
    return !px__load_seqcst(&rt->baton) &&
           !px__load_seqcst(&rt->baton_wanted) &&
           (px__load_relaxed(&rt->loop_alive) || !px_ilist_empty(&rt->ops));
}

/* --- operations and wards ------------------------------------------------- */

void
px__loop_call(px_runtime *rt, px__op *op)
{
    px_ilist_push(&rt->ops, &op->link);
    if (px__add_seqcst(&rt->baton, 0)) { /* B2 */
        px__crew_kick(rt);
    } else {
        px__add_seqcst(&rt->crew, 0); /* orders the push before the look */
        px__crew_notify(rt);
    }
}

void
px__loop_call_next(px_runtime *rt, px__op *op)
{
    px_ilist_push(&rt->ops, &op->link);
    if (px__add_seqcst(&rt->baton, 0)) /* B2 */
        px__crew_kick(rt);
}

static void
run_operations(px_runtime *rt)
{
    px_ilink *chain = px_ilist_reverse(px_ilist_flush(&rt->ops));
    while (chain) {
        px__op *op = PX_CONTAINER(chain, px__op, link);
        chain = chain->next; /* op may be posted again, or gone, after fn */
        op->fn(op);
    }
}

bool
px__ward_add(px_runtime *rt, px__ward *ward)
{
    PX_ASSERT(px__load_relaxed(&rt->baton));
    if (rt->wards_closed)
        return false;
    px__list_push_back(&rt->wards, &ward->link);
    return true;
}

void
px__ward_remove(px__ward *ward)
{
    px__list_remove(&ward->link);
}

/* --- collecting ----------------------------------------------------------- */

static void
append_collected(px__strand *s)
{
    px_runtime *rt = s->rt;
    s->next = NULL;
    *rt->collected_end = s;
    rt->collected_end = &s->next;
    if (rt->in_uv_run)
        uv_stop(&rt->loop); /* timers run before the poll, which now waits */
}

void
px__strand_collect(px__strand *s)
{
    PX_ASSERT(px__load_relaxed(&s->rt->baton));
    if (px__life_state(s->cx) == PX_CREATED)
        px__life_move(s->cx, PX_CREATED, PX_READY);
    else if (!px__life_wake(s->cx))
        return;
    append_collected(s);
}

void
px__strand_return(px__strand *s)
{
    PX_ASSERT(px__load_relaxed(&s->rt->baton));
    if (px__life_state(s->cx) == PX_SENDING)
        px__life_move(s->cx, PX_SENDING, PX_READY);
    PX_ASSERT(px__life_state(s->cx) == PX_READY ||
              px__life_state(s->cx) == PX_CLOSING);
    append_collected(s);
}

static px__strand *
take_collected(px_runtime *rt)
{
    px__strand *chain = rt->collected;
    forget_collected(rt);
    return chain;
}

static void
queue_all(px__strand *chain)
{
    while (chain) {
        px__strand *s = chain;
        chain = s->next; /* once queued, it may run, and be gone */
        px__strand_queue(s);
    }
}

/* --- one turn of the loop ------------------------------------------------- */

/* On the baton. The poll blocks only if nothing was collected already: by the
 * operations, or by timers that were due when uv_run() began. To stop a loop
 * that does not run would make its next turn an empty one. */
static void
turn_loop(px_runtime *rt, bool may_block)
{
    run_operations(rt);
    uv_run_mode mode = UV_RUN_NOWAIT;
    if (may_block && !rt->collected && px__crew_poll_begin(rt))
        mode = UV_RUN_ONCE;
    rt->in_uv_run = true;
    (void)uv_run(&rt->loop, mode);
    rt->in_uv_run = false;
    px__crew_poll_end(rt);
    px__add_relaxed(&rt->turns, 1);
}

/* Serve the loop once; the first strand collected becomes the worker's next. */
static void
serve_loop(px__worker *w, bool may_block)
{
    px_runtime *rt = w->rt;
    turn_loop(rt, may_block);
    px__strand *chain = take_collected(rt);
    baton_release(rt);
    if (!chain)
        return;
    px__strand *others = chain->next;
    PX_ASSERT(!w->next);
    w->next = chain;
    queue_all(others);
    /* This worker is going to run a callback. What waits may do so unnoticed:
     * an operation (B2), or a strand that px__strand_rest() left to it. */
    if (!px_ilist_empty(&rt->ops))
        px__crew_notify(rt);
    else if (px__strand_waiting(rt))
        px__crew_share(rt);
}

/* --- the worker ----------------------------------------------------------- */

/* Work begins only while main keeps up with what is over. */
bool
px__work_may_begin(const px_runtime *rt)
{
    return px__load_over(px__load_seqcst(&rt->load)) <
               px__load_seqcst(&rt->over_limit) ||
           px__load_seqcst(&rt->closing);
}

bool
px__strand_waiting(const px_runtime *rt)
{
    return px__queue_waiting(&rt->ready) ||
           (px__queue_waiting(&rt->fresh) && px__work_may_begin(rt));
}

static px_ilink *
pop_fresh(px_runtime *rt)
{
    return px__queue_waiting(&rt->fresh) && px__work_may_begin(rt)
               ? px__queue_pop(&rt->fresh)
               : NULL;
}

/* Contexts that are under way first, but not so that no work ever begins. */
static px_ilink *
pop_any(px__worker *w)
{
    px_ilink *link = NULL;
    if (w->ticks % FRESH_TICKS == 0)
        link = pop_fresh(w->rt);
    if (!link)
        link = px__queue_pop(&w->rt->ready);
    if (!link)
        link = pop_fresh(w->rt);
    return link;
}

/* A worker that holds a strand has just served the loop; to serve it again
 * would put another strand in its place. */
static void
serve_loop_in_between(px__worker *w)
{
    px_runtime *rt = w->rt;
    if (w->next ||
        (w->ticks % LOOP_TICKS != 0 && !px__load_relaxed(&rt->loop_due)))
        return;
    px__store_relaxed(&rt->loop_due, false);
    if (px__loop_waiting(rt) && baton_try(rt))
        serve_loop(w, false);
}

static px__strand *
next_strand(px__worker *w)
{
    w->ticks++;
    serve_loop_in_between(w);
    px__strand *s = w->next;
    w->next = NULL;
    if (s)
        return s;
    px_ilink *link = pop_any(w);
    return link ? PX_CONTAINER(link, px__strand, link) : NULL;
}

/* While serial is odd, the monitor watches how long this takes. */
static void
run_strand(px__worker *w, px__strand *s)
{
    px__store_relaxed(&w->serial, w->serial + 1);
    if (s->cx) {
        if (px__life_state(s->cx) == PX_READY)
            px__life_begin(s->cx);
        px__context_bind(s->cx);
    }
    s->kind->run(s);
    PX_CHECK(!px_current(), "a callback left a context entered");
    px__store_release(&w->serial, w->serial + 1);
}

/* Callbacks are about to run: the monitor must not sleep. Once for a row of them,
 * since it costs an exchange, which pairs with N1 in monitor.c. */
static void
wake_up(px__worker *w)
{
    (void)px__xchg_seqcst(&w->awake, true);
    if (px__load_seqcst(&w->rt->monitor_asleep))
        px__monitor_wake(w->rt);
}

/* False: the runtime is stopping. */
static bool
find_something(px__worker *w)
{
    px_runtime *rt = w->rt;
    px__store_relaxed(&w->awake, false); /* late is harmless: the next tick */
    if (px__load_seqcst(&rt->stopping))
        return false;
    if (px__loop_waiting(rt) && baton_try(rt))
        serve_loop(w, true);
    else
        px__crew_rest(rt);
    return true;
}

/* There may be more than one worker can do. If it was wrong to leave the others
 * asleep, the monitor wakes one at its next tick. */
static void
share(px_runtime *rt)
{
    if (px__strand_waiting(rt))
        px__crew_share(rt);
}

void
px__worker_main(void *worker)
{
    px__worker *w = worker;
    bool rested = true;
    px__worker_set_self(w);
    px__store_relaxed(&w->system_id, px__thread_system_id());
    for (;;) {
        px__strand *s = next_strand(w);
        if (s) {
            if (rested) {
                wake_up(w);
                share(w->rt);
            }
            rested = false;
            run_strand(w, s);
        } else if (find_something(w)) {
            rested = true;
        } else {
            break;
        }
    }
}
