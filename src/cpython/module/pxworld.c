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
 * a thread in run_once() or one that waits for a future, which saves the way to
 * the coordinator and back, or else the coordinator (pxcrew.c). It closes the world
 * when
 *
 *      enough callbacks are over, or one wants main to call something;
 *      another thread asks for the GIL (take_gil() calls _Px_GilWanted()), or a
 *      signal or a pending call is there for it;
 *      some callback is over and a switch interval has passed (if it gathers);
 *      its time is up; the end has come.
 *
 * Callbacks under way end first. But not if that takes long and somebody waits
 * for it: then they are stopped in mid-flight (pxgate.c).
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
 *   W6  slice counts the closings.
 *
 * A callback that goes on keeps nobody waiting for long. Ctrl-C ends it: with
 * SIGINT pending when the world closes, callbacks that do not end by themselves
 * very soon raise KeyboardInterrupt at their next look at the eval breaker; so do
 * those that are stopped when main raises it. If main has a handler of its own for
 * it, they are stopped while that runs, and go on.
 *
 * Thread rule: as said for each function in pycore_pxmodule.h.
 */
#include "pycore_pxmodule.h"

#include "pycore_ceval.h"
#include "pycore_pystate.h"
#include "pycore_time.h"

#include <signal.h>

enum {
    LOOK_NS_MIN = 1000000, /* who looks more often does little else */
    CTRL_C_NS = 20000000,  /* before Ctrl-C ends callbacks */
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

struct _Px_world _Px_world _Px_STATE = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                        .gate = PTHREAD_COND_INITIALIZER,
                                        .bell = PTHREAD_COND_INITIALIZER,
                                        .start = PTHREAD_COND_INITIALIZER,
                                        .alarm = PyTime_MAX};

PyTime_t _Px_StopAfter = 20 * 1000000;

/* What GilTaken() asks, which may not lock: it changes with the GIL. */
static int some_stopped;

static bool watches_forks;
static int forked
    _Px_STATE; /* this is the child of a fork: the workers are gone */
static size_t strange
    _Px_STATE; /* GIL acquisitions by contexts: there are none */

/* ---- asking -------------------------------------------------------------- */

/* Somebody has set the bit that run() looks at, so it must look once more. */
void
_Px_GilWanted(void)
{
    if (__atomic_load_n(&forked, __ATOMIC_RELAXED)) {
        return;
    }
    _Px_WorldLock();
    if (_Px_world.open || _Px_world.inside > 0) {
        _Px_WorldRing();
    }
    _Px_WorldUnlock();
}

/* This thread holds the main interpreter's GIL: are counts exact here? */
static void
trust_counts(void)
{
    bool some = __atomic_load_n(&some_stopped, __ATOMIC_RELAXED);
    _Px_here.exact_end = some ? 0 : UINTPTR_MAX;
}

/* Callbacks see nothing of what other interpreters make: these count as ever, and
 * keep away from limbo, which a GIL of their own would not protect. */
void
_Px_GilTaken(PyThreadState *tstate)
{
    if (_Px_IN()) {
        (void)__atomic_fetch_add(&strange, 1, __ATOMIC_RELAXED);
    }
    else if (tstate->interp == PyInterpreterState_Main()) {
        trust_counts();
        _Px_WorldBack();
    }
    else {
        _Px_here.exact_end = UINTPTR_MAX;
    }
}

size_t
_Px_StrangeGilTakes(void)
{
    return __atomic_load_n(&strange, __ATOMIC_RELAXED);
}

/* ---- waiting for the bell ------------------------------------------------ */

/* False when it did not ring until then. */
static bool
await_bell(PyTime_t until)
{
    return _Px_WorldAwait(&_Px_world.bell, until);
}

/* ---- opening and closing ------------------------------------------------- */

static bool
asked(PyThreadState *tstate)
{
    return _Py_atomic_load_uintptr_relaxed(&tstate->eval_breaker) & ASKS;
}

static bool
is_tripped(int signal)
{
    return _Py_atomic_load_int_relaxed(
        &_PyRuntime.signals.handlers[signal].tripped);
}

/* All it does is to raise KeyboardInterrupt. */
static bool
only_raises(PyObject *handler)
{
    return handler && PyCFunction_Check(handler) &&
           strcmp(((PyCFunctionObject *)handler)->m_ml->ml_name,
                  "default_int_handler") == 0;
}

/* Ctrl-C, and nobody has a handler for it that may do something else. */
static bool
is_interrupted(void)
{
    return is_tripped(SIGINT) &&
           only_raises(_Py_atomic_load_ptr_relaxed(
               &_PyRuntime.signals.handlers[SIGINT].func));
}

/* The thread may have ended, if a host has begun Python in it. */
static void
send_to_main(int signal)
{
    uint64_t main_thread = _PyRuntime.main_tstate->native_thread_id;
    (void)tgkill(getpid(), (pid_t)main_thread, signal);
}

/* Who has a descriptor written to waits for that. */
static void
rouse_main(void)
{
    if (!_Py_atomic_load_int_relaxed(&_PyRuntime.signals.is_tripped) ||
        _PyRuntime.signals.wakeup.fd >= 0) {
        return;
    }
    for (int signal = 1; signal < Py_NSIG; signal++) {
        if (is_tripped(signal)) {
            send_to_main(signal);
        }
    }
}

/* Whether whoever has the GIL has nothing else to do but to wait. */
static bool
may_wait(PyThreadState *tstate, PyTime_t now, PyTime_t deadline)
{
    return _Px_world.asking == 0 && !asked(tstate) && !_Px_world.ended &&
           now < deadline;
}

static void
stay_open(PyThreadState *tstate, bool gather, PyTime_t deadline)
{
    const PyTime_t slice = _Px_SliceNs();
    PyTime_t now = _Px_NowNs();
    while (_Px_world.over_count < _Px_world.enough &&
           may_wait(tstate, now, deadline)) {
        bool some = _Px_world.over_count > 0;
        PyTime_t next = deadline - now < slice ? deadline : now + slice;
        bool rang = await_bell(next);
        rouse_main();
        now = _Px_NowNs();
        if (!rang && gather && some) {
            return;
        }
    }
}

/* Nobody new comes in; those in flight end. */
static void
drain(PyThreadState *tstate, PyTime_t deadline)
{
    const PyTime_t slice = _Px_SliceNs();
    PyTime_t now = _Px_NowNs();
    _Px_world.draining = true;
    pthread_cond_broadcast(&_Px_world.gate);
    while (_Px_world.inside + _Px_world.stopped > 0 &&
           may_wait(tstate, now, deadline)) {
        (void)await_bell(deadline - now < slice ? deadline : now + slice);
        rouse_main();
        now = _Px_NowNs();
    }
    _Px_world.draining = false;
}

/* All, or, for what is over, those that were in flight when the world last closed:
 * they may be long. What the bits mean to a context: see _Px_HandlePending(). */
static void
stop_callbacks(bool all)
{
    bool some = _Px_world.over_count > 0;
    for (unsigned i = 0; i < _Px_world.worker_count; i++) {
        px_worker *worker = &_Px_world.workers[i];
        if (worker->place == PX_INSIDE &&
            (all || (some && worker->began < _Px_world.slice))) {
            _Py_set_eval_breaker_bit(worker->tstate, _PY_GIL_DROP_REQUEST_BIT);
        }
    }
}

/* They know of the Ctrl-C that main has not handled yet. */
static bool told;

static void
interrupt_callbacks(void)
{
    told = true;
    for (unsigned i = 0; i < _Px_world.worker_count; i++) {
        px_worker *worker = &_Px_world.workers[i];
        if (worker->place != PX_OUTSIDE) {
            worker->interrupted = true;
            _Py_set_eval_breaker_bit(worker->tstate, _PY_SIGNALS_PENDING_BIT);
        }
    }
}

/* It may have come while callbacks were stopped. */
void
_Px_SignalTaken(int signal, PyObject *handler)
{
    if (signal != SIGINT || _Px_WorldForked()) {
        return;
    }
    _Px_WorldLock();
    if (!told && only_raises(handler)) {
        interrupt_callbacks();
    }
    told = false;
    _Px_WorldUnlock();
}

/* Once for each Ctrl-C: who catches it may have something to put in order. */
static bool
must_tell(void)
{
    return is_interrupted() && !told;
}

/* Somebody waits - a thread for the GIL, a signal for this one, whoever is told of
 * what is over - and has waited for long. */
static bool
must_stop(PyThreadState *tstate, PyTime_t began, PyTime_t deadline)
{
    PyTime_t now = _Px_NowNs();
    PyTime_t patience = _Px_LimboFull() ? FULL_LIMBO_NS : _Px_StopAfter;
    bool awaited = asked(tstate) || _Px_world.over_count > 0;
    return _Px_world.asking > 0 || now >= deadline ||
           (awaited && now - began >= patience);
}

static void
await_calm(PyThreadState *tstate, PyTime_t deadline)
{
    const PyTime_t began = _Px_NowNs();
    const PyTime_t often = Py_MIN(PX_SLICE_MS_MAX / 2 * 1000000, _Px_StopAfter);
    const PyTime_t look = Py_MAX(often, LOOK_NS_MIN);
    while (_Px_world.inside > 0) {
        if (must_tell() && _Px_NowNs() - began >= CTRL_C_NS) {
            interrupt_callbacks();
        }
        else {
            stop_callbacks(must_stop(tstate, began, deadline));
        }
        (void)await_bell(_Px_NowNs() + look);
    }
    if (must_tell()) {
        interrupt_callbacks();
    }
}

/* While there is something in limbo, main must not trust counts either: what it
 * finds there has one that is limbo's. */
static bool
judge_counts(void)
{
    bool some = _Px_world.stopped > 0 || _Px_LimboCount() > 0;
    __atomic_store_n(&some_stopped, some, __ATOMIC_RELAXED);
    trust_counts();
    return some;
}

/* A slice of main's begins. */
static void
begin_slice(void)
{
    _Px_world.slice++;
    if (judge_counts()) {
        _Px_LimboBeginSlice(_Px_world.slice);
    }
}

/* What is dropped from now on is not dropped here, even if others let callbacks
 * in meanwhile. */
void
_Px_WorldDropLimbo(void)
{
    _Px_WorldLock();
    uint64_t now = _Px_world.slice;
    _Px_WorldUnlock();
    uint64_t oldest = _Px_WorldOldest();
    _Px_LimboDrop(Py_MIN(oldest, now));
    _Px_WorldLock();
    (void)judge_counts();
    _Px_WorldUnlock();
}

/* What a runner waits for may have to begin yet. */
static bool
must_drain(px_run_how how)
{
    return (how == PX_DRAIN || _Px_LimboFull()) && _Px_world.waiting == 0;
}

void
_Px_WorldRun(px_run_how how, PyTime_t deadline)
{
    PyThreadState *tstate = _PyThreadState_GET();
    if (_Px_world.due > 0) {
        return; /* somebody may wait for these; they change with the GIL */
    }
    _Px_GuardUp();
    _Px_WorldLock();
    if (must_drain(how)) {
        drain(tstate, deadline);
    }
    else {
        _Px_world.open = !_Px_world.ended;
        _Px_world.enough =
            how == PX_GATHER ? Py_MIN(_Px_world.active, HARVEST) : 1;
        pthread_cond_broadcast(&_Px_world.gate);
        stay_open(tstate, how == PX_GATHER, deadline);
        _Px_world.open = false;
    }
    await_calm(tstate, deadline);
    _Px_GuardDown();
    begin_slice();
    _Px_WorldUnlock();
    _Px_FulfilWishes();
}

/* ---- tasks --------------------------------------------------------------- */

bool
_Px_WorldAdd(void)
{
    _Px_WorldLock();
    bool ended = _Px_world.ended;
    if (!ended) {
        _Px_world.active++;
        _Px_WorldNoteLocked();
    }
    _Px_WorldUnlock();
    return !ended;
}

void
_Px_WorldWithdraw(void)
{
    _Px_WorldLock();
    _Px_world.active--;
    _Px_WorldUnlock();
}

px_task *
_Px_WorldTake(void)
{
    px_task *oldest = NULL;
    _Px_WorldLock();
    px_task *newest = _Px_world.over;
    _Px_world.over = NULL;
    _Px_world.active -= _Px_world.over_count;
    _Px_world.over_count = 0;
    _Px_WorldUnlock();
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
    _Px_WorldLock();
    size_t active = _Px_world.active;
    _Px_WorldUnlock();
    return active;
}

/* ---- beginning and end --------------------------------------------------- */

/* Another thread may have held the mutex, or waited: a condition waits for those
 * who leave it. The child of a context is about to exec. */
static void
after_fork_in_child(void)
{
    (void)pthread_mutex_init(&_Px_world.mutex, NULL);
    (void)pthread_cond_init(&_Px_world.gate, NULL);
    (void)pthread_cond_init(&_Px_world.bell, NULL);
    (void)pthread_cond_init(&_Px_world.start, NULL);
    __atomic_store_n(&forked, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&some_stopped, 0, __ATOMIC_RELAXED);
    if (!_Px_IN()) {
        trust_counts();
    }
}

bool
_Px_WorldForked(void)
{
    return __atomic_load_n(&forked, __ATOMIC_RELAXED);
}

void
_Px_WorldBegin(px_worker *workers, unsigned count)
{
    _Px_WorldLock();
    _Px_world.workers = workers;
    _Px_world.worker_count = count;
    _Px_WorldUnlock();
    if (!watches_forks) {
        watches_forks = pthread_atfork(NULL, NULL, after_fork_in_child) == 0;
    }
}

void
_Px_WorldEnd(void)
{
    _Px_WorldLock();
    _Px_world.open = false;
    _Px_world.ended = true;
    _Px_WorldForgetLeaving();
    pthread_cond_broadcast(&_Px_world.gate);
    _Px_WorldRing();
    pthread_cond_broadcast(&_Px_world.start);
    _Px_WorldUnlock();
}

bool
_Px_WorldEnded(void)
{
    _Px_WorldLock();
    bool ended = _Px_world.ended;
    _Px_WorldUnlock();
    return ended;
}
