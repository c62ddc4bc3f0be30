/*
 * The monitor: a thread that looks, each TICK_NS, for what nobody else can see:
 * a loop that waits while its last holder runs a long callback, work that waits
 * for a worker, callbacks that stall, a main thread that stays away.
 *
 * It sleeps while no worker is awake (after QUIET_TICKS, so that a stream of
 * short callbacks does not wake it each time); a worker that wakes up wakes it,
 * too. A worker is awake from its first callback until it finds no other; who
 * waits in the loop is not.
 *
 *   ticks    TICK_NS ---- nothing to do, BUSY_TICKS times ----> twice as long,
 *               ^                                               up to LONG_TICK_NS
 *               +--------- somebody woken, or a turn due -----------+
 *
 * A tick is dear: on a virtual machine 30 us of a CPU, of which the timer and the
 * switch are most. Each TICK_NS that is 4 % of one, and more for those whom it
 * interrupts; a server of short callbacks gained 6 % by ticks that are longer.
 *
 * Invariants
 *   N1  asleep is announced before the workers are looked at once more, and a
 *       worker says that it is awake before it looks at asleep: so a callback
 *       never runs unseen for longer than two ticks
 *   N2  ticks are short while the monitor is of use, and never longer than
 *       LONG_TICK_NS
 *
 * Thread rule: its own thread; px__monitor_wake() from any.
 */
#include "platform/clock.h"
#include "platform/park.h"
#include "runtime/runtime.h"

enum { TICK_NS = 750 * PX_NS_PER_US, LONG_TICK_NS = 4 * TICK_NS };
enum { QUIET_TICKS = 20, BUSY_TICKS = 64 };

/* How long the next tick is, and how many were in vain. */
typedef struct pace {
    int64_t tick_ns;
    unsigned idle;
} pace;

/* What the workers did since the last tick. */
typedef struct watch {
    int64_t now_ns;
    unsigned awake;
    unsigned stuck; /* of these have not got on: a callback, or no CPU */
} watch;

/* Count a callback that runs too long, once. */
static void
watch_stall(px_runtime *rt, px__worker *w, int64_t now_ns)
{
    if (rt->stall_ns && !w->seen_stalled &&
        now_ns - w->seen_since_ns >= rt->stall_ns) {
        w->seen_stalled = true;
        px__add_relaxed(&rt->stalls, 1);
    }
}

static void
watch_worker(px_runtime *rt, px__worker *w, watch *seen)
{
    bool awake = px__load_seqcst(&w->awake);        /* N1 */
    uint64_t serial = px__load_relaxed(&w->serial); /* a count, no more */
    seen->awake += awake;
    if (serial != w->seen_serial) {
        w->long_ns += w->seen_until_ns - w->seen_since_ns;
        w->seen_serial = serial;
        w->seen_since_ns = w->seen_until_ns = seen->now_ns;
        w->seen_stalled = false;
        return;
    }
    seen->stuck += awake;
    if (serial % 2) {
        w->seen_until_ns = seen->now_ns;
        watch_stall(rt, w, seen->now_ns);
    }
}

static watch
watch_workers(px_runtime *rt)
{
    watch seen = {.now_ns = px__now_ns()};
    for (unsigned i = 0; i < rt->worker_count; i++)
        watch_worker(rt, &rt->workers[i], &seen);
    return seen;
}

/* Whether somebody should be woken for what waits: a crowd (crowd.c) is left
 * alone as long as it gets on. */
static bool
may_wake(const px_runtime *rt, const watch *seen)
{
    return px__crew_has_room(rt) || seen->stuck >= seen->awake;
}

/* Nobody took the baton since the last tick, though the loop wants a holder: one
 * is woken, or who runs strands takes a turn before the next. Whether it does. */
static bool
watch_loop(px_runtime *rt, const watch *seen, uint64_t *seen_turns)
{
    uint64_t turns = px__load_relaxed(&rt->turns);
    bool due = turns == *seen_turns && px__loop_waiting(rt);
    *seen_turns = turns;
    if (due && may_wake(rt, seen))
        px__crew_notify(rt);
    else
        px__store_relaxed(&rt->loop_due, due);
    return due;
}

/* Work that waits for a whole tick is worth another worker (see share() in
 * dispatch.c). Whether there was one to wake. */
static bool
watch_queues(px_runtime *rt, const watch *seen)
{
    return px__strand_waiting(rt) && may_wake(rt, seen) && px__crew_notify(rt);
}

/* N2. */
static void
keep_pace(pace *p, bool of_use)
{
    p->idle = of_use ? 0 : p->idle + 1;
    if (of_use)
        p->tick_ns = TICK_NS;
    else if (p->idle > BUSY_TICKS && p->tick_ns < LONG_TICK_NS)
        p->tick_ns *= 2;
}

static void
sleep_until_woken(px_runtime *rt)
{
    uint32_t seen = px__load_acquire(&rt->monitor_word);
    px__store_seqcst(&rt->monitor_asleep, true); /* N1 */
    if (!watch_workers(rt).awake && !px__load_seqcst(&rt->stopping))
        px__park(&rt->monitor_word, seen, -1);
    px__store_seqcst(&rt->monitor_asleep, false);
}

void
px__monitor_wake(px_runtime *rt)
{
    px__store_relaxed(&rt->monitor_asleep, false); /* one call does */
    px__add_seqcst(&rt->monitor_word, 1);
    px__unpark_one(&rt->monitor_word);
}

static void
tick(px_runtime *rt, int64_t tick_ns)
{
    uint32_t seen = px__load_acquire(&rt->monitor_word);
    if (!px__load_seqcst(&rt->stopping))
        px__park(&rt->monitor_word, seen, tick_ns);
}

void
px__monitor_main(void *runtime)
{
    px_runtime *rt = runtime;
    uint64_t seen_turns = 0;
    int quiet = 0;
    pace next = {.tick_ns = TICK_NS};
    while (!px__load_seqcst(&rt->stopping)) {
        tick(rt, next.tick_ns);
        watch seen = watch_workers(rt);
        quiet = seen.awake ? 0 : quiet + 1;
        bool due = watch_loop(rt, &seen, &seen_turns);
        keep_pace(&next, watch_queues(rt, &seen) || due);
        px__crowd_watch(rt, seen.now_ns);
        px__freedom_watch(rt);
        if (quiet > QUIET_TICKS) {
            sleep_until_woken(rt);
            next = (pace){.tick_ns = TICK_NS};
            px__crowd_restart(rt);
        }
    }
}
