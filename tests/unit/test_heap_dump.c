/*
 * Core dumps: a process with many contexts crashes within a bounded time, and
 * what lives in them can be read from the dump.
 *
 * A child makes contexts, says through a pipe where their objects lie, and
 * aborts; its dump is an ELF file, whose program headers say which addresses
 * are where. Systems that give the dump to a program, or keep it elsewhere, are
 * skipped.
 */
#include "heap_support.h"

#include "in_child.h"
#include "sanitized.h"
#include "smaps.h"

#include <pxrt/context.h>

#if defined(__linux__)

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { CONTEXTS = 1000, NUMBERS = 8, DUMP_MOST_S = 60 };

/* What lies in an object: numbers that are nowhere else in the process. */
static uint64_t
number(size_t context, size_t i)
{
    return (context * NUMBERS + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- the child ---- */

static int told;

/* Put an object into @heap, its first block or one far from its start, and tell
 * the parent. */
static void
put_object(px_heap *heap, size_t context, size_t away)
{
    CHILD_CHECK(away == 0 || px_heap_alloc(heap, away));
    uint64_t *object = px_heap_alloc(heap, NUMBERS * sizeof *object);
    CHILD_CHECK(object);
    for (size_t i = 0; i < NUMBERS; i++)
        object[i] = number(context, i);
    CHILD_CHECK(write(told, &object, sizeof object) == sizeof object);
}

/* Both heaps of each context have an object; a few are large. */
static void
make_contexts(void)
{
    for (size_t i = 0; i < CONTEXTS; i += 2) {
        px_context *cx;
        size_t away = i % 50 ? 0 : 5 * MB;
        CHILD_CHECK(px_context_create(NULL, &cx) == 0);
        put_object(px_context_base(cx), i, away);
        CHILD_CHECK(px_enter(cx) == 0);
        put_object(px_context_heap(cx), i + 1, away);
        CHILD_CHECK(px_leave(cx) == 0);
    }
}

/* Contexts that came and went leave windows behind: warm, cold and used twice. */
static void
leave_windows_behind(void)
{
    enum { GONE = 100 };
    px_context *gone[GONE];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < GONE; i++) {
            CHILD_CHECK(px_context_create(NULL, &gone[i]) == 0);
            px_heap *heap = px_context_base(gone[i]);
            CHILD_CHECK(px_heap_calloc(heap, 1, i % 2 ? MB / 2 : 3 * MB));
        }
        for (int i = 0; i < GONE; i++)
            px_context_release(gone[i]);
    }
}

static void
configure(bool on_demand, size_t dumped_heaps)
{
    px_range_options options;
    px_range_options_init(&options);
    options.commit_on_demand = on_demand;
    options.no_large_pages = true; /* dumps stay small */
    options.dumped_heaps = dumped_heaps;
    CHILD_CHECK(px_range_configure(&options) == 0);
}

static void
crash(void)
{
    configure(false, 8192);
    leave_windows_behind();
    make_contexts();
}

static void
crash_committed(void)
{
    configure(true, 8192);
    leave_windows_behind();
    make_contexts();
}

static void
crash_undumped(void)
{
    configure(false, 0);
    leave_windows_behind();
    make_contexts();
}

/* ---- the parent ---- */

struct crash {
    char folder[64];
    uint64_t *objects[CONTEXTS];
    char *core; /* the dump, mapped; NULL when there is none */
    size_t core_bytes;
};

/* Whether the kernel writes dumps into the folder of who crashes. */
static bool
dumps_here(void)
{
    char pattern[256] = "";
    struct rlimit limit;
    FILE *f = fopen("/proc/sys/kernel/core_pattern", "r");
    bool read = f && fgets(pattern, sizeof pattern, f);
    if (f)
        fclose(f);
    return read && pattern[0] != '|' && !strchr(pattern, '/') &&
           getrlimit(RLIMIT_CORE, &limit) == 0 &&
           limit.rlim_max == RLIM_INFINITY;
}

static void
die_with_dump(const char *folder, void (*prepare)(void))
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    CHILD_CHECK(chdir(folder) == 0);
    prepare();
    CHILD_CHECK(setrlimit(RLIMIT_CORE, &all) == 0);
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void
ignore_signal(int number_of_it)
{
    (void)number_of_it;
}

/* The status of @child, or -1 when it took too long. Only SIGKILL ends a dump.
 */
static int
reap(pid_t child)
{
    int status = -1;
    struct sigaction on_alarm = {.sa_handler = ignore_signal};
    sigaction(SIGALRM, &on_alarm, NULL); /* no restart: waitpid is to end */
    alarm(DUMP_MOST_S);
    pid_t got = waitpid(child, &status, 0);
    if (got < 0 && errno == EINTR) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        status = -1;
    }
    alarm(0);
    return status;
}

/* The only file in the folder, whatever its name; it goes with the folder. */
static void
map_core(struct crash *c)
{
    char path[512] = "";
    DIR *list = opendir(c->folder);
    for (struct dirent *at; list && (at = readdir(list));) {
        if (at->d_name[0] != '.')
            snprintf(path, sizeof path, "%s/%s", c->folder, at->d_name);
    }
    if (list)
        closedir(list);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t bytes = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    if (bytes > 0) {
        c->core_bytes = (size_t)bytes;
        c->core = mmap(NULL, c->core_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        assert_ptr_not_equal(c->core, MAP_FAILED);
    }
    if (fd >= 0)
        close(fd);
    unlink(path);
}

static void
read_objects(struct crash *c, int from)
{
    char *into = (char *)c->objects;
    size_t left = sizeof c->objects;
    ssize_t got;
    while (left > 0 && (got = read(from, into, left)) > 0) {
        into += got;
        left -= (size_t)got;
    }
    assert_int_equal(left, 0);
}

/* Crash after @prepare. Skips the test where the system makes no dump. */
static void
let_crash(struct crash *c, void (*prepare)(void))
{
    int ends[2];
    *c = (struct crash){.folder = "/tmp/pxrt-dump-XXXXXX"};
    if (!dumps_here() || PX_SANITIZED)
        skip();
    assert_non_null(mkdtemp(c->folder));
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        told = ends[1];
        die_with_dump(c->folder, prepare);
    }
    close(ends[1]);
    read_objects(c, ends[0]);
    close(ends[0]);
    int status = reap(child);
    map_core(c);
    rmdir(c->folder);
    assert_int_not_equal(status, -1);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    if (!c->core)
        skip(); /* refused by something that we do not know of */
}

/* Where the dump holds @at; NULL: it does not. */
static const uint64_t *
in_dump(const struct crash *c, const uint64_t *at)
{
    const ElfW(Ehdr) *head = (const void *)c->core;
    const ElfW(Phdr) *part = (const void *)(c->core + head->e_phoff);
    for (int i = 0; i < head->e_phnum; i++) {
        size_t offset = (uintptr_t)at - part[i].p_vaddr;
        if (part[i].p_type == PT_LOAD && offset < part[i].p_filesz)
            return (const void *)(c->core + part[i].p_offset + offset);
    }
    return NULL;
}

/* How many objects the dump holds; those that it does are whole. */
static int
count_dumped(const struct crash *c)
{
    int count = 0;
    for (size_t n = 0; n < CONTEXTS; n++) {
        const uint64_t *object = in_dump(c, c->objects[n]);
        for (size_t i = 0; object && i < NUMBERS; i++)
            assert_int_equal(object[i], number(n, i));
        count += object != NULL;
    }
    return count;
}

static int
dumped_after(void (*prepare)(void))
{
    struct crash c;
    let_crash(&c, prepare);
    int count = count_dumped(&c);
    munmap(c.core, c.core_bytes);
    return count;
}

/* ---- tests ---- */

static void
crash__dumps_every_object__many_contexts(void **state)
{
    (void)state;
    assert_int_equal(dumped_after(crash), CONTEXTS);
}

static void
crash__dumps_every_object__commit_on_demand(void **state)
{
    (void)state;
    assert_int_equal(dumped_after(crash_committed), CONTEXTS);
}

static void
crash__dumps_no_object__none_wanted(void **state)
{
    (void)state;
    assert_int_equal(dumped_after(crash_undumped), 0);
}

static struct smaps
range_seen(void)
{
    return smaps_of((void *)px_range_view.base, px_range_view.bytes);
}

/* The bound holds, and what was given back makes room for others. */
static void
bounded(void)
{
    enum { BOUND = 8, HEAPS = 20 };
    px_heap *heaps[HEAPS];
    px_heap_options small;
    configure(false, BOUND);
    px_heap_options_init(&small);
    small.window_bytes = 16 * MB;
    for (int i = 0; i < HEAPS; i++) {
        CHILD_CHECK(px_heap_create(&small, &heaps[i]) == 0);
        CHILD_CHECK(px_heap_calloc(heaps[i], 1, 5 * MB));
    }
    CHILD_CHECK(range_seen().dumped == BOUND);
    CHILD_CHECK(range_seen().mappings == 2 * BOUND);
    for (int i = 0; i < HEAPS; i++)
        px_heap_release(heaps[i]);
    CHILD_CHECK(range_seen().mappings <= 2 * BOUND);
}

static void
undumped(void)
{
    px_heap *heap;
    configure(false, 0);
    CHILD_CHECK(px_heap_create(NULL, &heap) == 0);
    CHILD_CHECK(px_heap_calloc(heap, 1, 5 * MB));
    CHILD_CHECK(range_seen().mappings == 1);
    px_heap_release(heap);
}

static void
dumped_heaps__bounds_the_mappings__more_heaps(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(bounded), 0);
    assert_int_equal(exit_code_of(undumped), 0);
}

/* Dumps hold what is committed, and a chunk when it was given back. */
static void
follow(void)
{
    px_heap *heap;
    px_snapshot empty;
    configure(false, 8192);
    CHILD_CHECK(px_heap_create(NULL, &heap) == 0);
    CHILD_CHECK(range_seen().dumped_bytes == 2 * MB);
    CHILD_CHECK(px_heap_snapshot(heap, &empty) == 0);
    CHILD_CHECK(px_heap_alloc(heap, 9 * MB));
    CHILD_CHECK(range_seen().dumped_bytes == 10 * MB);
    CHILD_CHECK(px_heap_rollback(heap, &empty) == 0);
    px_heap_trim(heap, 0);
    CHILD_CHECK(range_seen().dumped_bytes == 2 * MB);
    CHILD_CHECK(range_seen().mappings == 2);
    px_heap_release(heap);
}

static void
dumps__follow__what_a_heap_uses(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(follow), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash__dumps_every_object__many_contexts),
        cmocka_unit_test(crash__dumps_every_object__commit_on_demand),
        cmocka_unit_test(crash__dumps_no_object__none_wanted),
        cmocka_unit_test(dumped_heaps__bounds_the_mappings__more_heaps),
        cmocka_unit_test(dumps__follow__what_a_heap_uses),
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
