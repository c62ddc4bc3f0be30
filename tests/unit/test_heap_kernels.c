/* Heaps on kernels that refuse: strict overcommit, limits of addresses and of
 * data, no large pages of one kind or another. Each kernel is a child of this
 * process with a seccomp filter, with a resource limit, or, where the system
 * lets us mount, with another file in place of sysfs's. */
#include "heap_support.h"

#include "heap/range.h"
#include "in_child.h"
#include "kernel.h"
#include "large_switch.h"
#include "platform/vm.h"
#include "sanitized.h"
#include "smaps.h"

#include <pxrt/context.h>

#if defined(__linux__)

#include <sys/mman.h>
#include <sys/resource.h>

/* The exit code of a child whose kernel cannot be had here. */
enum { CANNOT = 77 };

enum { COLLAPSE = 25, POPULATE_WRITE = 23 };

#define MADVISE(advice, code)                                                  \
    {                                                                          \
        SYS_madvise, .argument = 2, .mask = ~0u, .value = advice,              \
                     .error = code                                             \
    }

static void
assert_passes(void (*kernel)(void))
{
    int code = exit_code_of(kernel);
    if (code == CANNOT)
        skip();
    assert_int_equal(code, 0);
}

/* The thread sanitizer maps memory of its own for each mapping of ours, and
 * does not live where that is refused. */
static void
assert_passes_unless_tsan(void (*kernel)(void))
{
#if defined(__SANITIZE_THREAD__)
    (void)kernel;
    skip();
#else
    assert_passes(kernel);
#endif
}

static void
refuse(const struct kernel_rule *rules, unsigned short count)
{
    if (!kernel_refuse(rules, count))
        exit(CANNOT);
}

static px_page_info
pages_of(const px_heap *heap)
{
    px_page_info info = {.size = sizeof info};
    CHILD_CHECK(px_heap_page_info(heap, &info) == 0);
    return info;
}

/* Every byte of a heap over some chunks can be used, again and again. */
static void
use_heap(px_heap *heap)
{
    px_snapshot here;
    CHILD_CHECK(px_heap_snapshot(heap, &here) == 0);
    for (int round = 0; round < 3; round++) {
        char *block = px_heap_calloc(heap, 5, MB);
        CHILD_CHECK(block && block[0] == 0 && block[5 * MB - 1] == 0);
        memset(block, 1, 5 * MB);
        CHILD_CHECK(px_heap_of(block) == heap);
        CHILD_CHECK(px_heap_rollback(heap, &here) == 0);
        px_heap_trim(heap, 0);
    }
    CHILD_CHECK(px_heap_validate(heap) == 0);
}

static px_heap *
create(void)
{
    px_heap *heap;
    CHILD_CHECK(px_heap_create(NULL, &heap) == 0);
    return heap;
}

/* What pages a heap says it has got; nothing granted. */
static int
refusal(void)
{
    px_heap *heap = create();
    if (px__vm_large_page_bytes() == 0)
        exit(CANNOT);
    use_heap(heap);
    CHILD_CHECK(px_heap_alloc(heap, 5 * MB));
    px_page_info info = pages_of(heap);
    CHILD_CHECK(info.requested_bytes >= 4 * MB);
    CHILD_CHECK(info.granted_bytes == 0);
    px_heap_release(heap);
    return info.reason;
}

/* ---- large pages ---- */

/* Linux 5.14 to 6.0. */
static void
without_collapse(void)
{
    static const struct kernel_rule rule = MADVISE(COLLAPSE, EINVAL);
    refuse(&rule, 1);
    CHILD_CHECK(refusal() == PX_PAGES_ADVISED);
    /* the kernel heard of it */
    CHILD_CHECK(smaps_of((char *)px_range_view.base, 1).advised == 1);
}

static void
pages__are_advised__without_collapse(void **state)
{
    (void)state;
    assert_passes(without_collapse);
}

/* Linux before 5.14. */
static void
without_populate(void)
{
    static const struct kernel_rule rules[] = {MADVISE(COLLAPSE, EINVAL),
                                               MADVISE(POPULATE_WRITE, EINVAL)};
    refuse(rules, 2);
    CHILD_CHECK(refusal() == PX_PAGES_ADVISED);
}

static void
pages__are_advised__without_populate(void **state)
{
    (void)state;
    assert_passes(without_populate);
}

static void
without_any_advice(void)
{
    static const struct kernel_rule rules[] = {MADVISE(COLLAPSE, EINVAL),
                                               MADVISE(MADV_HUGEPAGE, EINVAL)};
    refuse(rules, 2);
    CHILD_CHECK(refusal() == PX_PAGES_UNSUPPORTED);
}

static void
pages__are_unsupported__without_any_advice(void **state)
{
    (void)state;
    assert_passes(without_any_advice);
}

static void
busy(void)
{
    static const struct kernel_rule rule = MADVISE(COLLAPSE, EAGAIN);
    refuse(&rule, 1);
    CHILD_CHECK(refusal() == PX_PAGES_UNAVAILABLE);
}

static void
fragmented(void)
{
    static const struct kernel_rule rule = MADVISE(COLLAPSE, ENOMEM);
    refuse(&rule, 1);
    CHILD_CHECK(refusal() == PX_PAGES_UNAVAILABLE);
}

static void
pages__are_unavailable__while_the_kernel_has_none(void **state)
{
    (void)state;
    assert_passes(busy);
    assert_passes(fragmented);
}

/* As in a container that hides sysfs. */
static void
without_sysfs(void)
{
    static const struct kernel_rule rule = {SYS_openat, .error = EACCES};
    refuse(&rule, 1);
    px_heap *heap = create();
    use_heap(heap);
    px_page_info info = pages_of(heap);
    CHILD_CHECK(info.granted_bytes == 0 && info.large_page_bytes == 0);
    CHILD_CHECK(info.reason == PX_PAGES_UNSUPPORTED);
    px_heap_release(heap);
}

static void
pages__are_unsupported__without_sysfs(void **state)
{
    (void)state;
    assert_passes(without_sysfs);
}

static void
switched_off(void)
{
    if (!large_switch_reads("always madvise [never]\n"))
        exit(CANNOT);
    CHILD_CHECK(refusal() == PX_PAGES_DISABLED);
}

static void
pages__are_disabled__by_the_system(void **state)
{
    (void)state;
    assert_passes(switched_off);
}

/* ---- memory ---- */

/* Strict overcommit, seen from here: memory that may be written is refused when
 * there is more of it than the system has; addresses are not. */
static const struct kernel_rule strict = {
    SYS_mmap,       .argument = 2,  .mask = PROT_WRITE, .value = PROT_WRITE,
    .least_4gb = 1, .error = ENOMEM};
static const struct kernel_rule nothing_left = {
    SYS_mprotect, .argument = 2, .mask = PROT_WRITE, .value = PROT_WRITE,
    .error = ENOMEM};

static void
use_closed_range(void)
{
    px_heap *heap = create();
    CHILD_CHECK(px__range.commit_later);
    char *last = (char *)px_range_view.base + px_range_view.bytes - 1;
    CHILD_CHECK(smaps_of(last, 1).closed == 1);
    use_heap(heap);
    px_heap_release(heap);
}

static void
use_strictly(void)
{
    refuse(&strict, 1);
    use_closed_range();
}

static void
range__is_closed__strict_overcommit(void **state)
{
    (void)state;
    assert_passes_unless_tsan(use_strictly);
}

/* Where the system really is strict: `sysctl vm.overcommit_memory=2`. */
static void
use_strict_system(void)
{
    FILE *mode = fopen("/proc/sys/vm/overcommit_memory", "r");
    bool is_strict = mode && fgetc(mode) == '2';
    if (mode)
        fclose(mode);
    if (!is_strict)
        exit(CANNOT);
    use_closed_range();
}

static void
range__is_closed__on_a_strict_system(void **state)
{
    (void)state;
    assert_passes(use_strict_system);
}

static void
use_up_strictly(void)
{
    enum { HEAPS = 64 };
    px_heap *heap, *made[HEAPS];
    px_context *cx;
    refuse(&strict, 1);
    heap = create();
    char *block = px_heap_alloc(heap, MB);
    CHILD_CHECK(block);
    refuse(&nothing_left, 1);
    CHILD_CHECK(px_heap_alloc(heap, 64 * MB) == NULL);
    CHILD_CHECK(px_heap_validate(heap) == 0);
    CHILD_CHECK(px_heap_alloc(heap, 1000)); /* of what was committed */
    CHILD_CHECK(px_context_create(NULL, &cx) == PX_ENOMEM);
    for (int i = 0; i < HEAPS; i++) /* nothing is lost by failing */
        CHILD_CHECK(px_heap_create(NULL, &made[i]) == PX_ENOMEM);
    px_heap_release(heap);
    heap = create(); /* its window is still committed */
    px_heap_release(heap);
}

static void
create__answers_enomem__nothing_left_to_commit(void **state)
{
    (void)state;
    assert_passes_unless_tsan(use_up_strictly);
}

static void
start_with_nothing(void)
{
    const struct kernel_rule rules[] = {strict, nothing_left};
    px_heap *heap = NULL;
    refuse(rules, 2);
    CHILD_CHECK(px_heap_create(NULL, &heap) == PX_ENOMEM && !heap);
    CHILD_CHECK(px_range_view.bytes == 0);
    CHILD_CHECK(px_owner_word(&heap) == 0);
}

static void
create__answers_enomem__not_even_a_table(void **state)
{
    (void)state;
    assert_passes_unless_tsan(start_with_nothing);
}

/* No mapping of 4 GB or more, whatever it is for. */
static void
start_small(void)
{
    static const struct kernel_rule narrow = {SYS_mmap, .least_4gb = 1,
                                              .error = ENOMEM};
    refuse(&narrow, 1);
    px_heap *heap = create();
    CHILD_CHECK(px_range_view.bytes < (size_t)4 << 30);
    CHILD_CHECK(!px__range.commit_later);
    use_heap(heap);
    px_heap_release(heap);
}

static void
range__takes_what_it_gets__few_addresses(void **state)
{
    (void)state;
    assert_passes_unless_tsan(start_small);
}

/* A real kernel's strictness that takes no privilege: RLIMIT_DATA counts memory
 * that may be written, and not addresses. */
static void
limit_data(void)
{
    const struct rlimit limit = {96 * MB, 96 * MB};
    CHILD_CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
    px_heap *heap = create();
    CHILD_CHECK(px__range.commit_later);
    use_heap(heap);
    size_t got = 0;
    while (px_heap_alloc(heap, 4096))
        got += 4096;
    CHILD_CHECK(got > 16 * MB && got < 96 * MB);
    CHILD_CHECK(px_heap_validate(heap) == 0);
    px_heap *other = NULL;
    CHILD_CHECK(px_heap_create(NULL, &other) == PX_ENOMEM && !other);
    px_heap_release(heap);
    heap = create();
    use_heap(heap);
    px_heap_release(heap);
}

static void
heap__ends_at_the_limit__of_data(void **state)
{
    (void)state;
    if (PX_SANITIZED)
        skip(); /* its own memory is over the limit */
    assert_passes(limit_data);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages__are_advised__without_collapse),
        cmocka_unit_test(pages__are_advised__without_populate),
        cmocka_unit_test(pages__are_unsupported__without_any_advice),
        cmocka_unit_test(pages__are_unavailable__while_the_kernel_has_none),
        cmocka_unit_test(pages__are_unsupported__without_sysfs),
        cmocka_unit_test(pages__are_disabled__by_the_system),
        cmocka_unit_test(range__is_closed__strict_overcommit),
        cmocka_unit_test(range__is_closed__on_a_strict_system),
        cmocka_unit_test(create__answers_enomem__nothing_left_to_commit),
        cmocka_unit_test(create__answers_enomem__not_even_a_table),
        cmocka_unit_test(range__takes_what_it_gets__few_addresses),
        cmocka_unit_test(heap__ends_at_the_limit__of_data),
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
