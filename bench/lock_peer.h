/*
 * What a lock peer gives to lock.c: the loops of lock_template.h, compiled for
 * its own functions.
 */
#ifndef PX_BENCH_LOCK_PEER_H
#define PX_BENCH_LOCK_PEER_H

#include "harness.h"

/* What the threads of a round share. */
struct lock_round {
    /* Set when all threads are there; set when they shall end. */
    int go, stop;
    /* Of 1,000 sections, so many write. */
    unsigned writes;
};

/* One thread of a round; on cache lines of its own. */
struct lock_worker {
    struct lock_round *round;
    /* 1, 2, ...: for locks that want to know their readers. */
    unsigned slot;
    uint64_t seed;
    uint64_t sections;
    /* Reads that saw a write half done: the lock does not exclude. */
    uint64_t torn;
    /* The longest time that the writer of lock.wait waited. */
    uint64_t longest_ns;
    char apart[128];
};

struct lock_peer {
    const char *missing;
    void (*read_loop)(void *state, uint64_t count);
    void (*write_loop)(void *state, uint64_t count);
    /* Until round->stop: reads only; reads and writes; writes and sleeps. */
    void (*reader)(struct lock_worker *worker);
    void (*mixer)(struct lock_worker *worker);
    void (*waiter)(struct lock_worker *worker);
};

extern const struct lock_peer lock_peer_px, lock_peer_px_biased,
    lock_peer_px_mutex, lock_peer_pthread, lock_peer_pthread_mutex,
    lock_peer_ck_rwlock, lock_peer_ck_bytelock, lock_peer_nsync,
    lock_peer_two_rmw;

#endif
