/*
 * Blocks that know their size, and their reuse.
 *
 * Free lists. A freed block goes on the list of its span: 32 lists in steps of
 * 16 bytes up to 512, then four per doubling up to 1 GB, which wastes a fifth
 * at most (jemalloc's spacing). Spans are rounded up
 * to a list's when a block is made, so that any block of a list serves any
 * request for it. Larger blocks are not listed.
 *
 * The rounding also bounds a block that grows little by little among others: it
 * moves four times a doubling and leaves five times its size behind at most, in
 * blocks that are listed.
 *
 *      heap->lists->first[i] -> newest -> ... -> oldest <- heap->lists->last[i]
 *
 * Snapshots. Only a block above the newest record may be freed for reuse: what
 * is older belongs to the snapshot, to which a rollback must be able to return.
 * So all listed blocks lie between the newest record and the cursor, and a
 * rollback has just to forget the lists. A snapshot parks the lists in its
 * record; dropping it joins them again.
 *
 * Invariants
 *   Z1  from first to next, headers follow each other without a gap; alignment
 *       padding is a block of kind OURS
 *   Z2  a block on a list has kind FREE and lies above the newest record
 *
 * Rejected: coalescing neighbours (needs a footer, and helps heaps that live
 * long, which these do not); lists as rings, known by their last block (two more
 * loads and a store for each block); taking small blocks back at the cursor when
 * they are the newest (a comparison for each, and the next one is made anew).
 */
#include "heap/header.h"

enum { STEP_MAX_LOG = 9, STEP_MAX = 1 << STEP_MAX_LOG, LISTED_MAX = 1 << 30 };

/* ---- spans ---- */

unsigned
px__list_of(size_t span)
{
    if (span > LISTED_MAX)
        return PX__LISTS;
    if (span <= STEP_MAX)
        return (unsigned)(span / 16) - 1;
    unsigned doubling =
        63u - (unsigned)__builtin_clzll((unsigned long long)span - 1) -
        STEP_MAX_LOG;
    size_t base = (size_t)STEP_MAX << doubling;
    return PX__SMALL_LISTS + 4 * doubling +
           (unsigned)((span - 1 - base) * 4 / base);
}

static size_t
span_of_list(unsigned list)
{
    if (list < PX__SMALL_LISTS)
        return (size_t)(list + 1) * 16;
    unsigned above = list - PX__SMALL_LISTS;
    size_t base = (size_t)STEP_MAX << above / 4;
    return base + base / 4 * (above % 4 + 1);
}

/* The span of a block for @bytes; 0 when it would overflow. */
static size_t
span_for(const px_heap *heap, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return 0;
    size_t span = (bytes + PX__HEADER + PX_REDZONE + 15) & ~(size_t)15;
    if (!heap->lists || span > LISTED_MAX)
        return span;
    return span_of_list(px__list_of(span));
}

/* ---- lists ---- */

/* In constant time, which is what the last block of a list is known for. */
void
px__lists_join(px_heap *heap, const px__lists *older)
{
    px__lists *lists = heap->lists;
    for (unsigned i = 0; i < PX__LISTS; i++) {
        if (!older->first[i])
            continue;
        if (lists->first[i])
            lists->last[i]->next = older->first[i];
        else
            lists->first[i] = older->first[i];
        lists->last[i] = older->last[i];
    }
}

/* ---- taking ---- */

static void *
take_listed(px_heap *heap, size_t span)
{
    unsigned list = px__list_of(span);
    if (!heap->lists || list == PX__LISTS)
        return NULL;
    char *block = (char *)px__list_pop(heap->lists, list);
    if (!block)
        return NULL;
    PX_INVARIANT(px__header_kind(block - PX__HEADER) ==
                 PX__BLOCK_FREE); /* Z2 */
    px__header_set(block - PX__HEADER, span, PX__BLOCK_LIVE);
    px__note_open(block, px__span_usable(span));
    return block;
}

/* Move the cursor to @end; false when it cannot. */
static bool
take_up_to(px_heap *heap, char *end)
{
    char *needed = px__align_up(end, 16);
    if (needed > heap->front.committed && !px__heap_grow(heap, needed))
        return false;
    px__heap_move(heap, end);
    return true;
}

static void *
take_new(px_heap *heap, size_t span, size_t alignment, enum px__block_kind kind)
{
    char *next = heap->front.cursor.next;
    char *block = px__align_up(next + PX__HEADER, alignment);
    size_t padding = (size_t)(block - next) - PX__HEADER;
    size_t room = (size_t)(heap->limit - next) & ~(size_t)15;
    if (padding > room || span > room - padding)
        return NULL;
    if (!take_up_to(heap, next + padding + span))
        return NULL;
    if (padding > 0)
        px__header_set(next, padding, PX__BLOCK_OURS); /* Z1 */
    px__header_set(block - PX__HEADER, span, kind);
    px__note_open(block, px__span_usable(span));
    return block;
}

void *
px__sized_take(px_heap *heap, size_t bytes, size_t alignment,
               enum px__block_kind kind)
{
    size_t span = span_for(heap, bytes);
    if (span == 0 || (heap->mode & PX__MODE_CLEANUP))
        return NULL;
    if (kind == PX__BLOCK_LIVE && alignment == 16) {
        void *block = take_listed(heap, span);
        if (block)
            return block;
    }
    return take_new(heap, span, alignment, kind);
}

/* ---- giving back ---- */

/* The span of a live block; 0 for anything else, as far as can be told. */
static size_t
live_span(const px_heap *heap, const char *block)
{
    if (!(heap->mode & PX__MODE_SIZED) || ((uintptr_t)block & 15) != 0 ||
        block < heap->first + PX__HEADER || block >= heap->front.cursor.next)
        return 0;
    const char *header = block - PX__HEADER;
    size_t span = px__header_span(header);
    if (span == 0 || px__header_kind(header) != PX__BLOCK_LIVE)
        return 0;
    return span;
}

static bool
is_newest(const px_heap *heap, const char *block, size_t span)
{
    return block - PX__HEADER + span == heap->front.cursor.next;
}

/* Small blocks are rather listed: the inline way does not look where the cursor
 * is, and who frees one soon wants another. */
static bool
is_taken_back(const px_heap *heap, const char *block, size_t span)
{
    return is_newest(heap, block, span) && !(heap->lists && span <= STEP_MAX);
}

static void
take_back(px_heap *heap, char *end)
{
    px__heap_note_peak(heap);
    px__note_drop(end, (size_t)(heap->front.cursor.next - end));
    px__heap_move(heap, end);
}

static void
set_free(px_heap *heap, char *block, size_t span)
{
    px__header_set(block - PX__HEADER, span, PX__BLOCK_FREE);
    px__note_drop(block, px__span_usable(span));
    unsigned list = px__list_of(span);
    if (!heap->lists || list == PX__LISTS || span != span_of_list(list))
        return;
    px__note_defined(block, sizeof(struct px__free_block));
    px__list_push(heap->lists, list, (struct px__free_block *)(void *)block);
}

/* The inline way, for what is a block. */
static bool
give_small(px_heap *heap, char *block)
{
    return heap->front.lists && block >= heap->front.floor &&
           live_span(heap, block) > 0 && px__small_give(&heap->front, block);
}

int
px_heap_free(px_heap *heap, void *ptr)
{
    char *block = ptr;
    if (!heap || !(heap->mode & PX__MODE_SIZED))
        return PX_EINVAL;
    if (!block || give_small(heap, block))
        return 0;
    size_t span = live_span(heap, block);
    if (span == 0)
        return PX_EINVAL;
    /* a cleanup's block is about to go anyway, an old one belongs to the
     * snapshot */
    if ((heap->mode & PX__MODE_CLEANUP) || block < (char *)heap->top)
        return 0;
    if (is_taken_back(heap, block, span))
        take_back(heap, block - PX__HEADER);
    else
        set_free(heap, block, span);
    return 0;
}

void
px_heap_free_live_slow(px_heap *heap, void *block)
{
    int status = px_heap_free(heap, block);
    PX_ASSERT(status == 0);
    (void)status;
}

size_t
px_heap_block_size(const px_heap *heap, const void *block)
{
    size_t span = heap && block ? live_span(heap, block) : 0;
    return span ? px__span_usable(span) : 0;
}

/* ---- changing size ---- */

/* Move the newest block's end; the cursor goes with it. */
static bool
resize_newest(px_heap *heap, char *block, size_t old_span, size_t span)
{
    char *header = block - PX__HEADER;
    if (span < old_span) {
        take_back(heap, header + span);
    } else {
        size_t room = (size_t)(heap->limit - header) & ~(size_t)15;
        if (span > room || !take_up_to(heap, header + span))
            return false;
        size_t was = px__span_usable(old_span);
        px__note_open(block + was, px__span_usable(span) - was);
    }
    px__header_set(header, span, PX__BLOCK_LIVE);
    return true;
}

static void *
resize_by_copy(px_heap *heap, char *block, size_t old_span, size_t bytes)
{
    void *copy = px_heap_alloc(heap, bytes);
    if (!copy)
        return NULL;
    memcpy(copy, block, px__span_usable(old_span));
    int status = px_heap_free(heap, block);
    PX_ASSERT(status == 0);
    (void)status;
    return copy;
}

void *
px_heap_realloc(px_heap *heap, void *ptr, size_t bytes)
{
    char *block = ptr;
    if (!heap || !(heap->mode & PX__MODE_SIZED))
        return NULL;
    if (!block)
        return px_heap_alloc(heap, bytes);
    size_t old_span = live_span(heap, block);
    size_t span = span_for(heap, bytes + (bytes == 0));
    if (old_span == 0 || span == 0)
        return NULL;
    bool newest =
        is_newest(heap, block, old_span) && !(heap->mode & PX__MODE_CLEANUP);
    if (span == old_span ||
        (newest && resize_newest(heap, block, old_span, span)) ||
        span < old_span)
        return block;
    return resize_by_copy(heap, block, old_span, bytes);
}
