/*
 * How many workers are of use: as many as get a CPU.
 *
 *   monitor, at each sample of SAMPLE_TICKS ticks
 *     callbacks took ticks, although they   --> all are: who computes or blocks
 *     had a CPU                                 must not hold up the others
 *     workers waited for a CPU              --> fewer, by as many as waited
 *     neither, for `patience` samples       --> one more
 *
 * A worker for each CPU is too many where other threads want the CPUs as well: a
 * client on the same machine, the main thread, another process. The workers then
 * drive each other and their own clients from the CPUs, once for each few
 * requests. Measured, a client and the server on two CPUs, 64 connections: the
 * second worker costs a fifth of the requests. One that does not get a CPU is
 * not missed: with short callbacks those that run take its share.
 *
 * `useful` bounds whom px__crew_share() wakes, and no more: it holds nobody up
 * who runs, and the monitor wakes somebody when those awake do not get on.
 *
 * Invariants
 *   V1  1 <= useful <= workers
 *   V2  where the system does not say how long a thread waited, all are useful;
 *       and with the option all_workers
 *   V3  to look again whether one more is useful costs a sample in a crowd; so
 *       patience doubles when it was not, and is halved while all are
 *
 * Thread rule: the monitor.
 * Rejected: the load average (of the machine, not of our CPUs, and of the last
 * minute); CPU time against time (a thread that blocks looks like one that
 * waits); counting preemptions (a worker that is woken and waits has none).
 */
#include "runtime/crowd.h"

#include "base/atomic.h"
#include "runtime/runtime.h"

/* Of the time of a sample, in parts: waits that make a crowd, and callbacks that
 * make a reason to leave it alone, for HOLD samples. A preempted callback is
 * seen for a tick longer than it waited, at most: hence two ticks. */
enum { SAMPLE_TICKS = 8, CROWD_PART = 4, LONG_PART = 4 };
enum { LEAST_PATIENCE = 4, MOST_PATIENCE = 256, HOLD = 32 };

/* What @w has waited since it was asked last; 0 if that is not known (V2), or
 * nothing has run there since. */
static int64_t
ask(px__worker *w)
{
    if (w->asked_serial == w->seen_serial)
        return 0;
    w->asked_serial = w->seen_serial;
    int64_t before_ns = w->asked_waited_ns;
    int64_t now_ns = px__thread_waited_ns(px__load_acquire(&w->system_id));
    if (now_ns < 0)
        return 0;
    w->asked_waited_ns = now_ns;
    return now_ns - before_ns;
}

/* A callback that was preempted took ticks because it waited. */
static void
ask_workers(px_runtime *rt, px__crowd_sample *s)
{
    for (unsigned i = 0; i < rt->worker_count; i++) {
        px__worker *w = &rt->workers[i];
        int64_t waited_ns = ask(w);
        int64_t long_ns = w->long_ns;
        w->long_ns = 0;
        s->waited_ns += waited_ns;
        if (long_ns > waited_ns)
            s->long_ns += long_ns - waited_ns;
    }
}

static void
make_room(px__crowd *crowd, const px__crowd_sample *s)
{
    unsigned drop = 1 + (unsigned)(s->waited_ns / s->spent_ns);
    crowd->calm = 0;
    if (crowd->useful == 1)
        return; /* V1 */
    px__store_relaxed(&crowd->useful,
                      crowd->useful > drop ? crowd->useful - drop : 1);
    if (crowd->patience < MOST_PATIENCE)
        crowd->patience *= 2; /* V3 */
}

static void
try_one_more(px__crowd *crowd)
{
    if (++crowd->calm < crowd->patience)
        return;
    crowd->calm = 0;
    if (crowd->useful < crowd->workers)
        px__store_relaxed(&crowd->useful, crowd->useful + 1);
    else if (crowd->patience > LEAST_PATIENCE)
        crowd->patience /= 2; /* V3 */
}

void
px__crowd_judge(px__crowd *crowd, const px__crowd_sample *s)
{
    if (s->long_ns > s->spent_ns / LONG_PART) {
        px__store_relaxed(&crowd->useful, crowd->workers);
        crowd->hold = HOLD;
    } else if (crowd->hold) {
        crowd->hold--;
    } else if (s->waited_ns > s->spent_ns / CROWD_PART) {
        make_room(crowd, s);
    } else {
        try_one_more(crowd);
    }
}

void
px__crowd_init(px__crowd *crowd, unsigned workers, bool fixed)
{
    *crowd = (px__crowd){.useful = workers,
                         .workers = workers,
                         .fixed = fixed,
                         .patience = LEAST_PATIENCE};
}

void
px__crowd_restart(px_runtime *rt)
{
    rt->crowd.ticks = 0;
}

void
px__crowd_watch(px_runtime *rt, int64_t now_ns)
{
    px__crowd *crowd = &rt->crowd;
    if (crowd->fixed || crowd->workers == 1)
        return;
    if (crowd->ticks == 0)
        crowd->since_ns = now_ns;
    if (crowd->ticks++ < SAMPLE_TICKS)
        return;
    crowd->ticks = 0;
    px__crowd_sample s = {.spent_ns = now_ns - crowd->since_ns};
    ask_workers(rt, &s);
    px__crowd_judge(crowd, &s);
}
