/*
 * The interlocked list: Treiber's stack (1986) without its pop, that is, a
 * stack that is only ever emptied as a whole.
 *
 *   head -> last pushed -> ... -> first pushed -> NULL
 *
 * Invariants
 *   I1  a node's link is written only before the node is published, so a
 *       flushed chain does not change any more
 *   I2  head is the only shared word. A push compares it with a value it read;
 *       that the node there was flushed and pushed again meanwhile does not
 *       matter, as the push never looks into it
 *
 * Thread rule: push, flush, empty: any thread; a flushed chain: its caller.
 * Rejected: taking single nodes, which needs a tag against ABA, or hazard
 * pointers, and which no user of ours wants.
 */
#include <pxrt/ilist.h>

#include "base/assert.h"
#include "base/atomic.h"

bool
px_ilist_push(px_ilist *list, px_ilink *node)
{
    px_ilink *head = px__load_relaxed(&list->head);
    do
        node->next = head; /* I1 */
    while (!px__cas_weak(&list->head, &head, node,
                         __ATOMIC_RELEASE)); /* pairs with px_ilist_flush */
    return head == NULL;
}

px_ilink *
px_ilist_flush(px_ilist *list)
{
    return px__xchg_acquire(&list->head, NULL); /* pairs with px_ilist_push */
}

bool
px_ilist_empty(const px_ilist *list)
{
    return px__load_relaxed(&list->head) == NULL;
}

px_ilink *
px_ilist_reverse(px_ilink *chain)
{
    px_ilink *reversed = NULL;
    while (chain) {
        px_ilink *next = chain->next;
        chain->next = reversed;
        reversed = chain;
        chain = next;
    }
    return reversed;
}
