/* Timers: shots, merging, cancel from everywhere, failure, rollback. */
#include "runtime_support.h"

#include "platform/clock.h"

typedef struct probe {
    px_timer *timer;
    uint32_t shots; /* atomic */
    uint32_t last;  /* the shot that cancels, fails, ... */
    size_t used_bytes;
    px_event happened;
} probe;

static int
count_shot(px_context *cx, void *arg)
{
    probe *p = arg;
    assert_ptr_equal(px_current(), cx);
    px__add_seqcst(&p->shots, 1);
    px_event_set(&p->happened);
    return 0;
}

static void
timer__shoots_once_after_its_time__without_a_period(void **state)
{
    (void)state;
    probe p = {0};
    px_runtime *rt = runtime_of(2);
    int64_t start_ns = px__now_ns();
    assert_int_equal(px_submit_timer(rt, 20, 0, count_shot, NULL, &p, NULL), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_true(px__now_ns() - start_ns >= 19 * (int64_t)PX_NS_PER_MS);
    assert_int_equal(p.shots, 1);
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
timer__shoots_at_once__with_a_time_of_0(void **state)
{
    (void)state;
    probe p = {0};
    px_runtime *rt = runtime_of(2);
    assert_int_equal(px_submit_timer(rt, 0, 0, count_shot, NULL, &p, NULL), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(p.shots, 1);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* A shot that is due before the loop polls does not wait for the next thing
 * that the poll has to wait for. */
static void
timer__shoots_at_once__though_the_next_shot_is_far(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(2);
    for (int i = 0; i < 20; i++) {
        probe p = {0};
        assert_int_equal(
            px_submit_timer(rt, 0, 3600 * 1000, count_shot, NULL, &p, &p.timer),
            0);
        assert_int_equal(
            px_event_wait(&p.happened, (int64_t)10 * PX_NS_PER_SEC), 0);
        assert_int_equal(px_timer_cancel(p.timer), 0);
        px_timer_release(p.timer);
        assert_int_equal(px_run(rt, NULL), 0);
    }
    assert_int_equal(px_runtime_release(rt), 0);
}

/* Each shot finds the heap as the first one did. */
static int
fill_and_cancel_at_last(px_context *cx, void *arg)
{
    probe *p = arg;
    px_heap_stats s = {.size = sizeof s};
    assert_int_equal(px_heap_get_stats(px_context_heap(cx), &s), 0);
    if (px__add_seqcst(&p->shots, 1) == 0)
        p->used_bytes = s.used_bytes;
    assert_int_equal(s.used_bytes, p->used_bytes);
    assert_non_null(px_alloc(cx, 5000));
    if (p->shots == p->last)
        assert_int_equal(px_timer_cancel(p->timer), 0);
    return 0;
}

static void
timer__rolls_back_each_shot__until_it_cancels_itself(void **state)
{
    (void)state;
    probe p = {.last = 20};
    px_runtime *rt = runtime_of(2);
    assert_int_equal(
        px_submit_timer(rt, 5, 1, fill_and_cancel_at_last, NULL, &p, &p.timer),
        0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(p.shots, 20); /* none after the cancel */
    assert_int_equal(px_timer_cancel(p.timer), 0);
    px_timer_release(p.timer);
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
cancel__ends_the_timer__from_main_before_its_first_shot(void **state)
{
    (void)state;
    probe p = {0};
    px_runtime *rt = runtime_of(2);
    assert_int_equal(
        px_submit_timer(rt, 3600 * 1000, 5, count_shot, NULL, &p, &p.timer), 0);
    assert_int_equal(px_run_once(rt, 0, NULL), 0);
    assert_int_equal(px_active_count(rt), 1);
    assert_int_equal(px_timer_cancel(p.timer), 0);
    assert_int_equal(px_timer_cancel(p.timer), 0);
    px_timer_release(p.timer);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(p.shots, 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

static int
cancel_other(px_context *cx, void *arg)
{
    (void)cx;
    return px_timer_cancel(((probe *)arg)->timer);
}

static void
cancel__ends_the_timer__from_work(void **state)
{
    (void)state;
    probe p = {0};
    px_runtime *rt = runtime_of(2);
    assert_int_equal(px_submit_timer(rt, 0, 1, count_shot, NULL, &p, &p.timer),
                     0);
    px_event_wait(&p.happened, -1);
    assert_int_equal(px_submit_work(rt, cancel_other, &p, NULL), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_true(p.shots >= 1);
    px_timer_release(p.timer);
    px_timer_release(NULL);
    assert_int_equal(px_timer_cancel(NULL), PX_EINVAL);
    assert_int_equal(px_runtime_release(rt), 0);
}

static int
fail_at_last(px_context *cx, void *arg)
{
    probe *p = arg;
    if (px__add_seqcst(&p->shots, 1) + 1 < p->last)
        return 0;
    px_fail(cx, PX_EFULL, "shot %u", p->shots);
    return px_fail_payload(cx, px_heap_strdup(px_context_heap(cx), "payload"));
}

static void
timer__ends_with_an_error_to_main__when_a_shot_fails(void **state)
{
    (void)state;
    probe p = {.last = 3};
    const px_error *error = NULL;
    px_runtime *rt = runtime_of(2);
    assert_int_equal(px_submit_timer(rt, 1, 1, fail_at_last, NULL, &p, NULL),
                     0);
    assert_int_equal(px_run(rt, &error), PX_EFULL);
    assert_string_equal(error->message, "shot 3");
    assert_string_equal(error->payload, "payload"); /* not rolled back */
    px_error_release(error);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(p.shots, 3);
    assert_int_equal(px_runtime_release(rt), 0);
}

static int
deal_with_it(px_context *cx, const px_error *error, void *arg)
{
    (void)cx;
    assert_int_equal(error->code, PX_EFULL);
    ((probe *)arg)->last = 0;
    return 0;
}

static void
timer__ends_quietly__when_failed_deals_with_the_error(void **state)
{
    (void)state;
    probe p = {.last = 2};
    px_runtime *rt = runtime_of(2);
    assert_int_equal(
        px_submit_timer(rt, 1, 1, fail_at_last, deal_with_it, &p, NULL), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(p.shots, 2);
    assert_int_equal(p.last, 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* The first shot takes ten periods: the shots due meanwhile are one. */
static int
be_late_once(px_context *cx, void *arg)
{
    probe *p = arg;
    (void)cx;
    uint32_t shot = px__add_seqcst(&p->shots, 1);
    int64_t until_ns = px__now_ns() + 50 * (int64_t)PX_NS_PER_MS;
    while (shot == 0 && px__now_ns() < until_ns)
        px__pause();
    if (shot == 1)
        px_timer_cancel(p->timer);
    return 0;
}

static void
timer__merges_late_shots__when_one_takes_longer_than_the_period(void **state)
{
    (void)state;
    probe p = {0};
    px_runtime *rt = runtime_of(2);
    assert_int_equal(
        px_submit_timer(rt, 1, 5, be_late_once, NULL, &p, &p.timer), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(p.shots, 2);
    px_timer_release(p.timer);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* A worker in a long callback must not keep the loop from its timers. */
static int
hold_a_worker(px_context *cx, void *arg)
{
    (void)cx;
    return px_event_wait(&((probe *)arg)->happened,
                         (int64_t)20 * PX_NS_PER_SEC);
}

static void
timer__shoots__while_a_callback_blocks_the_last_holder_of_the_loop(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(2);
    for (int i = 0; i < 20; i++) {
        probe p = {0};
        assert_int_equal(
            px_submit_timer(rt, 1, 0, hold_a_worker, NULL, &p, NULL), 0);
        assert_int_equal(px_submit_timer(rt, 8, 0, count_shot, NULL, &p, NULL),
                         0);
        assert_int_equal(px_run(rt, NULL), 0); /* ETIMEDOUT otherwise */
    }
    assert_int_equal(px_runtime_release(rt), 0);
}

static px_runtime_stats
stats_of(const px_runtime *rt)
{
    px_runtime_stats stats = {.size = sizeof stats};
    assert_int_equal(px_runtime_get_stats(rt, &stats), 0);
    return stats;
}

static int
shoot_at_nothing(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return 0;
}

static int
submit_and_look(px_context *cx, void *arg)
{
    px_runtime *rt = arg;
    while (stats_of(rt).parked == 0)
        px__pause();
    uint64_t before = stats_of(rt).wakeups;
    int status = px_submit_timer(rt, 0, 0, shoot_at_nothing, NULL, NULL, NULL);
    if (stats_of(rt).wakeups == before)
        return px_fail(cx, PX_ESTATE, "nobody was woken");
    return status;
}

/* A callback that starts a timer may go on for long: somebody else is called to
 * the loop at once, not by the monitor's next tick. */
static void
timer__calls_a_sleeper_to_the_loop__when_a_callback_starts_it(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(2);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(px_submit_work(rt, submit_and_look, rt, NULL), 0);
        assert_int_equal(px_run(rt, NULL), 0);
    }
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
timer__is_stopped__by_the_release_of_the_runtime(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        probe p = {0};
        px_runtime *rt = runtime_of(2);
        for (int k = 0; k < 20; k++)
            assert_int_equal(px_submit_timer(rt, (uint64_t)(k % 4),
                                             (uint64_t)(k % 3), count_shot,
                                             NULL, &p, k ? NULL : &p.timer),
                             0);
        if (i % 2)
            px_event_wait(&p.happened, -1);
        assert_int_equal(px_runtime_release(rt), 0);
        assert_int_equal(px_timer_cancel(p.timer), 0); /* beyond the release */
        px_timer_release(p.timer);
    }
}

static void
timer__refuses__what_makes_no_sense(void **state)
{
    (void)state;
    px_timer *t = (px_timer *)state;
    px_runtime *rt = runtime_of(2);
    assert_int_equal(px_submit_timer(NULL, 1, 1, count_shot, NULL, NULL, &t),
                     PX_EINVAL);
    assert_int_equal(px_submit_timer(rt, 1, 1, NULL, NULL, NULL, &t),
                     PX_EINVAL);
    assert_ptr_equal(t, state);
    probe p = {0};
    assert_int_equal(
        px_submit_timer(rt, UINT64_MAX, UINT64_MAX, count_shot, NULL, &p, NULL),
        0);
    assert_int_equal(px_run_once(rt, 5, NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
    assert_int_equal(p.shots, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer__shoots_once_after_its_time__without_a_period),
        cmocka_unit_test(timer__shoots_at_once__with_a_time_of_0),
        cmocka_unit_test(timer__shoots_at_once__though_the_next_shot_is_far),
        cmocka_unit_test(timer__rolls_back_each_shot__until_it_cancels_itself),
        cmocka_unit_test(
            cancel__ends_the_timer__from_main_before_its_first_shot),
        cmocka_unit_test(cancel__ends_the_timer__from_work),
        cmocka_unit_test(timer__ends_with_an_error_to_main__when_a_shot_fails),
        cmocka_unit_test(timer__ends_quietly__when_failed_deals_with_the_error),
        cmocka_unit_test(
            timer__merges_late_shots__when_one_takes_longer_than_the_period),
        cmocka_unit_test(
            timer__shoots__while_a_callback_blocks_the_last_holder_of_the_loop),
        cmocka_unit_test(
            timer__calls_a_sleeper_to_the_loop__when_a_callback_starts_it),
        cmocka_unit_test(timer__is_stopped__by_the_release_of_the_runtime),
        cmocka_unit_test(timer__refuses__what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
