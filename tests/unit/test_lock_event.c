/* The auto-reset event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/lock.h>

#include "base/atomic.h"
#include "platform/clock.h"
#include "platform/thread.h"

enum { ROUNDS = 20000, WAITERS = 4, TOKENS = 4000 };

static void
event__is_clear__when_zero(void **state)
{
    (void)state;
    px_event event = {0};
    assert_false(px_event_try(&event));
    assert_int_equal(px_event_wait(&event, 0), PX_ETIMEDOUT);
    assert_int_equal(px_event_wait(NULL, 0), PX_EINVAL);
}

static void
set__lets_one_wait_through__however_often_set(void **state)
{
    (void)state;
    px_event event = {0};
    px_event_set(&event);
    px_event_set(&event);
    assert_int_equal(px_event_wait(&event, -1), PX_OK);
    assert_false(px_event_try(&event));
    px_event_set(&event);
    assert_true(px_event_try(&event));
    assert_int_equal(event.state, 0);
}

static void
wait__times_out__and_leaves_no_trace(void **state)
{
    (void)state;
    px_event event = {0};
    int64_t start_ns = px__now_ns();
    assert_int_equal(px_event_wait(&event, 3 * PX_NS_PER_MS), PX_ETIMEDOUT);
    assert_true(px__now_ns() - start_ns >= 3 * PX_NS_PER_MS);
    assert_int_equal(event.state, 0);
}

static px_event ping, pong;
static int ball; /* plain: the events must publish it */

static void
return_the_ball(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        px_event_wait(&ping, -1);
        ball++;
        px_event_set(&pong);
    }
}

static void
set__is_never_lost__in_ping_pong(void **state)
{
    (void)state;
    px__thread t;
    assert_int_equal(px__thread_create(&t, "pong", return_the_ball, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        ball++;
        px_event_set(&ping);
        assert_int_equal(px_event_wait(&pong, -1), PX_OK);
        assert_int_equal(ball, 2 * (i + 1));
    }
    px__thread_join(&t);
}

/* One setter, many waiters, most of which give up very soon: a set that races
 * with a timeout must reach somebody. */
static px_event token, taken;
static uint32_t stop;

static void
take_tokens(void *arg)
{
    int64_t timeout_ns = *(int64_t *)arg;
    for (;;) {
        if (px_event_wait(&token, timeout_ns) != PX_OK)
            continue;
        if (px__load_relaxed(&stop)) {
            px_event_set(&token); /* pass the news on */
            return;
        }
        px_event_set(&taken);
    }
}

static void
set__reaches_somebody__when_others_time_out(void **state)
{
    (void)state;
    int64_t timeouts_ns[WAITERS] = {1, 1000, 20000, -1};
    px__thread t[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(
            px__thread_create(&t[i], "taker", take_tokens, &timeouts_ns[i]), 0);
    for (int i = 0; i < TOKENS; i++) {
        px_event_set(&token);
        assert_int_equal(px_event_wait(&taken, -1), PX_OK);
    }
    px__store_relaxed(&stop, 1);
    px_event_set(&token);
    for (int i = 0; i < WAITERS; i++)
        px__thread_join(&t[i]);
    assert_true(px_event_try(&token));
    assert_int_equal(token.state, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event__is_clear__when_zero),
        cmocka_unit_test(set__lets_one_wait_through__however_often_set),
        cmocka_unit_test(wait__times_out__and_leaves_no_trace),
        cmocka_unit_test(set__is_never_lost__in_ping_pong),
        cmocka_unit_test(set__reaches_somebody__when_others_time_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
