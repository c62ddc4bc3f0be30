/*
 * What contexts cost in resident memory: ten thousand idle ones a few KB each,
 * and any number created and destroyed nothing that stays. ctest: serial
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CONTEXTS = 10000,
    IDLE_LIMIT_BYTES = 24 * 1024,
    FLAT_LIMIT_BYTES = 4 << 20,
};

/* Windows of this size for ten thousand contexts fit the smaller range of
 * ThreadSanitizer too; what a context costs does not depend on it. */
enum { WINDOW_BYTES = 16 << 20 };

/* Sanitizers keep shadows and quarantines of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { RSS_MEANS_SOMETHING = 0 };
#else
enum { RSS_MEANS_SOMETHING = 1 };
#endif

static size_t
resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static px_context *
create(void)
{
    px_context *cx;
    px_context_options options;
    px_context_options_init(&options);
    options.window_bytes = WINDOW_BYTES;
    assert_int_equal(px_context_create(&options, &cx), 0);
    return cx;
}

/* A connection between two requests: some state, a snapshot, nothing else. */
static px_context *
create_idle(void)
{
    px_snapshot before;
    px_context *cx = create();
    assert_non_null(px_base_alloc(cx, 100));
    assert_int_equal(px_heap_snapshot(px_context_heap(cx), &before), 0);
    assert_non_null(px_alloc(cx, 100));
    assert_int_equal(px_heap_rollback(px_context_heap(cx), &before), 0);
    return cx;
}

static void
idle_contexts__keep_a_few_kilobytes_each(void **state)
{
    px_context **all = malloc(sizeof *all * CONTEXTS);
    size_t before, each;
    (void)state;
    assert_non_null(all);
    px_context_release(create_idle()); /* the range itself is not counted */
    before = resident_bytes();
    for (int i = 0; i < CONTEXTS; i++)
        all[i] = create_idle();
    each = (resident_bytes() - before) / CONTEXTS;
    print_message("%d idle contexts: %zu bytes each\n", CONTEXTS, each);
    for (int i = 0; i < CONTEXTS; i++)
        px_context_release(all[i]);
    free(all);
    if (RSS_MEANS_SOMETHING)
        assert_true(each <= IDLE_LIMIT_BYTES);
}

/* One context's life, with more or less memory and with cleanups. */
static void
live_and_die(int round)
{
    px_context *cx = create();
    assert_int_equal(px_enter(cx), 0);
    for (int i = 0; i < round % 100; i++)
        assert_non_null(px_alloc(cx, (size_t)(i * 37 % 5000)));
    if (round % 50 == 0)
        assert_non_null(px_alloc(cx, (size_t)5 << 20));
    assert_int_equal(px_leave(cx), 0);
    px_context_release(cx);
}

static void
churn__of_contexts__leaves_resident_memory_flat(void **state)
{
    size_t warm, grown;
    (void)state;
    for (int i = 0; i < CONTEXTS; i++)
        live_and_die(i); /* fills the cache of windows */
    warm = resident_bytes();
    for (int i = 0; i < CONTEXTS; i++)
        live_and_die(i);
    grown = resident_bytes() > warm ? resident_bytes() - warm : 0;
    print_message("%d contexts came and went: %zu bytes more\n", CONTEXTS,
                  grown);
    if (RSS_MEANS_SOMETHING)
        assert_true(grown <= FLAT_LIMIT_BYTES);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_contexts__keep_a_few_kilobytes_each),
        cmocka_unit_test(churn__of_contexts__leaves_resident_memory_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
