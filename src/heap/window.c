/*
 * Windows: their way from the range to a heap, back into a cache, and to the
 * next heap.
 *
 *      range --carve--> in use --release--> magazine of the thread (warm)
 *                          ^          \-->  shelf of the CPU, see shelf.c
 *                          |                   | full, or the thread ends
 *                          |                   v
 *                          +---acquire---- pool: warm lists | cold lists
 *
 * Magazines and pool are those of Bonwick and Adams ("Magazines and Vmem",
 * USENIX 2001), the colours of Bonwick's slabs (USENIX 1994).
 *
 * A warm window keeps its touched pages for the next owner, which saves the
 * page faults and the kernel's zeroing; a cold one is only addresses. Addresses
 * are never given back, so released windows are kept without a bound on their
 * number, but with one on their resident bytes.
 *
 * Invariants
 *   W1  pool.charged = kept bytes of all warm windows of the pool + the budgets
 *       of all magazines and of the shelves <= cache_bytes
 *   W2  a magazine's windows keep at most its budget
 *   W3  a free window has no owner words
 *   W4  lo <= dirty <= committed for each run, and runs do not overlap
 *   W5  parked names the control block of the window's last owner, a heap or a
 *       context with default options, and the runs are as that one left them
 *
 * Threads: a magazine is its thread's; the pool is under the range's lock.
 *
 * Rejected: charging each magazine operation to the shared bound (an atomic add
 * costs a third of creating a heap; the magazine borrows a budget instead);
 * MADV_FREE on release (the pages still count as resident until there is
 * pressure, and touching them again is no cheaper).
 */
#include "heap/window.h"

#include "base/assert.h"
#include "heap/annotate.h"
#include "heap/dump.h"
#include "heap/shelf.h"
#include "platform/thread.h"
#include "platform/vm.h"

#include <stdlib.h>

enum {
    MAGAZINE_WINDOWS = 64,
    /* A magazine borrows at most this part of the cache. */
    MAGAZINE_SHARE = 16,
    /* So do all shelves together. */
    SHELVES_SHARE = 2,
    /* Colours repeat after so many cache lines: 128 KB, the reach of one way of
     * common second-level caches. */
    COLOUR_LINES = 2048,
    /* Neighbours differ by a page and 5 lines: odd, so that all colours occur,
     * and more than a small control block. */
    COLOUR_STEP = 64 + 5
};

struct magazine {
    px__exit_hook hook;
    size_t budget;
    size_t kept;
    unsigned count;
    px__window *list[PX_CLASSES];
};

#if defined(__ELF__)
/* One pointer fits the room that every loader keeps for late libraries. */
static _Thread_local struct magazine *mine
    __attribute__((tls_model("initial-exec")));
#else
static _Thread_local struct magazine *mine;
#endif

static struct {
    size_t charged;
    px__window *warm[PX_CLASSES];
    px__window *cold[PX_CLASSES];
} pool;

static void
push(px__window **list, px__window *window)
{
    window->next = *list;
    *list = window;
}

static px__window *
pop(px__window **list)
{
    px__window *window = *list;
    if (window)
        *list = window->next;
    return window;
}

/* ---- runs ---- */

static char *
unit_floor(char *at)
{
    return (char *)((uintptr_t)at & ~(uintptr_t)(PX_UNIT - 1));
}

static void
run_init(px__run *run, char *lo)
{
    memset(run, 0, sizeof *run);
    run->lo = run->committed = run->dirty = lo;
    run->owned = unit_floor(lo);
}

/* Bytes that are resident, as far as we know: what was written, and all of a
 * large page. The rest of the committed memory was never touched. */
static size_t
run_kept(const px__run *run)
{
    size_t touched = (size_t)(px__page_ceil(run->dirty) - run->lo);
    return touched > run->large_granted ? touched : run->large_granted;
}

/* Whole chunks of [from, to), in bytes. */
static size_t
whole_chunks(char *from, char *to)
{
    char *lo = px__chunk_ceil(from);
    char *hi = px__chunk_floor(to);
    return hi > lo ? (size_t)(hi - lo) : 0;
}

static void
shrink(px__run *run, char *end)
{
    PX_ASSERT(end >= run->lo);
    /* a chunk of which only a part goes is on small pages from now on */
    size_t chunks = whole_chunks(px__chunk_floor(end), run->committed);
    /* what lies below the start became resident with the large page */
    char *from = end == run->lo ? px__chunk_floor(end) : end;
    px__note_open(from, (size_t)(run->committed - from));
    px__vm_purge(from, (size_t)(run->committed - from), px__range.commit_later);
    px__dump_cut(run, end);
    run->committed = end;
    if (run->dirty > end)
        run->dirty = end;
    run->large_wanted -=
        chunks < run->large_wanted ? chunks : run->large_wanted;
    if (run->large_granted > run->large_wanted)
        run->large_granted = run->large_wanted;
}

void
px__window_shrink(px__run *run, char *end)
{
    if (PX_UNLIKELY(end < run->committed))
        shrink(run, end);
}

/* Forget what an earlier owner left in a second run. */
static void
drop_run(px__run *run)
{
    px__window_shrink(run, run->lo);
    px__dump_drop(run);
    run_init(run, NULL);
}

px__run *
px__window_fit(px__window *window, char *lo, char *hi)
{
    px__run *first = &window->run[0], *second = &window->run[1];
    if (lo < window->lo + PX_CHUNK) {
        px__window_shrink(first, hi);
        return first;
    }
    char *start = px__page_floor(lo + window->colour);
    if (second->lo != start) {
        drop_run(second);
        run_init(second, start);
    }
    px__window_shrink(first, lo);
    px__window_shrink(second, hi);
    return second;
}

int
px__window_extend(px__window *window, px__run *run, char *end)
{
    px__run *second = &window->run[1];
    /* left over from an owner with two heaps: a living one ends our heap */
    if (run != second && second->lo && end > px__chunk_floor(second->lo))
        drop_run(second);
    if (px__range.commit_later) {
        char *from = run->committed;
        if (from == run->lo)
            from = px__chunk_floor(from); /* a large page needs all of it */
        if (px__vm_commit(from, (size_t)(end - from)) != 0)
            return PX_ENOMEM;
    }
    px__note_close(run->committed, (size_t)(end - run->committed));
    px__dump_cover(run, end);
    run->committed = end;
    px__window_own(window, run);
    return 0;
}

/* ---- the control block ---- */

char *
px__window_lo(const px__window *window)
{
    return window->lo;
}

char *
px__window_hi(const px__window *window)
{
    return px__window_end(window);
}

void *
px__window_control(px__window *window, size_t bytes, uintptr_t flag)
{
    px__run *run = &window->run[0];
    char *control = window->lo + window->colour;
    char *end = px__page_ceil(control + bytes);
    window->parked = 0; /* W5 */
    window->owner = (uintptr_t)control | flag;
    if (PX_UNLIKELY(end > run->committed) &&
        px__window_extend(window, run, end) != 0) {
        window->owner = 0;
        return NULL;
    }
    px__window_own(window, run);
    if (run->dirty < control + bytes)
        run->dirty = control + bytes;
    px__note_open(control, bytes);
    return control;
}

/* ---- cache ---- */

static size_t
window_kept(const px__window *window)
{
    size_t kept = run_kept(&window->run[0]);
    if (window->run[1].lo)
        kept += run_kept(&window->run[1]);
    return kept;
}

static void
window_purge(px__window *window)
{
    px__window_shrink(&window->run[0], window->run[0].lo);
    px__window_shrink(&window->run[1], window->run[1].lo);
    window->parked = 0; /* W5 */
    window->kept = 0;
}

static void
pool_put_locked(px__window *window)
{
    if (window->kept > px__range.cache_bytes - pool.charged) /* W1 */
        window_purge(window);
    pool.charged += window->kept;
    push(window->kept ? &pool.warm[window->size_class]
                      : &pool.cold[window->size_class],
         window);
}

static px__window *
pool_get_locked(unsigned size_class)
{
    px__window *window = pop(&pool.warm[size_class]);
    if (!window)
        return pop(&pool.cold[size_class]);
    pool.charged -= window->kept;
    return window;
}

/* Turn warm windows cold until @bytes more can be charged. */
static void
pool_make_room_locked(size_t bytes)
{
    for (unsigned i = 0; i < PX_CLASSES; i++) {
        while (pool.charged + bytes > px__range.cache_bytes && pool.warm[i]) {
            px__window *window = pop(&pool.warm[i]);
            pool.charged -= window->kept;
            window_purge(window);
            push(&pool.cold[i], window);
        }
    }
}

static size_t
pool_borrow(size_t share)
{
    size_t bytes = px__range.cache_bytes / share;
    px__range_lock();
    pool_make_room_locked(bytes);
    size_t room = px__range.cache_bytes - pool.charged;
    if (bytes > room)
        bytes = room;
    pool.charged += bytes;
    px__range_unlock();
    return bytes;
}

static void
pool_give_back(size_t bytes)
{
    px__range_lock();
    pool.charged -= bytes;
    px__range_unlock();
}

static bool
shelves_are_open(void)
{
    if (px__shelves_are_open())
        return true;
    if (px__range_forked())
        return false;
    size_t bytes = pool_borrow(SHELVES_SHARE);
    if (!px__shelves_open(bytes))
        pool_give_back(bytes);
    return true;
}

static uintptr_t
this_user(void)
{
    return (uintptr_t)&mine;
}

/* Of a window that another thread has used. */
static bool
shelf_put(px__window *window)
{
    return window->user != this_user() && shelves_are_open() &&
           px__shelf_put(window);
}

/* The thread ends: all it holds goes to the pool. */
static void
magazine_flush(void *arg)
{
    struct magazine *magazine = arg;
    mine = NULL;
    if (!px__range_forked()) {
        px__range_lock();
        pool.charged -= magazine->budget;
        for (unsigned i = 0; i < PX_CLASSES; i++) {
            px__window *window;
            while ((window = pop(&magazine->list[i])))
                pool_put_locked(window);
        }
        px__range_unlock();
    }
    free(magazine);
}

/* Out of line, with pool_put() below: inlined they would make the usual way of
 * a release save registers that it does not use. */
static struct magazine *__attribute__((noinline)) magazine_create(void)
{
    if (px__range_forked())
        return NULL;
    struct magazine *magazine = calloc(1, sizeof *magazine);
    if (!magazine)
        return NULL;
    magazine->hook = (px__exit_hook){.fn = magazine_flush, .arg = magazine};
    if (px__thread_at_exit(&magazine->hook) != 0) {
        free(magazine);
        return NULL;
    }
    magazine->budget = pool_borrow(MAGAZINE_SHARE);
    return mine = magazine;
}

static bool
magazine_put(px__window *window)
{
    struct magazine *magazine = mine;
    if (PX_UNLIKELY(!magazine) && !(magazine = magazine_create()))
        return false;
    if (window->kept > magazine->budget - magazine->kept || /* W2 */
        magazine->count == MAGAZINE_WINDOWS)
        return false;
    magazine->kept += window->kept;
    magazine->count++;
    push(&magazine->list[window->size_class], window);
    return true;
}

static px__window *
magazine_get(unsigned size_class)
{
    struct magazine *magazine = mine;
    px__window *window = magazine ? pop(&magazine->list[size_class]) : NULL;
    if (window) {
        magazine->kept -= window->kept;
        magazine->count--;
    }
    return window;
}

/* ---- acquire and release ---- */

static px__window *
window_carve_locked(unsigned size_class)
{
    char *lo;
    size_t index;
    px__window *window =
        px__range_carve_locked((size_t)1 << size_class, &lo, &index);
    if (!window)
        return NULL;
    size_t lines = PX_CHUNK / 4 / PX_CACHE_LINE;
    if (lines > COLOUR_LINES)
        lines = COLOUR_LINES;
    window->lo = lo;
    window->size_class = size_class;
    window->colour = (uint32_t)(index * COLOUR_STEP % lines * PX_CACHE_LINE);
    run_init(&window->run[0], px__page_floor(lo + window->colour));
    run_init(&window->run[1], NULL);
    return window;
}

static inline void
use(px__window *window)
{
    window->user = this_user();
    window->cpu = px__cpu_here();
}

/* Of the pool, or new; a larger one when addresses are used up. */
static px__window *
window_find(unsigned size_class)
{
    px__range_lock();
    px__window *window = pool_get_locked(size_class);
    if (!window)
        window = window_carve_locked(size_class);
    if (!window)
        window = px__shelf_get_any(size_class);
    for (unsigned i = size_class + 1; !window && i < PX_CLASSES; i++)
        window = pool_get_locked(i);
    px__range_unlock();
    return window;
}

/* log2 of the smallest power of two that is not below bytes and a unit. */
static unsigned
class_of(size_t bytes)
{
    if (bytes < PX_UNIT)
        bytes = PX_UNIT;
    return 64u - (unsigned)__builtin_clzll((unsigned long long)bytes - 1);
}

int
px__window_acquire(size_t window_bytes, px__window **out)
{
    int status = px__range_ensure();
    if (PX_UNLIKELY(status != 0))
        return status;
    if (PX_UNLIKELY(px__range_forked()))
        return PX_EFORKED;
    if (window_bytes == 0)
        return PX_EINVAL;
    unsigned size_class = class_of(window_bytes);
    if (size_class >= PX_CLASSES)
        return PX_ENOMEM;
    px__window *window = magazine_get(size_class);
    if (PX_UNLIKELY(!window) && !(window = px__shelf_get(size_class)) &&
        !(window = window_find(size_class)))
        return PX_ENOMEM;
    use(window);
    *out = window;
    return 0;
}

/* Almost always: this thread has released a heap before, and it is here. A
 * magazine implies that the range was set up. */
int
px__window_acquire_default(px__window **out)
{
    if (PX_LIKELY(mine && !px__range_forked())) {
        px__window *window = magazine_get(px__range.default_class);
        if (PX_LIKELY(window != NULL)) {
            window->user = this_user();
            *out = window;
            return 0;
        }
    }
    int status = px__range_ensure();
    return status ? status
                  : px__window_acquire(px__range.default_window_bytes, out);
}

static inline void
disown(px__run *run)
{
    char *from = unit_floor(run->lo);
    if (run->owned == from)
        return;
    px__range_own(from, run->owned, 0);
    run->owned = from;
    px__note_close(run->lo, (size_t)(run->committed - run->lo));
}

/* In a forked child the lock may be held by a thread that is not there. What
 * does not fit the magazine is then dropped: nothing is created any more. */
static void __attribute__((noinline)) pool_put(px__window *window)
{
    if (px__range_forked())
        return;
    px__range_lock();
    pool_put_locked(window);
    px__range_unlock();
}

void
px__window_release(px__window *window)
{
    disown(&window->run[0]); /* W3 */
    if (window->run[1].lo)
        disown(&window->run[1]);
    window->owner = 0;
    window->kept = window_kept(window);
    if (PX_UNLIKELY(!shelf_put(window) && !magazine_put(window)))
        pool_put(window);
}
