/*
 * Main's side: errors in the order of posting, the path to freedom, waiting.
 *
 *   px_run_once:  take what is over --> an error? report it
 *                                   --> a context on the path? move all one on
 *                                   --> wait, and again
 *
 * Taking each finished context at once would wake main once per context. So
 * main waits in two ways: WAITS, with nothing to do, which anything ends; and
 * NAPS, at most NAP_NS, with a few finished contexts at hand or soon expected,
 * which only something urgent ends (an error, a batch full, nothing active any
 * more).
 *
 * Thread rule: main, but for px_stop().
 */
#include "base/assert.h"
#include "platform/clock.h"
#include "platform/park.h"
#include "runtime/runtime.h"
#include "runtime/work.h"

enum { NAP_NS = PX_NS_PER_MS };

/* How long main looks on before it naps, in looks: some tens of us, which is
 * what a futex sleep and a wake-up take together where an idle CPU is a virtual
 * one. Between two looks it leaves alone the word that each end of a context
 * writes. */
enum { LOOKS = 16, PAUSES_EACH = 64 };

/* --- errors --------------------------------------------------------------- */

static px__strand *
strand_of_error(const px_error *error)
{
    if (error->context)
        return error->context->host_data;
    return px__strand_of_stillborn(error);
}

void
px_error_release(const px_error *error)
{
    if (!error)
        return;
    px__strand *s = strand_of_error(error);
    PX_CHECK(s->reported, "an error was released twice");
    s->reported = false;
    px__freedom_return(s);
}

/* Hand the oldest error out. It is off the path until it is released. */
static int
report(px_runtime *rt, const px_error **out)
{
    px__list *node = px__list_pop_front(&rt->errors);
    px__strand *s = PX_CONTAINER(node, px__strand, station);
    const px_error *error =
        s->cx ? px_context_error(s->cx) : px__stillborn_error(s);
    int code = error->code;
    px__store_relaxed(&rt->errors_listed, rt->errors_listed - 1);
    s->reported = true;
    if (out)
        *out = error;
    else
        px_error_release(error);
    return code;
}

/* --- waiting -------------------------------------------------------------- */

/* Whether nothing will ever come without somebody submitting it. */
static bool
is_idle(px_runtime *rt)
{
    return px__load_seqcst(&rt->load) == 0 && px_ilist_empty(&rt->returned);
}

static bool
has_stopped(px_runtime *rt, bool stoppable)
{
    return stoppable && px__load_seqcst(&rt->stop);
}

static int64_t
shorter(int64_t a_ns, int64_t b_ns)
{
    return a_ns >= 0 && a_ns < b_ns ? a_ns : b_ns;
}

/* Whether enough gathers while main looks on; while workers and main keep up with
 * each other it does, and neither ever sleeps. Not with a single CPU. */
static bool
gathers_soon(const px_runtime *rt)
{
    int looks = rt->takes_turns ? 0 : LOOKS;
    if (px__freedom_urgent(rt, px__load_relaxed(&rt->load)))
        return false; /* since it came in a push is half done: see nap() */
    for (; looks > 0; looks--) {
        for (int i = 0; i < PAUSES_EACH; i++)
            px__pause();
        if (px__freedom_urgent(rt, px__load_relaxed(&rt->load)))
            return true;
    }
    return false;
}

/* A few contexts are over: let more of them gather. */
static void
nap(px_runtime *rt, int64_t left_ns, bool stoppable)
{
    if (gathers_soon(rt))
        return;
    (void)px__xchg_seqcst(&rt->main_word, PX__MAIN_NAPS);
    if (!px__freedom_urgent(rt, px__load_seqcst(&rt->load)) &&
        !has_stopped(rt, stoppable))
        px__park(&rt->main_word, PX__MAIN_NAPS, shorter(left_ns, NAP_NS));
    else
        px__thread_yield(); /* a worker may be about to push (F2) */
    px__store_seqcst(&rt->main_word, PX__MAIN_AWAKE);
}

/* Nothing at all: sleep until something comes. The exchange pairs with the look
 * at main_word in px__main_wake(): one side sees the other. */
static void
wait(px_runtime *rt, int64_t left_ns, bool stoppable)
{
    (void)px__xchg_seqcst(&rt->main_word, PX__MAIN_WAITS);
    uint64_t load = px__load_seqcst(&rt->load);
    bool something = px__load_over(load) > 0 ||
                     !px_ilist_empty(&rt->returned) ||
                     has_stopped(rt, stoppable) || (left_ns < 0 && load == 0);
    if (!something)
        px__park(&rt->main_word, PX__MAIN_WAITS, left_ns);
    px__store_seqcst(&rt->main_word, PX__MAIN_AWAKE);
}

/* Let time pass. True: take what is over, even if it is little. While contexts
 * come in, main naps from the start: one that waits would be woken by the first
 * that is over, only to nap then. A nap in vain ends that. */
static bool
pause_main(px_runtime *rt, int64_t left_ns, bool stoppable)
{
    uint64_t load = px__load_seqcst(&rt->load);
    bool expects = rt->coming_in && px__load_active(load) > 0;
    bool naps = px__load_over(load) > 0 || expects;
    rt->coming_in = false;
    if (naps)
        nap(rt, left_ns, stoppable);
    else
        wait(rt, left_ns, stoppable);
    return naps;
}

/* --- turns ---------------------------------------------------------------- */

static int64_t
timeout_ns_of(int64_t timeout_ms)
{
    if (timeout_ms < 0)
        return -1;
    return timeout_ms < INT64_MAX / PX_NS_PER_MS ? timeout_ms * PX_NS_PER_MS
                                                 : INT64_MAX;
}

/* What can be done without waiting: a code < 0, 1, or 0. */
static int
work_once(px_runtime *rt, bool ripe, const px_error **error)
{
    if (ripe || px__freedom_urgent(rt, px__load_seqcst(&rt->load)))
        px__freedom_collect(rt);
    if (!px__list_empty(&rt->errors))
        return report(rt, error);
    return px__freedom_step(rt);
}

static int
turn(px_runtime *rt, int64_t timeout_ms, bool stoppable, const px_error **error)
{
    int64_t start_ns = timeout_ms > 0 ? px__now_ns() : 0;
    int64_t timeout_ns = timeout_ns_of(timeout_ms);
    bool ripe = timeout_ms == 0;
    for (;;) {
        px__freedom_attend(rt);
        int result = work_once(rt, ripe, error);
        if (result || timeout_ms == 0)
            return result;
        int64_t left_ns = px__time_left_ns(start_ns, timeout_ns);
        if (left_ns == 0 || (left_ns < 0 && is_idle(rt)) ||
            has_stopped(rt, stoppable))
            return 0;
        ripe = pause_main(rt, left_ns, stoppable);
    }
}

/* Main is in here: cleanups run in it, and must not call it. */
static void
enter(px_runtime *rt)
{
    px__store_relaxed(&rt->in_run_once, true);
}

static void
leave(px_runtime *rt)
{
    px__store_relaxed(&rt->in_run_once, false);
}

void
px__main_drain(px_runtime *rt)
{
    enter(rt);
    while (turn(rt, -1, false, NULL) != 0) {
    }
    leave(rt);
}

int
px_run_once(px_runtime *rt, int64_t timeout_ms, const px_error **error)
{
    int status = px__runtime_check_main(rt);
    if (status)
        return status;
    enter(rt);
    status = turn(rt, timeout_ms, false, error);
    leave(rt);
    return status;
}

int
px_run(px_runtime *rt, const px_error **error)
{
    int status = px__runtime_check_main(rt);
    if (status)
        return status;
    enter(rt);
    do
        status = turn(rt, -1, true, error);
    while (status > 0 && !px__load_seqcst(&rt->stop));
    leave(rt);
    if (status >= 0)
        px__store_seqcst(&rt->stop, 0);
    return status < 0 ? status : 0;
}

int
px_stop(px_runtime *rt)
{
    int status = px__runtime_check(rt);
    if (status)
        return status;
    px__store_seqcst(&rt->stop, 1);
    px__main_wake(rt, true);
    return 0;
}
