/*
 * A piece of work, from its submission to its harvest.
 *
 *      main      submit ............................ harvest: promote, notify
 *                   \                               /
 *      worker        enter world, call, leave world, push on `over`
 *
 * The outcome - a result or an exception - lies in the context, which the task
 * retains until main has made its copy. Main harvests whenever it has closed
 * the world and before it does anything else: an outcome may refer to objects
 * of main's, uncounted, and main must not have dropped them.
 *
 *   K1  A task is in one place at a time: libpxrt's queue, a worker, `over`.
 *   K2  Outcomes are harvested in the order in which the tasks were over.
 *
 * Thread rule: run_task() on a worker, the rest on the main side with the GIL.
 */
#include "pycore_px.h"

#include "pycore_ceval.h"
#include "pycore_pyerrors.h"
#include "pycore_pystate.h"
#include "pycore_time.h"

enum {
    SLICE_MS = 20,     /* the longest that a signal waits for main */
    MOST_WAITING = 64, /* contexts that are over and keep their memory */
    WINDOW_BYTES_LOG = 33
};

static struct {
    px_runtime *rt; /* NULL until the first submission */
    px_worker *workers;
    unsigned worker_count;
    px_task *over;    /* newest first; pushed by workers, taken by main */
    PyObject *errors; /* a list: exceptions that nobody has been told of */
    size_t active;
} work;

/* ---- on a worker --------------------------------------------------------- */

static void
push_over(px_task *task)
{
    task->next = __atomic_load_n(&work.over, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&work.over, &task->next, task, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
}

/* Callbacks and errbacks are called for what they do. */
static int
expect_none(PyObject *result, const char *who)
{
    if (!result) {
        return -1;
    }
    if (result != Py_None) {
        PyErr_Format(PyExc_TypeError,
                     "the %s returned a '%.100s' object, not None", who,
                     Py_TYPE(result)->tp_name);
        Py_DECREF(result);
        return -1;
    }
    return 0;
}

/* func, and callback with its result. The result, or NULL. */
static PyObject *
call(px_task *task)
{
    PyObject *result = PyObject_Call(task->func, task->args, task->kwds);
    if (!result || task->callback == Py_None) {
        return result;
    }
    PyObject *answer = PyObject_CallOneArg(task->callback, result);
    return expect_none(answer, "callback") < 0 ? NULL : Py_NewRef(Py_None);
}

/* The errback gets (type, value, traceback). None when it dealt with it. */
static PyObject *
call_errback(px_task *task)
{
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *traceback = PyException_GetTraceback(exception);
    PyObject *arguments = PyTuple_Pack(3, Py_TYPE(exception), exception,
                                       traceback ? traceback : Py_None);
    PyObject *answer =
        arguments ? PyObject_CallOneArg(task->errback, arguments) : NULL;
    return expect_none(answer, "errback") < 0 ? NULL : Py_NewRef(Py_None);
}

static void
perform(px_task *task)
{
    task->outcome = call(task);
    if (!task->outcome && task->errback != Py_None) {
        task->outcome = call_errback(task);
    }
    task->failed = !task->outcome;
    if (task->failed) {
        task->outcome = PyErr_GetRaisedException();
    }
}

static int
run_task(px_context *context, void *arg)
{
    px_task *task = arg;
    px_worker *worker = &work.workers[px_worker_id() - 1];
    if (_Px_WorldEnter()) {
        _Px_Enter(worker, context);
        perform(task);
        _Px_Leave(worker);
        task->context = px_context_retain(context);
        push_over(task); /* while main still waits for this callback */
        _Px_WorldLeave();
    }
    else {
        push_over(task);
    }
    return 0;
}

/* ---- the runtime --------------------------------------------------------- */

static int
raise_status(const char *what, int status)
{
    PyErr_Format(_Px_ParallelError, "%s: %s", what, px_strerror(status));
    return -1;
}

static int
make_workers(unsigned count)
{
    work.workers = PyMem_RawCalloc(count, sizeof *work.workers);
    if (!work.workers) {
        PyErr_NoMemory();
        return -1;
    }
    for (; work.worker_count < count; work.worker_count++) {
        if (_Px_WorkerInit(&work.workers[work.worker_count],
                           PyInterpreterState_Get()) < 0) {
            return -1;
        }
    }
    return 0;
}

static void
drop_workers(void)
{
    for (unsigned i = 0; i < work.worker_count; i++) {
        _Px_WorkerFini(&work.workers[i]);
    }
    PyMem_RawFree(work.workers);
    work.workers = NULL;
    work.worker_count = 0;
}

static int
start(void)
{
    px_runtime_options options;
    px_runtime_stats stats = {.size = sizeof stats};
    px_runtime_options_init(&options);
    px_context_options_init(&options.context);
    options.max_finished = MOST_WAITING;
    options.context.window_bytes = (size_t)1 << WINDOW_BYTES_LOG;
    options.context.flags = PX_HEAP_SMALL_START | PX_HEAP_FREE_LISTS;
    work.errors = PyList_New(0);
    if (!work.errors) {
        return -1;
    }
    int status = px_runtime_create(&options, &work.rt);
    if (status < 0) {
        return raise_status("cannot start the workers", status);
    }
    (void)px_runtime_get_stats(work.rt, &stats);
    return make_workers(stats.workers);
}

static int
need_runtime(void)
{
    if (work.rt) {
        return 0;
    }
    if (start() < 0) {
        (void)px_runtime_release(work.rt);
        work.rt = NULL;
        drop_workers();
        Py_CLEAR(work.errors);
        return -1;
    }
    return 0;
}

/* ---- tasks --------------------------------------------------------------- */

static void
free_task(px_task *task)
{
    Py_XDECREF(task->func);
    Py_XDECREF(task->args);
    Py_XDECREF(task->kwds);
    Py_XDECREF(task->callback);
    Py_XDECREF(task->errback);
    Py_XDECREF(task->notify);
    px_context_release(task->context);
    PyMem_RawFree(task);
}

int
_Px_Submit(PyObject *func, PyObject *args, PyObject *kwds, PyObject *callback,
           PyObject *errback, PyObject *notify)
{
    if (_Px_MAIN_ONLY("submitting work") < 0 || need_runtime() < 0) {
        return -1;
    }
    px_task *task = PyMem_RawCalloc(1, sizeof *task);
    if (!task) {
        PyErr_NoMemory();
        return -1;
    }
    task->func = Py_NewRef(func);
    task->args = Py_NewRef(args);
    task->kwds = Py_XNewRef(kwds);
    task->callback = Py_NewRef(callback);
    task->errback = Py_NewRef(errback);
    task->notify = Py_XNewRef(notify);
    int status = px_submit_work(work.rt, run_task, task, NULL);
    if (status < 0) {
        free_task(task);
        return raise_status("cannot submit work", status);
    }
    work.active++;
    return 0;
}

size_t
_Px_ActiveCount(void)
{
    return work.active;
}

/* ---- harvest ------------------------------------------------------------- */

/* The tasks that are over, oldest first (K2). */
static px_task *
take_over(void)
{
    px_task *newest = __atomic_exchange_n(&work.over, NULL, __ATOMIC_ACQUIRE);
    px_task *oldest = NULL;
    while (newest) {
        px_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* Main's copy of the outcome. What cannot be copied is a failure. */
static PyObject *
take_outcome(px_task *task)
{
    PyObject *mine = NULL;
    if (!task->outcome) { /* it never ran */
        PyErr_SetString(_Px_ParallelError, "the interpreter shuts down");
    }
    else if (task->failed) {
        mine = _Px_PromoteException(task->outcome);
    }
    else if (task->notify) {
        mine = _Px_Promote(task->outcome);
    }
    else {
        mine = Py_NewRef(Py_None);
    }
    if (!mine) {
        task->failed = true;
        mine = PyErr_GetRaisedException();
    }
    task->outcome = NULL;
    px_context_release(task->context);
    task->context = NULL;
    return mine;
}

/* Steals the outcome. */
static int
deliver(px_task *task, PyObject *outcome)
{
    int status = 0;
    if (task->notify) {
        PyObject *error = task->failed ? outcome : Py_None;
        PyObject *result = task->failed ? Py_None : outcome;
        PyObject *answer =
            PyObject_CallFunctionObjArgs(task->notify, error, result, NULL);
        status = answer ? 0 : -1;
        Py_XDECREF(answer);
    }
    else if (task->failed) {
        status = PyList_Append(work.errors, outcome);
    }
    Py_DECREF(outcome);
    return status;
}

/* All outcomes are copied before anybody is told of one: telling runs code of
 * main's, which may drop what another outcome refers to. */
static int
harvest(void)
{
    px_task *tasks = take_over(), *next;
    int count = 0;
    for (px_task *task = tasks; task; task = task->next, count++) {
        task->outcome = take_outcome(task);
        work.active--;
    }
    for (px_task *task = tasks; task; task = next) {
        next = task->next;
        if (deliver(task, task->outcome) < 0) {
            PyErr_WriteUnraisable(task->notify);
        }
        free_task(task);
    }
    return count;
}

/* ---- running ------------------------------------------------------------- */

/* The first error that nobody has been told of, raised; 0 when there is none. */
static int
raise_first(void)
{
    if (!work.errors || PyList_GET_SIZE(work.errors) == 0) {
        return 0;
    }
    PyObject *first = Py_NewRef(PyList_GET_ITEM(work.errors, 0));
    if (PyList_SetSlice(work.errors, 0, 1, NULL) == 0) {
        PyErr_SetRaisedException(first);
    }
    return -1;
}

static bool
signal_pending(void)
{
    return _Py_eval_breaker_bit_is_set(_PyThreadState_GET(),
                                       _PY_SIGNALS_PENDING_BIT);
}

/* Let contexts run until a task is over, a signal is there, or time is up. */
static void
open_world_until(int64_t deadline_ns)
{
    int64_t left_ms;
    _Px_WorldOpen();
    do {
        PyTime_t now;
        (void)PyTime_MonotonicRaw(&now);
        left_ms = (deadline_ns - now) / 1000000;
        (void)px_run_once(work.rt, left_ms < SLICE_MS ? left_ms : SLICE_MS,
                          NULL);
    } while (left_ms > 0 && !__atomic_load_n(&work.over, __ATOMIC_RELAXED) &&
             !signal_pending());
    _Px_WorldClose();
}

int
_Px_RunOnce(int64_t timeout_ms)
{
    PyTime_t now;
    if (_Px_MAIN_ONLY("running the loop") < 0 || raise_first() < 0) {
        return -1;
    }
    (void)PyTime_MonotonicRaw(&now);
    int64_t deadline_ns =
        timeout_ms < 0 ? PyTime_MAX : now + timeout_ms * 1000000;
    int count = 0;
    while (work.active && !count) {
        open_world_until(deadline_ns);
        count = harvest();
        (void)PyTime_MonotonicRaw(&now);
        if (PyErr_CheckSignals() < 0 || raise_first() < 0) {
            return -1;
        }
        if (now >= deadline_ns) {
            break;
        }
    }
    return count > 0;
}

void
_Px_Stop(void)
{
    if (!work.rt) {
        return;
    }
    _Px_WorldEnd();
    (void)px_runtime_release(work.rt);
    work.rt = NULL;
    (void)harvest();
    drop_workers();
    Py_CLEAR(work.errors);
}
