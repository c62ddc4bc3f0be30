/* Allocation: sizes, alignment, zeroing, resizing, formatting. */
#include "heap_support.h"

#include <stdlib.h>

static void
alloc__is_aligned_and_apart__any_size(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        char *before = NULL;
        for (size_t bytes = 0; bytes < 600; bytes++) {
            char *block = px_heap_alloc(heap, bytes);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block & 15, 0);
            assert_true(!before || block >= before + bytes - 1);
            memset(block, 1, bytes);
            before = block;
        }
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

static void
alloc__gives_distinct_blocks__size_zero(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        void *a = px_heap_alloc(heap, 0);
        void *b = px_heap_alloc_exported(heap, 0);
        assert_non_null(a);
        assert_non_null(b);
        assert_ptr_not_equal(a, b);
    }
}

static void
alloc__is_null_and_counted__absurd_sizes(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        size_t window = stats_of(heap).window_bytes;
        assert_null(px_heap_alloc(heap, SIZE_MAX));
        assert_null(px_heap_alloc(heap, SIZE_MAX - 15));
        assert_null(px_heap_alloc_exported(heap, SIZE_MAX / 2 + 1));
        assert_null(px_heap_alloc(heap, window));
        assert_null(px_heap_alloc(heap, window + 1));
        assert_int_equal(stats_of(heap).failed_count, 5);
        assert_non_null(px_heap_alloc(heap, 100));
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

/* The last byte of the window can be had, one more cannot. */
static void
alloc__fills_the_window__to_its_end(void **state)
{
    px_heap *heap;
    px_heap_options options;
    (void)state;
    px_heap_options_init(&options);
    options.window_bytes = 16 * MB;
    assert_int_equal(px_heap_create(&options, &heap), 0);
    size_t count = 0;
    while (px_heap_alloc(heap, MB - 64))
        count++;
    assert_int_equal(count, 15);
    while (px_heap_alloc(heap, 1))
        count++;
    assert_null(px_heap_alloc(heap, 1));
    assert_int_equal(px_heap_validate(heap), 0);
    px_heap_release(heap);
}

static void
alloc__may_straddle_chunks__large_blocks(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        for (size_t bytes = 100; bytes < 20 * MB; bytes *= 7) {
            char *block = px_heap_alloc(heap, bytes);
            assert_non_null(block);
            memset(block, 0xA5, bytes);
            assert_ptr_equal(px_heap_of(block + bytes - 1), heap);
        }
        assert_int_equal(px_heap_validate(heap), 0);
        assert_true(stats_of(heap).chunk_count > 2);
    }
}

static void
alloc_aligned__is_aligned__powers_of_two_up_to_a_chunk(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        for (size_t alignment = 1; alignment <= PX_CHUNK_BYTES;
             alignment *= 2) {
            char *block = px_heap_alloc_aligned(heap, 24, alignment);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block & (alignment - 1), 0);
            memset(block, 1, 24);
        }
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

static void
alloc_aligned__is_null__bad_alignment_or_size(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    assert_null(px_heap_alloc_aligned(heap, 8, 0));
    assert_null(px_heap_alloc_aligned(heap, 8, 24));
    assert_null(px_heap_alloc_aligned(heap, 8, 2 * PX_CHUNK_BYTES));
    assert_null(px_heap_alloc_aligned(heap, SIZE_MAX - 8, 4096));
    assert_null(px_heap_alloc_aligned(NULL, 8, 16));
    px_heap_release(heap);
}

static bool
is_zero(const unsigned char *block, size_t bytes)
{
    unsigned char any = 0;
    for (size_t i = 0; i < bytes; i++)
        any |= block[i];
    return any == 0;
}

static void
calloc__is_zeroed__memory_used_before(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        px_snapshot start = snapshot_of(heap);
        memset(px_heap_alloc(heap, 3 * MB), 0xFF, 3 * MB);
        assert_int_equal(px_heap_rollback(heap, &start), 0);
        unsigned char *block = px_heap_calloc(heap, 5, MB);
        assert_true(is_zero(block, 5 * MB));
        assert_non_null(px_heap_calloc(heap, 0, 8));
    }
}

/* The window of one heap is the next one's, with its dirt. */
static void
calloc__is_zeroed__window_used_before(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        px_heap *heap = heap_with(heap_kinds[round % 5]);
        unsigned char *block = px_heap_calloc(heap, 1, 3 * MB);
        assert_true(is_zero(block, 3 * MB));
        memset(block, 0xFF, 3 * MB);
        px_heap_release(heap);
    }
}

static void
calloc__is_zeroed__block_of_a_free_list(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    (void)state;
    unsigned char *block = px_heap_alloc(heap, 100);
    memset(block, 0xFF, 100);
    assert_non_null(px_heap_alloc(heap, 1));
    assert_int_equal(px_heap_free(heap, block), 0);
    unsigned char *again = px_heap_calloc(heap, 10, 10);
    assert_ptr_equal(again, block);
    assert_true(is_zero(again, 100));
    px_heap_release(heap);
}

static void
calloc__is_null__product_overflows(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    assert_null(px_heap_calloc(heap, SIZE_MAX / 2, 3));
    assert_null(px_heap_calloc(heap, SIZE_MAX, 1));
    assert_null(px_heap_calloc(NULL, 1, 1));
    px_heap_release(heap);
}

static void
resize__stays_in_place__newest_block(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    char *block = px_heap_resize(heap, NULL, 0, 10);
    strcpy(block, "123456789");
    assert_ptr_equal(px_heap_resize(heap, block, 10, 5 * MB), block);
    assert_string_equal(block, "123456789");
    assert_ptr_equal(px_heap_resize(heap, block, 5 * MB, 10), block);
    assert_string_equal(block, "123456789");
    assert_null(px_heap_resize(heap, block, 10, SIZE_MAX - 3));
    assert_null(px_heap_resize(heap, block, 10, 256 * MB));
    assert_string_equal(block, "123456789");
    px_heap_release(heap);
}

static void
resize__copies__block_is_not_the_newest(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    char *block = px_heap_strdup(heap, "old");
    assert_non_null(px_heap_alloc(heap, 1));
    assert_ptr_equal(px_heap_resize(heap, block, 4, 2), block);
    char *moved = px_heap_resize(heap, block, 2, 100);
    assert_ptr_not_equal(moved, block);
    assert_memory_equal(moved, "old", 2);
    px_heap_release(heap);
}

static void
resize__never_grows_across__a_snapshot(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        char *block = px_heap_memdup(heap, "0123456789abcdef", 16);
        px_snapshot here = snapshot_of(heap);
        char *grown = px_heap_resize(heap, block, 16, 4000);
        assert_non_null(grown);
        assert_ptr_not_equal(grown, block);
        memset(grown, 'x', 4000);
        assert_int_equal(px_heap_rollback(heap, &here), 0);
        assert_memory_equal(block, "0123456789abcdef", 16);
        assert_int_equal(px_heap_snapshot_drop(heap, &here), 0);
        grown = px_heap_resize(heap, block, 16, 4000);
        assert_non_null(grown);
        assert_memory_equal(grown, "0123456789abcdef", 16);
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

static void
resize__is_null__not_a_block_of_the_heap(void **state)
{
    px_heap *heap = heap_with(0);
    char local[32];
    (void)state;
    assert_null(px_heap_resize(heap, local, 16, 32));
    char *block = px_heap_alloc(heap, 16);
    assert_null(px_heap_resize(heap, block, 2 * MB, 32));
    assert_null(px_heap_resize(NULL, block, 16, 32));
    px_heap_release(heap);
}

static void
copies__hold_the_text__any_heap(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        char many[1000];
        memset(many, 'y', sizeof many);
        many[999] = '\0';
        assert_string_equal(px_heap_strdup(heap, ""), "");
        assert_string_equal(px_heap_strdup(heap, many), many);
        assert_string_equal(px_heap_printf(heap, "%s", many), many);
        assert_string_equal(px_heap_printf(heap, "%d-%s", 7, "x"), "7-x");
        assert_memory_equal(px_heap_memdup(heap, many, 500), many, 500);
        assert_non_null(px_heap_memdup(heap, many, 0));
    }
}

/* A wide character that no encoding has: vsnprintf() itself refuses. */
static const char *volatile no_text = "%lc";
enum { NO_CHARACTER = 0x7FFFFFFF };

static void
copies__are_null__nothing_to_copy(void **state)
{
    px_heap *heap = heap_with(0);
    const char *volatile no_format = NULL;
    (void)state;
    assert_null(px_heap_strdup(heap, NULL));
    assert_null(px_heap_strdup(NULL, "x"));
    assert_null(px_heap_memdup(heap, NULL, 3));
    assert_null(px_heap_memdup(NULL, "x", 1));
    assert_null(px_heap_memdup(heap, "x", SIZE_MAX));
    assert_null(px_heap_printf(heap, no_format, 0));
    assert_null(px_heap_printf(NULL, no_text, NO_CHARACTER));
    assert_null(px_heap_printf(heap, no_text, NO_CHARACTER));
    px_heap_release(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc__is_aligned_and_apart__any_size),
        cmocka_unit_test(alloc__gives_distinct_blocks__size_zero),
        cmocka_unit_test(alloc__is_null_and_counted__absurd_sizes),
        cmocka_unit_test(alloc__fills_the_window__to_its_end),
        cmocka_unit_test(alloc__may_straddle_chunks__large_blocks),
        cmocka_unit_test(
            alloc_aligned__is_aligned__powers_of_two_up_to_a_chunk),
        cmocka_unit_test(alloc_aligned__is_null__bad_alignment_or_size),
        cmocka_unit_test(calloc__is_zeroed__memory_used_before),
        cmocka_unit_test(calloc__is_zeroed__window_used_before),
        cmocka_unit_test(calloc__is_zeroed__block_of_a_free_list),
        cmocka_unit_test(calloc__is_null__product_overflows),
        cmocka_unit_test(resize__stays_in_place__newest_block),
        cmocka_unit_test(resize__copies__block_is_not_the_newest),
        cmocka_unit_test(resize__never_grows_across__a_snapshot),
        cmocka_unit_test(resize__is_null__not_a_block_of_the_heap),
        cmocka_unit_test(copies__hold_the_text__any_heap),
        cmocka_unit_test(copies__are_null__nothing_to_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
