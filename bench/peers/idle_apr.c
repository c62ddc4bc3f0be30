/* APR pools that wait with a few blocks in them, as idle connections do.
 * Children of one root, as httpd's are; each has a first block of its own from
 * the root's allocator. */
#include "../context_peer.h"

#if defined(PEER_APR)
#include <apr_general.h>
#include <apr_pools.h>

static bool
make(void)
{
    static apr_pool_t *root;
    apr_pool_t *pool;
    if (!root && (apr_initialize() != APR_SUCCESS ||
                  apr_pool_create(&root, NULL) != APR_SUCCESS))
        return false;
    if (apr_pool_create(&pool, root) != APR_SUCCESS)
        return false;
    for (uint32_t i = 0; i < IDLE_BLOCKS; i++)
        bench_touch(apr_palloc(pool, IDLE_BLOCK_BYTES), i);
    return true;
}

const struct idle_peer idle_peer_apr = {NULL, make};
#else
const struct idle_peer idle_peer_apr = {"built without APR", NULL};
#endif
