/* The runtime itself: input, roles of threads, the path to freedom, waiting,
 * stop, counters. */
#include "runtime_support.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "platform/clock.h"

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

/* --- options and input ---------------------------------------------------- */

static void
create__refuses__what_makes_no_sense(void **state)
{
    (void)state;
    px_runtime *rt = (px_runtime *)state;
    px_runtime_options o;
    px_runtime_options_init(NULL);
    px_runtime_options_init(&o);
    assert_int_equal(px_runtime_create(&o, NULL), PX_EINVAL);
    o.workers = 1025;
    assert_int_equal(px_runtime_create(&o, &rt), PX_EINVAL);
    px_runtime_options_init(&o);
    o.max_finished = 0;
    assert_int_equal(px_runtime_create(&o, &rt), PX_EINVAL);
    o.max_finished = (1u << 20) + 1;
    assert_int_equal(px_runtime_create(&o, &rt), PX_EINVAL);
    px_runtime_options_init(&o);
    o.size = 1;
    assert_int_equal(px_runtime_create(&o, &rt), PX_EINVAL);
    px_runtime_options_init(&o);
    px_context_options_init(&o.context);
    o.context.window_bytes = 1;
    o.context.quota_bytes = SIZE_MAX;
    assert_int_equal(px_runtime_create(&o, &rt), PX_EINVAL);
    assert_ptr_equal(rt, state);
}

static void
create__gives_a_worker_for_each_cpu__by_default(void **state)
{
    (void)state;
    px_runtime *rt = NULL;
    px_runtime_stats s = {.size = sizeof s};
    assert_int_equal(px_runtime_create(NULL, &rt), 0);
    assert_int_equal(px_runtime_get_stats(rt, &s), 0);
    assert_int_equal(s.workers, px__cpu_count());
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
functions__answer_einval__to_null(void **state)
{
    (void)state;
    px_runtime_stats s = {.size = sizeof s};
    px_runtime *rt = runtime_of(1);
    assert_int_equal(px_run_once(NULL, 0, NULL), PX_EINVAL);
    assert_int_equal(px_run(NULL, NULL), PX_EINVAL);
    assert_int_equal(px_stop(NULL), PX_EINVAL);
    assert_int_equal(px_active_count(NULL), 0);
    assert_int_equal(px_runtime_get_stats(NULL, &s), PX_EINVAL);
    assert_int_equal(px_runtime_get_stats(rt, NULL), PX_EINVAL);
    s.size = sizeof s + 8;
    assert_int_equal(px_runtime_get_stats(rt, &s), PX_EINVAL);
    px_error_release(NULL);
    assert_int_equal(px_runtime_release(NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
strerror__knows_the_codes_of_libuv__once_there_is_a_runtime(void **state)
{
    (void)state;
    assert_int_equal(px_runtime_release(runtime_of(1)), 0);
    assert_string_equal(px_strerror(UV_EADDRINUSE), "address already in use");
    assert_string_equal(px_strerror(-77777), "unknown status");
}

/* --- roles of threads ----------------------------------------------------- */

typedef struct answers {
    px_runtime *rt;
    int run_once, run, release;
} answers;

static void
ask(answers *a)
{
    const px_error *error = NULL;
    a->run_once = px_run_once(a->rt, 0, &error);
    a->run = px_run(a->rt, &error);
    a->release = px_runtime_release(a->rt);
    assert_null(error);
}

static int
ask_in_callback(px_context *cx, void *arg)
{
    (void)cx;
    ask(arg);
    return 0;
}

static void
ask_in_thread(void *arg)
{
    ask(arg);
}

static void
assert_refused(const answers *a)
{
    assert_int_equal(a->run_once, PX_EWRONGTHREAD);
    assert_int_equal(a->run, PX_EWRONGTHREAD);
    assert_int_equal(a->release, PX_EWRONGTHREAD);
}

static void
main_functions__are_refused__in_callbacks_and_other_threads(void **state)
{
    (void)state;
    px__thread thread;
    answers a = {.rt = runtime_of(1)};
    assert_int_equal(px_submit_work(a.rt, ask_in_callback, &a, NULL), 0);
    assert_int_equal(px_run(a.rt, NULL), 0);
    assert_refused(&a);
    a = (answers){.rt = a.rt};
    assert_int_equal(px__thread_create(&thread, "other", ask_in_thread, &a), 0);
    px__thread_join(&thread);
    assert_refused(&a);
    px_context *cx;
    assert_int_equal(px_context_create(NULL, &cx), 0);
    assert_int_equal(px_enter(cx), 0);
    ask(&a);
    assert_refused(&a);
    px_leave(cx);
    px_context_release(cx);
    assert_int_equal(px_runtime_release(a.rt), 0);
}

static void
ask_in_cleanup(void *arg)
{
    ask(arg);
}

static int
defer_ask(px_context *cx, void *arg)
{
    return px_defer(cx, ask_in_cleanup, arg);
}

static void
main_functions__are_refused__in_the_cleanups_that_they_run(void **state)
{
    (void)state;
    answers a = {.rt = runtime_of(1)};
    assert_int_equal(px_submit_work(a.rt, defer_ask, &a, NULL), 0);
    assert_int_equal(px_run(a.rt, NULL), 0);
    assert_refused(&a);
    assert_int_equal(px_runtime_release(a.rt), 0);
}

static int
note_worker(px_context *cx, void *arg)
{
    (void)cx;
    *(unsigned *)arg = px_worker_id();
    return 0;
}

static void
worker_id__is_0_on_main__and_a_number_on_workers(void **state)
{
    (void)state;
    unsigned id = 0;
    px_runtime *rt = runtime_of(1);
    px_submit_work(rt, note_worker, &id, NULL);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(id, 1);
    assert_int_equal(px_worker_id(), 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* --- the path to freedom, step by step ------------------------------------ */

typedef struct path {
    px_mutex lock;
    char text[512];
} path;

static void
note_move(const px_context *cx, int from, int to, void *arg)
{
    path *p = arg;
    (void)cx;
    px_mutex_lock(&p->lock);
    size_t used = strlen(p->text);
    snprintf(p->text + used, sizeof p->text - used, "%s>%s ",
             px_state_name(from), px_state_name(to));
    px_mutex_unlock(&p->lock);
}

/* What happened since the last call. */
static void
assert_moved(path *p, const char *expected)
{
    px_mutex_lock(&p->lock);
    assert_string_equal(p->text, expected);
    p->text[0] = 0;
    px_mutex_unlock(&p->lock);
}

/* From FINISHED on one station for each turn of main. */
static void
assert_freed_in_turns(px_runtime *rt, path *p)
{
    static const char *const moves[] = {"finished>released ",
                                        "released>purged ", "purged>freed "};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(px_run_once(rt, -1, NULL), 1);
        assert_moved(p, moves[i]);
    }
}

static void
context__moves_one_station_per_turn__after_success(void **state)
{
    (void)state;
    static path p;
    uint32_t count = 0;
    px_runtime *rt = runtime_of(1);
    px_observe_states(note_move, &p);
    assert_int_equal(px_submit_work(rt, count_up, &count, NULL), 0);
    wait_until_idle(rt);
    assert_moved(&p, "created>ready ready>running running>done done>finished ");
    assert_freed_in_turns(rt, &p);
    assert_int_equal(px_run_once(rt, -1, NULL), 0);
    assert_moved(&p, "");
    px_observe_states(NULL, NULL);
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
context__stays_failed__until_its_error_is_released(void **state)
{
    (void)state;
    static path p;
    const px_error *error = NULL;
    px_runtime *rt = runtime_of(1);
    px_observe_states(note_move, &p);
    assert_int_equal(px_submit_work(rt, fail_plainly, NULL, NULL), 0);
    assert_int_equal(px_run_once(rt, -1, &error), PX_EFULL);
    assert_moved(&p, "created>ready ready>running running>failed ");
    assert_int_equal(px_run_once(rt, -1, NULL), 0); /* pinned */
    px_error_release(error);
    assert_int_equal(px_run_once(rt, -1, NULL), 1);
    assert_moved(&p, "failed>finished ");
    assert_freed_in_turns(rt, &p);
    px_observe_states(NULL, NULL);
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
context__rests_between__when_it_is_a_timer(void **state)
{
    (void)state;
    static path p;
    px_runtime *rt = runtime_of(1);
    px_observe_states(note_move, &p);
    px_submit_timer(rt, 0, 0, do_nothing, NULL, NULL, NULL);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_moved(&p, "created>ready ready>running running>idle "
                     "idle>ready ready>running running>done done>finished "
                     "finished>released released>purged purged>freed ");
    px_observe_states(NULL, NULL);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* --- waiting and stopping ------------------------------------------------- */

static void
run_once__waits_its_time__when_nothing_happens(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(1);
    int64_t start_ns = px__now_ns();
    assert_int_equal(px_run_once(rt, 0, NULL), 0);
    assert_int_equal(px_run_once(rt, -1, NULL), 0); /* nothing is active */
    assert_int_equal(px_run_once(rt, 15, NULL), 0);
    assert_true(px__now_ns() - start_ns >= 15 * (int64_t)PX_NS_PER_MS);
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
open_the_gate_later(void *arg)
{
    px_runtime_stats s = {.size = sizeof s};
    while (px_runtime_get_stats(arg, &s) == 0 && s.callbacks == 0)
        px__thread_yield();
    px_event_set(&gate);
}

static void
run_once__wakes_up__when_the_last_work_ends(void **state)
{
    (void)state;
    px__thread thread;
    px_runtime *rt = runtime_of(2);
    px_submit_work(rt, wait_at_the_gate, NULL, NULL);
    assert_int_equal(
        px__thread_create(&thread, "opener", open_the_gate_later, rt), 0);
    assert_int_equal(px_run_once(rt, 60 * 1000, NULL), 1);
    px__thread_join(&thread);
    px_event_wait(&at_the_gate, -1);
    assert_int_equal(px_runtime_release(rt), 0);
}

static int
stop_runtime(px_context *cx, void *arg)
{
    (void)cx;
    return px_stop(arg);
}

static void
stop__ends_px_run__though_work_is_active(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(2);
    px_submit_timer(rt, 3600 * 1000, 0, do_nothing, NULL, NULL, NULL);
    px_submit_work(rt, stop_runtime, rt, NULL);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_true(px_active_count(rt) >= 1);
    assert_int_equal(px_stop(rt), 0); /* ahead of time */
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

#if !defined(_WIN32)
static px_runtime *signalled;

static void
on_signal(int number)
{
    (void)number;
    px_stop(signalled);
}

static int
raise_signal(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return kill(getpid(), SIGUSR1) ? PX_EFAILED : 0; /* main takes it */
}

static void
stop__is_safe__in_a_signal_handler(void **state)
{
    (void)state;
    signalled = runtime_of(2);
    signal(SIGUSR1, on_signal);
    px_submit_timer(signalled, 3600 * 1000, 0, do_nothing, NULL, NULL, NULL);
    for (int i = 0; i < 50; i++) {
        px_submit_work(signalled, raise_signal, NULL, NULL);
        assert_int_equal(px_run(signalled, NULL), 0);
    }
    signal(SIGUSR1, SIG_DFL);
    assert_int_equal(px_runtime_release(signalled), 0);
}

static px_context *kept_context; /* atomic */

static int
keep_context(px_context *cx, void *arg)
{
    (void)arg;
    px__store_seqcst(&kept_context, px_context_retain(cx));
    return 0;
}

static int
answers_in_child(px_runtime *rt, px_timer *kept)
{
    px_timer *t;
    bool forked =
        px_submit_work(rt, do_nothing, NULL, NULL) == PX_EFORKED &&
        px_submit_timer(rt, 0, 0, do_nothing, NULL, NULL, &t) == PX_EFORKED &&
        px_run_once(rt, 0, NULL) == PX_EFORKED &&
        px_run(rt, NULL) == PX_EFORKED && px_stop(rt) == PX_EFORKED &&
        px_timer_cancel(kept) == PX_EFORKED;
    int status = px_runtime_release(rt);
    px_timer_release(kept); /* what outlives the runtime still can be let go */
    px_context_release(kept_context);
    return forked && status == 0 ? 0 : 1;
}

static void
child__is_told__that_it_has_no_runtime(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(2);
    px_timer *kept = NULL;
    assert_int_equal(px_submit_timer(rt, 0, 0, do_nothing, NULL, NULL, &kept),
                     0);
    assert_int_equal(px_submit_work(rt, keep_context, NULL, NULL), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(answers_in_child(rt, kept));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    px_timer_release(kept);
    px_context_release(kept_context);
    assert_int_equal(px_submit_work(rt, do_nothing, NULL, NULL), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
}
#endif

static void
create__keeps_the_quota__of_its_contexts(void **state)
{
    (void)state;
    px_runtime *rt = NULL;
    px_quota *quota = NULL;
    uint32_t count = 0;
    px_runtime_options o;
    px_runtime_options_init(&o);
    px_context_options_init(&o.context);
    assert_int_equal(px_quota_create((size_t)64 << 20, NULL, &quota), 0);
    o.context.quota = quota;
    assert_int_equal(px_runtime_create(&o, &rt), 0);
    px_quota_release(quota);
    assert_int_equal(px_submit_work(rt, count_up, &count, NULL), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* --- counters ------------------------------------------------------------- */

static void
wait_until_parked(px_runtime *rt, unsigned workers)
{
    px_runtime_stats s = {.size = sizeof s};
    do
        assert_int_equal(px_runtime_get_stats(rt, &s), 0);
    while (s.parked < workers);
}

static void
stats__count__what_happened(void **state)
{
    (void)state;
    uint32_t count = 0;
    px_runtime_stats s = {.size = sizeof s};
    px_runtime *rt = runtime_of(2);
    wait_until_parked(rt, 2);
    for (int i = 0; i < 10; i++)
        px_submit_work(rt, i == 3 ? fail_plainly : count_up, &count, NULL);
    wait_until_idle(rt);
    wait_until_parked(rt, 2); /* callbacks are counted when they are over */
    assert_int_equal(px_runtime_get_stats(rt, &s), 0);
    assert_int_equal(s.active, 0);
    assert_int_equal(s.finished, 10);
    assert_int_equal(s.errors_waiting, 1);
    assert_int_equal(s.errors, 1);
    assert_int_equal(s.callbacks, 10);
    assert_true(s.wakeups >= 1);
    assert_int_equal(px_run(rt, NULL), PX_EFULL);
    assert_int_equal(px_run(rt, NULL), 0);
    px_runtime_get_stats(rt, &s);
    assert_int_equal(s.finished, 0);
    assert_int_equal(s.errors_waiting, 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
stats__count_a_stall_once__for_a_long_callback(void **state)
{
    (void)state;
    px_runtime *rt = NULL;
    px_runtime_options o;
    px_runtime_options_init(&o);
    o.workers = 1;
    o.stall_ms = 2;
    assert_int_equal(px_runtime_create(&o, &rt), 0);
    px_runtime_stats s = {.size = sizeof s};
    px_submit_work(rt, wait_at_the_gate, NULL, NULL);
    do
        px_runtime_get_stats(rt, &s);
    while (s.stalls == 0);
    px_event_wait(&at_the_gate, -1);
    px_event_set(&gate);
    assert_int_equal(px_run(rt, NULL), 0);
    px_runtime_get_stats(rt, &s);
    assert_int_equal(s.stalls, 1);
    assert_int_equal(px_runtime_release(rt), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__keeps_the_quota__of_its_contexts),
        cmocka_unit_test(create__refuses__what_makes_no_sense),
        cmocka_unit_test(create__gives_a_worker_for_each_cpu__by_default),
        cmocka_unit_test(functions__answer_einval__to_null),
        cmocka_unit_test(
            strerror__knows_the_codes_of_libuv__once_there_is_a_runtime),
        cmocka_unit_test(
            main_functions__are_refused__in_callbacks_and_other_threads),
        cmocka_unit_test(
            main_functions__are_refused__in_the_cleanups_that_they_run),
        cmocka_unit_test(worker_id__is_0_on_main__and_a_number_on_workers),
        cmocka_unit_test(context__moves_one_station_per_turn__after_success),
        cmocka_unit_test(context__stays_failed__until_its_error_is_released),
        cmocka_unit_test(context__rests_between__when_it_is_a_timer),
        cmocka_unit_test(run_once__waits_its_time__when_nothing_happens),
        cmocka_unit_test(run_once__wakes_up__when_the_last_work_ends),
        cmocka_unit_test(stop__ends_px_run__though_work_is_active),
#if !defined(_WIN32)
        cmocka_unit_test(stop__is_safe__in_a_signal_handler),
        cmocka_unit_test(child__is_told__that_it_has_no_runtime),
#endif
        cmocka_unit_test(stats__count__what_happened),
        cmocka_unit_test(stats__count_a_stall_once__for_a_long_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
