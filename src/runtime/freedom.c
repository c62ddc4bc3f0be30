/*
 * The path to freedom: what becomes of a strand that is over.
 *
 *   worker                    main, one station per px_run_once()
 *   FINISHED --> [posted] --> finished --RELEASED--> (last reference) --+
 *   FAILED   --> [posted] --> errors --> given to the host              |
 *                                            | px_error_release()       |
 *                                            v                          v
 *                finished <-- FAILED [returned] RELEASED --PURGED--> purged
 *                                                                         |
 *                                                                FREED, gone
 *
 * A context that somebody has retained is off the path between RELEASED and
 * `returned`; an error that the host holds is off it in the same way.
 *
 * Invariants
 *   F1  a strand is in one place: posted, a list of main's, given away or back
 *   F2  the load word counts a strand as over before it is pushed to posted,
 *       and until main has taken it from there. So a count above 0 with an
 *       empty list means: about to come
 *   F3  what comes back after `closed` is set goes to no list of main's, who is
 *       gone: threads bury it (below). `fate` decides the order
 *   F4  graves_open counts strands that are in `graves` or about to be; who
 *       raises it from 0 buries until it is 0 again, and is the only one. So a
 *       cleanup that releases the next context, whose cleanup releases the next,
 *       makes a longer list and not a deeper stack
 *   F5  each strand in `graves` has a reference to the runtime, and they are
 *       dropped together when the burying is over
 *
 * Thread rule: post and return from any thread; the rest on main.
 * Rejected: all stations in one call (a host that looks at a context between two
 * calls, as tests and observers do, would find the path skipped).
 */
#include "base/assert.h"
#include "platform/park.h"
#include "runtime/runtime.h"

/* Ticks of the monitor after which a main that did not come is away. */
enum { ABSENCE_TICKS = 2 };

/* --- main's doorbell ------------------------------------------------------ */

void
px__main_wake(px_runtime *rt, bool urgent)
{
    uint32_t word = px__load_seqcst(&rt->main_word);
    if (word == PX__MAIN_AWAKE || (word == PX__MAIN_NAPS && !urgent))
        return;
    if (px__xchg_seqcst(&rt->main_word, PX__MAIN_AWAKE) != PX__MAIN_AWAKE)
        px__unpark_one(&rt->main_word);
}

bool
px__freedom_urgent(const px_runtime *rt, uint64_t load)
{
    return px__load_over(load) >= rt->gather ||
           (px__load_active(load) == 0 && px__load_over(load) > 0) ||
           px__load_seqcst(&rt->urgent_errors) > 0;
}

/* --- coming in ------------------------------------------------------------ */

void
px__freedom_post(px__strand *s, bool failed)
{
    px_runtime *rt = s->rt;
    const uint64_t active_to_over = ((uint64_t)1 << 32) - 1;
    s->failed = failed;
    if (failed)
        px__add_seqcst(&rt->urgent_errors, 1);
    uint64_t load = px__add_seqcst(&rt->load, active_to_over) + active_to_over;
    px_ilist_push(&rt->posted, &s->link); /* F2 */
    px__main_wake(rt, px__freedom_urgent(rt, load));
}

/* While main attends, few contexts at a time make the round, and stay in the
 * caches and the TLBs of the CPUs: measured, that is worth a factor of five for
 * small work. When it is away, work may run ahead of it. */
void
px__freedom_attend(px_runtime *rt)
{
    px__store_relaxed(&rt->absence, 0);
    if (px__load_relaxed(&rt->over_limit) != rt->close_finished)
        px__store_relaxed(&rt->over_limit, rt->close_finished);
}

void
px__freedom_watch(px_runtime *rt)
{
    if (px__load_relaxed(&rt->in_run_once) ||
        px__add_relaxed(&rt->absence, 1) != ABSENCE_TICKS)
        return;
    px__store_seqcst(&rt->over_limit, rt->max_finished);
    if (px__queue_waiting(&rt->fresh))
        px__crew_notify(rt);
}

/* The first that main sees of a strand: what belongs to it lies in the cache of
 * another CPU. Those lines come while the others are sorted in. */
static void
fetch(const px__strand *s)
{
    px__prefetch(s + 1); /* what its kind keeps behind it */
    if (s->cx)
        px__prefetch(&s->cx->word);
}

static void
count_error(px_runtime *rt)
{
    px__sub_seqcst(&rt->urgent_errors, 1);
    px__store_relaxed(&rt->errors_listed, rt->errors_listed + 1);
    px__store_relaxed(&rt->errors_total, rt->errors_total + 1);
}

/* What was posted, newest first, to main's lists, oldest first. Their number. */
static uint64_t
sort_in(px_runtime *rt, px_ilink *chain)
{
    uint64_t count = 0;
    px__list errors, finished;
    px__list_init(&errors);
    px__list_init(&finished);
    for (; chain; count++) {
        px__strand *s = PX_CONTAINER(chain, px__strand, link);
        chain = chain->next;
        fetch(s);
        px__list_push_front(s->failed ? &errors : &finished, &s->station);
        if (s->failed)
            count_error(rt);
    }
    px__list_splice(&rt->errors, &errors);
    px__list_splice(&rt->finished, &finished);
    return count;
}

void
px__freedom_collect(px_runtime *rt)
{
    uint64_t count = sort_in(rt, px_ilist_flush(&rt->posted));
    if (!count)
        return;
    rt->coming_in = true;
    px__store_relaxed(&rt->on_path, rt->on_path + count);
    uint64_t before = px__sub_seqcst(&rt->load, count << 32);
    if (px__load_over(before) >= px__load_relaxed(&rt->over_limit) &&
        px__queue_waiting(&rt->fresh))
        px__crew_share(rt); /* it was held back, and is no more */
}

/* --- going out ------------------------------------------------------------ */

static void
let_go(px_runtime *rt, px__strand *s)
{
    s->kind->gone(s);
    px__store_relaxed(&rt->on_path, rt->on_path - 1);
}

static void
free_context(px_runtime *rt, px__strand *s)
{
    if (!s->common)
        px__context_free(s->cx);
    else if (px__context_park(s->cx))
        px__stock_put(&rt->stock, s->cx);
}

static bool
free_purged(px_runtime *rt)
{
    bool moved = !px__list_empty(&rt->purged);
    px__list *node;
    while ((node = px__list_pop_front(&rt->purged)) != NULL) {
        px__strand *s = PX_CONTAINER(node, px__strand, station);
        free_context(rt, s);
        let_go(rt, s);
    }
    return moved;
}

/* The context comes back through px__freedom_return() when this was its last
 * reference, which it nearly always is. */
static void
release_one(px_runtime *rt, px__strand *s)
{
    if (!s->cx) {
        let_go(rt, s);
        return;
    }
    px__life_move(s->cx, PX_FINISHED, PX_RELEASED);
    if (px__context_drop_lone(s->cx))
        px__list_push_back(&rt->back, &s->station);
    else
        px_context_release(s->cx);
}

static bool
release_finished(px_runtime *rt)
{
    bool moved = !px__list_empty(&rt->finished);
    px__list *node;
    while ((node = px__list_pop_front(&rt->finished)) != NULL)
        release_one(rt, PX_CONTAINER(node, px__strand, station));
    return moved;
}

static void
take_back(px_runtime *rt, px__strand *s)
{
    if (s->cx && px__life_state(s->cx) == PX_RELEASED) {
        px__context_purge(s->cx);
        px__list_push_back(&rt->purged, &s->station);
    } else {
        if (s->cx)
            px__life_move(s->cx, PX_FAILED, PX_FINISHED);
        px__list_push_back(&rt->finished, &s->station);
    }
}

/* All that came back, from main itself and from others, as one list. */
static void
gather_back(px_runtime *rt, px__list *back)
{
    px_ilink *chain = px_ilist_reverse(px_ilist_flush(&rt->returned));
    px__list_init(back);
    px__list_splice(back, &rt->back);
    while (chain) {
        px__strand *s = PX_CONTAINER(chain, px__strand, link);
        chain = chain->next;
        px__list_push_back(back, &s->station);
    }
}

/* Each context is moved once: what a station gives is taken by the next one in
 * the next call. */
bool
px__freedom_step(px_runtime *rt)
{
    px__list back;
    bool moved = free_purged(rt);
    gather_back(rt, &back);
    moved |= release_finished(rt) || !px__list_empty(&back);
    px__list *node;
    while ((node = px__list_pop_front(&back)) != NULL)
        take_back(rt, PX_CONTAINER(node, px__strand, station));
    return moved;
}

/* --- after the end of the runtime ----------------------------------------- */

/* Main's steps, all at once. The number of strands that are gone: 0 for one whose
 * error was held, which comes back when nobody holds its context either. */
static uint32_t
bury_one(px__strand *s)
{
    if (s->cx && px__life_state(s->cx) == PX_FAILED) {
        px__life_move(s->cx, PX_FAILED, PX_FINISHED);
        px__life_move(s->cx, PX_FINISHED, PX_RELEASED);
        px_context_release(s->cx);
        return 0;
    }
    if (s->cx) {
        px__context_purge(s->cx);
        px__context_free(s->cx);
    }
    s->kind->gone(s);
    return 1;
}

/* All that lie in `graves` now: their number; those gone are added to @gone. */
static uint32_t
bury_chain(px_runtime *rt, uint32_t *gone)
{
    px_ilink *chain = px_ilist_flush(&rt->graves);
    uint32_t count = 0;
    for (; chain; count++) {
        px__strand *s = PX_CONTAINER(chain, px__strand, link);
        chain = chain->next;
        *gone += bury_one(s);
    }
    if (!count)
        px__thread_yield(); /* somebody has counted, and is about to push */
    return count;
}

/* Acquire-release on graves_open hands what one thread did while it buried to
 * the one that buries next. */
static void
bury(px__strand *s)
{
    px_runtime *rt = s->rt;
    uint32_t before = px__add_acqrel(&rt->graves_open, 1); /* F4 */
    px_ilist_push(&rt->graves, &s->link);
    if (before > 0)
        return;
    uint32_t count, gone = 0;
    do
        count = bury_chain(rt, &gone);
    while (px__sub_acqrel(&rt->graves_open, count) != count);
    if (gone) /* else there is nothing that keeps rt in place for us */
        px__runtime_unref(rt, gone); /* F5 */
}

void
px__freedom_bury_returned(px_runtime *rt)
{
    px_ilink *chain = px_ilist_flush(&rt->returned);
    while (chain) {
        px__strand *s = PX_CONTAINER(chain, px__strand, link);
        chain = chain->next;
        bury(s);
    }
}

/* False: the runtime is gone, the strand is the caller's. Main is told under the
 * lock: once a strand that came back is out of our hands main may end the
 * runtime, but not before it has had `fate` itself. */
static bool
return_from_thread(px_runtime *rt, px__strand *s)
{
    px_mutex_lock(&rt->fate);
    bool closed = rt->closed; /* F3 */
    if (!closed) {
        px_ilist_push(&rt->returned, &s->link);
        px__add_seqcst(&rt->main_word, 0); /* orders the push before the look */
        px__main_wake(rt, false);
    }
    px_mutex_unlock(&rt->fate);
    return !closed;
}

/* Nearly every return is main's own; only main sets closed, so it needs no lock
 * to read it. Ids of threads are counted, never used twice: when main has ended
 * no other thread is taken for it. */
void
px__freedom_return(px__strand *s)
{
    px_runtime *rt = s->rt;
    if (px__runtime_check(rt)) /* in the child of a fork: see release */
        return;
    if (rt->main_thread == px__thread_self_id() && !rt->closed)
        px__list_push_back(&rt->back, &s->station);
    else if (!return_from_thread(rt, s))
        bury(s);
}
