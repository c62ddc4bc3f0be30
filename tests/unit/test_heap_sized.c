/* Sized heaps: block sizes, free, realloc, free lists, walk, validate. */
#include "heap_support.h"

#include "heap/header.h"

static const uint32_t sized_kinds[] = {PX_HEAP_SIZED, PX_HEAP_FREE_LISTS,
                                       PX_HEAP_SIZED | PX_HEAP_SMALL_START};

#define EACH_SIZED(heap)                                                       \
    for (size_t kind_ = 0;                                                     \
         kind_ < 3 && ((heap) = heap_with(sized_kinds[kind_]));                \
         px_heap_release(heap), kind_++)

static void
block_size__covers_the_request__any_size(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_SIZED(heap)
    {
        for (size_t bytes = 0; bytes < 40000; bytes += 1 + bytes / 16) {
            char *block = px_heap_alloc(heap, bytes);
            size_t usable = px_heap_block_size(heap, block);
            assert_true(usable >= bytes && usable >= 8);
            assert_true(usable <= bytes + bytes / 4 + 48);
            memset(block, 1, usable);
        }
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

static void
sized__calls_are_refused__plain_heap(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    void *block = px_heap_alloc(heap, 10);
    assert_int_equal(px_heap_free(heap, block), PX_EINVAL);
    assert_int_equal(px_heap_free(NULL, block), PX_EINVAL);
    assert_null(px_heap_realloc(heap, block, 20));
    assert_null(px_heap_realloc(NULL, block, 20));
    assert_int_equal(px_heap_block_size(heap, block), 0);
    assert_int_equal(px_heap_block_size(NULL, block), 0);
    px_heap_release(heap);
}

static void
free__takes_back_the_newest__any_sized_heap(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_SIZED(heap)
    {
        size_t used = stats_of(heap).used_bytes;
        void *a = px_heap_alloc(heap, 600), *b = px_heap_alloc(heap, 3 * MB);
        assert_int_equal(px_heap_free(heap, b), 0);
        assert_int_equal(px_heap_free(heap, a), 0);
        assert_int_equal(stats_of(heap).used_bytes, used);
        assert_int_equal(px_heap_free(heap, NULL), 0);
    }
}

/* A small one is listed, if there are lists. */
static void
free__takes_back_or_lists__newest_small_block(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_SIZED(heap)
    {
        bool is_listed = sized_kinds[kind_] & PX_HEAP_FREE_LISTS;
        size_t used = stats_of(heap).used_bytes;
        void *block = px_heap_alloc(heap, 100);
        size_t more = stats_of(heap).used_bytes;
        assert_int_equal(px_heap_free(heap, block), 0);
        assert_int_equal(stats_of(heap).used_bytes, is_listed ? more : used);
        assert_int_equal(px_heap_free(heap, block), PX_EINVAL);
        assert_ptr_equal(px_heap_alloc(heap, 100), block);
        assert_int_equal(stats_of(heap).used_bytes, more);
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

static void
free__is_refused__not_a_live_block(void **state)
{
    px_heap *heap, *other = heap_with(PX_HEAP_SIZED);
    (void)state;
    EACH_SIZED(heap)
    {
        char *block = px_heap_calloc(heap, 1, 256), local[64];
        assert_non_null(px_heap_alloc(heap, 1));
        assert_int_equal(px_heap_free(heap, block + 16), PX_EINVAL);
        assert_int_equal(px_heap_free(heap, block + 1), PX_EINVAL);
        assert_int_equal(px_heap_free(heap, local), PX_EINVAL);
        assert_int_equal(px_heap_free(other, block), PX_EINVAL);
        assert_int_equal(px_heap_free(heap, heap), PX_EINVAL);
        assert_int_equal(px_heap_free(heap, block), 0);
        assert_int_equal(px_heap_free(heap, block), PX_EINVAL); /* twice */
        assert_int_equal(px_heap_block_size(heap, block), 0);
        assert_null(px_heap_realloc(heap, block, 10));
        assert_null(px_heap_realloc(heap, local, 10));
        assert_int_equal(px_heap_validate(heap), 0);
    }
    px_heap_release(other);
}

static void
free_list__serves_the_same_class__newest_heap_only(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    (void)state;
    for (size_t bytes = 1; bytes < 4 * MB; bytes += 1 + bytes / 3) {
        void *block = px_heap_alloc(heap, bytes);
        assert_non_null(px_heap_alloc(heap, 1)); /* block is not the newest */
        size_t usable = px_heap_block_size(heap, block);
        assert_int_equal(px_heap_free(heap, block), 0);
        size_t used = stats_of(heap).used_bytes;
        assert_ptr_equal(px_heap_alloc(heap, usable), block);
        assert_int_equal(stats_of(heap).used_bytes, used);
    }
    assert_int_equal(px_heap_validate(heap), 0);
    px_heap_release(heap);
}

static void
free_list__keeps_older_blocks__under_a_snapshot(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    (void)state;
    char *listed = px_heap_alloc(heap, 64), *kept = px_heap_alloc(heap, 64);
    memset(kept, 'k', 64);
    assert_int_equal(px_heap_free(heap, listed), 0);
    px_snapshot here = snapshot_of(heap);
    assert_int_equal(px_heap_free(heap, kept), 0); /* ignored */
    for (int i = 0; i < 10; i++) {
        char *block = px_heap_alloc(heap, 64);
        assert_true(block > (const char *)here.record);
        memset(block, 'n', 64);
        assert_non_null(px_heap_alloc(heap, 1));
        assert_int_equal(px_heap_free(heap, block), 0);
    }
    assert_int_equal(px_heap_rollback(heap, &here), 0);
    for (int i = 0; i < 64; i++)
        assert_int_equal(kept[i], 'k');
    assert_true((char *)px_heap_alloc(heap, 64) > (const char *)here.record);
    assert_int_equal(px_heap_snapshot_drop(heap, &here), 0);
    assert_ptr_equal(px_heap_alloc(heap, 64), listed);
    assert_int_equal(px_heap_validate(heap), 0);
    px_heap_release(heap);
}

/* Both the parked and the new list have blocks: none may be lost. */
static void
free_list__is_joined__at_drop(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    void *blocks[8];
    px_snapshot here = {0};
    (void)state;
    for (int i = 0; i < 8; i++) {
        if (i == 4)
            here = snapshot_of(heap);
        blocks[i] = px_heap_alloc(heap, 40);
        assert_non_null(px_heap_alloc(heap, 1));
        assert_int_equal(px_heap_free(heap, blocks[i]), 0);
        /* within one list the block would be found again at once */
        blocks[i] = px_heap_alloc(heap, 40);
    }
    for (int i = 4; i < 8; i++)
        assert_int_equal(px_heap_free(heap, blocks[i]), 0);
    assert_int_equal(px_heap_snapshot_drop(heap, &here), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(px_heap_free(heap, blocks[i]), 0);
    assert_int_equal(px_heap_validate(heap), 0);
    size_t used = stats_of(heap).used_bytes;
    for (int i = 0; i < 8; i++)
        assert_non_null(px_heap_alloc(heap, 40));
    assert_int_equal(stats_of(heap).used_bytes, used);
    px_heap_release(heap);
}

/* The same with blocks that were free when the snapshot was taken. */
static void
free_list__is_joined__parked_blocks(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    void *blocks[6];
    (void)state;
    for (int i = 0; i < 3; i++)
        blocks[i] = px_heap_alloc(heap, 40);
    assert_non_null(px_heap_alloc(heap, 1));
    for (int i = 0; i < 3; i++)
        assert_int_equal(px_heap_free(heap, blocks[i]), 0);
    px_snapshot here = snapshot_of(heap);
    for (int i = 3; i < 6; i++)
        blocks[i] = px_heap_alloc(heap, 40);
    assert_non_null(px_heap_alloc(heap, 1));
    for (int i = 3; i < 6; i++)
        assert_int_equal(px_heap_free(heap, blocks[i]), 0);
    assert_int_equal(px_heap_snapshot_drop(heap, &here), 0);
    assert_int_equal(px_heap_validate(heap), 0);
    size_t used = stats_of(heap).used_bytes;
    for (int i = 0; i < 6; i++)
        assert_non_null(px_heap_alloc(heap, 40));
    assert_int_equal(stats_of(heap).used_bytes, used);
    px_heap_release(heap);
}

static void
realloc__keeps_the_bytes__growing_and_shrinking(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_SIZED(heap)
    {
        char *block = px_heap_realloc(heap, NULL, 8);
        strcpy(block, "1234567");
        for (size_t bytes = 8; bytes < 3 * MB; bytes *= 3) {
            block = px_heap_realloc(heap, block, bytes);
            assert_string_equal(block, "1234567");
            assert_true(px_heap_block_size(heap, block) >= bytes);
            if (bytes % 2 == 0)
                assert_non_null(px_heap_alloc(heap, 1));
        }
        assert_ptr_equal(px_heap_realloc(heap, block, 8), block);
        assert_string_equal(block, "1234567");
        assert_null(px_heap_realloc(heap, block, SIZE_MAX));
        assert_null(px_heap_realloc(heap, block, 300 * MB));
        assert_non_null(px_heap_realloc(heap, block, 0));
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

static void
realloc__moves_the_cursor__newest_block(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_SIZED(heap)
    {
        char *block = px_heap_alloc(heap, 100);
        size_t used = stats_of(heap).used_bytes;
        assert_ptr_equal(px_heap_realloc(heap, block, 5 * MB), block);
        memset(block, 3, 5 * MB);
        assert_ptr_equal(px_heap_realloc(heap, block, 100), block);
        assert_int_equal(stats_of(heap).used_bytes, used);
        assert_int_equal(block[99], 3);
    }
}

/* Each step has something else behind it, so that the block cannot grow where
 * it is. */
static void
realloc__leaves_little_behind__growing_among_others(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    (void)state;
    for (int round = 0; round < 3; round++) {
        char *block = NULL, *other = NULL;
        for (size_t bytes = 1; bytes < MB; bytes += 100) {
            block = px_heap_realloc(heap, block, bytes);
            assert_non_null(block);
            block[bytes - 1] = 7;
            assert_int_equal(px_heap_free(heap, other), 0);
            other = px_heap_alloc(heap, 1);
        }
        assert_int_equal(px_heap_free(heap, block), 0);
    }
    assert_true(stats_of(heap).used_bytes < 6 * MB);
    assert_int_equal(px_heap_validate(heap), 0);
    px_heap_release(heap);
}

struct seen {
    size_t blocks;
    size_t bytes;
    void *last;
    size_t stop_at;
};

static int
see(void *block, size_t bytes, void *arg)
{
    struct seen *seen = arg;
    assert_true((char *)block > (char *)seen->last);
    seen->last = block;
    seen->bytes += bytes;
    return ++seen->blocks == seen->stop_at ? 99 : 0;
}

static void
ignore(void *arg)
{
    (void)arg;
}

static void
walk__visits_live_blocks__oldest_first(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_SIZED(heap)
    {
        void *blocks[50];
        for (size_t i = 0; i < 50; i++)
            blocks[i] = px_heap_alloc_aligned(heap, i, 16u << i % 5);
        snapshot_of(heap);
        assert_int_equal(px_heap_defer(heap, ignore, NULL), 0);
        struct seen seen = {0};
        assert_int_equal(px_heap_walk(heap, see, &seen), 0);
        assert_int_equal(seen.blocks, 50);
        assert_ptr_equal(seen.last, blocks[49]);
        seen = (struct seen){.stop_at = 7};
        assert_int_equal(px_heap_walk(heap, see, &seen), 99);
        assert_int_equal(seen.blocks, 7);
    }
}

static void
walk__is_refused__bad_arguments(void **state)
{
    px_heap *heap = heap_with(0), *sized = heap_with(PX_HEAP_SIZED);
    struct seen seen = {0};
    (void)state;
    assert_int_equal(px_heap_walk(NULL, see, &seen), PX_EINVAL);
    assert_int_equal(px_heap_walk(sized, NULL, &seen), PX_EINVAL);
    assert_int_equal(px_heap_walk(heap, see, &seen), PX_ENOTSUP);
    assert_int_equal(px_heap_walk(sized, see, &seen), 0);
    px_heap_release(heap);
    px_heap_release(sized);
}

/* Damage of each kind is found, and found to be gone when it is undone. */
static void
validate__finds_damage__in_the_heap(void **state)
{
    px_heap *heap = heap_with(PX_HEAP_FREE_LISTS);
    (void)state;
    snapshot_of(heap);
    char *block = px_heap_calloc(heap, 1, 40);
    char *freed = px_heap_alloc(heap, 40);
    assert_non_null(px_heap_alloc(heap, 40));
    assert_int_equal(px_heap_free(heap, freed), 0);
    uint64_t *words[] = {(uint64_t *)(void *)(block - 8),
                         (uint64_t *)(void *)freed,
                         (uint64_t *)(void *)(freed - 8),
                         &heap->top->serial,
                         (uint64_t *)(void *)&heap->top->mark,
                         (uint64_t *)(void *)&heap->front.cursor.next,
                         (uint64_t *)(void *)&heap->front.cursor.end,
                         (uint64_t *)(void *)&heap->front.floor,
                         (uint64_t *)(void *)&heap->front.lists};
    assert_int_equal(px_heap_validate(NULL), PX_EINVAL);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        uint64_t saved = *words[i];
        assert_int_equal(px_heap_validate(heap), 0);
        *words[i] = i == 1 ? (uint64_t)(uintptr_t)(block) : saved + 64;
        assert_int_equal(px_heap_validate(heap), PX_EINVAL);
        *words[i] = saved;
    }
    assert_int_equal(px_heap_validate(heap), 0);
    px_heap_release(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_size__covers_the_request__any_size),
        cmocka_unit_test(sized__calls_are_refused__plain_heap),
        cmocka_unit_test(free__takes_back_the_newest__any_sized_heap),
        cmocka_unit_test(free__takes_back_or_lists__newest_small_block),
        cmocka_unit_test(free__is_refused__not_a_live_block),
        cmocka_unit_test(free_list__serves_the_same_class__newest_heap_only),
        cmocka_unit_test(free_list__keeps_older_blocks__under_a_snapshot),
        cmocka_unit_test(free_list__is_joined__at_drop),
        cmocka_unit_test(free_list__is_joined__parked_blocks),
        cmocka_unit_test(realloc__keeps_the_bytes__growing_and_shrinking),
        cmocka_unit_test(realloc__moves_the_cursor__newest_block),
        cmocka_unit_test(realloc__leaves_little_behind__growing_among_others),
        cmocka_unit_test(walk__visits_live_blocks__oldest_first),
        cmocka_unit_test(walk__is_refused__bad_arguments),
        cmocka_unit_test(validate__finds_damage__in_the_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
