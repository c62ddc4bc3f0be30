/*
 * Work: a record in shared memory that waits in a queue; the worker that begins
 * it makes its context.
 *
 *   QUEUED --begin--> BEGUN       run -> done -> (failed)
 *      +----cancel--> CANCELED    (failed) with PX_ECANCELED
 *
 * Invariants
 *   K1  one exchange decides between begin and cancel; a cancelled record stays
 *       in the queue, and the worker that finds it there runs its failed
 *   K2  two references: the runtime's until the context is freed, the handle's
 *   K3  no context for the work (out of memory): its error lies in the record,
 *       and its failed callback runs without a context. So a host that gives one
 *       hears of each piece of work once, and may count on it
 *   K4  records that main lets go of are kept for what main submits next, up to
 *       SPARE_MOST (2 MB): both ends are main's, so that costs no locked
 *       operation, and a sixth of malloc's and free's instructions
 *
 * Making the context at the begin, not at the submission, keeps a million
 * waiting items at the size of their records.
 *
 * Rejected: a context in reserve for the failed callback of K3 (one for each
 * worker, and gone when the callback retains it: the same case is left over).
 */
#include "runtime/work.h"

#include <pxrt/shared.h>

#include <string.h>

#include "base/assert.h"
#include "runtime/runtime.h"

/* PLAIN: nobody has a handle to cancel it by. */
enum { QUEUED, BEGUN, CANCELED, PLAIN };

enum { SPARE_MOST = 1 << 14 };

struct px_work {
    px__strand strand;
    uint32_t state;      /* QUEUED, ...; atomic */
    uint32_t references; /* atomic */
    union {
        struct {
            px_run_fn run;
            px_run_fn done;
            px_failed_fn failed;
            void *arg;
        };
        px_error stillborn; /* K3: in the place of the callbacks */
    };
};

/* What malloc serves from a list of its own, without merging or splitting:
 * measured, twice the speed of submitting. */
_Static_assert(sizeof(px_work) <= 120 || sizeof(void *) != 8,
               "a record of work has grown out of the small sizes");

static px_work *
work_of(px__strand *s)
{
    return PX_CONTAINER(s, px_work, strand);
}

const px_error *
px__stillborn_error(px__strand *s)
{
    return &work_of(s)->stillborn;
}

px__strand *
px__strand_of_stillborn(const px_error *error)
{
    px_error *mine = (px_error *)(uintptr_t)error;
    return &PX_CONTAINER(mine, px_work, stillborn)->strand;
}

/* --- running -------------------------------------------------------------- */

/* A context that is on stock, or a new one. */
static int
get_context(px_runtime *rt, px_context **out)
{
    *out = px__stock_take(&rt->stock, &px__worker_self()->stock);
    if (!*out)
        return px_context_create(&rt->context, out);
    px__context_renew(*out, rt->context.data);
    return 0;
}

/* Make the context and enter it, as the worker that runs it. */
static int
bear(px_work *w)
{
    px_context *cx;
    px__strand *s = &w->strand;
    int status = get_context(s->rt, &cx);
    if (status)
        return status;
    s->cx = cx;
    s->common = true;
    px__context_adopt(cx, &px__strand_host, s);
    px__life_start(cx);
    px__context_bind(cx);
    return 0;
}

/* K3. Here a new error has no place to lie in: what failed does not deal with
 * goes to main as it is. */
static void
settle_stillborn(px_work *w, int code)
{
    px_failed_fn failed = w->failed;
    void *arg = w->arg;
    w->stillborn =
        (px_error){.code = code, .message = px_strerror(code), .file = NULL};
    bool dealt_with = failed && failed(NULL, &w->stillborn, arg) >= 0;
    px__freedom_post(&w->strand, !dealt_with);
}

/* Messages that were posted to the context while it ran are part of its work.
 */
static int
deliver_rest(px_context *cx)
{
    int rc = 0;
    while (rc >= 0 && px__mailbox_waiting(cx))
        rc = px_deliver(cx);
    return rc;
}

static int
call(px_work *w, bool canceled)
{
    px_context *cx = w->strand.cx;
    if (canceled)
        return px_fail_at(cx, PX_ECANCELED, NULL, 0, "cancelled");
    int rc = w->run(cx, w->arg);
    if (rc >= 0 && !px__context_has_error(cx) && w->done)
        rc = w->done(cx, w->arg);
    if (rc >= 0 && !px__context_has_error(cx))
        rc = deliver_rest(cx);
    return rc;
}

static bool
was_canceled(px_work *w)
{
    return px__load_relaxed(&w->state) != PLAIN &&
           px__xchg_acqrel(&w->state, BEGUN) == CANCELED; /* K1 */
}

static void
run_work(px__strand *s)
{
    px_work *w = work_of(s);
    bool closing = px__load_seqcst(&s->rt->closing);
    bool canceled = was_canceled(w) || closing;
    if (closing && !w->failed) {
        px__freedom_post(s, false); /* nobody is left to be told */
        return;
    }
    int status = bear(w);
    if (status) {
        settle_stillborn(w, canceled ? PX_ECANCELED : status);
        return;
    }
    (void)px__settle(s->cx, call(w, canceled), w->failed, w->arg);
    px__strand_over(s);
}

/* --- records -------------------------------------------------------------- */

static bool
is_on_main(const px_runtime *rt)
{
    return rt->main_thread == px__thread_self_id();
}

/* A record that nobody else holds, on its way out: true, it is kept. */
static bool
keep_spare(px_runtime *rt, px__strand *s)
{
    if (!is_on_main(rt) || rt->closed || rt->spare_count == SPARE_MOST)
        return false;
    s->next = rt->spare;
    rt->spare = s;
    rt->spare_count++;
    return true;
}

static px_work *
pop_spare(px_runtime *rt)
{
    px__strand *s = rt->spare;
    rt->spare = s->next;
    rt->spare_count--;
    return work_of(s);
}

static px_work *
take_record(px_runtime *rt)
{
    return is_on_main(rt) && rt->spare ? pop_spare(rt)
                                       : px_shared_alloc(sizeof(px_work));
}

void
px__work_drop_spare(px_runtime *rt)
{
    while (rt->spare)
        px_shared_free(pop_spare(rt));
}

static void
work_gone(px__strand *s)
{
    px_work *w = work_of(s);
    bool lone = px__load_acquire(&w->references) == 1;
    if (!lone || !keep_spare(s->rt, s))
        px_work_release(w); /* K2: the runtime's reference */
}

static const px__strand_kind work_kind = {run_work, work_gone};

/* --- submitting ----------------------------------------------------------- */

void
px_work_options_init(px_work_options *options)
{
    if (options)
        *options = (px_work_options){.size = sizeof *options};
}

static int
complete_options(px_work_options *full, const px_work_options *options)
{
    px_work_options_init(full);
    if (!options)
        return 0;
    if (options->size < sizeof options->size || options->size > sizeof *full)
        return PX_EINVAL;
    memcpy(full, options, options->size);
    return 0;
}

static px_work *
make_work(px_runtime *rt, px_run_fn run, void *arg, const px_work_options *o)
{
    px_work *w = take_record(rt);
    if (w)
        *w = (px_work){.strand = {.kind = &work_kind, .rt = rt},
                       .run = run,
                       .done = o->done,
                       .failed = o->failed,
                       .arg = arg,
                       .state = o->handle ? QUEUED : PLAIN,
                       .references = o->handle ? 2 : 1};
    return w;
}

int
px_submit_work(px_runtime *rt, px_run_fn run, void *arg,
               const px_work_options *options)
{
    px_work_options full;
    int status = px__runtime_check(rt);
    if (status)
        return status;
    if (!run || complete_options(&full, options))
        return PX_EINVAL;
    px_work *w = make_work(rt, run, arg, &full);
    if (!w)
        return PX_ENOMEM;
    if (!px__activity_begin(rt)) {
        w->references = 1; /* no handle was given */
        work_gone(&w->strand);
        return PX_ECLOSED;
    }
    if (full.handle)
        *full.handle = w;
    px__strand_queue_fresh(&w->strand);
    return 0;
}

/* --- the handle ----------------------------------------------------------- */

int
px_work_cancel(px_work *w)
{
    uint32_t queued = QUEUED;
    if (!w)
        return PX_EINVAL;
    return px__cas_acqrel(&w->state, &queued, CANCELED) ? 0 : PX_EBUSY;
}

/* A reference that is the only one stays so: nobody can add to it. Acquire pairs
 * with the release of who was not last. */
void
px_work_release(px_work *w)
{
    if (w && (px__load_acquire(&w->references) == 1 ||
              px__sub_acqrel(&w->references, 1) == 1))
        px_shared_free(w);
}
