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
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "platform/thread.h"

enum { PX_READER_SLOTS = 4 };

/* One thread's announcements. The table is static and records are never freed,
 * so a thread may look at any of them at any time. */
typedef struct px__reader_record {
    const void *slots[PX_READER_SLOTS]; /* its thread writes, writers read */
    px__exit_hook at_exit; /* here, as thread-local storage may go earlier */
    uint32_t taken;        /* 1 while a thread owns the record */
    uint32_t leaves; /* its thread bumps it when it leaves under a writer's
                        eyes; writers park on it */
} __attribute__((aligned(PX_CACHE_LINE))) px__reader_record;

/* The calling thread's record, NULL before its first biased read. In the static
 * part of thread-local storage, since asking for the address of another kind
 * costs as much as an atomic operation. */
#if defined(__ELF__)
__attribute__((tls_model("initial-exec")))
#endif
extern _Thread_local px__reader_record *px__reader_self;

/* Give the calling thread a record; it has none yet. When no more can be had,
 * it is one without unused slots. Never NULL. */
px__reader_record *px__reader_record_take(void);

/* The calling thread has just left: wake the writers that wait for that. */
void px__reader_tell_writers(px__reader_record *r);

/* The slot of @r that announces @lock (NULL: an unused one), or NULL. */
static inline const void **
px__reader_slot_of(px__reader_record *r, const void *lock)
{
    if (PX_LIKELY(px__load_relaxed(&r->slots[0]) == lock))
        return &r->slots[0];
    for (int i = 1; i < PX_READER_SLOTS; i++)
        if (px__load_relaxed(&r->slots[i]) == lock)
            return &r->slots[i];
    return NULL;
}

/* Leave by @slot. When @watched, a writer may be parked on the record. */
static inline void
px__reader_leave(px__reader_record *r, const void **slot, bool watched)
{
    px__store_release(slot, NULL); /* pairs with the loads in readers.c */
    if (PX_UNLIKELY(watched))
        px__reader_tell_writers(r);
}

/* Whether any thread announces @lock. */
bool px__reader_any(const void *lock);

/* Wait until each thread was seen not to announce @lock; true when that took a
 * sleep. */
bool px__reader_wait_for_all(const void *lock);

#endif
