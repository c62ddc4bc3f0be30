/*
 * Strands: the runtime's record of a context, and the ends of its runs.
 *
 * Invariants
 *   R1  from its open to its end a strand counts as active; the count is taken
 *       before `closing` is looked at, so a release that has set closing and
 *       then sees 0 knows that nobody is on the way in. Who is refused counts
 *       for a moment all the same, even after that
 *   R2  after one of the four ends the strand belongs to somebody else: the
 *       functions here touch nothing of it after the move or the push
 *
 * Thread rule: as said for each function in dispatch.h.
 */
#include "base/assert.h"
#include "runtime/runtime.h"

/* --- activity ------------------------------------------------------------- */

bool
px__activity_begin(px_runtime *rt)
{
    px__add_seqcst(&rt->load, 1); /* R1 */
    if (!px__load_seqcst(&rt->closing))
        return true;
    px__activity_end(rt);
    return false;
}

void
px__activity_end(px_runtime *rt)
{
    if (px__load_active(px__sub_seqcst(&rt->load, 1)) == 1)
        px__main_wake(rt, true);
}

size_t
px_active_count(const px_runtime *rt)
{
    return rt ? px__load_active(px__load_seqcst(&rt->load)) : 0;
}

/* --- opening and queueing ------------------------------------------------- */

static px__strand *
strand_of(px_context *cx)
{
    return cx->host_data;
}

static void
host_ready(px_context *cx)
{
    px__strand_queue(strand_of(cx));
}

static void
host_unreferenced(px_context *cx)
{
    px__freedom_return(strand_of(cx));
}

const px__host px__strand_host = {host_ready, host_unreferenced};

px__strand *
px__strand_of(const px_context *cx)
{
    return cx->host == &px__strand_host ? cx->host_data : NULL;
}

int
px__strand_open(px_runtime *rt, px__strand *s, const px__strand_kind *kind,
                const px_context_options *options)
{
    px_context *cx;
    if (!px__activity_begin(rt))
        return PX_ECLOSED;
    int status = px_context_create(
        options && options->size ? options : &rt->context, &cx);
    if (status) {
        px__activity_end(rt);
        return status;
    }
    *s = (px__strand){.kind = kind, .rt = rt, .cx = cx};
    px__context_adopt(cx, &px__strand_host, s);
    return 0;
}

void
px__strand_queue(px__strand *s)
{
    px_runtime *rt = s->rt;
    px__queue_push(&rt->ready, &s->link);
    px__crew_share(rt);
}

void
px__strand_queue_fresh(px__strand *s)
{
    px_runtime *rt = s->rt;
    px__queue_push(&rt->fresh, &s->link);
    if (px__work_may_begin(
            rt)) /* else main wakes them, when it has caught up */
        px__crew_share(rt);
}

void
px__strand_wake(px__strand *s)
{
    if (px__life_state(s->cx) == PX_CREATED)
        px__life_move(s->cx, PX_CREATED, PX_READY);
    else if (!px__life_wake(s->cx))
        return;
    px__strand_queue(s);
}

/* --- the ends of a run ---------------------------------------------------- */

/* Queued without waking anybody: this very worker looks next. */
void
px__strand_rest(px__strand *s)
{
    px_runtime *rt = s->rt;
    px__context_unbind(s->cx);
    if (px__life_rest(s->cx))
        px__queue_push(&rt->ready, &s->link);
}

void
px__strand_sending(px__strand *s, px__op *op)
{
    px_runtime *rt = s->rt;
    px__context_unbind(s->cx);
    px__life_move(s->cx, PX_RUNNING, PX_SENDING);
    px__loop_call_next(rt, op);
}

void
px__strand_closing(px__strand *s, px__op *op)
{
    px_runtime *rt = s->rt;
    px__context_unbind(s->cx);
    px__life_move(s->cx, PX_RUNNING, PX_CLOSING);
    px__loop_call_next(rt, op);
}

void
px__strand_over(px__strand *s)
{
    px_context *cx = s->cx;
    bool failed = px__context_has_error(cx);
    int from = px__life_state(cx);
    px__context_unbind(cx);
    px__context_settle(cx);
    px__life_move(cx, from, failed ? PX_FAILED : PX_DONE);
    if (!failed)
        px__life_move(cx, PX_DONE, PX_FINISHED);
    px__freedom_post(s, failed);
}

/* --- errors --------------------------------------------------------------- */

/* Run @failed with the error put aside, so that it may record another. */
static int
give_to_failed(px_context *cx, px_failed_fn failed, void *arg)
{
    px__saved_error saved;
    px__error_save(cx, &saved);
    int rc = failed(cx, &saved.error, arg);
    if (rc >= 0) {
        px_context_clear_error(cx);
        return 1;
    }
    if (!px_context_error(cx))
        px__error_restore(cx, &saved);
    return px_context_error(cx)->code;
}

int
px__settle(px_context *cx, int rc, px_failed_fn failed, void *arg)
{
    if (rc >= 0 && !px__context_has_error(cx))
        return 0;
    if (!px__context_has_error(cx))
        px_fail_at(cx, rc, NULL, 0, "%s", px_strerror(rc));
    return failed ? give_to_failed(cx, failed, arg)
                  : px_context_error(cx)->code;
}
