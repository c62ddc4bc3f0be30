/*
 * The threads that are ours: libpxrt's workers, the keeper, the coordinator.
 *
 *      main         start ............................... stop
 *      keeper          create  run_once, run_once ...  run, release
 *      coordinators    wait for work, take the GIL, open the world, drop it ...
 *      workers         callbacks
 *
 * The keeper is what libpxrt calls the main thread of its runtime: it frees
 * contexts. It never runs Python code, so that this goes on whoever has the
 * GIL, and ordinary threads need no favour of each other.
 *
 * A coordinator is an ordinary Python thread as far as the GIL is concerned:
 * while contexts have work it takes the GIL in turn with the others, so that
 * contexts run in every call of main that lets the GIL go. One is at work at a
 * time. When it waits in code of main's, another takes its place: one more is
 * started before, so there are as many as ever waited at once, and one.
 *
 *   R1  rt is not NULL from start to stop, and changes only under the GIL.
 *   R2  Coordinators end before the keeper, the keeper when no task is left in
 *       libpxrt: each has come back through _Px_WorldLeave().
 *
 * Rejected: a coordinator as libpxrt's main thread. It would have to wait for the
 * GIL, for its bell and for libpxrt at the same time. And one that lets contexts
 * run while it waits in code of main's: what it calls then must end before that
 * code goes on, and may wait for it.
 *
 * Thread rule: start, stop and submit with the GIL; the worker's own anywhere.
 */
#include "pycore_pxmodule.h"

#include "pycore_pylifecycle.h"
#include "pycore_pystate.h"
#include "pycore_pythread.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>

enum { WINDOW_BYTES_LOG = 33, LONG_MS = 1000000000, LARGE_BYTES = 1 << 20 };

typedef struct coordinator {
    PyThreadState *tstate; /* made by who starts it */
    PyThread_handle_t thread;
    struct coordinator *next;
} coordinator;

static struct {
    px_runtime *rt;
    px_worker *workers;
    unsigned worker_count;
    coordinator *coordinators; /* changes with the GIL */
    PyThread_handle_t keeper_thread;
    void (*settle)(void);
    sem_t ready; /* the keeper has tried to create rt: see status */
    int status;
    int stopping;
} crew;

/* What is true of all: they have a name, as libpxrt's have, and signals are for
 * main's thread to be interrupted by. */
static void
begin_thread(const char *name)
{
    sigset_t all;
    (void)pthread_setname_np(pthread_self(), name);
    sigfillset(&all);
    sigdelset(&all, SIGSEGV); /* its own faults are the guard's */
    sigdelset(&all, SIGTRAP);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

/* ---- the keeper ---------------------------------------------------------- */

static int
create_runtime(void)
{
    px_runtime_options options;
    px_runtime_options_init(&options);
    px_context_options_init(&options.context);
    options.context.window_bytes = (size_t)1 << WINDOW_BYTES_LOG;
    options.context.flags = PX_HEAP_SMALL_START | PX_HEAP_FREE_LISTS;
    options.all_workers = true; /* the main side stands still for them */
    return px_runtime_create(&options, &crew.rt);
}

/* Errors do not come this way: a task has its own. */
static void
keep(void *Py_UNUSED(unused))
{
    begin_thread("px-keeper");
    crew.status = create_runtime();
    sem_post(&crew.ready);
    if (crew.status < 0) {
        return;
    }
    while (!__atomic_load_n(&crew.stopping, __ATOMIC_ACQUIRE)) {
        (void)px_run_once(crew.rt, LONG_MS, NULL);
    }
    (void)px_run(crew.rt, NULL);
    (void)px_runtime_release(crew.rt);
}

static int
nothing(px_context *Py_UNUSED(context), void *Py_UNUSED(unused))
{
    return 0;
}

/* Whatever is over wakes the keeper. */
static void
end_keeper(void)
{
    __atomic_store_n(&crew.stopping, 1, __ATOMIC_RELEASE);
    while (px_submit_work(crew.rt, nothing, NULL, NULL) == PX_ENOMEM) {
    }
    (void)PyThread_join_thread(crew.keeper_thread);
}

/* ---- coordinators -------------------------------------------------------- */

/* Code of main's may start threads and processes: they take signals. */
static void
settle(void)
{
    sigset_t mask;
    _Px_TakeSignals(&mask);
    crew.settle();
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void
coordinate(void *arg)
{
    PyThreadState *tstate = arg;
    begin_thread("px-coordinator");
    _PyThreadState_Bind(tstate);
    _Px_StillThreads(-1); /* from here on it speaks for itself */
    _Px_Still(2);
    while (_Px_WorldAwaitWork()) {
        PyEval_AcquireThread(tstate);
        _Px_Still(-2);
        if (_Px_WorldHasWork()) { /* nobody was faster */
            _Px_WorldRun(PX_GATHER, PyTime_MAX);
            settle();
        }
        if (Py_MakePendingCalls() < 0) {
            PyErr_WriteUnraisable(NULL);
        }
        _Px_Still(2);
        PyEval_ReleaseThread(tstate);
    }
    PyEval_AcquireThread(tstate);
    _Px_Still(-2);
    PyThreadState_Clear(tstate);
    _PyThreadState_DeleteCurrent(tstate);
}

/* ---- errors -------------------------------------------------------------- */

static int
raise_status(const char *what, int status)
{
    PyErr_Format(_Px_ParallelError, "%s: %s", what, px_strerror(status));
    return -1;
}

static int
raise_no_thread(void)
{
    PyErr_SetString(_Px_ParallelError, "cannot start a thread");
    return -1;
}

/* ---- addresses ----------------------------------------------------------- */

/* Of whatever main's objects lie in, a sample. */
static bool
is_below_main(uintptr_t end)
{
    void *blocks[] = {PyMem_RawMalloc(1), PyMem_RawMalloc(LARGE_BYTES),
                      PyObject_Malloc(1), PyObject_Malloc(LARGE_BYTES)};
    bool below = end <= (uintptr_t)&PyBaseObject_Type;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(blocks); i++) {
        below &= end <= (uintptr_t)blocks[i] || !blocks[i];
        (i < 2 ? PyMem_RawFree : PyObject_Free)(blocks[i]);
    }
    return below;
}

/* All windows lie below what is main's: pxhooks.h tells them apart by that. A
 * host that uses libpxrt itself may have set up the range before. */
static int
reserve_addresses(void)
{
    px_range_options options;
    px_range_options_init(&options);
    options.lowest = true;
    int status = px_range_configure(&options);
    if (status < 0 && status != PX_ESTATE) {
        return raise_status("cannot reserve addresses", status);
    }
    if (!is_below_main(px_range_view.base + px_range_view.bytes)) {
        PyErr_SetString(
            _Px_ParallelError,
            "the main thread's objects must lie above the memory of contexts: "
            "needs an executable that is position-independent, a malloc() that "
            "takes no low addresses, no Valgrind, and, if the host uses "
            "libpxrt "
            "itself, px_range_options.lowest");
        return -1;
    }
    return 0;
}

/* ---- starting ------------------------------------------------------------ */

static int
start_keeper(void)
{
    PyThread_ident_t ident;
    sem_init(&crew.ready, 0, 0);
    if (PyThread_start_joinable_thread(keep, NULL, &ident,
                                       &crew.keeper_thread) != 0) {
        return raise_no_thread();
    }
    while (sem_wait(&crew.ready) < 0 && errno == EINTR) {
    }
    if (crew.status < 0) {
        (void)PyThread_join_thread(crew.keeper_thread);
        return raise_status("cannot start the workers", crew.status);
    }
    return 0;
}

static int
start_thread(coordinator *one)
{
    PyThread_ident_t ident;
    one->tstate = _PyThreadState_New(PyInterpreterState_Get(),
                                     _PyThreadState_WHENCE_THREADING);
    if (!one->tstate) {
        PyErr_NoMemory();
        return -1;
    }
    _Px_StillThreads(1);
    if (PyThread_start_joinable_thread(coordinate, one->tstate, &ident,
                                       &one->thread) != 0) {
        _Px_StillThreads(-1);
        PyThreadState_Clear(one->tstate);
        PyThreadState_Delete(one->tstate);
        return raise_no_thread();
    }
    return 0;
}

static int
start_coordinator(void)
{
    coordinator *one = PyMem_RawCalloc(1, sizeof *one);
    if (!one) {
        PyErr_NoMemory();
        return -1;
    }
    _Px_WorldCountIdle(1);
    if (start_thread(one) < 0) {
        _Px_WorldCountIdle(-1);
        PyMem_RawFree(one);
        return -1;
    }
    one->next = crew.coordinators;
    crew.coordinators = one;
    return 0;
}

/* Without one all is well as long as that code does not wait. */
void
_Px_CrewSpare(void)
{
    if (crew.rt && !_Px_WorldHasIdle() && start_coordinator() < 0) {
        PyErr_Clear();
    }
}

static int
make_workers(void)
{
    px_runtime_stats stats = {.size = sizeof stats};
    (void)px_runtime_get_stats(crew.rt, &stats);
    crew.workers = PyMem_RawCalloc(stats.workers, sizeof *crew.workers);
    if (!crew.workers) {
        PyErr_NoMemory();
        return -1;
    }
    for (; crew.worker_count < stats.workers; crew.worker_count++) {
        if (_Px_WorkerInit(&crew.workers[crew.worker_count],
                           PyInterpreterState_Get()) < 0) {
            return -1;
        }
    }
    _Px_WorldBegin(crew.workers, crew.worker_count);
    return 0;
}

static void
drop_workers(void)
{
    for (unsigned i = 0; i < crew.worker_count; i++) {
        _Px_WorkerFini(&crew.workers[i]);
    }
    PyMem_RawFree(crew.workers);
    crew.workers = NULL;
    crew.worker_count = 0;
}

/* The workers have run nothing yet. */
static int
undo_start(void)
{
    end_keeper();
    crew.stopping = 0;
    crew.rt = NULL;
    _Px_WorldBegin(NULL, 0);
    drop_workers();
    return -1;
}

/* What CPython computes when first asked, in static data that the GIL protects:
 * the tables for the bases of int(). */
static void
compute_tables(void)
{
    for (int base = 2; base <= 36; base++) {
        Py_XDECREF(PyLong_FromString("1", NULL, base));
    }
}

int
_Px_CrewStart(void (*settle)(void))
{
    if (_Px_WorldForked()) {
        PyErr_SetString(_Px_ParallelError,
                        "the child of a fork has no workers: start processes "
                        "with exec or 'spawn'");
        return -1;
    }
    if (_Px_WorldEnded()) {
        PyErr_SetString(_Px_ParallelError, "the interpreter shuts down");
        return -1;
    }
    if (crew.rt) {
        return 0;
    }
    crew.settle = settle;
    _Px_NoteSignals();
    compute_tables();
    _Px_FindImage();
    if (reserve_addresses() < 0 || start_keeper() < 0) {
        crew.rt = NULL;
        return -1;
    }
    return make_workers() < 0 || start_coordinator() < 0 ? undo_start() : 0;
}

/* ---- at work ------------------------------------------------------------- */

px_worker *
_Px_CrewWorker(void)
{
    return &crew.workers[px_worker_id() - 1];
}

int
_Px_CrewSubmit(px_run_fn run, px_failed_fn failed, void *arg)
{
    px_work_options options;
    px_work_options_init(&options);
    options.failed = failed;
    int status = px_submit_work(crew.rt, run, arg, &options);
    return status < 0 ? raise_status("cannot submit work", status) : 0;
}

/* ---- the end ------------------------------------------------------------- */

/* Ctrl-C ends callbacks, but for those that wait in the system; so whoever sends it
 * again means the process. */
static void
take_signals(int *interrupts)
{
    if (PyErr_CheckSignals() == 0) {
        return;
    }
    *interrupts += PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    PyErr_WriteUnraisable(NULL);
    if (*interrupts > 1) {
        (void)PyOS_setsig(SIGINT, SIG_DFL);
        (void)kill(getpid(), SIGINT);
    }
}

/* Until no callback is in flight, nor any other begins before the GIL goes. A Ctrl-C
 * that has ended them is not left for the code that runs next. */
static void
end_callbacks(void)
{
    int interrupts = 0;
    for (;;) {
        _Px_WorldRun(PX_DRAIN, PyTime_MAX);
        bool over = _Px_WorldInFlight() == 0;
        if (!over) {
            crew.settle();
        }
        take_signals(&interrupts);
        if (over || _Px_WorldForked()) {
            return;
        }
        Py_BEGIN_ALLOW_THREADS Py_END_ALLOW_THREADS
    }
}

/* Those that still run may start others. */
static void
end_coordinators(void)
{
    while (crew.coordinators) {
        coordinator *one = crew.coordinators;
        crew.coordinators = one->next;
        Py_BEGIN_ALLOW_THREADS(void) PyThread_join_thread(one->thread);
        Py_END_ALLOW_THREADS PyMem_RawFree(one);
    }
}

static void
end_threads(void)
{
    end_coordinators();
    Py_BEGIN_ALLOW_THREADS end_keeper();
    Py_END_ALLOW_THREADS
}

bool
_Px_CrewStop(void)
{
    if (crew.rt && !_Px_WorldForked()) {
        end_callbacks();
    }
    if (_Px_WorldForked()) {
        return false;
    }
    _Px_WorldEnd(); /* with the GIL: who submits now is refused */
    if (!crew.rt) {
        return false;
    }
    end_threads();
    crew.rt = NULL;
    _Px_WorldBegin(NULL, 0);
    drop_workers();
    return true;
}
