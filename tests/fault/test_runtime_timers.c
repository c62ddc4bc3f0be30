/*
 * Timers and posted messages while the system refuses memory, threads and
 * descriptors. See test_runtime.c for what must hold.
 */
#include "runtime_torture.h"

enum { FLOOR = 200 };

/* ---- timers -------------------------------------------------------------- */

static int
shoot(px_context *cx, void *arg)
{
    (void)arg;
    return px_alloc(cx, 500000) ? 0 : PX_ENOMEM;
}

/* A timer that stops itself at its third shot; the handle was put here before
 * its first could begin, which waits for `set`. */
static struct {
    px_timer *timer;
    unsigned shots;
} self_stopping;

static int
shoot_three_times(px_context *cx, void *arg)
{
    px_timer *timer = px__load_acquire(&self_stopping.timer);
    if (timer && ++self_stopping.shots >= 3)
        (void)px_timer_cancel(timer);
    return shoot(cx, arg);
}

static px_timer *
arm(uint64_t first_ms, uint64_t period_ms, px_run_fn shot)
{
    px_timer *timer = NULL;
    house_note(px_submit_timer(house.rt, first_ms, period_ms, shot, NULL, NULL,
                               &timer));
    return timer;
}

static int
timers(void)
{
    if (house_open())
        return house.status;
    self_stopping.shots = 0;
    px__store_release(&self_stopping.timer, (px_timer *)NULL);
    px_timer *own = arm(1, 1, shoot_three_times);
    px__store_release(&self_stopping.timer, own);
    px_timer_release(arm(1, 0, shoot));
    px_timer_release(arm(2, 0, misbehave));
    px_timer *long_one = arm(100000, 0, shoot);
    if (long_one)
        house_note(px_timer_cancel(long_one));
    px_timer_release(long_one);
    int status = house_run_out();
    px_timer_release(own); /* beyond the release */
    return status;
}

static int
release_with_timers_armed(void)
{
    if (house_open())
        return house.status;
    px_timer *kept = arm(100000, 0, shoot);
    px_timer_release(arm(1, 1, shoot));
    px_timer_release(arm(0, 100000, misbehave));
    house_note(px_run_once(house.rt, 2, NULL));
    int status = house_close();
    if (kept)
        (void)px_timer_cancel(kept); /* harmless after the release */
    px_timer_release(kept);
    return status;
}

/* ---- posts --------------------------------------------------------------- */

enum { MESSAGES = 5, MESSAGE_BYTES = 3000 };

static int
take_message(px_context *cx, void *bytes, size_t count)
{
    px__add_relaxed(&house.done, 1u);
    return px_heap_memdup(px_context_heap(cx), bytes, count) ? 0 : PX_ENOMEM;
}

/* Work posts to itself; the messages are part of it. A refused one is told by
 * the code. */
static int
post_to_itself(px_context *cx, void *arg)
{
    static const char text[MESSAGE_BYTES] = "to myself";
    (void)arg;
    for (int i = 0; i < MESSAGES; i++) {
        int status = px_post(cx, take_message, text, sizeof text);
        if (status)
            return status;
    }
    return 0;
}

/* Shows main the context of a timer, which then gets posts. */
static int
show_context(px_context *cx, void *arg)
{
    px_context **shown = arg;
    px_context *none = NULL;
    if (!px__load_acquire(shown))
        (void)px__cas_acqrel(shown, &none, px_context_retain(cx));
    return 0;
}

static px_context *
wait_for_context(px_context **shown)
{
    while (!px__load_acquire(shown) && px_active_count(house.rt) > 0)
        house_note(px_run_once(house.rt, 1, NULL));
    return px__load_acquire(shown);
}

static int
posts(void)
{
    static const char text[MESSAGE_BYTES] = "from main";
    static px_context *shown;
    px_timer *timer = NULL;
    if (house_open())
        return house.status;
    px__store_release(&shown, (px_context *)NULL);
    for (int i = 0; i < 3; i++)
        house_note(px_submit_work(house.rt, post_to_itself, NULL, NULL));
    house_note(px_submit_timer(house.rt, 0, 100000, show_context, NULL, &shown,
                               &timer));
    px_context *cx = wait_for_context(&shown);
    for (int i = 0; cx && i < MESSAGES; i++)
        house_note(px_post(cx, take_message, text, sizeof text));
    px_timer_cancel(timer);
    px_timer_release(timer);
    if (cx)
        px_context_release(cx);
    return house_run_out();
}

/* ---- the tests ----------------------------------------------------------- */

static void
timers__end__whatever_fails(void **state)
{
    (void)state;
    with(1, false);
    assert_fault_torture(timers);
    with(2, true);
    assert_fault_torture(timers);
    assert_fault_torture(release_with_timers_armed);
}

static void
posts__survive_each_failure(void **state)
{
    (void)state;
    with(2, false);
    assert_fault_torture(posts);
}

static void
points__are_as_many_as_ever(void **state)
{
    (void)state;
    assert_points(FLOOR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers__end__whatever_fails),
        cmocka_unit_test(posts__survive_each_failure),
        cmocka_unit_test(points__are_as_many_as_ever),
    };
    return cmocka_run_group_tests(tests, ask_always, NULL);
}
