/*
 * Internal side of <pxrt/heap.h>: what room context needs to place its two
 * heaps in one window.
 *
 *      window   [ colour | control block | base heap ...| callback heap ... ]
 *               ^lo                                                       hi^
 *
 * A window is a piece of the one reserved range. Its descriptor lies outside of
 * it, so that no overrun of a block can reach the bookkeeping of addresses. The
 * control block (a px_heap, or a px_context that begins with one) lies inside,
 * at a place that differs from window to window, so that live control blocks
 * do not share cache sets.
 */
#ifndef PX_HEAP_HEAP_H
#define PX_HEAP_HEAP_H

#include <pxrt/heap.h>

typedef struct px__window px__window;

/* Take a window of at least @window_bytes (rounded up to a class), new or
 * recycled. 0, PX_EINVAL, PX_ENOMEM or PX_EFORKED. Any thread. */
int px__window_acquire(size_t window_bytes, px__window **out);

/* The same for a window of the default size. */
int px__window_acquire_default(px__window **out);

/* Give a window back: its owner words are cleared, its touched pages kept for
 * the next owner within the cache's bound. No heap may be placed in it. */
void px__window_release(px__window *window);

/* Bounds of a window's addresses. */
char *px__window_lo(const px__window *window);
char *px__window_hi(const px__window *window);

/* Make @bytes at the window's coloured start usable as its control block (not
 * zeroed when recycled) and name its owner: the word that px_owner_word()
 * answers for every part of the window that its heaps come to use. NULL when
 * memory is refused. */
void *px__window_control(px__window *window, size_t bytes, uintptr_t flag);

/* Set up @heap, a part of the window's control block, over the addresses
 * [@lo, @hi) of the window: either right behind the control block, or from any
 * later chunk on (@lo is rounded up to one). Two heaps at most, which do not
 * overlap. @options was checked, and @options->quota_bytes is counted from the
 * page that the heap starts in. 0 or PX_ENOMEM. */
int px__heap_place(px_heap *heap, px__window *window, char *lo, char *hi,
                   const px_heap_options *options);

/* Run all cleanups of @heap and uncharge its quotas. Its memory goes with the
 * window. */
void px__heap_clear(px_heap *heap);

/* Whether @heap holds nothing that clearing would have to let go of, and little
 * memory: it may then be kept for another life in the same place. */
bool px__heap_is_light(const px_heap *heap);

/* Give a light heap another life, as if placed anew with the same options. */
void px__heap_renew(px_heap *heap);

/* After px__heap_clear(), and when its window was acquired again with its
 * control block still parked in it: give the heap another life. */
void px__heap_revive(px_heap *heap);

/* 0 when @options is sound, PX_EINVAL otherwise; fills @full with defaults for
 * NULL or a shorter struct of an older caller. */
int px__heap_options_check(const px_heap_options *options,
                           px_heap_options *full);

#endif
