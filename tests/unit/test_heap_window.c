/* Windows: owners, recycling across threads, bounds of the cache, two heaps in
 * one window. */
#include "heap_support.h"

#include "heap/heap.h"
#include "heap/layout.h"
#include "platform/thread.h"

#include <sys/mman.h>

static int global;

static void
owner__is_the_heap__for_interior_pointers_only(void **state)
{
    px_heap *heap, *other = heap_with(0);
    int local;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        char *block = px_heap_alloc(heap, 40 * MB);
        for (size_t at = 0; at < 40 * MB; at += MB / 2 + 1)
            assert_ptr_equal(px_heap_of(block + at), heap);
        assert_ptr_equal(px_heap_of(block + 40 * MB - 1), heap);
        assert_ptr_equal(px_heap_of(other), other);
        assert_null(px_heap_of(block + 100 * MB)); /* never used */
    }
    assert_null(px_heap_of(&local));
    assert_null(px_heap_of(&global));
    assert_null(px_heap_of(NULL));
    assert_null(px_heap_of((void *)UINTPTR_MAX));
    assert_null(px_heap_of((char *)px_range_view.base - 1));
    assert_null(px_heap_of((char *)px_range_view.base + px_range_view.bytes));
    px_heap_release(other);
}

static void
owner__is_nobody__after_release(void **state)
{
    (void)state;
    px_heap *heap = heap_with(0);
    char *block = px_heap_alloc(heap, 40 * MB);
    px_heap_release(heap);
    for (size_t at = 0; at < 40 * MB; at += MB)
        assert_null(px_heap_of(block + at));
}

static void
acquire__refuses__absurd_sizes(void **state)
{
    px__window *window;
    (void)state;
    assert_int_equal(px__window_acquire(0, &window), PX_EINVAL);
    assert_int_equal(px__window_acquire(SIZE_MAX, &window), PX_ENOMEM);
    assert_int_equal(px__window_acquire((size_t)1 << 47, &window), PX_ENOMEM);
}

static void
acquire__rounds_up__to_a_class(void **state)
{
    px__window *window;
    (void)state;
    static const size_t sizes[][2] = {
        {1, 16}, {16, 16}, {17, 32}, {256, 256}, {257, 512}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(px__window_acquire(sizes[i][0] * MB, &window), 0);
        assert_int_equal(px__window_hi(window) - px__window_lo(window),
                         sizes[i][1] * MB);
        px__window_release(window);
    }
}

/* Pages of [lo, lo + bytes) that are present. */
static size_t
resident(void *lo, size_t bytes)
{
    static unsigned char present[65536];
    size_t pages = bytes / px__range.page_bytes, count = 0;
    assert_true(pages <= sizeof present);
    lo = px__page_floor(lo);
    assert_int_equal(mincore(lo, bytes, present), 0);
    for (size_t i = 0; i < pages; i++)
        count += present[i] & 1;
    return count * px__range.page_bytes;
}

static void
small_start__keeps_little__while_idle(void **state)
{
    px_heap *heap;
    px_heap_options options;
    (void)state;
    px_heap_options_init(&options);
    options.flags = PX_HEAP_SMALL_START;
    options.window_bytes = 64 * MB; /* a class that no other test uses */
    assert_int_equal(px_heap_create(&options, &heap), 0);
    for (int i = 0; i < 10; i++)
        memset(px_heap_alloc(heap, 32), 1, 32);
    assert_true(resident(px__window_lo(heap->window), 32 * MB) <= 8192);
    px_heap_release(heap);
}

struct maker {
    px_heap *heap;
    uintptr_t seen;
};

static void
make_one(void *arg)
{
    struct maker *maker = arg;
    px_heap *heap = heap_with(0);
    maker->seen = (uintptr_t)heap;
    memset(px_heap_alloc(heap, MB), 1, MB);
    px_heap_release(heap);
}

/* A thread's magazine goes to the pool when it ends. */
static void
windows__come_back__from_threads_that_ended(void **state)
{
    (void)state;
    px__thread thread;
    struct maker maker = {0};
    uintptr_t first = 0;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(px__thread_create(&thread, "maker", make_one, &maker),
                         0);
        px__thread_join(&thread);
        if (i == 0)
            first = maker.seen;
        assert_int_equal(maker.seen, first);
    }
}

static void
make_here_release_there(void *arg)
{
    struct maker *maker = arg;
    px_heap_release(maker->heap);
    maker->heap = heap_with(PX_HEAP_SMALL_START);
}

static void
windows__travel__between_threads(void **state)
{
    (void)state;
    struct maker maker = {.heap = heap_with(PX_HEAP_SMALL_START)};
    for (int i = 0; i < 50; i++) {
        px__thread thread;
        assert_non_null(px_heap_alloc(maker.heap, 100));
        assert_int_equal(px__thread_create(&thread, "there",
                                           make_here_release_there, &maker),
                         0);
        px__thread_join(&thread);
        px_heap_release(maker.heap);
        maker.heap = heap_with(0);
    }
    px_heap_release(maker.heap);
}

/* Nothing of a window stays resident once its memory was given back: neither
 * below its colour nor above, whether on small pages or large. */
static void
cache__drops_everything__that_it_drops(void **state)
{
    enum { HEAPS = 60 };
    static px_heap *heaps[HEAPS];
    px_heap_options options;
    (void)state;
    px_heap_options_init(&options);
    options.window_bytes = 16 * MB;
    for (int i = 0; i < HEAPS; i++) {
        options.flags = i % 2 ? PX_HEAP_SMALL_START : 0;
        assert_int_equal(px_heap_create(&options, &heaps[i]), 0);
        memset(px_heap_alloc(heaps[i], 9 * MB), 1, 9 * MB);
    }
    for (int i = 0; i < HEAPS; i++)
        px_heap_release(heaps[i]);
    int purged = 0;
    for (int i = 0; i < HEAPS; i++) {
        char *lo = px__chunk_floor((char *)heaps[i]);
        size_t left = resident(lo, 16 * MB);
        purged += left == 0;
        assert_true(left == 0 || left >= 9 * MB);
    }
    assert_true(purged > HEAPS / 2);
}

/* More released memory than the cache may hold: the rest is given back. */
static void
cache__is_bounded__many_large_heaps(void **state)
{
    enum { HEAPS = 40 };
    px_heap *heaps[HEAPS];
    size_t kept = 0, bound = px__range.cache_bytes;
    (void)state;
    for (int i = 0; i < HEAPS; i++) {
        heaps[i] = heap_with(PX_HEAP_SMALL_START);
        memset(px_heap_alloc(heaps[i], 5 * MB), 1, 5 * MB);
    }
    for (int i = 0; i < HEAPS; i++)
        px_heap_release(heaps[i]);
    for (int i = 0; i < HEAPS; i++)
        kept += resident(heaps[i], 8 * MB);
    assert_true(kept > 0 && kept <= bound);
}

/* A new thread's magazine borrows from a full cache, at the pool's expense. */
static void
cache__makes_room__for_a_new_magazine(void **state)
{
    (void)state;
    px__thread thread;
    struct maker maker = {0};
    cache__is_bounded__many_large_heaps(state);
    assert_int_equal(px__thread_create(&thread, "maker", make_one, &maker), 0);
    px__thread_join(&thread);
    assert_int_not_equal(maker.seen, 0);
}

static void
live_heaps__do_not_share__their_cache_sets(void **state)
{
    enum { HEAPS = 32 };
    px_heap *heaps[HEAPS];
    (void)state;
    for (int i = 0; i < HEAPS; i++)
        heaps[i] = heap_with(PX_HEAP_SMALL_START);
    for (int i = 0; i < HEAPS; i++)
        for (int k = 0; k < i; k++)
            assert_int_not_equal((uintptr_t)heaps[i] % 131072,
                                 (uintptr_t)heaps[k] % 131072);
    for (int i = 0; i < HEAPS; i++)
        px_heap_release(heaps[i]);
}

/* ---- two heaps in one window, as a context has them ---- */

struct pair {
    px_heap upper;
    px_heap lower;
    px__window *window;
};

static struct pair *
make_pair(size_t window_bytes, size_t split, uint32_t flags)
{
    px__window *window;
    px_heap_options options;
    px_heap_options_init(&options);
    options.flags = flags;
    assert_int_equal(px__heap_options_check(&options, &options), 0);
    assert_int_equal(px__window_acquire(window_bytes, &window), 0);
    struct pair *pair = px__window_control(window, sizeof *pair, 1);
    assert_non_null(pair);
    char *lo = (char *)(pair + 1);
    char *middle = px__window_lo(window) + split, *hi = px__window_hi(window);
    pair->window = window;
    assert_int_equal(px__heap_place(&pair->lower, window, lo, middle, &options),
                     0);
    assert_int_equal(px__heap_place(&pair->upper, window, middle, hi, &options),
                     0);
    return pair;
}

static void
drop_pair(struct pair *pair)
{
    assert_int_equal(px_heap_validate(&pair->upper), 0);
    assert_int_equal(px_heap_validate(&pair->lower), 0);
    px__heap_clear(&pair->upper);
    px__heap_clear(&pair->lower);
    px__window_release(pair->window);
}

static void
use_both(struct pair *pair, size_t bytes)
{
    char *low = px_heap_calloc(&pair->lower, 1, bytes);
    char *high = px_heap_calloc(&pair->upper, 1, bytes);
    assert_non_null(low);
    assert_non_null(high);
    for (size_t i = 0; i < bytes; i++)
        assert_true(low[i] == 0 && high[i] == 0);
    memset(low, 1, bytes);
    memset(high, 2, bytes);
    assert_true(low < high);
    assert_int_equal(px_owner_word(low), (uintptr_t)pair | 1);
    assert_ptr_equal(px_heap_of(high + bytes - 1), &pair->upper);
}

static void
two_heaps__are_apart__in_one_window(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        uint32_t flags = heap_kinds[round];
        struct pair *pair = make_pair(64 * MB, 16 * MB, flags);
        use_both(pair, 3 * MB);
        assert_null(px_heap_alloc(&pair->lower, 14 * MB));
        assert_non_null(px_heap_alloc(&pair->upper, 14 * MB));
        px_snapshot here = snapshot_of(&pair->upper);
        assert_int_equal(px_heap_rollback(&pair->lower, &here), PX_ESTALE);
        drop_pair(pair);
    }
}

/* One window in turn for layouts that do not fit each other. */
static void
two_heaps__find_clean_memory__after_other_layouts(void **state)
{
    px_heap_options options;
    (void)state;
    px_heap_options_init(&options);
    options.window_bytes = 128 * MB;
    for (int round = 0; round < 6; round++) {
        px_heap *heap;
        struct pair *pair = make_pair(128 * MB, 32 * MB, 0);
        use_both(pair, 2 * MB);
        drop_pair(pair);
        pair = make_pair(128 * MB, (size_t)(2 + round) * MB * 2,
                         PX_HEAP_SMALL_START);
        use_both(pair, MB);
        drop_pair(pair);
        assert_int_equal(px_heap_create(&options, &heap), 0);
        unsigned char *block = px_heap_calloc(heap, 1, 40 * MB);
        unsigned char any = 0;
        for (size_t i = 0; i < 40 * MB; i++)
            any |= block[i];
        assert_int_equal(any, 0);
        memset(block, 3, 40 * MB);
        assert_int_equal(px_heap_validate(heap), 0);
        px_heap_release(heap);
    }
}

/* ---- a default heap where another one was (window.c, W5) ---- */

/* As new in all that its user can see, whatever the last life did. */
static void
assert_fresh(px_heap *heap)
{
    px_heap_stats now = stats_of(heap);
    assert_int_equal(now.used_bytes, 0);
    assert_int_equal(now.snapshot_count, 0);
    assert_int_equal(now.cleanup_count, 0);
    assert_int_equal(now.peak_used_bytes, 0);
    assert_int_equal(now.rollback_count, 0);
    assert_int_equal(now.rolled_back_bytes, 0);
    assert_int_equal(now.failed_count, 0);
    assert_int_equal(px_heap_validate(heap), 0);
    assert_ptr_equal(px_heap_of(heap), heap);
}

/* Leave traces of every kind; answers the last snapshot. */
static px_snapshot
live_fully(px_heap *heap)
{
    px_snapshot here = snapshot_of(heap);
    memset(px_heap_alloc(heap, MB), 0xff, MB);
    assert_int_equal(px_heap_rollback(heap, &here), 0);
    memset(px_heap_alloc(heap, 1000), 0xff, 1000);
    assert_null(px_heap_alloc(heap, SIZE_MAX / 2));
    return here;
}

static void
create__is_as_new__where_a_default_heap_was(void **state)
{
    px_heap *heap;
    static const char zeros[1000];
    (void)state;
    assert_int_equal(px_heap_create(NULL, &heap), 0);
    for (int life = 0; life < 3; life++) {
        px_heap *before = heap;
        assert_fresh(heap);
        px_snapshot stale = live_fully(heap);
        px_heap_release(heap);
        assert_int_equal(px_owner_word(before), 0); /* W3 */
        assert_int_equal(px_heap_create(NULL, &heap), 0);
        assert_ptr_equal(heap, before);
        (void)snapshot_of(heap); /* lies where the stale one lay */
        assert_int_equal(px_heap_rollback(heap, &stale), PX_ESTALE);
        assert_memory_equal(px_heap_calloc(heap, 1, 1000), zeros, 1000);
        px_heap_release(heap);
        assert_int_equal(px_heap_create(NULL, &heap), 0);
    }
    px_heap_release(heap);
}

/* An owner of another kind in between leaves nothing to revive. */
static void
create__is_as_new__after_other_owners(void **state)
{
    px_heap *heap;
    (void)state;
    for (size_t i = 0; i < sizeof heap_kinds / sizeof *heap_kinds; i++) {
        assert_int_equal(px_heap_create(NULL, &heap), 0);
        live_fully(heap);
        px_heap_release(heap);
        px_heap *other = heap_with(heap_kinds[i]);
        live_fully(other);
        px_heap_release(other);
        assert_int_equal(px_heap_create(NULL, &heap), 0);
        assert_fresh(heap);
        px_heap_release(heap);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: the others leave windows that might be taken */
        cmocka_unit_test(create__is_as_new__where_a_default_heap_was),
        cmocka_unit_test(owner__is_the_heap__for_interior_pointers_only),
        cmocka_unit_test(owner__is_nobody__after_release),
        cmocka_unit_test(acquire__refuses__absurd_sizes),
        cmocka_unit_test(acquire__rounds_up__to_a_class),
        cmocka_unit_test(small_start__keeps_little__while_idle),
        cmocka_unit_test(windows__come_back__from_threads_that_ended),
        cmocka_unit_test(windows__travel__between_threads),
        cmocka_unit_test(cache__drops_everything__that_it_drops),
        cmocka_unit_test(cache__is_bounded__many_large_heaps),
        cmocka_unit_test(cache__makes_room__for_a_new_magazine),
        cmocka_unit_test(live_heaps__do_not_share__their_cache_sets),
        cmocka_unit_test(two_heaps__are_apart__in_one_window),
        cmocka_unit_test(two_heaps__find_clean_memory__after_other_layouts),
        cmocka_unit_test(create__is_as_new__after_other_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
