/*
 * Contexts of work that is over, still furnished, on their way from main, which
 * frees contexts, to the workers, which begin them.
 */
#ifndef PX_RUNTIME_STOCK_H
#define PX_RUNTIME_STOCK_H

#include <pxrt/lock.h>

#include "context/context.h"

enum { PX__STOCK_BATCHES = 16 };

/* A chain of contexts, linked by `previous`. */
typedef struct px__chain {
    px_context *first;
    unsigned count;
} px__chain;

typedef struct px__stock {
    px_mutex lock;
    unsigned count;                       /* under lock */
    px_context *batch[PX__STOCK_BATCHES]; /* under lock: first of each */
    px__chain loose;                      /* main's: less than a batch */
} px__stock;

/* Put a context that px__context_park() left furnished; if there are enough of
 * them it is dropped. Main. */
void px__stock_put(px__stock *stock, px_context *cx);

/* A context for another life with px__context_renew(), or NULL. @mine is the
 * caller's own rest of a batch. Workers. */
px_context *px__stock_take(px__stock *stock, px_context **mine);

/* Drop all, and all of @chain: the workers are gone. Main. */
void px__stock_clear(px__stock *stock);
void px__stock_drop_chain(px_context *chain);

#endif
