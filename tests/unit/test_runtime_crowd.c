/* How many workers are of use: the decisions, and what a runtime makes of them.
 */
#include "runtime_support.h"

#include "platform/clock.h"
#include "runtime/runtime.h"

enum { WORKERS = 8, MS = 1000 * 1000, SAMPLES = 1000 };

static const px__crowd_sample calm = {.spent_ns = 6 * MS};
static const px__crowd_sample crowded = {.spent_ns = 6 * MS,
                                         .waited_ns = 2 * MS};
static const px__crowd_sample full = {.spent_ns = 6 * MS, .waited_ns = 19 * MS};
static const px__crowd_sample slow = {
    .spent_ns = 6 * MS, .waited_ns = 19 * MS, .long_ns = 5 * MS};

static unsigned
judge(px__crowd *crowd, const px__crowd_sample *sample, unsigned times)
{
    while (times--)
        px__crowd_judge(crowd, sample);
    return crowd->useful;
}

/* How many calm samples it takes until one more worker is tried. */
static unsigned
calm_until_more(px__crowd *crowd)
{
    unsigned before = crowd->useful, count = 0;
    while (crowd->useful == before && count < SAMPLES) {
        px__crowd_judge(crowd, &calm);
        count++;
    }
    assert_int_equal(crowd->useful, before + 1);
    return count;
}

static void
judge__keeps_all_workers__when_none_waits(void **state)
{
    px__crowd crowd;
    (void)state;
    px__crowd_init(&crowd, WORKERS, false);
    assert_int_equal(judge(&crowd, &calm, SAMPLES), WORKERS);
}

static void
judge__takes_away_as_many__as_waited(void **state)
{
    px__crowd crowd;
    (void)state;
    px__crowd_init(&crowd, WORKERS, false);
    assert_int_equal(judge(&crowd, &crowded, 1), WORKERS - 1);
    assert_int_equal(judge(&crowd, &full, 1), WORKERS - 1 - 4);
}

static void
judge__leaves_one__in_any_crowd(void **state)
{
    px__crowd crowd;
    (void)state;
    px__crowd_init(&crowd, WORKERS, false);
    assert_int_equal(judge(&crowd, &full, SAMPLES), 1);
}

static void
judge__tries_one_more__after_some_calm(void **state)
{
    px__crowd crowd;
    (void)state;
    px__crowd_init(&crowd, WORKERS, false);
    judge(&crowd, &full, SAMPLES);
    assert_int_equal(judge(&crowd, &calm, SAMPLES), WORKERS);
}

/* Twice as long each time, up to a bound; and once all are of use it forgets. */
static void
judge__waits_longer__after_each_try_in_vain(void **state)
{
    px__crowd crowd;
    (void)state;
    px__crowd_init(&crowd, 2, false);
    judge(&crowd, &crowded, 1);
    unsigned first = calm_until_more(&crowd);
    judge(&crowd, &crowded, 1);
    unsigned second = calm_until_more(&crowd);
    assert_int_equal(second, 2 * first);
    for (int i = 0; i < SAMPLES; i++) {
        judge(&crowd, &crowded, 1);
        calm_until_more(&crowd); /* fails when it takes ever longer */
    }
    judge(&crowd, &calm, SAMPLES);
    judge(&crowd, &crowded, 1);
    assert_int_equal(calm_until_more(&crowd), first);
}

static void
judge__takes_all_workers__for_long_callbacks(void **state)
{
    px__crowd crowd;
    (void)state;
    px__crowd_init(&crowd, WORKERS, false);
    judge(&crowd, &full, SAMPLES);
    assert_int_equal(judge(&crowd, &slow, 1), WORKERS);
    assert_int_equal(judge(&crowd, &full, 1), WORKERS); /* more may come */
    assert_int_equal(judge(&crowd, &full, SAMPLES), 1);
}

/* ---- in a runtime -------------------------------------------------------- */

static void
option__keeps_all_workers__in_any_crowd(void **state)
{
    px_runtime *some = runtime_of(4), *all = spread_runtime_of(4);
    (void)state;
    assert_false(some->crowd.fixed);
    assert_true(all->crowd.fixed);
    assert_int_equal(all->crowd.useful, 4);
    assert_int_equal(px_runtime_release(some), 0);
    assert_int_equal(px_runtime_release(all), 0);
}

struct meeting {
    uint32_t expected, arrived;
};

static int
meet(px_context *cx, void *arg)
{
    struct meeting *m = arg;
    (void)cx;
    px__add_seqcst(&m->arrived, 1);
    while (px__load_seqcst(&m->arrived) < m->expected)
        px__thread_yield();
    return 0;
}

/* One worker is thought to be enough, and blocks: the monitor sees that it does
 * not get on, and wakes the next. With all_workers it does not think again. */
static void
callbacks__meet__though_one_worker_is_thought_enough(void **state)
{
    struct meeting m = {.expected = 8};
    px_runtime *rt = spread_runtime_of(m.expected);
    (void)state;
    while ((px__load_seqcst(&rt->crew) & PX__SLEEPERS) < m.expected)
        px__thread_yield();
    px__store_relaxed(&rt->crowd.useful, 1);
    for (uint32_t i = 0; i < m.expected; i++)
        assert_int_equal(px_submit_work(rt, meet, &m, NULL), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(m.arrived, m.expected);
    assert_int_equal(px_runtime_release(rt), 0);
}

static int
note_time(px_context *cx, void *arg)
{
    (void)cx;
    px__store_relaxed((int64_t *)arg, px__now_ns());
    return 0;
}

/* Short callbacks for so long that the monitor has come to long ticks: two that
 * wait for each other are seen all the same. */
static void
callbacks__meet__after_a_long_calm(void **state)
{
    struct meeting m = {.expected = 2};
    px_runtime *rt = spread_runtime_of(2);
    int64_t begin_ns = px__now_ns(), now_ns = begin_ns;
    (void)state;
    while (px__load_relaxed(&now_ns) - begin_ns < 120 * MS) {
        assert_int_equal(px_submit_work(rt, note_time, &now_ns, NULL), 0);
        assert_int_equal(px_run(rt, NULL), 0);
    }
    px__store_relaxed(&rt->crowd.useful, 1);
    for (uint32_t i = 0; i < m.expected; i++)
        assert_int_equal(px_submit_work(rt, meet, &m, NULL), 0);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judge__keeps_all_workers__when_none_waits),
        cmocka_unit_test(judge__takes_away_as_many__as_waited),
        cmocka_unit_test(judge__leaves_one__in_any_crowd),
        cmocka_unit_test(judge__tries_one_more__after_some_calm),
        cmocka_unit_test(judge__waits_longer__after_each_try_in_vain),
        cmocka_unit_test(judge__takes_all_workers__for_long_callbacks),
        cmocka_unit_test(option__keeps_all_workers__in_any_crowd),
        cmocka_unit_test(callbacks__meet__though_one_worker_is_thought_enough),
        cmocka_unit_test(callbacks__meet__after_a_long_calm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
