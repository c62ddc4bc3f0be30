/*
 * Heaps against the arena and general allocators of the field. The loops are
 * in heap_template.h, one copy for each peer; here are the tables: who takes
 * part in what, and how it is set up.
 *
 *   heap.headline   snapshot, 1,000 blocks of 16-512 bytes, rollback: the life
 *                   of one callback that parses a request and answers it
 *   heap.rollback   the rollback alone: what a callback pays that allocated
 *                   next to nothing
 *   heap.create     create, 10 blocks, destroy: an arena for each small job
 *   heap.many16/64  16 and 64 arenas alive, blocks from each in turn: a server
 *                   that goes from connection to connection. What grows with
 *                   their number is the fight of their headers for the cache
 *   heap.destroy    destroy with 10 and with a million blocks in it: is it
 *                   really the memory that goes, and not the blocks?
 *
 * Equal among the peers: the sizes and their order, the store of four bytes to
 * each block (memory that nobody touches is no memory), one arena that lives
 * through all rounds where the workload is not its creation, and the CPU. Not
 * equal, since it is what they are: alignment (16 bytes here, 8 in APR),
 * and that malloc's blocks can be freed in any order.
 */
#include "heap_peer.h"

#include <pxrt/heap.h>

#include <stdio.h>
#include <stdlib.h>

uint16_t heap_sizes[HEAP_BLOCKS];
uint32_t heap_offsets[HEAP_BLOCKS];

/* Who takes part in what. Allocators that have no arenas take no part in
 * heap.many* (malloc has nothing to take turns with), and only who has a mark
 * to go back to takes part in heap.rollback. */
enum {
    HEADLINE = 1 << 0,
    ROLLBACK = 1 << 1,
    CREATE = 1 << 2,
    MANY = 1 << 3,
    DESTROY = 1 << 4,
    MOST = HEADLINE | CREATE | DESTROY,
    ARENA = MOST | MANY
};

static const struct heap_entry entries[] = {
    {"floor", &heap_peer_floor, NO_PRELOAD, 0, 0, HEADLINE | CREATE | MANY},
    {"floor-call", &heap_peer_floor_call, NO_PRELOAD, 0, 0,
     HEADLINE | ROLLBACK},
    {"pxrt", &heap_peer_px, NO_PRELOAD, 0, 0, ARENA | ROLLBACK},
    {"pxrt-exported", &heap_peer_px_exported, NO_PRELOAD, 0, 0, HEADLINE},
    {"pxrt-sized", &heap_peer_px, NO_PRELOAD, 0, PX_HEAP_SIZED, HEADLINE},
    {"pxrt-small-start", &heap_peer_px, NO_PRELOAD, 0, PX_HEAP_SMALL_START,
     HEADLINE | CREATE | MANY},
    {"bump-uncoloured", &heap_peer_bump, NO_PRELOAD, 0, 0, HEADLINE | MANY},
    {"obstack", &heap_peer_obstack, NO_PRELOAD, 0, 0, HEADLINE | CREATE},
    {"obstack-notrim", &heap_peer_obstack, NO_PRELOAD, BENCH_NO_TRIM, 0,
     ARENA | ROLLBACK},
    {"apr", &heap_peer_apr, NO_PRELOAD, BENCH_NO_TRIM, 0, ARENA | ROLLBACK},
    {"mi_heap", &heap_peer_mi_heap, PRELOAD_MIMALLOC, 0, 0, ARENA},
    {"mimalloc", &heap_peer_malloc, PRELOAD_MIMALLOC, 0, 0, MOST},
    {"jemalloc", &heap_peer_malloc, PRELOAD_JEMALLOC, 0, 0, MOST},
    {"talloc-pool", &heap_peer_talloc, NO_PRELOAD, BENCH_NO_TRIM, 0, MOST},
    {"glibc", &heap_peer_malloc, NO_PRELOAD, 0, 0, MOST},
    {"glibc-notrim", &heap_peer_malloc, NO_PRELOAD, BENCH_NO_TRIM, 0, MOST},
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

/* The allocators that replace malloc, where the build found them. */
static const char *const preload_path[] = {[NO_PRELOAD] = NULL,
#if defined(PEER_MIMALLOC)
                                           [PRELOAD_MIMALLOC] = PEER_MIMALLOC,
#endif
#if defined(PEER_JEMALLOC)
                                           [PRELOAD_JEMALLOC] = PEER_JEMALLOC,
#endif
                                           [PRELOADS] = NULL};

/* Random, for a row of equal sizes would suit size classes, and uniform, for
 * any other distribution would be somebody's program. 16 to 512 bytes: mean
 * 264, so that the headline's blocks (260 KB) fit a second-level cache and not
 * a first.
 */
static void
fill_sizes(void)
{
    uint64_t seed = 1;
    uint32_t offset = 0;
    for (size_t i = 0; i < HEAP_BLOCKS; i++) {
        heap_sizes[i] = (uint16_t)(16 + bench_random(&seed) % 497);
        heap_offsets[i] = offset;
        offset += (heap_sizes[i] + 15u) & ~15u;
    }
}

struct bench_subject *
heap_add_subject(struct bench *bench, const struct heap_entry *entry)
{
    struct bench_subject *subject = bench_add_subject(bench, entry->name);
    subject->missing = entry->peer->missing;
    subject->preload = preload_path[entry->preload];
    if (entry->preload != NO_PRELOAD && !subject->preload)
        subject->missing = "the library was not found at build time";
    subject->flags = entry->flags;
    subject->arg = entry;
    subject->pages = entry->peer->pages;
    return subject;
}

static const struct heap_peer *
peer_of(const void *entry)
{
    return ((const struct heap_entry *)entry)->peer;
}

static const char *
setup_one(const void *entry, void **state)
{
    return peer_of(entry)->setup_one(entry, state);
}

static const char *
setup_none(const void *entry, void **state)
{
    return peer_of(entry)->setup_none(entry, state);
}

static const char *
setup_16(const void *entry, void **state)
{
    return peer_of(entry)->setup_many(entry, 16, state);
}

static const char *
setup_64(const void *entry, void **state)
{
    return peer_of(entry)->setup_many(entry, 64, state);
}

static void
add_headline(void)
{
    struct bench *bench = bench_add(
        "heap.headline",
        "snapshot, 1,000 blocks of 16-512 bytes, each stored to, rollback",
        "floor", 1);
    bench_add_metric(bench, "", "us", 1e-3);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!(entries[i].benches & HEADLINE))
            continue;
        struct bench_subject *subject = heap_add_subject(bench, &entries[i]);
        subject->setup = setup_one;
        subject->loop = entries[i].peer->headline;
    }
}

static void
add_create(void)
{
    struct bench *bench = bench_add(
        "heap.create", "create an arena, 10 blocks of 16-512 bytes, destroy",
        "floor", 1);
    bench_add_metric(bench, "", "ns", 1);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!(entries[i].benches & CREATE))
            continue;
        struct bench_subject *subject = heap_add_subject(bench, &entries[i]);
        subject->setup = setup_none;
        subject->loop = entries[i].peer->create;
    }
}

/* Per block, whatever the number of arenas; the rollbacks of all of them are in
 * it, one for HEAP_TURNS blocks. */
static void
add_many(const char *name, const char *what, unsigned arenas,
         const char *(*setup)(const void *entry, void **state))
{
    struct bench *bench = bench_add(name, what, "floor", 1);
    bench_add_metric(bench, "", "ns", 1.0 / (HEAP_TURNS * arenas));
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!(entries[i].benches & MANY))
            continue;
        struct bench_subject *subject = heap_add_subject(bench, &entries[i]);
        subject->setup = setup;
        subject->loop = entries[i].peer->many;
    }
}

/* ---- rounds that time more than one loop ---- */

struct peer_state {
    struct heap_run run;
    uint64_t count;
};

static const char *
setup_peer(const void *entry, void **state)
{
    static struct peer_state self;
    self.run.entry = entry;
    self.count = bench_config.quick ? 1000 : 100000;
    *state = &self;
    return peer_of(entry)->setup_one(entry, &self.run.inner);
}

static double
time_loop(void (*loop)(void *, uint64_t), void *inner, uint64_t count)
{
    uint64_t begin = bench_now_ns();
    loop(inner, count);
    return (double)(bench_now_ns() - begin) / (double)count;
}

/* A rollback is too short to be timed alone. One block and a rollback take
 * b + r, HEAP_BATCH blocks and a rollback take BATCH * b + r: solved for r. */
static const char *
round_rollback(void *state, struct bench_sample *sample)
{
    struct peer_state *self = state;
    const struct heap_peer *peer = self->run.entry->peer;
    double each = time_loop(peer->undo_each, self->run.inner, self->count);
    double batch = time_loop(peer->undo_batch, self->run.inner, self->count);
    double block = (batch - each) / (HEAP_BATCH - 1);
    sample->value[0] = each - block;
    return NULL;
}

void
heap_run_pages(void *state, char *text)
{
    struct heap_run *run = state;
    if (run->entry->peer->pages)
        run->entry->peer->pages(run->inner, text);
    else
        bench_kernel_pages(text);
}

static void
add_rollback(void)
{
    struct bench *bench =
        bench_add("heap.rollback", "one rollback, blocks not counted", NULL, 1);
    bench_add_metric(bench, "", "ns", 1);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!(entries[i].benches & ROLLBACK))
            continue;
        struct bench_subject *subject = heap_add_subject(bench, &entries[i]);
        subject->setup = setup_peer;
        subject->round = round_rollback;
        subject->pages = heap_run_pages;
    }
}

/* The cost of two readings of the clock around nothing: the least, as what is
 * above it is not the clock's. */
static uint64_t
clock_cost(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 100; i++) {
        uint64_t begin = bench_now_ns();
        uint64_t spent = bench_now_ns() - begin;
        least = spent < least ? spent : least;
    }
    return least;
}

static int
by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The median of several: one destroy is a microsecond behind cold caches, and a
 * page fault or an interrupt in it is many times that. */
static const char *
destroy_round(struct peer_state *self, unsigned blocks, size_t times,
              struct bench_sample *sample)
{
    uint64_t spent[15];
    for (size_t i = 0; i < times; i++)
        spent[i] = self->run.entry->peer->destroy(self->run.inner, blocks);
    qsort(spent, times, sizeof spent[0], by_time);
    uint64_t median = spent[times / 2], clock = clock_cost();
    sample->value[0] = median > clock ? (double)(median - clock) : 0;
    return NULL;
}

static const char *
round_destroy_few(void *state, struct bench_sample *sample)
{
    return destroy_round(state, HEAP_FEW, bench_config.quick ? 3 : 15, sample);
}

static const char *
round_destroy_million(void *state, struct bench_sample *sample)
{
    return destroy_round(state, 1000000, bench_config.quick ? 1 : 3, sample);
}

static const char *
compose_name(const char *stem, const char *suffix)
{
    static char names[2 * ENTRIES][32];
    static size_t used;
    char *name = names[used++];
    snprintf(name, sizeof names[0], "%s-%s", stem, suffix);
    return name;
}

static void
add_destroy_subject(struct bench *bench, const struct heap_entry *entry,
                    const char *suffix,
                    const char *(*round)(void *, struct bench_sample *))
{
    struct bench_subject *subject = heap_add_subject(bench, entry);
    subject->name = compose_name(entry->name, suffix);
    subject->setup = setup_peer;
    subject->round = round;
    subject->pages = NULL;
}

static void
add_destroy(void)
{
    struct bench *bench = bench_add(
        "heap.destroy", "the destroy alone, with 10 and with 10^6 blocks",
        "pxrt-10", 1);
    bench_add_metric(bench, "", "ns", 1);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!(entries[i].benches & DESTROY))
            continue;
        add_destroy_subject(bench, &entries[i], "10", round_destroy_few);
        add_destroy_subject(bench, &entries[i], "1m", round_destroy_million);
    }
}

void
bench_register_heap(void)
{
    fill_sizes();
    add_headline();
    add_rollback();
    add_create();
    add_many("heap.many16", "one block of 48 bytes, 16 arenas in turn", 16,
             setup_16);
    add_many("heap.many64", "one block of 48 bytes, 64 arenas in turn", 64,
             setup_64);
    add_destroy();
}
