/*
 * A context as a heap peer: two heaps in a window, a life cycle, a mailbox and
 * a reference count, created and dropped for ten blocks.
 */
#include "../heap_peer.h"

#include <pxrt/context.h>

#include <stdlib.h>

struct peer {
    px_context *cx;
    px_snapshot mark;
};

static const char *
peer_prepare(const struct heap_entry *entry)
{
    (void)entry;
    return NULL;
}

static inline bool
peer_born(struct peer *peer, size_t blocks)
{
    (void)blocks;
    return px_context_create(NULL, &peer->cx) == 0;
}

static inline void
peer_die(struct peer *peer)
{
    px_context_release(peer->cx);
}

static inline void
peer_mark(struct peer *peer)
{
    if (px_heap_snapshot(px_context_heap(peer->cx), &peer->mark) != 0)
        abort();
}

static inline void *
peer_alloc(struct peer *peer, size_t bytes)
{
    return px_alloc(peer->cx, bytes);
}

static inline void
peer_undo(struct peer *peer)
{
    if (px_heap_rollback(px_context_heap(peer->cx), &peer->mark) != 0)
        abort();
}

#define PEER heap_peer_context
#include "../heap_template.h"
