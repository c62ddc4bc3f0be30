/*
 * A runtime while the system refuses memory, threads, or what libuv needs:
 * creation, work with errors, timers, release. Worker threads make calls too,
 * so which call fails varies from run to run; every one of them must be
 * survived.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include "fault.h"

static int
no_cache(void **state)
{
    px_range_options options;
    (void)state;
    px_range_options_init(&options);
    options.cache_bytes = 0;
    return px_range_configure(&options);
}

static int
create(px_runtime **out)
{
    px_runtime_options o;
    px_runtime_options_init(&o);
    o.workers = 2;
    return px_runtime_create(&o, out);
}

static int
create_and_release(void)
{
    px_runtime *rt;
    int status = create(&rt);
    return status ? status : px_runtime_release(rt);
}

static int
allocate(px_context *cx, void *arg)
{
    (void)arg;
    return px_alloc(cx, 100000) ? 0 : PX_ENOMEM;
}

static int
accept_error(px_context *cx, const px_error *error, void *arg)
{
    (void)cx;
    (void)arg;
    return error->code;
}

/* All errors, of which the first is kept. */
static int
run_all(px_runtime *rt)
{
    int status, first = 0;
    const px_error *error;
    while ((status = px_run(rt, &error)) < 0) {
        first = first ? first : status;
        px_error_release(error);
    }
    return first;
}

static int
submit_some(px_runtime *rt)
{
    int status = 0;
    px_work_options o;
    px_work_options_init(&o);
    o.done = allocate;
    o.failed = accept_error;
    for (int i = 0; i < 4 && status == 0; i++)
        status = px_submit_work(rt, allocate, NULL, i % 2 ? &o : NULL);
    if (status == 0)
        status = px_submit_timer(rt, 0, 0, allocate, NULL, NULL, NULL);
    return status;
}

static int
work_and_timers(void)
{
    px_runtime *rt;
    int status = create(&rt);
    if (status)
        return status;
    status = submit_some(rt);
    int run_status = run_all(rt);
    int release_status = px_runtime_release(rt);
    if (release_status)
        return 1; /* not to be excused by a failure */
    return status ? status : run_status;
}

static int
release_with_all_under_way(void)
{
    px_runtime *rt;
    int status = create(&rt);
    if (status)
        return status;
    status = submit_some(rt);
    if (status == 0)
        status =
            px_submit_timer(rt, 3600 * 1000, 1, allocate, NULL, NULL, NULL);
    return px_runtime_release(rt) ? 1 : status;
}

static void
create__undoes_itself__whatever_fails(void **state)
{
    (void)state;
    assert_fault_torture(create_and_release);
}

static void
work__is_refused_or_reported__whatever_fails(void **state)
{
    (void)state;
    assert_fault_torture(work_and_timers);
}

static void
release__ends_everything__whatever_fails(void **state)
{
    (void)state;
    assert_fault_torture(release_with_all_under_way);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__undoes_itself__whatever_fails),
        cmocka_unit_test(work__is_refused_or_reported__whatever_fails),
        cmocka_unit_test(release__ends_everything__whatever_fails),
    };
    return cmocka_run_group_tests(tests, no_cache, NULL);
}
