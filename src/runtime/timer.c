/*
 * Timers: a uv_timer on the loop, a context that runs the shots.
 *
 *   start --> armed --due--> DUE, collect --> shot, rollback --> rest --+
 *               ^                                                       |
 *               +-------------------------------------------------------+
 *   cancel, one shot done, shot failed: OVER --> operation: uv_close
 *                                       --> CLOSED, collect --> end of strand
 *
 * The word: OVER no further shot begins; DUE a shot is due; CLOSED the uv
 * handle is closed, or was never opened. Set from any thread, looked at by run.
 *
 * Invariants
 *   T1  the strand ends in the run that sees CLOSED, so the uv handle in the
 *       record is gone by then
 *   T2  references: the runtime's until the context is freed, the handle's, and
 *       that of an end operation that is posted; the record holds one of the
 *       runtime, so that cancelling after the release is harmless
 *   T3  `open` is the baton's: only it knows if there is something to close
 *
 * A shot that falls due while the one before it runs finds DUE set, or sets it
 * once: that is how late shots are merged. No snapshot is dropped: the first
 * run takes one, and each shot rolls back to it.
 */
#include <pxrt/shared.h>

#include "base/assert.h"
#include "runtime/runtime.h"

enum { OVER = 1, DUE = 2, CLOSED = 4 };

struct px_timer {
    px__strand strand;
    uv_timer_t handle; /* the baton's */
    bool open;         /* the baton's; T3 */
    px__ward ward;
    px__op start;
    px__op end;
    uint64_t first_ms;
    uint64_t period_ms;
    px_run_fn shot;
    px_failed_fn failed;
    void *arg;
    px_snapshot before; /* the context's owner's */
    bool has_before;    /* the context's owner's */
    uint32_t word;      /* atomic */
    uint32_t references;
};

static px_timer *
timer_of(px__strand *s)
{
    return PX_CONTAINER(s, px_timer, strand);
}

static void
unref(px_timer *t)
{
    if (px__sub_acqrel(&t->references, 1) != 1)
        return;
    px_runtime *rt = t->strand.rt;
    px_shared_free(t);
    px__runtime_unref(rt, 1);
}

/* --- on the baton --------------------------------------------------------- */

static void
set_and_collect(px_timer *t, uint32_t bit)
{
    px__or_acqrel(&t->word, bit); /* pairs with the look in run_timer() */
    px__strand_collect(&t->strand);
}

static void
on_due(uv_timer_t *handle)
{
    set_and_collect(handle->data, DUE);
}

/* A message may have the timer run on another worker meanwhile. That run ends
 * the strand when it sees CLOSED (T1), which is before we have collected it:
 * the reference to the context keeps both in place. */
static void
tell_closed(px_timer *t)
{
    px_context *cx = px_context_retain(t->strand.cx);
    set_and_collect(t, CLOSED);
    px_context_release(cx);
}

static void
on_closed(uv_handle_t *handle)
{
    tell_closed(handle->data);
}

static void
close_handle(px_timer *t)
{
    if (!t->open)
        return;
    t->open = false;
    px__ward_remove(&t->ward);
    uv_close((uv_handle_t *)&t->handle, on_closed);
}

static void
close_ward(px__ward *ward)
{
    px_timer *t = PX_CONTAINER(ward, px_timer, ward);
    px__or_acqrel(&t->word, OVER);
    close_handle(t);
}

/* The loop's clock stands still while nobody polls, so it is set first. */
static void
start_timer(px__op *op)
{
    px_timer *t = PX_CONTAINER(op, px_timer, start);
    px_runtime *rt = t->strand.rt;
    if (!px__ward_add(rt, &t->ward)) {
        tell_closed(t);
        return;
    }
    uv_update_time(px__loop(rt));
    (void)uv_timer_init(px__loop(rt), &t->handle);
    t->handle.data = t;
    t->open = true;
    if (uv_timer_start(&t->handle, on_due, t->first_ms, t->period_ms))
        close_handle(t);
}

static void
end_timer(px__op *op)
{
    px_timer *t = PX_CONTAINER(op, px_timer, end);
    px_runtime *rt = t->strand.rt;
    close_handle(t);
    unref(t);
    px__activity_end(rt);
}

/* --- in the context ------------------------------------------------------- */

/* Post the end once; who sets OVER first posts it. While the runtime is being
 * released the ward does this. Any thread. */
static void
finish(px_timer *t)
{
    px_runtime *rt = t->strand.rt;
    if ((px__or_acqrel(&t->word, OVER) & OVER) || !px__activity_begin(rt))
        return;
    px__add_relaxed(&t->references, 1);
    px__loop_call(rt, &t->end);
}

static int
remember_heap(px_timer *t)
{
    if (t->has_before)
        return 0;
    int status = px_heap_snapshot(px_context_heap(t->strand.cx), &t->before);
    t->has_before = status == 0;
    return status;
}

static int
call(px_timer *t, bool due)
{
    px_context *cx = t->strand.cx;
    int rc = remember_heap(t);
    if (rc >= 0 && px__mailbox_waiting(cx))
        rc = px_deliver(cx);
    if (rc >= 0 && !px_context_error(cx) && due)
        rc = t->shot(cx, t->arg);
    return px__settle(cx, rc, t->failed, t->arg);
}

/* An error ends the timer even if `failed` dealt with it; a single shot does,
 * too. What failed is not rolled back: main may want to read it. */
static void
fire(px_timer *t, bool due)
{
    int rc = call(t, due);
    if (rc >= 0 && t->has_before)
        px_heap_rollback(px_context_heap(t->strand.cx), &t->before);
    if (rc != 0 || (due && !t->period_ms))
        finish(t);
}

static void
run_timer(px__strand *s)
{
    px_timer *t = timer_of(s);
    uint32_t seen = px__and_acqrel(&t->word, ~(uint32_t)DUE);
    if (!(seen & OVER))
        fire(t, seen & DUE);
    if (seen & CLOSED)
        px__strand_over(s);
    else
        px__strand_rest(s);
}

static void
timer_gone(px__strand *s)
{
    unref(timer_of(s));
}

static const px__strand_kind timer_kind = {run_timer, timer_gone};

/* --- public --------------------------------------------------------------- */

static px_timer *
make_timer(uint64_t first_ms, uint64_t period_ms, px_run_fn shot,
           px_failed_fn failed, void *arg)
{
    px_timer *t = px_shared_calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->ward.close = close_ward;
    t->start.fn = start_timer;
    t->end.fn = end_timer;
    t->first_ms = first_ms;
    t->period_ms = period_ms;
    t->shot = shot;
    t->failed = failed;
    t->arg = arg;
    return t;
}

int
px_submit_timer(px_runtime *rt, uint64_t first_ms, uint64_t period_ms,
                px_run_fn shot, px_failed_fn failed, void *arg, px_timer **out)
{
    int status = px__runtime_check(rt);
    if (status)
        return status;
    if (!shot)
        return PX_EINVAL;
    px_timer *t = make_timer(first_ms, period_ms, shot, failed, arg);
    if (!t)
        return PX_ENOMEM;
    status = px__strand_open(rt, &t->strand, &timer_kind, NULL);
    if (status) {
        px_shared_free(t);
        return status;
    }
    px__runtime_ref(rt);
    t->references = out ? 2 : 1;
    if (out)
        *out = t;
    px__loop_call(rt, &t->start);
    return 0;
}

int
px_timer_cancel(px_timer *t)
{
    int status = t ? px__runtime_check(t->strand.rt) : PX_EINVAL;
    if (!status)
        finish(t);
    return status;
}

void
px_timer_release(px_timer *t)
{
    if (t)
        unref(t);
}
