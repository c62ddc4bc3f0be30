/* Snapshots, rollback, drop: nesting, staleness, figures, threads. */
#include "heap_support.h"

#include "platform/thread.h"

static void
snapshot__is_refused__bad_arguments(void **state)
{
    px_heap *heap = heap_with(0);
    px_snapshot snapshot = snapshot_of(heap);
    (void)state;
    assert_int_equal(px_heap_snapshot(NULL, &snapshot), PX_EINVAL);
    assert_int_equal(px_heap_snapshot(heap, NULL), PX_EINVAL);
    assert_int_equal(px_heap_rollback(NULL, &snapshot), PX_EINVAL);
    assert_int_equal(px_heap_rollback(heap, NULL), PX_EINVAL);
    assert_int_equal(px_heap_snapshot_drop(NULL, &snapshot), PX_EINVAL);
    assert_int_equal(px_heap_snapshot_drop(heap, NULL), PX_EINVAL);
    px_heap_release(heap);
}

static void
assert_same_figures(const px_heap_stats *a, const px_heap_stats *b)
{
    assert_int_equal(a->used_bytes, b->used_bytes);
    assert_int_equal(a->chunk_count, b->chunk_count);
    assert_int_equal(a->snapshot_count, b->snapshot_count);
    assert_int_equal(a->cleanup_count, b->cleanup_count);
}

static void
ignore(void *arg)
{
    (void)arg;
}

static void
rollback__restores_the_figures__again_and_again(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        assert_int_equal(px_heap_defer(heap, ignore, NULL), 0);
        px_snapshot here = snapshot_of(heap);
        px_heap_stats then = stats_of(heap);
        uint64_t dropped = 0;
        for (size_t round = 0; round < 100; round++) {
            for (size_t i = 0; i < round; i++)
                assert_non_null(px_heap_alloc(heap, i * round));
            assert_int_equal(px_heap_defer(heap, ignore, NULL), 0);
            snapshot_of(heap);
            dropped += stats_of(heap).used_bytes - then.used_bytes;
            assert_int_equal(px_heap_rollback(heap, &here), 0);
            px_heap_stats now = stats_of(heap);
            assert_same_figures(&now, &then);
        }
        assert_int_equal(stats_of(heap).rollback_count, 100);
        assert_int_equal(stats_of(heap).rolled_back_bytes, dropped);
        assert_true(stats_of(heap).peak_used_bytes > then.used_bytes);
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

static void
rollback__gives_the_same_addresses__each_round(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        px_snapshot here = snapshot_of(heap);
        void *block = px_heap_alloc(heap, 100);
        for (int round = 0; round < 5; round++) {
            assert_int_equal(px_heap_rollback(heap, &here), 0);
            assert_ptr_equal(px_heap_alloc(heap, 100), block);
        }
    }
}

static void
rollback__makes_newer_ones_stale__nested(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        px_snapshot nested[10];
        for (int i = 0; i < 10; i++) {
            nested[i] = snapshot_of(heap);
            assert_non_null(px_heap_alloc(heap, 1000));
        }
        assert_int_equal(px_heap_rollback(heap, &nested[4]), 0);
        px_heap_stats before = stats_of(heap);
        for (int i = 5; i < 10; i++) {
            assert_int_equal(px_heap_rollback(heap, &nested[i]), PX_ESTALE);
            assert_int_equal(px_heap_snapshot_drop(heap, &nested[i]),
                             PX_ESTALE);
        }
        px_heap_stats after = stats_of(heap);
        assert_same_figures(&before, &after);
        for (int i = 4; i >= 0; i--)
            assert_int_equal(px_heap_rollback(heap, &nested[i]), 0);
        assert_int_equal(stats_of(heap).snapshot_count, 1);
    }
}

/* The new record lies where the old one lay: only the serial tells. */
static void
rollback__knows_a_stale_one__same_address(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    px_snapshot base = snapshot_of(heap);
    px_snapshot old = snapshot_of(heap);
    assert_int_equal(px_heap_rollback(heap, &base), 0);
    px_snapshot now = snapshot_of(heap);
    assert_ptr_equal(old.record, now.record);
    assert_int_equal(px_heap_rollback(heap, &old), PX_ESTALE);
    assert_int_equal(px_heap_rollback(heap, &now), 0);
    px_heap_release(heap);
}

static void
rollback__is_stale__foreign_or_invented_snapshots(void **state)
{
    px_heap *heap = heap_with(0), *other = heap_with(0);
    int local;
    (void)state;
    px_snapshot foreign = snapshot_of(other);
    px_snapshot null = {0}, stack = {&local, 1}, wild = {(void *)1, 1};
    assert_int_equal(px_heap_rollback(heap, &null), PX_ESTALE);
    px_snapshot own = snapshot_of(heap);
    assert_int_equal(px_heap_rollback(heap, &foreign), PX_ESTALE);
    assert_int_equal(px_heap_rollback(heap, &null), PX_ESTALE);
    assert_int_equal(px_heap_rollback(heap, &stack), PX_ESTALE);
    assert_int_equal(px_heap_rollback(heap, &wild), PX_ESTALE);
    wild = (px_snapshot){(const char *)own.record + 16, own.serial};
    assert_int_equal(px_heap_rollback(heap, &wild), PX_ESTALE);
    px_heap_release(heap);
    px_heap_release(other);
}

/* The next heap in the same window takes its records at the same places. */
static void
rollback__is_stale__snapshot_of_a_released_heap(void **state)
{
    (void)state;
    px_heap *heap = heap_with(0);
    px_snapshot old = snapshot_of(heap);
    px_heap_release(heap);
    px_heap *again = heap_with(0);
    px_snapshot now = snapshot_of(again);
    assert_ptr_equal(again, heap);
    assert_ptr_equal(now.record, old.record);
    assert_int_equal(px_heap_rollback(again, &old), PX_ESTALE);
    px_heap_release(again);
}

static void
drop__keeps_the_memory__but_not_the_snapshot(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        px_snapshot outer = snapshot_of(heap);
        px_snapshot inner = snapshot_of(heap);
        char *text = px_heap_strdup(heap, "kept");
        px_snapshot newest = snapshot_of(heap);
        size_t used = stats_of(heap).used_bytes;
        assert_int_equal(px_heap_snapshot_drop(heap, &inner), 0);
        assert_int_equal(stats_of(heap).snapshot_count, 1);
        assert_int_equal(stats_of(heap).used_bytes, used);
        assert_string_equal(text, "kept");
        assert_int_equal(px_heap_rollback(heap, &inner), PX_ESTALE);
        assert_int_equal(px_heap_rollback(heap, &newest), PX_ESTALE);
        assert_int_equal(px_heap_rollback(heap, &outer), 0);
        assert_true(stats_of(heap).used_bytes < used);
    }
}

struct handover {
    px_heap *heap;
    px_snapshot snapshot;
    int status;
};

static void
roll_back_there(void *arg)
{
    struct handover *work = arg;
    work->status = px_heap_rollback(work->heap, &work->snapshot);
}

static void
rollback__works__on_another_thread(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        struct handover work = {heap, snapshot_of(heap), 1};
        px__thread thread;
        void *block = px_heap_alloc(heap, 3 * MB);
        assert_int_equal(
            px__thread_create(&thread, "roll", roll_back_there, &work), 0);
        px__thread_join(&thread);
        assert_int_equal(work.status, 0);
        assert_ptr_equal(px_heap_alloc(heap, 3 * MB), block);
    }
}

static void
snapshot__is_out_of_memory__full_heap(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        while (px_heap_alloc(heap, MB))
            continue;
        while (px_heap_alloc(heap, 1))
            continue;
        px_snapshot none = {heap, 77};
        assert_int_equal(px_heap_snapshot(heap, &none), PX_ENOMEM);
        assert_int_equal(none.serial, 77);
        assert_int_equal(px_heap_defer(heap, ignore, NULL), PX_ENOMEM);
        assert_int_equal(stats_of(heap).cleanup_count, 0);
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

#if defined(PXRT_DEBUG) && !defined(__SANITIZE_ADDRESS__)
static void
rollback__overwrites_what_is_dropped__debug_build(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    px_snapshot here = snapshot_of(heap);
    volatile unsigned char *gone = px_heap_calloc(heap, 1, 64);
    assert_int_equal(px_heap_rollback(heap, &here), 0);
    for (int i = 0; i < 64; i++)
        assert_int_equal(gone[i], 0xDD);
    px_heap_release(heap);
}
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>

/* Exactly what was asked for may be touched, and not after a rollback. */
static void
blocks__are_poisoned_around_and_after__address_sanitizer(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    for (size_t bytes = 1; bytes < 100; bytes++) {
        px_snapshot here = snapshot_of(heap);
        char *block = px_heap_alloc(heap, bytes);
        assert_null(__asan_region_is_poisoned(block, bytes));
        assert_true(__asan_address_is_poisoned(block + bytes));
        assert_true(__asan_address_is_poisoned(block + bytes + 15));
        assert_int_equal(px_heap_rollback(heap, &here), 0);
        assert_true(__asan_address_is_poisoned(block));
        assert_true(__asan_address_is_poisoned(block + bytes - 1));
    }
    px_heap_release(heap);
}
#endif

/* Else a loop of these three would eat up the heap. */
static void
drop__takes_the_record_back__right_after_a_rollback(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    px_snapshot outer = snapshot_of(heap);
    size_t used = stats_of(heap).used_bytes;
    for (int i = 0; i < 3; i++) {
        px_snapshot inner = snapshot_of(heap);
        assert_non_null(px_heap_alloc(heap, 100));
        assert_int_equal(px_heap_rollback(heap, &inner), 0);
        assert_int_equal(px_heap_snapshot_drop(heap, &inner), 0);
        assert_int_equal(stats_of(heap).used_bytes, used);
        assert_int_equal(px_heap_rollback(heap, &inner), PX_ESTALE);
        assert_int_equal(px_heap_validate(heap), 0);
    }
    assert_int_equal(px_heap_rollback(heap, &outer), 0);
    px_heap_release(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshot__is_refused__bad_arguments),
        cmocka_unit_test(rollback__restores_the_figures__again_and_again),
        cmocka_unit_test(rollback__gives_the_same_addresses__each_round),
        cmocka_unit_test(rollback__makes_newer_ones_stale__nested),
        cmocka_unit_test(rollback__knows_a_stale_one__same_address),
        cmocka_unit_test(rollback__is_stale__foreign_or_invented_snapshots),
        cmocka_unit_test(rollback__is_stale__snapshot_of_a_released_heap),
        cmocka_unit_test(drop__keeps_the_memory__but_not_the_snapshot),
        cmocka_unit_test(rollback__works__on_another_thread),
        cmocka_unit_test(snapshot__is_out_of_memory__full_heap),
#if defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(
            blocks__are_poisoned_around_and_after__address_sanitizer),
#elif defined(PXRT_DEBUG)
        cmocka_unit_test(rollback__overwrites_what_is_dropped__debug_build),
#endif
        cmocka_unit_test(drop__takes_the_record_back__right_after_a_rollback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
