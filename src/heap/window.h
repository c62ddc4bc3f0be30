/*
 * Windows, seen by the heaps that live in them. See heap.h for the rest.
 *
 *      lo                                                              hi
 *      | colour | control | run 0 ....->        | run 1 ....->          |
 *
 * A run is memory that grows upwards from a fixed start. The first heap's run
 * begins at the control block; a second heap begins at any later chunk. Runs
 * outlive the heaps: the next owner of the window adopts their memory.
 */
#ifndef PX_HEAP_WINDOW_H
#define PX_HEAP_WINDOW_H

#include "heap/heap.h"
#include "heap/range.h"

/* [lo, committed) is usable memory, and charged. [dirty, committed) still reads
 * as zero. Both only move in slow paths. */
typedef struct px__run {
    char *lo;        /* multiple of a page */
    char *committed; /* multiple of a page */
    char *dirty;     /* lo <= dirty <= committed, whatever the page size */
    char *owned;     /* owner words are set up to here; multiple of a unit */
    char *dumped;    /* core dumps hold it up to here, see dump.c; or NULL */
    size_t large_wanted; /* bytes of whole chunks, ... */
    size_t large_granted;
    int large_reason; /* ... enum px_page_reason of the latest refusal */
} px__run;

enum { PX_RUNS = 2 };

/* A descriptor, outside of the window. While the window is free it belongs to
 * the magazine or pool that holds it, else to the heaps' owner. */
struct px__window {
    char *lo;
    px__window *next;    /* in a list of free windows */
    size_t kept;         /* while free: its resident bytes, as far as known */
    uintptr_t owner;     /* what px_owner_word() answers; 0 while free */
    uintptr_t parked;    /* W5: the owner word of who can be revived, or 0 */
    uint64_t serial;     /* of the latest snapshot taken in any of its lives */
    uintptr_t user;      /* the thread that acquired it, while that runs, ... */
    uint32_t cpu;        /* ... and where it did */
    uint32_t size_class; /* log2 of its bytes */
    uint32_t colour;     /* where its control block and second run begin */
    px__run run[PX_RUNS];
};

/* The run for a heap over [@lo, @hi). Memory of earlier owners that does not
 * fit this layout is given back to the system. */
px__run *px__window_fit(px__window *window, char *lo, char *hi);

/* Make [run->committed, @end) usable and owned. 0 or PX_ENOMEM. */
int px__window_extend(px__window *window, px__run *run, char *end);

/* Give [@end, run->committed) back to the system. */
void px__window_shrink(px__run *run, char *end);

/* The same, when there is nothing to give back. */
static inline px__run *
px__window_run(px__window *window, char *lo, char *hi)
{
    px__run *first = &window->run[0];
    if (PX_LIKELY(lo < window->lo + PX_CHUNK && first->committed <= hi))
        return first;
    return px__window_fit(window, lo, hi);
}

/* px__window_hi() for this room. */
static inline char *
px__window_end(const px__window *window)
{
    return window->lo + ((size_t)1 << window->size_class);
}

/* The control block that the last owner of a window that was just acquired left
 * to be revived, if its owner word had the flag @flag; else NULL. */
static inline void *
px__window_revive(px__window *window, uintptr_t flag)
{
    uintptr_t word = window->parked;
    if (word == 0 || (word & 1) != flag)
        return NULL;
    window->owner = word;
    return (void *)(word - flag);
}

/* Set the owner words of the run's memory. */
static inline void
px__window_own(px__window *window, px__run *run)
{
    if (PX_LIKELY(run->owned >= run->committed))
        return;
    size_t past = (size_t)(run->committed - run->owned);
    char *end = run->owned + ((past + PX_UNIT - 1) & ~(size_t)(PX_UNIT - 1));
    px__range_own(run->owned, end, window->owner);
    run->owned = end;
}

#endif
