/*
 * Internal side of <pxrt/context.h>: the layout of a context, and how a host of
 * contexts (the runtime) hooks in.
 */
#ifndef PX_CONTEXT_CONTEXT_H
#define PX_CONTEXT_CONTEXT_H

#include <pxrt/context.h>
#include <pxrt/ilist.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "context/life.h"
#include "heap/layout.h"

#if defined(_WIN32) && !defined(PXRT_STATIC)
/* A DLL exports no thread-local variable; its own files see it all the same. */
extern __thread px_context *px_current_context;
#endif

/* What a scheduler of contexts gives to each of its own. */
typedef struct px__host {
    /* A message turned @cx from IDLE to READY: queue it. Any thread. */
    void (*ready)(px_context *cx);
    /* The last reference is gone: purge and free @cx on the thread that may,
     * with px__context_purge() and px__context_free(). Any thread. */
    void (*unreferenced)(px_context *cx);
} px__host;

enum { PX__ERROR_BYTES = 256 };

/* The second part is all that main touches of a context which is over: one
 * cache line, so that few of them cross from the worker's CPU to main's and
 * back. Control blocks of windows begin on a cache line. */
struct px_context {
    px_heap heap; /* callback heap; first: see px_context_heap() */

    _Alignas(PX_CACHE_LINE) uint32_t word; /* state and PENDING; see life.h */
    uint32_t references;                   /* atomic */
    px_context *previous; /* what was current before px_enter() */
    const px__host *host; /* NULL: nobody schedules this one */
    void *host_data;      /* the host's own record of it */
    px_ilist mailbox;     /* posted messages, newest first */
    px_ilink *inbox;      /* the owner's: flushed, oldest first */
    px__window *window;
    uint32_t generation; /* of fork, when it was created */
    bool untouched;      /* its heaps need not be renewed */
    bool light;          /* see px__context_settle() */
    bool is_default;     /* but for `data`: may be parked in its window */

    void *data;   /* the user's pointer */
    uintptr_t lo; /* bounds of the window, for px_owns() */
    size_t span;
    px_heap base;
    px_error error; /* code 0: none */
    char message[PX__ERROR_BYTES];
};

_Static_assert(offsetof(px_context, data) - offsetof(px_context, word) <=
                   PX_CACHE_LINE,
               "main's part of a context has outgrown its cache line");

/* Move @cx from @from to @to; the caller owns it. From CLOSING on nobody else
 * reads the word to write it (S2, S3), so the moves of the path to freedom, of
 * which there are five for each piece of work, are a load and a store. */
static inline void
px__life_move(px_context *cx, int from, int to)
{
    /* relaxed: px__life_move_watched() loads it again */
    if (from < PX_CLOSING || px__load_relaxed(&px__life_observer)) {
        px__life_move_watched(cx, from, to);
        return;
    }
    PX_CHECK(px__load_relaxed(&cx->word) == (uint32_t)from &&
                 (px__life_allowed[from] >> to) & 1,
             "a context cannot make this move, or has two owners");
    px__store_release(&cx->word, (uint32_t)to); /* as in life.c */
}

/* Whether an error is recorded. Owner, or main on the path to freedom. */
static inline bool
px__context_has_error(const px_context *cx)
{
    return cx->error.code != 0;
}

/* True: the caller's reference was the only one, and is gone; what must happen
 * then is up to the caller. False: nothing was done. Acquire pairs with the
 * release of those who were not last, as in px_context_release(). */
static inline bool
px__context_drop_lone(px_context *cx)
{
    if (px__load_acquire(&cx->references) != 1)
        return false;
    px__store_relaxed(&cx->references, 0);
    return true;
}

/* Make @cx current on this thread, or restore what was. The caller owns it in
 * RUNNING: no state moves here. */
void px__context_bind(px_context *cx);
void px__context_unbind(px_context *cx);

/* Take over the scheduling of a context that nobody else knows yet. */
void px__context_adopt(px_context *cx, const px__host *host, void *host_data);

/* RELEASED -> PURGED: discard messages, run cleanups, let go of quotas; then
 * PURGED -> FREED: give the window back. Only for the host's `unreferenced` and
 * for contexts without host. */
void px__context_purge(px_context *cx);
void px__context_free(px_context *cx);

/* The callbacks of @cx are over: find out whether it is light, that is, holds
 * no cleanup, no quota and little memory. What remains to be done to the heaps
 * of a light context may wait until its window is used again. Owner. */
void px__context_settle(px_context *cx);

/* PURGED -> FREED, like px__context_free(), but of a light context the window
 * stays furnished, and true is returned: the caller makes a context of the same
 * options of it with px__context_renew(), or ends it with px__context_drop().
 * Until then `previous` is the caller's, to link it. */
bool px__context_park(px_context *cx);
void px__context_renew(px_context *cx, void *data);
void px__context_drop(px_context *cx);

/* The error a callback left, put aside so that its failed callback may record
 * another; restored if it does not. The copy's message is its own. */
typedef struct px__saved_error {
    px_error error;
    char message[PX__ERROR_BYTES];
} px__saved_error;

void px__error_save(px_context *cx, px__saved_error *out);
void px__error_restore(px_context *cx, const px__saved_error *saved);

/* Run the handler of the oldest waiting message, and drop the message: 1, or
 * the handler's negative code; 0 when none is waiting. Owner, current. */
int px__mailbox_run_one(px_context *cx);

/* Whether messages are waiting. Owner. */
bool px__mailbox_waiting(const px_context *cx);

/* Discard all messages that are waiting. Owner. */
void px__mailbox_discard(px_context *cx);

#endif
