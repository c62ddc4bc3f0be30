/*
 * Where the readers of biased locks announce themselves: one cache line per
 * thread, in one table for all locks.
 *
 *             slot 0    1    2    3
 *   thread 1  [ &a ] [  ] [  ] [  ]
 *   thread 2  [ &a ] [&b] [  ] [  ]      <- a has two readers
 *   thread 3  [    ] [  ] [  ] [  ]
 */
#ifndef PX_LOCK_READERS_H
#define PX_LOCK_READERS_H

#include <stdbool.h>
#include <stdint.h>

/* One announcement; NULL when unused. Written by its thread only. */
typedef struct px__reader_slot {
    const void *lock;
} px__reader_slot;

/* An unused slot of the calling thread; NULL when it has none left, or the
 * table is full: the caller then goes without. Never allocates. */
px__reader_slot *px__reader_slot_unused(void);

/* The slot in which the calling thread announced @lock; NULL when in none. */
px__reader_slot *px__reader_slot_of(const void *lock);

/* Whether any thread announces @lock. The loads are sequentially consistent:
 * see B1 and B2 in biased.c. */
bool px__reader_announced(const void *lock);

#endif
