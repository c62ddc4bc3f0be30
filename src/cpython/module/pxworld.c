/*
 * When contexts may run: while the world is open.
 *
 *      GIL holder   open ............ close, harvest        open ...... close
 *      workers           enter..leave                            enter..leave
 *                                ^ close waits for the last leave
 *
 * The GIL is two-sided: one ordinary thread runs, or all contexts do. Whoever
 * opens the world holds the GIL until it has closed it, and changes nothing
 * meanwhile: so whoever is inside reads main's objects without a lock. It is
 * the coordinator (pxcrew.c), or a thread in run_once(), which saves the way
 * to the coordinator and back. It closes the world when
 *
 *      enough callbacks are over, or one wants main to call something;
 *      another thread asks for the GIL (take_gil() calls _Px_GilWanted()), or a
 *      signal or a pending call is there for it;
 *      some callback is over and a switch interval has passed (if it gathers);
 *      its time is up; the end has come.
 *
 * Callbacks under way end first. But not if that takes long and somebody waits
 * for it: then they are stopped in mid-flight, at their next look at the eval
 * breaker; and one in a call that may block is as good as stopped. So a callback
 * is in one of these places:
 *
 *      OUTSIDE -enter-> INSIDE -leave-> OUTSIDE
 *                       |    ^
 *                       v    | world open, or draining
 *                      RETURNING <- stopped, or back from a call:
 *                       ^    ^
 *                 BLOCKED    SERVED <- ASKING (main to call something)
 *
 * While one is in flight, that is not OUTSIDE, and main runs, pxlimbo.c keeps
 * what it may use.
 *
 *   W1  inside > 0 only while the world is open, draining, or somebody waits in
 *       await_calm(); inside + stopped = callbacks in flight.
 *   W2  open only while the thread in _Px_WorldRun() holds the GIL.
 *   W3  active = tasks submitted and not taken from `over`; over_count of them
 *       are in `over`, oldest last.
 *   W4  Nobody takes the GIL while it holds the mutex: take_gil() locks it.
 *   W5  over_count < enough + the number of workers: each task that is over holds
 *       a context, and there are only so many. So the worker that makes it
 *       enough closes the world; the opener may take long to wake up.
 *   W6  slice counts the closings; a callback has seen nothing that main had
 *       dropped in slices before the one in which it began.
 *
 * A callback that goes on keeps nobody waiting for long. Ctrl-C ends it: with
 * SIGINT pending when the world closes, callbacks that do not end by themselves
 * very soon raise KeyboardInterrupt at their next look at the eval breaker.
 *
 * Rejected: stopping callbacks wherever they are (an allocation, say): C code
 * holds sizes and pointers of lists and dicts across one.
 *
 * Thread rule: as said for each function in pycore_px.h.
 */
#include "pycore_px.h"

#include "pycore_ceval.h"
#include "pycore_pystate.h"
#include "pycore_time.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

enum {
    SLICE_MS_MAX = 20, /* the longest that a signal waits */
    CTRL_C_NS = 20000000, /* before Ctrl-C ends callbacks */
    /* So long main waits each time for callbacks that should end. For ever
     * would not do: they may wait for main. */
    FULL_LIMBO_NS = 1000000000,
    /* So many contexts may wait for their harvest: little memory is held,
     * and far less than the system lets a process map. */
    HARVEST = 64
};

/* What makes the opener close the world: all that is pending but collecting,
 * which can wait. */
#define ASKS                                                                   \
    (_PY_GIL_DROP_REQUEST_BIT | _PY_SIGNALS_PENDING_BIT |                      \
     _PY_CALLS_TO_DO_BIT | _PY_ASYNC_EXCEPTION_BIT)

PyTime_t _Px_StopAfter = 20 * 1000000;

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t gate;  /* workers: the world may be open */
    pthread_cond_t bell;  /* who opened or closes it: look again */
    pthread_cond_t start; /* the coordinator: there may be work */
    bool open, draining, ended;
    unsigned inside, stopped;
    unsigned blocked; /* of these, in a call that may block */
    unsigned asking;  /* and these want main to call something */
    uint64_t slice;   /* W6 */
    unsigned runners; /* threads in run_once(): the coordinator keeps away */
    size_t active;
    size_t over_count;
    px_task *over;
    size_t enough;     /* so many over ring the bell */
    unsigned harvests; /* under way; the GIL may change hands meanwhile */
    px_worker *workers;
    unsigned worker_count;
} world = {.mutex = PTHREAD_MUTEX_INITIALIZER,
           .gate = PTHREAD_COND_INITIALIZER,
           .bell = PTHREAD_COND_INITIALIZER,
           .start = PTHREAD_COND_INITIALIZER};

/* What GilTaken() asks, which may not lock: it changes with the GIL. */
static int some_stopped;

static int forked;     /* this is the child of a fork: the workers are gone */
static size_t strange; /* GIL acquisitions by contexts: there are none */

static void
lock(void)
{
    pthread_mutex_lock(&world.mutex);
}

static void
unlock(void)
{
    pthread_mutex_unlock(&world.mutex);
}

/* ---- the coordinator's work ----------------------------------------------- */

/* Tasks of which no worker could go on are no reason to take the GIL. */
static bool
work_for_coordinator(void)
{
    bool some_can_run =
        world.active > world.over_count + world.blocked + world.asking &&
        world.blocked + world.asking < world.worker_count;
    return world.runners == 0 &&
           (world.over_count > 0 || world.asking > 0 || some_can_run);
}

static void
wake_coordinator(void)
{
    if (work_for_coordinator()) {
        pthread_cond_signal(&world.start);
    }
}

/* ---- workers ------------------------------------------------------------- */

static void
ring(void)
{
    pthread_cond_broadcast(&world.bell);
}

/* Who has been inside may also come back to end. */
static bool
is_let_in(px_worker *worker)
{
    if (worker->place == PX_OUTSIDE) {
        return world.open;
    }
    return (world.open || world.draining) && worker->place == PX_RETURNING;
}

/* False: the end has come for those outside. */
static bool
await_gate(px_worker *worker)
{
    while (!is_let_in(worker)) {
        if (world.ended && worker->place == PX_OUTSIDE) {
            return false;
        }
        pthread_cond_wait(&world.gate, &world.mutex);
    }
    return true;
}

static void
go_inside(px_worker *worker)
{
    worker->place = PX_INSIDE;
    world.inside++;
}

static void
go_from_inside(px_worker *worker, px_place place)
{
    worker->place = place;
    world.inside--;
    if (!world.open && world.inside == 0) {
        ring();
    }
}

bool
_Px_WorldEnter(px_worker *worker)
{
    lock();
    bool entered = await_gate(worker);
    if (entered) {
        go_inside(worker);
        worker->began = world.slice;
    }
    worker->interrupted = false;
    unlock();
    return entered;
}

void
_Px_WorldLeave(px_worker *worker, px_task *task)
{
    lock();
    task->interrupted = worker->interrupted;
    task->next = world.over;
    world.over = task;
    world.over_count++;
    if (world.open && world.over_count >= world.enough) {
        world.open = false; /* W5 */
        ring();
    }
    if (worker->place == PX_INSIDE) {
        go_from_inside(worker, PX_OUTSIDE);
    }
    unlock();
}

/* ---- workers in mid-flight ----------------------------------------------- */

static void
stop_here(px_worker *worker, px_place place)
{
    world.stopped++;
    world.blocked += place == PX_BLOCKED;
    world.asking += place == PX_ASKING;
    go_from_inside(worker, place);
}

static void
go_on(px_worker *worker)
{
    if (worker->place == PX_BLOCKED) {
        world.blocked--;
        worker->place = PX_RETURNING;
        wake_coordinator();
    }
    (void)await_gate(worker);
    world.stopped--;
    go_inside(worker);
}

static px_worker *
this_worker(void)
{
    return (px_worker *)(void *)((char *)_Px_here.cx -
                                 offsetof(px_worker, cx));
}

void
_Px_Detach(void)
{
    lock();
    stop_here(this_worker(), PX_BLOCKED);
    unlock();
}

void
_Px_Attach(void)
{
    int error = errno;
    lock();
    go_on(this_worker());
    unlock();
    errno = error;
}

void
_Px_WorldPause(void)
{
    lock();
    stop_here(this_worker(), PX_RETURNING);
    go_on(this_worker());
    unlock();
}

void
_Px_WorldAsk(px_worker *worker)
{
    lock();
    stop_here(worker, PX_ASKING);
    ring();
    wake_coordinator();
    go_on(worker);
    unlock();
}

/* ---- asking -------------------------------------------------------------- */

/* Somebody has set the bit that run() looks at, so it must look once more. */
void
_Px_GilWanted(void)
{
    if (__atomic_load_n(&forked, __ATOMIC_RELAXED)) {
        return;
    }
    lock();
    if (world.open) {
        ring();
    }
    unlock();
}

/* This thread holds the GIL: are counts exact here? */
static void
trust_counts(void)
{
    bool some = __atomic_load_n(&some_stopped, __ATOMIC_RELAXED);
    _Px_here.exact_span = some ? 0 : UINTPTR_MAX;
}

void
_Px_GilTaken(void)
{
    if (_Px_IN()) {
        (void)__atomic_fetch_add(&strange, 1, __ATOMIC_RELAXED);
    }
    else {
        trust_counts();
    }
}

size_t
_Px_StrangeGilTakes(void)
{
    return __atomic_load_n(&strange, __ATOMIC_RELAXED);
}

/* ---- waiting for the bell ------------------------------------------------ */

static PyTime_t
now_ns(void)
{
    PyTime_t now;
    (void)PyTime_MonotonicRaw(&now);
    return now;
}

/* A GIL switch interval, within reason. */
static PyTime_t
slice_ns(void)
{
    const PyTime_t ms = 1000000;
    PyTime_t interval = (PyTime_t)_PyEval_GetSwitchInterval() * 1000;
    return Py_MIN(Py_MAX(interval, ms), SLICE_MS_MAX * ms);
}

/* False when it did not ring until then. */
static bool
await_bell(PyTime_t until)
{
    struct timespec at = {.tv_sec = until / 1000000000,
                          .tv_nsec = until % 1000000000};
    return pthread_cond_clockwait(&world.bell, &world.mutex, CLOCK_MONOTONIC,
                                  &at) == 0;
}

/* ---- opening and closing ------------------------------------------------- */

static bool
asked(PyThreadState *tstate)
{
    return _Py_atomic_load_uintptr_relaxed(&tstate->eval_breaker) & ASKS;
}

/* Whether whoever has the GIL has nothing else to do but to wait. */
static bool
may_wait(PyThreadState *tstate, PyTime_t now, PyTime_t deadline)
{
    return world.asking == 0 && !asked(tstate) && !world.ended &&
           now < deadline;
}

static void
stay_open(PyThreadState *tstate, bool gather, PyTime_t deadline)
{
    const PyTime_t slice = slice_ns();
    PyTime_t now = now_ns();
    while (world.over_count < world.enough && may_wait(tstate, now, deadline)) {
        bool some = world.over_count > 0;
        PyTime_t next = deadline - now < slice ? deadline : now + slice;
        bool rang = await_bell(next);
        now = now_ns();
        if (!rang && gather && some) {
            return;
        }
    }
}

/* Nobody new comes in; those in flight end. */
static void
drain(PyThreadState *tstate, PyTime_t deadline)
{
    const PyTime_t slice = slice_ns();
    PyTime_t now = now_ns();
    world.draining = true;
    pthread_cond_broadcast(&world.gate);
    while (world.inside + world.stopped > 0 &&
           may_wait(tstate, now, deadline)) {
        (void)await_bell(deadline - now < slice ? deadline : now + slice);
        now = now_ns();
    }
    world.draining = false;
}

static bool
ctrl_c_pending(void)
{
    return _Py_atomic_load_int_relaxed(
        &_PyRuntime.signals.handlers[SIGINT].tripped);
}

/* What the bits mean to a context: see _Px_HandlePending(). */
static void
stop_callbacks(void)
{
    for (unsigned i = 0; i < world.worker_count; i++) {
        px_worker *worker = &world.workers[i];
        if (worker->place == PX_INSIDE) {
            _Py_set_eval_breaker_bit(worker->tstate, _PY_GIL_DROP_REQUEST_BIT);
        }
    }
}

static void
interrupt_callbacks(void)
{
    for (unsigned i = 0; i < world.worker_count; i++) {
        px_worker *worker = &world.workers[i];
        if (worker->place != PX_OUTSIDE) {
            worker->interrupted = true;
            _Py_set_eval_breaker_bit(worker->tstate, _PY_SIGNALS_PENDING_BIT);
        }
    }
}

/* Somebody waits, and has waited for long. */
static bool
must_stop(PyThreadState *tstate, PyTime_t began, PyTime_t deadline)
{
    PyTime_t now = now_ns();
    PyTime_t patience = _Px_LimboFull() ? FULL_LIMBO_NS : _Px_StopAfter;
    bool wanted = _Py_eval_breaker_bit_is_set(tstate, _PY_GIL_DROP_REQUEST_BIT);
    return world.asking > 0 || now >= deadline ||
           (wanted && now - began >= patience);
}

static void
await_calm(PyThreadState *tstate, PyTime_t deadline)
{
    const PyTime_t began = now_ns();
    const PyTime_t look = Py_MIN(SLICE_MS_MAX / 2 * 1000000, _Px_StopAfter + 1);
    while (world.inside > 0) {
        if (ctrl_c_pending() && now_ns() - began >= CTRL_C_NS) {
            interrupt_callbacks();
        }
        else if (must_stop(tstate, began, deadline)) {
            stop_callbacks();
        }
        (void)await_bell(now_ns() + look);
    }
    if (ctrl_c_pending()) {
        interrupt_callbacks();
    }
}

/* A slice of main's begins. */
static void
begin_slice(void)
{
    world.slice++;
    __atomic_store_n(&some_stopped, world.stopped > 0, __ATOMIC_RELAXED);
    trust_counts();
    if (world.stopped > 0) {
        _Px_LimboBeginSlice(world.slice);
    }
}

void
_Px_WorldRun(px_run_how how, PyTime_t deadline)
{
    PyThreadState *tstate = _PyThreadState_GET();
    lock();
    if (how == PX_DRAIN || _Px_LimboFull()) {
        drain(tstate, deadline);
    }
    else {
        world.open = !world.ended;
        world.enough = how == PX_GATHER ? Py_MIN(world.active, HARVEST) : 1;
        pthread_cond_broadcast(&world.gate);
        stay_open(tstate, how == PX_GATHER, deadline);
        world.open = false;
    }
    await_calm(tstate, deadline);
    begin_slice();
    unlock();
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
    lock();
    for (unsigned i = 0; i < world.worker_count && !found; i++) {
        found = looks_into(&world.workers[i], object);
    }
    unlock();
    return found;
}

/* ---- main's calls for callbacks ------------------------------------------ */

px_worker *
_Px_WorldNextAsking(void)
{
    px_worker *found = NULL;
    lock();
    for (unsigned i = 0; i < world.worker_count && !found; i++) {
        found = world.workers[i].place == PX_ASKING ? &world.workers[i] : NULL;
    }
    if (found) {
        found->place = PX_SERVED;
        world.asking--;
        world.blocked++;
    }
    unlock();
    return found;
}

void
_Px_WorldAnswered(px_worker *worker)
{
    lock();
    worker->place = PX_RETURNING;
    world.blocked--;
    wake_coordinator();
    unlock();
}

uint64_t
_Px_WorldOldest(void)
{
    uint64_t oldest = UINT64_MAX;
    lock();
    for (unsigned i = 0; i < world.worker_count; i++) {
        if (world.workers[i].place != PX_OUTSIDE) {
            oldest = Py_MIN(oldest, world.workers[i].began);
        }
    }
    unlock();
    return oldest;
}

unsigned
_Px_WorldInFlight(void)
{
    lock();
    unsigned count = world.inside + world.stopped;
    unlock();
    return count;
}

/* ---- tasks --------------------------------------------------------------- */

bool
_Px_WorldAdd(void)
{
    lock();
    bool ended = world.ended;
    if (!ended) {
        world.active++;
        wake_coordinator();
    }
    unlock();
    return !ended;
}

void
_Px_WorldWithdraw(void)
{
    lock();
    world.active--;
    unlock();
}

px_task *
_Px_WorldTake(void)
{
    px_task *oldest = NULL;
    lock();
    px_task *newest = world.over;
    world.over = NULL;
    world.active -= world.over_count;
    world.over_count = 0;
    unlock();
    while (newest) {
        px_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

size_t
_Px_WorldActive(void)
{
    lock();
    size_t active = world.active;
    unlock();
    return active;
}

void
_Px_WorldCountRunner(int more)
{
    lock();
    world.runners += (unsigned)more;
    wake_coordinator();
    unlock();
}

bool
_Px_WorldHasWork(void)
{
    lock();
    bool has = work_for_coordinator();
    unlock();
    return has;
}

void
_Px_WorldCountHarvest(int more)
{
    lock();
    world.harvests += (unsigned)more;
    ring();
    unlock();
}

bool
_Px_WorldHarvests(unsigned mine)
{
    lock();
    bool others = world.harvests > mine;
    unlock();
    return others;
}

void
_Px_WorldAwaitHarvest(unsigned mine)
{
    lock();
    if (world.harvests > mine) {
        (void)await_bell(now_ns() + SLICE_MS_MAX * 1000000);
    }
    unlock();
}

bool
_Px_WorldAwaitWork(void)
{
    lock();
    while (!world.ended && !work_for_coordinator()) {
        pthread_cond_wait(&world.start, &world.mutex);
    }
    bool ended = world.ended;
    unlock();
    return !ended;
}

/* ---- beginning and end --------------------------------------------------- */

static void
after_fork_in_child(void)
{
    __atomic_store_n(&forked, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&some_stopped, 0, __ATOMIC_RELAXED);
    trust_counts();
}

bool
_Px_WorldForked(void)
{
    return __atomic_load_n(&forked, __ATOMIC_RELAXED);
}

void
_Px_WorldBegin(px_worker *workers, unsigned count)
{
    lock();
    world.workers = workers;
    world.worker_count = count;
    unlock();
    (void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

void
_Px_WorldEnd(void)
{
    lock();
    world.open = false;
    world.ended = true;
    pthread_cond_broadcast(&world.gate);
    ring();
    pthread_cond_broadcast(&world.start);
    unlock();
}

bool
_Px_WorldEnded(void)
{
    lock();
    bool ended = world.ended;
    unlock();
    return ended;
}
