/*
 * Contexts of work that is over, still furnished, on their way from main, which
 * frees contexts, to the workers, which begin them.
 */
#ifndef PX_RUNTIME_STOCK_H
#define PX_RUNTIME_STOCK_H

#include <pxrt/lock.h>

#include "context/context.h"

enum { PX__STOCK_BATCH = 32, PX__STOCK_BATCHES = 16 };

/* Contexts that one thread has at hand, the newest last. */
typedef struct px__batch {
    unsigned count;
    px_context *cx[PX__STOCK_BATCH];
} px__batch;

typedef struct px__stock {
    px_mutex lock;
    unsigned count;                    /* under lock: of full ones */
    px__batch full[PX__STOCK_BATCHES]; /* under lock */
    px__batch loose;                   /* main's: on the way to be full */
} px__stock;

/* Put a context that px__context_park() left furnished; if there are enough of
 * them it is dropped. Main. */
void px__stock_put(px__stock *stock, px_context *cx);

/* A context for another life with px__context_renew(), or NULL. @mine is the
 * caller's own rest of a batch. Workers. */
px_context *px__stock_take(px__stock *stock, px__batch *mine);

/* Drop all, or all of @batch: the workers are gone. Main. */
void px__stock_clear(px__stock *stock);
void px__stock_drop(px__batch *batch);

#endif
