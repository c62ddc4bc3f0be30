/*
 * Mutexes with a rank: a thread takes them in increasing order of rank only, so
 * no two threads can wait for each other. Debug builds check every lock against
 * what the thread holds, and so find an order that could deadlock without the
 * deadlock having to happen.
 *
 * Every internal mutex that is held while another may be taken has its rank in
 * the one list below.
 */
#ifndef PX_LOCK_RANK_H
#define PX_LOCK_RANK_H

#include <pxrt/lock.h>

/* Outermost first. At most 32. */
enum px__rank {
    PX_RANK_RUNTIME,   /* a runtime's life cycle and its set of workers */
    PX_RANK_READY,     /* the queue of ready contexts */
    PX_RANK_CONTEXT,   /* one context's mailbox and state */
    PX_RANK_REGISTRY,  /* tables of contexts and of protected objects */
    PX_RANK_HEAP_POOL, /* the pool of recycled windows */
    PX_RANK_LEAF,      /* holds nothing else meanwhile */
    PX_RANK_COUNT
};

/* Initialise as { .rank = PX_RANK_... }. The mutex is touched only through the
 * functions here; rank never changes. */
typedef struct px__ranked_mutex {
    px_mutex mutex;
    uint32_t rank;
} px__ranked_mutex;

/* Aborts in debug builds when the thread holds the same or a higher rank. */
void px__ranked_lock(px__ranked_mutex *m);

void px__ranked_unlock(px__ranked_mutex *m);

#endif
