/* Release of a runtime while work waits, runs, has failed, or is over. */
#include "runtime_support.h"

#include "death.h"
#include "platform/clock.h"

static int
count_canceled(px_context *cx, const px_error *error, void *arg)
{
    (void)cx;
    assert_int_equal(error->code, PX_ECANCELED);
    px__add_seqcst((uint32_t *)arg, 1);
    return 0;
}

static void
release_gate_later(void *arg)
{
    (void)arg;
    px_event_wait(&at_the_gate, -1);
    for (int64_t until_ns = px__now_ns() + 5 * (int64_t)PX_NS_PER_MS;
         px__now_ns() < until_ns;)
        px__thread_yield(); /* let the release begin, as a rule */
    px_event_set(&gate);
}

static void
release__cancels_what_waits__and_lets_the_running_finish(void **state)
{
    (void)state;
    enum { WAITING = 500 };
    uint32_t canceled = 0, run = 0;
    px__thread thread;
    px_work_options o;
    px_runtime *rt = runtime_of(1);
    px_work_options_init(&o);
    o.failed = count_canceled;
    px_submit_work(rt, wait_at_the_gate, NULL, NULL);
    px_event_wait(&at_the_gate, -1);
    for (int i = 0; i < WAITING; i++) {
        px_submit_work(rt, count_up, i % 2 ? &canceled : &run,
                       i % 2 ? &o : NULL);
    }
    px_event_set(&at_the_gate);
    assert_int_equal(
        px__thread_create(&thread, "opener", release_gate_later, NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
    px__thread_join(&thread);
    assert_int_equal(canceled, WAITING / 2); /* run, or cancelled */
}

static int
submit_more(px_context *cx, void *arg)
{
    (void)cx;
    px_event_set(&at_the_gate);
    while (px_submit_work(arg, do_nothing, NULL, NULL) == 0)
        px__thread_yield();
    return px_submit_work(arg, do_nothing, NULL, NULL) == PX_ECLOSED
               ? 0
               : px_fail(cx, PX_ESTATE, "refused in another way");
}

static void
release__refuses_new_work__from_callbacks_that_still_run(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        px_runtime *rt = runtime_of(2);
        px_submit_work(rt, submit_more, rt, NULL);
        px_event_wait(&at_the_gate, -1);
        assert_int_equal(px_runtime_release(rt), 0);
    }
}

static void
release__drops__errors_and_contexts_on_the_path(void **state)
{
    (void)state;
    for (int turns = 0; turns < 6; turns++) {
        uint32_t count = 0;
        px_runtime *rt = runtime_of(2);
        for (int i = 0; i < 50; i++)
            px_submit_work(rt, i % 2 ? fail_plainly : count_up, &count, NULL);
        wait_until_idle(rt);
        for (int i = 0; i < turns; i++)
            (void)px_run_once(rt, 0, NULL);
        assert_int_equal(px_runtime_release(rt), 0);
    }
}

static const px_error *reported;

static void
release_the_error_twice(void)
{
    px_error_release(reported);
    px_error_release(reported);
}

/* A chain of contexts: the cleanup of each releases the one before. */
static uint32_t links_freed;

static void
release_link(void *cx)
{
    px__add_seqcst(&links_freed, 1);
    px_context_release(cx);
}

static int
add_link(px_context *cx, void *arg)
{
    px_context **last = arg;
    int status = px_heap_defer(px_context_heap(cx), release_link, *last);
    *last = px_context_retain(cx);
    return status;
}

static void
release_last(void *arg)
{
    px_context_release(arg);
}

/* After the runtime's end, when nobody but the caller moves contexts: one that
 * releases the next, and so on, takes no more stack than a single one. */
static void
context__that_releases_others__is_buried_on_a_small_stack(void **state)
{
    (void)state;
    enum { LINKS = 400, STACK_BYTES = 64 << 10 };
    px__thread thread;
    px_context *last = NULL;
    px_runtime *rt = crowded_runtime_of(1);
    links_freed = 0;
    for (int i = 0; i < LINKS; i++)
        px_submit_work(rt, add_link, &last, NULL);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
    assert_int_equal(links_freed, 0);
    assert_int_equal(px__thread_create_sized(&thread, "digger", STACK_BYTES,
                                             release_last, last),
                     0);
    px__thread_join(&thread);
    assert_int_equal(px__load_seqcst(&links_freed), LINKS);
}

/* Two threads give back contexts of a runtime that is gone: the last of them
 * takes its memory along, whoever buried which. */
static void
contexts__outlive_the_runtime__and_are_released_by_two_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        px__thread thread;
        px_context *first = NULL, *second = NULL;
        px_runtime *rt = runtime_of(1);
        links_freed = 0;
        px_submit_work(rt, add_link, &first, NULL);
        px_submit_work(rt, add_link, &second, NULL);
        assert_int_equal(px_run(rt, NULL), 0);
        assert_int_equal(px_runtime_release(rt), 0);
        assert_int_equal(
            px__thread_create(&thread, "digger", release_last, first), 0);
        px_context_release(second);
        px__thread_join(&thread);
        assert_int_equal(px__load_seqcst(&links_freed), 2);
    }
}

static void
release__of_an_error_twice__is_caught(void **state)
{
    (void)state;
    px_runtime *rt = runtime_of(1);
    assert_int_equal(px_submit_work(rt, fail_plainly, NULL, NULL), 0);
    assert_int_equal(px_run(rt, &reported), PX_EFULL);
    assert_true(aborts(release_the_error_twice));
    px_error_release(reported);
    assert_int_equal(px_runtime_release(rt), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            release__cancels_what_waits__and_lets_the_running_finish),
        cmocka_unit_test(
            release__refuses_new_work__from_callbacks_that_still_run),
        cmocka_unit_test(release__drops__errors_and_contexts_on_the_path),
        cmocka_unit_test(
            context__that_releases_others__is_buried_on_a_small_stack),
        cmocka_unit_test(
            contexts__outlive_the_runtime__and_are_released_by_two_threads),
        cmocka_unit_test(release__of_an_error_twice__is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
