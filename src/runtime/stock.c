/*
 * The stock: batches of furnished contexts.
 *
 *   main: FREED --put--> loose --32 of them--> [batch][batch] --take--> worker
 *                                              full: dropped   (one by one)
 *
 * All contexts in it were made with the runtime's own options and are light
 * (px__context_settle()), so that one serves as well as the other, and the
 * whole stock keeps some MB at most. Without it each context's window would go
 * from main's magazine through the pool to a worker's, and be furnished anew.
 *
 * Invariants
 *   T1  each batch has BATCH contexts, and loose has fewer
 *   T2  a context in the stock is FREED, and nobody else knows it
 *
 * Thread rule: as said for each function in stock.h. The lock is taken once for
 * BATCH contexts, and hands over all that main did to them.
 *
 * Rejected: an interlocked list (who flushes it takes the others' share); a
 * list for each worker that contexts come back to (it knows no bound, and the
 * worker may have nothing more to do).
 */
#include "runtime/stock.h"

#include <stddef.h>

enum { BATCH = 32 };

void
px__stock_drop_chain(px_context *chain)
{
    while (chain) {
        px_context *cx = chain;
        chain = cx->previous;
        px__context_drop(cx);
    }
}

/* False: there is no room. */
static bool
put_batch(px__stock *stock, px_context *first)
{
    px_mutex_lock(&stock->lock);
    bool room = stock->count < PX__STOCK_BATCHES;
    if (room)
        stock->batch[stock->count++] = first;
    px_mutex_unlock(&stock->lock);
    return room;
}

static px_context *
take_batch(px__stock *stock)
{
    px_mutex_lock(&stock->lock);
    px_context *first = stock->count ? stock->batch[--stock->count] : NULL;
    px_mutex_unlock(&stock->lock);
    return first;
}

void
px__stock_put(px__stock *stock, px_context *cx)
{
    px__chain *loose = &stock->loose;
    cx->previous = loose->first;
    loose->first = cx;
    if (++loose->count < BATCH)
        return;
    if (!put_batch(stock, loose->first))
        px__stock_drop_chain(loose->first);
    *loose = (px__chain){NULL, 0};
}

/* The next one's lines come from main's CPU while this one's work runs. */
static void
fetch_ahead(const px_context *cx)
{
    if (!cx)
        return;
    px__prefetch(&cx->word);
    px__prefetch(&cx->heap.cursor);
    px__prefetch(&cx->base.cursor);
}

px_context *
px__stock_take(px__stock *stock, px_context **mine)
{
    px_context *cx = *mine ? *mine : take_batch(stock);
    if (!cx)
        return NULL;
    *mine = cx->previous;
    fetch_ahead(*mine);
    return cx;
}

void
px__stock_clear(px__stock *stock)
{
    px_context *batch;
    while ((batch = take_batch(stock)) != NULL)
        px__stock_drop_chain(batch);
    px__stock_drop_chain(stock->loose.first);
    stock->loose = (px__chain){NULL, 0};
}
