/* What a work pool gives to work.c. */
#ifndef PX_BENCH_WORK_PEER_H
#define PX_BENCH_WORK_PEER_H

#include "harness.h"

/* Items at most between two drains. */
enum { WORK_ITEMS = 1000000 };

/* Functions return NULL, or why they failed. The loop over the items is the
 * peer's, so that its calls are direct. */
struct work_peer {
    const char *missing;
    const char *(*setup)(void);
    /* Submit so many items that do nothing, from the main thread. */
    const char *(*submit)(uint64_t count);
    /* Wait until all of them are complete, and their completion is delivered
     * to the main thread in the way the pool has. */
    const char *(*drain)(void);
};

extern const struct work_peer work_peer_px, work_peer_uv, work_peer_glib;

#endif
