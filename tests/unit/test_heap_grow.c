/* Growth, large pages as the kernel reports them, and giving memory back. */
#include "heap_support.h"

#include "heap/layout.h"
#include "in_child.h"
#include "smaps.h"

#if defined(__linux__)
#include <sys/prctl.h>
#endif

static px_page_info
pages_of(const px_heap *heap)
{
    px_page_info info = {.size = sizeof info};
    assert_int_equal(px_heap_page_info(heap, &info), 0);
    return info;
}

/* The kernel's word: bytes on large pages in the mapping that holds @at. */
static size_t
large_bytes_seen(const void *at)
{
    return smaps_of(at, 1).large_bytes;
}

static void
pages__are_large__as_the_kernel_says(void **state)
{
    (void)state;
    px_heap *heap = heap_with(0);
    px_page_info info = pages_of(heap);
    assert_true(info.requested_bytes >= PX_CHUNK);
    if (info.granted_bytes == 0) {
        assert_int_not_equal(info.reason, PX_PAGES_OK);
        px_heap_release(heap);
        skip();
    }
    size_t seen = large_bytes_seen(heap), granted = info.granted_bytes;
    assert_true(seen >= granted);
    memset(px_heap_alloc(heap, 9 * MB), 1, 9 * MB);
    info = pages_of(heap);
    assert_true(large_bytes_seen(heap) - seen == info.granted_bytes - granted);
    assert_int_equal(info.large_page_bytes, 2 * MB);
    if (info.reason == PX_PAGES_UNAVAILABLE) /* just now, to anybody */
        assert_true(info.granted_bytes < info.requested_bytes);
    else
        assert_true(info.granted_bytes >= granted + 8 * MB);
    px_heap_release(heap);
}

static void
pages__stay_small__when_forbidden(void **state)
{
    (void)state;
    px_heap *large = heap_with(0); /* leaves its pages in the window */
    px_heap_release(large);
    px_heap *heap = heap_with(PX_HEAP_SMALL_PAGES);
    size_t before = large_bytes_seen(heap);
    memset(px_heap_alloc(heap, 5 * MB), 1, 5 * MB);
    px_page_info info = pages_of(heap);
    assert_int_equal(info.requested_bytes, 0);
    assert_int_equal(info.granted_bytes, 0);
    assert_int_equal(info.reason, PX_PAGES_FORBIDDEN);
    assert_true(large_bytes_seen(heap) <= before);
    px_heap_release(heap);
}

static void
small_start__turns_large__when_the_first_chunk_fills(void **state)
{
    px_heap *heap;
    px_heap_options options;
    (void)state;
    px_heap_options_init(&options);
    options.flags = PX_HEAP_SMALL_START;
    options.window_bytes = 32 * MB;
    assert_int_equal(px_heap_create(&options, &heap), 0);
    char *text = px_heap_strdup(heap, "survives the move");
    size_t committed = 0, extents = 0;
    while (pages_of(heap).requested_bytes == 0) {
        assert_non_null(px_heap_alloc(heap, 5000));
        size_t now = stats_of(heap).committed_bytes;
        extents += now != committed;
        committed = now;
    }
    assert_true(extents >= 3);
    assert_true(stats_of(heap).used_bytes < 2 * PX_CHUNK / 3);
    assert_true(stats_of(heap).used_bytes > PX_CHUNK / 4);
    assert_int_equal(pages_of(heap).requested_bytes, PX_CHUNK);
    assert_string_equal(text, "survives the move");
    px_heap_release(heap);
}

#if defined(__linux__)
static void
create_with_pages_disabled(void)
{
    px_heap *heap;
    px_page_info info = {.size = sizeof info};
    CHILD_CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    px_heap_options options;
    px_heap_options_init(&options);
    options.window_bytes = 512 * MB; /* never used before: nothing to adopt */
    CHILD_CHECK(px_heap_create(&options, &heap) == 0);
    CHILD_CHECK(px_heap_alloc(heap, 5 * MB));
    CHILD_CHECK(px_heap_page_info(heap, &info) == 0);
    CHILD_CHECK(info.requested_bytes >= 4 * MB && info.granted_bytes == 0);
    CHILD_CHECK(info.reason == PX_PAGES_DISABLED);
    px_heap_release(heap);
}

static void
pages__are_small_and_say_so__switched_off_for_the_process(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(create_with_pages_disabled), 0);
}
#endif

static void
trim__gives_back__what_is_above_the_cursor(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        px_snapshot here = snapshot_of(heap);
        memset(px_heap_alloc(heap, 10 * MB), 1, 10 * MB);
        size_t full = stats_of(heap).committed_bytes;
        assert_int_equal(px_heap_rollback(heap, &here), 0);
        assert_int_equal(stats_of(heap).committed_bytes, full);
        size_t given = px_heap_trim(heap, 4 * MB);
        assert_true(stats_of(heap).committed_bytes >= 4 * MB);
        assert_true(stats_of(heap).committed_bytes <= 7 * MB);
        given += px_heap_trim(heap, 0);
        assert_int_equal(stats_of(heap).committed_bytes, full - given);
        assert_true(stats_of(heap).committed_bytes <= 2 * PX_CHUNK);
        unsigned char *block = px_heap_calloc(heap, 1, 10 * MB);
        assert_int_equal(block[0] | block[5 * MB] | block[10 * MB - 1], 0);
        assert_int_equal(px_heap_validate(heap), 0);
    }
}

static void
one_round(px_heap *heap, const px_snapshot *here, size_t bytes)
{
    assert_non_null(px_heap_alloc(heap, bytes));
    assert_int_equal(px_heap_rollback(heap, here), 0);
}

/* A steady load keeps its memory; a single peak goes after some rounds. */
static void
rollback__settles__on_what_the_rounds_need(void **state)
{
    px_heap *heap;
    px_heap_options options;
    (void)state;
    px_heap_options_init(&options);
    options.retain_bytes = 2 * MB;
    assert_int_equal(px_heap_create(&options, &heap), 0);
    px_snapshot here = snapshot_of(heap);
    for (int i = 0; i < 300; i++) {
        one_round(heap, &here, 20 * MB);
        assert_true(stats_of(heap).committed_bytes >= 20 * MB);
    }
    for (int i = 0; i < 128; i++)
        one_round(heap, &here, 7 * MB);
    size_t committed = stats_of(heap).committed_bytes;
    assert_true(committed >= 7 * MB && committed <= 10 * MB);
    for (int i = 0; i < 128; i++)
        one_round(heap, &here, 100);
    committed = stats_of(heap).committed_bytes;
    assert_true(committed <= 5 * MB);
    px_heap_release(heap);
}

/* A quota that ends inside a chunk is used to its last page. */
static void
grow__falls_back_to_pages__little_quota_left(void **state)
{
    px_quota *quota;
    px_heap *heap, *other;
    px_heap_options options;
    (void)state;
    assert_int_equal(px_quota_create(5 * MB, NULL, &quota), 0);
    px_heap_options_init(&options);
    options.quota = quota;
    assert_int_equal(px_heap_create(&options, &other), 0);
    assert_int_equal(px_heap_create(&options, &heap), 0);
    while (px_heap_alloc(heap, 8000))
        continue;
    assert_true(px_quota_used(quota) > 5 * MB - 16384);
    assert_int_equal(px_heap_validate(heap), 0);
    px_heap_release(other);
    for (int i = 0; i < 100; i++)
        assert_non_null(px_heap_alloc(heap, 8000)); /* completes the chunk */
    assert_int_equal(px_heap_validate(heap), 0);
    px_heap_release(heap);
    px_quota_release(quota);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__linux__)
        cmocka_unit_test(
            pages__are_small_and_say_so__switched_off_for_the_process),
#endif
        cmocka_unit_test(pages__are_large__as_the_kernel_says),
        cmocka_unit_test(pages__stay_small__when_forbidden),
        cmocka_unit_test(small_start__turns_large__when_the_first_chunk_fills),
        cmocka_unit_test(trim__gives_back__what_is_above_the_cursor),
        cmocka_unit_test(rollback__settles__on_what_the_rounds_need),
        cmocka_unit_test(grow__falls_back_to_pages__little_quota_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
