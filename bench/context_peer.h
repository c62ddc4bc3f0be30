/* What the context benches take from peers. */
#ifndef PX_BENCH_CONTEXT_PEER_H
#define PX_BENCH_CONTEXT_PEER_H

#include "harness.h"

enum { POST_BYTES = 64 };

/* A queue between threads: post a copy of POST_BYTES, take it, look at it. */
struct post_peer {
    const char *missing;
    const char *(*setup)(const void *arg, void **state);
    void (*loop)(void *state, uint64_t count);
};

/* Something of which thousands wait: make one, with IDLE_BLOCKS blocks. */
enum { IDLE_BLOCKS = 10, IDLE_BLOCK_BYTES = 64 };
struct idle_peer {
    const char *missing;
    bool (*make)(void);
};

extern const struct post_peer post_peer_gasyncqueue;
extern const struct idle_peer idle_peer_apr;

#endif
