/*
 * The dispatcher: one event loop, one baton, many workers. This is what the
 * other files of this room and room net build on.
 *
 *      any thread            worker with the baton          worker
 *   px__loop_call(op) --> [ op list ] --> uv callbacks
 *                                           | px__strand_collect()
 *   px__strand_queue() --> [ ready queue ] <+   (first one: run by itself)
 *                                |
 *                                +--> strand->run(), RUNNING, context bound
 *                                       | ends with exactly one of
 *                                       +- px__strand_rest()     -> IDLE
 *                                       +- px__strand_sending()  -> SENDING
 *                                       +- px__strand_closing()  -> CLOSING
 *                                       +- px__strand_over()     -> main
 *
 * A strand is the runtime's record of one context: work, a timer, a connection.
 * It is embedded in the record of its owner, which lies outside of the context
 * (uv handles in it may outlive the context's memory).
 *
 * Who owns what, when
 *   D1  only the thread with the baton calls uv, on the loop or on any handle.
 *       It runs no user code and takes no lock that user code can hold. uv
 *       callbacks run on it: they move bytes, set flags and collect
 *   D2  a strand's run function owns its context (RUNNING, or CLOSING once it
 *       has said so): heaps, sends, error. It calls no uv function; what the
 *       loop must do for it is an operation, px__loop_call()
 *   D3  what both sides touch is handed over with the state of the context, or
 *       by an operation, or is a list or flag with its own protocol
 *   D4  a context that is at rest (CREATED, IDLE) is moved only by who wakes
 *       it: set a flag in the record ("the peer has closed"), then
 *       px__strand_wake() or, on the baton, px__strand_collect(). Its run
 *       looks at all flags. So also closing begins in run, never from outside
 *   D5  SENDING and CLOSING are owned by the loop side from the call that says
 *       so, until px__strand_return() gives the context to a worker again
 *   D6  a strand counts as active from px__strand_open() to px__strand_over();
 *       who posts operations or touches the loop does so for an active strand,
 *       or holds an activity of its own. So the loop outlives every operation
 *   D7  an open uv handle belongs to a ward (or to something a ward closes);
 *       the runtime's release closes all, then waits until nothing is active
 *
 * Rejected: one loop per worker (a client that blocks stalls its neighbours:
 * p99 7x); a loop thread that hands over to a pool (0.2-0.8 of the throughput);
 * a uv_async per context (libuv scans them all at each wake-up).
 */
#ifndef PX_RUNTIME_DISPATCH_H
#define PX_RUNTIME_DISPATCH_H

#include <pxrt/ilist.h>
#include <pxrt/runtime.h>
#include <uv.h>

#include "base/list.h"
#include "context/context.h"

/* --- operations: what only the holder of the baton may do ----------------- */

/* One thing to be done on the loop; lives in the caller's record until it has
 * begun, and may then be used again. Operations run in the order of posting. */
typedef struct px__op {
    px_ilink link;
    void (*fn)(struct px__op *op); /* on the baton: may call uv */
} px__op;

/* Have @op run by the next holder of the baton, soon. Never fails. Any thread,
 * under D6; also from uv callbacks (it then runs in a later turn). */
void px__loop_call(px_runtime *rt, px__op *op);

/* Take the baton: from here to px__loop_leave() this thread may call uv, to set
 * up what must be known to have worked when a function returns (a listener). A
 * blocked poll is interrupted, so the wait is short. Not from callbacks, not
 * nested; with it held, no user code. */
void px__loop_enter(px_runtime *rt);
void px__loop_leave(px_runtime *rt);

/* The loop. On the baton only. */
uv_loop_t *px__loop(px_runtime *rt);

/* Something that keeps uv handles open and must be told when the runtime is
 * released: a server, a timer. @close is called once, on the baton; it starts
 * to close what the ward guards. Added and removed on the baton. */
typedef struct px__ward {
    px__list link;
    void (*close)(struct px__ward *ward);
} px__ward;

/* False: the runtime is being released, and the ward was not added; the caller
 * closes right away what it was to guard. */
bool px__ward_add(px_runtime *rt, px__ward *ward);
void px__ward_remove(px__ward *ward);

/* --- strands -------------------------------------------------------------- */

typedef struct px__strand px__strand;

/* What a kind of strand does. Constant. */
typedef struct px__strand_kind {
    /* Runs the context: it is RUNNING (CLOSING, if px__strand_closing() was
     * called), bound to this thread, and owned. Ends with one of the four calls
     * below, after which the strand must not be touched. */
    void (*run)(px__strand *strand);
    /* The context is FREED, or the strand never had one: the record that the
     * strand is part of may go. Main thread; last call. */
    void (*gone)(px__strand *strand);
} px__strand_kind;

/* Kept small: a million of them may wait. It is in one place at a time, so the
 * links share their memory. */
struct px__strand {
    union {
        px_ilink link;    /* in the ready queue; then on the way to main */
        px__strand *next; /* while collected */
        px__list station; /* main's: the list of its station on the path */
    };
    const px__strand_kind *kind;
    px_runtime *rt;
    px_context *cx; /* constant from open to gone */
    bool failed;    /* set when it is posted: its error waits for main */
    bool reported;  /* main's: its error is out, and not released yet */
    bool common;    /* the context has the runtime's options: see stock.h */
};

/* Make a context for @strand (@options as in px_context_create(); data may be
 * overridden there) and count it as active. It is CREATED: nothing runs before
 * the first px__strand_wake() or _collect(). 0; PX_ECLOSED (being released);
 * PX_ENOMEM and others of px_context_create(): then nothing has happened, and
 * `gone` is not called. Any thread. */
int px__strand_open(px_runtime *rt, px__strand *strand,
                    const px__strand_kind *kind,
                    const px_context_options *options);

/* Something for the context to look at has been set up (D4). If it was at rest
 * it is queued now; if it is READY, RUNNING or SENDING, its owner will look
 * again (PENDING); a closing one ignores it. Any thread. */
void px__strand_wake(px__strand *strand);

/* The same from a uv callback or operation: the first collected strand of a
 * turn is run by this very worker once it has let go of the baton. On the
 * baton. */
void px__strand_collect(px__strand *strand);

/* What the loop did for the strand is over (D5): a context that is SENDING is
 * READY now, one that is CLOSING is due for its last run. Once for each
 * px__strand_sending() and _closing(). Distinct from collecting, since bytes
 * may arrive before the operation has even begun. On the baton. */
void px__strand_return(px__strand *strand);

/* The strand whose context @cx is; NULL when no runtime schedules it. Any
 * thread that holds a reference. */
px__strand *px__strand_of(const px_context *cx);

/* The four ends of run(). The context is unbound first; after the call other
 * threads may own it. */

/* To rest until something arrives; if it has arrived already (PENDING), the
 * context is queued again at once, behind the others. */
void px__strand_rest(px__strand *strand);

/* A send is under way: no callback until px__strand_return(). @op starts it on
 * the loop; it is posted after the context has left this thread. */
void px__strand_sending(px__strand *strand, px__op *op);

/* No more callbacks but the last one. @op closes the uv handles; when they are
 * closed the uv callback returns the strand, and run() is called once more, in
 * CLOSING, to end with px__strand_over(). */
void px__strand_closing(px__strand *strand, px__op *op);

/* Nothing is left to run. With an error recorded in the context it is FAILED,
 * and main is told and keeps it until the error is released; else FINISHED. The
 * activity of px__strand_open() ends here. From RUNNING or CLOSING; no uv
 * handle of the record may be open. */
void px__strand_over(px__strand *strand);

/* --- the rules of errors -------------------------------------------------- */

/* What becomes of a callback that returned @rc: success and no recorded error:
 * 0. Else an error is recorded (a bare code gets a message), @failed (may be
 * NULL) runs with it, and its success clears the error: 1. Else the code; the
 * error stays recorded, for px__strand_over(). Owner. */
int px__settle(px_context *cx, int rc, px_failed_fn failed, void *arg);

/* --- activity: what px_run() waits for ------------------------------------ */

/* Count something that is not a strand (a listening server). False: the runtime
 * is being released; nothing was counted. Any thread. */
bool px__activity_begin(px_runtime *rt);
void px__activity_end(px_runtime *rt);

/* --- checks of public functions ------------------------------------------- */

/* 0; PX_EINVAL (NULL), PX_EFORKED. Any thread. */
int px__runtime_check(const px_runtime *rt);

/* The same, and PX_EWRONGTHREAD off the main thread or inside a callback. */
int px__runtime_check_main(const px_runtime *rt);

#endif
