/*
 * The floor: the same stores to the same addresses that a bump allocator would
 * return, computed beforehand, in registers where the compiler can. What is
 * above it is the allocator's price. So these loops are not the template's:
 * even a cursor in memory would be more than the stores.
 */
#include "../heap_peer.h"

#include <pxrt/heap.h>

enum { FLOOR_BYTES = 1 << 20, COLOUR_BYTES = 3072, MANY_BLOCK = 48 };

struct floor {
    unsigned count;
    char *base[HEAP_MANY_MAX];
};

/* Areas are 3 KB apart modulo 1 MB, so that they do not share cache sets. */
static const char *
setup_many(const void *entry, unsigned count, void **state)
{
    static struct floor areas;
    (void)entry;
    char *memory = bench_map((size_t)FLOOR_BYTES * (HEAP_MANY_MAX + 1));
    if (!memory)
        return "no memory";
    areas.count = count;
    for (size_t i = 0; i < HEAP_MANY_MAX; i++)
        areas.base[i] = memory + i * (FLOOR_BYTES + COLOUR_BYTES);
    *state = &areas;
    return NULL;
}

static const char *
setup_one(const void *entry, void **state)
{
    return setup_many(entry, 1, state);
}

/* Six instructions for each block: the least that this harness can do. */
static inline void
store(char *base, uint32_t blocks)
{
    for (uint32_t i = 0; i < blocks; i++)
        bench_touch(base + heap_offsets[i], i);
}

static void
loop_headline(void *state, uint64_t count)
{
    char *base = ((struct floor *)state)->base[0];
    while (count--)
        store(base, HEAP_BLOCKS);
}

static void
loop_create(void *state, uint64_t count)
{
    char *base = ((struct floor *)state)->base[0];
    while (count--)
        store(base, HEAP_FEW);
}

static void
loop_many(void *state, uint64_t count)
{
    struct floor *areas = state;
    while (count--)
        for (uint32_t turn = 0; turn < HEAP_TURNS; turn++)
            for (unsigned i = 0; i < areas->count; i++)
                bench_touch(areas->base[i] + (size_t)turn * MANY_BLOCK, turn);
}

/* The same with a call of the shared library for each block, one that does
 * nothing: what no exported function can be faster than. */
static void
loop_headline_call(void *state, uint64_t count)
{
    char *base = ((struct floor *)state)->base[0];
    while (count--)
        for (uint32_t i = 0; i < HEAP_BLOCKS; i++) {
            bench_use(px_quota_used(NULL));
            bench_touch(base + heap_offsets[i], i);
        }
}

/* A rollback that is nothing but a call: under heap.rollback, whose answer is
 * in the library too. */
static void
loop_undo_each(void *state, uint64_t count)
{
    char *base = ((struct floor *)state)->base[0];
    while (count--) {
        bench_touch(base, 1);
        bench_use(px_quota_used(NULL));
    }
}

static void
loop_undo_batch(void *state, uint64_t count)
{
    char *base = ((struct floor *)state)->base[0];
    while (count--) {
        for (uint32_t i = 0; i < HEAP_BATCH; i++)
            bench_touch(base + (size_t)i * 64, i);
        bench_use(px_quota_used(NULL));
    }
}

const struct heap_peer heap_peer_floor_call = {.setup_one = setup_one,
                                               .headline = loop_headline_call,
                                               .undo_each = loop_undo_each,
                                               .undo_batch = loop_undo_batch};

const struct heap_peer heap_peer_floor = {.setup_one = setup_one,
                                          .setup_many = setup_many,
                                          .setup_none = setup_one,
                                          .headline = loop_headline,
                                          .create = loop_create,
                                          .many = loop_many};
