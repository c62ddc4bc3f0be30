/*
 * Sets up the one reserved range, once per process, and hands out pieces of it.
 *
 * Three reservations: the range itself, the table of owner words (one word per
 * unit) and the array of window descriptors. All are touched lazily, so their
 * size costs nothing but addresses.
 *
 * How it is found out what the system grants: from the wanted size downwards,
 * halving, first as memory that is usable at once, then as memory that must be
 * committed. Strict overcommit refuses the first and grants the second; a limit
 * on addresses (ulimit -v, 39-bit kernels) refuses both until the size fits.
 *
 * Invariants
 *   R1  `ready` is set last and with release: who sees it sees all the rest
 *   R2  px_range_view.bytes is set after the view's other fields, so that a
 *       question asked during set-up finds an empty range
 *   R3  next <= base + bytes; what lies below next was carved, exactly once
 *
 * Threads: set-up and carving under the lock; everything else reads constants.
 *
 * Rejected: one mapping per heap (VMAs, system calls, and no table could answer
 * for all of them); a header per chunk for ownership (eight times slower: every
 * question is a cache miss in a chunk's first line).
 */
#include "heap/range.h"

#include "base/assert.h"
#include "base/sanitizer.h"
#include "heap/annotate.h"
#include "platform/vm.h"

#include <pxrt/lock.h>

#include <string.h>

#define GB ((size_t)1 << 30)

enum {
    /* Fewer units than this are not worth starting with. */
    UNITS_MIN = 16,
    /* A range holds at least so many windows of the default size. */
    WINDOWS_MIN = 64,
    /* A quarter of the mappings that a process may have. */
    DUMPED_HEAPS = 8192
};

struct px__range px__range;
struct px_range_view px_range_view;

static px_mutex range_mutex;

/* Guarded by the lock. */
static struct {
    char *next;             /* carved up to here */
    char *descriptors;      /* reserved for all that there can ever be */
    size_t descriptor_used; /* bytes */
    size_t descriptor_committed;
} carve;

void
px__range_lock(void)
{
    px_mutex_lock(&range_mutex);
}

void
px__range_unlock(void)
{
    px_mutex_unlock(&range_mutex);
}

void
px_range_options_init(px_range_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
#if PX_THREAD_SANITIZER
    options->reserve_bytes = 512 * GB;
#else
    options->reserve_bytes = 16384 * GB;
#endif
    options->cache_bytes = (size_t)64 << 20;
    options->dumped_heaps = DUMPED_HEAPS;
}

/* At the lowest power of two from 4 GB where they are free: below that is what
 * programs that are not position-independent have, and what maps at 32 bits.
 * Systems look for addresses from the top, or upwards from a third of them. */
static char *
reserve_lowest(size_t bytes, bool commit_later)
{
    char *at = NULL;
    for (uintptr_t bit = 32; !at && bit < 46; bit++)
        at = px__vm_reserve_at((void *)((uintptr_t)1 << bit), bytes,
                               commit_later);
    return at;
}

static char *
reserve_there(size_t bytes, bool lowest, bool commit_later)
{
    char *at = lowest ? reserve_lowest(bytes, commit_later) : NULL;
    return at ? at : px__vm_reserve(bytes, PX_UNIT, commit_later);
}

/* Reserve @bytes in the way wanted, or else in the one that costs no commit. */
static char *
reserve_some(size_t bytes, px_range_options *options)
{
    bool later = options->commit_on_demand;
    char *at = reserve_there(bytes, options->lowest, later);
    if (!at && !later) {
        at = reserve_there(bytes, options->lowest, true);
        options->commit_on_demand = at != NULL;
    }
    return at;
}

/* @options says what is wanted and becomes what was granted. */
static char *
reserve_most(px_range_options *options)
{
    char *at = NULL;
    size_t *bytes = &options->reserve_bytes;
    *bytes &= ~(size_t)(PX_UNIT - 1);
    while (!(at = reserve_some(*bytes, options))) {
        *bytes = (*bytes / 2) & ~(size_t)(PX_UNIT - 1);
        if (*bytes < (size_t)UNITS_MIN * PX_UNIT)
            return NULL;
    }
    return at;
}

static size_t
page_ceil(size_t bytes)
{
    size_t page = px__vm_page_bytes();
    return (bytes + page - 1) & ~(page - 1);
}

/* The table of owners is read at any index, so all of it is committed. */
static uintptr_t *
reserve_owners(size_t units, bool commit_later)
{
    size_t bytes = page_ceil(units * sizeof(uintptr_t));
    void *at = px__vm_reserve(bytes, px__vm_page_bytes(), commit_later);
    if (at && commit_later && px__vm_commit(at, bytes) != 0) {
        px__vm_release(at, bytes);
        return NULL;
    }
    return at;
}

static size_t
default_window(size_t range_bytes)
{
    size_t bytes = GB / 4;
    while (bytes > PX_UNIT && bytes > range_bytes / WINDOWS_MIN)
        bytes /= 2;
    return bytes;
}

static void
publish(char *base, size_t bytes, uintptr_t *owners,
        const px_range_options *options)
{
    px__range.fork_generation = px__fork_generation();
    px__range.page_bytes = px__vm_page_bytes();
    px__range.on_valgrind = px__note_valgrind();
    px__range.no_large_pages = options->no_large_pages;
    px__range.cache_bytes = options->cache_bytes;
    px__range.dumped_heaps = options->dumped_heaps;
    px__range.default_window_bytes = default_window(bytes);
    px__range.default_class =
        (unsigned)__builtin_ctzll(px__range.default_window_bytes);
    px__range.commit_later = options->commit_on_demand;
    carve.next = base;
    px__store_relaxed(&px_range_view.base, (uintptr_t)base);
    px__store_relaxed(&px_range_view.owners, owners);
    px__store_release(&px_range_view.bytes, bytes); /* R2 */
    px__store_release(&px__range.ready, 1);         /* R1 */
}

/* All three reservations or none. */
static int
start_locked(px_range_options *options)
{
    if (px__fork_watch())
        return PX_ENOMEM;
    char *base = reserve_most(options);
    if (!base)
        return PX_ENOMEM;
    size_t bytes = options->reserve_bytes;
    size_t units = bytes / PX_UNIT;
    uintptr_t *owners = reserve_owners(units, options->commit_on_demand);
    char *descriptors =
        owners ? px__vm_reserve(page_ceil(units * PX_DESCRIPTOR_BYTES),
                                px__vm_page_bytes(), options->commit_on_demand)
               : NULL;
    if (!descriptors) {
        if (owners)
            px__vm_release(owners, page_ceil(units * sizeof *owners));
        px__vm_release(base, bytes);
        return PX_ENOMEM;
    }
    if (!options->commit_on_demand)
        (void)px__vm_dump(base, bytes, false); /* see dump.c */
    carve.descriptors = descriptors;
    publish(base, bytes, owners, options);
    return 0;
}

int
px__range_start(void)
{
    px_range_options options;
    px_range_options_init(&options);
    px__range_lock();
    int status = px__range.ready ? 0 : start_locked(&options);
    px__range_unlock();
    return status;
}

int
px_range_configure(const px_range_options *options)
{
    px_range_options full;
    px_range_options_init(&full);
    if (!options || options->size < sizeof full.size)
        return PX_EINVAL;
    memcpy(&full, options,
           options->size < sizeof full ? options->size : sizeof full);
    if (full.reserve_bytes < (size_t)UNITS_MIN * PX_UNIT)
        return PX_EINVAL;
    px__range_lock();
    int status = px__range.ready ? PX_ESTATE : start_locked(&full);
    px__range_unlock();
    return status;
}

/* Make the descriptor after the last one usable. */
static int
commit_descriptor(void)
{
    size_t page = px__range.page_bytes;
    if (!px__range.commit_later ||
        carve.descriptor_used < carve.descriptor_committed)
        return 0;
    char *at = carve.descriptors + carve.descriptor_committed;
    if (px__vm_commit(at, page) != 0)
        return PX_ENOMEM;
    carve.descriptor_committed += page;
    return 0;
}

void *
px__range_carve_locked(size_t bytes, char **lo, size_t *index)
{
    char *end = (char *)px_range_view.base + px_range_view.bytes;
    PX_ASSERT(bytes >= PX_UNIT && bytes % PX_UNIT == 0);
    if (bytes > (size_t)(end - carve.next)) /* R3 */
        return NULL;
    if (commit_descriptor() != 0)
        return NULL;
    char *descriptor = carve.descriptors + carve.descriptor_used;
    *lo = carve.next;
    *index = carve.descriptor_used / PX_DESCRIPTOR_BYTES;
    carve.next += bytes;
    carve.descriptor_used += PX_DESCRIPTOR_BYTES;
    return descriptor;
}
