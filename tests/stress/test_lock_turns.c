/*
 * Taking turns on one CPU: a reader that leaves and wakes a writer lets it run.
 * Else the writer would come to run when the reader's time slice is over, some
 * ms later, and in a thousand sections' time.
 *
 * ctest: serial
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/lock.h>

#include "base/atomic.h"
#include "platform/thread.h"

#if defined(__linux__)

#include <sched.h>

#define WRITERS_WAIT (UINT32_C(1) << 31)

/* Woken otherwise it comes first in a quarter to nine tenths of the rounds. */
enum { ROUNDS = 400, ENOUGH = ROUNDS - ROUNDS / 20 };

static px_rwlock lock;
static px_event go;
static uint32_t entered; /* rounds in which the writer was inside */

static void
write_each_round(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        px_event_wait(&go, -1);
        px_rwlock_write_lock(&lock);
        px__add_seqcst(&entered, 1u);
        px_rwlock_write_unlock(&lock);
    }
}

/* Stay inside until the writer has announced itself, and sleeps: nobody else is
 * on this CPU. */
static void
read_until_it_waits(void)
{
    px_rwlock_read_lock(&lock);
    px_event_set(&go);
    while (!(px__load_seqcst(&lock.state) & WRITERS_WAIT))
        px__thread_yield();
    for (int i = 0; i < 3; i++)
        px__thread_yield();
}

/* Rounds in which the writer was inside before the reader came back. */
static int
count_turns(void)
{
    int turns = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        read_until_it_waits();
        assert_int_equal(px__load_seqcst(&entered), i);
        px_rwlock_read_unlock(&lock);
        turns += px__load_seqcst(&entered) > i;
        while (px__load_seqcst(&entered) == i)
            px__thread_yield();
    }
    return turns;
}

static bool
pin_to_one_cpu(void)
{
    cpu_set_t all, one;
    unsigned cpu = 0;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return false;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

static void
read_unlock__lets_the_writer_run__on_one_cpu(void **state)
{
    px__thread writer;
    (void)state;
    if (!pin_to_one_cpu())
        skip();
    assert_int_equal(px__thread_create(&writer, NULL, write_each_round, NULL),
                     0);
    int turns = count_turns();
    px__thread_join(&writer);
    print_message("the writer was in first in %d of %d rounds\n", turns,
                  ROUNDS);
    assert_true(turns >= ENOUGH);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_unlock__lets_the_writer_run__on_one_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
    return 0;
}

#endif
