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
 *      enough callbacks are over;
 *      another thread asks for the GIL (take_gil() calls _Px_GilWanted()), or a
 *      signal or a pending call is there for it;
 *      some callback is over and a switch interval has passed (if it gathers);
 *      its time is up; the end has come.
 *
 *   W1  inside > 0 only while the world is open or somebody waits in close.
 *   W2  open only while the thread in _Px_WorldRun() holds the GIL.
 *   W3  active = tasks submitted and not taken from `over`; over_count of them
 *       are in `over`, oldest last.
 *   W4  Nobody takes the GIL while it holds the mutex: take_gil() locks it.
 *   W5  over_count < enough + the number of workers: each task that is over holds
 *       a context, and there are only so many. So the worker that makes it
 *       enough closes the world; the opener may take long to wake up.
 *
 * A callback that goes on keeps the world from closing. Ctrl-C ends it: when
 * SIGINT has been pending for GRACE_SLICES, callbacks inside raise
 * KeyboardInterrupt at their next look at the eval breaker.
 *
 * Rejected: stopping callbacks in mid-flight, until main's dropped references
 * have a limbo to live in (they may be in use inside).
 *
 * Thread rule: as said for each function in pycore_px.h.
 */
#include "pycore_px.h"

#include "pycore_ceval.h"
#include "pycore_pystate.h"
#include "pycore_time.h"

#include <pthread.h>
#include <signal.h>

enum {
    SLICE_MS_MAX = 20, /* the longest that a signal waits */
    GRACE_SLICES = 20, /* before Ctrl-C ends callbacks */
    /* So many contexts may wait for their harvest: little memory is held,
     * and far less than the system lets a process map. */
    HARVEST = 64
};

/* What makes the opener close the world: all that is pending but collecting,
 * which can wait. */
#define ASKS                                                                   \
    (_PY_GIL_DROP_REQUEST_BIT | _PY_SIGNALS_PENDING_BIT |                      \
     _PY_CALLS_TO_DO_BIT | _PY_ASYNC_EXCEPTION_BIT)

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t gate;  /* workers: the world may be open */
    pthread_cond_t bell;  /* who opened or closes it: look again */
    pthread_cond_t start; /* the coordinator: there may be work */
    bool open, ended;
    unsigned inside;
    unsigned runners; /* threads in run_once(): the coordinator keeps away */
    size_t active;
    size_t over_count;
    px_task *over;
    size_t enough;     /* so many over ring the bell */
    unsigned harvests; /* under way; the GIL may change hands meanwhile */
    px_worker *workers;
    unsigned worker_count;
} world _Px_STATE = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                     .gate = PTHREAD_COND_INITIALIZER,
                     .bell = PTHREAD_COND_INITIALIZER,
                     .start = PTHREAD_COND_INITIALIZER};

static int forked
    _Px_STATE; /* this is the child of a fork: the workers are gone */
static size_t strange
    _Px_STATE; /* GIL acquisitions by contexts: there are none */

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

/* ---- workers ------------------------------------------------------------- */

bool
_Px_WorldEnter(px_worker *worker)
{
    lock();
    while (!world.open && !world.ended) {
        pthread_cond_wait(&world.gate, &world.mutex);
    }
    bool entered = !world.ended;
    world.inside += entered;
    worker->inside = entered;
    worker->interrupted = false;
    unlock();
    return entered;
}

void
_Px_WorldLeave(px_worker *worker, px_task *task)
{
    lock();
    world.inside -= worker->inside;
    worker->inside = false;
    task->interrupted = worker->interrupted;
    task->next = world.over;
    world.over = task;
    world.over_count++;
    bool enough = world.open && world.over_count >= world.enough;
    world.open = world.open && !enough; /* W5 */
    if (enough || (!world.open && world.inside == 0)) {
        pthread_cond_broadcast(&world.bell);
    }
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
        pthread_cond_broadcast(&world.bell);
    }
    unlock();
}

void
_Px_GilTaken(void)
{
    if (_Px_IN()) {
        (void)__atomic_fetch_add(&strange, 1, __ATOMIC_RELAXED);
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

static void
stay_open(PyThreadState *tstate, bool gather, PyTime_t deadline)
{
    const PyTime_t slice = slice_ns();
    PyTime_t now = now_ns();
    while (world.over_count < world.enough && !asked(tstate) && !world.ended &&
           now < deadline) {
        bool some = world.over_count > 0;
        PyTime_t next = deadline - now < slice ? deadline : now + slice;
        bool rang = await_bell(next);
        now = now_ns();
        if (!rang && gather && some) {
            return;
        }
    }
}

static bool
ctrl_c_pending(void)
{
    return _Py_atomic_load_int_relaxed(
        &_PyRuntime.signals.handlers[SIGINT].tripped);
}

/* What the bit means to a context: see _Px_HandlePending(). */
static void
interrupt_callbacks(void)
{
    for (unsigned i = 0; i < world.worker_count; i++) {
        px_worker *worker = &world.workers[i];
        if (worker->inside) {
            worker->interrupted = true;
            _Py_set_eval_breaker_bit(worker->tstate, _PY_SIGNALS_PENDING_BIT);
        }
    }
}

static void
await_calm(void)
{
    int slices = 0;
    while (world.inside > 0) {
        if (await_bell(now_ns() + SLICE_MS_MAX / 2 * 1000000)) {
            continue;
        }
        slices = ctrl_c_pending() ? slices + 1 : 0;
        if (slices >= GRACE_SLICES) {
            interrupt_callbacks();
        }
    }
}

void
_Px_WorldRun(bool gather, PyTime_t deadline)
{
    _Px_GuardUp();
    lock();
    world.open = !world.ended;
    world.enough = gather ? Py_MIN(world.active, HARVEST) : 1;
    pthread_cond_broadcast(&world.gate);
    stay_open(_PyThreadState_GET(), gather, deadline);
    world.open = false;
    await_calm();
    unlock();
    _Px_GuardDown();
}

/* ---- tasks --------------------------------------------------------------- */

static bool
work_for_coordinator(void)
{
    return world.active > 0 && world.runners == 0;
}

static void
wake_coordinator(void)
{
    if (work_for_coordinator()) {
        pthread_cond_signal(&world.start);
    }
}

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
    pthread_cond_broadcast(&world.bell);
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
    pthread_cond_broadcast(&world.bell);
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

void
_Px_WorldAwaitCalm(void)
{
    lock();
    await_calm();
    unlock();
}
