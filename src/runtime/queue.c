/*
 * A linked queue whose push is one exchange, and whose pop is under a lock.
 *
 *   head --> [stub] --> [a] --> [b] --> [c] <-- tail
 *            taken off    oldest          pushed last
 *
 * A push exchanges tail, then links its predecessor to itself; between the two
 * the chain has a gap, and what comes after it cannot be popped yet. The stub
 * is put in again behind the last node, so that the last one can be taken.
 *
 * Invariants
 *   Q1  following next from head reaches tail, but for the gaps of pushes that
 *       are under way
 *   Q2  empty is: head and tail both at the stub
 *
 * Atomics: A1 the exchange in push, with sequential consistency, pairs with the
 * load of tail in px__queue_waiting(): a worker that announces its sleep, then
 * looks, and a pusher that pushes, then looks for sleepers, cannot miss each
 * other. A2 the release of next pairs with the acquire in next_of().
 *
 * The algorithm is Dmitry Vyukov's intrusive queue for one consumer; the lock
 * makes several of the one. Rejected: a ring (it is bounded, and a million
 * items may be submitted at once); a lock for both sides (a pusher that is
 * preempted with it stops everybody); one queue per worker with stealing
 * (measured: no gain at two CPUs, and it gives up the order of submission).
 */
#include "runtime/queue.h"

#include <stddef.h>

#include "base/assert.h"

void
px__queue_init(px__queue *q)
{
    q->stub.next = NULL;
    q->head = q->tail = &q->stub;
    q->lock = (px_mutex){0};
}

void
px__queue_push(px__queue *q, px_ilink *node)
{
    px__store_relaxed(&node->next, NULL);
    px_ilink *before = px__xchg_seqcst(&q->tail, node); /* A1 */
    px__store_release(&before->next, node);             /* A2 */
}

static px_ilink *
next_of(px_ilink *node)
{
    return px__load_acquire(&node->next); /* A2 */
}

/* Step over the stub, if it is the head. NULL: nothing behind it. */
static px_ilink *
skip_stub(px__queue *q)
{
    px_ilink *head = q->head;
    if (head == &q->stub && (head = next_of(head)) != NULL)
        px__store_relaxed(&q->head, head);
    return head;
}

static px_ilink *
pop_locked(px__queue *q)
{
    px_ilink *head = skip_stub(q);
    if (!head)
        return NULL;
    px_ilink *next = next_of(head);
    if (!next && px__load_acquire(&q->tail) == head) {
        px__queue_push(q, &q->stub);
        next = next_of(head);
    }
    if (!next)
        return NULL; /* a gap right behind head (Q1) */
    px__store_relaxed(&q->head, next);
    px__prefetch(next); /* it may have waited for long */
    return head;
}

px_ilink *
px__queue_pop(px__queue *q)
{
    if (!px__queue_waiting(q))
        return NULL;
    px_mutex_lock(&q->lock);
    px_ilink *node = pop_locked(q);
    px_mutex_unlock(&q->lock);
    return node;
}

bool
px__queue_waiting(const px__queue *q)
{
    return px__load_seqcst(&q->tail) != &q->stub ||
           px__load_relaxed(&q->head) != &q->stub; /* Q2 */
}
