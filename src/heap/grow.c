/*
 * Making a heap's memory usable, on pages of a good size, and giving back what
 * it no longer needs.
 *
 *   small start   64K, 128K, ... half a chunk | then the whole chunk, made one
 *                                             | large page | chunk | chunk ...
 *   otherwise     chunk | chunk | ...
 *
 * A fresh large page costs some 100 us, nearly all of it zeroing, and 2 MB of
 * residency; so who keeps only a few KB begins with small pages.
 *
 * Order of an extension: own quota (the limit), shared quotas, memory, large
 * pages. Whatever fails leaves the heap as it was. When a whole chunk cannot be
 * had, just the pages that are needed are tried.
 *
 * Slack. Giving memory back after each round only to fault it in again costs
 * more than the work on it. So a rollback that leaves more than retain_bytes is
 * merely counted; after SETTLE_ROUNDS of them the heap is cut down to the
 * largest extent of these rounds.
 *
 * Threads: the heap's owner.
 */
#include "heap/annotate.h"
#include "heap/layout.h"
#include "platform/vm.h"

enum { EXTENT_MIN = 64 << 10, SETTLE_ROUNDS = 64 };

static const int reason_of[] = {
    [PX__VM_LARGE_GRANTED] = PX_PAGES_OK,
    [PX__VM_LARGE_DISABLED] = PX_PAGES_DISABLED,
    [PX__VM_LARGE_UNSUPPORTED] = PX_PAGES_UNSUPPORTED,
    [PX__VM_LARGE_UNAVAILABLE] = PX_PAGES_UNAVAILABLE,
    [PX__VM_LARGE_ADVISED] = PX_PAGES_ADVISED,
};

/* Ask for large pages for each chunk that [@from, @to) completes. */
static void
enlarge(px_heap *heap, char *from, char *to)
{
    px__run *run = heap->run;
    if (heap->flags & PX_HEAP_SMALL_PAGES)
        return;
    char *end = px__chunk_floor(to);
    for (char *at = px__chunk_floor(from); at < end; at += PX_CHUNK) {
        run->large_wanted += PX_CHUNK;
        enum px__vm_large got = px__range.no_large_pages
                                    ? PX__VM_LARGE_DISABLED
                                    : px__vm_enlarge(at, PX_CHUNK);
        if (got == PX__VM_LARGE_GRANTED)
            run->large_granted += PX_CHUNK;
        else
            run->large_reason = reason_of[got];
    }
}

/* Move committed up to @end, or change nothing. */
static bool
commit_to(px_heap *heap, char *end)
{
    char *from = heap->front.committed;
    size_t bytes = (size_t)(end - from);
    PX_ASSERT(end > from && end <= heap->limit);
    if (!px__quota_charge(heap->quota, bytes))
        return false;
    if (px__window_extend(heap->window, heap->run, end) != 0) {
        px__quota_uncharge(heap->quota, bytes);
        return false;
    }
    enlarge(heap, from, end);
    heap->front.committed = end;
    px__heap_move(heap, heap->front.cursor.next);
    return true;
}

/* Where to extend to when the heap needs all up to @end. */
static char *
extent_end(const px_heap *heap, char *end)
{
    char *lo = px__chunk_floor(heap->run->lo);
    char *wanted = px__chunk_ceil(end);
    if ((heap->flags & PX_HEAP_SMALL_START) && wanted <= lo + PX_CHUNK) {
        size_t size = (size_t)(heap->front.committed - heap->run->lo);
        char *extent =
            heap->front.committed + (size < EXTENT_MIN ? EXTENT_MIN : size);
        extent = px__page_ceil(extent > end ? extent : end);
        if (extent <= lo + PX_CHUNK / 2)
            wanted = extent;
    }
    return wanted < heap->limit ? wanted : heap->limit;
}

bool
px__heap_grow(px_heap *heap, char *end)
{
    PX_ASSERT(end > heap->front.committed && end <= heap->limit);
    return commit_to(heap, extent_end(heap, end)) ||
           commit_to(heap, px__page_ceil(end));
}

/* Cut committed back to @end at most; quotas follow. */
static size_t
cut_to(px_heap *heap, char *end)
{
    if (end >= heap->front.committed)
        return 0;
    size_t bytes = (size_t)(heap->front.committed - end);
    px__window_shrink(heap->run, end);
    px__quota_uncharge(heap->quota, bytes);
    heap->front.committed = end;
    px__heap_move(heap, heap->front.cursor.next);
    return bytes;
}

/* Drop of the window's memory what this heap may not have. The control block
 * below first stays. */
static void
shrink_to_fit(px_heap *heap)
{
    px__run *run = heap->run;
    char *least = px__page_ceil(heap->first);
    if (least > run->committed)
        return;
    if ((heap->flags & PX_HEAP_SMALL_PAGES) && run->large_granted > 0)
        px__window_shrink(run, least);
    if (run->committed > heap->limit)
        px__window_shrink(run, heap->limit > least ? heap->limit : least);
}

/* Charge what was left by earlier owners; failing that, without it. */
static bool
charge_adopted(px_heap *heap)
{
    px__run *run = heap->run;
    if (!heap->quota)
        return true;
    if (px__quota_charge(heap->quota, (size_t)(run->committed - run->lo)))
        return true;
    char *least = px__page_ceil(heap->first);
    if (least < run->committed)
        px__window_shrink(run, least);
    return px__quota_charge(heap->quota, (size_t)(run->committed - run->lo));
}

bool
px__heap_adopt(px_heap *heap)
{
    px__run *run = heap->run;
    if (PX_UNLIKELY(run->committed > heap->limit ||
                    (heap->flags & PX_HEAP_SMALL_PAGES)))
        shrink_to_fit(heap);
    if (heap->limit < heap->first || run->committed > heap->limit ||
        !charge_adopted(heap))
        return false;
    heap->stale = run->dirty; /* it may have shrunk */
    heap->front.committed = run->committed;
    bool small = heap->flags & PX_HEAP_SMALL_START;
    char *least = small ? heap->first : extent_end(heap, heap->first + 1);
    if (PX_LIKELY(least <= heap->front.committed))
        return true;
    if (px__heap_grow(heap, least) || (heap->first > heap->front.committed &&
                                       px__heap_grow(heap, heap->first)))
        return true;
    if (heap->first <= heap->front.committed)
        return true;
    px__quota_uncharge(heap->quota, (size_t)(heap->front.committed - run->lo));
    return false;
}

/* On large pages only whole ones are given back: the rest of a page that was
 * split would not be freed before memory gets short. */
static char *
trim_boundary(const px_heap *heap, char *keep)
{
    return heap->run->large_granted > 0 ? px__chunk_ceil(keep)
                                        : px__page_ceil(keep);
}

void
px__heap_settle(px_heap *heap, char *from)
{
    if (from > heap->slack_peak)
        heap->slack_peak = from;
    if (++heap->slack_rollbacks < SETTLE_ROUNDS)
        return;
    char *keep = heap->front.cursor.next + heap->retain_bytes;
    if (keep < heap->slack_peak)
        keep = heap->slack_peak;
    heap->slack_rollbacks = 0;
    heap->slack_peak = NULL;
    cut_to(heap, trim_boundary(heap, keep));
}

size_t
px_heap_trim(px_heap *heap, size_t keep_bytes)
{
    if (!heap || (heap->mode & PX__MODE_CLEANUP))
        return 0;
    char *next = heap->front.cursor.next;
    px__heap_note_peak(heap);
    if (keep_bytes >= (size_t)(heap->front.committed - next))
        return 0;
    return cut_to(heap, trim_boundary(heap, next + keep_bytes));
}
