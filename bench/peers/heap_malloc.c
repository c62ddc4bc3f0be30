/*
 * malloc and free, whoever provides them: glibc, or an allocator that the
 * process was started with (LD_PRELOAD, which is how such allocators are put
 * under a program; child.c checks that it took effect). All of them are called
 * through the same PLT entries.
 *
 * Why not dlopen: jemalloc wants more static TLS than a late dlopen is given,
 * and a library that exports malloc would serve the rest of the process too, or
 * not, depending on the order of symbols.
 *
 * The blocks are noted in a list, in the peer itself, and freed in the order of
 * allocation, which suits all of these allocators.
 */
#include "../heap_peer.h"

#include <stdlib.h>

enum { MOST_BLOCKS = 1000000 };

struct peer {
    void **block;
    size_t count;
    void *few[HEAP_BLOCKS];
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
    static void *many[MOST_BLOCKS];
    peer->block = blocks <= HEAP_BLOCKS ? peer->few : many;
    peer->count = 0;
    return blocks <= MOST_BLOCKS;
}

static inline void
peer_mark(struct peer *peer)
{
    peer->count = 0;
}

typedef struct peer *handle;

static inline handle
peer_handle(struct peer *peer)
{
    return peer;
}

static inline void *
peer_alloc(struct peer *peer, size_t bytes)
{
    return peer->block[peer->count++] = malloc(bytes);
}

static inline void
peer_undo(struct peer *peer)
{
    for (size_t i = 0; i < peer->count; i++)
        free(peer->block[i]);
    peer->count = 0;
}

static inline void
peer_die(struct peer *peer)
{
    peer_undo(peer);
}

/* Not noted: the list has an end. */
#define PEER_KEEP(peer, bytes) ((void)(peer), malloc(bytes))
#define PEER heap_peer_malloc
#include "../heap_template.h"
