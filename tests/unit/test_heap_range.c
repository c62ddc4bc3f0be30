/* The reserved range: its options, in a process of its own each. */
#include "heap_support.h"

#include "heap/range.h"
#include "in_child.h"
#include "platform/vm.h"

#include <sys/resource.h>

/* Use a heap in every way that touches memory. */
static void
exercise(uint32_t flags)
{
    px_heap *heap;
    px_heap_options options;
    px_snapshot here;
    px_heap_options_init(&options);
    options.flags = flags;
    options.window_bytes = 16 * MB;
    for (int round = 0; round < 3; round++) {
        CHILD_CHECK(px_heap_create(&options, &heap) == 0);
        CHILD_CHECK(px_heap_snapshot(heap, &here) == 0);
        for (size_t bytes = 1; bytes < 5 * MB; bytes = bytes * 3 + 1) {
            char *block = px_heap_calloc(heap, 1, bytes);
            CHILD_CHECK(block && block[0] == 0 && block[bytes - 1] == 0);
            memset(block, 1, bytes);
            CHILD_CHECK(px_heap_of(block + bytes - 1) == heap);
        }
        CHILD_CHECK(px_heap_rollback(heap, &here) == 0);
        px_heap_trim(heap, 0);
        CHILD_CHECK(px_heap_alloc(heap, 9 * MB));
        CHILD_CHECK(px_heap_validate(heap) == 0);
        px_heap_release(heap);
    }
}

static void
configure_badly(void)
{
    px_range_options options;
    px_range_options_init(&options);
    CHILD_CHECK(px_range_configure(NULL) == PX_EINVAL);
    options.size = 3;
    CHILD_CHECK(px_range_configure(&options) == PX_EINVAL);
    px_range_options_init(&options);
    options.reserve_bytes = 0;
    CHILD_CHECK(px_range_configure(&options) == PX_EINVAL);
    px_range_options_init(&options);
    CHILD_CHECK(px_range_configure(&options) == 0);
    CHILD_CHECK(px_range_configure(&options) == PX_ESTATE);
    exercise(0);
}

static void
configure__refuses__bad_options_and_a_second_time(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(configure_badly), 0);
}

static void
commit_on_demand(void)
{
    px_range_options options;
    px_range_options_init(&options);
    options.commit_on_demand = true;
    options.cache_bytes = 8 * MB;
    CHILD_CHECK(px_range_configure(&options) == 0);
    CHILD_CHECK(px__range.commit_later);
    for (uint32_t flags = 0; flags < 16; flags++)
        exercise(flags);
    px_heap *heaps[40]; /* more descriptors than a page holds */
    for (int i = 0; i < 40; i++)
        CHILD_CHECK(px_heap_create(NULL, &heaps[i]) == 0);
    for (int i = 0; i < 40; i++)
        px_heap_release(heaps[i]);
}

static void
configure__commits_piece_by_piece__on_demand(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(commit_on_demand), 0);
}

/* A small range has small windows, and runs out of them. */
static void
use_up_addresses(void)
{
    px_heap *heaps[70];
    px_range_options options;
    px_range_options_init(&options);
    options.reserve_bytes = 1024 * MB;
    CHILD_CHECK(px_range_configure(&options) == 0);
    CHILD_CHECK(px_range_view.bytes == 1024 * MB);
    int count = 0;
    while (count < 70 && px_heap_create(NULL, &heaps[count]) == 0)
        count++;
    CHILD_CHECK(count == 64);
    px_heap_release(heaps[13]);
    CHILD_CHECK(px_heap_create(NULL, &heaps[13]) == 0);
    for (int i = 0; i < count; i++)
        px_heap_release(heaps[i]);
}

static void
configure__shrinks_windows__in_a_small_range(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(use_up_addresses), 0);
}

/* All addresses went to windows of one class; another class must do. */
static void
use_up_classes(void)
{
    enum { LARGE = 4, LIVE = 3 };
    px_heap *heaps[LARGE], *small;
    px_heap_options window;
    px_range_options options;
    px_range_options_init(&options);
    options.reserve_bytes = 1024 * MB;
    options.cache_bytes = 0;
    CHILD_CHECK(px_range_configure(&options) == 0);
    px_heap_options_init(&window);
    window.window_bytes = 256 * MB;
    for (int i = 0; i < LARGE; i++)
        CHILD_CHECK(px_heap_create(&window, &heaps[i]) == 0);
    CHILD_CHECK(px_heap_create(NULL, &small) == PX_ENOMEM);
    px_heap_release(heaps[LARGE - 1]);
    CHILD_CHECK(px_heap_create(NULL, &small) == 0);
    px_heap_release(small);
    for (int i = 0; i < LIVE; i++)
        px_heap_release(heaps[i]);
}

static void
acquire__takes_a_larger_window__addresses_used_up(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(use_up_classes), 0);
}

static void
without_large_pages(void)
{
    px_heap *heap;
    px_page_info info = {.size = sizeof info};
    px_range_options options;
    px_range_options_init(&options);
    options.no_large_pages = true;
    CHILD_CHECK(px_range_configure(&options) == 0);
    CHILD_CHECK(px_heap_create(NULL, &heap) == 0);
    CHILD_CHECK(px_heap_page_info(heap, &info) == 0);
    CHILD_CHECK(info.granted_bytes == 0 && info.requested_bytes > 0);
    CHILD_CHECK(info.reason == PX_PAGES_DISABLED);
    px_heap_release(heap);
}

static void
configure__asks_for_no_large_pages__switched_off(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(without_large_pages), 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* The sanitizers have low addresses themselves. */
static void
at_lowest(uintptr_t base)
{
    px_range_options options;
    px_range_options_init(&options);
    options.lowest = true;
    CHILD_CHECK(px_range_configure(&options) == 0);
    CHILD_CHECK(px_range_view.base == base);
    uintptr_t end = base + px_range_view.bytes;
    void *block = malloc(64 * MB);
    CHILD_CHECK(end < (uintptr_t)block && end < (uintptr_t)&block);
    free(block);
    exercise(0);
}

static void
with_low_addresses_free(void)
{
    at_lowest((uintptr_t)1 << 32);
}

static void
with_low_addresses_taken(void)
{
    void *taken = (void *)((uintptr_t)1 << 32);
    CHILD_CHECK(px__vm_reserve_at(taken, PX_UNIT, true) == taken);
    CHILD_CHECK(px__vm_reserve_at(taken, PX_UNIT, true) == NULL);
    at_lowest((uintptr_t)1 << 33);
}

static void
configure__lies_below_all_else__lowest(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(with_low_addresses_free), 0);
    assert_int_equal(exit_code_of(with_low_addresses_taken), 0);
}
/* The system grants less than was asked for, or nothing at all. */
static void
with_few_addresses(void)
{
    px_heap *heap;
    struct rlimit limit = {3000 * MB, 3000 * MB};
    CHILD_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    CHILD_CHECK(px_heap_create(NULL, &heap) == 0);
    CHILD_CHECK(px_range_view.bytes >= 1024 * MB);
    px_heap_release(heap);
    exercise(0);
}

static void
with_no_addresses(void)
{
    px_heap *heap = NULL;
    struct rlimit limit = {100 * MB, 3000 * MB};
    px_range_options options;
    px_range_options_init(&options);
    CHILD_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    CHILD_CHECK(px_heap_create(NULL, &heap) == PX_ENOMEM);
    CHILD_CHECK(px_range_configure(&options) == PX_ENOMEM);
    limit.rlim_cur = limit.rlim_max;
    CHILD_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    CHILD_CHECK(px_heap_create(NULL, &heap) == 0); /* tried anew */
    px_heap_release(heap);
}

static void
start__takes_what_it_gets__limited_addresses(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(with_few_addresses), 0);
    assert_int_equal(exit_code_of(with_no_addresses), 0);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configure__refuses__bad_options_and_a_second_time),
        cmocka_unit_test(configure__commits_piece_by_piece__on_demand),
        cmocka_unit_test(configure__shrinks_windows__in_a_small_range),
        cmocka_unit_test(acquire__takes_a_larger_window__addresses_used_up),
        cmocka_unit_test(configure__asks_for_no_large_pages__switched_off),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(configure__lies_below_all_else__lowest),
        cmocka_unit_test(start__takes_what_it_gets__limited_addresses),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
