/*
 * The pool of receive buffers of one server.
 *
 *   worker --give--> returned (interlocked) --flush--> free --take--> baton
 *
 * Slots belong to the server rather than to contexts, so that the thread with
 * the baton may read while a context runs, and an idle connection holds none.
 * Only as much of a slot as was ever received into is resident, and the free
 * chain is last in, first out: a server of small requests lives in a few pages.
 *
 * Invariants
 *   B1  a slot is in exactly one place: free, returned, the queue of a
 *       connection, or in the hands of the baton or of a connection's owner
 *   B2  cached is never less than the number of slots in free and returned
 *
 * Rejected: buffers in the callback heap (the baton may not touch a heap whose
 * context runs), and slots of several sizes (untouched pages cost nothing).
 */
#include "net/slots.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/list.h"

#include <pxrt/shared.h>

#include <string.h>

static px__slot *
slot_of(px_ilink *link)
{
    return PX_CONTAINER(link, px__slot, link);
}

px__slot *
px__slots_take(px__slots *slots)
{
    px_ilink *link = slots->free;
    if (!link)
        link = px_ilist_flush(&slots->returned);
    if (!link)
        return px_shared_alloc(sizeof(px__slot));
    slots->free = link->next;
    px__sub_relaxed(&slots->cached, 1); /* B2: after it is out */
    return slot_of(link);
}

/* Debug builds overwrite what a callback was given, so that one that keeps the
 * pointer is found out. */
static void
forget_bytes(px__slot *slot)
{
#if defined(PXRT_DEBUG)
    memset(slot->bytes, 0xdd, slot->count);
#endif
    slot->count = 0;
}

void
px__slots_give(px__slots *slots, px__slot *slot)
{
    forget_bytes(slot);
    if (px__load_relaxed(&slots->cached) >= PX__SLOTS_CACHED) {
        px_shared_free(slot);
        return;
    }
    px__add_relaxed(&slots->cached, 1); /* B2: before it is in */
    px_ilist_push(&slots->returned, &slot->link);
}

static void
free_chain(px_ilink *link)
{
    while (link) {
        px_ilink *next = link->next;
        px_shared_free(slot_of(link));
        link = next;
    }
}

void
px__slots_destroy(px__slots *slots)
{
    free_chain(slots->free);
    free_chain(px_ilist_flush(&slots->returned));
    slots->free = NULL;
}
