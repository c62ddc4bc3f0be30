/*
 * The ready queue: any thread pushes, any worker pops, first in first out.
 */
#ifndef PX_RUNTIME_QUEUE_H
#define PX_RUNTIME_QUEUE_H

#include <pxrt/ilist.h>
#include <pxrt/lock.h>

#include "base/atomic.h"

/* The pushing and the popping side live on cache lines of their own. */
typedef struct px__queue {
    px_ilink *tail; /* atomic: the node pushed last */
    char apart[PX_CACHE_LINE - sizeof(px_ilink *)];
    px_mutex lock;  /* among those who pop */
    px_ilink *head; /* under lock; atomic for px__queue_waiting() */
    px_ilink stub;
    char apart_too[PX_CACHE_LINE - 3 * sizeof(px_ilink *)];
} px__queue;

void px__queue_init(px__queue *q);

/* Add a node: one atomic exchange. The caller then wakes somebody. Any thread.
 */
void px__queue_push(px__queue *q, px_ilink *node);

/* Take the oldest node, or NULL: empty, or the next push is half done (its
 * pusher wakes somebody when it is whole). Any thread. */
px_ilink *px__queue_pop(px__queue *q);

/* Whether there is something to pop, or about to be. Any thread; ordered with
 * the pushes by sequential consistency. */
bool px__queue_waiting(const px__queue *q);

#endif
