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
 *
 * Rejected: stopping callbacks wherever they are (an allocation, say): C code
 * holds sizes and pointers of lists and dicts across one.
 *
 * Thread rule: as said for each function in pycore_pxmodule.h.
 */
#include "pycore_pxmodule.h"

#include "pycore_ceval.h"

#include <errno.h>

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
    while (!is_let_in(worker) && !_Px_WorldForked()) {
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
