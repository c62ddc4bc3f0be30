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
 * A context that a worker takes lies in the cache of main's CPU, and the CPUs
 * may be far apart: measured, a cache line takes 35 ns to come from a near one
 * and 175 ns from one of another cache, which is more than all else that a small
 * piece of work costs. So batches are arrays: who has one knows the contexts
 * that come after the next, and fetches them while it works.
 *
 * Invariants
 *   T1  each full batch has PX__STOCK_BATCH contexts, and loose has fewer
 *   T2  a context in the stock is FREED, and nobody else knows it
 *
 * Thread rule: as said for each function in stock.h. The lock is taken once for
 * a batch, and hands over all that main did to them.
 *
 * Rejected: an interlocked list (who flushes it takes the others' share); a
 * list for each worker that contexts come back to (it knows no bound, and the
 * worker may have nothing more to do).
 */
#include "runtime/stock.h"

/* How many contexts ahead a worker fetches: a line comes from afar while the
 * work of two or three is done. */
enum { AHEAD = 4 };

void
px__stock_drop(px__batch *batch)
{
    while (batch->count)
        px__context_drop(batch->cx[--batch->count]);
}

/* @batch is empty afterwards. False: there is no room for it. */
static bool
put_batch(px__stock *stock, px__batch *batch)
{
    px_mutex_lock(&stock->lock);
    bool room = stock->count < PX__STOCK_BATCHES;
    if (room) {
        stock->full[stock->count++] = *batch;
        batch->count = 0;
    }
    px_mutex_unlock(&stock->lock);
    return room;
}

static bool
take_batch(px__stock *stock, px__batch *out)
{
    px_mutex_lock(&stock->lock);
    bool found = stock->count > 0;
    if (found)
        *out = stock->full[--stock->count];
    px_mutex_unlock(&stock->lock);
    return found;
}

void
px__stock_put(px__stock *stock, px_context *cx)
{
    px__batch *loose = &stock->loose;
    loose->cx[loose->count++] = cx;
    if (loose->count == PX__STOCK_BATCH && !put_batch(stock, loose))
        px__stock_drop(loose);
}

/* The line that main wrote to. */
static void
fetch(const px_context *cx)
{
    px__prefetch(&cx->word);
}

static void
fetch_first(const px__batch *batch)
{
    for (unsigned i = 1; i <= AHEAD; i++)
        fetch(batch->cx[batch->count - i]);
}

px_context *
px__stock_take(px__stock *stock, px__batch *mine)
{
    if (!mine->count) {
        if (!take_batch(stock, mine))
            return NULL;
        fetch_first(mine);
    }
    px_context *cx = mine->cx[--mine->count];
    if (mine->count >= AHEAD)
        fetch(mine->cx[mine->count - AHEAD]);
    return cx;
}

void
px__stock_clear(px__stock *stock)
{
    while (stock->count)
        px__stock_drop(&stock->full[--stock->count]);
    px__stock_drop(&stock->loose);
}
