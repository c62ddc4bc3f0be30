/*
 * What a heap is made of, for the files of this room only.
 *
 *   window  | ... | px_heap | first -> block block record block | free ...  |
 *                                                               ^    ^      ^
 *                                                    cursor.next     |  limit
 *                                                            committed
 *
 * Heap invariants, cited as H1.. by asserts and checked by px_heap_validate():
 *   H1  first <= next <= committed <= limit, all multiples of 16; in a sized
 *       heap first and next are 8 short of one (headers, see sized.c), so that
 *       the next header is committed, too
 *   H2  cursor.end is committed when mode is 0, else next: whoever finds the
 *       inline path closed comes to px_heap_alloc_slow()
 *   H3  records and cleanups are blocks of the heap below next; both chains run
 *       downwards in addresses, the records' serials too
 *   H4  memory at or above max(stale, peak) reads as zero
 *   H5  committed == run->committed; what is charged is committed - run->lo
 *   H6  front.lists is `lists` when the mode is SIZED and nothing else and this
 *       is no debug build, else NULL; the floor is top, or else first
 */
#ifndef PX_HEAP_LAYOUT_H
#define PX_HEAP_LAYOUT_H

#include "base/assert.h"
#include "heap/window.h"

/* Why the public cursor is closed; 0: it is open. */
enum px__heap_mode {
    PX__MODE_SIZED = 1u << 0,   /* blocks have headers */
    PX__MODE_NOTED = 1u << 1,   /* a sanitizer hears of each block */
    PX__MODE_CLEANUP = 1u << 2, /* a cleanup is running: no allocation */
};

/* A snapshot: a block of the heap. Rolling back to it puts the cursor to mark,
 * right behind it. Written when taken, constant until it is dropped. */
typedef struct px__record {
    struct px__record *prev;
    uint64_t serial;
    char *mark;
    struct px__cleanup *cleanups; /* the newest one at that time */
    px__lists lists[];            /* what was free then; only with FREE_LISTS */
} px__record;

/* A deferred call: a block of the heap. */
typedef struct px__cleanup {
    struct px__cleanup *prev;
    px_cleanup_fn fn;
    void *arg;
} px__cleanup;

/* Everything is written by the owner only, but for `references`. */
struct px_heap {
    px__front front; /* what the inline paths of <pxrt/heap.h> see: H2, H6 */
    char *limit;     /* end of what may become usable: window and own quota */
    px__record *top;
    px__cleanup *cleanups;
    uint32_t mode;
    uint32_t references; /* atomic, see px_heap_release() */
    size_t retain_bytes;
    /* The two counts are apart on purpose: side by side they are updated as one
     * vector, which makes a rollback wait for the previous one. */
    uint64_t rollback_count;
    char *peak; /* largest next that the cursor came back from */
    uint64_t rolled_back_bytes;
    /* ---- slow paths only ---- */
    char *first;
    char *stale; /* [first, stale) was written by earlier owners */
    px__window *window;
    px__run *run;
    px__lists *lists; /* NULL without FREE_LISTS */
    px_quota *quota;
    uint64_t serial; /* of the latest snapshot */
    uint64_t failed_count;
    uint32_t flags;
    bool standalone; /* made by px_heap_create(): the window goes with it */
    bool is_default; /* ... with its default options: may be parked */
    /* see settle() in grow.c */
    unsigned slack_rollbacks;
    char *slack_peak;
};

static inline char *
px__align_up(char *at, size_t alignment)
{
    return (char *)(((uintptr_t)at + alignment - 1) &
                    ~(uintptr_t)(alignment - 1));
}

/* The one way to move the cursor in this room: keeps H2. */
static inline void
px__heap_move(px_heap *heap, char *next)
{
    heap->front.cursor.next = next;
    heap->front.cursor.end = heap->mode == 0 ? heap->front.committed : next;
}

/* Debug builds overwrite what is dropped or freed, which only the long ways do.
 */
#if defined(PXRT_DEBUG)
enum { PX_SHORT_WAYS = 0 };
#else
enum { PX_SHORT_WAYS = 1 };
#endif

/* The lists that the inline paths may use: H6. */
static inline px__lists *
px__heap_open_lists(const px_heap *heap)
{
    bool is_open = PX_SHORT_WAYS && heap->mode == PX__MODE_SIZED;
    return is_open ? heap->lists : NULL;
}

/* Change the mode, and open or close the inline paths: H2, H6. */
static inline void
px__heap_set_mode(px_heap *heap, uint32_t mode)
{
    heap->mode = mode;
    heap->front.lists = px__heap_open_lists(heap);
    px__heap_move(heap, heap->front.cursor.next);
}

/* The newest record is another one, or none: keeps H6. */
static inline void
px__heap_set_top(px_heap *heap, px__record *top)
{
    heap->top = top;
    heap->front.floor = top ? (char *)top : heap->first;
}

/* Note how far the heap was used, before the cursor goes back. */
static inline void
px__heap_note_peak(px_heap *heap)
{
    if (heap->front.cursor.next > heap->peak)
        heap->peak = heap->front.cursor.next;
}

/* grow.c: make [next, @end) usable, @end <= limit; false when refused. */
bool px__heap_grow(px_heap *heap, char *end);

/* grow.c: take over what the window's earlier owners left, or else the least
 * that a heap begins with. */
bool px__heap_adopt(px_heap *heap);

/* grow.c: after a rollback that left more than retain_bytes above the cursor;
 * @from is where the cursor was. */
void px__heap_settle(px_heap *heap, char *from);

/* alloc.c: a block without a header; counts no failure. @alignment: at least
 * 16. */
void *px__heap_take(px_heap *heap, size_t bytes, size_t alignment);

/* alloc.c: a block for the room's own use, with defined contents. */
void *px__heap_take_internal(px_heap *heap, size_t bytes);

/* sized.c */
enum px__block_kind {
    PX__BLOCK_LIVE = 0,
    PX__BLOCK_FREE = PX__KIND_FREE,
    PX__BLOCK_OURS
};
void *px__sized_take(px_heap *heap, size_t bytes, size_t alignment,
                     enum px__block_kind kind);
void px__lists_join(px_heap *heap, const px__lists *older);

/* snapshot.c: the record of a live snapshot, or NULL. */
px__record *px__heap_find_record(const px_heap *heap,
                                 const px_snapshot *snapshot);

/* cleanup.c: run the cleanups that are newer than @until, newest first. */
void px__heap_run_cleanups(px_heap *heap, px__cleanup *until);

/* quota.c: charge @bytes to every budget up the chain, or to none. */
bool px__quota_charge(px_quota *quota, size_t bytes);
void px__quota_uncharge(px_quota *quota, size_t bytes);

#endif
