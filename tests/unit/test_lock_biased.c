/* The reader-biased lock: the way through the slots, revocation, its limits. */
#include "ask.h"

#include <pxrt/lock.h>

#include "base/atomic.h"
#include "death.h"
#include "lock/readers.h"

enum { ON = 1, THREADS_IN_TURN = 2000 };

static void
read_once(px_rwlock_biased *b)
{
    px_rwlock_biased_read_lock(b);
    px_rwlock_biased_read_unlock(b);
}

/* A lock whose bias is on: its first read turned it on. */
static px_rwlock_biased
biased_lock(void)
{
    px_rwlock_biased b = {0};
    read_once(&b);
    assert_int_equal(b.bias, ON);
    return b;
}

static bool
can_read(void *lock)
{
    if (!px_rwlock_biased_try_read_lock(lock))
        return false;
    px_rwlock_biased_read_unlock(lock);
    return true;
}

static bool
can_write(void *lock)
{
    if (!px_rwlock_biased_try_write_lock(lock))
        return false;
    px_rwlock_biased_write_unlock(lock);
    return true;
}

static void
read_lock__leaves_the_lock_alone__while_biased(void **state)
{
    (void)state;
    px_rwlock_biased b = biased_lock();
    px_rwlock_biased_read_lock(&b);
    assert_int_equal(b.lock.state, 0); /* it went by a slot */
    assert_true(px__reader_any(&b));
    assert_true(ask(can_read, &b));
    assert_false(ask(can_write, &b));
    px_rwlock_biased_read_unlock(&b);
    assert_false(px__reader_any(&b));
}

static void
try_write_lock__restores_the_bias__when_readers_are_inside(void **state)
{
    (void)state;
    px_rwlock_biased b = biased_lock();
    px_rwlock_biased_read_lock(&b);
    assert_false(ask(can_write, &b));
    assert_int_equal(b.bias, ON); /* else the next writer would not see us */
    assert_false(ask(can_write, &b));
    px_rwlock_biased_read_unlock(&b);
    assert_true(ask(can_write, &b));
}

static void
write_lock__turns_the_bias_off__for_some_reads(void **state)
{
    (void)state;
    px_rwlock_biased b = biased_lock();
    px_rwlock_biased_write_lock(&b);
    assert_false(ask(can_read, &b));
    px_rwlock_biased_write_unlock(&b);
    px_rwlock_biased_read_lock(&b);
    assert_int_equal(b.lock.state, 1); /* it went through the lock */
    px_rwlock_biased_read_unlock(&b);
    for (int i = 0; i < 100000 && b.bias != ON; i++)
        read_once(&b);
    assert_int_equal(b.bias, ON);
}

static uint32_t written;

static void
write_it(void *arg)
{
    px_rwlock_biased_write_lock(arg);
    written = 1;
    px_rwlock_biased_write_unlock(arg);
}

static void
write_lock__waits_for_a_reader__in_a_slot(void **state)
{
    (void)state;
    px_rwlock_biased b = biased_lock();
    written = 0;
    px_rwlock_biased_read_lock(&b);
    px__thread writer;
    assert_int_equal(px__thread_create(&writer, "writer", write_it, &b), 0);
    while (px__load_relaxed(&b.bias) == ON)
        px__thread_yield();
    for (int i = 0; i < 1000; i++)
        px__thread_yield(); /* gives a wrong writer the time to get in */
    assert_int_equal(written, 0);
    px_rwlock_biased_read_unlock(&b);
    px__thread_join(&writer);
    assert_int_equal(written, 1);
}

static void
read_lock__works__with_more_locks_than_slots(void **state)
{
    (void)state;
    enum { LOCKS = 3 * PX_READER_SLOTS };
    px_rwlock_biased b[LOCKS];
    for (int i = 0; i < LOCKS; i++)
        b[i] = biased_lock();
    for (int i = 0; i < LOCKS; i++)
        px_rwlock_biased_read_lock(&b[i]);
    for (int i = 0; i < LOCKS; i++)
        assert_false(ask(can_write, &b[i]));
    for (int i = 0; i < LOCKS; i++)
        px_rwlock_biased_read_unlock(&b[i]);
    for (int i = 0; i < LOCKS; i++)
        assert_true(ask(can_write, &b[i]));
}

static bool
has_a_record(void *lock)
{
    read_once(lock);
    return px__reader_slot_of(px__reader_self, NULL) != NULL;
}

/* More threads than the table has records: each must give its own back. */
static void
read_lock__recycles_records__of_threads_that_ended(void **state)
{
    (void)state;
    px_rwlock_biased b = biased_lock();
    for (int i = 0; i < THREADS_IN_TURN; i++)
        assert_true(ask(has_a_record, &b));
}

#if defined(PXRT_DEBUG) && !defined(_WIN32)
static px_rwlock_biased the_lock;

static void
read_then_write(void)
{
    read_once(&the_lock);
    px_rwlock_biased_read_lock(&the_lock);
    px_rwlock_biased_write_lock(&the_lock);
}

static void
unlock_what_is_not_held(void)
{
    the_lock.lock.state = 1;
    px_rwlock_biased_read_unlock(&the_lock);
}

static void
debug__aborts__on_misuse(void **state)
{
    (void)state;
    assert_true(aborts(read_then_write));
    assert_true(aborts(unlock_what_is_not_held));
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_lock__leaves_the_lock_alone__while_biased),
        cmocka_unit_test(
            try_write_lock__restores_the_bias__when_readers_are_inside),
        cmocka_unit_test(write_lock__turns_the_bias_off__for_some_reads),
        cmocka_unit_test(write_lock__waits_for_a_reader__in_a_slot),
        cmocka_unit_test(read_lock__works__with_more_locks_than_slots),
        cmocka_unit_test(read_lock__recycles_records__of_threads_that_ended),
#if defined(PXRT_DEBUG) && !defined(_WIN32)
        cmocka_unit_test(debug__aborts__on_misuse),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
