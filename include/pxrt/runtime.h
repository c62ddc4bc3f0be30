/** @file
 *  The runtime: worker threads that run contexts, one event loop that feeds
 *  them, and the main thread's side of it.
 *
 *  One thread creates a runtime and is its @b main thread. Work, timers and
 *  connections run in contexts, on the workers. What must reach main - errors,
 *  the end of contexts - waits until main calls px_run_once().
 *
 *  @code
 *      static int hello(px_context *cx, void *arg) {
 *          puts(px_heap_printf(px_context_heap(cx), "hello %s", (char *)arg));
 *          return 0;
 *      }
 *      ...
 *      px_runtime *rt;
 *      px_runtime_create(NULL, &rt);
 *      px_submit_work(rt, hello, "world", NULL);
 *      px_run(rt, NULL);            // until nothing is left to do
 *      px_runtime_release(rt);
 *  @endcode
 */
#ifndef PXRT_RUNTIME_H
#define PXRT_RUNTIME_H

#include <pxrt/context.h>

PX_BEGIN_DECLS

/** Workers, their event loop, and the main side. */
typedef struct px_runtime px_runtime;
/** A handle of submitted work. */
typedef struct px_work px_work;
/** A handle of a timer. */
typedef struct px_timer px_timer;

/** A callback: runs in @p cx, which is current. 0 or more is success; a
 *  negative code is failure (call px_fail() first to give it a message). */
typedef int (*px_run_fn)(px_context *cx, void *arg);

/** A failure callback: runs in the same context as the failed one, with the
 *  recorded error. 0 or more: dealt with, the work counts as complete;
 *  negative: the error (a new px_fail() replaces it) goes to the main thread.
 *
 *  @p cx is NULL if no context could be made for submitted work, mostly for
 *  lack of memory: then neither @c run nor @c done has run, and this is called
 *  instead, on the worker, with no context current. There it may do what any
 *  thread may; it has no heap, and cannot replace the error. Timers, and the
 *  connections of a server, have a context before they have callbacks. */
typedef int (*px_failed_fn)(px_context *cx, const px_error *error, void *arg);

/** Options of px_runtime_create(). Call px_runtime_options_init() first. */
typedef struct px_runtime_options {
    /** sizeof(px_runtime_options), set by px_runtime_options_init(). */
    size_t size;
    /** Worker threads; 0 (default): one for each CPU this process may use.
     *  1 to 1024. */
    unsigned workers;
    /** Contexts of finished work that may wait for px_run_once() before no new
     *  work is begun; default 4096, 1 to 2^20. While main calls px_run_once()
     *  or px_run() at least each millisecond, the bound is 256: so few contexts
     *  make the round that they stay in the caches. */
    unsigned max_finished;
    /** Options of the contexts made for work and timers; size 0 (default): the
     *  defaults of px_context_options_init(). */
    px_context_options context;
    /** A callback that runs longer is counted as stalled and wakes another
     *  worker for the loop; in ms, default 25, 0: never. */
    unsigned stall_ms;
    /** Wake workers for whatever is ready, even if others want the CPUs as well.
     *  Default false: while workers wait for CPUs, fewer of them are woken,
     *  unless callbacks take milliseconds. Known on Linux only. */
    bool all_workers;
} px_runtime_options;

/** Counters of a runtime. */
typedef struct px_runtime_stats {
    /** sizeof(px_runtime_stats), set by the caller. */
    size_t size;
    /** Worker threads. */
    unsigned workers;
    /** Those of them that are parked now. */
    unsigned parked;
    /** Work, timers and connections that are under way or waiting. */
    size_t active;
    /** Contexts on the path to freedom: finished, not yet freed. */
    size_t finished;
    /** Errors waiting for px_run_once(). */
    size_t errors_waiting;
    /** Callbacks run, since the start. */
    uint64_t callbacks;
    /** Errors that went to main. */
    uint64_t errors;
    /** Callbacks that ran longer than stall_ms. */
    uint64_t stalls;
    /** Wake-ups of parked workers. */
    uint64_t wakeups;
    /** Turns of the event loop. */
    uint64_t loop_turns;
} px_runtime_stats;

/** Set every option to its default. @thread caller */
PX_API void px_runtime_options_init(px_runtime_options *options);

/** Create a runtime and start its workers; the calling thread is its main
 *  thread. Workers block all signals but those of their own faults, and what a
 *  callback starts (a process, a thread) inherits that.
 *  @param options  NULL for the defaults.
 *  @return 0; PX_EINVAL; PX_ENOMEM; PX_EFORKED; a code of libuv.
 *  @thread any */
PX_API PX_MUST_CHECK int px_runtime_create(const px_runtime_options *options,
                                           px_runtime **out);

/** Stop everything and release the runtime: no new work begins, work that has
 *  not begun is cancelled through its failed callback (PX_ECANCELED), running
 *  callbacks finish, connections are reset, errors that nobody consumed are
 *  dropped. NULL is ignored. In the child of a fork only memory is let go.
 *  @return 0; PX_EWRONGTHREAD (not main, or inside a callback; nothing is
 * done).
 *  @thread main
 *  @cost   waits for the callbacks that are running. */
PX_API int px_runtime_release(px_runtime *rt);

/** Options of one piece of work; NULL where a function takes it: no callbacks.
 */
typedef struct px_work_options {
    /** sizeof(px_work_options), set by px_work_options_init(). */
    size_t size;
    /** Runs after @c run succeeded, in the same context; may fail like it.
     *  Default NULL. */
    px_run_fn done;
    /** Runs after run or done failed, the work was cancelled, or no context
     *  could be made for it (see px_failed_fn); default NULL: the error goes to
     *  main. */
    px_failed_fn failed;
    /** Where to put a handle for px_work_cancel(); default NULL: none. */
    px_work **handle;
} px_work_options;

/** Set every option to its default. @thread caller */
PX_API void px_work_options_init(px_work_options *options);

/** Run @p run(cx, @p arg) in a context of its own, on some worker. Work that was
 *  accepted ends in one of three ways: run, and then done, succeed; or failed is
 *  called, once; or, without failed, the error goes to main (when the runtime is
 *  released, nowhere). So a host that gives failed can count what is over, in
 *  the last of its callbacks, and needs no px_run_once() for it.
 *  @return 0; PX_EINVAL (NULL); PX_ENOMEM; PX_ECLOSED (being released);
 *          PX_EFORKED.
 *  @thread any, callbacks included
 *  @cost   one shared allocation, one queue push, at most one wake-up. */
PX_API int px_submit_work(px_runtime *rt, px_run_fn run, void *arg,
                          const px_work_options *options);

/** Cancel work that has not begun: its failed callback runs with PX_ECANCELED.
 *  @return 0; PX_EINVAL (NULL); PX_EBUSY (it has begun, or is over).
 *  @thread any that holds the handle */
PX_API int px_work_cancel(px_work *work);

/** Let go of a handle; the work itself goes on. NULL is ignored.
 *  @thread any that holds the handle */
PX_API void px_work_release(px_work *work);

/** Run @p shot after @p first_ms and then every @p period_ms (0: once), in one
 *  context: each shot's allocations are rolled back when it ends. A shot that
 *  is due while the one before it still runs is merged with the next. A shot
 *  that fails goes through @p failed (NULL: to main), and ends the timer.
 *  @param out  a handle for px_timer_cancel(), to be released; NULL: none.
 *  @return 0; PX_EINVAL (NULL); PX_ENOMEM; PX_ECLOSED; PX_EFORKED.
 *  @thread any, callbacks included */
PX_API int px_submit_timer(px_runtime *rt, uint64_t first_ms,
                           uint64_t period_ms, px_run_fn shot,
                           px_failed_fn failed, void *arg, px_timer **out);

/** Stop a timer: no shot begins once this has returned 0 from the timer's own
 *  callback; from elsewhere one may be under way. Stopping twice is allowed.
 *  @return 0; PX_EINVAL (NULL); PX_EFORKED.
 *  @thread any that holds the handle */
PX_API int px_timer_cancel(px_timer *timer);

/** Let go of a handle; the timer goes on. NULL is ignored.
 *  @thread any that holds the handle */
PX_API void px_timer_release(px_timer *timer);

/** One turn of the main thread: report one waiting error, in the order of
 *  posting; else let go of consumed errors, move finished contexts one station
 *  along, and, if there was nothing to do, wait for something.
 *  @param timeout_ms  how long to wait at most; 0: not at all; < 0: until
 *                     something happens or nothing is active any more.
 *  @param error       where to put the reported error, or NULL (its code is
 *                     returned either way). The error and its payload stay
 *                     readable until px_error_release(); with NULL it is
 *                     released at once.
 *  @return > 0 something was done; 0 nothing to do within the time; < 0 the
 *          code of the error reported, or PX_EINVAL, PX_EWRONGTHREAD,
 *          PX_EFORKED with @p error untouched.
 *  @thread main */
PX_API int px_run_once(px_runtime *rt, int64_t timeout_ms,
                       const px_error **error);

/** px_run_once() until nothing is active and no context is left to free, until
 *  px_stop(), or until an error is reported.
 *  @return 0; or the error's code, as px_run_once().
 *  @thread main */
PX_API int px_run(px_runtime *rt, const px_error **error);

/** Make px_run(), now or the next time, return 0 soon. Running work goes on.
 *  @return 0; PX_EINVAL (NULL); PX_EFORKED.
 *  @thread any; where threads park on futexes (Linux) also in a signal handler */
PX_API int px_stop(px_runtime *rt);

/** Let go of an error that px_run_once() reported, and with it of its context.
 *  NULL is ignored; to release one twice is a checked error (abort).
 *  @thread main */
PX_API void px_error_release(const px_error *error);

/** Work, timers and connections that are under way or waiting. 0 for NULL.
 *  @thread any */
PX_API size_t px_active_count(const px_runtime *rt);

/** Fill @p stats, of which the caller has set the size field.
 *  @return 0; PX_EINVAL. @thread any; the numbers are a snapshot */
PX_API int px_runtime_get_stats(const px_runtime *rt, px_runtime_stats *stats);

/** A number for the worker this is: 1 for the first, 0 on any other thread.
 *  @thread any */
PX_API unsigned px_worker_id(void);

PX_END_DECLS

#endif
