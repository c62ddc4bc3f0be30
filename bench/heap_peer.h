/*
 * What a heap peer gives to heap.c: the loops of heap_template.h, compiled for
 * its own allocation functions.
 */
#ifndef PX_BENCH_HEAP_PEER_H
#define PX_BENCH_HEAP_PEER_H

#include "harness.h"

enum {
    /* Blocks of the headline workload, and of the create workload. */
    HEAP_BLOCKS = 1000,
    HEAP_FEW = 10,
    /* Blocks before a rollback in heap.rollback's second loop. */
    HEAP_BATCH = 16,
    /* Blocks that each heap of heap.many* gets before all are rolled back. */
    HEAP_TURNS = 64,
    HEAP_MANY_MAX = 64
};

/* 16 to 512 bytes, and their offsets when laid out by a 16-aligned bump. */
extern uint16_t heap_sizes[HEAP_BLOCKS];
extern uint32_t heap_offsets[HEAP_BLOCKS];

/* Libraries that a subject's process is started with. */
enum heap_preload { NO_PRELOAD, PRELOAD_MIMALLOC, PRELOAD_JEMALLOC, PRELOADS };

/* One entry of heap.c's table: a peer, and how it is to be set up. */
struct heap_entry {
    const char *name;
    const struct heap_peer *peer;
    enum heap_preload preload;
    /* bench_subject_flags */
    unsigned flags;
    /* For pxrt: px_heap_flags. */
    unsigned heap_flags;
    /* The benches it takes part in. */
    unsigned benches;
};

struct heap_peer {
    /* Why it cannot run in this build, or NULL. */
    const char *missing;
    /* Open an arena for the headline loop, @p count arenas for the many loop,
     * or only prepare the peer for the loops that make their own. */
    const char *(*setup_one)(const void *entry, void **state);
    const char *(*setup_many)(const void *entry, unsigned count, void **state);
    const char *(*setup_none)(const void *entry, void **state);
    /* mark, HEAP_BLOCKS blocks, undo and drop the mark */
    void (*headline)(void *state, uint64_t count);
    /* mark once; then one block and undo, or HEAP_BATCH blocks and undo */
    void (*undo_each)(void *state, uint64_t count);
    void (*undo_batch)(void *state, uint64_t count);
    /* create, HEAP_FEW blocks, destroy */
    void (*create)(void *state, uint64_t count);
    /* HEAP_TURNS blocks from each of the arenas in turn, then undo all */
    void (*many)(void *state, uint64_t count);
    /* Nanoseconds of destroying an arena that holds @p blocks blocks, with
     * cold caches: filling the large one has cooled them, the small one must
     * not look better by that. */
    uint64_t (*destroy)(void *state, unsigned blocks);
    /* A block from the arena of setup_one(). */
    void *(*alloc)(void *state, size_t bytes);
    void (*pages)(void *state, char *text);
};

/* The beginning of a state whose functions need the peer too. */
struct heap_run {
    const struct heap_entry *entry;
    void *inner;
};

/* bench_subject.pages for a state that begins with a heap_run. */
void heap_run_pages(void *state, char *text);

/* A new subject of a bench, set up as the entry says, without its work. */
struct bench_subject *heap_add_subject(struct bench *bench,
                                       const struct heap_entry *entry);

extern const struct heap_peer heap_peer_floor, heap_peer_floor_call,
    heap_peer_px, heap_peer_px_exported, heap_peer_bump, heap_peer_obstack,
    heap_peer_apr, heap_peer_malloc, heap_peer_mi_heap, heap_peer_talloc,
    heap_peer_context;

#endif
