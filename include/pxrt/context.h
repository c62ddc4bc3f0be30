/** @file
 *  Contexts: the unit of parallel execution. A context owns its memory, runs on
 *  at most one thread at a time but on any thread, shares nothing by default,
 *  and disappears in one sweep.
 *
 *  It has two heaps in one window. The @b base heap lives as long as the
 *  context (the state of a connection); the @b callback heap is what px_alloc()
 *  uses, rolled back after each callback.
 *
 *  @code
 *      px_context *cx;
 *      if (px_context_create(NULL, &cx) != 0)
 *          return;
 *      px_enter(cx);
 *      char *scratch = px_alloc(cx, 4096);
 *      ...
 *      px_leave(cx);
 *      px_context_release(cx);
 *  @endcode
 */
#ifndef PXRT_CONTEXT_H
#define PXRT_CONTEXT_H

#include <pxrt/heap.h>

PX_BEGIN_DECLS

/** A context. Its first member is its callback heap. */
typedef struct px_context px_context;

/** Stations in the life of a context, in this order ("path to freedom"). */
#define PX_STATE_MAP(X)                                                        \
    X(PX_CREATED, "created") /**< made; has never run */                       \
    X(PX_READY, "ready")     /**< waits for a thread */                        \
    X(PX_RUNNING, "running") /**< a thread runs it */                          \
    X(PX_IDLE, "idle")       /**< a connection or timer between callbacks */   \
    X(PX_SENDING, "sending") /**< a connection whose send is under way */      \
    X(PX_CLOSING, "closing") /**< a connection that runs no more callbacks */  \
    X(PX_DONE, "done")       /**< its work is over, and succeeded */           \
    X(PX_FAILED, "failed")   /**< its error waits for the main thread */       \
    X(PX_FINISHED, "finished") /**< nothing is left to run or to report */     \
    X(PX_RELEASED, "released") /**< the runtime has let go of it */            \
    X(PX_PURGED, "purged")     /**< its memory is dropped */                   \
    X(PX_FREED, "freed")       /**< gone; only observers ever see this */

/** States of a context; see PX_STATE_MAP for their meaning. */
enum px_state {
#define PX__STATE_ENUM(name, text) name,
    PX_STATE_MAP(PX__STATE_ENUM)
#undef PX__STATE_ENUM
};

/** Options of px_context_create(). Call px_context_options_init() first. */
typedef struct px_context_options {
    /** sizeof(px_context_options), set by px_context_options_init(). */
    size_t size;
    /** Bytes of address space: the hard limit of both heaps together; default
     *  256 MB. A quarter of it is the base heap's. */
    size_t window_bytes;
    /** Bytes each of the two heaps may commit; 0 (default): its part of the
     *  window. */
    size_t quota_bytes;
    /** A shared budget; NULL (default): none. Retained by the context, or by
     *  the runtime or server that these options were given to. */
    px_quota *quota;
    /** Committed bytes that a rollback may keep; default 2 MB. */
    size_t retain_bytes;
    /** px_heap_flags of the callback heap; default PX_HEAP_SMALL_START. */
    uint32_t flags;
    /** The host's own pointer; default NULL. See px_context_data(). */
    void *data;
} px_context_options;

/** An error that a callback reported. It lies in its context and lives until
 *  the error is cleared or the context goes. */
typedef struct px_error {
    /** The code given to px_fail(), negative. */
    int code;
    /** The formatted message, at most 255 bytes; never NULL. */
    const char *message;
    /** The source file with the px_fail(); may be NULL. */
    const char *file;
    /** The line in that file. */
    int line;
    /** The host's own value, such as an exception object, or NULL. */
    void *payload;
    /** The context that failed; NULL when there was none, see px_failed_fn. */
    px_context *context;
} px_error;

/** Set every option to its default. @thread caller */
PX_API void px_context_options_init(px_context_options *options);

/** Create a context with one reference, in state PX_CREATED.
 *  @param options  NULL for the defaults.
 *  @return 0; PX_EINVAL; PX_ENOMEM; PX_EFORKED.
 *  @thread any
 *  @cost   some ten ns when a window can be recycled; else page faults. */
PX_API PX_MUST_CHECK int px_context_create(const px_context_options *options,
                                           px_context **out);

/** Add a reference. @return @p cx. @thread any */
PX_API px_context *px_context_retain(px_context *cx);

/** Drop a reference; the last one runs the deferred cleanups of both heaps,
 *  discards undelivered messages and drops the memory. NULL is ignored. A
 *  context that some thread has entered keeps a reference until it is left.
 *  @thread any
 *  @cost   O(pending cleanups and messages), whatever else the heaps hold. */
PX_API void px_context_release(px_context *cx);

/** Make @p cx the current context of this thread. Entering nests: the context
 *  that was current becomes it again at px_leave().
 *  @return 0; PX_EINVAL (NULL); PX_EBUSY (entered already, here or elsewhere;
 *          or the runtime runs it); PX_EFORKED.
 *  @thread any
 *  @cost   two atomic operations. */
PX_API PX_MUST_CHECK int px_enter(px_context *cx);

/** Undo the matching px_enter().
 *  @return 0; PX_EINVAL (NULL); PX_EWRONGTHREAD (not the current context);
 *          PX_EBUSY (the runtime runs it: it leaves when the callback returns).
 *  @thread owner */
PX_API int px_leave(px_context *cx);

#if defined(_WIN32) && !defined(PXRT_STATIC)
/** The context that this thread has entered, or NULL. @thread any */
PX_API px_context *px_current(void);
#else
/** What px_current() reads. Read only. */
extern PX_API __thread px_context *px_current_context
    __attribute__((tls_model("initial-exec")));
/** The context that this thread has entered, or NULL.
 *  @thread any
 *  @cost   one load. */
static inline px_context *
px_current(void)
{
    return px_current_context;
}
#endif

/** The callback heap of a context: @p cx itself, seen as a heap.
 *  @thread any, but see the heap's own rules */
static inline px_heap *
px_context_heap(px_context *cx)
{
    return (px_heap *)(void *)cx;
}

/** The base heap of a context, which no rollback of the runtime touches.
 *  NULL for NULL. @thread any */
PX_API px_heap *px_context_base(px_context *cx);

/** Allocate from the callback heap; see px_heap_alloc(). @thread owner */
static inline void *
px_alloc(px_context *cx, size_t bytes)
{
    return px_heap_alloc(px_context_heap(cx), bytes);
}

/** Allocate from the base heap; see px_heap_alloc(). @thread owner */
static inline void *
px_base_alloc(px_context *cx, size_t bytes)
{
    return px_heap_alloc(px_context_base(cx), bytes);
}

/** The context whose window @p ptr points into, or NULL: memory of the main
 *  side, of a plain heap, or never used.
 *  @thread any
 *  @cost   as px_owner_word(). */
static inline px_context *
px_owner(const void *ptr)
{
    uintptr_t word = px_owner_word(ptr);
    return word & 1 ? (px_context *)(word & ~(uintptr_t)1) : NULL;
}

/** The window of @p cx: every address that px_owns() says is its own lies in
 *  [*first, *first + *bytes). For hosts that test ownership inline.
 *  @return 0; PX_EINVAL.
 *  @thread any */
PX_API int px_context_window(const px_context *cx, const void **first,
                             size_t *bytes);

/** Whether @p ptr lies in the window of @p cx. False for NULL @p cx.
 *  @thread any
 *  @cost   two loads, a subtraction and a compare. */
PX_API bool px_owns(const px_context *cx, const void *ptr);

/** The host's own pointer. NULL for NULL. @thread any, ordered by the host */
PX_API void *px_context_data(const px_context *cx);

/** Set the host's own pointer.
 *  @return 0; PX_EINVAL. @thread any, ordered by the host */
PX_API int px_context_set_data(px_context *cx, void *data);

/** The state of a context; a snapshot unless the caller owns it.
 *  @return one of px_state, or PX_EINVAL for NULL. @thread any */
PX_API int px_context_state(const px_context *cx);

/** The name of a state, such as "running"; "?" for another number.
 *  @thread any */
PX_API const char *px_state_name(int state);

/** Watch every move of every context along its life; see px_observe_states().
 */
typedef void (*px_state_fn)(const px_context *cx, int from, int to, void *arg);

/** Call @p fn at each change of state in the process; NULL stops it. For tests
 *  and tracing: @p fn runs on the moving thread and must not call pxrt.
 *  Contexts should be at rest when the observer is changed.
 *  @thread any */
PX_API void px_observe_states(px_state_fn fn, void *arg);

/** Record that the running callback failed. The first error of a callback
 *  stays; later ones are dropped. @p code must be negative (PX_EFAILED is put
 *  in its place otherwise).
 *  @return the code recorded, so that a callback can `return px_fail(...)`;
 *          PX_EINVAL (NULL); PX_EWRONGTHREAD (not the current context).
 *  @thread owner
 *  @cost   formats at most 255 bytes; never allocates. */
#define px_fail(cx, code, ...)                                                 \
    px_fail_at((cx), (code), __FILE__, __LINE__, __VA_ARGS__)
/** What px_fail() expands to, for bindings that bring their own place.
 *  @thread owner */
PX_API int px_fail_at(px_context *cx, int code, const char *file, int line,
                      const char *format, ...) PX_PRINTF(5, 6);

/** Attach the host's own value to the recorded error.
 *  @return 0; PX_EINVAL (NULL); PX_ESTATE (no error is recorded).
 *  @thread owner */
PX_API int px_fail_payload(px_context *cx, void *payload);

/** The recorded error, or NULL. @thread owner, or who was given the error */
PX_API const px_error *px_context_error(const px_context *cx);

/** Forget the recorded error: the callback has dealt with it. @thread owner */
PX_API void px_context_clear_error(px_context *cx);

/** Run @p fn(@p arg) when the callback heap's memory of this moment is dropped;
 *  see px_heap_defer(). @thread owner */
static inline int
px_defer(px_context *cx, px_cleanup_fn fn, void *arg)
{
    return px_heap_defer(px_context_heap(cx), fn, arg);
}

/** A message handler: runs in the context posted to. @p bytes is a copy that
 *  lives until it returns. A negative result is that callback's failure. */
typedef int (*px_message_fn)(px_context *cx, void *bytes, size_t count);

/** Send a message to a context: @p count bytes at @p bytes are copied, and
 *  @p fn runs with them in @p cx, in the order of posting for one poster.
 *  The runtime schedules a context that belongs to it; any other context gets
 *  its messages when its owner calls px_deliver(). A context that ends drops
 *  the messages it has not run, also some that were accepted a moment before.
 *  @return 0; PX_EINVAL (NULL cx or fn; bytes NULL with count > 0); PX_ENOMEM;
 *          PX_ECLOSED (the context runs no more callbacks); PX_EFORKED.
 *  @thread any that holds a reference
 *  @cost   one shared allocation and one atomic exchange. */
PX_API int px_post(px_context *cx, px_message_fn fn, const void *bytes,
                   size_t count);

/** Run the handlers of all messages that are waiting, oldest first, until one
 *  fails; the rest stay for the next call.
 *  @return the number of messages handled; the failed handler's code;
 *          PX_EINVAL (NULL); PX_EWRONGTHREAD (not the current context).
 *  @thread owner */
PX_API int px_deliver(px_context *cx);

PX_END_DECLS

#endif
