/*
 * The life of a runtime.
 *
 *   create   memory -> loop -> monitor -> workers; what fails undoes what was
 *            done before it, in reverse
 *   release  closing      nothing new begins; what was queued is cancelled
 *            wards closed on the baton: servers and timers close their handles
 *            active == 0  main keeps moving contexts along, drops errors
 *            stopping     workers and monitor end and are joined
 *            loop closed  uv_loop_close() must agree that nothing is open
 *            closed       what the host still holds (contexts, errors) walks to
 *                         its end by itself; the last of it frees the memory
 *
 * Invariants
 *   U1  nobody but main touches the runtime's threads and loop in release after
 *       the joins
 *   U2  references = 1 (main's) + timers' records + strands that the host holds
 *       beyond the release
 */
#include <pxrt/shared.h>

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "platform/clock.h"
#include "platform/fork.h"
#include "platform/park.h"
#include "runtime/runtime.h"

enum { MAX_WORKERS = 1024, MAX_FINISHED = 1 << 20, CLOSE_FINISHED = 256 };

/* --- checks --------------------------------------------------------------- */

int
px__runtime_check(const px_runtime *rt)
{
    if (!rt)
        return PX_EINVAL;
    return rt->generation == px__fork_generation() ? 0 : PX_EFORKED;
}

static bool
is_main(const px_runtime *rt)
{
    return rt->main_thread == px__thread_self_id() && !px_current() &&
           !rt->in_run_once;
}

int
px__runtime_check_main(const px_runtime *rt)
{
    int status = px__runtime_check(rt);
    if (status)
        return status;
    return is_main(rt) ? 0 : PX_EWRONGTHREAD;
}

/* uv_strerror() would allocate for a code that it does not know. */
static const char *
uv_message(int status)
{
    switch (status) {
#define CASE(name, text)                                                       \
    case UV_##name:                                                            \
        return text;
        UV_ERRNO_MAP(CASE)
#undef CASE
    default:
        return NULL;
    }
}

/* --- options -------------------------------------------------------------- */

void
px_runtime_options_init(px_runtime_options *options)
{
    if (!options)
        return;
    *options = (px_runtime_options){
        .size = sizeof *options, .max_finished = 4096, .stall_ms = 25};
}

static int
complete_options(px_runtime_options *full, const px_runtime_options *options)
{
    px_runtime_options_init(full);
    if (options) {
        if (options->size < sizeof options->size ||
            options->size > sizeof *full)
            return PX_EINVAL;
        memcpy(full, options, options->size);
    }
    if (full->workers > MAX_WORKERS || full->max_finished == 0 ||
        full->max_finished > MAX_FINISHED)
        return PX_EINVAL;
    if (full->workers == 0)
        full->workers = px__cpu_count();
    if (full->workers > MAX_WORKERS)
        full->workers = MAX_WORKERS;
    if (full->context.size == 0)
        px_context_options_init(&full->context);
    return 0;
}

/* Options that no context could be made with are found out now, not by the
 * first piece of work; and the first window is warm. */
static int
try_context(const px_context_options *options)
{
    px_context *cx;
    int status = px_context_create(options, &cx);
    if (status == 0)
        px_context_release(cx);
    return status;
}

/* --- create --------------------------------------------------------------- */

static void
init_lists(px_runtime *rt)
{
    px__queue_init(&rt->ready);
    px__queue_init(&rt->fresh);
    px__list_init(&rt->errors);
    px__list_init(&rt->finished);
    px__list_init(&rt->back);
    px__list_init(&rt->purged);
}

static void
init_workers(px_runtime *rt)
{
    for (unsigned i = 0; i < rt->worker_count; i++)
        rt->workers[i] = (px__worker){.rt = rt, .id = i + 1};
}

static size_t
runtime_bytes(unsigned workers)
{
    return sizeof(px_runtime) + workers * sizeof(px__worker);
}

/* While main attends to one half the workers fill the other. With a single CPU
 * they take turns instead, and longer ones are fewer. */
static void
set_limits(px_runtime *rt, unsigned max_finished)
{
    rt->max_finished = rt->over_limit = max_finished;
    rt->close_finished =
        max_finished < CLOSE_FINISHED ? max_finished : CLOSE_FINISHED;
    rt->takes_turns = px__cpu_count() == 1;
    rt->gather = rt->takes_turns ? (3 * rt->close_finished + 3) / 4
                                 : (rt->close_finished + 1) / 2;
}

/* The memory, aligned to cache lines, with everything set but loop and threads.
 */
static px_runtime *
make_runtime(const px_runtime_options *o)
{
    size_t bytes = runtime_bytes(o->workers);
    void *block = px_shared_calloc(1, bytes + PX_CACHE_LINE);
    if (!block || px__fork_watch()) {
        px_shared_free(block);
        return NULL;
    }
    uintptr_t aligned = ((uintptr_t)block + PX_CACHE_LINE - 1) &
                        ~(uintptr_t)(PX_CACHE_LINE - 1);
    px_runtime *rt = (px_runtime *)aligned;
    rt->block = block;
    rt->main_thread = px__thread_self_id();
    rt->generation = px__fork_generation();
    rt->worker_count = o->workers;
    set_limits(rt, o->max_finished);
    rt->stall_ns = (int64_t)o->stall_ms * PX_NS_PER_MS;
    rt->context = o->context;
    px_quota_retain(rt->context.quota);
    rt->references = 1;
    init_lists(rt);
    init_workers(rt);
    px__crowd_init(&rt->crowd, o->workers, o->all_workers);
    return rt;
}

void
px__runtime_ref(px_runtime *rt)
{
    px__add_relaxed(&rt->references, 1);
}

void
px__runtime_unref(px_runtime *rt, uint32_t count)
{
    if (px__sub_acqrel(&rt->references, count) != count)
        return;
    px_quota_release(rt->context.quota);
    px_shared_free(rt->block);
}

/* End the first @count workers, and the monitor. */
static void
join_threads(px_runtime *rt, unsigned count)
{
    px__store_seqcst(&rt->stopping, true);
    px__crew_wake_all(rt);
    px__monitor_wake(rt);
    for (unsigned i = 0; i < count; i++)
        px__thread_join(&rt->workers[i].thread);
    px__thread_join(&rt->monitor);
}

static int
start_worker(px__worker *w)
{
    char name[PX_THREAD_NAME_BYTES];
    snprintf(name, sizeof name, "px-worker-%u", w->id);
    return px__thread_create(&w->thread, name, px__worker_main, w);
}

static int
start_threads(px_runtime *rt)
{
    int status =
        px__thread_create(&rt->monitor, "px-monitor", px__monitor_main, rt);
    if (status)
        return status;
    for (unsigned i = 0; i < rt->worker_count; i++) {
        status = start_worker(&rt->workers[i]);
        if (status) {
            join_threads(rt, i);
            return status;
        }
    }
    return 0;
}

static int
open_runtime(px_runtime *rt)
{
    int status = px__loop_open(rt);
    if (status)
        return status;
    status = start_threads(rt);
    if (status)
        px__loop_close(rt);
    return status;
}

int
px_runtime_create(const px_runtime_options *options, px_runtime **out)
{
    px_runtime_options full;
    if (!out || complete_options(&full, options))
        return PX_EINVAL;
    int status = try_context(&full.context);
    if (status)
        return status;
    px__status_set_foreign(uv_message);
    px_runtime *rt = make_runtime(&full);
    if (!rt)
        return PX_ENOMEM;
    status = open_runtime(rt);
    if (status) {
        px__runtime_unref(rt, 1);
        return status;
    }
    *out = rt;
    return 0;
}

/* --- release -------------------------------------------------------------- */

static void
close_wards(px_runtime *rt)
{
    px__list *node;
    px__loop_enter(rt);
    rt->wards_closed = true;
    while ((node = px__list_pop_front(&rt->wards)) != NULL)
        PX_CONTAINER(node, px__ward, link)
            ->close(PX_CONTAINER(node, px__ward, link));
    px__loop_leave(rt);
}

/* From here on what the host gives back buries itself (F3). */
static void
set_closed(px_runtime *rt)
{
    px_mutex_lock(&rt->fate);
    rt->closed = true;
    px_mutex_unlock(&rt->fate);
}

/* Between the drain and `closed` something may still have come back: walk that
 * to its end. What is left is counted as references (U2). */
static void
settle_fate(px_runtime *rt)
{
    px__add_relaxed(&rt->references, (uint32_t)rt->on_path);
    set_closed(rt);
    px__freedom_bury_returned(rt);
}

/* In the child of a fork there is no thread that would move anything along, and
 * locks may be held for ever. What is out at this moment keeps the memory. */
static void
release_in_child(px_runtime *rt)
{
    px__work_drop_spare(rt);
    if (px__load_relaxed(&rt->load) == 0 && rt->on_path == 0)
        px__runtime_unref(rt, 1);
}

static void
drop_stock(px_runtime *rt)
{
    for (unsigned i = 0; i < rt->worker_count; i++)
        px__stock_drop(&rt->workers[i].stock);
    px__stock_clear(&rt->stock);
    px__work_drop_spare(rt);
}

int
px_runtime_release(px_runtime *rt)
{
    if (!rt)
        return 0;
    if (px__runtime_check(rt) == PX_EFORKED) {
        release_in_child(rt);
        return 0;
    }
    if (!is_main(rt))
        return PX_EWRONGTHREAD;
    px__store_seqcst(&rt->closing, true);
    px__crew_notify(rt); /* work held back by max_finished may go on */
    close_wards(rt);
    px__main_drain(rt);
    join_threads(rt, rt->worker_count);
    px__loop_close(rt);
    settle_fate(rt);
    drop_stock(rt);
    px__runtime_unref(rt, 1);
    return 0;
}

/* --- counters ------------------------------------------------------------- */

static uint64_t
count_callbacks(const px_runtime *rt)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < rt->worker_count; i++)
        count += (px__load_relaxed(&rt->workers[i].serial) + 1) / 2;
    return count;
}

static void
read_stats(const px_runtime *rt, px_runtime_stats *out)
{
    uint64_t load = px__load_seqcst(&rt->load);
    out->workers = rt->worker_count;
    out->parked = px__load_relaxed(&rt->crew) & PX__SLEEPERS;
    out->active = px__load_active(load);
    out->finished = px__load_over(load) + px__load_relaxed(&rt->on_path);
    out->errors_waiting = px__load_relaxed(&rt->urgent_errors) +
                          px__load_relaxed(&rt->errors_listed);
    out->callbacks = count_callbacks(rt);
    out->errors = px__load_relaxed(&rt->urgent_errors) +
                  px__load_relaxed(&rt->errors_total);
    out->stalls = px__load_relaxed(&rt->stalls);
    out->wakeups = px__load_relaxed(&rt->wakeups);
    out->loop_turns = px__load_relaxed(&rt->turns);
}

int
px_runtime_get_stats(const px_runtime *rt, px_runtime_stats *stats)
{
    px_runtime_stats full;
    if (!rt || !stats || stats->size < sizeof stats->size ||
        stats->size > sizeof full)
        return PX_EINVAL;
    read_stats(rt, &full);
    full.size = stats->size;
    memcpy(stats, &full, full.size);
    return 0;
}
