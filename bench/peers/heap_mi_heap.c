/*
 * mimalloc's first-class heaps: a heap is created, and destroyed with all that
 * is in it. They have no marks, so undo is destroy and create; a program that
 * wants to drop a callback's memory at once has no cheaper way with them.
 *
 * The process is started with libmimalloc preloaded, as for malloc; its own
 * functions are then found by name. An indirect call through a static pointer
 * costs what a call through the PLT costs.
 */
#include "../heap_peer.h"

#include <dlfcn.h>
#include <stdlib.h>

static void *(*heap_new)(void);
static void (*heap_destroy)(void *);
static void *(*heap_malloc)(void *, size_t);

struct peer {
    void *heap;
};

static const char *
peer_prepare(const struct heap_entry *entry)
{
    (void)entry;
    *(void **)&heap_new = dlsym(RTLD_DEFAULT, "mi_heap_new");
    *(void **)&heap_destroy = dlsym(RTLD_DEFAULT, "mi_heap_destroy");
    *(void **)&heap_malloc = dlsym(RTLD_DEFAULT, "mi_heap_malloc");
    return heap_new && heap_destroy && heap_malloc
               ? NULL
               : "the library has no mi_heap functions";
}

static inline bool
peer_born(struct peer *peer, size_t blocks)
{
    (void)blocks;
    peer->heap = heap_new();
    return peer->heap != NULL;
}

static inline void
peer_die(struct peer *peer)
{
    heap_destroy(peer->heap);
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
    return peer->heap;
}

static inline void *
peer_alloc(void *arena, size_t bytes)
{
    return heap_malloc(arena, bytes);
}

static inline void
peer_undo(struct peer *peer)
{
    heap_destroy(peer->heap);
    peer->heap = heap_new();
}

#define PEER heap_peer_mi_heap
#include "../heap_template.h"
