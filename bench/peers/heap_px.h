/*
 * pxrt as a heap peer. Included by one file for each way to call it: PEER is
 * the table's name, PEER_PX_ALLOC the function under test.
 *
 * Nothing is tuned: options are the defaults, but for the flags that an entry
 * of heap.c's table asks for and that its name tells. Every status is looked
 * at, as a program should.
 */
#include "../heap_peer.h"

#include <pxrt/heap.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct peer {
    px_heap *heap;
    px_snapshot mark;
};

/* NULL, for the defaults, unless the entry asks for flags. */
static const px_heap_options *heap_options;

static const char *
peer_prepare(const struct heap_entry *entry)
{
    static px_heap_options options;
    if (entry->heap_flags) {
        px_heap_options_init(&options);
        options.flags = entry->heap_flags;
        heap_options = &options;
    }
    return NULL;
}

static inline bool
peer_born(struct peer *peer, size_t blocks)
{
    (void)blocks;
    return px_heap_create(heap_options, &peer->heap) == 0;
}

static inline void
peer_die(struct peer *peer)
{
    px_heap_release(peer->heap);
}

static inline void
peer_mark(struct peer *peer)
{
    if (px_heap_snapshot(peer->heap, &peer->mark) != 0)
        abort();
}

typedef px_heap *handle;

static inline handle
peer_handle(struct peer *peer)
{
    return peer->heap;
}

static inline void *
peer_alloc(px_heap *heap, size_t bytes)
{
    return PEER_PX_ALLOC(heap, bytes);
}

static inline void
peer_undo(struct peer *peer)
{
    if (px_heap_rollback(peer->heap, &peer->mark) != 0)
        abort();
}

/* Rolled back to, a snapshot stays; without this they would pile up. */
static inline void
peer_drop(struct peer *peer)
{
    peer_undo(peer);
    if (px_heap_snapshot_drop(peer->heap, &peer->mark) != 0)
        abort();
}
#define PEER_DROP peer_drop

/* The kernel's figure stands already; ours is added when it knows more. */
static void
peer_pages(struct peer *peer, char *text)
{
    px_page_info info = {.size = sizeof info};
    size_t used = strlen(text);
    if (px_heap_page_info(peer->heap, &info) == 0 && info.requested_bytes)
        snprintf(text + used, BENCH_TEXT - used, " of %zu wanted",
                 info.requested_bytes >> 10);
}
#define PEER_PAGES peer_pages

#include "../heap_template.h"
