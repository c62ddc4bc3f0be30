/* Work whose context cannot be made: who hears of it, where and how often. */
#include "runtime_support.h"

#include <stdlib.h>

/* Who hears of work that has no context, and where. */
typedef struct stillborn {
    int code;
    int rc; /* what failed is to answer */
    int calls;
    unsigned worker;
} stillborn;

static int
must_not_run(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    abort();
}

static int
failed_without_context(px_context *cx, const px_error *error, void *arg)
{
    stillborn *s = arg;
    assert_null(cx);
    assert_null(px_current());
    assert_null(error->context);
    assert_null(error->payload);
    assert_string_equal(error->message, px_strerror(error->code));
    assert_int_equal(px_fail(cx, PX_ESTALE, "nowhere to be"), PX_EINVAL);
    s->code = error->code;
    s->worker = px_worker_id();
    s->calls++;
    return s->rc;
}

/* One whose contexts are all refused: a heap of ours has used up their budget,
 * which was large enough when the runtime tried. */
static px_heap *hog;

static void
eat(px_quota *quota)
{
    px_heap_options o;
    px_heap_options_init(&o);
    o.quota = quota;
    assert_int_equal(px_heap_create(&o, &hog), 0);
    while (px_heap_alloc(hog, 4096)) {
    }
}

static px_runtime *
runtime_with_budget(px_quota **quota)
{
    px_runtime *rt = NULL;
    px_runtime_options o;
    px_runtime_options_init(&o);
    px_context_options_init(&o.context);
    assert_int_equal(px_quota_create((size_t)4 << 20, NULL, quota), 0);
    o.workers = 1;
    o.context.quota = *quota;
    assert_int_equal(px_runtime_create(&o, &rt), 0);
    return rt;
}

static px_runtime *
runtime_without_memory(void)
{
    px_quota *quota = NULL;
    px_runtime *rt = runtime_with_budget(&quota);
    eat(quota);
    px_quota_release(quota);
    return rt;
}

static void
release(px_runtime *rt)
{
    assert_int_equal(px_active_count(rt), 0);
    assert_int_equal(px_runtime_release(rt), 0);
    px_heap_release(hog);
}

static int
run_stillborn(stillborn *s, const px_work_options *o, const px_error **error)
{
    px_runtime *rt = runtime_without_memory();
    assert_int_equal(px_submit_work(rt, must_not_run, s, o), 0);
    int rc = px_run(rt, error);
    if (rc < 0 && error) {
        assert_null((*error)->context);
        assert_string_equal((*error)->message, px_strerror(rc));
        px_error_release(*error);
    }
    assert_int_equal(px_run(rt, NULL), 0);
    release(rt);
    return rc;
}

static px_work_options
stillborn_options(void)
{
    px_work_options o;
    px_work_options_init(&o);
    o.done = must_not_run;
    o.failed = failed_without_context;
    return o;
}

static void
work__runs_failed_alone__when_no_context_can_be_made(void **state)
{
    (void)state;
    stillborn s = {0};
    px_work_options o = stillborn_options();
    assert_int_equal(run_stillborn(&s, &o, NULL), 0);
    assert_int_equal(s.code, PX_ENOMEM);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.worker, 1);
}

static void
work__reports_to_main_as_well__when_failed_does_not_deal_with_it(void **state)
{
    (void)state;
    const px_error *error = NULL;
    stillborn s = {.rc = PX_EFULL};
    px_work_options o = stillborn_options();
    assert_int_equal(run_stillborn(&s, &o, &error), PX_ENOMEM);
    assert_int_equal(s.calls, 1);
    assert_int_equal(run_stillborn(&s, NULL, &error), PX_ENOMEM);
    assert_int_equal(s.calls, 1);
}

/* It ended for being cancelled, whatever else was in its way. */
static void
cancel__runs_failed__when_no_context_can_be_made(void **state)
{
    (void)state;
    stillborn s = {0};
    px_work *w = NULL;
    px_quota *quota = NULL;
    px_runtime *rt = runtime_with_budget(&quota);
    assert_int_equal(px_submit_work(rt, wait_at_the_gate, NULL, NULL), 0);
    px_event_wait(&at_the_gate, -1);
    eat(quota);
    px_quota_release(quota);
    px_work_options o = stillborn_options();
    o.handle = &w;
    assert_int_equal(px_submit_work(rt, must_not_run, &s, &o), 0);
    assert_int_equal(px_work_cancel(w), 0);
    px_work_release(w);
    px_event_set(&gate);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.code, PX_ECANCELED);
    release(rt);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work__runs_failed_alone__when_no_context_can_be_made),
        cmocka_unit_test(
            work__reports_to_main_as_well__when_failed_does_not_deal_with_it),
        cmocka_unit_test(cancel__runs_failed__when_no_context_can_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
