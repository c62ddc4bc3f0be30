/*
 * talloc, Samba's allocator, with a pool large enough for the headline: blocks
 * are children of the pool and go with talloc_free_children(), one after the
 * other, for each may have children and a destructor. That is more than an
 * arena offers, and is in the price. The pool is made as large as the workload
 * needs, since a block that does not fit falls back to malloc.
 */
#include "../heap_peer.h"

#include <stdlib.h>

#if defined(PEER_TALLOC)
#include <talloc.h>

/* talloc refuses sizes from 256 MB on. */
#define MOST_BYTES ((size_t)192 << 20)

struct peer {
    void *pool;
};

static const char *
peer_prepare(const struct heap_entry *entry)
{
    (void)entry;
    return NULL;
}

/* A block costs its header of about 96 bytes besides its own 16 to 512. */
static inline bool
peer_born(struct peer *peer, size_t blocks)
{
    size_t bytes = blocks * 384;
    bytes = bytes < MOST_BYTES ? bytes : MOST_BYTES;
    peer->pool = talloc_pool(NULL, bytes);
    return peer->pool != NULL;
}

static inline void
peer_die(struct peer *peer)
{
    talloc_free(peer->pool);
}

static inline void
peer_mark(struct peer *peer)
{
    (void)peer;
}

typedef void *handle;

static inline handle
peer_handle(struct peer *peer)
{
    return peer->pool;
}

static inline void *
peer_alloc(void *arena, size_t bytes)
{
    return talloc_size(arena, bytes);
}

static inline void
peer_undo(struct peer *peer)
{
    talloc_free_children(peer->pool);
}

#define PEER heap_peer_talloc
#include "../heap_template.h"
#else
const struct heap_peer heap_peer_talloc = {.missing = "built without talloc"};
#endif
