/*
 * APR pools: what httpd and Subversion allocate a request's memory from. Undo
 * is apr_pool_clear() of a subpool, the cheapest way that APR has: it keeps the
 * pool's first block and gives the others to the allocator's free list. A pool
 * has no marks, so the mark is its beginning, and nothing is to be dropped with
 * it. Blocks are aligned to 8 bytes. The allocator is APR's default: no limit
 * on what it keeps, so that it does not go back to malloc once it is warm.
 */
#include "../heap_peer.h"

#include <stdlib.h>

#if defined(PEER_APR)
#include <apr_general.h>
#include <apr_pools.h>

struct peer {
    apr_pool_t *pool;
};

static apr_pool_t *root;

static const char *
peer_prepare(const struct heap_entry *entry)
{
    (void)entry;
    if (apr_initialize() != APR_SUCCESS ||
        apr_pool_create(&root, NULL) != APR_SUCCESS)
        return "APR does not start";
    return NULL;
}

static inline bool
peer_born(struct peer *peer, size_t blocks)
{
    (void)blocks;
    return apr_pool_create(&peer->pool, root) == APR_SUCCESS;
}

static inline void
peer_die(struct peer *peer)
{
    apr_pool_destroy(peer->pool);
}

static inline void
peer_mark(struct peer *peer)
{
    (void)peer;
}

typedef apr_pool_t *handle;

static inline handle
peer_handle(struct peer *peer)
{
    return peer->pool;
}

static inline void *
peer_alloc(apr_pool_t *pool, size_t bytes)
{
    return apr_palloc(pool, bytes);
}

static inline void
peer_undo(struct peer *peer)
{
    apr_pool_clear(peer->pool);
}

#define PEER heap_peer_apr
#include "../heap_template.h"
#else
const struct heap_peer heap_peer_apr = {.missing = "built without APR"};
#endif
