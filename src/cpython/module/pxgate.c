/*
 * Where callbacks are: into the world, out of it, and to a halt in mid-flight.
 *
 *      OUTSIDE -enter-> INSIDE -leave-> OUTSIDE
 *                       |    ^
 *                       v    | world open, or draining
 *                      RETURNING <- stopped, or back from a call:
 *                       ^    ^
 *                 BLOCKED    SERVED <- ASKING (main to call something)
 *
 * A callback is stopped at its look at the eval breaker, when it has been told
 * to; in a call that may block it is as good as stopped; and it stops to wait
 * for an answer of main's. While one is in flight, that is not OUTSIDE, and main
 * runs, pxlimbo.c keeps what it may use.
 *
 *   G1  inside = workers INSIDE; stopped = those in flight but not inside;
 *       blocked = those BLOCKED or SERVED; asking = those ASKING.
 *   G2  A place changes with the mutex, by its worker; but for ASKING and SERVED,
 *       which main changes.
 *   G3  A callback has seen nothing that main had dropped in slices before the
 *       one in which it began.
 *   G4  runners = threads in run_once() or run_meanwhile(), and the coordinator at
 *       work: it keeps the others away. It changes with the GIL, but for a
 *       coordinator's.
 *   G5  A runner that waits - for a lock, or the time to pass - is none meanwhile:
 *       what main's code waits for, in a call or a done callback, may be a future,
 *       and then somebody else has to let contexts run. No runner waits so but in
 *       code of main's.
 *
 *   G6  Work that nobody runs is noted as lonely by who has made it so, with the
 *       GIL; whoever drops the GIL wakes a coordinator then. Before that it could
 *       only wait for the GIL, and a thread that goes on to run callbacks itself
 *       needs none. In case that takes long a coordinator has set an alarm: after
 *       a switch interval it asks for the GIL.
 *
 * Rejected: stopping callbacks wherever they are (an allocation, say): C code
 * holds sizes and pointers of lists and dicts across one.
 *
 * Thread rule: as said for each function in pycore_pxmodule.h.
 */
#include "pycore_pxmodule.h"

#include "pycore_ceval.h"
#include "pycore_time.h"

#include <errno.h>

struct _Px_world _Px_world _Px_STATE = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                        .gate = PTHREAD_COND_INITIALIZER,
                                        .bell = PTHREAD_COND_INITIALIZER,
                                        .start = PTHREAD_COND_INITIALIZER};

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

/* How often this thread is counted in runners; it waits, see _Px_Still(). */
static __thread unsigned runs_here;
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

/* G6 */
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

/* G5 */
static void
wait_as_runner(bool begins)
{
    _Px_WorldLock();
    if (begins) {
        _Px_world.runners -= runs_here;
        _Px_world.waiting++;
        _Px_WorldWakeLocked();
    }
    else {
        _Px_world.runners += runs_here;
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

/* ---- workers ------------------------------------------------------------- */

/* Who has been inside may also come back to end. */
static bool
is_let_in(px_worker *worker)
{
    if (worker->place == PX_OUTSIDE) {
        return _Px_world.open;
    }
    return (_Px_world.open || _Px_world.draining) &&
           worker->place == PX_RETURNING;
}

/* False: the end has come for those outside. */
static bool
await_gate(px_worker *worker)
{
    while (!is_let_in(worker)) {
        if (_Px_world.ended && worker->place == PX_OUTSIDE) {
            return false;
        }
        pthread_cond_wait(&_Px_world.gate, &_Px_world.mutex);
    }
    return true;
}

static void
go_inside(px_worker *worker)
{
    worker->place = PX_INSIDE;
    _Px_world.inside++;
}

static void
go_from_inside(px_worker *worker, px_place place)
{
    worker->place = place;
    _Px_world.inside--;
    if (!_Px_world.open && _Px_world.inside == 0) {
        _Px_WorldRing();
    }
}

bool
_Px_WorldEnter(px_worker *worker)
{
    _Px_WorldLock();
    bool entered = await_gate(worker);
    if (entered) {
        go_inside(worker);
        worker->began = _Px_world.slice;
    }
    worker->interrupted = false;
    _Px_WorldUnlock();
    return entered;
}

/* A task that never began has no outcome. */
static void
add_up(const px_use *use, const px_task *task)
{
    if (!task->outcome) {
        return;
    }
    _Px_world.total.callbacks++;
    _Px_world.total.failed += task->failed;
    _Px_world.total.counting += use->counting;
    _Px_world.total.bytes += use->bytes;
    _Px_world.total.collections += use->collections;
    _Px_world.total.largest = Py_MAX(_Px_world.total.largest, use->bytes);
}

void
_Px_WorldLeave(px_worker *worker, px_task *task)
{
    _Px_WorldLock();
    add_up(&worker->use, task);
    task->interrupted = worker->interrupted;
    task->next = _Px_world.over;
    _Px_world.over = task;
    _Px_world.over_count++;
    if (_Px_world.open && _Px_world.over_count >= _Px_world.enough) {
        _Px_world.open = false; /* W5 */
        _Px_WorldRing();
    }
    if (worker->place == PX_INSIDE) {
        go_from_inside(worker, PX_OUTSIDE);
    }
    _Px_WorldUnlock();
}

/* ---- workers in mid-flight ----------------------------------------------- */

static void
stop_here(px_worker *worker, px_place place)
{
    _Px_world.stopped++;
    _Px_world.blocked += place == PX_BLOCKED;
    _Px_world.asking += place == PX_ASKING;
    go_from_inside(worker, place);
}

static void
go_on(px_worker *worker)
{
    if (worker->place == PX_BLOCKED) {
        _Px_world.blocked--;
        worker->place = PX_RETURNING;
        _Px_WorldWakeLocked();
    }
    (void)await_gate(worker);
    _Px_world.stopped--;
    go_inside(worker);
}

static px_worker *
this_worker(void)
{
    return (px_worker *)(void *)((char *)_Px_here.cx - offsetof(px_worker, cx));
}

/* These two come in pairs, but where code about to be refused swaps thread
 * states. */
void
_Px_Detach(void)
{
    px_worker *worker = this_worker();
    _Px_WorldLock();
    if (worker->place == PX_INSIDE) {
        stop_here(worker, PX_BLOCKED);
    }
    _Px_WorldUnlock();
}

void
_Px_Attach(void)
{
    int error = errno;
    px_worker *worker = this_worker();
    _Px_WorldLock();
    if (worker->place == PX_BLOCKED) {
        go_on(worker);
    }
    _Px_WorldUnlock();
    _Px_FixClasses();
    errno = error;
}

void
_Px_WorldPause(void)
{
    _Px_WorldLock();
    stop_here(this_worker(), PX_RETURNING);
    go_on(this_worker());
    _Px_WorldUnlock();
    _Px_FixClasses();
}

void
_Px_WorldAsk(px_worker *worker)
{
    _Px_WorldLock();
    stop_here(worker, PX_ASKING);
    _Px_WorldRing();
    _Px_WorldWakeLocked();
    go_on(worker);
    _Px_WorldUnlock();
    _Px_FixClasses();
}

/* ---- main asks about callbacks in flight --------------------------------- */

static bool
looks_into(const px_worker *worker, const void *object)
{
    const _Px_export *export = NULL;
    if (worker->place != PX_OUTSIDE) {
        export = worker->cx.exports;
    }
    while (export && export->object != object) {
        export = export->next;
    }
    return export;
}

int
_Px_IsExported(const void *object)
{
    bool found = false;
    _Px_WorldLock();
    for (unsigned i = 0; i < _Px_world.worker_count && !found; i++) {
        found = looks_into(&_Px_world.workers[i], object);
    }
    _Px_WorldUnlock();
    return found;
}

/* ---- main's calls for callbacks ------------------------------------------ */

px_worker *
_Px_WorldNextAsking(void)
{
    px_worker *found = NULL;
    _Px_WorldLock();
    for (unsigned i = 0; i < _Px_world.worker_count && !found; i++) {
        found = _Px_world.workers[i].place == PX_ASKING ? &_Px_world.workers[i]
                                                        : NULL;
    }
    if (found) {
        found->place = PX_SERVED;
        _Px_world.asking--;
        _Px_world.blocked++;
    }
    _Px_WorldUnlock();
    return found;
}

void
_Px_WorldAnswered(px_worker *worker)
{
    _Px_WorldLock();
    worker->place = PX_RETURNING;
    _Px_world.blocked--;
    _Px_WorldWakeLocked();
    _Px_WorldUnlock();
}

uint64_t
_Px_WorldOldest(void)
{
    uint64_t oldest = UINT64_MAX;
    _Px_WorldLock();
    for (unsigned i = 0; i < _Px_world.worker_count; i++) {
        if (_Px_world.workers[i].place != PX_OUTSIDE) {
            oldest = Py_MIN(oldest, _Px_world.workers[i].began);
        }
    }
    _Px_WorldUnlock();
    return oldest;
}

unsigned
_Px_WorldInFlight(void)
{
    _Px_WorldLock();
    unsigned count = _Px_world.inside + _Px_world.stopped;
    _Px_WorldUnlock();
    return count;
}

static unsigned
count_served(void)
{
    unsigned served = 0;
    for (unsigned i = 0; i < _Px_world.worker_count; i++) {
        served += _Px_world.workers[i].place == PX_SERVED;
    }
    return served;
}

px_census
_Px_WorldCensus(void)
{
    _Px_WorldLock();
    px_census now = {.workers = _Px_world.worker_count,
                     .running = _Px_world.inside,
                     .stopped = _Px_world.stopped,
                     .blocked = _Px_world.blocked,
                     .asking = _Px_world.asking,
                     .served = count_served(),
                     .waiting = _Px_world.waiting,
                     .active = _Px_world.active,
                     .over = _Px_world.over_count,
                     .slices = _Px_world.slice,
                     .total = _Px_world.total};
    _Px_WorldUnlock();
    return now;
}
