/* Work: its callbacks in order, errors to main in order, cancel, limits. */
#include "runtime_support.h"

#include <stdio.h>
#include <string.h>

enum { ERRORS = 200 };

/* What happened, in order. One context writes, so no lock is needed; main reads
 * when nothing is active. */
typedef struct trace {
    char text[256];
    int run_rc, done_rc, failed_rc;
} trace;

static void
note(trace *t, const char *what)
{
    strncat(t->text, what, sizeof t->text - strlen(t->text) - 1);
}

static int
traced_run(px_context *cx, void *arg)
{
    trace *t = arg;
    assert_ptr_equal(px_current(), cx);
    note(t, "run ");
    return t->run_rc;
}

static int
traced_done(px_context *cx, void *arg)
{
    trace *t = arg;
    assert_ptr_equal(px_current(), cx);
    note(t, "done ");
    return t->done_rc;
}

static int
traced_failed(px_context *cx, const px_error *error, void *arg)
{
    trace *t = arg;
    char text[64];
    assert_ptr_equal(error->context, cx);
    snprintf(text, sizeof text, "failed(%s) ", px_status_name(error->code));
    note(t, text);
    return t->failed_rc;
}

static px_work_options
traced_options(void)
{
    px_work_options o;
    px_work_options_init(&o);
    o.done = traced_done;
    o.failed = traced_failed;
    return o;
}

static int
run_traced(trace *t)
{
    px_runtime *rt = runtime_of(2);
    px_work_options o = traced_options();
    assert_int_equal(px_submit_work(rt, traced_run, t, &o), 0);
    int rc = px_run(rt, NULL);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_active_count(rt), 0);
    assert_int_equal(px_runtime_release(rt), 0);
    return rc;
}

static void
work__runs_done_after_run__when_all_is_well(void **state)
{
    (void)state;
    trace t = {.run_rc = 3};
    assert_int_equal(run_traced(&t), 0);
    assert_string_equal(t.text, "run done ");
}

static void
work__counts_as_complete__when_failed_deals_with_the_error(void **state)
{
    (void)state;
    trace t = {.run_rc = PX_EBUSY};
    assert_int_equal(run_traced(&t), 0);
    assert_string_equal(t.text, "run failed(PX_EBUSY) ");
}

static void
work__goes_through_failed__when_done_fails(void **state)
{
    (void)state;
    trace t = {.done_rc = PX_EFULL};
    assert_int_equal(run_traced(&t), 0);
    assert_string_equal(t.text, "run done failed(PX_EFULL) ");
}

static void
work__reports_to_main__when_failed_fails_too(void **state)
{
    (void)state;
    trace t = {.run_rc = PX_EBUSY, .failed_rc = PX_ESTATE};
    assert_int_equal(run_traced(&t), PX_EBUSY); /* the recorded one stays */
    assert_string_equal(t.text, "run failed(PX_EBUSY) ");
}

static int
fail_first(px_context *cx, void *arg)
{
    (void)arg;
    return px_fail(cx, PX_EFULL, "first");
}

static int
fail_again(px_context *cx, const px_error *error, void *arg)
{
    (void)arg;
    assert_string_equal(error->message, "first");
    int rc = px_fail(cx, PX_ESTALE, "second");
    assert_string_equal(error->message, "first");
    return rc;
}

static void
work__reports_the_new_error__when_failed_records_one(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(1);
    px_work_options o;
    px_work_options_init(&o);
    o.failed = fail_again;
    assert_int_equal(px_submit_work(rt, fail_first, NULL, &o), 0);
    const px_error *error = NULL;
    assert_int_equal(px_run(rt, &error), PX_ESTALE);
    assert_string_equal(error->message, "second");
    px_error_release(error);
    assert_int_equal(px_runtime_release(rt), 0);
}

static int
fail_but_return_0(px_context *cx, void *arg)
{
    (void)arg;
    px_fail(cx, PX_ENOTSUP, "recorded");
    return 0;
}

static void
work__has_failed__when_an_error_is_recorded_though_it_returns_0(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(1);
    assert_int_equal(px_submit_work(rt, fail_but_return_0, NULL, NULL), 0);
    assert_int_equal(px_run(rt, NULL), PX_ENOTSUP);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* --- many errors ---------------------------------------------------------- */

static uint32_t turnstile; /* the error that may be posted next */

/* Fails when all before it have, so that the order of posting is known. */
static int
fail_in_turn(px_context *cx, void *arg)
{
    uint32_t number = (uint32_t)(uintptr_t)arg;
    int *payload = px_alloc(cx, sizeof *payload);
    assert_non_null(payload);
    *payload = (int)number;
    px_fail(cx, -1000 - (int)number, "error %u", number);
    px_fail_payload(cx, payload);
    return -1;
}

static void
work__reports_each_error_once_in_order__when_many_fail(void **state)
{
    (void)state;
    px_runtime *rt =
        runtime_of(1); /* one worker: the order is that of submission */
    const px_error *errors[ERRORS];
    for (uintptr_t i = 0; i < ERRORS; i++)
        assert_int_equal(px_submit_work(rt, fail_in_turn, (void *)i, NULL), 0);
    for (int i = 0; i < ERRORS; i++) {
        assert_int_equal(px_run_once(rt, -1, &errors[i]), -1000 - i);
        assert_int_equal(errors[i]->code, -1000 - i);
    }
    assert_int_equal(px_run(rt, NULL), 0);
    for (int i = 0; i < ERRORS; i++) { /* all of them are still readable */
        assert_int_equal(*(int *)errors[i]->payload, i);
        assert_true(px_owns(errors[i]->context, errors[i]->payload));
        assert_int_equal(px_context_state(errors[i]->context), PX_FAILED);
        px_error_release(errors[i]);
    }
    assert_int_equal(px_run(rt, NULL), 0);
    px_runtime_stats s = {.size = sizeof s};
    assert_int_equal(px_runtime_get_stats(rt, &s), 0);
    assert_int_equal(s.errors, ERRORS);
    assert_int_equal(s.finished, 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* All workers fail at one moment. */
static int
fail_together(px_context *cx, void *arg)
{
    (void)cx;
    px__add_seqcst(&turnstile, 1);
    while (px__load_seqcst(&turnstile) < 2)
        px__pause();
    return -2000 - (int)(uintptr_t)arg;
}

static void
work__loses_no_error__when_two_fail_at_once(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(2);
    for (int round = 0; round < 200; round++) {
        turnstile = 0;
        px_submit_work(rt, fail_together, (void *)1, NULL);
        px_submit_work(rt, fail_together, (void *)2, NULL);
        int first = px_run(rt, NULL);
        int second = px_run(rt, NULL);
        assert_int_equal(first + second, -4003);
        assert_int_equal(px_run(rt, NULL), 0);
    }
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
error__stays_readable__beyond_the_release_of_the_runtime(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(1);
    const px_error *error = NULL;
    px_submit_work(rt, fail_in_turn, (void *)7, NULL);
    assert_int_equal(px_run_once(rt, -1, &error), -1007);
    assert_int_equal(px_runtime_release(rt), 0);
    assert_string_equal(error->message, "error 7");
    assert_int_equal(*(int *)error->payload, 7);
    px_error_release(error);
}

/* --- cancel --------------------------------------------------------------- */

static void
cancel__runs_failed__when_the_work_has_not_begun(void **state)
{
    (void)state;
    trace t = {0};
    px_work *w = NULL;
    px_runtime *rt = blocked_runtime();
    px_work_options o = traced_options();
    o.handle = &w;
    assert_int_equal(px_submit_work(rt, traced_run, &t, &o), 0);
    assert_int_equal(px_work_cancel(w), 0);
    assert_int_equal(px_work_cancel(w), PX_EBUSY);
    px_event_set(&gate);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_string_equal(t.text, "failed(PX_ECANCELED) ");
    assert_int_equal(px_runtime_release(rt), 0);
    assert_int_equal(px_work_cancel(w), PX_EBUSY);
    px_work_release(w);
}

static void
cancel__reports_to_main__without_a_failed_callback(void **state)
{
    (void)state;
    trace t = {0};
    px_work *w = NULL;
    px_runtime *rt = blocked_runtime();
    px_work_options o;
    px_work_options_init(&o);
    o.handle = &w;
    assert_int_equal(px_submit_work(rt, traced_run, &t, &o), 0);
    assert_int_equal(px_work_cancel(w), 0);
    px_work_release(w); /* the work goes on without it */
    px_event_set(&gate);
    assert_int_equal(px_run(rt, NULL), PX_ECANCELED);
    assert_string_equal(t.text, "");
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
cancel__is_refused__when_the_work_runs_or_is_over(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(1);
    px_work *w = NULL;
    px_work_options o;
    px_work_options_init(&o);
    o.handle = &w;
    assert_int_equal(px_submit_work(rt, wait_at_the_gate, NULL, &o), 0);
    px_event_wait(&at_the_gate, -1);
    assert_int_equal(px_work_cancel(w), PX_EBUSY);
    px_event_set(&gate);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_work_cancel(w), PX_EBUSY);
    px_work_release(w);
    px_work_release(NULL);
    assert_int_equal(px_work_cancel(NULL), PX_EINVAL);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* --- from callbacks ------------------------------------------------------- */

static uint32_t leaves;

static int
split(px_context *cx, void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    (void)cx;
    if (depth == 0) {
        px__add_relaxed(&leaves, 1);
        return 0;
    }
    extern px_runtime *splitting_runtime;
    int a = px_submit_work(splitting_runtime, split, (void *)(depth - 1), NULL);
    int b = px_submit_work(splitting_runtime, split, (void *)(depth - 1), NULL);
    return a ? a : b;
}

px_runtime *splitting_runtime;

static void
submit__works_inside_of_callbacks__to_any_depth(void **state)
{
    (void)state;
    leaves = 0;
    splitting_runtime = runtime_of(2);
    assert_int_equal(px_submit_work(splitting_runtime, split, (void *)10, NULL),
                     0);
    assert_int_equal(px_run(splitting_runtime, NULL), 0);
    assert_int_equal(leaves, 1024);
    assert_int_equal(px_runtime_release(splitting_runtime), 0);
}

static int
count_message(px_context *cx, void *bytes, size_t count)
{
    (void)cx;
    (void)count;
    ++**(int **)bytes;
    return 0;
}

static int
post_to_itself(px_context *cx, void *arg)
{
    return px_post(cx, count_message, &arg, sizeof arg);
}

static void
work__delivers_messages__that_were_posted_while_it_ran(void **state)
{
    (void)state;
    int messages = 0;
    px_runtime *rt = runtime_of(1);
    px_submit_work(rt, post_to_itself, &messages, NULL);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(messages, 1);
    assert_int_equal(px_runtime_release(rt), 0);
}

static int
keep_context(px_context *cx, void *arg)
{
    *(px_context **)arg = px_context_retain(cx);
    char *text = px_heap_strdup(px_context_heap(cx), "kept");
    return px_context_set_data(cx, text);
}

static void
context__outlives_its_work__while_it_is_retained(void **state)
{
    (void)state;
    px_context *cx = NULL;
    px_runtime *rt = runtime_of(1);
    px_submit_work(rt, keep_context, &cx, NULL);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_context_state(cx), PX_RELEASED);
    assert_string_equal(px_context_data(cx), "kept");
    assert_int_equal(px_post(cx, count_message, NULL, 0), PX_ECLOSED);
    px_context_release(cx);
    assert_int_equal(px_run(rt, NULL), 0);
    px_runtime_stats s = {.size = sizeof s};
    px_runtime_get_stats(rt, &s);
    assert_int_equal(s.finished, 0);
    px_submit_work(rt, keep_context, &cx, NULL);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
    assert_string_equal(px_context_data(cx), "kept");
    px_context_release(cx);
}

/* --- limits --------------------------------------------------------------- */

static uint32_t begun;

static int
count_begun(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    px__add_seqcst(&begun, 1);
    return 0;
}

static void
work__does_not_begin__while_main_lags_behind(void **state)
{
    (void)state;
    px_runtime *rt = NULL;
    px_runtime_options o;
    px_runtime_options_init(&o);
    o.workers = 2;
    o.max_finished = 4;
    begun = 0;
    assert_int_equal(px_runtime_create(&o, &rt), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(px_submit_work(rt, count_begun, NULL, NULL), 0);
    px_runtime_stats s = {.size = sizeof s};
    do
        px_runtime_get_stats(rt, &s);
    while (s.finished < 4 || s.parked < 2);
    uint32_t now = px__load_seqcst(&begun);
    assert_true(now >= 4 && now <= 4 + 2);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(begun, 100);
    assert_int_equal(px_runtime_release(rt), 0);
}

static int
never(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    fail_msg("it must not run");
    return 0;
}

static void
submit__refuses__what_makes_no_sense(void **state)
{
    (void)state;
    px_work *w = (px_work *)state;
    px_work_options o;
    px_runtime *rt = runtime_of(1);
    px_work_options_init(&o);
    px_work_options_init(NULL);
    o.handle = &w;
    assert_int_equal(px_submit_work(NULL, never, NULL, NULL), PX_EINVAL);
    assert_int_equal(px_submit_work(rt, NULL, NULL, &o), PX_EINVAL);
    o.size = 0;
    assert_int_equal(px_submit_work(rt, never, NULL, &o), PX_EINVAL);
    o.size = sizeof o + 1;
    assert_int_equal(px_submit_work(rt, never, NULL, &o), PX_EINVAL);
    assert_ptr_equal(w, state);
    assert_int_equal(px_active_count(rt), 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

enum { LIVES = 300, USED_LIVES = 3 };

static int used_lives;

/* Leave traces of every kind, and find none of the life before. */
static int
use_a_life(px_context *cx, void *arg)
{
    px_heap *heap = px_context_heap(cx);
    px_heap_stats stats = {.size = sizeof stats};
    px_snapshot snapshot;
    (void)arg;
    assert_int_equal(px_heap_get_stats(heap, &stats), 0);
    assert_int_equal(stats.used_bytes, 0);
    assert_int_equal(stats.peak_used_bytes, 0);
    assert_int_equal(stats.snapshot_count, 0);
    assert_int_equal(stats.rollback_count, 0);
    assert_null(px_context_error(cx));
    assert_null(px_context_data(cx));
    assert_ptr_equal(px_owner(cx), cx);
    char *zeroed = px_heap_calloc(heap, 100, 10);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(zeroed[i], 0);
    memset(zeroed, 'x', 1000);
    assert_int_equal(px_heap_snapshot(heap, &snapshot), 0);
    assert_non_null(px_heap_alloc(px_context_base(cx), 500));
    assert_int_equal(px_heap_rollback(heap, &snapshot), 0);
    assert_int_equal(px_context_set_data(cx, heap), 0);
    used_lives++;
    return 0;
}

/* More than a batch of the stock at a time, so that windows come round. */
static void
work__finds_no_trace_of_another__in_a_used_window(void **state)
{
    px_runtime *rt = runtime_of(1);
    (void)state;
    used_lives = 0;
    for (int round = 0; round < USED_LIVES; round++) {
        for (int i = 0; i < LIVES; i++)
            assert_int_equal(px_submit_work(rt, use_a_life, NULL, NULL), 0);
        assert_int_equal(px_run(rt, NULL), 0);
    }
    assert_int_equal(used_lives, LIVES * USED_LIVES);
    assert_int_equal(px_runtime_release(rt), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work__runs_done_after_run__when_all_is_well),
        cmocka_unit_test(
            work__counts_as_complete__when_failed_deals_with_the_error),
        cmocka_unit_test(work__goes_through_failed__when_done_fails),
        cmocka_unit_test(work__reports_to_main__when_failed_fails_too),
        cmocka_unit_test(work__reports_the_new_error__when_failed_records_one),
        cmocka_unit_test(
            work__has_failed__when_an_error_is_recorded_though_it_returns_0),
        cmocka_unit_test(
            work__reports_each_error_once_in_order__when_many_fail),
        cmocka_unit_test(work__loses_no_error__when_two_fail_at_once),
        cmocka_unit_test(
            error__stays_readable__beyond_the_release_of_the_runtime),
        cmocka_unit_test(cancel__runs_failed__when_the_work_has_not_begun),
        cmocka_unit_test(cancel__reports_to_main__without_a_failed_callback),
        cmocka_unit_test(cancel__is_refused__when_the_work_runs_or_is_over),
        cmocka_unit_test(submit__works_inside_of_callbacks__to_any_depth),
        cmocka_unit_test(
            work__delivers_messages__that_were_posted_while_it_ran),
        cmocka_unit_test(context__outlives_its_work__while_it_is_retained),
        cmocka_unit_test(work__does_not_begin__while_main_lags_behind),
        cmocka_unit_test(work__finds_no_trace_of_another__in_a_used_window),
        cmocka_unit_test(submit__refuses__what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
