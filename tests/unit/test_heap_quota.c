/* Quotas: of a heap, shared, nested; nothing is committed over them. */
#include "heap_support.h"

#include "platform/thread.h"

static px_quota *
quota_of(size_t limit, px_quota *parent)
{
    px_quota *quota = NULL;
    assert_int_equal(px_quota_create(limit, parent, &quota), 0);
    return quota;
}

static px_heap *
heap_under(px_quota *quota, uint32_t flags)
{
    px_heap *heap = NULL;
    px_heap_options options;
    px_heap_options_init(&options);
    options.quota = quota;
    options.flags = flags;
    assert_int_equal(px_heap_create(&options, &heap), 0);
    return heap;
}

static void
quota__is_refused__bad_arguments(void **state)
{
    px_quota *quota;
    (void)state;
    assert_int_equal(px_quota_create(0, NULL, &quota), PX_EINVAL);
    assert_int_equal(px_quota_create(1, NULL, NULL), PX_EINVAL);
    assert_int_equal(px_quota_used(NULL), 0);
    assert_null(px_quota_retain(NULL));
    px_quota_release(NULL);
}

static void
quota__counts_what_is_committed__and_forgets_it(void **state)
{
    px_quota *quota = quota_of(64 * MB, NULL);
    (void)state;
    for (int i = 0; i < 3; i++) {
        px_heap *a = heap_under(quota, 0);
        px_heap *b = heap_under(quota, PX_HEAP_SMALL_START);
        for (int k = 0; k < 5; k++)
            assert_non_null(px_heap_alloc(a, MB * 3 / 2));
        assert_int_equal(px_quota_used(quota), stats_of(a).committed_bytes +
                                                   stats_of(b).committed_bytes);
        px_heap_release(a);
        assert_int_equal(px_quota_used(quota), stats_of(b).committed_bytes);
        px_heap_release(b);
        assert_int_equal(px_quota_used(quota), 0);
    }
    px_quota_release(quota);
}

static void
quota__refuses_what_does_not_fit__heap_stays_usable(void **state)
{
    px_quota *quota = quota_of(8 * MB, NULL);
    px_heap *heap = heap_under(quota, 0);
    (void)state;
    px_snapshot here = snapshot_of(heap);
    size_t used = stats_of(heap).used_bytes;
    assert_null(px_heap_alloc(heap, 9 * MB));
    assert_int_equal(stats_of(heap).used_bytes, used);
    while (px_heap_alloc(heap, 100000))
        assert_true(px_quota_used(quota) <= 8 * MB);
    assert_true(stats_of(heap).used_bytes > 7 * MB + MB / 2);
    assert_int_equal(px_heap_rollback(heap, &here), 0);
    assert_non_null(px_heap_alloc(heap, 7 * MB));
    assert_int_equal(px_heap_validate(heap), 0);
    px_heap_release(heap);
    px_quota_release(quota);
}

static void
quota__is_charged_up_the_chain__or_not_at_all(void **state)
{
    px_quota *total = quota_of(10 * MB, NULL);
    px_quota *left = quota_of(8 * MB, total), *right = quota_of(8 * MB, total);
    (void)state;
    px_heap *a = heap_under(left, 0), *b = heap_under(right, 0);
    assert_non_null(px_heap_alloc(a, 5 * MB));
    size_t used = px_quota_used(right);
    assert_null(px_heap_alloc(b, 7 * MB)); /* fits right, not total */
    assert_int_equal(px_quota_used(right), used);
    assert_int_equal(px_quota_used(total), px_quota_used(left) + used);
    px_heap_release(a);
    assert_non_null(px_heap_alloc(b, 7 * MB));
    px_quota_release(total); /* the children still hold it */
    px_quota_release(left);
    px_quota_release(right);
    assert_true(px_quota_used(right) >= 7 * MB);
    px_heap_release(b);
}

/* What an earlier heap left in the window must not count against a small one.
 */
static void
quota__is_enough__in_a_recycled_window(void **state)
{
    (void)state;
    px_heap *rich = heap_with(0);
    assert_non_null(px_heap_alloc(rich, 3 * MB));
    px_heap_release(rich);
    px_quota *quota = quota_of(MB, NULL);
    px_heap *poor = heap_under(quota, 0);
    assert_true(px_quota_used(quota) <= MB);
    assert_non_null(px_heap_alloc(poor, MB / 2));
    px_heap_release(poor);
    px_heap_options options;
    px_heap_options_init(&options);
    options.quota_bytes = MB;
    assert_int_equal(px_heap_create(&options, &poor), 0);
    assert_non_null(px_heap_alloc(poor, MB / 2));
    assert_null(px_heap_alloc(poor, MB / 2));
    assert_true(stats_of(poor).committed_bytes <= MB);
    px_heap_release(poor);
    px_quota_release(quota);
}

static void
quota__refuses_the_heap_itself__too_small(void **state)
{
    px_quota *quota = quota_of(1, NULL);
    px_heap_options options;
    px_heap *heap;
    (void)state;
    px_heap_options_init(&options);
    options.quota = quota;
    assert_int_equal(px_heap_create(&options, &heap), PX_ENOMEM);
    assert_int_equal(px_quota_used(quota), 0);
    options.quota = NULL;
    options.quota_bytes = 1;
    assert_int_equal(px_heap_create(&options, &heap), PX_ENOMEM);
    px_quota_release(quota);
}

static void
trim__uncharges__what_is_given_back(void **state)
{
    px_quota *quota = quota_of(64 * MB, NULL);
    px_heap *heap = heap_under(quota, 0);
    (void)state;
    px_snapshot here = snapshot_of(heap);
    assert_non_null(px_heap_alloc(heap, 12 * MB));
    size_t before = px_quota_used(quota);
    assert_int_equal(px_heap_rollback(heap, &here), 0);
    assert_int_equal(px_quota_used(quota), before);
    size_t given = px_heap_trim(heap, 0);
    assert_true(given >= 10 * MB);
    assert_int_equal(px_quota_used(quota), before - given);
    assert_int_equal(px_heap_trim(heap, 0), 0);
    assert_int_equal(px_heap_trim(heap, SIZE_MAX), 0);
    assert_int_equal(px_heap_trim(NULL, 0), 0);
    px_heap_release(heap);
    assert_int_equal(px_quota_used(quota), 0);
    px_quota_release(quota);
}

enum { THREADS = 4, ROUNDS = 200 };

static void
make_heaps(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        px_heap *heap = heap_under(arg, PX_HEAP_SMALL_START);
        px_heap_alloc(heap, (size_t)i * 2000);
        px_heap_release(heap);
    }
}

static void
quota__is_exact__many_threads(void **state)
{
    px_quota *total = quota_of(64 * MB, NULL);
    px_quota *part = quota_of(48 * MB, total);
    px__thread threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            px__thread_create(&threads[i], "quota", make_heaps, part), 0);
    for (int i = 0; i < THREADS; i++)
        px__thread_join(&threads[i]);
    assert_int_equal(px_quota_used(part), 0);
    assert_int_equal(px_quota_used(total), 0);
    px_quota_release(part);
    px_quota_release(total);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quota__is_refused__bad_arguments),
        cmocka_unit_test(quota__counts_what_is_committed__and_forgets_it),
        cmocka_unit_test(quota__refuses_what_does_not_fit__heap_stays_usable),
        cmocka_unit_test(quota__is_charged_up_the_chain__or_not_at_all),
        cmocka_unit_test(quota__is_enough__in_a_recycled_window),
        cmocka_unit_test(quota__refuses_the_heap_itself__too_small),
        cmocka_unit_test(trim__uncharges__what_is_given_back),
        cmocka_unit_test(quota__is_exact__many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
