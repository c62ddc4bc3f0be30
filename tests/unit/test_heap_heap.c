/* Life of a heap: options, references, figures, death tests, fork. */
#include "heap_support.h"

#include "heap/layout.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void
create__refuses__bad_options(void **state)
{
    px_heap *heap = NULL;
    px_heap_options good, bad;
    (void)state;
    px_heap_options_init(&good);
    assert_int_equal(px_heap_create(&good, NULL), PX_EINVAL);
    bad = good;
    bad.size = 0;
    assert_int_equal(px_heap_create(&bad, &heap), PX_EINVAL);
    bad = good;
    bad.window_bytes = 16 * MB - 1;
    assert_int_equal(px_heap_create(&bad, &heap), PX_EINVAL);
    bad = good;
    bad.window_bytes = SIZE_MAX;
    assert_int_equal(px_heap_create(&bad, &heap), PX_EINVAL);
    bad = good;
    bad.flags = 1u << 31;
    assert_int_equal(px_heap_create(&bad, &heap), PX_EINVAL);
    bad = good;
    bad.window_bytes = 16 * MB;
    bad.quota_bytes = 16 * MB + 1;
    assert_int_equal(px_heap_create(&bad, &heap), PX_EINVAL);
    bad = good;
    bad.window_bytes = (size_t)1 << 46; /* larger than the range */
    assert_int_equal(px_heap_create(&bad, &heap), PX_ENOMEM);
    assert_null(heap);
}

static void
create__takes_known_fields__of_an_older_struct(void **state)
{
    px_heap *heap;
    px_heap_options options;
    (void)state;
    px_heap_options_init(&options);
    options.flags = 1u << 31; /* beyond the size: not looked at */
    options.window_bytes = 20 * MB;
    options.size = offsetof(px_heap_options, quota_bytes);
    assert_int_equal(px_heap_create(&options, &heap), 0);
    assert_true(stats_of(heap).window_bytes > 31 * MB);
    px_heap_release(heap);
}

static void
stats__are_refused__bad_arguments(void **state)
{
    px_heap *heap = heap_with(0);
    px_heap_stats stats = {.size = 0};
    px_page_info info = {.size = 0};
    (void)state;
    assert_int_equal(px_heap_get_stats(heap, NULL), PX_EINVAL);
    assert_int_equal(px_heap_get_stats(heap, &stats), PX_EINVAL);
    assert_int_equal(px_heap_get_stats(NULL, &stats), PX_EINVAL);
    assert_int_equal(px_heap_page_info(heap, NULL), PX_EINVAL);
    assert_int_equal(px_heap_page_info(heap, &info), PX_EINVAL);
    assert_int_equal(px_heap_page_info(NULL, &info), PX_EINVAL);
    px_heap_release(heap);
}

static void
stats__fill_only_what_is_known__to_an_older_caller(void **state)
{
    px_heap *heap = heap_with(0);
    px_heap_stats stats = {.size = offsetof(px_heap_stats, chunk_count),
                           .chunk_count = 77};
    (void)state;
    assert_non_null(px_heap_alloc(heap, 10));
    assert_int_equal(px_heap_get_stats(heap, &stats), 0);
    assert_true(stats.used_bytes >= 16);
    assert_int_equal(stats.chunk_count, 77);
    assert_int_equal(stats.size, offsetof(px_heap_stats, chunk_count));
    px_heap_release(heap);
}

static void
stats__count__what_was_done(void **state)
{
    px_heap *heap;
    (void)state;
    EACH_HEAP_KIND(heap)
    {
        px_heap_stats fresh = stats_of(heap);
        assert_int_equal(fresh.snapshot_count, 0);
        assert_int_equal(fresh.rollback_count, 0);
        assert_non_null(px_heap_alloc(heap, 3 * MB));
        px_heap_stats now = stats_of(heap);
        assert_true(now.used_bytes >= fresh.used_bytes + 3 * MB);
        assert_int_equal(now.chunk_count, 2);
        assert_true(now.committed_bytes >= 3 * MB);
        assert_true(now.large_page_bytes <= now.committed_bytes);
        assert_true(now.peak_used_bytes >= now.used_bytes);
        assert_true(now.window_bytes > 255 * MB);
    }
}

static void
release__waits_for_the_last__reference(void **state)
{
    px_heap *heap = heap_with(0);
    (void)state;
    assert_ptr_equal(px_heap_retain(heap), heap);
    char *text = px_heap_strdup(heap, "here");
    px_heap_release(heap);
    assert_string_equal(text, "here");
    assert_ptr_equal(px_heap_of(text), heap);
    px_heap_release(heap);
    assert_null(px_heap_of(text));
    px_heap_release(NULL);
    assert_null(px_heap_retain(NULL));
}

/* ---- death ---- */

static void
assert_dies(void (*fn)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

static px_heap *victim;

static void
release_twice(void)
{
    px_heap_release(victim);
    px_heap_release(victim);
}

static void
retain_released(void)
{
    px_heap_release(victim);
    px_heap_retain(victim);
}

static void
release_from_cleanup(void *heap)
{
    px_heap_release(heap);
}

static void
release_in_cleanup(void)
{
    if (px_heap_defer(victim, release_from_cleanup, victim) == 0)
        px_heap_release(victim);
}

static void
retain_from_cleanup(void *heap)
{
    px_heap_retain(heap);
}

static void
retain_in_last_cleanup(void)
{
    if (px_heap_defer(victim, retain_from_cleanup, victim) == 0)
        px_heap_release(victim);
}

static void
release_of_context(void)
{
    victim->standalone = false; /* as px__heap_place() leaves it */
    px_heap_release(victim);
}

static int
see_block(void *block, size_t bytes, void *arg)
{
    (void)arg;
    return block && bytes ? 0 : 1;
}

static void
walk_overrun(void)
{
    uint64_t *block = px_heap_alloc(victim, 24);
    px_heap_alloc(victim, 24);
    volatile uint64_t *beyond = block + px_heap_block_size(victim, block) / 8;
    beyond[0] = 1;
    beyond[2] = 1; /* where a sanitizer's redzone ends */
    px_heap_walk(victim, see_block, NULL);
}

static void
misuse__aborts__where_memory_safety_is_lost(void **state)
{
    (void)state;
    victim = heap_with(PX_HEAP_SIZED);
    assert_dies(release_twice);
    assert_dies(retain_released);
    assert_dies(release_in_cleanup);
    assert_dies(retain_in_last_cleanup);
    assert_dies(release_of_context);
    assert_dies(walk_overrun);
    px_heap_release(victim);
}

/* ---- fork ---- */

/* Exit code of the child: 0 when all is as documented. */
static int
look_from_child(px_heap *heap, const char *text)
{
    px_heap *fresh;
    if (strcmp(text, "from the parent") != 0)
        return 1;
    if (px_heap_create(NULL, &fresh) != PX_EFORKED)
        return 2;
    if (px_heap_of(text) != heap || !px_heap_alloc(heap, 3 * MB))
        return 3;
    px_heap_release(heap);
    return px_heap_of(text) ? 4 : 0;
}

static void
fork__leaves_heaps_readable__but_makes_none(void **state)
{
    px_heap *heap = heap_with(0);
    char *text = px_heap_strdup(heap, "from the parent");
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(look_from_child(heap, text));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    px_heap_release(heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__refuses__bad_options),
        cmocka_unit_test(create__takes_known_fields__of_an_older_struct),
        cmocka_unit_test(stats__are_refused__bad_arguments),
        cmocka_unit_test(stats__fill_only_what_is_known__to_an_older_caller),
        cmocka_unit_test(stats__count__what_was_done),
        cmocka_unit_test(release__waits_for_the_last__reference),
        cmocka_unit_test(misuse__aborts__where_memory_safety_is_lost),
        cmocka_unit_test(fork__leaves_heaps_readable__but_makes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
