/*
 * Heaps on a kernel that gives large pages unasked: the system's switch reads
 * "always". It is the whole system's, so we leave it alone and play its part:
 * its file says so, by a mount of ours, and each large mapping gets what it
 * would have, by MADV_HUGEPAGE behind the library's back.
 */
#include "heap_support.h"

#include "in_child.h"
#include "kernel.h"
#include "large_switch.h"
#include "sanitized.h"
#include "smaps.h"

#include <pxrt/context.h>

#if defined(__linux__)

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COLLAPSE = 25 };
enum { CANNOT = 77, SMALL_HEAPS = 64, SMALL_LIMIT_BYTES = 24 * 1024 };

static const char always[] = "[always] madvise never\n";
static const char on_request[] = "always [madvise] never\n";

/* ---- the kernel ---- */

static bool gives_unasked;

/* The sanitizers have a mmap of their own. There only the flags are looked at:
 * they are what the true kernel goes by. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void * // NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    void *got =
        (void *)syscall(SYS_mmap, at, bytes, prot, flags, fd, (long)offset);
    if (gives_unasked && got != MAP_FAILED && bytes >= (size_t)1 << 30)
        madvise(got, bytes, MADV_HUGEPAGE);
    return got;
}
#endif

/* The kernel gives unasked, and its switch reads @text. */
static void
start(const char *text)
{
    if (!large_switch_reads(text))
        exit(CANNOT);
    gives_unasked = true;
    px_range_options options;
    px_range_options_init(&options);
    options.cache_bytes = 0; /* what is released is purged */
    CHILD_CHECK(px_range_configure(&options) == 0);
}

static void
assert_passes(void (*kernel)(void))
{
    int code = exit_code_of(kernel);
    if (code == CANNOT)
        skip();
    assert_int_equal(code, 0);
}

static struct smaps
range_seen(void)
{
    return smaps_of((void *)px_range_view.base, px_range_view.bytes);
}

/* ---- heaps ---- */

static px_heap *
create(unsigned flags)
{
    px_heap *heap;
    px_heap_options options;
    px_heap_options_init(&options);
    options.flags = flags;
    CHILD_CHECK(px_heap_create(&options, &heap) == 0);
    return heap;
}

static void
create_small(px_heap **heaps, unsigned flags)
{
    for (int i = 0; i < SMALL_HEAPS; i++) {
        heaps[i] = create(flags);
        CHILD_CHECK(px_heap_calloc(heaps[i], 1, 1000));
    }
}

static void
release_all(px_heap **heaps, int count)
{
    for (int i = 0; i < count; i++)
        px_heap_release(heaps[i]);
}

static px_page_info
grow(px_heap *heap)
{
    px_page_info info = {.size = sizeof info};
    char *block = px_heap_alloc(heap, 9 * MB);
    CHILD_CHECK(block);
    memset(block, 1, 9 * MB);
    CHILD_CHECK(px_heap_page_info(heap, &info) == 0);
    CHILD_CHECK(info.requested_bytes >= 8 * MB);
    return info;
}

/* Nothing but core dumps divides the range, and whoever comes gets small pages.
 */
static void
check_kept_small(size_t resident_limit)
{
    struct smaps seen = range_seen();
    CHILD_CHECK(seen.mappings == seen.seams + 1);
    CHILD_CHECK(seen.kept_small == seen.mappings);
    CHILD_CHECK(PX_SANITIZED || seen.resident_bytes <= resident_limit);
}

/* ---- tests ---- */

/* Not guarded, small heaps are large: else the others would prove nothing. */
static void
small_heaps_unguarded(void)
{
    px_heap *heaps[SMALL_HEAPS];
    start(on_request);
    create_small(heaps, PX_HEAP_SMALL_START);
    if (range_seen().large_bytes == 0)
        exit(CANNOT); /* switched off for good, or none free */
    CHILD_CHECK(range_seen().resident_bytes > SMALL_HEAPS * SMALL_LIMIT_BYTES);
    release_all(heaps, SMALL_HEAPS);
}

static void
kernel__gives_large_pages_unasked__in_this_test(void **state)
{
    (void)state;
    if (PX_SANITIZED)
        skip();
    assert_passes(small_heaps_unguarded);
}

static void
small_heaps(void)
{
    px_heap *heaps[SMALL_HEAPS];
    start(always);
    create_small(heaps, PX_HEAP_SMALL_START);
    CHILD_CHECK(range_seen().large_bytes == 0);
    check_kept_small(SMALL_HEAPS * SMALL_LIMIT_BYTES);
    release_all(heaps, SMALL_HEAPS);
    create_small(heaps, PX_HEAP_SMALL_PAGES);
    for (int i = 0; i < SMALL_HEAPS; i++)
        memset(px_heap_alloc(heaps[i], 3 * MB), 1, 3 * MB);
    CHILD_CHECK(range_seen().large_bytes == 0);
    release_all(heaps, SMALL_HEAPS);
}

static void
small_heaps__stay_small__large_pages_unasked(void **state)
{
    (void)state;
    assert_passes(small_heaps);
}

/* Whether this kernel knows MADV_COLLAPSE, and may. */
static bool
collapses(void)
{
    char *at = mmap(NULL, 4 * MB, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHILD_CHECK(at != MAP_FAILED);
    memset(at, 1, 4 * MB);
    bool known = madvise(at, 4 * MB, COLLAPSE) == 0 || errno != EINVAL;
    munmap(at, 4 * MB);
    return known;
}

/* What is granted is what the kernel shows, and the range stays whole. */
static void
grown_heaps(void)
{
    enum { HEAPS = 4 };
    px_heap *heaps[HEAPS];
    size_t granted = 0, requested = 0;
    int reason = PX_PAGES_OK;
    start(always);
    for (int i = 0; i < HEAPS; i++) {
        heaps[i] = create(0);
        px_page_info info = grow(heaps[i]);
        granted += info.granted_bytes;
        requested += info.requested_bytes;
        reason = info.reason ? info.reason : reason;
    }
    print_message("%zu MB wanted, %zu MB granted, latest refusal: %d\n",
                  requested / MB, granted / MB, reason);
    CHILD_CHECK(granted == requested || reason != PX_PAGES_OK);
    if (collapses()) {
        CHILD_CHECK(reason == PX_PAGES_OK || reason == PX_PAGES_UNAVAILABLE);
        CHILD_CHECK(range_seen().large_bytes == granted);
        check_kept_small(SIZE_MAX);
    }
    release_all(heaps, HEAPS);
}

static void
grown_heaps__are_large__range_stays_whole(void **state)
{
    (void)state;
    assert_passes(grown_heaps);
}

static void *
grow_often(void *arg)
{
    for (int i = 0; i < 10; i++) {
        px_heap *heap = create(0);
        grow(heap);
        px_heap_release(heap);
    }
    return arg;
}

/* Pieces that are collapsed side by side: their mappings merge all the same. */
static void
grown_at_once(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    start(always);
    for (int i = 0; i < THREADS; i++)
        CHILD_CHECK(pthread_create(&threads[i], NULL, grow_often, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_kept_small(THREADS * SMALL_LIMIT_BYTES);
}

static void
grown_heaps__leave_the_range_whole__many_threads(void **state)
{
    (void)state;
    assert_passes(grown_at_once);
}

/* Whatever a window was, its next owner starts small. */
static void
reuse(int reason)
{
    px_heap *heaps[SMALL_HEAPS];
    for (int round = 0; round < 3; round++) {
        px_heap *heap = create(0);
        px_page_info info = grow(heap);
        CHILD_CHECK(reason == PX_PAGES_OK || info.reason == reason);
        CHILD_CHECK(reason == PX_PAGES_OK || range_seen().advised > 0);
        px_heap_trim(heap, 0);
        px_heap_release(heap);
        check_kept_small(SMALL_LIMIT_BYTES);
        create_small(heaps, PX_HEAP_SMALL_START);
        check_kept_small(SMALL_HEAPS * SMALL_LIMIT_BYTES);
        CHILD_CHECK(range_seen().large_bytes == 0);
        release_all(heaps, SMALL_HEAPS);
    }
}

static void
reuse_granted(void)
{
    start(always);
    reuse(PX_PAGES_OK);
}

static void
reuse_advised(void)
{
    static const struct kernel_rule no_collapse = {
        SYS_madvise, .argument = 2, .mask = ~0u, .value = COLLAPSE,
        .error = EINVAL};
    start(always);
    if (!kernel_refuse(&no_collapse, 1))
        exit(CANNOT);
    reuse(PX_PAGES_ADVISED);
}

static void
windows__start_small__after_a_large_owner(void **state)
{
    (void)state;
    assert_passes(reuse_granted);
    assert_passes(reuse_advised);
}

/* Memory that is committed piece by piece is mapped anew by a purge. */
static void
reuse_committed(void)
{
    if (!large_switch_reads(always))
        exit(CANNOT);
    gives_unasked = true;
    px_range_options options;
    px_range_options_init(&options);
    options.commit_on_demand = true;
    options.cache_bytes = 0;
    CHILD_CHECK(px_range_configure(&options) == 0);
    for (int round = 0; round < 3; round++) {
        px_heap *heap = create(0);
        grow(heap);
        px_heap_release(heap);
        struct smaps seen = range_seen();
        CHILD_CHECK(seen.kept_small == seen.mappings);
        CHILD_CHECK(seen.large_bytes == 0);
    }
}

static void
windows__start_small__after_a_large_owner_decommitted(void **state)
{
    (void)state;
    assert_passes(reuse_committed);
}

/* Idle ones, of which some grow. */
static void
many_contexts(void)
{
    enum { CONTEXTS = PX_SANITIZED ? 100 : 10000, GROWN = CONTEXTS / 100 };
    static px_context *all[CONTEXTS];
    start(always);
    for (int i = 0; i < CONTEXTS; i++) {
        CHILD_CHECK(px_context_create(NULL, &all[i]) == 0);
        CHILD_CHECK(px_heap_calloc(px_context_heap(all[i]), 1, 100));
    }
    struct smaps seen = range_seen();
    print_message("%d contexts: %zu mappings, %zu KB each\n", CONTEXTS,
                  seen.mappings, seen.resident_bytes / CONTEXTS / 1024);
    CHILD_CHECK(seen.large_bytes == 0);
    check_kept_small((size_t)CONTEXTS * SMALL_LIMIT_BYTES);
    for (int i = 0; i < GROWN; i++)
        CHILD_CHECK(px_heap_calloc(px_context_heap(all[i * 7]), 3, MB));
    seen = range_seen(); /* of its own only what is advised, or dumped */
    CHILD_CHECK(seen.mappings <= seen.seams + 1 + 2 * seen.advised);
    CHILD_CHECK(seen.advised <= 4 * GROWN);
    for (int i = 0; i < CONTEXTS; i++)
        px_context_release(all[i]);
    check_kept_small(SIZE_MAX);
}

static void
contexts__stay_small_and_merge__large_pages_unasked(void **state)
{
    (void)state;
    assert_passes(many_contexts);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel__gives_large_pages_unasked__in_this_test),
        cmocka_unit_test(small_heaps__stay_small__large_pages_unasked),
        cmocka_unit_test(grown_heaps__are_large__range_stays_whole),
        cmocka_unit_test(grown_heaps__leave_the_range_whole__many_threads),
        cmocka_unit_test(windows__start_small__after_a_large_owner),
        cmocka_unit_test(windows__start_small__after_a_large_owner_decommitted),
        cmocka_unit_test(contexts__stay_small_and_merge__large_pages_unasked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
    return 0;
}

#endif
