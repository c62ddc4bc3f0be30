/** @file
 *  Interlocked list: any thread pushes, any thread takes everything at once.
 *  The link lives in the caller's struct, so nothing is allocated and a push
 *  cannot fail. Since nodes are never taken one by one, a node that comes back
 *  while another push is under way does no harm (no ABA problem).
 *
 *  @code
 *      if (px_ilist_push(&inbox, &message->link))
 *          wake_the_consumer();               // it was empty: nobody did yet
 *      ...
 *      px_ilink *oldest = px_ilist_reverse(px_ilist_flush(&inbox));
 *  @endcode
 */
#ifndef PXRT_ILIST_H
#define PXRT_ILIST_H

#include <pxrt/defs.h>

PX_BEGIN_DECLS

/** The link of a node; a member of the caller's struct. Not in two lists at
 *  once. */
typedef struct px_ilink {
    struct px_ilink *next; /**< In a flushed chain: the next, or NULL. */
} px_ilink;

/** An interlocked list. Zero-initialised it is empty; it needs no destroy. */
typedef struct px_ilist {
    px_ilink *head; /**< The newest node, or NULL. */
} px_ilist;

/** Add a node. What the caller wrote before is visible to who flushes it.
 *  @return true when the list was empty: exactly one of the pushes between two
 *          flushes says so, and that one wakes the consumer.
 *  @thread any
 *  @cost   one atomic operation; lock-free. */
PX_API bool px_ilist_push(px_ilist *list, px_ilink *node);

/** Take all nodes.
 *  @return the chain, last pushed first; NULL when empty.
 *  @thread any
 *  @cost   one atomic operation; wait-free. */
PX_API px_ilink *px_ilist_flush(px_ilist *list);

/** Whether the list is empty at this moment.
 *  @thread any
 *  @cost   one load. */
PX_API bool px_ilist_empty(const px_ilist *list);

/** Turn a flushed chain round: first pushed first.
 *  @return the new head; NULL for NULL.
 *  @thread caller
 *  @cost   O(n). */
PX_API px_ilink *px_ilist_reverse(px_ilink *chain);

PX_END_DECLS

#endif
