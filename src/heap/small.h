/*
 * Small blocks of sized heaps, the short way.
 *
 * Nearly all blocks of a heap are small, and nearly all heaps are watched by
 * nobody. What the long way (sized.c) does for these is done here inline and
 * with few registers: for an interpreter a block is one call, of some 35
 * instructions. Invariants Z1 and Z2 are those of sized.c.
 */
#ifndef PX_HEAP_SMALL_H
#define PX_HEAP_SMALL_H

#include "heap/header.h"

/* The first lists are 16 bytes apart, up to the largest of the small spans. */
enum { PX_STEP_LISTS = 32, PX_STEP_MAX = 512 };

static inline unsigned
px__small_list_of(size_t span)
{
    return (unsigned)(span / 16) - 1;
}

static inline void
px__list_push(px__lists *lists, unsigned list, struct px__free_block *block)
{
    struct px__free_block *last = lists->last[list];
    if (last) {
        block->next = last->next;
        last->next = block;
    } else {
        block->next = block;
        lists->last[list] = block;
    }
}

static inline struct px__free_block *
px__list_pop(px__lists *lists, unsigned list)
{
    struct px__free_block *last = lists->last[list];
    if (!last)
        return NULL;
    struct px__free_block *first = last->next;
    if (first == last)
        lists->last[list] = NULL;
    else
        last->next = first->next;
    return first;
}

static inline bool
px__heap_is_plain(const px_heap *heap)
{
    return heap->mode == PX__MODE_SIZED;
}

/* Hand out the block behind this header. */
static inline void *
px__small_give_out(char *header, size_t span)
{
    px__header_put(header, span, PX__BLOCK_LIVE);
    return header + PX_HEADER;
}

/* A block at the cursor: H1, Z1; NULL when memory must be committed. */
static inline void *
px__small_take_new(px_heap *heap, size_t span)
{
    char *header = heap->cursor.next;
    if (span + PX_HEADER > (size_t)(heap->committed - header))
        return NULL;
    px__heap_move(heap, header + span);
    return px__small_give_out(header, span);
}

/* NULL: take the long way. */
static inline void *
px__small_take(px_heap *heap, size_t bytes)
{
    size_t span = (bytes + PX_HEADER + PX_REDZONE + 15) & ~(size_t)15;
    if (!px__heap_is_plain(heap) ||
        bytes - 1 >= PX_STEP_MAX - PX_HEADER - PX_REDZONE)
        return NULL;
    char *block = NULL;
    if (heap->lists)
        block = (char *)px__list_pop(heap->lists, px__small_list_of(span));
    return block ? px__small_give_out(block - PX_HEADER, span)
                 : px__small_take_new(heap, span);
}

#endif
