/*
 * Heaps of every kind while the system refuses memory: the range, the commit of
 * each piece, large pages, magazines, quotas. Each scenario may end with
 * PX_ENOMEM, must leave nothing behind, and must run clean again.
 *
 * ctest: slow
 */
#include "heap_support.h"

#include "fault.h"
#include "fault_range.h"
#include "platform/thread.h"

/* Grow by small and large steps, across chunks, and back again. */
static int
use(px_heap *heap)
{
    px_snapshot here;
    int status = px_heap_snapshot(heap, &here);
    if (status)
        return status;
    for (size_t bytes = 1; bytes < 6 * MB; bytes = bytes * 4 + 3)
        if (!px_heap_calloc(heap, 1, bytes))
            status = PX_ENOMEM;
    if (px_heap_validate(heap) || px_heap_rollback(heap, &here))
        return 1; /* not to be excused by a failure */
    px_heap_trim(heap, 0);
    if (!px_heap_alloc_aligned(heap, 3 * MB, 4096))
        status = PX_ENOMEM;
    return px_heap_validate(heap) ? 1 : status;
}

static int
live(uint32_t flags, px_quota *quota)
{
    px_heap *heap;
    px_heap_options options;
    px_heap_options_init(&options);
    options.flags = flags;
    options.quota = quota;
    int status = px_heap_create(&options, &heap);
    if (status)
        return status;
    status = use(heap);
    px_heap_release(heap);
    if (px_quota_used(quota) != 0)
        return 1;
    return status;
}

static int
all_kinds(void)
{
    int status = 0;
    for (size_t i = 0; i < sizeof heap_kinds / sizeof *heap_kinds; i++) {
        int one = live(heap_kinds[i], NULL);
        if (one)
            status = one;
        if (one > 0)
            break;
    }
    return status;
}

static int
under_a_quota(void)
{
    px_quota *total, *part;
    int status = px_quota_create(64 * MB, NULL, &total);
    if (status)
        return status;
    status = px_quota_create(32 * MB, total, &part);
    px_quota_release(total);
    if (status)
        return status;
    status = live(PX_HEAP_SMALL_START, part);
    px_quota_release(part);
    return status;
}

static void
live_there(void *arg)
{
    *(int *)arg = live(0, NULL);
}

/* With a magazine of its own, which it may not get. */
static int
on_a_new_thread(void)
{
    px__thread thread;
    int result = 0;
    int status = px__thread_create(&thread, "fault", live_there, &result);
    if (status)
        return status;
    px__thread_join(&thread);
    return result;
}

static void
heaps__survive__refused_memory(void **state)
{
    (void)state;
    assert_fault_torture(all_kinds);
    assert_fault_torture(under_a_quota);
    assert_fault_torture(on_a_new_thread);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(heaps__survive__refused_memory, ask_always),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
