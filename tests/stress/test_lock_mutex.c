/* The mutex with more threads than CPUs: exclusion and progress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/lock.h>

#include "platform/thread.h"

enum { CROWD = 16, STEPS = 20000 };

static px_mutex mutex;
static int counter; /* plain: the mutex alone orders it */
static int by_try;

static void
count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < STEPS; i++) {
        bool tried = px_mutex_try_lock(&mutex);
        if (!tried)
            px_mutex_lock(&mutex);
        counter++;
        by_try += tried;
        px_mutex_unlock(&mutex);
    }
}

static void
mutex__loses_no_count__in_a_crowd(void **state)
{
    (void)state;
    px__thread t[CROWD];
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(px__thread_create(&t[i], "crowd", count_up, NULL), 0);
    for (int i = 0; i < CROWD; i++)
        px__thread_join(&t[i]);
    assert_int_equal(counter, CROWD * STEPS);
    assert_true(by_try > 0 && by_try <= counter);
    assert_int_equal(mutex.state, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutex__loses_no_count__in_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
