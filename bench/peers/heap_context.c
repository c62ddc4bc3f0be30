/*
 * A context as a heap peer: two heaps in a window, a life cycle, a mailbox and
 * a reference count, created and dropped for ten blocks. It takes part in
 * context.create only: allocation and rollback are its callback heap's, and
 * measured there.
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

typedef px_context *handle;

static inline handle
peer_handle(struct peer *peer)
{
    return peer->cx;
}

static inline void *
peer_alloc(px_context *cx, size_t bytes)
{
    return px_alloc(cx, bytes);
}

static inline void
peer_undo(struct peer *peer)
{
    if (px_heap_rollback(px_context_heap(peer->cx), &peer->mark) != 0)
        abort();
}

/* Rolled back to, a snapshot stays; without this they would pile up. */
static inline void
peer_drop(struct peer *peer)
{
    peer_undo(peer);
    if (px_heap_snapshot_drop(px_context_heap(peer->cx), &peer->mark) != 0)
        abort();
}
#define PEER_DROP peer_drop

#define PEER heap_peer_context
#include "../heap_template.h"
