/*
 * Runtimes while the system refuses memory, threads and descriptors: work,
 * timers, posts, errors, stops and releases in the middle.
 *
 * What must hold whatever fails: all that was accepted ends exactly once (done,
 * dealt with by its failed callback, or reported to main), and px_run() returns
 * when nothing is left. Workers make the library's calls in no fixed order, so
 * that each k hits something else in each run.
 *
 * ctest: slow
 */
#include "runtime_torture.h"

enum { FLOOR = 900 };

/* ---- callbacks ----------------------------------------------------------- */

static int
finish(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    px__add_relaxed(&house.done, 1u);
    return 0;
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
    house_submitted(px_submit_work(house.rt, run, "a test", &options));
}

/* ---- creating ------------------------------------------------------------ */

static int
create_and_release(void)
{
    return house_open() ? house.status : house_close();
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
    house_submitted(px_submit_work(house.rt, fill, NULL, &options));
    if (work)
        (void)px_work_cancel(work);
    px_work_release(work);
}

static int
work_of_all_kinds(void)
{
    if (house_open())
        return house.status;
    submit(fill, finish, NULL);
    submit(fill_and_finish, NULL, deal_with);
    submit(misbehave, NULL, deal_with);
    submit(misbehave, finish, pass_on);
    submit(misbehave, NULL, NULL);
    submit(fill, misbehave, NULL);
    submit_and_cancel();
    return house_run_and_close();
}

static unsigned
told(void)
{
    return px__load_acquire(&house.done) + px__load_acquire(&house.handled);
}

/* A host that waits for its work by what its callbacks have told it: none of
 * them may end unheard, not even for want of a context, and no error is main's.
 */
static int
work_counted_by_the_host(void)
{
    if (house_open())
        return house.status;
    for (int i = 0; i < 3; i++)
        submit(fill, finish, deal_with);
    while (told() < house.accepted) {
        int status = px_run_once(house.rt, -1, NULL);
        if (status < 0 || (status == 0 && told() < house.accepted)) {
            house_close();
            return LOST_SOMETHING;
        }
    }
    return house_run_and_close();
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
    if (house_open())
        return house.status;
    house_submitted(px_submit_work(house.rt, branch, (void *)4, NULL));
    int status = house_run_and_close();
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
        house_note(status);
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
    if (house_open())
        return house.status;
    for (int i = 0; i < HELD; i++)
        submit(misbehave, NULL, NULL);
    unsigned count = hold_errors(held);
    bool well = errors_make_sense(held, count);
    for (unsigned i = 0; i < count && !beyond_release; i++)
        px_error_release(held[i]);
    int status = beyond_release ? house_close() : house_run_and_close();
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

/* ---- ends in the middle -------------------------------------------------- */

static int
stop_it(px_context *cx, void *arg)
{
    house_note(px_stop(house.rt));
    return finish(cx, arg);
}

/* A stop that fails to come about must not keep px_run() from ending. */
static int
stop_and_release(void)
{
    if (house_open())
        return house.status;
    for (int i = 0; i < 10; i++) {
        if (i == 5) /* if it fails, then its error stops px_run() */
            submit(stop_it, NULL, NULL);
        else
            submit(fill_and_finish, NULL, deal_with);
    }
    house_note(px_submit_timer(house.rt, 100000, 0, fill, NULL, NULL, NULL));
    if (house.accepted < 10)
        house_note(px_stop(house.rt)); /* that work may be the one refused */
    const px_error *error = NULL;
    int status = px_run(house.rt, &error);
    house_note(status);
    if (status < 0)
        px_error_release(error);
    return house_close();
}

static int
release_with_work_pending(void)
{
    if (house_open())
        return house.status;
    for (int i = 0; i < 8; i++) {
        submit(fill, finish, i % 2 ? deal_with : NULL);
        submit(misbehave, NULL, NULL);
        submit_and_cancel();
    }
    house_note(px_run_once(house.rt, 0, NULL));
    return house_close();
}

/* ---- limits -------------------------------------------------------------- */

/* Contexts share a quota that is too small for all of them: running out of it
 * is no fault of the system, and is no excuse for losing anything. */
static int
work_under_a_quota(void)
{
    int status = px_quota_create((size_t)32 << 20, NULL, &house_plan.quota);
    if (status)
        return status;
    status = house_open();
    for (int i = 0; i < 6 && !status; i++)
        submit(fill, finish, deal_with);
    if (!status)
        status = house_run_and_close();
    if (px_quota_used(house_plan.quota) != 0)
        status = LOST_SOMETHING;
    px_quota_release(house_plan.quota);
    house_plan.quota = NULL;
    return status;
}

/* ---- the tests ----------------------------------------------------------- */

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
    assert_fault_torture(work_counted_by_the_host);
    with(2, true);
    assert_fault_torture(work_counted_by_the_host);
    with(2, false);
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
    assert_points(FLOOR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtime__survives_each_failure__when_created),
        cmocka_unit_test(work__ends_once__whatever_fails),
        cmocka_unit_test(errors__reach_main__whatever_fails),
        cmocka_unit_test(release__survives_each_failure__in_the_middle),
        cmocka_unit_test(points__are_as_many_as_ever),
    };
    return cmocka_run_group_tests(tests, ask_always, NULL);
}
