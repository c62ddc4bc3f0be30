/*
 * The inner loops of the heap benches, compiled once for each peer: a peer's
 * file defines the operations below as static inline functions and then
 * includes this, so that its calls in the loops are direct (or through the PLT,
 * where the allocator is a shared library: as in any program). Only the call of
 * a whole loop goes through a table.
 *
 * The operations, for `struct peer`, which the peer's file defines:
 *
 *   const char *peer_prepare(const struct heap_entry *);  once per process
 *   bool peer_born(struct peer *, size_t blocks)  a new arena, for so many
 *   void peer_die(struct peer *)                  drop it and all in it
 *   void peer_mark(struct peer *)                 remember this point
 *   handle peer_handle(struct peer *)             a type: what a program would
 *                                                 hold in a local variable
 *   void *peer_alloc(handle, size_t bytes)
 *   void peer_undo(struct peer *)                 drop all since the mark,
 *                                                 which stays
 *
 * and macros where the default will not do:
 *
 *   PEER_DROP(peer)         drop all and the mark too; peer_undo
 *   PEER_KEEP(peer, bytes)  a block that is never dropped; peer_alloc
 *   PEER_PAGES(peer, text)  add what is known about page sizes; nothing
 *
 * A peer without marks of its own frees one by one what it noted down; noting
 * is part of its price, as it is in a program.
 *
 * Not static: the table, named by PEER.
 */
#include "heap_peer.h"

#if !defined(PEER_KEEP)
#define PEER_KEEP peer_alloc
#endif

#if !defined(PEER_DROP)
#define PEER_DROP peer_undo
#endif

struct arenas {
    unsigned count;
    struct peer peer[HEAP_MANY_MAX];
};
static struct arenas arenas;

static const char *
setup_many(const void *entry, unsigned count, void **state)
{
    const char *failed = peer_prepare(entry);
    if (failed)
        return failed;
    for (arenas.count = 0; arenas.count < count; arenas.count++) {
        if (!peer_born(&arenas.peer[arenas.count], HEAP_BLOCKS))
            return "cannot create the arena";
        peer_mark(&arenas.peer[arenas.count]);
    }
    *state = &arenas;
    return NULL;
}

static const char *
setup_one(const void *entry, void **state)
{
    return setup_many(entry, 1, state);
}

static const char *
setup_none(const void *entry, void **state)
{
    return setup_many(entry, 0, state);
}

/* The handle is fetched once for each callback, as a program would, not for
 * each block. */
static void
loop_headline(void *state, uint64_t count)
{
    struct peer *peer = ((struct arenas *)state)->peer;
    while (count--) {
        peer_mark(peer);
        handle arena = peer_handle(peer);
        for (uint32_t i = 0; i < HEAP_BLOCKS; i++)
            bench_touch(peer_alloc(arena, heap_sizes[i]), i);
        PEER_DROP(peer);
    }
}

/* Two loops that differ in the number of blocks only: see round_rollback(). The
 * mark is older than both. */
static void
loop_undo_each(void *state, uint64_t count)
{
    struct peer *peer = ((struct arenas *)state)->peer;
    while (count--) {
        bench_touch(peer_alloc(peer_handle(peer), 64), 1);
        peer_undo(peer);
    }
}

static void
loop_undo_batch(void *state, uint64_t count)
{
    struct peer *peer = ((struct arenas *)state)->peer;
    while (count--) {
        handle arena = peer_handle(peer);
        for (uint32_t i = 0; i < HEAP_BATCH; i++)
            bench_touch(peer_alloc(arena, 64), i);
        peer_undo(peer);
    }
}

static void
loop_create(void *state, uint64_t count)
{
    struct peer peer;
    (void)state;
    while (count--) {
        if (!peer_born(&peer, HEAP_FEW))
            abort();
        handle arena = peer_handle(&peer);
        for (uint32_t i = 0; i < HEAP_FEW; i++)
            bench_touch(peer_alloc(arena, heap_sizes[i]), i);
        peer_die(&peer);
    }
}

static void
loop_many(void *state, uint64_t count)
{
    struct arenas *all = state;
    while (count--) {
        for (uint32_t turn = 0; turn < HEAP_TURNS; turn++)
            for (unsigned i = 0; i < all->count; i++)
                bench_touch(peer_alloc(peer_handle(&all->peer[i]), 48), turn);
        for (unsigned i = 0; i < all->count; i++)
            peer_undo(&all->peer[i]);
    }
}

/* Small blocks, so that a million of them are 16 MB: many blocks are the point,
 * not much memory. */
static uint64_t
time_destroy(void *state, unsigned blocks)
{
    struct peer peer;
    (void)state;
    if (!peer_born(&peer, blocks))
        abort();
    handle arena = peer_handle(&peer);
    for (uint32_t i = 0; i < blocks; i++)
        bench_touch(peer_alloc(arena, 16), i);
    bench_cool();
    uint64_t begin = bench_now_ns();
    peer_die(&peer);
    return bench_now_ns() - begin;
}

static void *
alloc_one(void *state, size_t bytes)
{
    return PEER_KEEP(peer_handle(((struct arenas *)state)->peer), bytes);
}

#if defined(PEER_PAGES)
static void
describe_pages(void *state, char *text)
{
    bench_kernel_pages(text);
    if (((struct arenas *)state)->count == 1)
        PEER_PAGES(((struct arenas *)state)->peer, text);
}
#else
#define describe_pages NULL
#endif

const struct heap_peer PEER = {.setup_one = setup_one,
                               .setup_many = setup_many,
                               .setup_none = setup_none,
                               .headline = loop_headline,
                               .undo_each = loop_undo_each,
                               .undo_batch = loop_undo_batch,
                               .create = loop_create,
                               .many = loop_many,
                               .destroy = time_destroy,
                               .alloc = alloc_one,
                               .pages = describe_pages};
