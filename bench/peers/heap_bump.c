/*
 * The simplest bump allocator that there is: chunks at exact multiples of 2 MB,
 * header first, no checks. It has no colour, so with many arenas alive all
 * their headers and all their first blocks compete for one cache set: the cost
 * that heap.many* makes visible.
 *
 * In the headline it stands for "a cursor in memory, and no check": what lies
 * between it and the floor is the cursor, what lies between it and us is the
 * check that a block fits, which has to hold for any size_t.
 */
#include "../heap_peer.h"

#include <stdlib.h>

struct chunk {
    char *next, *mark;
};

struct peer {
    struct chunk *chunk;
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
    peer->chunk = bench_map((size_t)2 << 20);
    if (peer->chunk)
        peer->chunk->next = (char *)(peer->chunk + 1);
    return peer->chunk != NULL;
}

static inline void
peer_die(struct peer *peer)
{
    peer->chunk->next = (char *)(peer->chunk + 1);
}

static inline void
peer_mark(struct peer *peer)
{
    peer->chunk->mark = peer->chunk->next;
}

typedef struct chunk *handle;

static inline handle
peer_handle(struct peer *peer)
{
    return peer->chunk;
}

static inline void *
peer_alloc(struct chunk *chunk, size_t bytes)
{
    char *block = chunk->next;
    chunk->next = block + ((bytes + 15) & ~(size_t)15);
    return block;
}

static inline void
peer_undo(struct peer *peer)
{
    peer->chunk->next = peer->chunk->mark;
}

#define PEER heap_peer_bump
#include "../heap_template.h"
