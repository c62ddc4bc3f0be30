/*
 * glibc's obstacks: the one peer with the same idea, an object as the mark and
 * everything after it dropped in one call. Its chunks come from malloc, whose
 * trimming decides between hundreds of microseconds and a few: so it is
 * measured both ways.
 */
#include "../heap_peer.h"

#include <obstack.h>
#include <stdlib.h>

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

/* Sixteen times the default: fewer trips to malloc, the better for it. */
enum { CHUNK_BYTES = 64 << 10 };

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
    return obstack_begin(&peer->stack, CHUNK_BYTES) != 0;
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

typedef struct obstack *handle;

static inline handle
peer_handle(struct peer *peer)
{
    return &peer->stack;
}

static inline void *
peer_alloc(struct obstack *stack, size_t bytes)
{
    return obstack_alloc(stack, (int)bytes);
}

/* Freeing an object frees the object too: so the mark is made again. */
static inline void
peer_undo(struct peer *peer)
{
    obstack_free(&peer->stack, peer->mark);
    peer_mark(peer);
}

#define PEER_DROP(peer) obstack_free(&(peer)->stack, (peer)->mark)
#define PEER heap_peer_obstack
#include "../heap_template.h"
