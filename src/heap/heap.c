/*
 * The life of a heap: options, creation, references, release, and what it tells
 * about itself. Heaps that die as a whole are D. R. Hanson's ("Fast allocation
 * and deallocation of memory based on object lifetimes", 1990).
 *
 *   px_heap_create   window -> control block -> px__heap_place
 *   px_heap_release  cleanups, quotas (px__heap_clear) -> window
 *
 * A context does the same by hand, with two heaps in one window.
 *
 * Creating and destroying are on the path of every callback of a host that
 * makes a heap for it, so neither loops over anything but cleanups, and nothing
 * is allocated outside of the window. A heap with default options leaves its
 * control block parked in the window: the next such heap there revives it and
 * sets only what a life changes, a third of the work.
 *
 * Threads: `references` from any thread, all else the owner.
 */
#include "heap/annotate.h"
#include "heap/layout.h"
#include "platform/vm.h"

enum {
    KNOWN_FLAGS = PX_HEAP_SIZED | PX_HEAP_FREE_LISTS | PX_HEAP_SMALL_START |
                  PX_HEAP_SMALL_PAGES,
    RETAIN_BYTES = 16 << 20,
    LIGHT_BYTES = 32 << 10
};

void
px_heap_options_init(px_heap_options *options)
{
    *options = (px_heap_options){.size = sizeof *options,
                                 .retain_bytes = RETAIN_BYTES};
}

/* The largest window that could ever be asked for; also keeps rounding up to a
 * power of two from overflowing. */
static const size_t window_max = (size_t)1 << 47;

int
px__heap_options_check(const px_heap_options *options, px_heap_options *full)
{
    px_heap_options_init(full);
    if (options) {
        if (options->size < offsetof(px_heap_options, window_bytes) +
                                sizeof options->window_bytes)
            return PX_EINVAL;
        size_t known = sizeof *full;
        memcpy(full, options, options->size < known ? options->size : known);
        full->size = known;
    }
    if (full->window_bytes == 0) {
        int status = px__range_ensure();
        if (status != 0)
            return status;
        full->window_bytes = px__range.default_window_bytes;
    }
    if (full->flags & PX_HEAP_FREE_LISTS)
        full->flags |= PX_HEAP_SIZED;
    if (full->window_bytes < PX_UNIT || full->window_bytes > window_max ||
        full->quota_bytes > full->window_bytes ||
        (full->flags & ~(uint32_t)KNOWN_FLAGS))
        return PX_EINVAL;
    return 0;
}

/* Free lists live in the heap: only heaps that want them pay for them. */
static bool
place_lists(px_heap *heap)
{
    if (!(heap->flags & PX_HEAP_FREE_LISTS))
        return true;
    px__lists *lists = px__heap_take_internal(heap, sizeof *lists);
    if (!lists)
        return false;
    memset(lists->first, 0, sizeof lists->first);
    heap->lists = lists;
    heap->front.lists = px__heap_open_lists(heap);
    return true;
}

/* Where the first block, or its header, may start. A heap behind a control
 * block inherits its colour. */
static char *
first_of(const px__window *window, const px__run *run, char *lo, uint32_t flags)
{
    if (run != &window->run[0])
        lo += window->colour;
    lo = px__align_up(lo, 16);
    return flags & PX_HEAP_SIZED ? lo + 8 : lo;
}

static char *
limit_of(const px__run *run, char *hi, size_t quota_bytes)
{
    hi = px__page_floor(hi);
    if (quota_bytes == 0 || quota_bytes >= (size_t)(hi - run->lo))
        return hi;
    return px__page_floor(run->lo + quota_bytes);
}

/* Field by field: zeroing the struct as a block costs more than all the rest of
 * creating a heap. */
static void
init_fields(px_heap *heap, px__window *window, px__run *run, char *first,
            const px_heap_options *options)
{
    uint32_t mode = options->flags & PX_HEAP_SIZED ? PX__MODE_SIZED : 0;
    heap->front.cursor.next = heap->front.cursor.end = first;
    heap->front.committed = run->committed;
    heap->front.lists = NULL;
    heap->front.floor = first;
    heap->top = NULL;
    heap->cleanups = NULL;
    heap->mode = mode | (px__note_needed() ? PX__MODE_NOTED : 0);
    heap->references = 1;
    heap->retain_bytes = options->retain_bytes;
    heap->rollback_count = 0;
    heap->rolled_back_bytes = 0;
    heap->peak = heap->first = first;
    heap->stale = run->dirty;
    heap->window = window;
    heap->run = run;
    heap->lists = NULL;
    heap->quota = options->quota;
    heap->serial = window->serial;
    heap->failed_count = 0;
    heap->flags = options->flags;
    heap->standalone = false;
    heap->is_default = false;
    heap->slack_rollbacks = 0;
    heap->slack_peak = NULL;
}

/* Does the memory that the window comes with need no adoption? The common case
 * of a recycled window. */
static bool
is_ready(const px_heap *heap)
{
    uint32_t flags = heap->flags;
    char *least = heap->first;
    if (!(flags & PX_HEAP_SMALL_START))
        least = px__chunk_ceil(least + 1);
    return PX_LIKELY(!heap->quota && !(flags & PX_HEAP_SMALL_PAGES) &&
                     least <= heap->front.committed &&
                     heap->front.committed <= heap->limit);
}

int
px__heap_place(px_heap *heap, px__window *window, char *lo, char *hi,
               const px_heap_options *options)
{
    if (lo >= window->lo + PX_CHUNK)
        lo = px__chunk_ceil(lo); /* a second heap shares no chunk */
    px__run *run = px__window_run(window, lo, hi);
    init_fields(heap, window, run, first_of(window, run, lo, options->flags),
                options);
    heap->limit = limit_of(run, hi, options->quota_bytes);
    if (!is_ready(heap) && !px__heap_adopt(heap))
        return PX_ENOMEM;
    px__window_own(window, run);
    px__heap_move(heap, heap->first);
    if (heap->quota)
        px_quota_retain(heap->quota);
    if (PX_UNLIKELY(!place_lists(heap))) {
        px__heap_clear(heap);
        return PX_ENOMEM;
    }
    return 0;
}

/* What one life counts. */
static void
init_life(px_heap *heap)
{
    heap->references = 1;
    heap->rollback_count = 0;
    heap->rolled_back_bytes = 0;
    heap->peak = heap->first;
    px__heap_set_top(heap, NULL);
    heap->failed_count = 0;
    heap->slack_rollbacks = 0;
    heap->slack_peak = NULL;
}

/* What a life changes, as init_fields() has it. All else holds: the window, its
 * run, and so the limit; the memory, since whoever takes some of it away
 * unparks the block (W5). Serials go on. */
void
px__heap_revive(px_heap *heap)
{
    init_life(heap);
    heap->stale = heap->run->dirty;
    px__window_own(heap->window, heap->run);
    px__heap_move(heap, heap->first);
}

static px_heap *
create_in(px__window *window, const px_heap_options *options)
{
    px_heap *heap = px__window_control(window, sizeof *heap, 0);
    if (!heap || px__heap_place(heap, window, (char *)(heap + 1),
                                px__window_end(window), options) != 0) {
        px__window_release(window);
        return NULL;
    }
    heap->standalone = true;
    return heap;
}

static int
create_default(px_heap **out)
{
    px_heap_options full;
    px__window *window;
    int status = px__window_acquire_default(&window);
    if (PX_UNLIKELY(status != 0))
        return status;
    px_heap *heap = px__window_revive(window, 0);
    if (PX_LIKELY(heap != NULL)) {
        px__heap_revive(heap);
        *out = heap;
        return 0;
    }
    px_heap_options_init(&full);
    heap = create_in(window, &full);
    if (!heap)
        return PX_ENOMEM;
    heap->is_default = true;
    *out = heap;
    return 0;
}

int
px_heap_create(const px_heap_options *options, px_heap **out)
{
    px_heap_options full;
    px__window *window;
    if (!out)
        return PX_EINVAL;
    if (!options)
        return create_default(out);
    int status = px__heap_options_check(options, &full);
    if (status == 0)
        status = px__window_acquire(full.window_bytes, &window);
    if (status != 0)
        return status;
    px_heap *heap = create_in(window, &full);
    if (!heap)
        return PX_ENOMEM;
    *out = heap;
    return 0;
}

px_heap *
px_heap_retain(px_heap *heap)
{
    if (heap) {
        uint32_t before = px__add_relaxed(&heap->references, 1);
        PX_CHECK(before > 0, "heap retained after its release");
    }
    return heap;
}

void
px__heap_clear(px_heap *heap)
{
    px__run *run = heap->run;
    if (heap->cleanups)
        px__heap_run_cleanups(heap, NULL);
    px__heap_note_peak(heap);
    px__note_drop(heap->first, (size_t)(heap->front.cursor.next - heap->first));
    if (heap->peak > run->dirty)
        run->dirty = heap->peak;
    if (heap->serial > heap->window->serial)
        heap->window->serial = heap->serial;
    if (heap->quota) {
        px__quota_uncharge(heap->quota, (size_t)(run->committed - run->lo));
        px_quota_release(heap->quota);
    }
}

/* Of a heap that started on small pages no more is resident than was written,
 * in this life or before. */
bool
px__heap_is_light(const px_heap *heap)
{
    const char *most = heap->peak > heap->stale ? heap->peak : heap->stale;
    if (heap->front.cursor.next > most)
        most = heap->front.cursor.next;
    return !heap->cleanups && !heap->quota && !heap->lists &&
           (heap->flags & PX_HEAP_SMALL_START) &&
           most <= heap->first + LIGHT_BYTES;
}

/* The run is looked at only after a life that used more than those before. */
void
px__heap_renew(px_heap *heap)
{
    px__heap_note_peak(heap);
    px__note_drop(heap->first, (size_t)(heap->front.cursor.next - heap->first));
    if (heap->peak > heap->stale)
        heap->stale = heap->run->dirty = heap->peak;
    init_life(heap);
    px__heap_move(heap, heap->first);
}

/* True when the caller has the last reference, which it then still has. A lone
 * reference is seen by a load: nobody else may add one. */
static bool
is_last_reference(px_heap *heap)
{
    /* acquire pairs with the release of another thread's last use, below */
    uint32_t references = px__load_acquire(&heap->references);
    PX_CHECK(references > 0, "heap released too often");
    if (references > 1 && px__sub_acqrel(&heap->references, 1) > 1)
        return false;
    px__store_relaxed(&heap->references, 1);
    return true;
}

void
px_heap_release(px_heap *heap)
{
    if (!heap || !is_last_reference(heap))
        return;
    PX_CHECK(heap->standalone, "a context's heap is released with the context");
    PX_CHECK(!(heap->mode & PX__MODE_CLEANUP), "heap released by its cleanup");
    px__heap_clear(heap);
    PX_CHECK(heap->references == 1, "heap retained by its last cleanups");
    heap->references = 0;
    /* a watched heap is set up anew, so that the watcher is told of it */
    if (heap->is_default && heap->mode == 0)
        heap->window->parked = (uintptr_t)heap;
    px__window_release(heap->window);
}

static size_t
count_snapshots(const px_heap *heap)
{
    size_t count = 0;
    for (const px__record *r = heap->top; r; r = r->prev)
        count++;
    return count;
}

static size_t
count_cleanups(const px_heap *heap)
{
    size_t count = 0;
    for (const px__cleanup *c = heap->cleanups; c; c = c->prev)
        count++;
    return count;
}

static size_t
count_chunks(const px_heap *heap)
{
    char *next = heap->front.cursor.next;
    if (next == heap->first)
        return 0;
    return (size_t)(px__chunk_ceil(next) - px__chunk_floor(heap->first)) /
           PX_CHUNK;
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

int
px_heap_get_stats(px_heap *heap, px_heap_stats *stats)
{
    if (!heap || !stats || stats->size < sizeof stats->size)
        return PX_EINVAL;
    px__heap_note_peak(heap);
    size_t committed = (size_t)(heap->front.committed - heap->run->lo);
    px_heap_stats full = {
        .size = least(stats->size, sizeof full),
        .used_bytes = (size_t)(heap->front.cursor.next - heap->first),
        .chunk_count = count_chunks(heap),
        .snapshot_count = count_snapshots(heap),
        .cleanup_count = count_cleanups(heap),
        .window_bytes = (size_t)(heap->limit - heap->run->lo),
        .committed_bytes = committed,
        .large_page_bytes = least(heap->run->large_granted, committed),
        .peak_used_bytes = (size_t)(heap->peak - heap->first),
        .rollback_count = heap->rollback_count,
        .rolled_back_bytes = heap->rolled_back_bytes,
        .failed_count = heap->failed_count,
    };
    memcpy(stats, &full, full.size);
    return 0;
}

int
px_heap_page_info(const px_heap *heap, px_page_info *info)
{
    if (!heap || !info || info->size < sizeof info->size)
        return PX_EINVAL;
    const px__run *run = heap->run;
    bool forbidden = heap->flags & PX_HEAP_SMALL_PAGES;
    px_page_info full = {
        .size = least(info->size, sizeof full),
        .small_page_bytes = px__range.page_bytes,
        .large_page_bytes = px__vm_large_page_bytes(),
        .requested_bytes = run->large_wanted,
        .granted_bytes = run->large_granted,
        .reason = forbidden ? PX_PAGES_FORBIDDEN : run->large_reason,
    };
    memcpy(info, &full, full.size);
    return 0;
}
