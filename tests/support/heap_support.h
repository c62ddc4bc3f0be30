/* Short ways to make heaps, for the unit tests of room heap. */
#ifndef PX_TESTS_HEAP_SUPPORT_H
#define PX_TESTS_HEAP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/heap.h>

#include <string.h>

#define MB ((size_t)1 << 20)

/* A heap with @flags and otherwise the defaults. */
static inline px_heap *
heap_with(uint32_t flags)
{
    px_heap *heap = NULL;
    px_heap_options options;
    px_heap_options_init(&options);
    options.flags = flags;
    assert_int_equal(px_heap_create(&options, &heap), 0);
    return heap;
}

static inline px_heap_stats
stats_of(px_heap *heap)
{
    px_heap_stats stats = {.size = sizeof stats};
    assert_int_equal(px_heap_get_stats(heap, &stats), 0);
    return stats;
}

static inline px_snapshot
snapshot_of(px_heap *heap)
{
    px_snapshot snapshot = {0};
    assert_int_equal(px_heap_snapshot(heap, &snapshot), 0);
    return snapshot;
}

/* The kinds of heap that must behave alike. */
static const uint32_t heap_kinds[] = {0, PX_HEAP_SMALL_START, PX_HEAP_SIZED,
                                      PX_HEAP_FREE_LISTS, PX_HEAP_SMALL_PAGES};

#define EACH_HEAP_KIND(heap)                                                   \
    for (size_t kind_ = 0; kind_ < sizeof heap_kinds / sizeof *heap_kinds &&   \
                           ((heap) = heap_with(heap_kinds[kind_]));            \
         px_heap_release(heap), kind_++)

#endif
