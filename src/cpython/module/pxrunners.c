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
 *       code of main's.
 *   R3  harvests = deliveries of outcomes under way; delivering = those of them
 *       whose thread does not wait as in R2. One is at a time, for the sake of
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

/* How often this thread is counted in runners and harvests; it waits, see
 * _Px_Still(). */
static __thread unsigned runs_here, harvests_here;
static __thread int waits_here;

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

void
_Px_WorldWakeLocked(void)
{
    if (is_lonely()) {
        _Px_world.urgent = true;
        pthread_cond_signal(&_Px_world.start);
    }
}

/* R4 */
void
_Px_WorldNoteLocked(void)
{
    if (!is_lonely()) {
        return;
    }
    _Px_world.lonely_until = _Px_NowNs() + _Px_SliceNs();
    __atomic_store_n(&_Px_world.lonely, true, __ATOMIC_RELAXED);
    if (!_Px_world.alarmed) {
        pthread_cond_signal(&_Px_world.start);
    }
}

void
_Px_GilDropped(void)
{
    if (!__atomic_load_n(&_Px_world.lonely, __ATOMIC_RELAXED) ||
        _Px_WorldForked()) {
        return;
    }
    _Px_WorldLock();
    __atomic_store_n(&_Px_world.lonely, false, __ATOMIC_RELAXED);
    _Px_WorldWakeLocked();
    _Px_WorldUnlock();
}

static void
count_runner(int more)
{
    runs_here += (unsigned)more;
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
wait_as_runner(bool begins)
{
    _Px_WorldLock();
    if (begins) {
        _Px_world.runners -= runs_here;
        _Px_world.delivering -= harvests_here;
        _Px_world.waiting++;
        _Px_WorldWakeLocked();
        _Px_WorldRing();
    }
    else {
        _Px_world.runners += runs_here;
        _Px_world.delivering += harvests_here;
        _Px_world.waiting--;
    }
    _Px_WorldUnlock();
}

/* A wait for the GIL may be part of a longer one, and counts once. A worker is
 * none of the guard's: it does not take the GIL. */
void
_Px_Still(int more)
{
    bool was = waits_here > 0;
    waits_here += more;
    bool is = waits_here > 0;
    if (was == is || _Px_IN()) {
        return;
    }
    _Px_StillThreads(is ? 1 : -1);
    if (runs_here > 0 && (more == 1 || more == -1)) {
        wait_as_runner(is);
    }
}

/* ---- harvests ------------------------------------------------------------- */

static void
count_harvest(int more)
{
    harvests_here += (unsigned)more;
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
    const int mine = (int)harvests_here;
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
    bool beside = *count > harvests_here;
    _Px_WorldUnlock();
    return beside;
}

/* Whoever is counted again before others are is the one to deliver. */
static bool
await_others(const unsigned *count)
{
    _Px_WorldLock();
    await_bell_beside(count);
    bool over = *count == harvests_here;
    _Px_WorldUnlock();
    return over;
}

bool
_Px_WorldMayDeliver(void)
{
    bool may = !is_beside(&_Px_world.delivering);
    if (!may) {
        Py_BEGIN_ALLOW_THREADS may = await_others(&_Px_world.delivering);
        Py_END_ALLOW_THREADS
    }
    return may;
}

bool
_Px_WorldAwaitHarvest(void)
{
    bool others = is_beside(&_Px_world.harvests);
    if (others) {
        Py_BEGIN_ALLOW_THREADS(void) await_others(&_Px_world.harvests);
        Py_END_ALLOW_THREADS
    }
    return others;
}

/* ---- coordinators --------------------------------------------------------- */

/* The alarm: has nobody come for long? */
static void
await_runner(void)
{
    _Px_world.alarmed = true;
    (void)_Px_WorldAwait(&_Px_world.start, _Px_world.lonely_until);
    _Px_world.alarmed = false;
    if (_Px_NowNs() >= _Px_world.lonely_until) {
        _Px_world.urgent = true;
    }
}

static void
await_urgency(void)
{
    while (!_Px_world.ended && !(_Px_world.urgent && is_lonely())) {
        if (is_lonely()) {
            await_runner();
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
    if (runs_here > 0) {
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
    bool has = _Px_world.runners == runs_here && has_work();
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
