/*
 * The one reserved range of addresses and the table of who owns its units.
 *
 *      base                                                     base + bytes
 *       | window | window |  window          | not carved yet ...        |
 *       | unit | unit | unit | ...     one owner word each
 *
 * A unit is the smallest window: 8 chunks, or more where chunks are made small
 * to test their bounds.
 */
#ifndef PX_HEAP_RANGE_H
#define PX_HEAP_RANGE_H

#include "base/atomic.h"
#include "platform/fork.h"

#include <pxrt/heap.h>

#if !defined(PX_CHUNK_BYTES)
#define PX_CHUNK_BYTES (2u << 20)
#endif

enum {
    PX_CHUNK = PX_CHUNK_BYTES,
    PX_UNIT = 1 << PX_OWNER_SHIFT,
    /* Classes of window sizes are powers of two below 2^48. */
    PX_CLASSES = 48,
    PX_DESCRIPTOR_BYTES = 256
};

_Static_assert(PX_UNIT >= 8 * PX_CHUNK, "a window has room for two heaps");

/* Written once, when the range is set up; read only afterwards. */
struct px__range {
    int ready;                /* R1: set last, with release */
    uint32_t fork_generation; /* of the process that set it up */
    bool commit_later;        /* memory must be committed before use */
    bool no_large_pages;
    bool on_valgrind;
    size_t page_bytes;
    size_t cache_bytes;
    size_t dumped_heaps;
    size_t default_window_bytes; /* a power of two */
    unsigned default_class;      /* its log2 */
};
extern struct px__range px__range;

/* Set the range up with the defaults, unless it was. 0 or PX_ENOMEM. */
int px__range_start(void);

/* The same, in one load when it was. */
static inline int
px__range_ensure(void)
{
    /* pairs with R1 in range.c */
    return PX_LIKELY(px__load_acquire(&px__range.ready)) ? 0
                                                         : px__range_start();
}

static inline bool
px__range_forked(void)
{
    return px__fork_generation() != px__range.fork_generation;
}

/* The page that @at lies in; the first page boundary not below @at. */
static inline char *
px__page_floor(char *at)
{
    return (char *)((uintptr_t)at & ~(uintptr_t)(px__range.page_bytes - 1));
}

static inline char *
px__page_ceil(char *at)
{
    return px__page_floor(at + px__range.page_bytes - 1);
}

/* The same for chunks. */
static inline char *
px__chunk_floor(char *at)
{
    return (char *)((uintptr_t)at & ~(uintptr_t)(PX_CHUNK - 1));
}

static inline char *
px__chunk_ceil(char *at)
{
    return px__chunk_floor(at + PX_CHUNK - 1);
}

/* The lock of the range and of the pool of windows. Any thread; held for a few
 * instructions or a purge. */
void px__range_lock(void);
void px__range_unlock(void);

/* Cut @bytes (a power of two, at least PX_UNIT) off the range, at *@lo. Answers
 * a zeroed descriptor of PX_DESCRIPTOR_BYTES for them, the *@index-th so far,
 * or NULL when addresses or memory are used up. Under the lock. */
void *px__range_carve_locked(size_t bytes, char **lo, size_t *index);

/* Make every unit of [@lo, @hi) answer @word. @lo, @hi: multiples of PX_UNIT
 * from the range's base. */
static inline void
px__range_own(const char *lo, const char *hi, uintptr_t word)
{
    uintptr_t *owners = (uintptr_t *)(uintptr_t)px_range_view.owners;
    uintptr_t *from = &owners[((uintptr_t)lo - px_range_view.base) / PX_UNIT];
    /* relaxed: who asks about a pointer got the pointer from its owner, and
     * with it everything that happened before */
    for (; lo < hi; lo += PX_UNIT)
        px__store_relaxed(from++, word);
}

#endif
