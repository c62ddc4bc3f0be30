/* Deferred cleanups: when they run, in which order, what they may do. */
#include "heap_support.h"

static int ran[64];
static int ran_count;

static int
forget(void **state)
{
    (void)state;
    ran_count = 0;
    return 0;
}

static void
note(void *arg)
{
    ran[ran_count++] = *(int *)arg;
}

static int numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static void
defer_number(px_heap *heap, int number)
{
    assert_int_equal(px_heap_defer(heap, note, &numbers[number]), 0);
}

static void
defer__runs_newest_first__at_release(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        ran_count = 0;
        for (int i = 0; i < 10; i++)
            defer_number(heap, i);
        px_heap_retain(heap);
        px_heap_release(heap);
        assert_int_equal(ran_count, 0);
    }
    assert_int_equal(ran_count, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ran[i], 9 - i);
}

static void
defer__runs_the_newer_ones__at_rollback(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        ran_count = 0;
        defer_number(heap, 1);
        px_snapshot outer = snapshot_of(heap);
        defer_number(heap, 2);
        px_snapshot inner = snapshot_of(heap);
        defer_number(heap, 3);
        assert_int_equal(px_heap_rollback(heap, &inner), 0);
        assert_int_equal(ran_count, 1);
        assert_int_equal(px_heap_rollback(heap, &inner), 0);
        assert_int_equal(ran_count, 1);
        defer_number(heap, 4);
        assert_int_equal(px_heap_rollback(heap, &outer), 0);
        assert_int_equal(ran_count, 3);
        assert_int_equal(ran[0], 3);
        assert_int_equal(ran[1], 4);
        assert_int_equal(ran[2], 2);
        assert_int_equal(stats_of(heap).cleanup_count, 1);
    }
}

static void
defer__moves_to_the_older_snapshot__at_drop(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    px_snapshot outer = snapshot_of(heap);
    px_snapshot inner = snapshot_of(heap);
    defer_number(heap, 1);
    assert_int_equal(px_heap_snapshot_drop(heap, &inner), 0);
    assert_int_equal(ran_count, 0);
    assert_int_equal(px_heap_rollback(heap, &outer), 0);
    assert_int_equal(ran_count, 1);
    px_heap_release(heap);
}

struct attempt {
    px_heap *heap;
    px_snapshot snapshot;
    char *block;
    int calls;
};

/* Everything that needs the cursor is refused; the memory is still there. */
static void
attempt_everything(void *arg)
{
    struct attempt *a = arg;
    px_heap *heap = a->heap;
    px_snapshot none;
    a->calls++;
    assert_string_equal(a->block, "block");
    assert_null(px_heap_alloc(heap, 1));
    assert_null(px_heap_calloc(heap, 1, 1));
    assert_null(px_heap_alloc_aligned(heap, 1, 64));
    assert_null(px_heap_resize(heap, a->block, 6, 4000));
    assert_ptr_equal(px_heap_resize(heap, a->block, 6, 6), a->block);
    assert_int_equal(px_heap_snapshot(heap, &none), PX_EBUSY);
    assert_int_equal(px_heap_rollback(heap, &a->snapshot), PX_EBUSY);
    assert_int_equal(px_heap_snapshot_drop(heap, &a->snapshot), PX_EBUSY);
    assert_int_equal(px_heap_defer(heap, note, heap), PX_EBUSY);
    assert_int_equal(px_heap_trim(heap, 0), 0);
    int freed = px_heap_free(heap, a->block);
    assert_true(freed == 0 || freed == PX_EINVAL);
    assert_int_equal(px_heap_validate(heap), 0);
    assert_ptr_equal(px_heap_of(a->block), heap);
    px_heap_retain(heap);
    px_heap_release(heap);
}

static void
cleanup__reads_but_cannot_allocate__in_rollback_and_release(void **state)
{
    px_heap *heap;
    struct attempt a = {0};
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        a.heap = heap;
        a.calls = 0;
        a.snapshot = snapshot_of(heap);
        a.block = px_heap_strdup(heap, "block");
        assert_int_equal(px_heap_defer(heap, attempt_everything, &a), 0);
        assert_int_equal(px_heap_rollback(heap, &a.snapshot), 0);
        assert_int_equal(a.calls, 1);
        a.block = px_heap_strdup(heap, "block");
        assert_non_null(a.block);
        assert_int_equal(px_heap_defer(heap, attempt_everything, &a), 0);
    }
    assert_int_equal(a.calls, 2);
}

static void
defer__is_refused__bad_arguments(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    assert_int_equal(px_heap_defer(NULL, note, NULL), PX_EINVAL);
    assert_int_equal(px_heap_defer(heap, NULL, NULL), PX_EINVAL);
    px_heap_release(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defer__runs_newest_first__at_release, forget),
        cmocka_unit_test_setup(defer__runs_the_newer_ones__at_rollback, forget),
        cmocka_unit_test_setup(defer__moves_to_the_older_snapshot__at_drop,
                               forget),
        cmocka_unit_test(
            cleanup__reads_but_cannot_allocate__in_rollback_and_release),
        cmocka_unit_test(defer__is_refused__bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
