/* Short ways to make runtimes, and what tests of them run: for the unit and
 * stress tests of room runtime. */
#ifndef PX_TESTS_RUNTIME_SUPPORT_H
#define PX_TESTS_RUNTIME_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/lock.h>
#include <pxrt/runtime.h>

#include "base/atomic.h"
#include "platform/thread.h"

/* ---- runtimes ------------------------------------------------------------ */

/* A runtime of so many @workers whose contexts have windows of @window_bytes;
 * 0: the defaults. @all: even those that get no CPU are to run. */
static inline px_runtime *
runtime_with(unsigned workers, size_t window_bytes, bool all)
{
    px_runtime *rt = NULL;
    px_runtime_options o;
    px_runtime_options_init(&o);
    o.workers = workers;
    o.all_workers = all;
    if (window_bytes) {
        px_context_options_init(&o.context);
        o.context.window_bytes = window_bytes;
    }
    assert_int_equal(px_runtime_create(&o, &rt), 0);
    return rt;
}

static inline px_runtime *
runtime_of(unsigned workers)
{
    return runtime_with(workers, 0, false);
}

static inline px_runtime *
spread_runtime_of(unsigned workers)
{
    return runtime_with(workers, 0, true);
}

/* For tests with thousands of contexts: they fit into TSan's addresses. More
 * workers than two are meant to get into each other's way. */
static inline px_runtime *
crowded_runtime_of(unsigned workers)
{
    return runtime_with(workers, (size_t)16 << 20, workers > 2);
}

static inline void
wait_until_idle(px_runtime *rt)
{
    while (px_active_count(rt) > 0)
        px__thread_yield();
}

/* ---- callbacks ----------------------------------------------------------- */

static inline int
do_nothing(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return 0;
}

static inline int
count_up(px_context *cx, void *arg)
{
    (void)cx;
    px__add_seqcst((uint32_t *)arg, 1);
    return 0;
}

static inline int
fail_plainly(px_context *cx, void *arg)
{
    (void)arg;
    return px_fail(cx, PX_EFULL, "no");
}

/* ---- a gate -------------------------------------------------------------- */

/* A callback that stops at the gate has its worker; whoever sets `gate` lets
 * one through. */
static px_event gate;
static px_event at_the_gate;

static inline int
wait_at_the_gate(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    px_event_set(&at_the_gate);
    return px_event_wait(&gate, -1);
}

/* One worker, which stands at the gate: what is submitted now stays in the
 * queue until the gate is set. */
static inline px_runtime *
blocked_runtime(void)
{
    px_runtime *rt = runtime_of(1);
    assert_int_equal(px_submit_work(rt, wait_at_the_gate, NULL, NULL), 0);
    px_event_wait(&at_the_gate, -1);
    return rt;
}

#endif
