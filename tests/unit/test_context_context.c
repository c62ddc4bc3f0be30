/* Contexts: creation, both heaps, references, entering and leaving, owners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "death.h"
#include "platform/thread.h"

static px_context *
create(void)
{
    px_context *cx = NULL;
    assert_int_equal(px_context_create(NULL, &cx), 0);
    assert_non_null(cx);
    return cx;
}

static void
create__starts_with_one_reference__and_nothing_else(void **state)
{
    px_context *cx = create();
    (void)state;
    assert_int_equal(px_context_state(cx), PX_CREATED);
    assert_null(px_context_error(cx));
    assert_null(px_context_data(cx));
    assert_null(px_current());
    px_context_release(cx);
}

static void
create__refuses_bad_options__and_leaves_out_alone(void **state)
{
    px_context *const untouched = (px_context *)&untouched;
    px_context *cx = untouched;
    px_context_options options;
    (void)state;
    assert_int_equal(px_context_create(NULL, NULL), PX_EINVAL);
    px_context_options_init(&options);
    options.size = 0;
    assert_int_equal(px_context_create(&options, &cx), PX_EINVAL);
    options.size = sizeof options + 8;
    assert_int_equal(px_context_create(&options, &cx), PX_EINVAL);
    px_context_options_init(&options);
    options.window_bytes = SIZE_MAX;
    assert_true(px_context_create(&options, &cx) < 0);
    px_context_options_init(&options);
    options.flags = 1u << 31;
    assert_int_equal(px_context_create(&options, &cx), PX_EINVAL);
    assert_ptr_equal(cx, untouched);
    px_context_options_init(NULL);
}

static void
create__takes_the_shorter_struct__of_an_older_caller(void **state)
{
    px_context_options options;
    px_context *cx;
    int data;
    (void)state;
    px_context_options_init(&options);
    options.data = &data;
    options.size = offsetof(px_context_options, data);
    assert_int_equal(px_context_create(&options, &cx), 0);
    assert_null(px_context_data(cx));
    px_context_release(cx);
}

static void
heaps__are_two__in_one_window(void **state)
{
    px_context *cx = create();
    px_snapshot before;
    char *state_text, *scratch;
    (void)state;
    state_text = px_heap_strdup(px_context_base(cx), "kept");
    assert_int_equal(px_heap_snapshot(px_context_heap(cx), &before), 0);
    scratch = px_alloc(cx, 100);
    assert_non_null(scratch);
    assert_ptr_equal(px_owner(state_text), cx);
    assert_ptr_equal(px_owner(scratch + 50), cx);
    assert_true(px_owns(cx, state_text) && px_owns(cx, scratch));
    assert_int_equal(px_heap_rollback(px_context_heap(cx), &before), 0);
    assert_string_equal(state_text, "kept");
    assert_non_null(px_base_alloc(cx, 64));
    px_context_release(cx);
}

static void
window__holds_what_the_context_owns__and_refuses_null(void **state)
{
    const void *first = NULL;
    size_t bytes = 0;
    px_context *cx;
    (void)state;
    assert_int_equal(px_context_create(NULL, &cx), 0);
    assert_int_equal(px_context_window(NULL, &first, &bytes), PX_EINVAL);
    assert_int_equal(px_context_window(cx, NULL, &bytes), PX_EINVAL);
    assert_int_equal(px_context_window(cx, &first, NULL), PX_EINVAL);
    assert_true(first == NULL && bytes == 0);
    assert_int_equal(px_context_window(cx, &first, &bytes), 0);
    const char *block = px_alloc(cx, 16);
    assert_true((uintptr_t)block - (uintptr_t)first < bytes);
    assert_true(px_owns(cx, first));
    assert_false(px_owns(cx, (const char *)first + bytes));
    px_context_release(cx);
}

static void
owner__is_exact__between_contexts_and_others(void **state)
{
    px_context *a = create(), *b = create();
    px_heap *heap;
    char *of_a = px_alloc(a, 8), *of_heap;
    int local;
    (void)state;
    assert_int_equal(px_heap_create(NULL, &heap), 0);
    of_heap = px_heap_alloc(heap, 8);
    assert_ptr_equal(px_owner(of_a), a);
    assert_false(px_owns(b, of_a));
    assert_null(px_owner(of_heap));
    assert_ptr_equal(px_heap_of(of_heap), heap);
    assert_ptr_equal(px_heap_of(of_a), px_context_heap(a));
    assert_null(px_owner(&local));
    assert_null(px_owner(NULL));
    assert_false(px_owns(a, &local) || px_owns(NULL, &local));
    px_heap_release(heap);
    px_context_release(a);
    px_context_release(b);
    assert_null(px_owner(of_a));
}

static void
quota__holds_for_the_context__and_leaves_it_usable(void **state)
{
    px_context_options options;
    px_quota *quota;
    px_context *cx;
    (void)state;
    assert_int_equal(px_quota_create((size_t)4 << 20, NULL, &quota), 0);
    px_context_options_init(&options);
    options.quota = quota;
    assert_int_equal(px_context_create(&options, &cx), 0);
    assert_null(px_alloc(cx, (size_t)64 << 20));
    assert_non_null(px_alloc(cx, 1000));
    assert_true(px_quota_used(quota) > 0);
    px_context_release(cx);
    assert_int_equal(px_quota_used(quota), 0);
    px_quota_release(quota);
}

static void
bump(void *counter)
{
    ++*(int *)counter;
}

static void
release__runs_the_cleanups__at_the_last_reference_only(void **state)
{
    px_context *cx = create();
    int runs = 0;
    (void)state;
    assert_int_equal(px_defer(cx, bump, &runs), 0);
    assert_int_equal(px_heap_defer(px_context_base(cx), bump, &runs), 0);
    assert_ptr_equal(px_context_retain(cx), cx);
    px_context_release(cx);
    assert_int_equal(runs, 0);
    px_context_release(cx);
    assert_int_equal(runs, 2);
    px_context_release(NULL);
    assert_null(px_context_retain(NULL));
}

static void
enter__nests__and_leave_restores(void **state)
{
    px_context *outer = create(), *inner = create();
    (void)state;
    assert_int_equal(px_enter(outer), 0);
    assert_int_equal(px_enter(inner), 0);
    assert_ptr_equal(px_current(), inner);
    assert_int_equal(px_leave(outer), PX_EWRONGTHREAD);
    assert_int_equal(px_enter(outer), PX_EBUSY);
    assert_int_equal(px_context_state(inner), PX_RUNNING);
    assert_int_equal(px_leave(inner), 0);
    assert_ptr_equal(px_current(), outer);
    assert_int_equal(px_context_state(inner), PX_IDLE);
    assert_int_equal(px_leave(outer), 0);
    assert_null(px_current());
    assert_int_equal(px_leave(outer), PX_EWRONGTHREAD);
    assert_int_equal(px_enter(NULL), PX_EINVAL);
    assert_int_equal(px_leave(NULL), PX_EINVAL);
    px_context_release(outer);
    px_context_release(inner);
}

static void
release__of_an_entered_context__waits_for_leave(void **state)
{
    px_context *cx = create();
    int runs = 0;
    (void)state;
    assert_int_equal(px_defer(cx, bump, &runs), 0);
    assert_int_equal(px_enter(cx), 0);
    px_context_release(cx);
    assert_non_null(px_alloc(cx, 10));
    assert_int_equal(runs, 0);
    assert_int_equal(px_leave(cx), 0);
    assert_int_equal(runs, 1);
}

typedef struct visit {
    px_context *cx;
    int entered;
    int left;
} visit;

static void
try_from_another_thread(void *arg)
{
    visit *v = arg;
    v->entered = px_enter(v->cx);
    v->left = px_leave(v->cx);
}

static void
enter__is_refused_elsewhere__while_entered_here(void **state)
{
    visit v = {.cx = create()};
    px__thread thread;
    (void)state;
    assert_int_equal(px_enter(v.cx), 0);
    px__thread_create(&thread, "visitor", try_from_another_thread, &v);
    px__thread_join(&thread);
    assert_int_equal(v.entered, PX_EBUSY);
    assert_int_equal(v.left, PX_EWRONGTHREAD);
    assert_int_equal(px_leave(v.cx), 0);
    px__thread_create(&thread, "visitor", try_from_another_thread, &v);
    px__thread_join(&thread);
    assert_int_equal(v.entered, 0);
    assert_int_equal(v.left, 0);
    px_context_release(v.cx);
}

static void
fork__leaves_contexts_readable__but_not_usable(void **state)
{
    px_context *cx = create();
    char *text;
    int status = -1;
    pid_t child;
    (void)state;
    text = px_heap_strdup(px_context_heap(cx), "inherited");
    child = fork();
    if (child == 0) {
        px_context *fresh;
        bool good = strcmp(text, "inherited") == 0 &&
                    px_enter(cx) == PX_EFORKED &&
                    px_context_create(NULL, &fresh) == PX_EFORKED;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    px_context_release(cx);
}

static px_context *victim;

static void
release_once_too_often(void)
{
    px_context_release(victim);
    px_context_release(victim);
}

static void
release__once_too_often__is_caught(void **state)
{
    (void)state;
    victim = create();
    assert_true(aborts(release_once_too_often));
    px_context_release(victim);
}

static void
data__belongs_to_the_host(void **state)
{
    px_context *cx = create();
    int mine;
    (void)state;
    assert_int_equal(px_context_set_data(cx, &mine), 0);
    assert_ptr_equal(px_context_data(cx), &mine);
    assert_int_equal(px_context_set_data(NULL, &mine), PX_EINVAL);
    assert_null(px_context_data(NULL));
    assert_null(px_context_base(NULL));
    assert_int_equal(px_context_state(NULL), PX_EINVAL);
    px_context_release(cx);
}

/* ---- another life where a context of default options was ---- */

static px_heap_stats
stats_of(px_heap *heap)
{
    px_heap_stats stats = {.size = sizeof stats};
    assert_int_equal(px_heap_get_stats(heap, &stats), 0);
    return stats;
}

static void
assert_heap_is_fresh(px_heap *heap)
{
    px_heap_stats stats = stats_of(heap);
    assert_int_equal(stats.used_bytes, 0);
    assert_int_equal(stats.snapshot_count, 0);
    assert_int_equal(stats.cleanup_count, 0);
    assert_int_equal(stats.rollback_count, 0);
    assert_int_equal(stats.failed_count, 0);
    assert_int_equal(px_heap_validate(heap), 0);
}

static void
assert_fresh(px_context *cx, void *data)
{
    assert_int_equal(px_context_state(cx), PX_CREATED);
    assert_null(px_context_error(cx));
    assert_ptr_equal(px_context_data(cx), data);
    assert_heap_is_fresh(px_context_heap(cx));
    assert_heap_is_fresh(px_context_base(cx));
    assert_ptr_equal(px_owner(cx), cx);
    assert_int_equal(px_enter(cx), 0);
    assert_int_equal(px_deliver(cx), 0); /* nothing of before is waiting */
    assert_int_equal(px_leave(cx), 0);
}

static int
never_run(px_context *cx, void *bytes, size_t count)
{
    (void)cx;
    (void)bytes;
    (void)count;
    fail();
    return 0;
}

/* Leave traces of every kind, in both heaps; answers a snapshot. */
static px_snapshot
live_fully(px_context *cx)
{
    px_snapshot here;
    assert_int_equal(px_enter(cx), 0);
    assert_int_equal(px_heap_snapshot(px_context_heap(cx), &here), 0);
    memset(px_alloc(cx, 3 << 20), 0xff, 3 << 20);
    memset(px_heap_alloc(px_context_base(cx), 5000), 0xff, 5000);
    assert_null(px_alloc(cx, SIZE_MAX / 2));
    assert_int_equal(px_heap_rollback(px_context_heap(cx), &here), 0);
    memset(px_alloc(cx, 1000), 0xff, 1000);
    assert_int_equal(px_post(cx, never_run, "x", 1), 0);
    assert_int_equal(px_fail(cx, PX_EFAILED, "of another life"), PX_EFAILED);
    assert_int_equal(px_leave(cx), 0);
    return here;
}

static px_context *
create_with(uint32_t flags, void *data)
{
    px_context_options options;
    px_context *cx;
    px_context_options_init(&options);
    options.flags = flags;
    options.data = data;
    assert_int_equal(px_context_create(&options, &cx), 0);
    return cx;
}

static void
create__is_as_new__where_a_default_context_was(void **state)
{
    static const char zeros[1000];
    (void)state;
    for (int life = 0; life < 3; life++) {
        px_context *cx = create_with(PX_HEAP_SMALL_START, &life);
        px_context *before = cx;
        px_snapshot newer;
        assert_fresh(cx, &life);
        px_snapshot stale = live_fully(cx);
        px_context_release(cx);
        assert_null(px_owner(before));
        cx = create();
        assert_ptr_equal(cx, before); /* or the test would show nothing */
        assert_fresh(cx, NULL);
        assert_int_equal(px_heap_snapshot(px_context_heap(cx), &newer), 0);
        assert_int_equal(px_heap_rollback(px_context_heap(cx), &stale),
                         PX_ESTALE);
        assert_memory_equal(px_heap_calloc(px_context_heap(cx), 1, 1000), zeros,
                            1000);
        assert_memory_equal(px_heap_calloc(px_context_base(cx), 1, 1000), zeros,
                            1000);
        px_context_release(cx);
    }
}

/* What another kind of owner leaves in the window is not revived as a context,
 * nor a context as a heap. */
static void
create__is_as_new__after_other_owners(void **state)
{
    static const uint32_t kinds[] = {0, PX_HEAP_SIZED, PX_HEAP_SMALL_PAGES};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        px_context *cx = create();
        px_heap *heap;
        live_fully(cx);
        px_context_release(cx);
        assert_int_equal(px_heap_create(NULL, &heap), 0);
        assert_heap_is_fresh(heap);
        assert_ptr_equal(px_heap_of(heap), heap);
        assert_null(px_owner(heap));
        px_heap_release(heap);
        cx = create();
        assert_fresh(cx, NULL);
        px_context_release(cx);
        cx = create_with(kinds[i], NULL);
        live_fully(cx);
        px_context_release(cx);
        cx = create();
        assert_fresh(cx, NULL);
        px_context_release(cx);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__starts_with_one_reference__and_nothing_else),
        cmocka_unit_test(create__refuses_bad_options__and_leaves_out_alone),
        cmocka_unit_test(create__takes_the_shorter_struct__of_an_older_caller),
        cmocka_unit_test(create__is_as_new__where_a_default_context_was),
        cmocka_unit_test(create__is_as_new__after_other_owners),
        cmocka_unit_test(heaps__are_two__in_one_window),
        cmocka_unit_test(window__holds_what_the_context_owns__and_refuses_null),
        cmocka_unit_test(owner__is_exact__between_contexts_and_others),
        cmocka_unit_test(quota__holds_for_the_context__and_leaves_it_usable),
        cmocka_unit_test(
            release__runs_the_cleanups__at_the_last_reference_only),
        cmocka_unit_test(enter__nests__and_leave_restores),
        cmocka_unit_test(release__of_an_entered_context__waits_for_leave),
        cmocka_unit_test(enter__is_refused_elsewhere__while_entered_here),
        cmocka_unit_test(fork__leaves_contexts_readable__but_not_usable),
        cmocka_unit_test(release__once_too_often__is_caught),
        cmocka_unit_test(data__belongs_to_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
