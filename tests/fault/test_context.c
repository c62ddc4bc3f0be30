/*
 * Contexts and heaps while the system refuses memory: creation, growth past
 * chunks, snapshots, posts. The cache of released windows is off, so that each
 * round asks the system again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include "fault.h"

static int
no_cache(void **state)
{
    px_range_options options;
    (void)state;
    px_range_options_init(&options);
    options.cache_bytes = 0;
    return px_range_configure(&options);
}

static int
fill(px_heap *heap)
{
    for (int i = 0; i < 40; i++)
        if (!px_heap_alloc(heap, 200000))
            return PX_ENOMEM;
    return 0;
}

static int
snapshot_fill_rollback(px_heap *heap)
{
    px_snapshot before;
    int status = px_heap_snapshot(heap, &before);
    if (status)
        return status;
    status = fill(heap);
    if (px_heap_rollback(heap, &before) || px_heap_validate(heap))
        return 1; /* not to be excused by a failure */
    return status;
}

static int
grow_a_heap(void)
{
    px_heap *heap;
    int status = px_heap_create(NULL, &heap);
    if (status)
        return status;
    status = snapshot_fill_rollback(heap);
    px_heap_trim(heap, 0);
    if (!status)
        status = fill(heap);
    px_heap_release(heap);
    return status;
}

static int
count_message(px_context *cx, void *bytes, size_t count)
{
    (void)bytes;
    (void)count;
    return px_alloc(cx, 3000000) ? 0 : PX_ENOMEM;
}

static int
use_context(px_context *cx)
{
    int status = px_enter(cx);
    if (status)
        return status;
    status = px_post(cx, count_message, "hello", 6);
    if (!status && (status = px_deliver(cx)) > 0)
        status = px_base_alloc(cx, 100000) ? 0 : PX_ENOMEM;
    if (!status)
        status = snapshot_fill_rollback(px_context_heap(cx));
    px_leave(cx);
    return status;
}

static int
live_a_context(void)
{
    px_context_options options;
    px_quota *quota;
    px_context *cx;
    int status = px_quota_create((size_t)64 << 20, NULL, &quota);
    if (status)
        return status;
    px_context_options_init(&options);
    options.quota = quota;
    status = px_context_create(&options, &cx);
    if (!status) {
        status = use_context(cx);
        px_context_release(cx);
    }
    if (px_quota_used(quota) != 0)
        status = 1;
    px_quota_release(quota);
    return status;
}

static int
use_shared_memory(void)
{
    char *text = px_shared_memdup("text", 5), *more;
    int status = PX_ENOMEM;
    if (text) {
        more = px_shared_realloc(text, 100000);
        text = more ? more : text;
        status = more ? 0 : PX_ENOMEM;
        px_shared_free(px_shared_calloc(10, 10));
    }
    px_shared_free(text);
    return status;
}

static void
heap__survives_each_failure(void **state)
{
    (void)state;
    assert_fault_torture(grow_a_heap);
}

static void
context__survives_each_failure(void **state)
{
    (void)state;
    assert_fault_torture(live_a_context);
}

static void
shared__survives_each_failure(void **state)
{
    (void)state;
    assert_fault_torture(use_shared_memory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap__survives_each_failure),
        cmocka_unit_test(context__survives_each_failure),
        cmocka_unit_test(shared__survives_each_failure),
    };
    return cmocka_run_group_tests(tests, no_cache, NULL);
}
