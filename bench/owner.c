/*
 * Whose is this pointer? 2,048 pointers into the middle of blocks in 512
 * contexts, in random order, asked one after the other.
 *
 * The peer is the usual design: chunks at multiples of 2 MB, the owner in the
 * chunk's header, found by masking the pointer. It touches memory of every
 * chunk, and all headers compete for the same cache set; the table of pxrt is
 * dense. (It also crashes on a pointer that is nobody's, which is not
 * measured.)
 *
 * All questions are asked of the same list of pointers; the floor reads the
 * list and asks nothing, so what is above it is the question. The questions do
 * not wait for each other, as those of a garbage collector or of a check of
 * borders do not: it is throughput, not latency. With 16 contexts instead of
 * 512 px_owner costs the same, so it is its instructions that are measured, and
 * the misses of header-mask.
 */
#include "harness.h"

#include <pxrt/context.h>

enum {
    OWNERS = 512,
    POINTERS = 2048,
    BLOCK_BYTES = 16 << 10,
    CHUNK_SHIFT = 21
};

struct pointers {
    px_context *first;
    void *pointer[POINTERS];
};

static struct pointers pointers;

/* Fill the list with random places in the blocks. */
static void
choose(char *const *block)
{
    uint64_t seed = 3;
    for (size_t i = 0; i < POINTERS; i++) {
        char *from = block[bench_random(&seed) % OWNERS];
        pointers.pointer[i] = from + bench_random(&seed) % BLOCK_BYTES;
    }
}

static const char *
setup_contexts(const void *arg, void **state)
{
    static char *block[OWNERS];
    (void)arg;
    for (size_t i = 0; i < OWNERS; i++) {
        px_context *cx;
        if (px_context_create(NULL, &cx) != 0)
            return "px_context_create";
        block[i] = px_alloc(cx, BLOCK_BYTES);
        if (px_owner(block[i] + 1) != cx || !px_owns(cx, block[i] + 1))
            return "the owner is wrong";
        pointers.first = cx;
    }
    choose(block);
    *state = &pointers;
    return NULL;
}

static const char *
setup_chunks(const void *arg, void **state)
{
    static char *block[OWNERS];
    (void)arg;
    char *memory = bench_map((size_t)OWNERS << CHUNK_SHIFT);
    if (!memory)
        return "no memory";
    for (size_t i = 0; i < OWNERS; i++) {
        char *chunk = memory + (i << CHUNK_SHIFT);
        *(void **)chunk = chunk;
        block[i] = chunk + 64;
    }
    choose(block);
    *state = &pointers;
    return NULL;
}

/* One loop for each question, so that each is inlined into its own. */
#define OWNER_LOOP(name, question)                                             \
    static void name(void *state, uint64_t count)                              \
    {                                                                          \
        const struct pointers *all = state;                                    \
        while (count--)                                                        \
            for (size_t i = 0; i < POINTERS; i++) {                            \
                const void *pointer = all->pointer[i];                         \
                bench_use((uint64_t)(question));                               \
            }                                                                  \
    }

static inline void *
header_owner(const void *pointer)
{
    const uintptr_t mask = ((uintptr_t)1 << CHUNK_SHIFT) - 1;
    return *(void **)((uintptr_t)pointer & ~mask);
}

OWNER_LOOP(loop_floor, (uintptr_t)pointer)
OWNER_LOOP(loop_owner, (uintptr_t)px_owner(pointer))
OWNER_LOOP(loop_heap_of, (uintptr_t)px_heap_of(pointer))
OWNER_LOOP(loop_owns, px_owns(all->first, pointer))
OWNER_LOOP(loop_header, (uintptr_t)header_owner(pointer))

static void
add(struct bench *bench, const char *name,
    const char *(*setup)(const void *, void **), void (*loop)(void *, uint64_t))
{
    struct bench_subject *subject = bench_add_subject(bench, name);
    subject->setup = setup;
    subject->loop = loop;
}

void
bench_register_owner(void)
{
    struct bench *bench = bench_add(
        "owner.query", "owner of a random pointer, 512 contexts", "floor", 1);
    bench_add_metric(bench, "", "ns", 1.0 / POINTERS);
    add(bench, "floor", setup_contexts, loop_floor);
    add(bench, "px_owner", setup_contexts, loop_owner);
    add(bench, "px_heap_of", setup_contexts, loop_heap_of);
    add(bench, "px_owns", setup_contexts, loop_owns);
    add(bench, "header-mask", setup_chunks, loop_header);
}
