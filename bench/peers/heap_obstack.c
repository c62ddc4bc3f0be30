/*
 * glibc's obstacks: the one peer with the same idea, an object as the mark and
 * everything after it dropped in one call. Its chunks come from malloc, whose
 * trimming decides between milli- and microseconds: so it is measured both
 * ways.
 */
#include "../heap_peer.h"

#include <obstack.h>
#include <stdlib.h>

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

struct peer {
    struct obstack stack;
    void *mark;
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
    return obstack_init(&peer->stack) != 0;
}

static inline void
peer_die(struct peer *peer)
{
    obstack_free(&peer->stack, NULL);
}

static inline void
peer_mark(struct peer *peer)
{
    peer->mark = obstack_alloc(&peer->stack, 1);
}

static inline void *
peer_alloc(struct peer *peer, size_t bytes)
{
    return obstack_alloc(&peer->stack, (int)bytes);
}

/* Freeing an object frees the object too: so the mark is made again. */
static inline void
peer_undo(struct peer *peer)
{
    obstack_free(&peer->stack, peer->mark);
    peer_mark(peer);
}

#define PEER heap_peer_obstack
#include "../heap_template.h"
