/* Park and unpark, against P1-P4 of park.h. Built twice: over the OS's own
 * address wait, and over the condition variables (PX_PARK_HASHED). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/status.h>

#include "base/atomic.h"
#include "platform/clock.h"
#include "platform/park.h"
#include "platform/thread.h"

enum { SLEEPERS = 4, ROUNDS = 20000 };

static void
park__returns_at_once__when_the_word_differs(void **state)
{
    (void)state;
    uint32_t word = 7;
    assert_int_equal(px__park(&word, 8, -1), PX_OK);
}

static void
park__times_out__when_nobody_wakes(void **state)
{
    (void)state;
    uint32_t word = 7;
    int64_t start_ns = px__now_ns();
    while (px__park(&word, 7, 2 * PX_NS_PER_MS) != PX_ETIMEDOUT) {
    } /* P2: it may return PX_OK for no reason, but not for ever */
    assert_true(px__now_ns() - start_ns >= 2 * PX_NS_PER_MS);
}

static void
park__does_not_sleep__with_a_zero_timeout(void **state)
{
    (void)state;
    uint32_t word = 7;
    assert_int_equal(px__park(&word, 7, 0), PX_ETIMEDOUT);
}

static void
unpark__is_harmless__when_the_memory_is_gone(void **state)
{
    (void)state;
    uint32_t *gone = (uint32_t *)(uintptr_t)64; /* P4: never mapped */
    px__unpark_one(gone);
    px__unpark_all(gone);
}

/* Two threads hand a number to and fro; a lost wake-up hangs the test. */
static uint32_t turn;

static void
pass_the_turn(uint32_t mine, uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t seen;
        while ((seen = px__load_acquire(&turn)) % 2 != mine)
            px__park(&turn, seen, -1);
        px__store_release(&turn, seen + 1);
        px__unpark_one(&turn);
    }
}

static void
odd_player(void *arg)
{
    (void)arg;
    pass_the_turn(1, ROUNDS);
}

static void
unpark_one__is_never_lost__in_ping_pong(void **state)
{
    (void)state;
    px__thread t;
    assert_int_equal(px__thread_create(&t, "odd", odd_player, NULL), PX_OK);
    pass_the_turn(0, ROUNDS);
    px__thread_join(&t);
    assert_int_equal(turn, 2 * ROUNDS);
}

static uint32_t gate;

static void
wait_at_gate(void *arg)
{
    (void)arg;
    while (px__load_acquire(&gate) == 0)
        px__park(&gate, 0, -1);
}

static void
unpark_all__wakes_everybody__who_sleeps(void **state)
{
    (void)state;
    px__thread t[SLEEPERS];
    px__store_relaxed(&gate, 0);
    for (int i = 0; i < SLEEPERS; i++)
        assert_int_equal(px__thread_create(&t[i], "gate", wait_at_gate, NULL),
                         PX_OK);
    px__store_release(&gate, 1);
    px__unpark_all(&gate);
    for (int i = 0; i < SLEEPERS; i++)
        px__thread_join(&t[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(park__returns_at_once__when_the_word_differs),
        cmocka_unit_test(park__times_out__when_nobody_wakes),
        cmocka_unit_test(park__does_not_sleep__with_a_zero_timeout),
        cmocka_unit_test(unpark__is_harmless__when_the_memory_is_gone),
        cmocka_unit_test(unpark_one__is_never_lost__in_ping_pong),
        cmocka_unit_test(unpark_all__wakes_everybody__who_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
