/** @file
 *  The short ways through the allocator of heaps with PX_HEAP_FREE_LISTS,
 *  inlined: a small block is taken from a list or from the cursor, and given
 *  back to a list, in some fifteen instructions, where a call and its checks
 *  would take thirty more. Included by <pxrt/heap.h>.
 *
 *  The library closes them, by taking `lists` away, where a sanitizer or a
 *  debug build looks at each block, and while a cleanup runs. Headers are
 *  explained in src/heap/header.h, lists and the invariants Z1 and Z2 in
 *  sized.c.
 */
#ifndef PXRT_HEAP_INLINE_H
#define PXRT_HEAP_INLINE_H

#include <pxrt/heap.h>

PX_BEGIN_DECLS

/** @cond */
enum {
    PX__HEADER = 8,     /* bytes of one, before each block */
    PX__KIND_FREE = 1,  /* in a header: live is 0 */
    PX__TAG_SHIFT = 48, /* there, from here on: whether it is one */
    PX__SMALL_LISTS = 32,
    PX__SMALL_MAX = 16 * PX__SMALL_LISTS - PX__HEADER,
    PX__LISTS = 116
};

/* The link lies where its user's data were and will be, of whatever type: no
 * access to these may be moved across one to it. */
#if defined(__GNUC__)
#define PX__MAY_ALIAS __attribute__((may_alias))
#else
#define PX__MAY_ALIAS
#endif

struct PX__MAY_ALIAS px__free_block {
    struct px__free_block *next;
};

/* Freed blocks of each size: the newest and, where there is one, the oldest. */
typedef struct px__lists {
    struct px__free_block *first[PX__LISTS];
    struct px__free_block *last[PX__LISTS];
} px__lists;

/* How every heap begins. */
typedef struct px__front {
    px_cursor cursor;
    char *committed;  /* end of usable memory */
    char *floor;      /* blocks below this are not listed */
    px__lists *lists; /* NULL: the short ways are closed */
} px__front;

static inline px__front *
px__front_of(px_heap *heap)
{
    return (px__front *)(void *)heap;
}

/* Fibonacci hashing, Knuth 6.4. */
static inline uint64_t
px__header_tag(const char *at)
{
    uint64_t hash = (uint64_t)(uintptr_t)at * 0x9E3779B97F4A7C15u;
    return hash >> PX__TAG_SHIFT << PX__TAG_SHIFT;
}

static inline uint64_t *
px__header_of(void *block)
{
    return (uint64_t *)((uintptr_t)block - PX__HEADER);
}

static inline void
px__list_push(px__lists *lists, size_t list, struct px__free_block *block)
{
    block->next = lists->first[list];
    if (!block->next)
        lists->last[list] = block;
    lists->first[list] = block;
}

static inline void *
px__list_pop(px__lists *lists, size_t list)
{
    struct px__free_block *block = lists->first[list];
    if (block)
        lists->first[list] = block->next;
    return block;
}

static inline bool
px__small_allows(const px__front *front, size_t bytes)
{
    return PX_LIKELY(bytes <= PX__SMALL_MAX && front->lists);
}

/* Its blocks are those of (list + 1) * 16 bytes, header included. */
static inline size_t
px__small_list(size_t bytes)
{
    return (bytes + PX__HEADER - 1) / 16;
}

/* A block at the cursor: Z1; NULL: take the long way. Between the cursor and the
 * end are 8 mod 16 bytes, so a next header fits if the block does. */
static inline void *
px__small_new(px__front *front, size_t bytes)
{
    if (!px__small_allows(front, bytes))
        return NULL;
    char *header = front->cursor.next;
    size_t span = (px__small_list(bytes) + 1) * 16;
    if (span > (size_t)(front->committed - header))
        return NULL;
    *(uint64_t *)(void *)header = px__header_tag(header) | span;
    front->cursor.next = front->cursor.end = header + span;
    return header + PX__HEADER;
}

/* Give back a block above the floor: Z2; false: take the long way. Turned to
 * the right, a header's kinds other than live make a number too large. */
static inline bool
px__small_give(px__front *front, void *block)
{
    uint64_t word = *px__header_of(block);
    uint64_t span = word << (64 - PX__TAG_SHIFT);
    unsigned right = 64 - PX__TAG_SHIFT + 4;
    uint64_t list = (span >> right | span << (64 - right)) - 1;
    if (PX_UNLIKELY(list >= PX__SMALL_LISTS))
        return false;
    *px__header_of(block) = word + PX__KIND_FREE;
    px__list_push(front->lists, (size_t)list, (struct px__free_block *)block);
    return true;
}
/** @endcond */

/** A block of at least @p bytes bytes that was freed before; NULL where none of
 *  this size is listed, and for more than 504 bytes: px_heap_alloc() may still
 *  have one. For hosts that look at how a heap grows: this does not make it.
 *  @thread owner
 *  @cost   some ten instructions. */
static inline void *
px_heap_alloc_freed(px_heap *heap, size_t bytes)
{
    px__front *front = px__front_of(heap);
    if (!px__small_allows(front, bytes))
        return NULL;
    void *block = px__list_pop(front->lists, px__small_list(bytes));
    if (block)
        *px__header_of(block) -= PX__KIND_FREE;
    return block;
}

/** px_heap_alloc() for who has asked px_heap_alloc_freed() in vain: where it
 *  can, it takes new memory and does not look for freed blocks. Serves any
 *  heap.
 *  @return what px_heap_alloc() does
 *  @thread owner
 *  @cost   some fifteen instructions for up to 504 bytes. */
static inline void *
px_heap_alloc_new(px_heap *heap, size_t bytes)
{
    void *block = px__small_new(px__front_of(heap), bytes);
    return PX_LIKELY(block != NULL) ? block : px_heap_alloc_slow(heap, bytes);
}

/** The out-of-line half of px_heap_free_live(). Call that instead. */
PX_API void px_heap_free_live_slow(px_heap *heap, void *block);

/** px_heap_free(), for who knows that @p block is NULL or a live block of
 *  @p heap, which has PX_HEAP_SIZED: a debug library aborts where that is not
 *  so, any other may not notice.
 *  @thread owner
 *  @cost   some fifteen instructions for up to 504 bytes. */
static inline void
px_heap_free_live(px_heap *heap, void *block)
{
    px__front *front = px__front_of(heap);
    if (PX_UNLIKELY(!front->lists || (char *)block < front->floor ||
                    !px__small_give(front, block)))
        px_heap_free_live_slow(heap, block);
}

PX_END_DECLS

#endif
