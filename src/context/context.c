/*
 * Contexts: creation, reference counts, the current context of a thread.
 *
 *   window  [ px_context | base heap (a quarter) | callback heap ............ ]
 *
 * Invariants
 *   C1  px_current_context is set by the owner of a RUNNING context only, and
 *       a context is current on at most one thread
 *   C2  a context whose reference count is 0 is FINISHED or further, and only
 *       the thread that purges it touches it
 *   C3  an entered context holds a reference of its own, so that it cannot go
 *       away under the thread that runs in it
 *
 * Threads: creation, retaining, releasing and posting from any thread; all else
 * by the owner.
 *
 * Rejected: a lock in each context (the life word already gives one owner at a
 * time), and base heap and callback heap growing towards each other (a heap is
 * linear upwards; a quarter of the addresses costs nothing).
 */
#include "context/context.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "platform/fork.h"

#include <string.h>

_Static_assert(offsetof(px_context, heap) == 0,
               "px_context_heap() is a cast of the context");

__thread px_context *px_current_context;

#if defined(_WIN32) && !defined(PXRT_STATIC)
px_context *
px_current(void)
{
    return px_current_context;
}
#endif

/* ---- options ----------------------------------------------------------- */

static const px_context_options defaults = {
    .size = sizeof defaults,
    .retain_bytes = (size_t)2 << 20,
    .flags = PX_HEAP_SMALL_START,
};

void
px_context_options_init(px_context_options *options)
{
    if (options)
        *options = defaults;
}

/* But for `data`, which is no property of a furnished window. */
static bool
are_default(const px_context_options *options)
{
    return options->window_bytes == defaults.window_bytes &&
           options->quota_bytes == defaults.quota_bytes &&
           options->quota == defaults.quota &&
           options->retain_bytes == defaults.retain_bytes &&
           options->flags == defaults.flags;
}

/* The defaults, overlaid with as much as the caller's struct has. */
static int
options_complete(px_context_options *full, const px_context_options *options)
{
    *full = defaults;
    if (!options)
        return 0;
    if (options->size < sizeof options->size || options->size > sizeof *full)
        return PX_EINVAL;
    memcpy(full, options, options->size);
    return 0;
}

static void
heap_options_of(const px_context_options *options, px_heap_options *heap)
{
    px_heap_options_init(heap);
    heap->window_bytes = options->window_bytes;
    heap->quota_bytes = options->quota_bytes;
    heap->quota = options->quota;
    heap->retain_bytes = options->retain_bytes;
    heap->flags = options->flags;
}

/* ---- birth ------------------------------------------------------------- */

/* The base heap takes the rest of the window's first quarter. It is never
 * sized: nothing in it is freed one by one. */
static int
place_base(px_context *cx, const px_heap_options *options)
{
    px_heap_options base = *options;
    char *split = px__window_lo(cx->window) + cx->span / 4;
    base.flags = PX_HEAP_SMALL_START | (options->flags & PX_HEAP_SMALL_PAGES);
    return px__heap_place(&cx->base, cx->window, (char *)(cx + 1), split,
                          &base);
}

static int
place_heaps(px_context *cx, const px_heap_options *options)
{
    char *split = px__window_lo(cx->window) + cx->span / 4;
    int status = place_base(cx, options);
    if (status)
        return status;
    status = px__heap_place(&cx->heap, cx->window, split,
                            px__window_hi(cx->window), options);
    if (status)
        px__heap_clear(&cx->base);
    return status;
}

/* What changes from one life in a window to the next. The message buffer is
 * left as it is: error.code says whether it means anything. */
static void
init_life(px_context *cx, void *data)
{
    cx->word = PX_CREATED;
    cx->references = 1;
    cx->previous = NULL;
    cx->host = NULL;
    cx->host_data = NULL;
    cx->data = data;
    cx->mailbox = (px_ilist){NULL};
    cx->inbox = NULL;
    cx->generation = px__fork_generation();
    cx->light = cx->untouched = false;
    cx->error.code = 0;
}

/* Everything but the heaps, which place_heaps() sets up. */
static void
init_fields(px_context *cx, px__window *window, void *data)
{
    init_life(cx, data);
    cx->is_default = false;
    cx->window = window;
    cx->lo = (uintptr_t)px__window_lo(window);
    cx->span = (size_t)(px__window_hi(window) - px__window_lo(window));
}

static int
create_in(px__window *window, const px_heap_options *options, void *data,
          px_context **out)
{
    px_context *cx = px__window_control(window, sizeof *cx, 1);
    int status;
    if (!cx)
        return PX_ENOMEM;
    init_fields(cx, window, data);
    status = place_heaps(cx, options);
    if (!status)
        *out = cx;
    return status;
}

/* A context of these options in a window of its own. */
static int
create_furnished(const px_context_options *options, px__window *window,
                 const px_heap_options *heap, px_context **out)
{
    int status = create_in(window, heap, options->data, out);
    if (status)
        px__window_release(window);
    return status;
}

static int
create_special(const px_context_options *options, px_context **out)
{
    px_heap_options wanted, heap;
    px__window *window;
    heap_options_of(options, &wanted);
    int status = px__heap_options_check(&wanted, &heap);
    if (!status)
        status = px__window_acquire(heap.window_bytes, &window);
    return status ? status : create_furnished(options, window, &heap, out);
}

/* The last owner of the window was such a context, too. */
static px_context *
revive(px_context *cx, void *data)
{
    px__heap_revive(&cx->heap);
    px__heap_revive(&cx->base);
    init_life(cx, data);
    return cx;
}

static int
create_default(const px_context_options *options, px_context **out)
{
    px_heap_options heap;
    px__window *window;
    int status = px__window_acquire_default(&window);
    if (PX_UNLIKELY(status))
        return status;
    px_context *cx = px__window_revive(window, 1);
    if (PX_LIKELY(cx != NULL)) {
        *out = revive(cx, options->data);
        return 0;
    }
    heap_options_of(options, &heap);
    status = create_furnished(options, window, &heap, out);
    if (!status)
        (*out)->is_default = true;
    return status;
}

int
px_context_create(const px_context_options *options, px_context **out)
{
    px_context_options full;
    if (!out || options_complete(&full, options))
        return PX_EINVAL;
    return are_default(&full) ? create_default(&full, out)
                              : create_special(&full, out);
}

/* ---- references and death ---------------------------------------------- */

px_context *
px_context_retain(px_context *cx)
{
    if (cx)
        px__add_relaxed(&cx->references, 1);
    return cx;
}

/* True when the caller held the last reference. Reading 1 with acquire is
 * enough: nobody else has a reference to make it more. Pairs with the release
 * half of the subtraction of those who were not last. */
static bool
drop_reference(px_context *cx)
{
    uint32_t held = px__load_acquire(&cx->references);
    PX_CHECK(held > 0, "a context was released more often than retained");
    if (held == 1) {
        px__store_relaxed(&cx->references, 0);
        return true;
    }
    return px__sub_acqrel(&cx->references, 1) == 1;
}

static void
clear_heaps(px_context *cx)
{
    px__heap_clear(&cx->heap);
    px__heap_clear(&cx->base);
}

void
px__context_purge(px_context *cx)
{
    px__mailbox_discard(cx);
    if (!cx->light)
        clear_heaps(cx);
    px__life_move(cx, PX_RELEASED, PX_PURGED);
}

void
px__context_free(px_context *cx)
{
    if (px__context_park(cx))
        px__context_drop(cx);
}

/* ---- another life in the same window ------------------------------------ */

/* Nothing was allocated in this life, so there is nothing that counts it. */
static bool
is_untouched(const px_heap *heap)
{
    return heap->front.cursor.next == heap->first &&
           heap->peak == heap->first && heap->failed_count == 0 &&
           px__load_relaxed(&heap->references) == 1;
}

/* A renewed context is light already, and stays so if it was not touched. */
void
px__context_settle(px_context *cx)
{
    cx->untouched = is_untouched(&cx->heap) && is_untouched(&cx->base);
    if (!cx->untouched || !cx->light)
        cx->light =
            px__heap_is_light(&cx->heap) && px__heap_is_light(&cx->base);
}

/* Not where a sanitizer watches: it is told of the heaps anew each time. */
static void
give_back(px_context *cx)
{
    if (cx->is_default && cx->heap.mode == 0)
        cx->window->parked = (uintptr_t)cx | 1;
    px__window_release(cx->window);
}

bool
px__context_park(px_context *cx)
{
    px__life_move(cx, PX_PURGED, PX_FREED);
    if (cx->light)
        return true;
    give_back(cx);
    return false;
}

void
px__context_renew(px_context *cx, void *data)
{
    if (!cx->untouched) {
        px__heap_renew(&cx->heap);
        px__heap_renew(&cx->base);
    }
    init_life(cx, data);
    cx->light = true;
}

void
px__context_drop(px_context *cx)
{
    clear_heaps(cx);
    give_back(cx);
}

/* The whole path at once, for a context that no scheduler knows. */
static void
finish(px_context *cx)
{
    px__life_retire(cx);
    px__life_move(cx, PX_FINISHED, PX_RELEASED);
    px__context_purge(cx);
    px__context_free(cx);
}

void
px_context_release(px_context *cx)
{
    if (!cx || !drop_reference(cx))
        return;
    if (cx->host)
        cx->host->unreferenced(cx);
    else
        finish(cx);
}

void
px__context_adopt(px_context *cx, const px__host *host, void *host_data)
{
    PX_ASSERT(px__life_state(cx) == PX_CREATED && !cx->host);
    cx->host = host;
    cx->host_data = host_data;
}

/* ---- the current context ----------------------------------------------- */

void
px__context_bind(px_context *cx)
{
    cx->previous = px_current_context;
    px_current_context = cx;
}

void
px__context_unbind(px_context *cx)
{
    PX_CHECK(px_current_context == cx, "a callback left a context entered");
    px_current_context = cx->previous;
}

static bool
in_forked_child(const px_context *cx)
{
    return cx->generation != px__fork_generation();
}

int
px_enter(px_context *cx)
{
    if (!cx)
        return PX_EINVAL;
    if (in_forked_child(cx))
        return PX_EFORKED;
    if (cx->host || !px__life_try_run(cx))
        return PX_EBUSY;
    px_context_retain(cx); /* C3 */
    px__context_bind(cx);
    return 0;
}

int
px_leave(px_context *cx)
{
    if (!cx)
        return PX_EINVAL;
    if (px_current() != cx)
        return PX_EWRONGTHREAD;
    if (cx->host)
        return PX_EBUSY;
    px__context_unbind(cx);
    px__life_rest(cx);
    px_context_release(cx);
    return 0;
}

/* ---- what a context is asked ------------------------------------------- */

px_heap *
px_context_base(px_context *cx)
{
    return cx ? &cx->base : NULL;
}

int
px_context_window(const px_context *cx, const void **first, size_t *bytes)
{
    if (!cx || !first || !bytes)
        return PX_EINVAL;
    *first = (const void *)cx->lo;
    *bytes = cx->span;
    return 0;
}

bool
px_owns(const px_context *cx, const void *ptr)
{
    return cx && (uintptr_t)ptr - cx->lo < cx->span;
}

void *
px_context_data(const px_context *cx)
{
    return cx ? cx->data : NULL;
}

int
px_context_set_data(px_context *cx, void *data)
{
    if (!cx)
        return PX_EINVAL;
    cx->data = data;
    return 0;
}

int
px_context_state(const px_context *cx)
{
    return cx ? px__life_state(cx) : PX_EINVAL;
}
