/* The 4-byte mutex, and mutexes with a rank. */
#include "ask.h"

#include <pxrt/lock.h>

#include "base/atomic.h"
#include "death.h"
#include "lock/rank.h"

static bool
is_free(void *mutex)
{
    if (!px_mutex_try_lock((px_mutex *)mutex))
        return false;
    px_mutex_unlock((px_mutex *)mutex);
    return true;
}

static void
mutex__is_free__when_zero(void **state)
{
    (void)state;
    px_mutex mutex = {0};
    assert_true(ask(is_free, &mutex));
}

static void
lock__excludes_others__until_unlock(void **state)
{
    (void)state;
    px_mutex mutex = {0};
    px_mutex_lock(&mutex);
    assert_false(ask(is_free, &mutex));
    px_mutex_unlock(&mutex);
    assert_true(ask(is_free, &mutex));
    assert_int_equal(mutex.state, 0);
}

static void
lock_and_leave(void *arg)
{
    px_mutex_lock(arg);
    px_mutex_unlock(arg);
}

static void
unlock__wakes_a_sleeper__always(void **state)
{
    (void)state;
    px_mutex mutex = {0};
    px__thread t[3];
    px_mutex_lock(&mutex);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            px__thread_create(&t[i], "sleeper", lock_and_leave, &mutex), 0);
    while (px__load_relaxed(&mutex.state) == 1)
        px__thread_yield();
    px_mutex_unlock(&mutex);
    for (int i = 0; i < 3; i++)
        px__thread_join(&t[i]);
    assert_int_equal(mutex.state, 0);
}

static px__ranked_mutex outer = {.rank = PX_RANK_READY};
static px__ranked_mutex inner = {.rank = PX_RANK_HEAP_POOL};

static void
ranked_lock__accepts__increasing_ranks(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        px__ranked_lock(&outer);
        px__ranked_lock(&inner);
        px__ranked_unlock(&outer); /* the order of unlocking is free */
        px__ranked_unlock(&inner);
    }
    px__ranked_lock(&inner);
    px__ranked_unlock(&inner);
}

#if defined(PXRT_DEBUG) && !defined(_WIN32)
static px_mutex the_mutex;

static void
lock_twice(void)
{
    px_mutex_lock(&the_mutex);
    px_mutex_lock(&the_mutex);
}

static void
unlock_a_foreign_one(void)
{
    the_mutex.state = 1;
    px_mutex_unlock(&the_mutex);
}

static void
lock_against_the_order(void)
{
    px__ranked_lock(&inner);
    px__ranked_lock(&outer);
}

static void
lock_the_same_rank(void)
{
    static px__ranked_mutex twin = {.rank = PX_RANK_READY};
    px__ranked_lock(&outer);
    px__ranked_lock(&twin);
}

static void
debug__aborts__on_misuse(void **state)
{
    (void)state;
    assert_true(aborts(lock_twice));
    assert_true(aborts(unlock_a_foreign_one));
    assert_true(aborts(lock_against_the_order));
    assert_true(aborts(lock_the_same_rank));
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutex__is_free__when_zero),
        cmocka_unit_test(lock__excludes_others__until_unlock),
        cmocka_unit_test(unlock__wakes_a_sleeper__always),
        cmocka_unit_test(ranked_lock__accepts__increasing_ranks),
#if defined(PXRT_DEBUG) && !defined(_WIN32)
        cmocka_unit_test(debug__aborts__on_misuse),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
