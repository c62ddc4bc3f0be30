/* The slim reader-writer lock, from one thread and with a helper thread. */
#include "ask.h"

#include <pxrt/lock.h>

#include "base/atomic.h"
#include "death.h"

static bool
can_read(void *lock)
{
    if (!px_rwlock_try_read_lock((px_rwlock *)lock))
        return false;
    px_rwlock_read_unlock((px_rwlock *)lock);
    return true;
}

static bool
can_write(void *lock)
{
    if (!px_rwlock_try_write_lock((px_rwlock *)lock))
        return false;
    px_rwlock_write_unlock((px_rwlock *)lock);
    return true;
}

static void
rwlock__is_unlocked__when_zero(void **state)
{
    (void)state;
    px_rwlock lock = {0};
    assert_true(ask(can_read, &lock));
    assert_true(ask(can_write, &lock));
    assert_int_equal(lock.state, 0);
}

static void
read_lock__admits_readers_only__while_held(void **state)
{
    (void)state;
    px_rwlock lock = {0};
    px_rwlock_read_lock(&lock);
    assert_true(ask(can_read, &lock));
    assert_false(ask(can_write, &lock));
    px_rwlock_read_unlock(&lock);
    assert_true(ask(can_write, &lock));
}

static void
write_lock__admits_nobody__while_held(void **state)
{
    (void)state;
    px_rwlock lock = {0};
    px_rwlock_write_lock(&lock);
    assert_false(ask(can_read, &lock));
    assert_false(ask(can_write, &lock));
    px_rwlock_write_unlock(&lock);
    assert_true(ask(can_read, &lock));
}

static void
try__leaves_the_lock_usable__after_it_failed(void **state)
{
    (void)state;
    px_rwlock lock = {0};
    px_rwlock_write_lock(&lock);
    assert_false(ask(can_write, &lock));
    px_rwlock_write_unlock(&lock);
    assert_int_equal(lock.state, 0); /* no bit was left behind */
    assert_true(px_rwlock_try_write_lock(&lock));
    px_rwlock_write_unlock(&lock);
    assert_true(px_rwlock_try_read_lock(&lock));
    px_rwlock_read_unlock(&lock);
}

static void
write_and_leave(void *arg)
{
    px_rwlock_write_lock(arg);
    px_rwlock_write_unlock(arg);
}

/* Start a thread at the lock, and wait until it has announced itself there. */
static void
start_waiter(px__thread *t, px__thread_fn fn, px_rwlock *lock)
{
    uint32_t before = px__load_relaxed(&lock->state);
    assert_int_equal(px__thread_create(t, "waiter", fn, lock), 0);
    while (px__load_relaxed(&lock->state) == before)
        px__thread_yield();
}

static void
read_lock__keeps_out_new_readers__while_a_writer_waits(void **state)
{
    (void)state;
    px_rwlock lock = {0};
    px__thread writer;
    px_rwlock_read_lock(&lock);
    start_waiter(&writer, write_and_leave, &lock);
    assert_false(ask(can_read, &lock));
    px_rwlock_read_unlock(&lock);
    px__thread_join(&writer);
    assert_true(ask(can_read, &lock));
    assert_int_equal(lock.state, 0);
}

static void
read_and_leave(void *arg)
{
    px_rwlock_read_lock(arg);
    px_rwlock_read_unlock(arg);
}

static void
write_unlock__wakes_a_parked_reader__always(void **state)
{
    (void)state;
    px_rwlock lock = {0};
    px__thread reader;
    px_rwlock_write_lock(&lock);
    start_waiter(&reader, read_and_leave, &lock);
    px_rwlock_write_unlock(&lock);
    px__thread_join(&reader);
    assert_int_equal(lock.state, 0);
}

static void
write_unlock__wakes_both_kinds__when_both_wait(void **state)
{
    (void)state;
    px_rwlock lock = {0};
    px__thread reader, writer;
    px_rwlock_write_lock(&lock);
    start_waiter(&reader, read_and_leave, &lock);
    start_waiter(&writer, write_and_leave, &lock);
    px_rwlock_write_unlock(&lock);
    px__thread_join(&reader);
    px__thread_join(&writer);
    assert_int_equal(lock.state, 0);
}

#if defined(PXRT_DEBUG) && !defined(_WIN32)
static px_rwlock the_lock;

static void
unlock_what_is_not_held(void)
{
    the_lock.state = 1; /* another thread's */
    px_rwlock_read_unlock(&the_lock);
}

static void
write_unlock_as_a_reader(void)
{
    px_rwlock_read_lock(&the_lock);
    px_rwlock_write_unlock(&the_lock);
}

static void
write_twice(void)
{
    px_rwlock_write_lock(&the_lock);
    px_rwlock_write_lock(&the_lock);
}

static void
read_then_write(void)
{
    px_rwlock_read_lock(&the_lock);
    px_rwlock_write_lock(&the_lock);
}

static void
write_then_read(void)
{
    px_rwlock_write_lock(&the_lock);
    px_rwlock_read_lock(&the_lock);
}

static void
read_twice_while_a_writer_waits(void)
{
    px_rwlock_read_lock(&the_lock);
    the_lock.state |= UINT32_C(1) << 31;
    px_rwlock_read_lock(&the_lock);
}

static void
read_twice_with_no_writer(void)
{
    px_rwlock_read_lock(&the_lock);
    px_rwlock_read_lock(&the_lock);
    px_rwlock_read_unlock(&the_lock);
    px_rwlock_read_unlock(&the_lock);
}

static void
debug__aborts__on_misuse_that_cannot_end_well(void **state)
{
    (void)state;
    assert_true(aborts(unlock_what_is_not_held));
    assert_true(aborts(write_unlock_as_a_reader));
    assert_true(aborts(write_twice));
    assert_true(aborts(read_then_write));
    assert_true(aborts(write_then_read));
    assert_true(aborts(read_twice_while_a_writer_waits));
    assert_false(aborts(read_twice_with_no_writer));
}

enum { MANY = 200 };

static void
debug__keeps_silent__with_more_locks_than_it_lists(void **state)
{
    (void)state;
    static px_rwlock many[MANY];
    for (int i = 0; i < MANY; i++)
        px_rwlock_read_lock(&many[i]);
    for (int i = 0; i < MANY; i++)
        px_rwlock_read_unlock(&many[i]);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(many[i].state, 0);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rwlock__is_unlocked__when_zero),
        cmocka_unit_test(read_lock__admits_readers_only__while_held),
        cmocka_unit_test(write_lock__admits_nobody__while_held),
        cmocka_unit_test(try__leaves_the_lock_usable__after_it_failed),
        cmocka_unit_test(
            read_lock__keeps_out_new_readers__while_a_writer_waits),
        cmocka_unit_test(write_unlock__wakes_a_parked_reader__always),
        cmocka_unit_test(write_unlock__wakes_both_kinds__when_both_wait),
#if defined(PXRT_DEBUG) && !defined(_WIN32)
        cmocka_unit_test(debug__aborts__on_misuse_that_cannot_end_well),
        cmocka_unit_test(debug__keeps_silent__with_more_locks_than_it_lists),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
