/*
 * Heaps and the memory system: what reuse of a window saves, and what large
 * pages give to a large live set.
 *
 *   heap.reuse    create, touch 2 MB, release: recycled, fresh, and mmap. The
 *                 kernel's zeroing of fresh pages is what a recycled window
 *                 saves; the floor touches memory that is always there
 *   heap.live100  100 MB of live blocks, visited in random order: each visit
 *                 misses the caches and, on small pages, the TLB. The reference
 *                 is our own heap on small pages: the same blocks at the same
 *                 distances, so that only the pages differ. How much large
 *                 pages save depends on the machine below: a virtual machine
 *                 whose memory its host maps by 4 KB has TLB entries of 4 KB,
 *                 and a large page saves it one level of the walk only
 */
#include "heap_peer.h"

#include <pxrt/heap.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { REUSE_BYTES = 2 << 20, PAGE_BYTES = 4096 };

/* ---- heap.reuse ---- */

/* One store to each small page, also where pages are large: the same work. */
static void
touch_pages(char *bytes, size_t count)
{
    for (size_t at = 0; at < count; at += PAGE_BYTES)
        bench_touch(bytes + at, 1);
}

static const char *
setup_recycled(const void *arg, void **state)
{
    (void)arg;
    (void)state;
    return NULL;
}

/* No cache: every window is given back to the system. */
static const char *
setup_fresh(const void *arg, void **state)
{
    px_range_options options;
    (void)arg;
    (void)state;
    px_range_options_init(&options);
    options.cache_bytes = 0;
    return px_range_configure(&options) == 0 ? NULL : "px_range_configure";
}

/* A little less than 2 MB: the heap itself lives in its first chunk. */
static void
loop_reuse_px(void *state, uint64_t count)
{
    const size_t bytes = REUSE_BYTES - (64u << 10);
    (void)state;
    while (count--) {
        px_heap *heap;
        if (px_heap_create(NULL, &heap) != 0)
            abort();
        touch_pages(px_heap_alloc(heap, bytes), bytes);
        px_heap_release(heap);
    }
}

/* Without any allocator: what a program pays that maps and unmaps by itself. */
static void
loop_reuse_mmap(void *state, uint64_t count)
{
    (void)state;
    while (count--) {
        char *bytes = mmap(NULL, REUSE_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (bytes == MAP_FAILED)
            abort();
        touch_pages(bytes, REUSE_BYTES);
        munmap(bytes, REUSE_BYTES);
    }
}

static const char *
setup_static(const void *arg, void **state)
{
    (void)arg;
    *state = bench_map(REUSE_BYTES);
    return *state ? NULL : "no memory";
}

static void
loop_reuse_floor(void *state, uint64_t count)
{
    while (count--)
        touch_pages(state, REUSE_BYTES);
}

static void
add_reuse_subject(struct bench *bench, const char *name,
                  const char *(*setup)(const void *, void **),
                  void (*loop)(void *, uint64_t))
{
    struct bench_subject *subject = bench_add_subject(bench, name);
    subject->setup = setup;
    subject->loop = loop;
}

static void
add_reuse(void)
{
    struct bench *bench =
        bench_add("heap.reuse",
                  "create, a store to every page of 2 MB, release", "floor", 1);
    bench_add_metric(bench, "", "us", 1e-3);
    add_reuse_subject(bench, "floor", setup_static, loop_reuse_floor);
    add_reuse_subject(bench, "pxrt", setup_recycled, loop_reuse_px);
    add_reuse_subject(bench, "pxrt-uncached", setup_fresh, loop_reuse_px);
    add_reuse_subject(bench, "mmap", setup_recycled, loop_reuse_mmap);
}

/* ---- heap.live100 ---- */

static const struct heap_entry live_entries[] = {
    {"pxrt", &heap_peer_px, NO_PRELOAD, 0, 0, 0},
    {"pxrt-small-pages", &heap_peer_px, NO_PRELOAD, 0, PX_HEAP_SMALL_PAGES, 0},
    {"mimalloc", &heap_peer_malloc, PRELOAD_MIMALLOC, 0, 0, 0},
    {"jemalloc", &heap_peer_malloc, PRELOAD_JEMALLOC, 0, 0, 0},
    {"glibc", &heap_peer_malloc, NO_PRELOAD, 0, 0, 0},
};

/* A live set is a ring: every block points to the next in a random order, so
 * that each visit waits for the one before it and nothing can be prefetched. */
struct live {
    struct heap_run run;
    void **visited;
};

/* As many blocks for everyone, so what an allocator adds to a block makes its
 * set larger: that is part of its price. */
static size_t
live_blocks(void)
{
    const size_t mean_bytes = 264;
    size_t bytes = bench_config.quick ? 4u << 20 : 100u << 20;
    return bytes / mean_bytes;
}

/* One random cycle through all blocks (Sattolo's shuffle). */
static void
link_ring(void **block, size_t count)
{
    uint64_t seed = 7;
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = bench_random(&seed) % i;
        void *keep = block[i];
        block[i] = block[other];
        block[other] = keep;
    }
    for (size_t i = 0; i < count; i++)
        *(void **)block[i] = block[(i + 1) % count];
}

static const char *
fill_live(struct live *live, void **block, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t bytes = heap_sizes[i % HEAP_BLOCKS];
        block[i] = live->run.entry->peer->alloc(live->run.inner, bytes);
        if (!block[i])
            return "no memory";
        memset(block[i], 1, bytes);
    }
    link_ring(block, count);
    live->visited = block[0];
    return NULL;
}

static const char *
setup_live(const void *arg, void **state)
{
    static struct live live;
    size_t count = live_blocks();
    void **block = bench_map(count * sizeof *block);
    live.run.entry = arg;
    *state = &live;
    const char *failed = live.run.entry->peer->setup_one(arg, &live.run.inner);
    if (!failed)
        failed = block ? fill_live(&live, block, count) : "no memory";
    if (block)
        munmap(block, count * sizeof *block);
    return failed;
}

static void
loop_live(void *state, uint64_t count)
{
    void **visited = ((struct live *)state)->visited;
    while (count--)
        visited = *visited;
    ((struct live *)state)->visited = visited;
}

static void
add_live(void)
{
    struct bench *bench = bench_add(
        "heap.live100", "one visit of a block, 100 MB live, in random order",
        "pxrt-small-pages", 1);
    bench_add_metric(bench, "", "ns", 1);
    for (size_t i = 0; i < sizeof live_entries / sizeof live_entries[0]; i++) {
        struct bench_subject *subject =
            heap_add_subject(bench, &live_entries[i]);
        subject->setup = setup_live;
        subject->loop = loop_live;
        subject->pages = heap_run_pages;
    }
}

void
bench_register_memory(void)
{
    add_reuse();
    add_live();
}
