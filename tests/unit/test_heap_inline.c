/* The inline functions of <pxrt/heap_inline.h>. Where a sanitizer or a debug
 * build closes the short ways, only what holds without them is tested. */
#include "heap_support.h"

#include "heap/header.h"

enum { SMALL_MAX = 504 };

static bool
is_open(px_heap *heap)
{
    return px__front_of(heap)->lists != NULL;
}

/* A heap whose short ways are open; else the test is skipped. */
static px_heap *
open_heap(void)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    if (!is_open(heap)) {
        px_heap_release(heap);
        skip();
    }
    return heap;
}

static void
assert_sound(const px_heap *heap)
{
    assert_int_equal(px_heap_validate(heap), 0);
}

static void
alloc_freed__has_nothing__nothing_was_freed(void **state)
{
    static const size_t sizes[] = {
        0, 1, 8, 9, 504, 505, 512, SIZE_MAX / 2, SIZE_MAX - 7, SIZE_MAX};
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        size_t used = stats_of(heap).used_bytes;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            assert_null(px_heap_alloc_freed(heap, sizes[i]));
        assert_int_equal(stats_of(heap).used_bytes, used);
        assert_int_equal(stats_of(heap).failed_count, 0);
    }
}

static void
alloc_freed__gives_the_latest_first__same_size(void **state)
{
    px_heap *heap = open_heap();
    void *blocks[4];
    (void)state;
    for (size_t bytes = 0; bytes <= SMALL_MAX; bytes += 7) {
        for (int i = 0; i < 4; i++)
            blocks[i] = px_heap_alloc_new(heap, bytes);
        for (int i = 0; i < 4; i++)
            px_heap_free_live(heap, blocks[i]);
        assert_null(px_heap_alloc_freed(heap, SMALL_MAX + 1));
        for (int i = 3; i >= 0; i--) {
            size_t usable = bytes + (8 - bytes) % 16; /* 8 mod 16 */
            assert_ptr_equal(px_heap_alloc_freed(heap, usable), blocks[i]);
            assert_int_equal(px_heap_block_size(heap, blocks[i]), usable);
        }
        assert_null(px_heap_alloc_freed(heap, bytes));
        assert_sound(heap);
    }
    px_heap_release(heap);
}

static void
alloc_freed__leaves_them__larger_blocks(void **state)
{
    px_heap *heap = open_heap();
    (void)state;
    void *block = px_heap_alloc(heap, SMALL_MAX + 1);
    assert_non_null(px_heap_alloc(heap, 1));
    px_heap_free_live(heap, block);
    assert_int_equal(px_heap_free(heap, block), PX_EINVAL); /* it is free */
    assert_null(px_heap_alloc_freed(heap, SMALL_MAX + 1));
    assert_ptr_equal(px_heap_alloc_new(heap, SMALL_MAX + 1), block);
    assert_sound(heap);
    px_heap_release(heap);
}

static void
alloc_new__is_usable__any_size_and_heap(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        char *before = NULL;
        for (size_t bytes = 0; bytes < 4 * MB; bytes += 1 + bytes / 16) {
            char *block = px_heap_alloc_new(heap, bytes);
            assert_true(block >= before);
            assert_int_equal((uintptr_t)block % 16, 0);
            memset(block, 1, bytes);
            before = block + bytes;
        }
        assert_null(px_heap_alloc_new(heap, SIZE_MAX));
        assert_null(px_heap_alloc_new(heap, SIZE_MAX / 2));
        assert_null(px_heap_alloc_new(heap, stats_of(heap).window_bytes));
        assert_int_equal(stats_of(heap).failed_count, 3);
        assert_sound(heap);
    }
}

static void
alloc_new__takes_new_memory__something_is_listed(void **state)
{
    px_heap *heap = open_heap();
    (void)state;
    char *freed = px_heap_alloc_new(heap, 40);
    char *newest = px_heap_alloc_new(heap, 40);
    px_heap_free_live(heap, freed);
    assert_true((char *)px_heap_alloc_new(heap, 40) > newest);
    assert_ptr_equal(px_heap_alloc(heap, 40), freed);
    assert_sound(heap);
    px_heap_release(heap);
}

/* Small blocks up to the last byte of the window: the cursor never leaves what
 * is committed, and nothing is lost when no more is to be had. */
static void
alloc_new__ends__window_is_full(void **state)
{
    px_heap_options options;
    px_heap *heap;
    void *last = NULL, *block;
    (void)state;
    px_heap_options_init(&options);
    options.flags = PX_HEAP_FREE_LISTS;
    options.quota_bytes = 3 * MB;
    assert_int_equal(px_heap_create(&options, &heap), 0);
    for (size_t bytes = 0; (block = px_heap_alloc_new(heap, bytes)) != NULL;
         bytes = (bytes + 8) % (SMALL_MAX + 1))
        last = block;
    assert_sound(heap);
    assert_int_equal(stats_of(heap).failed_count, 1);
    size_t usable = px_heap_block_size(heap, last);
    px_heap_free_live(heap, last);
    assert_ptr_equal(px_heap_alloc(heap, usable), last);
    assert_sound(heap);
    px_heap_release(heap);
}

static void
free_live__frees__any_sized_heap(void **state)
{
    static const uint32_t kinds[] = {PX_HEAP_SIZED, PX_HEAP_FREE_LISTS};
    (void)state;
    for (size_t kind = 0; kind < 2; kind++) {
        px_heap *heap = heap_with(kinds[kind]);
        for (size_t bytes = 0; bytes < 4 * MB; bytes += 1 + bytes / 3) {
            void *block = px_heap_alloc(heap, bytes);
            assert_non_null(px_heap_alloc_new(heap, 1));
            px_heap_free_live(heap, block);
            assert_int_equal(px_heap_block_size(heap, block), 0);
            assert_int_equal(px_heap_free(heap, block), PX_EINVAL);
            if (kinds[kind] & PX_HEAP_FREE_LISTS)
                assert_ptr_equal(px_heap_alloc(heap, bytes), block);
        }
        px_heap_free_live(heap, NULL);
        assert_sound(heap);
        px_heap_release(heap);
    }
}

static void
free_live__ignores__blocks_below_a_snapshot(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    (void)state;
    char *old = px_heap_alloc(heap, 64);
    memset(old, 'o', 64);
    px_snapshot here = snapshot_of(heap);
    for (int round = 0; round < 3; round++) {
        px_heap_free_live(heap, old);
        assert_null(px_heap_alloc_freed(heap, 64));
        void *block = px_heap_alloc_new(heap, 64);
        assert_true((const char *)block > (const char *)here.record);
        px_heap_free_live(heap, block);
        assert_ptr_equal(px_heap_alloc(heap, 64), block);
        px_heap_free_live(heap, block);
        assert_sound(heap);
        assert_int_equal(px_heap_rollback(heap, &here), 0);
        assert_sound(heap);
    }
    for (int i = 0; i < 64; i++)
        assert_int_equal(old[i], 'o');
    assert_int_equal(px_heap_snapshot_drop(heap, &here), 0);
    px_heap_free_live(heap, old);
    assert_ptr_equal(px_heap_alloc(heap, 64), old);
    px_heap_release(heap);
}

/* Three generations of lists become one, the newest in front; lists that were
 * emptied, or never used, on either side. */
static void
lists__are_joined__snapshots_dropped(void **state)
{
    px_heap *heap = open_heap();
    px_snapshot marks[2];
    void *blocks[3][3];
    (void)state;
    for (int age = 0; age < 3; age++) {
        for (int i = 0; i < 3; i++)
            blocks[age][i] = px_heap_alloc_new(heap, 40);
        for (int i = 0; i < 3; i++)
            px_heap_free_live(heap, blocks[age][i]);
        px_heap_free_live(heap,
                          px_heap_alloc_new(heap, (size_t)(100 + 16 * age)));
        px_heap_free_live(heap, px_heap_alloc(heap, 200));
        assert_non_null(px_heap_alloc_freed(heap, 200)); /* emptied again */
        if (age < 2)
            marks[age] = snapshot_of(heap);
    }
    assert_int_equal(px_heap_snapshot_drop(heap, &marks[0]), 0);
    assert_sound(heap);
    for (int age = 2; age >= 0; age--) {
        for (int i = 2; i >= 0; i--)
            assert_ptr_equal(px_heap_alloc_freed(heap, 40), blocks[age][i]);
        assert_non_null(px_heap_alloc_freed(heap, (size_t)(100 + 16 * age)));
    }
    assert_null(px_heap_alloc_freed(heap, 40));
    assert_null(px_heap_alloc_freed(heap, 200));
    assert_sound(heap);
    px_heap_release(heap);
}

static void
calloc__is_zeroed__over_freed_memory(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    static const char zeros[SMALL_MAX];
    (void)state;
    for (size_t bytes = 1; bytes <= SMALL_MAX; bytes += 9) {
        void *block = px_heap_alloc_new(heap, bytes);
        memset(block, 'x', bytes);
        px_heap_free_live(heap, block);
        assert_ptr_equal(px_heap_calloc(heap, 1, bytes), block);
        assert_memory_equal(block, zeros, bytes);
    }
    px_heap_release(heap);
}

struct closed {
    px_heap *heap;
    void *block;
    int calls;
};

static void
try_all(void *arg)
{
    struct closed *closed = arg;
    closed->calls++;
    assert_false(is_open(closed->heap));
    assert_null(px_heap_alloc_freed(closed->heap, 40));
    assert_null(px_heap_alloc_new(closed->heap, 40));
    px_heap_free_live(closed->heap, closed->block); /* ignored */
    assert_int_equal(px_heap_block_size(closed->heap, closed->block), 40);
}

static void
short_ways__are_closed__inside_a_cleanup(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    bool was_open = is_open(heap);
    struct closed closed = {.heap = heap};
    (void)state;
    px_snapshot here = snapshot_of(heap);
    closed.block = px_heap_alloc_new(heap, 40);
    px_heap_free_live(heap, px_heap_alloc_new(heap, 40));
    assert_int_equal(px_heap_defer(heap, try_all, &closed), 0);
    assert_int_equal(px_heap_rollback(heap, &here), 0);
    assert_int_equal(closed.calls, 1);
    assert_int_equal(is_open(heap), was_open);
    assert_null(px_heap_alloc_freed(heap, 40));
    assert_sound(heap);
    px_heap_release(heap);
}

static void
short_ways__are_closed__no_lists(void **state)
{
    px_heap *plain = heap_with(0), *sized = heap_with(PX_HEAP_SIZED);
    (void)state;
    assert_false(is_open(plain));
    assert_false(is_open(sized));
    px_heap_release(plain);
    px_heap_release(sized);
}

static void
short_ways__are_open__unless_watched(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    (void)state;
    assert_int_equal(is_open(heap), PX_SHORT_WAYS && !px__note_needed());
    px_heap_release(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_freed__has_nothing__nothing_was_freed),
        cmocka_unit_test(alloc_freed__gives_the_latest_first__same_size),
        cmocka_unit_test(alloc_freed__leaves_them__larger_blocks),
        cmocka_unit_test(alloc_new__is_usable__any_size_and_heap),
        cmocka_unit_test(alloc_new__takes_new_memory__something_is_listed),
        cmocka_unit_test(alloc_new__ends__window_is_full),
        cmocka_unit_test(free_live__frees__any_sized_heap),
        cmocka_unit_test(free_live__ignores__blocks_below_a_snapshot),
        cmocka_unit_test(lists__are_joined__snapshots_dropped),
        cmocka_unit_test(calloc__is_zeroed__over_freed_memory),
        cmocka_unit_test(short_ways__are_closed__inside_a_cleanup),
        cmocka_unit_test(short_ways__are_closed__no_lists),
        cmocka_unit_test(short_ways__are_open__unless_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
