/** @file
 *  Heaps: bump allocation in a window of reserved address space, with nested
 *  snapshots, rollback, deferred cleanups, quotas and ownership of pointers.
 *
 *  A heap is one contiguous run of addresses. Allocation moves a cursor up;
 *  nothing is freed one by one; everything since a snapshot is dropped by
 *  moving the cursor back, and everything at all by releasing the heap.
 *
 *  @code
 *      px_heap *heap;
 *      px_snapshot before;
 *      if (px_heap_create(NULL, &heap) != 0)
 *          return;
 *      px_heap_snapshot(heap, &before);
 *      char *text = px_heap_printf(heap, "%d requests", 42);
 *      puts(text);
 *      px_heap_rollback(heap, &before);     // text is gone, the heap is not
 *      px_heap_release(heap);               // O(1), whatever it holds
 *  @endcode
 *
 *  A heap has no lock: one thread at a time uses it, and handing it from one
 *  thread to another is a synchronising operation of the caller (a context
 *  does it for you). Alignment of every block is 16 bytes. Blocks are not
 *  zeroed unless px_heap_calloc() made them.
 */
#ifndef PXRT_HEAP_H
#define PXRT_HEAP_H

#include <pxrt/defs.h>
#include <pxrt/status.h>

#include <stdarg.h>

PX_BEGIN_DECLS

/** A heap. It lives inside its own window; opaque but for its cursor. */
typedef struct px_heap px_heap;

/** A budget of committed bytes that several heaps share; see px_quota_create().
 */
typedef struct px_quota px_quota;

/** The first member of every heap: where the next block starts and where the
 *  fast path ends. Only the inline functions below touch it. */
typedef struct px_cursor {
    char *next; /**< Where the next block starts. */
    char *end;  /**< Where the fast path ends. */
} px_cursor;

/** A point in a heap's history to return to. A plain value: copy it freely; it
 *  needs no release. It goes stale when an older snapshot is rolled back or
 *  dropped; using a stale one is an error (PX_ESTALE), never corruption. */
typedef struct px_snapshot {
    const void *record; /**< Its place in the heap. */
    uint64_t serial;    /**< Its number, which never comes again. */
} px_snapshot;

/** Properties of a heap, for px_heap_options.flags. */
enum px_heap_flags {
    /** Each block carries its size (8 bytes): px_heap_realloc(),
     * px_heap_free(), px_heap_block_size() and px_heap_walk() work. The inline
     * fast path of px_heap_alloc() is off; see px_heap_alloc_freed(). */
    PX_HEAP_SIZED = 1u << 0,
    /** Freed blocks are used again (size-class lists); implies PX_HEAP_SIZED.
     */
    PX_HEAP_FREE_LISTS = 1u << 1,
    /** Begin on small pages and turn to large ones when the first chunk fills
     *  up: a small heap then keeps a few KB resident instead of 2 MB. */
    PX_HEAP_SMALL_START = 1u << 2,
    /** Never ask for large pages. */
    PX_HEAP_SMALL_PAGES = 1u << 3
};

/** Options of px_heap_create(). Call px_heap_options_init() first. */
typedef struct px_heap_options {
    /** sizeof(px_heap_options), set by px_heap_options_init(). */
    size_t size;
    /** Bytes of address space to reserve: the hard limit of the heap. Rounded
     *  up to a power of two; at least 16 MB (8 chunks). 0 (default): 256 MB, or
     *  less where the whole range is small. */
    size_t window_bytes;
    /** Bytes the heap may commit, <= window_bytes, in whole pages; 0 (default):
     *  the window. */
    size_t quota_bytes;
    /** A shared budget that every committed byte is charged to as well; NULL
     *  (default): none. Retained by the heap. */
    px_quota *quota;
    /** Committed bytes above the cursor that a rollback may keep for the next
     *  round; default 16 MB. More than that is given back when it went unused
     *  for some rounds. */
    size_t retain_bytes;
    /** Any of px_heap_flags; default 0. */
    uint32_t flags;
} px_heap_options;

/** What a heap holds. The first group is equal before and after a pair of
 *  snapshot and rollback; the second group only grows or is a cache. */
typedef struct px_heap_stats {
    /** sizeof(px_heap_stats), set by the caller. */
    size_t size;
    /** Bytes between the heap's start and its cursor: blocks, their rounding,
     *  and the heap's own records (snapshots, cleanups). */
    size_t used_bytes;
    /** Chunks that hold at least one used byte. */
    size_t chunk_count;
    /** Snapshots that can still be rolled back. */
    size_t snapshot_count;
    /** Cleanups that have not run. */
    size_t cleanup_count;

    /** Bytes of address space the heap can grow to. */
    size_t window_bytes;
    /** Bytes charged to quotas: used, or kept for reuse. */
    size_t committed_bytes;
    /** Committed bytes that lie on large pages. */
    size_t large_page_bytes;
    /** Largest used_bytes ever seen at a slow path, rollback or this call. */
    size_t peak_used_bytes;
    /** Rollbacks so far. */
    uint64_t rollback_count;
    /** Bytes that these rollbacks dropped in all. */
    uint64_t rolled_back_bytes;
    /** Allocations refused: out of window, quota or memory. */
    uint64_t failed_count;
} px_heap_stats;

/** Why large pages were not granted, in px_page_info.reason. */
enum px_page_reason {
    /** Granted, or none wanted yet. */
    PX_PAGES_OK = 0,
    /** The heap was created with PX_HEAP_SMALL_PAGES. */
    PX_PAGES_FORBIDDEN,
    /** The system or the process has switched them off. */
    PX_PAGES_DISABLED,
    /** The platform has no such pages, or cannot give them to a window. */
    PX_PAGES_UNSUPPORTED,
    /** The kernel had no large page to give at that moment. */
    PX_PAGES_UNAVAILABLE,
    /** The kernel was only advised; whether it followed is not known. */
    PX_PAGES_ADVISED
};

/** What pages a heap asked for and what it got. */
typedef struct px_page_info {
    /** sizeof(px_page_info), set by the caller. */
    size_t size;
    /** Bytes of a small page. */
    size_t small_page_bytes;
    /** Bytes of a large page; 0 where there are none. */
    size_t large_page_bytes;
    /** Committed bytes for which large pages were wanted. */
    size_t requested_bytes;
    /** Bytes of these for which they were granted. */
    size_t granted_bytes;
    /** One of px_page_reason: the latest refusal, or PX_PAGES_OK. */
    int reason;
} px_page_info;

/** Set every option to its default.
 *  @thread caller
 *  @cost   a few stores. */
PX_API void px_heap_options_init(px_heap_options *options);

/** Create a heap with one reference.
 *  @param options  NULL for the defaults.
 *  @param out      receives the heap; untouched on failure.
 *  @return 0; PX_EINVAL (a field out of range, a size unknown); PX_ENOMEM (no
 *          window, quota or memory left); PX_EFORKED.
 *  @thread any
 *  @cost   about 10 ns when a window can be recycled; else page faults. */
PX_API PX_MUST_CHECK int px_heap_create(const px_heap_options *options,
                                        px_heap **out);

/** Add a reference.
 *  @return @p heap.
 *  @thread any */
PX_API px_heap *px_heap_retain(px_heap *heap);

/** Drop a reference; the last one runs the pending cleanups, newest first, and
 *  drops the heap's memory. NULL is ignored. A context's heap is released with
 *  its context: releasing it here is a checked error (abort).
 *  @thread any for a reference that is not the last; owner for the last
 *  @cost   O(pending cleanups), whatever else the heap holds. */
PX_API void px_heap_release(px_heap *heap);

/** The out-of-line half of px_heap_alloc(): grows the heap, or does what a
 * sized, instrumented or nearly full heap needs. Call px_heap_alloc() instead.
 */
PX_API void *px_heap_alloc_slow(px_heap *heap, size_t bytes);

/** Allocate @p bytes (0 counts as 1), aligned to 16, not zeroed.
 *  @return the block, owned by @p heap; NULL when window, quota or memory is
 *          exhausted, or inside a cleanup: the heap stays usable.
 *  @thread owner
 *  @cost   a compare and an add; rarely a page fault or a new chunk. */
static inline void *
px_heap_alloc(px_heap *heap, size_t bytes)
{
    px_cursor *cursor = (px_cursor *)(void *)heap;
    char *block = cursor->next;
    /* next and end are multiples of 16, so comparing the unrounded size is
     * enough, and cannot overflow. Of the last byte's offset, not of the size:
     * 0 then wraps round, and the slow path makes it 1. */
    size_t last = bytes - 1;
    if (PX_UNLIKELY(last >= (size_t)(cursor->end - block)))
        return px_heap_alloc_slow(heap, bytes);
    cursor->next = block + (last | 15) + 1;
    return block;
}

/** px_heap_alloc() as a plain exported function, for bindings that cannot use
 *  an inline one.
 *  @thread owner */
PX_API void *px_heap_alloc_exported(px_heap *heap, size_t bytes);

/** Allocate @p count * @p bytes zeroed bytes; NULL also when the product
 *  overflows. Memory that was never used is not zeroed again.
 *  @thread owner */
PX_API void *px_heap_calloc(px_heap *heap, size_t count, size_t bytes);

/** Allocate @p bytes at a multiple of @p alignment, a power of two up to the
 *  chunk size (2 MB); NULL also for any other alignment.
 *  @thread owner */
PX_API void *px_heap_alloc_aligned(px_heap *heap, size_t bytes,
                                   size_t alignment);

/** Change a block's size, with its old size given by the caller: in place when
 *  it is the newest block or shrinks, else by copying. @p block NULL allocates.
 *  @return the block, or NULL on failure: the old block is then untouched.
 *  @thread owner */
PX_API void *px_heap_resize(px_heap *heap, void *block, size_t old_bytes,
                            size_t new_bytes);

/** px_heap_resize() for a heap with PX_HEAP_SIZED, which knows the old size;
 *  NULL on any other heap.
 *  @thread owner */
PX_API void *px_heap_realloc(px_heap *heap, void *block, size_t bytes);

/** Give a block back: with PX_HEAP_FREE_LISTS it can be used again (not when it
 *  is older than the newest snapshot), the latest of its size first. The newest
 *  block of a sized heap is taken back at once, if it is not one of up to 504
 *  bytes that goes to a list. Otherwise nothing happens until rollback or
 *  release. NULL is ignored.
 *  Inside a cleanup, where everything is about to go, nothing happens.
 *  @return 0; PX_EINVAL (not a sized heap, or not a live block of it, as far as
 *          the block's header tells).
 *  @thread owner */
PX_API int px_heap_free(px_heap *heap, void *block);

/** Usable bytes of a block of a sized heap; 0 for NULL or any other heap.
 *  @thread owner */
PX_API size_t px_heap_block_size(const px_heap *heap, const void *block);

/** Copy a string into the heap. NULL for a NULL text or on failure.
 *  @thread owner */
PX_API char *px_heap_strdup(px_heap *heap, const char *text);

/** Copy @p bytes bytes into the heap. NULL for a NULL source or on failure.
 *  @thread owner */
PX_API void *px_heap_memdup(px_heap *heap, const void *from, size_t bytes);

/** Format as printf does into the heap. NULL for a NULL or malformed format or
 *  on failure.
 *  @thread owner */
PX_API char *px_heap_printf(px_heap *heap, const char *format, ...)
    PX_PRINTF(2, 3);

/** px_heap_printf() with a va_list.
 *  @thread owner */
PX_API char *px_heap_vprintf(px_heap *heap, const char *format, va_list args)
    PX_PRINTF(2, 0);

/** Remember this point. Snapshots nest.
 *  @return 0; PX_EINVAL (NULL); PX_ENOMEM; PX_EBUSY (inside a cleanup).
 *  @thread owner
 *  @cost   one small allocation; no system call. */
PX_API PX_MUST_CHECK int px_heap_snapshot(px_heap *heap, px_snapshot *out);

/** Drop everything that was allocated since @p snapshot: run the cleanups
 *  deferred since then, newest first, and move the cursor back. @p snapshot
 *  stays valid and can be rolled back again; newer ones go stale.
 *  @return 0; PX_EINVAL (NULL); PX_ESTALE (stale, or of another heap; the heap
 *          is unchanged); PX_EBUSY (inside a cleanup).
 *  @post   the first group of px_heap_stats equals what it was right after
 *          px_heap_snapshot().
 *  @thread owner, which may be another thread than the one that took it
 *  @cost   O(snapshots and cleanups dropped); no system call, no zeroing. */
PX_API int px_heap_rollback(px_heap *heap, const px_snapshot *snapshot);

/** Forget @p snapshot and all newer ones without dropping memory: what was
 *  allocated since now belongs to the snapshot before it.
 *  @return 0; PX_EINVAL; PX_ESTALE; PX_EBUSY, as px_heap_rollback().
 *  @thread owner
 *  @cost   O(snapshots forgotten). */
PX_API int px_heap_snapshot_drop(px_heap *heap, const px_snapshot *snapshot);

/** A cleanup: it may read the memory that is about to go, and must not allocate
 *  from the heap that runs it (allocation returns NULL there). */
typedef void (*px_cleanup_fn)(void *arg);

/** Run @p fn(@p arg) when the memory of this moment is dropped: at the rollback
 *  of an older snapshot or at the last release. Newest first.
 *  @return 0; PX_EINVAL (NULL heap or fn); PX_ENOMEM; PX_EBUSY (in a cleanup).
 *  @thread owner
 *  @cost   one small allocation. */
PX_API PX_MUST_CHECK int px_heap_defer(px_heap *heap, px_cleanup_fn fn,
                                       void *arg);

/** Give committed memory above the cursor back to the system, but for
 *  @p keep_bytes of it.
 *  @return the bytes given back.
 *  @thread owner
 *  @cost   a system call, if there is anything to give back. */
PX_API size_t px_heap_trim(px_heap *heap, size_t keep_bytes);

/** Fill @p stats, of which the caller has set the size field.
 *  @return 0; PX_EINVAL.
 *  @thread owner
 *  @cost   O(snapshots + cleanups). */
PX_API int px_heap_get_stats(px_heap *heap, px_heap_stats *stats);

/** Fill @p info, of which the caller has set the size field.
 *  @return 0; PX_EINVAL.
 *  @thread owner */
PX_API int px_heap_page_info(const px_heap *heap, px_page_info *info);

/** Visit every live block of a sized heap, oldest first, until @p visit returns
 *  a value other than 0; it must not allocate from the heap.
 *  @return what the last visit returned; 0; PX_EINVAL; PX_ENOTSUP (not sized).
 *  @thread owner
 *  @cost   O(blocks). */
PX_API int px_heap_walk(px_heap *heap,
                        int (*visit)(void *block, size_t bytes, void *arg),
                        void *arg);

/** Check every invariant of the heap, in O(blocks) for a sized one.
 *  @return 0, or PX_EINVAL when the heap is NULL or an invariant is broken.
 *  @thread owner */
PX_API int px_heap_validate(const px_heap *heap);

/** Create a budget of @p limit_bytes committed bytes, itself part of @p parent
 *  (NULL: of none). A charge must fit every budget up the chain, or it fails
 *  before anything is committed.
 *  @return 0; PX_EINVAL (out NULL, limit 0); PX_ENOMEM.
 *  @thread any */
PX_API PX_MUST_CHECK int px_quota_create(size_t limit_bytes, px_quota *parent,
                                         px_quota **out);

/** Add a reference. @return @p quota. @thread any */
PX_API px_quota *px_quota_retain(px_quota *quota);

/** Drop a reference; NULL is ignored. @thread any */
PX_API void px_quota_release(px_quota *quota);

/** Bytes charged to this budget now. 0 for NULL. @thread any */
PX_API size_t px_quota_used(const px_quota *quota);

/** How the one reserved range of addresses, which all windows come from, is to
 *  be set up; see px_range_configure(). */
typedef struct px_range_options {
    /** sizeof(px_range_options), set by px_range_options_init(). */
    size_t size;
    /** Bytes of addresses to reserve, at least 256 MB; default 16 TB (512 GB
     *  under ThreadSanitizer). Halved until the system agrees. */
    size_t reserve_bytes;
    /** Commit memory chunk by chunk instead of mapping it all without reserve:
     *  for strict overcommit. Chosen by itself where the first way fails. */
    bool commit_on_demand;
    /** Never ask for large pages, in any heap. */
    bool no_large_pages;
    /** Resident bytes of released windows kept for reuse, in the whole process;
     *  default 64 MB. */
    size_t cache_bytes;
    /** Core dumps hold the memory of so many heaps (a context has two);
     *  default 8192, 0: of none. Each costs up to two of the mappings that a
     *  process may have, some 65,530 (vm.max_map_count). No bound, and no cost,
     *  where memory is committed on demand. */
    size_t dumped_heaps;
    /** Reserve the lowest addresses that are free for it, so that, as a rule,
     *  whatever the process maps otherwise lies above: then one comparison with
     *  the end of a window tells what is in a heap. Off by default. A wish: the
     *  range lies anywhere if no such place is free (see px_range_view), and
     *  an executable that is not position-independent lies below it. */
    bool lowest;
} px_range_options;

/** Set every option to its default. @thread caller */
PX_API void px_range_options_init(px_range_options *options);

/** Set up the process-wide range before its first use.
 *  @return 0; PX_EINVAL; PX_ESTATE (the range exists already: nothing changes);
 *          PX_ENOMEM (not even the smallest range could be reserved).
 *  @thread any */
PX_API int px_range_configure(const px_range_options *options);

/** The grain of ownership: an owner word stands for 16 MB of addresses. */
enum { PX_OWNER_SHIFT = 24 };

/** The reserved range and its table of owners. Read only by the inline
 *  functions below. An owner word is a heap's address, with bit 0 set when the
 *  heap is a context's. */
struct px_range_view {
    uintptr_t base;          /**< First address. */
    size_t bytes;            /**< Length; 0 before the first use. */
    const uintptr_t *owners; /**< One word for each 16 MB. */
};
/** The one range of this process. Read only. */
extern PX_API struct px_range_view px_range_view;

/** The owner word of the window that @p ptr points into (anywhere in it), or 0:
 *  not memory that a live heap has used.
 *  @thread any
 *  @cost   a subtraction, a compare and a load. */
static inline uintptr_t
px_owner_word(const void *ptr)
{
#if defined(__GNUC__)
    /* bytes is set last, with release: before that no pointer is inside */
    size_t bytes = __atomic_load_n(&px_range_view.bytes, __ATOMIC_ACQUIRE);
    uintptr_t base = __atomic_load_n(&px_range_view.base, __ATOMIC_RELAXED);
    size_t offset = (uintptr_t)ptr - base;
    if (offset >= bytes)
        return 0;
    return __atomic_load_n(&px_range_view.owners[offset >> PX_OWNER_SHIFT],
                           __ATOMIC_RELAXED);
#else
    size_t offset = (uintptr_t)ptr - px_range_view.base;
    if (offset >= px_range_view.bytes)
        return 0;
    return px_range_view.owners[offset >> PX_OWNER_SHIFT];
#endif
}

/** The heap whose window @p ptr points into, or NULL. For a context's memory
 *  (its base heap too) this is the context's callback heap.
 *  @thread any
 *  @cost   as px_owner_word(). */
static inline px_heap *
px_heap_of(const void *ptr)
{
    return (px_heap *)(px_owner_word(ptr) & ~(uintptr_t)1);
}

PX_END_DECLS

#include <pxrt/heap_inline.h>

#endif
