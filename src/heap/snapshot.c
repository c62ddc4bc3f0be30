/*
 * Snapshots: records in the heap, a chain from the newest downwards. Mark and
 * release, as obstacks have it, and a mark that is known when it is stale.
 *
 *      first                                              next
 *        | block | record 1 | block block | record 2 | block |
 *                     ^---------- prev ---------'
 *                                              top = record 2
 *
 * A px_snapshot names a record by address and serial. Since the heap is linear
 * and serials never repeat in a window, both must match a record on the chain;
 * a stale or foreign snapshot matches none, and is never followed.
 *
 * Rolling back to a record cuts the chain above it, and leaves the record: it
 * can be rolled back again. Dropping it takes it off the chain; its few bytes
 * stay where they are, as part of what the snapshot before it covers, unless
 * nothing lies above them.
 *
 * Invariants: H3 of layout.h, and
 *   S1  right after a rollback the heap is as it was right after the snapshot:
 *       next == mark, the same cleanups, empty free lists (a snapshot parks
 *       the lists in its record, since the blocks on them are older)
 *
 * Rejected: a generation per chunk (the walk up the chain is as short as the
 * nesting is deep, which is one or two in practice).
 */
#include "heap/annotate.h"
#include "heap/layout.h"

static void
clear_lists(px_heap *heap)
{
    if (heap->lists)
        memset(heap->lists->first, 0, sizeof heap->lists->first);
}

int
px_heap_snapshot(px_heap *heap, px_snapshot *out)
{
    if (!heap || !out)
        return PX_EINVAL;
    if (PX_UNLIKELY(heap->mode & PX__MODE_CLEANUP))
        return PX_EBUSY;
    size_t lists_bytes = heap->lists ? sizeof(px__lists) : 0;
    px__record *record =
        px__heap_take_internal(heap, sizeof *record + lists_bytes);
    if (PX_UNLIKELY(!record))
        return PX_ENOMEM;
    record->prev = heap->top;
    record->serial = ++heap->serial;
    record->mark = heap->front.cursor.next;
    record->cleanups = heap->cleanups;
    if (lists_bytes)
        record->lists[0] = *heap->lists;
    clear_lists(heap);
    PX_INVARIANT(record > heap->top); /* H3 */
    px__heap_set_top(heap, record);
    *out = (px_snapshot){record, record->serial};
    return 0;
}

px__record *
px__heap_find_record(const px_heap *heap, const px_snapshot *snapshot)
{
    const char *wanted = snapshot->record;
    px__record *record = heap->top;
    while (record && (const char *)record > wanted)
        record = record->prev;
    if (!record || (const char *)record != wanted)
        return NULL;
    return record->serial == snapshot->serial ? record : NULL;
}

/* The part of a rollback that cannot fail. The cursor's end needs no change: a
 * closed cursor is closed again by the caller. */
static inline void
cut_back(px_heap *heap, px__record *record)
{
    char *from = heap->front.cursor.next;
    char *mark = record->mark;
    px__heap_note_peak(heap);
    heap->rollback_count++;
    heap->rolled_back_bytes += (size_t)(from - mark);
    heap->front.cursor.next = mark;
    if (PX_UNLIKELY((size_t)(heap->front.committed - mark) >
                    heap->retain_bytes))
        px__heap_settle(heap, from);
}

/* Everything but the common case: a record under the top, cleanups, free lists,
 * sanitizers. */
static int __attribute__((noinline))
rollback_slow(px_heap *heap, const px_snapshot *snapshot)
{
    if (heap->mode & PX__MODE_CLEANUP)
        return PX_EBUSY;
    px__record *record = px__heap_find_record(heap, snapshot);
    if (!record)
        return PX_ESTALE;
    px__heap_run_cleanups(heap, record->cleanups);
    clear_lists(heap); /* S1 */
    size_t dropped = (size_t)(heap->front.cursor.next - record->mark);
    px__note_drop(record->mark, dropped);
    px__heap_set_top(heap, record);
    cut_back(heap, record);
    px__heap_move(heap, record->mark);
    return 0;
}

static inline bool
is_plain(const px_heap *heap, const px__record *top,
         const px_snapshot *snapshot)
{
    return PX_SHORT_WAYS && heap->mode == 0 && top && snapshot->record == top &&
           snapshot->serial == top->serial && heap->cleanups == top->cleanups;
}

int
px_heap_rollback(px_heap *heap, const px_snapshot *snapshot)
{
    if (PX_UNLIKELY(!heap || !snapshot))
        return PX_EINVAL;
    if (!is_plain(heap, heap->top, snapshot))
        return rollback_slow(heap, snapshot);
    cut_back(heap, heap->top);
    return 0;
}

/* The last thing in the heap is the record of a dropped snapshot: take it back,
 * so that snapshot, rollback and drop in a row leave no trace. (Not among
 * headers, which would have to be told.) */
static void
take_back(px_heap *heap, px__record *record)
{
    if (heap->front.cursor.next != record->mark ||
        (heap->mode & PX__MODE_SIZED))
        return;
    px__heap_note_peak(heap);
    px__note_drop(record, (size_t)(record->mark - (char *)record));
    px__heap_move(heap, (char *)record);
}

int
px_heap_snapshot_drop(px_heap *heap, const px_snapshot *snapshot)
{
    if (!heap || !snapshot)
        return PX_EINVAL;
    if (heap->mode & PX__MODE_CLEANUP)
        return PX_EBUSY;
    px__record *last = px__heap_find_record(heap, snapshot);
    if (!last)
        return PX_ESTALE;
    px__record *record, *end = last->prev;
    if (heap->lists) {
        for (record = heap->top; record != end; record = record->prev)
            px__lists_join(heap, record->lists);
    }
    px__heap_set_top(heap, end);
    take_back(heap, last);
    return 0;
}
