/*
 * The model of heap_model.h.
 *
 * Objects are kept in the order in which they were made, so that a snapshot is
 * a length and a rollback a truncation. Each object is filled with bytes that
 * follow from its number, and is read back whenever a rollback might have
 * damaged it.
 *
 * M1  an object's bytes are what was written, until it is freed or rolled back
 * M2  a rollback brings back the figures that were taken at the snapshot
 * M3  cleanups run once each, newest first
 * M4  a snapshot that was cut off is stale for good
 */
#include "heap_model.h"

#include <pxrt/heap.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OBJECTS_MAX = 192,
    SNAPSHOTS_MAX = 12,
    STALE_MAX = 16,
    CLEANUPS_MAX = 64,
    WINDOW = 64 << 20
};

#define AGREE(cond)                                                            \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: heap and model differ: %s\n", __FILE__,    \
                    __LINE__, #cond);                                          \
            abort();                                                           \
        }                                                                      \
    } while (0)

struct object {
    unsigned char *at; /* NULL: freed */
    size_t bytes;
    uint32_t id;
};

struct mark {
    px_snapshot snapshot;
    px_heap_stats stats;
    size_t objects;
    size_t cleanups;
};

struct model {
    const uint8_t *data;
    size_t left;
    px_heap *heap;
    px_heap *other; /* never touched; its snapshot and memory are foreign */
    px_snapshot foreign;
    uint32_t flags;
    uint32_t last_id;
    size_t object_count, mark_count, stale_count, cleanup_count;
    struct object objects[OBJECTS_MAX];
    struct mark marks[SNAPSHOTS_MAX];
    px_snapshot stale[STALE_MAX];
};

/* ---- input ---- */

static uint8_t
next_byte(struct model *m)
{
    if (m->left == 0)
        return 0;
    m->left--;
    return *m->data++;
}

static size_t
next_number(struct model *m)
{
    size_t low = next_byte(m);
    return low | (size_t)next_byte(m) << 8;
}

/* Mostly small, sometimes larger than a chunk. */
static size_t
next_size(struct model *m)
{
    size_t kind = next_byte(m), n = next_number(m);
    if (kind < 200)
        return n % 300;
    if (kind < 250)
        return n % 5000;
    if (kind < 255)
        return n;
    return n * 64;
}

/* ---- objects ---- */

enum { PHASES = 256, STRETCH = 1 << 16 };

/* Byte i of an object is i plus a phase that its number gives. */
static unsigned char pattern[PHASES + STRETCH];

static void
make_pattern(void)
{
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (unsigned char)i;
}

static void
fill(const struct object *o, size_t from)
{
    for (size_t at = from, n; at < o->bytes; at += n) {
        n = o->bytes - at < STRETCH ? o->bytes - at : STRETCH;
        memcpy(o->at + at, pattern + (o->id * 31 + at) % PHASES, n);
    }
}

static void
verify(const struct object *o)
{
    for (size_t at = 0, n; o->at && at < o->bytes; at += n) {
        n = o->bytes - at < STRETCH ? o->bytes - at : STRETCH;
        AGREE(!memcmp(o->at + at, pattern + (o->id * 31 + at) % PHASES,
                      n)); /* M1 */
    }
}

static void
verify_all(const struct model *m)
{
    for (size_t i = 0; i < m->object_count; i++)
        verify(&m->objects[i]);
}

static void
add_object(struct model *m, void *at, size_t bytes)
{
    AGREE(((uintptr_t)at & 15) == 0);
    struct object *o = &m->objects[m->object_count++];
    *o = (struct object){at, bytes, ++m->last_id};
    fill(o, 0);
}

static bool
is_full(const struct model *m)
{
    return m->object_count == OBJECTS_MAX;
}

/* An object that was not freed, or NULL. */
static struct object *
pick(struct model *m)
{
    size_t n = next_byte(m);
    if (m->object_count == 0)
        return NULL;
    struct object *o = &m->objects[n % m->object_count];
    return o->at ? o : NULL;
}

/* ---- operations: allocate ---- */

/* In one of three ways, which the size decides. */
static void *
take(struct model *m, size_t bytes)
{
    void *at = NULL;
    if (bytes % 4 == 0)
        return px_heap_alloc_new(m->heap, bytes);
    if (bytes % 4 == 1)
        at = px_heap_alloc_freed(m->heap, bytes);
    return at ? at : px_heap_alloc(m->heap, bytes);
}

static void
do_alloc(struct model *m)
{
    size_t bytes = next_size(m);
    void *at = is_full(m) ? NULL : take(m, bytes);
    if (at)
        add_object(m, at, bytes);
}

static void
do_calloc(struct model *m)
{
    size_t bytes = next_size(m);
    if (is_full(m))
        return;
    unsigned char *at = px_heap_calloc(m->heap, bytes, 1);
    unsigned char any = 0;
    for (size_t i = 0; at && i < bytes; i++)
        any |= at[i];
    AGREE(any == 0);
    if (at)
        add_object(m, at, bytes);
}

static void
do_aligned(struct model *m)
{
    size_t alignment = (size_t)1 << next_byte(m) % 15;
    size_t bytes = next_size(m);
    if (is_full(m))
        return;
    void *at = px_heap_alloc_aligned(m->heap, bytes, alignment);
    AGREE(((uintptr_t)at & (alignment - 1)) == 0);
    if (at)
        add_object(m, at, bytes);
}

static void
do_copy_text(struct model *m)
{
    char text[64];
    int number = (int)next_number(m);
    int length = snprintf(text, sizeof text, "%d and %s", number, "text");
    if (is_full(m))
        return;
    char *at = number & 1 ? px_heap_printf(m->heap, "%d and %s", number, "text")
                          : px_heap_strdup(m->heap, text);
    if (!at)
        return;
    AGREE(strcmp(at, text) == 0);
    add_object(m, at, (size_t)length + 1);
}

/* Sizes that no heap has. */
static void
do_absurd(struct model *m)
{
    size_t n = next_number(m);
    AGREE(!px_heap_alloc(m->heap, SIZE_MAX - n));
    AGREE(!px_heap_alloc_freed(m->heap, SIZE_MAX - n));
    AGREE(!px_heap_alloc_new(m->heap, SIZE_MAX - n));
    AGREE(!px_heap_alloc(m->heap, (size_t)WINDOW + n));
    AGREE(!px_heap_calloc(m->heap, SIZE_MAX / 2 + n, 3));
    AGREE(!px_heap_alloc_aligned(m->heap, SIZE_MAX - n, 4096));
    AGREE(!px_heap_alloc_aligned(m->heap, 8, n | 3));
    struct object *o = pick(m);
    if (o)
        AGREE(!px_heap_resize(m->heap, o->at, o->bytes, SIZE_MAX - n));
}

/* ---- operations: change size, free ---- */

/* After a move the old block is gone from a sized heap if it could be freed;
 * everywhere else it stays, and must stay as it was. */
static void
replace_object(struct model *m, struct object *o, void *at, size_t bytes)
{
    size_t kept = o->bytes < bytes ? o->bytes : bytes;
    struct object moved = {at, kept, o->id};
    verify(&moved);
    if (at == o->at) {
        o->bytes = bytes;
        fill(o, kept);
        return;
    }
    if (m->flags & PX_HEAP_SIZED)
        o->at = NULL;
    add_object(m, at, bytes);
}

static void
do_resize(struct model *m)
{
    struct object *o = pick(m);
    size_t bytes = next_size(m);
    if (!o || is_full(m))
        return;
    void *at = m->flags & PX_HEAP_SIZED
                   ? px_heap_realloc(m->heap, o->at, bytes)
                   : px_heap_resize(m->heap, o->at, o->bytes, bytes);
    if (at)
        replace_object(m, o, at, bytes);
}

static void
do_free(struct model *m)
{
    struct object *o = pick(m);
    if (!o)
        return;
    if (!(m->flags & PX_HEAP_SIZED)) {
        AGREE(px_heap_free(m->heap, o->at) == PX_EINVAL);
        return;
    }
    AGREE(px_heap_block_size(m->heap, o->at) >= o->bytes);
    if (o->id % 2 == 0)
        AGREE(px_heap_free(m->heap, o->at) == 0);
    else
        px_heap_free_live(m->heap, o->at);
    o->at = NULL;
}

/* ---- operations: snapshots ---- */

static px_heap_stats
stats_of(px_heap *heap)
{
    px_heap_stats stats = {.size = sizeof stats};
    AGREE(px_heap_get_stats(heap, &stats) == 0);
    return stats;
}

static void
do_snapshot(struct model *m)
{
    if (m->mark_count == SNAPSHOTS_MAX)
        return;
    struct mark *mark = &m->marks[m->mark_count];
    if (px_heap_snapshot(m->heap, &mark->snapshot) != 0)
        return;
    m->mark_count++;
    mark->stats = stats_of(m->heap);
    mark->objects = m->object_count;
    mark->cleanups = m->cleanup_count;
    AGREE(mark->stats.snapshot_count == m->mark_count);
    AGREE(mark->stats.cleanup_count == m->cleanup_count);
}

/* The marks from @count on are no more. */
static void
cut_marks(struct model *m, size_t count)
{
    while (m->mark_count > count) {
        m->mark_count--;
        m->stale[m->stale_count++ % STALE_MAX] =
            m->marks[m->mark_count].snapshot;
    }
}

static void
do_rollback(struct model *m, size_t depth)
{
    if (m->mark_count == 0)
        return;
    size_t index = m->mark_count - 1 - depth % m->mark_count;
    const struct mark *mark = &m->marks[index];
    m->object_count = mark->objects;
    AGREE(px_heap_rollback(m->heap, &mark->snapshot) == 0);
    AGREE(m->cleanup_count == mark->cleanups); /* M3 */
    cut_marks(m, index + 1);
    px_heap_stats now = stats_of(m->heap);
    AGREE(now.used_bytes == mark->stats.used_bytes); /* M2 */
    AGREE(now.chunk_count == mark->stats.chunk_count);
    AGREE(now.snapshot_count == mark->stats.snapshot_count);
    AGREE(now.cleanup_count == mark->stats.cleanup_count);
    AGREE(px_heap_validate(m->heap) == 0);
    verify_all(m);
}

static void
do_drop(struct model *m)
{
    size_t depth = next_byte(m);
    if (m->mark_count == 0)
        return;
    size_t index = m->mark_count - 1 - depth % m->mark_count;
    AGREE(px_heap_snapshot_drop(m->heap, &m->marks[index].snapshot) == 0);
    cut_marks(m, index);
}

static void
do_stale(struct model *m)
{
    AGREE(px_heap_rollback(m->heap, &m->foreign) == PX_ESTALE);
    size_t known = m->stale_count < STALE_MAX ? m->stale_count : STALE_MAX;
    if (known == 0)
        return;
    const px_snapshot *stale = &m->stale[next_byte(m) % known];
    AGREE(px_heap_rollback(m->heap, stale) == PX_ESTALE); /* M4 */
    AGREE(px_heap_snapshot_drop(m->heap, stale) == PX_ESTALE);
}

/* ---- operations: cleanups ---- */

static void
on_cleanup(void *arg)
{
    struct model *m = arg;
    px_snapshot none;
    AGREE(m->cleanup_count > 0);
    m->cleanup_count--;
    AGREE(!px_heap_alloc(m->heap, 1));
    AGREE(!px_heap_alloc_freed(m->heap, 1));
    AGREE(!px_heap_alloc_new(m->heap, 1));
    AGREE(px_heap_snapshot(m->heap, &none) == PX_EBUSY);
}

static void
do_defer(struct model *m)
{
    if (m->cleanup_count < CLEANUPS_MAX &&
        px_heap_defer(m->heap, on_cleanup, m) == 0)
        m->cleanup_count++;
}

/* ---- operations: look ---- */

static void
do_owner(struct model *m)
{
    struct object *o = pick(m);
    size_t within = next_number(m);
    AGREE(!px_heap_of(&within));
    AGREE(px_heap_of(m->other) == m->other);
    if (o && o->bytes > 0)
        AGREE(px_heap_of(o->at + within % o->bytes) == m->heap);
}

static int
count_block(void *block, size_t bytes, void *arg)
{
    AGREE(block && bytes > 0);
    ++*(size_t *)arg;
    return 0;
}

static void
do_walk(struct model *m)
{
    size_t blocks = 0, live = 0;
    AGREE(px_heap_validate(m->heap) == 0);
    int status = px_heap_walk(m->heap, count_block, &blocks);
    if (!(m->flags & PX_HEAP_SIZED)) {
        AGREE(status == PX_ENOTSUP);
        return;
    }
    for (size_t i = 0; i < m->object_count; i++)
        live += m->objects[i].at != NULL;
    /* more when a free was ignored for a snapshot's sake */
    AGREE(status == 0 && blocks >= live);
}

static void
do_trim(struct model *m)
{
    px_heap_trim(m->heap, next_number(m) * 16);
    AGREE(px_heap_validate(m->heap) == 0);
}

/* ---- heaps ---- */

static px_heap *
make_heap(uint32_t flags)
{
    px_heap *heap = NULL;
    px_heap_options options;
    px_heap_options_init(&options);
    options.flags = flags;
    options.window_bytes = WINDOW;
    options.retain_bytes = 1 << 20;
    AGREE(px_heap_create(&options, &heap) == 0);
    return heap;
}

static void
begin_heap(struct model *m)
{
    m->flags = next_byte(m) & 7;
    m->heap = make_heap(m->flags);
    if (m->flags & PX_HEAP_FREE_LISTS)
        m->flags |= PX_HEAP_SIZED;
}

static void
end_heap(struct model *m)
{
    verify_all(m);
    px_heap_release(m->heap);
    AGREE(m->cleanup_count == 0); /* M3 */
    m->object_count = 0;
    cut_marks(m, 0);
}

static void
do_renew(struct model *m)
{
    if (next_byte(m) % 8 != 0) {
        do_rollback(m, next_byte(m));
        return;
    }
    end_heap(m);
    begin_heap(m);
}

/* One operation; the common ones have more numbers. */
static void
step(struct model *m)
{
    unsigned op = next_byte(m) % 32;
    if (op < 9)
        do_alloc(m);
    else if (op < 11)
        do_calloc(m);
    else if (op < 15)
        do_resize(m);
    else if (op < 19)
        do_free(m);
    else if (op < 21)
        do_rollback(m, 0);
    else if (op < 23)
        do_snapshot(m);
    else {
        static void (*const rare[])(struct model *) = {
            do_aligned, do_copy_text, do_absurd, do_drop, do_stale,
            do_defer,   do_owner,     do_walk,   do_trim};
        if (op == 31)
            do_renew(m);
        rare[(op - 23) % 9](m);
    }
}

size_t
heap_model_run(const uint8_t *data, size_t bytes)
{
    static struct model model;
    struct model *m = &model;
    size_t count = 0;
    make_pattern();
    *m = (struct model){.data = data, .left = bytes};
    m->other = make_heap(0);
    AGREE(px_heap_snapshot(m->other, &m->foreign) == 0);
    begin_heap(m);
    for (; m->left > 0; count++)
        step(m);
    end_heap(m);
    px_heap_release(m->other);
    return count;
}
