/*
 * Contexts.
 *
 *   context.create  create, 10 blocks, release: a context for each small job.
 *                   Its peers are arenas, which are less: a context has two
 *                   heaps, a life cycle, a mailbox and an error record.
 *                   `pxrt-heap` is the heap alone, so that the difference is
 *                   seen
 *   context.enter   enter and leave; a mutex as the peer, for what is bought is
 *                   the exclusive right to something
 *   context.post    post a message of 64 bytes and deliver it. One thread does
 *                   both: between threads one would measure the wake-up. The
 *                   peer copies its message too, by its own allocator, since
 *                   what is posted has to outlive the poster's memory
 *   context.idle    memory of a waiting context, 10,000 of them alive: what
 *                   keeping state for a connection costs that says nothing.
 *                   Page tables are shown apart; a wide window needs pages of
 *                   tables where a small arena shares its neighbours'
 */
#include "context_peer.h"
#include "heap_peer.h"

#include <pxrt/context.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- context.create ---- */

static const struct heap_entry create_entries[] = {
    {"floor", &heap_peer_floor, NO_PRELOAD, 0, 0, 0},
    {"pxrt", &heap_peer_context, NO_PRELOAD, 0, 0, 0},
    {"pxrt-heap", &heap_peer_px, NO_PRELOAD, 0, 0, 0},
    {"apr", &heap_peer_apr, NO_PRELOAD, BENCH_NO_TRIM, 0, 0},
    {"mi_heap", &heap_peer_mi_heap, PRELOAD_MIMALLOC, 0, 0, 0},
    {"talloc-pool", &heap_peer_talloc, NO_PRELOAD, BENCH_NO_TRIM, 0, 0},
};

static const char *
setup_create(const void *entry, void **state)
{
    return ((const struct heap_entry *)entry)->peer->setup_none(entry, state);
}

static void
add_create(void)
{
    const size_t count = sizeof create_entries / sizeof create_entries[0];
    struct bench *bench = bench_add(
        "context.create", "create a context, 10 blocks, release", "floor", 1);
    bench_add_metric(bench, "", "ns", 1);
    for (size_t i = 0; i < count; i++) {
        struct bench_subject *subject =
            heap_add_subject(bench, &create_entries[i]);
        subject->setup = setup_create;
        subject->loop = create_entries[i].peer->create;
    }
}

/* ---- context.enter ---- */

static const char *
setup_context(const void *arg, void **state)
{
    px_context *cx;
    (void)arg;
    if (px_context_create(NULL, &cx) != 0)
        return "px_context_create";
    *state = cx;
    return NULL;
}

static void
release_context(void *cx)
{
    px_context_release(cx);
}

static void
loop_enter(void *cx, uint64_t count)
{
    while (count--) {
        if (px_enter(cx) != 0)
            abort();
        bench_use((uintptr_t)px_current());
        px_leave(cx);
    }
}

static void
loop_mutex(void *state, uint64_t count)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    (void)state;
    while (count--) {
        pthread_mutex_lock(&mutex);
        bench_use(count);
        pthread_mutex_unlock(&mutex);
    }
}

static void
add_loop(struct bench *bench, const char *name,
         const char *(*setup)(const void *, void **),
         void (*loop)(void *, uint64_t), void (*teardown)(void *))
{
    struct bench_subject *subject = bench_add_subject(bench, name);
    subject->setup = setup;
    subject->loop = loop;
    subject->teardown = teardown;
}

static void
add_enter(void)
{
    struct bench *bench = bench_add(
        "context.enter", "enter and leave a context", "pthread-mutex", 1);
    bench_add_metric(bench, "", "ns", 1);
    add_loop(bench, "pxrt", setup_context, loop_enter, release_context);
    add_loop(bench, "pthread-mutex", NULL, loop_mutex, NULL);
}

/* ---- context.post ---- */

static int
take_message(px_context *cx, void *bytes, size_t count)
{
    (void)cx;
    bench_use(count + (uint64_t) * (char *)bytes);
    return 0;
}

static void
loop_post(void *state, uint64_t count)
{
    px_context *cx = state;
    char message[POST_BYTES] = {1};
    if (px_enter(cx) != 0)
        abort();
    while (count--)
        if (px_post(cx, take_message, message, sizeof message) != 0 ||
            px_deliver(cx) != 1)
            abort();
    px_leave(cx);
}

/* The copy and the indirect call, with nothing between them. */
static void
loop_post_floor(void *state, uint64_t count)
{
    int (*volatile handler)(px_context *, void *, size_t) = take_message;
    char message[POST_BYTES] = {1}, copy[POST_BYTES];
    (void)state;
    while (count--) {
        memcpy(copy, message, sizeof copy);
        __asm__ volatile("" : : "r"(copy) : "memory");
        handler(NULL, copy, sizeof copy);
    }
}

static void
add_post(void)
{
    struct bench *bench = bench_add(
        "context.post", "post 64 bytes and deliver them", "g_async_queue", 1);
    bench_add_metric(bench, "", "ns", 1);
    add_loop(bench, "floor", NULL, loop_post_floor, NULL);
    add_loop(bench, "pxrt", setup_context, loop_post, release_context);
    add_loop(bench, "g_async_queue", post_peer_gasyncqueue.setup,
             post_peer_gasyncqueue.loop, NULL);
    bench->subject[2].missing = post_peer_gasyncqueue.missing;
}

/* ---- context.idle ---- */

/* Never released: the process ends. */
static bool
make_context(void)
{
    px_context *cx;
    if (px_context_create(NULL, &cx) != 0)
        return false;
    for (uint32_t i = 0; i < IDLE_BLOCKS; i++)
        bench_touch(px_alloc(cx, IDLE_BLOCK_BYTES), i);
    return true;
}

static const struct idle_peer idle_peer_px = {NULL, make_context};

struct idle {
    double rss_kb;
    double tables_kb;
};

/* Memory is measured once: it does not vary as times do. The first context pays
 * for what is common to all, and is made before. */
static const char *
setup_idle(const void *arg, void **state)
{
    static struct idle idle;
    const struct idle_peer *peer = arg;
    const int count = bench_config.quick ? 500 : 10000;
    if (!peer->make())
        return "cannot make one";
    long rss = bench_rss_kb(0), tables = bench_page_table_kb();
    for (int i = 0; i < count; i++)
        if (!peer->make())
            return "cannot make that many";
    idle.rss_kb = (double)(bench_rss_kb(0) - rss) / count;
    idle.tables_kb = (double)(bench_page_table_kb() - tables) / count;
    *state = &idle;
    return NULL;
}

static const char *
round_idle(void *state, struct bench_sample *sample)
{
    const struct idle *idle = state;
    sample->value[0] = idle->rss_kb;
    sample->value[1] = idle->tables_kb;
    return NULL;
}

static void
add_idle_subject(struct bench *bench, const char *name,
                 const struct idle_peer *peer)
{
    struct bench_subject *subject = bench_add_subject(bench, name);
    subject->missing = peer->missing;
    subject->arg = peer;
    subject->setup = setup_idle;
    subject->round = round_idle;
}

static void
add_idle(void)
{
    struct bench *bench = bench_add(
        "context.idle", "memory of one waiting context of 10,000", "apr", 1);
    bench_add_metric(bench, "resident", "KB", 1);
    bench_add_metric(bench, "page-tables", "KB", 1);
    add_idle_subject(bench, "pxrt", &idle_peer_px);
    add_idle_subject(bench, "apr", &idle_peer_apr);
}

void
bench_register_context(void)
{
    add_create();
    add_enter();
    add_post();
    add_idle();
}
