/*
 * Runtimes while the system refuses memory, threads and descriptors: work,
 * timers, posts, errors, stops and releases in the middle.
 *
 * What must hold whatever fails: all that was accepted ends exactly once (done,
 * dealt with by its failed callback, or reported to main), and px_run() returns
 * when nothing is left. Workers make the library's calls in no fixed order, so
 * that each k hits something else in each run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pxrt.h>

#include "base/atomic.h"
#include "fault.h"

/* Fewer points than this mean that calls have gone past the wrappers. */
enum { FLOOR = 600 };

/* What scenarios answer that no failure excuses. */
enum { LOST_SOMETHING = 1, STILL_ACTIVE, NO_RELEASE };

/* The code of work that fails on purpose. */
enum { ON_PURPOSE = -77 };

/* How the next scenario is to be varied. */
static struct {
    unsigned workers;
    bool eager; /* heaps start large: contexts fail when they are made */
} plan;

/* The runtime of a scenario, and how everything that it accepted has ended. */
static struct house {
    px_runtime *rt;
    unsigned accepted; /* atomic, as are the next three */
    unsigned done;
    unsigned handled;
    unsigned children_refused;
    unsigned reported;
    int status; /* the first code that was not on purpose */
} house;

static void
note(int status)
{
    if (status < 0 && status != ON_PURPOSE && !house.status)
        house.status = status;
}

static int
open_house(void)
{
    px_runtime_options options;
    memset(&house, 0, sizeof house);
    px_runtime_options_init(&options);
    px_context_options_init(&options.context);
    options.workers = plan.workers;
    if (plan.eager)
        options.context.flags = 0;
    note(px_runtime_create(&options, &house.rt));
    return house.status;
}

/* Run to the end; main gets what nobody dealt with. */
static void
run_house(void)
{
    const px_error *error = NULL;
    int status;
    while ((status = px_run(house.rt, &error)) < 0) {
        note(status);
        house.reported++;
        px_error_release(error);
    }
}

static int
close_house(void)
{
    return px_runtime_release(house.rt) ? NO_RELEASE : house.status;
}

/* After run_house(): nothing was lost and nothing is left. */
static bool
adds_up(void)
{
    return house.accepted == house.done + house.handled + house.reported;
}

static int
run_and_close(void)
{
    run_house();
    if (px_active_count(house.rt) != 0)
        return STILL_ACTIVE;
    bool well = adds_up();
    int status = close_house();
    return well ? status : LOST_SOMETHING;
}

static void
accepted(int status)
{
    if (status == 0)
        px__add_relaxed(&house.accepted, 1u);
    else
        note(status);
}

/* ---- callbacks ----------------------------------------------------------- */

static int
finish(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    px__add_relaxed(&house.done, 1u);
    return 0;
}

static int
misbehave(px_context *cx, void *arg)
{
    return px_fail(cx, ON_PURPOSE, "failed for %s", (const char *)arg);
}

/* Past a chunk, so that the heap has to grow. */
static int
fill(px_context *cx, void *arg)
{
    (void)arg;
    for (int i = 0; i < 6; i++)
        if (!px_alloc(cx, 400000))
            return PX_ENOMEM;
    return 0;
}

static int
fill_and_finish(px_context *cx, void *arg)
{
    int status = fill(cx, arg);
    return status ? status : finish(cx, arg);
}

static int
deal_with(px_context *cx, const px_error *error, void *arg)
{
    (void)cx;
    (void)arg;
    px__add_relaxed(&house.handled, 1u);
    return error->code < 0 ? 0 : LOST_SOMETHING;
}

static int
pass_on(px_context *cx, const px_error *error, void *arg)
{
    (void)error;
    return px_fail(cx, ON_PURPOSE, "instead of %s", (const char *)arg);
}

static void
submit(px_run_fn run, px_run_fn done, px_failed_fn failed)
{
    px_work_options options;
    px_work_options_init(&options);
    options.done = done;
    options.failed = failed;
    accepted(px_submit_work(house.rt, run, "a test", &options));
}

/* ---- creating ------------------------------------------------------------ */

static int
create_and_release(void)
{
    return open_house() ? house.status : close_house();
}

/* ---- work ---------------------------------------------------------------- */

static void
submit_and_cancel(void)
{
    px_work_options options;
    px_work *work = NULL;
    px_work_options_init(&options);
    options.done = finish;
    options.failed = deal_with;
    options.handle = &work;
    accepted(px_submit_work(house.rt, fill, NULL, &options));
    if (work)
        (void)px_work_cancel(work);
    px_work_release(work);
}

static int
work_of_all_kinds(void)
{
    if (open_house())
        return house.status;
    submit(fill, finish, NULL);
    submit(fill_and_finish, NULL, deal_with);
    submit(misbehave, NULL, deal_with);
    submit(misbehave, finish, pass_on);
    submit(misbehave, NULL, NULL);
    submit(fill, misbehave, NULL);
    submit_and_cancel();
    return run_and_close();
}

/* Each makes two more, to a depth that comes with the argument. A child that is
 * refused is no failure of its parent. */
static int
branch(px_context *cx, void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    for (int i = 0; depth > 0 && i < 2; i++) {
        int status =
            px_submit_work(house.rt, branch, (void *)(depth - 1), NULL);
        px__add_relaxed(status ? &house.children_refused : &house.accepted, 1u);
    }
    return finish(cx, arg);
}

static int
nested_work(void)
{
    if (open_house())
        return house.status;
    accepted(px_submit_work(house.rt, branch, (void *)4, NULL));
    int status = run_and_close();
    return status || !house.children_refused ? status : PX_ENOMEM;
}

/* ---- errors -------------------------------------------------------------- */

enum { HELD = 4 };

/* Take errors and keep them while main goes on. */
static unsigned
hold_errors(const px_error **held)
{
    unsigned count = 0;
    while (count < HELD) {
        int status = px_run(house.rt, &held[count]);
        if (status == 0)
            break;
        note(status);
        house.reported++;
        count++;
    }
    return count;
}

/* The texts of errors stay readable while they are held. */
static bool
errors_make_sense(const px_error **held, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (held[i]->code >= 0 || !held[i]->message ||
            !strlen(held[i]->message))
            return false;
    return true;
}

static int
errors_held(bool beyond_release)
{
    const px_error *held[HELD];
    if (open_house())
        return house.status;
    for (int i = 0; i < HELD; i++)
        submit(misbehave, NULL, NULL);
    unsigned count = hold_errors(held);
    bool well = errors_make_sense(held, count);
    for (unsigned i = 0; i < count && !beyond_release; i++)
        px_error_release(held[i]);
    int status = beyond_release ? close_house() : run_and_close();
    well = well && (!beyond_release || errors_make_sense(held, count));
    for (unsigned i = 0; i < count && beyond_release; i++)
        px_error_release(held[i]);
    return well ? status : LOST_SOMETHING;
}

static int
errors_to_main(void)
{
    return errors_held(false);
}

static int
errors_held_beyond_release(void)
{
    return errors_held(true);
}

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
    note(px_submit_timer(house.rt, first_ms, period_ms, shot, NULL, NULL,
                         &timer));
    return timer;
}

static int
timers(void)
{
    if (open_house())
        return house.status;
    self_stopping.shots = 0;
    px__store_release(&self_stopping.timer, (px_timer *)NULL);
    px_timer *own = arm(1, 1, shoot_three_times);
    px__store_release(&self_stopping.timer, own);
    px_timer_release(arm(1, 0, shoot));
    px_timer_release(arm(2, 0, misbehave));
    px_timer *long_one = arm(100000, 0, shoot);
    if (long_one)
        note(px_timer_cancel(long_one));
    px_timer_release(long_one);
    run_house();
    int active = px_active_count(house.rt) != 0;
    px_timer_release(own);
    int status = close_house();
    return active ? STILL_ACTIVE : status;
}

static int
release_with_timers_armed(void)
{
    if (open_house())
        return house.status;
    px_timer *kept = arm(100000, 0, shoot);
    px_timer_release(arm(1, 1, shoot));
    px_timer_release(arm(0, 100000, misbehave));
    note(px_run_once(house.rt, 2, NULL));
    int status = close_house();
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
        note(px_run_once(house.rt, 1, NULL));
    return px__load_acquire(shown);
}

static int
posts(void)
{
    static const char text[MESSAGE_BYTES] = "from main";
    static px_context *shown;
    px_timer *timer = NULL;
    if (open_house())
        return house.status;
    px__store_release(&shown, (px_context *)NULL);
    for (int i = 0; i < 3; i++)
        note(px_submit_work(house.rt, post_to_itself, NULL, NULL));
    note(px_submit_timer(house.rt, 0, 100000, show_context, NULL, &shown,
                         &timer));
    px_context *cx = wait_for_context(&shown);
    for (int i = 0; cx && i < MESSAGES; i++)
        note(px_post(cx, take_message, text, sizeof text));
    px_timer_cancel(timer);
    px_timer_release(timer);
    if (cx)
        px_context_release(cx);
    run_house();
    int active = px_active_count(house.rt) != 0;
    int status = close_house();
    return active ? STILL_ACTIVE : status;
}

/* ---- ends in the middle -------------------------------------------------- */

static int
stop_it(px_context *cx, void *arg)
{
    note(px_stop(house.rt));
    return finish(cx, arg);
}

/* A stop that fails to come about must not keep px_run() from ending. */
static int
stop_and_release(void)
{
    if (open_house())
        return house.status;
    for (int i = 0; i < 10; i++)
        submit(i == 5 ? stop_it : fill_and_finish, NULL, deal_with);
    px_timer_release(arm(100000, 0, shoot));
    if (house.accepted < 10)
        note(px_stop(house.rt)); /* that work may be the one refused */
    const px_error *error = NULL;
    int status = px_run(house.rt, &error);
    note(status);
    if (status < 0)
        px_error_release(error);
    return close_house();
}

static int
release_with_work_pending(void)
{
    if (open_house())
        return house.status;
    for (int i = 0; i < 8; i++) {
        submit(fill, finish, i % 2 ? deal_with : NULL);
        submit(misbehave, NULL, NULL);
        submit_and_cancel();
    }
    note(px_run_once(house.rt, 0, NULL));
    return close_house();
}

/* ---- limits -------------------------------------------------------------- */

/* Contexts share a quota that is too small for all of them: running out of it
 * is no fault of the system, and is no excuse for losing anything. */
static int
work_under_a_quota(void)
{
    px_runtime_options options;
    px_quota *quota;
    int status = px_quota_create((size_t)32 << 20, NULL, &quota);
    if (status)
        return status;
    memset(&house, 0, sizeof house);
    px_runtime_options_init(&options);
    px_context_options_init(&options.context);
    options.workers = plan.workers;
    options.context.quota = quota;
    note(px_runtime_create(&options, &house.rt));
    if (house.status) {
        px_quota_release(quota);
        return house.status;
    }
    for (int i = 0; i < 6; i++)
        submit(fill, finish, deal_with);
    status = run_and_close();
    if (px_quota_used(quota) != 0)
        status = LOST_SOMETHING;
    px_quota_release(quota);
    return status;
}

/* ---- the tests ----------------------------------------------------------- */

static void
with(unsigned workers, bool eager)
{
    plan.workers = workers;
    plan.eager = eager;
    print_message("%u workers%s:\n", workers, eager ? ", eager" : "");
}

static void
runtime__survives_each_failure__when_created(void **state)
{
    (void)state;
    with(0, false);
    assert_fault_torture(create_and_release);
    with(4, true);
    assert_fault_torture(create_and_release);
}

static void
work__ends_once__whatever_fails(void **state)
{
    (void)state;
    with(1, true);
    assert_fault_torture(work_of_all_kinds);
    with(4, false);
    assert_fault_torture(work_of_all_kinds);
    with(2, false);
    assert_fault_torture(nested_work);
    assert_fault_torture(work_under_a_quota);
}

static void
errors__reach_main__whatever_fails(void **state)
{
    (void)state;
    with(2, false);
    assert_fault_torture(errors_to_main);
    with(1, true);
    assert_fault_torture(errors_held_beyond_release);
}

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
release__survives_each_failure__in_the_middle(void **state)
{
    (void)state;
    with(1, true);
    assert_fault_torture(stop_and_release);
    assert_fault_torture(release_with_work_pending);
    with(4, false);
    assert_fault_torture(release_with_work_pending);
}

static void
points__are_as_many_as_ever(void **state)
{
    (void)state;
    print_message("fault: %zu points\n", fault_total_points());
    assert_true(fault_total_points() >= FLOOR);
}

/* Memory is committed piece by piece, and windows are given back at once, so
 * that each context asks for its own. */
static int
ask_always(void **state)
{
    px_range_options options;
    (void)state;
    px_range_options_init(&options);
    options.commit_on_demand = true;
    options.cache_bytes = 0;
    return px_range_configure(&options);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtime__survives_each_failure__when_created),
        cmocka_unit_test(work__ends_once__whatever_fails),
        cmocka_unit_test(errors__reach_main__whatever_fails),
        cmocka_unit_test(timers__end__whatever_fails),
        cmocka_unit_test(posts__survive_each_failure),
        cmocka_unit_test(release__survives_each_failure__in_the_middle),
        cmocka_unit_test(points__are_as_many_as_ever),
    };
    return cmocka_run_group_tests(tests, ask_always, NULL);
}
