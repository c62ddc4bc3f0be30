/*
 * Address space by mmap, large pages by MADV_COLLAPSE.
 *
 * A range is one mapping, PROT_READ | PROT_WRITE with MAP_NORESERVE: it costs
 * microseconds and one VMA whatever its size. Where the kernel counts memory
 * that may be written (overcommit_memory = 2, RLIMIT_DATA) the range is
 * PROT_NONE and pieces are opened by mprotect, which is refused when too much
 * is open; each open piece is a VMA.
 *
 * Large pages. MADV_COLLAPSE turns a 2 MB piece with at least one present page
 * into a large page at once, tells whether it did, and leaves the VMA whole.
 * MADV_HUGEPAGE only sets a flag on the VMA, which splits it: a process may
 * have some 65,000 VMAs, so that fallback is bounded and its answer is
 * "advised". MADV_COLLAPSE overrules the system's switch; we do not want to,
 * so the switch is read first.
 *
 * Switched to "always", the kernel gives a large page to whoever touches a byte:
 * 2 MB for each heap of a few KB. So the whole range is told not to have any,
 * which is one flag on one VMA, and a piece is freed of it while it is
 * collapsed:
 *
 *      |              NOHUGEPAGE              |     1 VMA
 *      |  NOHUGEPAGE  |HUGEPAGE|  NOHUGEPAGE |     3, during MADV_COLLAPSE
 *      |  NOHUGEPAGE    [2 MB]    NOHUGEPAGE  |     1, the large page stays
 *
 * A piece that is advised keeps its HUGEPAGE until it is purged.
 *
 * Core dumps. The kernel looks at each page of a mapping that was touched once,
 * so a range is left out but for the pieces in use (heap/dump.c). Not so when it
 * is PROT_NONE: what is closed was never touched, for a purge puts a mapping of
 * its own there, and the kernel skips such mappings.
 *
 * Notes for users. After fork the child has a copy-on-write view of everything. mlockall(MCL_FUTURE) would populate the
 * whole range: use MCL_ONFAULT, or commit_on_demand.
 *
 * Rejected: MAP_HUGETLB (needs a pool set up by root), munmap + mmap to trim
 * (splits the mapping), MADV_FREE (the resident size keeps showing it).
 */
#include "platform/vm.h"

#include "base/assert.h"
#include "base/atomic.h"

#include <pxrt/status.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/prctl.h>
#if !defined(MADV_COLLAPSE)
#define MADV_COLLAPSE 25
#endif
#if !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23
#endif
#endif

#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

enum {
    COLLAPSE_TRIES = 3,
    /* Regions that may get a VMA of their own by MADV_HUGEPAGE. */
    ADVISE_MAX = 4096
};

size_t
px__vm_page_bytes(void)
{
    static size_t cached;
    size_t bytes = px__load_relaxed(&cached);
    if (bytes == 0) {
        bytes = (size_t)sysconf(_SC_PAGESIZE);
        px__store_relaxed(&cached, bytes);
    }
    return bytes;
}

#if defined(__linux__)

/* What the system's switch says. Unreadable, as in a container that hides
 * sysfs, it may say anything: then we guard against the worst. */
enum large_switch {
    SWITCH_NOT_READ,
    SWITCH_NEVER,
    SWITCH_ON_REQUEST,
    SWITCH_ALWAYS_OR_HIDDEN
};

/* The text of a small file of sysfs; empty when it cannot be read. */
static void
read_text(const char *path, char *text, size_t bytes)
{
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        got = read(fd, text, bytes - 1);
        close(fd);
    }
    text[got > 0 ? got : 0] = '\0';
}

static const char large_size_path[] =
    "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
static const char large_switch_path[] =
    "/sys/kernel/mm/transparent_hugepage/enabled";

/* Both answers are read once: 0 means not yet, 1 means none. */
size_t
px__vm_large_page_bytes(void)
{
    static size_t cached;
    size_t bytes = px__load_relaxed(&cached);
    if (bytes == 0) {
        char text[32];
        read_text(large_size_path, text, sizeof text);
        bytes = (size_t)strtoull(text, NULL, 10);
        px__store_relaxed(&cached, bytes > 0 ? bytes : 1);
    }
    return bytes > 1 ? bytes : 0;
}

static enum large_switch
large_switch(void)
{
    static int cached;
    int state = px__load_relaxed(&cached);
    if (state == SWITCH_NOT_READ) {
        char text[64];
        read_text(large_switch_path, text, sizeof text);
        state = strstr(text, "[never]")     ? SWITCH_NEVER
                : strstr(text, "[madvise]") ? SWITCH_ON_REQUEST
                                            : SWITCH_ALWAYS_OR_HIDDEN;
        px__store_relaxed(&cached, state);
    }
    return (enum large_switch)state;
}

/* Regions that were given a VMA of their own by advise(). */
static long advised;

/* A refusal costs no more than residency: this kernel has no large pages, or
 * no memory for a VMA. */
static void
keep_small(void *lo, size_t bytes)
{
    if (large_switch() == SWITCH_ALWAYS_OR_HIDDEN)
        madvise(lo, bytes, MADV_NOHUGEPAGE);
}

/* Purged memory begins anew: a fresh mapping has no flag, and one that was
 * advised has the wrong one. */
static void
keep_small_again(void *lo, size_t bytes, bool fresh)
{
    if (fresh || px__load_relaxed(&advised) > 0)
        keep_small(lo, bytes);
}

#else

static void
keep_small(void *lo, size_t bytes)
{
    (void)lo;
    (void)bytes;
}

static void
keep_small_again(void *lo, size_t bytes, bool fresh)
{
    (void)fresh;
    keep_small(lo, bytes);
}

#endif

/* @wish is where it should be, or NULL. */
static char *
map(void *wish, size_t bytes, bool commit_later)
{
    int prot = commit_later ? PROT_NONE : PROT_READ | PROT_WRITE;
    void *at = mmap(wish, bytes, prot,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* Map @bytes plus room to align, then cut the mapping to the aligned part. */
static char *
map_aligned(size_t bytes, size_t align, bool commit_later)
{
    char *raw = map(NULL, bytes + align, commit_later);
    if (!raw)
        return NULL;
    size_t head = (align - ((uintptr_t)raw & (align - 1))) & (align - 1);
    if (head > 0)
        munmap(raw, head);
    munmap(raw + head + bytes, align - head);
    return raw + head;
}

void *
px__vm_reserve(size_t bytes, size_t align, bool commit_later)
{
    PX_ASSERT(align >= px__vm_page_bytes() && (align & (align - 1)) == 0);
    if (bytes + align < bytes)
        return NULL;
    char *lo = map_aligned(bytes, align, commit_later);
    if (lo)
        keep_small(lo, bytes);
    return lo;
}

void *
px__vm_reserve_at(void *lo, size_t bytes, bool commit_later)
{
    PX_ASSERT((uintptr_t)lo % px__vm_page_bytes() == 0);
    char *at = map(lo, bytes, commit_later);
    if (at && at != lo) {
        munmap(at, bytes);
        return NULL;
    }
    if (at)
        keep_small(at, bytes);
    return at;
}

int
px__vm_commit(void *lo, size_t bytes)
{
    if (mprotect(lo, bytes, PROT_READ | PROT_WRITE) != 0)
        return PX_ENOMEM;
    return 0;
}

/* The system refuses to drop locked memory, and may refuse for lack of memory
 * of its own. The contents have to go all the same. */
static void
drop_contents(void *lo, size_t bytes)
{
    if (madvise(lo, bytes, MADV_DONTNEED) != 0)
        memset(lo, 0, bytes);
}

/* A fresh mapping in place of the old one is the only way to also give back
 * what was charged to a strict overcommit limit. */
void
px__vm_purge(void *lo, size_t bytes, bool decommit)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (!decommit || mmap(lo, bytes, PROT_NONE, flags, -1, 0) == MAP_FAILED)
        drop_contents(lo, bytes);
    keep_small_again(lo, bytes, decommit);
}

bool
px__vm_dump(void *lo, size_t bytes, bool wanted)
{
#if defined(__linux__)
    return madvise(lo, bytes, wanted ? MADV_DODUMP : MADV_DONTDUMP) == 0;
#else
    (void)lo;
    (void)bytes;
    return wanted; /* dumps hold all */
#endif
}

void
px__vm_release(void *lo, size_t bytes)
{
    munmap(lo, bytes);
}

#if defined(__linux__)

static bool
switched_off(void)
{
    return large_switch() == SWITCH_NEVER ||
           prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1;
}

/* For kernels before 6.1. */
static enum px__vm_large
advise(void *lo, size_t bytes)
{
    if (px__add_relaxed(&advised, 1) >= ADVISE_MAX ||
        madvise(lo, bytes, MADV_HUGEPAGE) != 0)
        return PX__VM_LARGE_UNSUPPORTED;
    return PX__VM_LARGE_ADVISED;
}

/* A large page needs one present small page to start from. The kernel makes it
 * present for us: the memory may be closed to us by a sanitizer. */
static int
populate(void *lo, size_t bytes, size_t large)
{
    for (size_t at = 0; at < bytes; at += large) {
        if (madvise((char *)lo + at, px__vm_page_bytes(),
                    MADV_POPULATE_WRITE) != 0)
            return errno;
    }
    return 0;
}

static int
collapse(void *lo, size_t bytes)
{
    for (int i = 0; i < COLLAPSE_TRIES; i++) {
        if (madvise(lo, bytes, MADV_COLLAPSE) == 0)
            return 0;
        if (errno != EAGAIN)
            break;
    }
    return errno;
}

/* Memory that is kept small cannot be collapsed, so that is taken back for the
 * time being. VMAs merge again only if they were populated as one: populate()
 * goes before. */
static int
collapse_kept_small(void *lo, size_t bytes)
{
    if (madvise(lo, bytes, MADV_HUGEPAGE) != 0)
        return errno;
    int error = collapse(lo, bytes);
    keep_small(lo, bytes);
    return error;
}

static int
populate_and_collapse(void *lo, size_t bytes, size_t large)
{
    int error = populate(lo, bytes, large);
    if (error != 0)
        return error;
    return large_switch() == SWITCH_ALWAYS_OR_HIDDEN
               ? collapse_kept_small(lo, bytes)
               : collapse(lo, bytes);
}

enum px__vm_large
px__vm_enlarge(void *lo, size_t bytes)
{
    size_t large = px__vm_large_page_bytes();
    if (large == 0 || bytes % large != 0)
        return PX__VM_LARGE_UNSUPPORTED;
    if (switched_off())
        return PX__VM_LARGE_DISABLED;
    switch (populate_and_collapse(lo, bytes, large)) {
    case 0:
        return PX__VM_LARGE_GRANTED;
    case EINVAL:
        return advise(lo, bytes);
    default:
        return PX__VM_LARGE_UNAVAILABLE;
    }
}

#else

size_t
px__vm_large_page_bytes(void)
{
    return 0;
}

enum px__vm_large
px__vm_enlarge(void *lo, size_t bytes)
{
    (void)lo;
    (void)bytes;
    return PX__VM_LARGE_UNSUPPORTED;
}

#endif
