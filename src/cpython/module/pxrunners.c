/*
 * Who lets contexts run, one thread at a time: a thread in run_once(), one that waits
 * for a future, or a coordinator.
 *
 *   R1  runners = threads in run_once() or run_meanwhile(), and the coordinator at
 *       work: it keeps the others away. It changes with the GIL, but for a
 *       coordinator's.
 *   R2  A runner that waits - for a lock, or the time to pass - is none meanwhile:
 *       what main's code waits for, in a call or a done callback, may be a future,
 *       and then somebody else has to let contexts run. No runner waits so but in
 *       code of main's. One that is away is none, either: for long it has been
 *       without the GIL, in a call that does not say what it waits for.
 *   R3  harvests = deliveries of outcomes under way; delivering = those of them
 *       whose thread R2 counts. One is at a time, for the sake of
 *       main's code, until one that has waited goes on.
 *   R4  Work that nobody runs is noted as lonely by who has made it so, with the
 *       GIL; whoever drops the GIL wakes a coordinator then. Before that it could
 *       only wait for the GIL, and a thread that goes on to run callbacks itself
 *       needs none. In case that takes long a coordinator has set an alarm: after
 *       a switch interval it asks for the GIL.
 *
 * Thread rule: as said for each function in pycore_pxmodule.h.
 */
#include "pycore_pxmodule.h"

#include "pycore_ceval.h"
#include "pycore_time.h"

enum { AWAY_NS = PX_SLICE_MS_MAX * 1000000 }; /* R2: long */

/* ---- time ----------------------------------------------------------------- */

PyTime_t
_Px_NowNs(void)
{
    PyTime_t now;
    (void)PyTime_MonotonicRaw(&now);
    return now;
}

PyTime_t
_Px_SliceNs(void)
{
    const PyTime_t ms = 1000000;
    PyTime_t interval = (PyTime_t)_PyEval_GetSwitchInterval() * 1000;
    return Py_MIN(Py_MAX(interval, ms), PX_SLICE_MS_MAX * ms);
}

bool
_Px_WorldAwait(pthread_cond_t *what, PyTime_t until)
{
    struct timespec at = {.tv_sec = until / 1000000000,
                          .tv_nsec = until % 1000000000};
    return pthread_cond_clockwait(what, &_Px_world.mutex, CLOCK_MONOTONIC,
                                  &at) == 0;
}

/* ---- who lets contexts run ------------------------------------------------ */

typedef struct runner {
    unsigned runs, harvests; /* so often it is counted, unless it is out (R2) */
    int waits;               /* see _Px_Still() */
    bool out, leaves;
    PyTime_t since; /* it leaves: it has been without the GIL */
    struct runner *next;
} runner;

static __thread runner here;

/* Those that leave, the last one first. Not those that had left when the end came:
 * they never come back. */
static runner *leaving;

/* Tasks of which no worker could go on are no reason to take the GIL. */
static bool
has_work(void)
{
    bool some_can_run =
        _Px_world.active >
            _Px_world.over_count + _Px_world.blocked + _Px_world.asking &&
        _Px_world.blocked + _Px_world.asking < _Px_world.worker_count;
    return _Px_world.over_count > 0 || _Px_world.asking > 0 ||
           _Px_world.due > 0 || some_can_run;
}

static bool
is_lonely(void)
{
    return _Px_world.runners == 0 && has_work();
}

/* A coordinator that waits for longer is to look earlier. */
static void
set_alarm(PyTime_t at)
{
    if (at < _Px_world.alarm) {
        pthread_cond_signal(&_Px_world.start);
    }
}

/* When the first of those that leave is away. */
static PyTime_t
next_departure(void)
{
    PyTime_t next = PyTime_MAX;
    for (const runner *one = leaving; one; one = one->next) {
        if (!one->out) {
            next = Py_MIN(next, one->since + AWAY_NS);
        }
    }
    return next;
}

void
_Px_WorldWakeLocked(void)
{
    if (is_lonely()) {
        _Px_world.urgent = true;
        pthread_cond_signal(&_Px_world.start);
    }
    else if (has_work()) {
        set_alarm(next_departure());
    }
}

/* R4 */
void
_Px_WorldNoteLocked(void)
{
    if (!is_lonely()) {
        _Px_WorldWakeLocked();
        return;
    }
    _Px_world.lonely_until = _Px_NowNs() + _Px_SliceNs();
    __atomic_store_n(&_Px_world.lonely, true, __ATOMIC_RELAXED);
    set_alarm(_Px_world.lonely_until);
}

static void
count_runner(int more)
{
    here.runs += (unsigned)more;
    _Px_world.runners += (unsigned)more;
    if (more > 0) {
        _Px_world.urgent = false;
        __atomic_store_n(&_Px_world.lonely, false, __ATOMIC_RELAXED);
    }
}

void
_Px_WorldCountRunner(int more)
{
    _Px_WorldLock();
    count_runner(more);
    _Px_WorldNoteLocked();
    _Px_WorldUnlock();
}

/* R2 */
static void
count_out(runner *one)
{
    if (!one->out) {
        one->out = true;
        _Px_world.runners -= one->runs;
        _Px_world.delivering -= one->harvests;
        _Px_world.waiting++;
        _Px_WorldRing();
    }
}

static void
count_in(runner *one)
{
    if (one->out) {
        one->out = false;
        _Px_world.runners += one->runs;
        _Px_world.delivering += one->harvests;
        _Px_world.waiting--;
    }
}

static void
wait_as_runner(bool begins)
{
    _Px_WorldLock();
    (begins ? count_out : count_in)(&here);
    _Px_WorldWakeLocked();
    _Px_WorldUnlock();
}

/* A wait for the GIL may be part of a longer one, and counts once. A worker is
 * none of the guard's: it does not take the GIL. */
void
_Px_Still(int more)
{
    bool was = here.waits > 0;
    here.waits += more;
    bool is = here.waits > 0;
    if (was == is || _Px_IN()) {
        return;
    }
    _Px_StillThreads(is ? 1 : -1);
    if (here.runs > 0 && (more == 1 || more == -1)) {
        wait_as_runner(is);
    }
}

/* ---- runners without the GIL ---------------------------------------------- */

static void
leave(void)
{
    here.leaves = true;
    here.since = _Px_NowNs();
    here.next = leaving;
    leaving = &here;
}

static void
come_back(void)
{
    runner **at = &leaving;
    while (*at && *at != &here) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = here.next;
    }
    here.leaves = false;
    count_in(&here);
}

static void
count_out_the_away(void)
{
    PyTime_t now = _Px_NowNs();
    for (runner *one = leaving; one; one = one->next) {
        if (now - one->since >= AWAY_NS) {
            count_out(one);
        }
    }
    _Px_WorldWakeLocked();
}

void
_Px_WorldForgetLeaving(void)
{
    leaving = NULL;
}

void
_Px_GilDropped(void)
{
    bool lonely = __atomic_load_n(&_Px_world.lonely, __ATOMIC_RELAXED);
    bool leaves = here.runs > 0 && here.waits == 0 && !here.leaves;
    if ((!lonely && !leaves) || _Px_WorldForked()) {
        return;
    }
    _Px_WorldLock();
    __atomic_store_n(&_Px_world.lonely, false, __ATOMIC_RELAXED);
    if (leaves && !_Px_world.ended) {
        leave();
    }
    _Px_WorldWakeLocked();
    _Px_WorldUnlock();
}

void
_Px_WorldBack(void)
{
    if (here.leaves) {
        _Px_WorldLock();
        come_back();
        _Px_WorldUnlock();
    }
}

/* ---- harvests ------------------------------------------------------------- */

static void
count_harvest(int more)
{
    here.harvests += (unsigned)more;
    _Px_world.harvests += (unsigned)more;
    _Px_world.delivering += (unsigned)more;
    _Px_WorldRing();
}

void
_Px_WorldCountHarvest(int more)
{
    _Px_WorldLock();
    count_harvest(more);
    _Px_WorldUnlock();
}

/* What this thread has under way is nothing for others to wait for, meanwhile. */
static void
await_bell_beside(const unsigned *count)
{
    const int mine = (int)here.harvests;
    const PyTime_t until = _Px_NowNs() + PX_SLICE_MS_MAX * 1000000;
    count_harvest(-mine);
    while (*count > 0 && _Px_WorldAwait(&_Px_world.bell, until)) {
    }
    count_harvest(mine);
}

static bool
is_beside(const unsigned *count)
{
    _Px_WorldLock();
    bool beside = *count > here.harvests;
    _Px_WorldUnlock();
    return beside;
}

/* Whoever is counted again before others are is the one to deliver. */
static bool
await_others(const unsigned *count)
{
    _Px_WorldLock();
    await_bell_beside(count);
    bool over = *count == here.harvests;
    _Px_WorldUnlock();
    return over;
}

/* It is not away meanwhile (R2): what it waits for is known. */
static bool
await_others_aside(const unsigned *count)
{
    bool over;
    _Px_Still(2);
    Py_BEGIN_ALLOW_THREADS over = await_others(count);
    Py_END_ALLOW_THREADS _Px_Still(-2);
    return over;
}

bool
_Px_WorldMayDeliver(void)
{
    return !is_beside(&_Px_world.delivering) ||
           await_others_aside(&_Px_world.delivering);
}

bool
_Px_WorldAwaitHarvest(void)
{
    bool others = is_beside(&_Px_world.harvests);
    if (others) {
        (void)await_others_aside(&_Px_world.harvests);
    }
    return others;
}

/* ---- coordinators --------------------------------------------------------- */

/* When to look next whether somebody must begin. */
static PyTime_t
next_alarm(void)
{
    if (is_lonely()) {
        return _Px_world.lonely_until;
    }
    return has_work() ? next_departure() : PyTime_MAX;
}

/* Has nobody come for long, or has somebody been away for long? */
static void
await_alarm(PyTime_t at)
{
    _Px_world.alarm = at;
    (void)_Px_WorldAwait(&_Px_world.start, at);
    _Px_world.alarm = PyTime_MAX;
    if (is_lonely() && _Px_NowNs() >= _Px_world.lonely_until) {
        _Px_world.urgent = true;
    }
    count_out_the_away();
}

static void
await_urgency(void)
{
    while (!_Px_world.ended && !(_Px_world.urgent && is_lonely())) {
        PyTime_t at = next_alarm();
        if (at < PyTime_MAX) {
            await_alarm(at);
        }
        else {
            pthread_cond_wait(&_Px_world.start, &_Px_world.mutex);
        }
    }
}

bool
_Px_WorldAwaitWork(void)
{
    _Px_WorldLock();
    if (here.runs > 0) {
        count_runner(-1);
        _Px_world.idle++;
    }
    await_urgency();
    bool ended = _Px_world.ended;
    if (!ended) {
        count_runner(1);
        _Px_world.idle--;
    }
    _Px_WorldUnlock();
    return !ended;
}

bool
_Px_WorldHasWork(void)
{
    _Px_WorldLock();
    bool has = _Px_world.runners == here.runs && has_work();
    _Px_WorldUnlock();
    return has;
}

bool
_Px_WorldIsLonely(void)
{
    _Px_WorldLock();
    bool lonely = is_lonely();
    _Px_WorldUnlock();
    return lonely;
}

void
_Px_WorldCountIdle(int more)
{
    _Px_WorldLock();
    _Px_world.idle += (unsigned)more;
    _Px_WorldUnlock();
}

bool
_Px_WorldHasIdle(void)
{
    _Px_WorldLock();
    bool has = _Px_world.idle > 0;
    _Px_WorldUnlock();
    return has;
}

void
_Px_WorldCountDue(int more)
{
    _Px_WorldLock();
    _Px_world.due += (size_t)more;
    _Px_WorldUnlock();
}
