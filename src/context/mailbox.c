/*
 * The mailbox of a context: messages copied into shared memory, pushed by any
 * thread, run one by one by the owner.
 *
 *   posters --push--> mailbox (newest first) --flush, reverse--> inbox (oldest)
 *
 * Invariants
 *   M1  only the owner touches inbox; mailbox is pushed by anyone and flushed
 *       by the owner
 *   M2  a message belongs to exactly one of: its poster, a mailbox, the owner
 *
 * A poster pushes before it wakes, so a woken owner finds the message; see
 * life.c for why no wake-up is lost.
 */
#include "context/context.h"

#include "base/list.h"
#include "platform/fork.h"

#include <pxrt/shared.h>

#include <string.h>

typedef struct message {
    px_ilink link;
    px_message_fn fn;
    size_t count;
    _Alignas(16) unsigned char bytes[];
} message;

static message *
message_create(px_message_fn fn, const void *bytes, size_t count)
{
    message *m = NULL;
    if (count <= SIZE_MAX - sizeof *m)
        m = px_shared_alloc(sizeof *m + count);
    if (!m)
        return NULL;
    m->fn = fn;
    m->count = count;
    if (count)
        memcpy(m->bytes, bytes, count);
    return m;
}

static message *
message_of(px_ilink *link)
{
    return PX_CONTAINER(link, message, link);
}

int
px_post(px_context *cx, px_message_fn fn, const void *bytes, size_t count)
{
    message *m;
    if (!cx || !fn || (!bytes && count))
        return PX_EINVAL;
    if (cx->generation != px__fork_generation())
        return PX_EFORKED;
    if (px__life_state(cx) >= PX_CLOSING)
        return PX_ECLOSED;
    m = message_create(fn, bytes, count);
    if (!m)
        return PX_ENOMEM;
    px_ilist_push(&cx->mailbox, &m->link);
    if (cx->host && px__life_wake(cx))
        cx->host->ready(cx);
    return 0;
}

bool
px__mailbox_waiting(const px_context *cx)
{
    return cx->inbox || !px_ilist_empty(&cx->mailbox);
}

/* The oldest waiting message, now the caller's, or NULL. */
static message *
take_oldest(px_context *cx)
{
    px_ilink *node = cx->inbox;
    if (!node)
        node = px_ilist_reverse(px_ilist_flush(&cx->mailbox));
    if (!node)
        return NULL;
    cx->inbox = node->next;
    return message_of(node);
}

int
px__mailbox_run_one(px_context *cx)
{
    message *m = take_oldest(cx);
    int status;
    if (!m)
        return 0;
    status = m->fn(cx, m->bytes, m->count);
    px_shared_free(m);
    return status < 0 ? status : 1;
}

/* Messages that are posted meanwhile wait for the next call, so a handler that
 * posts to its own context does not keep the caller here for ever. */
static size_t
count_waiting(px_context *cx)
{
    px_ilink *fresh = px_ilist_reverse(px_ilist_flush(&cx->mailbox));
    px_ilink **end = &cx->inbox;
    size_t count = 0;
    for (; *end; end = &(*end)->next)
        count++;
    *end = fresh;
    for (; fresh; fresh = fresh->next)
        count++;
    return count;
}

int
px_deliver(px_context *cx)
{
    size_t handled = 0, waiting;
    int status = 1;
    if (!cx)
        return PX_EINVAL;
    if (px_current() != cx)
        return PX_EWRONGTHREAD;
    for (waiting = count_waiting(cx); handled < waiting; handled++) {
        status = px__mailbox_run_one(cx);
        if (status < 0)
            return status;
    }
    return handled > INT32_MAX ? INT32_MAX : (int)handled;
}

void
px__mailbox_discard(px_context *cx)
{
    message *m;
    if (!px__mailbox_waiting(cx))
        return; /* spares the common case a swap */
    while ((m = take_oldest(cx)))
        px_shared_free(m);
}
