/*
 * Allocation behind the inline fast path, and what is built on it.
 *
 *        next      block                    end
 *         | padding | bytes ........| rest   |      all multiples of 16
 *
 * A heap in mode 0 comes here only when its committed memory is used up; any
 * other heap comes here every time, because its public cursor is closed.
 *
 * Threads: the heap's owner.
 */
#include "heap/header.h"

#include <stdio.h>

void *
px__heap_take(px_heap *heap, size_t bytes, size_t alignment)
{
    if (heap->mode & PX__MODE_CLEANUP)
        return NULL;
    char *next = heap->front.cursor.next;
    char *block = px__align_up(next, alignment);
    size_t room = (size_t)(heap->limit - next);
    size_t extra = (size_t)(block - next) + PX_REDZONE;
    if (extra > room || bytes > room - extra)
        return NULL;
    char *end = px__align_up(block + bytes + PX_REDZONE, 16);
    if (end > heap->front.committed && !px__heap_grow(heap, end))
        return NULL;
    px__heap_move(heap, end);
    PX_INVARIANT(end <= heap->front.committed); /* H1 */
    px__note_open(block, bytes);
    return block;
}

void *
px__heap_take_internal(px_heap *heap, size_t bytes)
{
    void *block = heap->mode & PX__MODE_SIZED
                      ? px__sized_take(heap, bytes, 16, PX__BLOCK_OURS)
                      : px__heap_take(heap, bytes, 16);
    if (!block) {
        heap->failed_count++;
        return NULL;
    }
    px__note_defined(block, bytes);
    return block;
}

/* Not inlined, so that the short way saves no registers. */
static void *__attribute__((noinline))
take_any(px_heap *heap, size_t bytes, size_t alignment)
{
    bytes += bytes == 0;
    void *block = heap->mode & PX__MODE_SIZED
                      ? px__sized_take(heap, bytes, alignment, PX__BLOCK_LIVE)
                      : px__heap_take(heap, bytes, alignment);
    if (!block)
        heap->failed_count++;
    return block;
}

void *
px_heap_alloc_slow(px_heap *heap, size_t bytes)
{
    void *block = px_heap_alloc_freed(heap, bytes);
    if (!block)
        block = px__small_new(&heap->front, bytes);
    return block ? block : take_any(heap, bytes, 16);
}

void *
px_heap_alloc_exported(px_heap *heap, size_t bytes)
{
    return px_heap_alloc(heap, bytes);
}

void *
px_heap_alloc_aligned(px_heap *heap, size_t bytes, size_t alignment)
{
    if (!heap || alignment == 0 || (alignment & (alignment - 1)) != 0 ||
        alignment > PX_CHUNK)
        return NULL;
    return take_any(heap, bytes, alignment < 16 ? 16 : alignment);
}

void *
px_heap_calloc(px_heap *heap, size_t count, size_t bytes)
{
    size_t all;
    if (!heap || __builtin_mul_overflow(count, bytes, &all))
        return NULL;
    /* H4: memory above this was never written since the system zeroed it; what
     * lies below next can only come back from a free list */
    char *used = heap->stale > heap->peak ? heap->stale : heap->peak;
    if (used < heap->front.cursor.next)
        used = heap->front.cursor.next;
    char *block = px_heap_alloc(heap, all);
    if (!block)
        return NULL;
    if (block < used) {
        size_t stale = (size_t)(used - block);
        memset(block, 0, stale < all ? stale : all);
    }
    px__note_defined(block, all);
    return block;
}

/* In place when it is the newest block, by moving the cursor. */
static bool
resize_newest(px_heap *heap, char *block, size_t bytes)
{
    size_t room = (size_t)(heap->limit - block);
    PX_ASSERT(room > PX_REDZONE); /* the block has its redzone already */
    if (bytes > room - PX_REDZONE)
        return false;
    char *end = px__align_up(block + bytes + PX_REDZONE, 16);
    if (end > heap->front.committed && !px__heap_grow(heap, end))
        return false;
    px__heap_note_peak(heap);
    px__heap_move(heap, end);
    return true;
}

static bool
is_newest(const px_heap *heap, char *block, size_t bytes)
{
    return px__align_up(block + bytes + PX_REDZONE, 16) ==
               heap->front.cursor.next &&
           block > (char *)heap->top && !(heap->mode & PX__MODE_CLEANUP);
}

/* The bytes [old, new) of a block became usable, or (@bytes < @old) unusable.
 */
static void
note_resized(char *block, size_t old_bytes, size_t bytes)
{
    if (bytes > old_bytes)
        px__note_open(block + old_bytes, bytes - old_bytes);
    else
        px__note_close(block + bytes, old_bytes - bytes);
}

static void *
resize_by_copy(px_heap *heap, const void *block, size_t old_bytes, size_t bytes)
{
    void *copy = px_heap_alloc(heap, bytes);
    if (copy)
        memcpy(copy, block, old_bytes);
    return copy;
}

/* Could this be a block of the heap? As far as can be told without headers. */
static bool
is_inside(const px_heap *heap, const char *block, size_t bytes)
{
    return block >= heap->first && block < heap->front.cursor.next &&
           bytes <= (size_t)(heap->front.cursor.next - block);
}

void *
px_heap_resize(px_heap *heap, void *block, size_t old_bytes, size_t new_bytes)
{
    if (!heap)
        return NULL;
    if (heap->mode & PX__MODE_SIZED)
        return px_heap_realloc(heap, block, new_bytes);
    if (!block)
        return px_heap_alloc(heap, new_bytes);
    old_bytes += old_bytes == 0;
    new_bytes += new_bytes == 0;
    if (!is_inside(heap, block, old_bytes))
        return NULL;
    if ((is_newest(heap, block, old_bytes) &&
         resize_newest(heap, block, new_bytes)) ||
        new_bytes <= old_bytes) {
        note_resized(block, old_bytes, new_bytes);
        return block;
    }
    return resize_by_copy(heap, block, old_bytes, new_bytes);
}

void *
px_heap_memdup(px_heap *heap, const void *from, size_t bytes)
{
    void *copy = heap && from ? px_heap_alloc(heap, bytes) : NULL;
    return copy ? memcpy(copy, from, bytes) : NULL;
}

char *
px_heap_strdup(px_heap *heap, const char *text)
{
    return text ? px_heap_memdup(heap, text, strlen(text) + 1) : NULL;
}

char *
px_heap_vprintf(px_heap *heap, const char *format, va_list args)
{
    char few[256];
    if (!heap || !format)
        return NULL;
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(few, sizeof few, format, args);
    char *text = length < 0 ? NULL : px_heap_alloc(heap, (size_t)length + 1);
    if (text && (size_t)length < sizeof few)
        memcpy(text, few, (size_t)length + 1);
    else if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *
px_heap_printf(px_heap *heap, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = px_heap_vprintf(heap, format, args);
    va_end(args);
    return text;
}
