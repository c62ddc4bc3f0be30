/* Run-once: success, failure and another try, waiting callers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/lock.h>

#include "base/atomic.h"
#include "platform/thread.h"

enum { CALLERS = 6, FAILURES = 3 };

static int
count_a_run(void *arg)
{
    ++*(int *)arg;
    return PX_OK;
}

static int
return_it(void *arg)
{
    return *(int *)arg;
}

static void
run__runs_once__however_often_called(void **state)
{
    (void)state;
    px_once once = {0};
    int runs = 0;
    assert_false(px_once_done(&once));
    assert_int_equal(px_once_run(&once, count_a_run, &runs), PX_OK);
    assert_int_equal(px_once_run(&once, count_a_run, &runs), PX_OK);
    assert_true(px_once_done(&once));
    assert_int_equal(runs, 1);
}

static void
run__may_be_tried_again__after_a_failure(void **state)
{
    (void)state;
    px_once once = {0};
    int status = PX_ENOMEM, runs = 0;
    assert_int_equal(px_once_run(&once, return_it, &status), PX_ENOMEM);
    assert_false(px_once_done(&once));
    assert_int_equal(px_once_run(&once, count_a_run, &runs), PX_OK);
    assert_int_equal(runs, 1);
    assert_int_equal(px_once_run(&once, return_it, &status), PX_OK);
}

static void
run__takes_a_count_for_success__as_everywhere(void **state)
{
    (void)state;
    px_once once = {0};
    int status = 7;
    assert_int_equal(px_once_run(&once, return_it, &status), PX_OK);
    assert_true(px_once_done(&once));
}

static void
run__refuses__bad_arguments(void **state)
{
    (void)state;
    px_once once = {0};
    assert_int_equal(px_once_run(NULL, return_it, NULL), PX_EINVAL);
    assert_int_equal(px_once_run(&once, NULL, NULL), PX_EINVAL);
    assert_int_equal(once.state, 0);
}

/* Callers at the same time; the first runs fail while the others wait. */
static struct {
    px_once once;
    uint32_t arrived;
    int value; /* plain: the px_once must publish it */
    uint32_t tries;
    uint32_t failed;
} race;

static int
fail_at_first(void *arg)
{
    (void)arg;
    while (px__load_relaxed(&race.arrived) < CALLERS)
        px__thread_yield();
    if (px__add_relaxed(&race.tries, 1) < FAILURES)
        return PX_ENOMEM;
    race.value++;
    return PX_OK;
}

static void
call_it(void *arg)
{
    (void)arg;
    px__add_relaxed(&race.arrived, 1);
    if (px_once_run(&race.once, fail_at_first, NULL) == PX_OK)
        assert_int_equal(race.value, 1);
    else
        px__add_relaxed(&race.failed, 1);
}

static void
run__lets_a_waiter_try__when_the_first_fails(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        px__thread t[CALLERS];
        race.once.state = race.arrived = race.tries = race.failed = 0;
        race.value = 0;
        for (int i = 0; i < CALLERS; i++)
            assert_int_equal(px__thread_create(&t[i], "caller", call_it, NULL),
                             0);
        for (int i = 0; i < CALLERS; i++)
            px__thread_join(&t[i]);
        assert_int_equal(race.failed, FAILURES);
        assert_int_equal(race.tries, FAILURES + 1);
        assert_int_equal(race.value, 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__runs_once__however_often_called),
        cmocka_unit_test(run__may_be_tried_again__after_a_failure),
        cmocka_unit_test(run__takes_a_count_for_success__as_everywhere),
        cmocka_unit_test(run__refuses__bad_arguments),
        cmocka_unit_test(run__lets_a_waiter_try__when_the_first_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
