/*
 * Reading a heap from end to end: for its user, and to check it.
 *
 * A sized heap is a row of headers (sized.c, Z1), so it can be read without any
 * index. A heap that is not sized can only be checked by its chains.
 *
 * Threads: the heap's owner.
 */
#include "heap/header.h"

int
px_heap_walk(px_heap *heap, int (*visit)(void *block, size_t bytes, void *arg),
             void *arg)
{
    if (!heap || !visit)
        return PX_EINVAL;
    if (!(heap->mode & PX__MODE_SIZED))
        return PX_ENOTSUP;
    char *at = heap->first;
    int status = 0;
    while (status == 0 && at < heap->front.cursor.next) {
        size_t span = px__header_span(at);
        PX_CHECK(span > 0, "a block's header was overwritten");
        if (px__header_kind(at) == PX__BLOCK_LIVE)
            status = visit(at + PX__HEADER, px__span_usable(span), arg);
        at += span;
    }
    return status;
}

/* ---- validation ---- */

/* H6 */
static bool
front_is_sound(const px_heap *heap)
{
    const char *floor = heap->top ? (const char *)heap->top : heap->first;
    return heap->front.floor == floor &&
           heap->front.lists == px__heap_open_lists(heap);
}

static bool
bounds_are_sound(const px_heap *heap)
{
    const px_cursor *c = &heap->front.cursor;
    uintptr_t off = heap->mode & PX__MODE_SIZED ? 8 : 0;
    const char *end = heap->mode == 0 ? heap->front.committed : c->next;
    return heap->first <= c->next && c->next <= heap->front.committed &&
           heap->front.committed <= heap->limit &&
           ((uintptr_t)heap->first & 15) == off &&
           ((uintptr_t)c->next & 15) == off &&              /* H1 */
           c->end == end &&                                 /* H2 */
           heap->front.committed == heap->run->committed && /* H5 */
           heap->run->lo <= heap->first && heap->peak >= heap->first;
}

/* Where the block of a record ends, and so where its mark must be. */
static const char *
record_end(const px_heap *heap, const px__record *record)
{
    const char *at = (const char *)record;
    if (heap->mode & PX__MODE_SIZED)
        return at - PX__HEADER + px__header_span(at - PX__HEADER);
    return px__align_up((char *)(uintptr_t)at + sizeof *record + PX_REDZONE,
                        16);
}

/* H3 for the records: downwards, each inside the heap and below its mark. */
static bool
records_are_sound(const px_heap *heap)
{
    const char *above = heap->front.cursor.next;
    uint64_t serial = heap->serial + 1;
    for (const px__record *r = heap->top; r; r = r->prev) {
        if ((const char *)r < heap->first || r->mark > above ||
            r->mark != record_end(heap, r) || r->serial >= serial)
            return false;
        above = (const char *)r;
        serial = r->serial;
    }
    return true;
}

/* H3 for the cleanups; what a record remembers of them is on the chain. */
static bool
cleanups_are_sound(const px_heap *heap)
{
    const char *above = heap->front.cursor.next;
    const px__record *record = heap->top;
    for (const px__cleanup *c = heap->cleanups; c; c = c->prev) {
        if ((const char *)c < heap->first || (const char *)c >= above)
            return false;
        while (record && record->cleanups == c)
            record = record->prev;
        above = (const char *)c;
    }
    while (record && !record->cleanups)
        record = record->prev;
    return record == NULL;
}

/* Z1; answers the number of free blocks above the newest record, or SIZE_MAX.
 */
static size_t
read_blocks(const px_heap *heap)
{
    const char *at = heap->first, *next = heap->front.cursor.next;
    size_t listed = 0;
    while (at < next) {
        size_t span = px__header_span(at);
        if (span == 0 || span > (size_t)(next - at))
            return SIZE_MAX;
        unsigned list = px__list_of(span);
        if (px__header_kind(at) == PX__BLOCK_FREE && list < PX__LISTS &&
            at > (const char *)heap->top)
            listed++;
        at += span;
    }
    return listed;
}

/* Z2 for one list; answers its length, or SIZE_MAX. */
static size_t
read_list(const px_heap *heap, unsigned list, size_t length_max)
{
    const struct px__free_block *block = heap->lists->first[list];
    size_t length = 0;
    while (block && length <= length_max) {
        const char *header = (const char *)block - PX__HEADER;
        if (header <= (const char *)heap->top ||
            header >= heap->front.cursor.next ||
            px__header_kind(header) != PX__BLOCK_FREE ||
            px__list_of(px__header_span(header)) != list ||
            (!block->next && block != heap->lists->last[list]))
            return SIZE_MAX;
        length++;
        block = block->next;
    }
    return block ? SIZE_MAX : length;
}

static bool
lists_are_sound(const px_heap *heap, size_t free_blocks)
{
    if (!heap->lists)
        return true;
    size_t listed = 0;
    for (unsigned i = 0; i < PX__LISTS; i++) {
        size_t length = read_list(heap, i, free_blocks);
        if (length == SIZE_MAX)
            return false;
        listed += length;
    }
    return listed <= free_blocks;
}

int
px_heap_validate(const px_heap *heap)
{
    if (!heap || !bounds_are_sound(heap) || !front_is_sound(heap) ||
        !records_are_sound(heap) || !cleanups_are_sound(heap))
        return PX_EINVAL;
    if (!(heap->mode & PX__MODE_SIZED))
        return 0;
    size_t free_blocks = read_blocks(heap);
    if (free_blocks == SIZE_MAX || !lists_are_sound(heap, free_blocks))
        return PX_EINVAL;
    return 0;
}
