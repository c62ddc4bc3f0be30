/*
 * A piece of work: its submission, its call on a worker, and who has it run.
 *
 *      main      submit ............................ harvest: promote, notify
 *                   \                               /
 *      worker        enter world, call, leave world, push on `over`
 *
 * The outcome - a result or an exception - lies in the context, which the task
 * retains until main has made its copy (pxharvest.c). Main harvests whenever it has
 * closed the world and before it does anything else.
 *
 * Thread rule: run_task() and give_up() on a worker, the rest on the main side
 * with the GIL.
 */
#include "pycore_pxmodule.h"

#include "pycore_ceval.h"
#include "pycore_pyerrors.h"
#include "pycore_pystate.h"
#include "pycore_time.h"

/* ---- on a worker --------------------------------------------------------- */

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
    if (_Px_here.cx->placed && _Px_GoToMainsPlace() < 0) {
        return NULL;
    }
    PyObject *result = PyObject_Call(task->func, task->args, task->kwds);
    if (!result || task->callback == Py_None) {
        return result;
    }
    PyObject *answer = PyObject_CallOneArg(task->callback, result);
    Py_DECREF(result);
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
    Py_XDECREF(arguments);
    Py_XDECREF(traceback);
    Py_DECREF(exception);
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

/* What main does not ask for does not leave. */
static void
end_owners(px_task *task)
{
    px_worker *worker = _Px_CrewWorker();
    PyObject *leaves = task->failed || task->notify ? task->outcome : Py_None;
    PyObject *instead = _Px_EndOwners(&worker->cx, leaves, worker->calls,
                                      task->failed, &task->luggage);
    task->luggage.outside = worker->cx.outside;
    if (instead) {
        task->failed = true;
        task->outcome = instead;
    }
}

static void
perform_task(void *task)
{
    perform(task);
    end_owners(task);
}

/* Whoever the guard has ended fails like whoever raises. */
static void
perform_guarded(px_worker *worker, px_task *task)
{
    if (!_Px_GuardCall(worker, perform_task, task)) {
        worker->calls = NULL;
        worker->cx.instead = NULL;
        _Px_EndOutside(worker->cx.outside);
        worker->cx.outside = NULL;
        task->luggage = (px_luggage){0};
        task->failed = true;
        task->outcome = PyErr_GetRaisedException();
    }
}

static int
run_task(px_context *context, void *arg)
{
    px_task *task = arg;
    px_worker *worker = _Px_CrewWorker();
    if (_Px_WorldEnter(worker)) {
        _Px_Enter(worker, context, task->memory);
        worker->calls = worker->kept = NULL;
        worker->task = task;
        perform_guarded(worker, task);
        task->calls = worker->calls;
        task->luggage.instead = worker->cx.instead;
        task->kept = worker->kept;
        _Px_Leave(worker);
        task->context = px_context_retain(context);
    }
    _Px_WorldLeave(worker, task); /* the world may close, main may harvest */
    return 0;
}

/* In the place of run_task(): no context could be made. */
static int
give_up(px_context *Py_UNUSED(none), const px_error *error, void *arg)
{
    px_task *task = arg;
    task->status = error->code;
    _Px_WorldLeave(_Px_CrewWorker(), task);
    return 0;
}

/* ---- submitting ---------------------------------------------------------- */

int
_Px_Submit(PyObject *func, PyObject *args, PyObject *kwds, PyObject *callback,
           PyObject *errback, PyObject *notify, px_memory memory)
{
    if (_Px_MAIN_ONLY("submitting work") < 0 || _Px_CrewStart(_Px_Settle) < 0) {
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
    task->memory = memory;
    (void)_Px_WorldAdd(); /* before the end: it comes with the GIL */
    if (_Px_CrewSubmit(run_task, give_up, task) < 0) {
        _Px_WorldWithdraw();
        _Px_FreeTask(task);
        return -1;
    }
    return 0;
}

size_t
_Px_ActiveCount(void)
{
    return _Px_WorldActive();
}

/* ---- running ------------------------------------------------------------- */

/* Code of main's may have forked. */
static int
refuse_in_child(void)
{
    return _Px_WorldForked() ? _Px_CrewStart(_Px_Settle) /* says so */ : 0;
}

/* Let time pass, and others have what they ask for. 1: nothing is left. Another
 * thread may be delivering what was the last. */
static int
turn(px_run_how how, PyTime_t deadline)
{
    if (refuse_in_child() < 0) {
        return -1;
    }
    bool left =
        _Px_HarvestHasRest() || (_Px_WorldActive() > 0 && !_Px_WorldEnded());
    if (!left && !_Px_WorldAwaitHarvest()) {
        return 1;
    }
    if (left && _Px_WorldMayDeliver()) {
        _Px_WorldRun(how, deadline);
        _Px_Settle();
    }
    return _Py_HandlePending(_PyThreadState_GET());
}

static PyTime_t
deadline_of(int64_t timeout_ms)
{
    PyTime_t now;
    (void)PyTime_MonotonicRaw(&now);
    return timeout_ms < 0 || timeout_ms > (PyTime_MAX - now) / 1000000
               ? PyTime_MAX
               : now + timeout_ms * 1000000;
}

static bool
is_past(PyTime_t deadline)
{
    PyTime_t now;
    (void)PyTime_MonotonicRaw(&now);
    return now >= deadline;
}

/* Nothing stays in flight when run_once() returns, but for its deadline. */
static int
land(PyTime_t deadline)
{
    int status = 0;
    while (status == 0 && _Px_WorldInFlight() > 0 && !is_past(deadline)) {
        status = turn(PX_DRAIN, deadline);
    }
    return status < 0 ? -1 : 0;
}

static int
run_until(px_run_how how, PyTime_t deadline)
{
    int status = 0;
    while (status == 0 && !_Px_HarvestHasNews() && !is_past(deadline)) {
        status = turn(how, deadline);
    }
    if (status < 0 || (_Px_HarvestHasNews() && land(deadline) < 0)) {
        return -1;
    }
    return _Px_HarvestTell();
}

int
_Px_RunOnce(int64_t timeout_ms, bool gather)
{
    if (_Px_MAIN_ONLY("running the loop") < 0) {
        return -1;
    }
    if (refuse_in_child() < 0) {
        return -1;
    }
    if (_Px_IsServing()) {
        PyErr_SetString(_Px_ParallelError,
                        "running the loop in a call that a callback waits for");
        return -1;
    }
    _Px_WorldCountRunner(1);
    int status =
        run_until(gather ? PX_GATHER : PX_ONE, deadline_of(timeout_ms));
    _Px_WorldCountRunner(-1);
    return status;
}

int
_Px_RunMeanwhile(PyTime_t deadline)
{
    if (_Px_IN() || _Px_WorldForked() || !_Px_WorldIsLonely()) {
        return 0;
    }
    _Px_WorldCountRunner(1);
    _Px_WorldRun(PX_GATHER, deadline);
    int status = _Px_SettleQuietly();
    bool rest = _Px_HarvestHasRest() || _Px_WorldCensus().asking > 0;
    if (status == 0) {
        status = _Py_HandlePending(_PyThreadState_GET());
    }
    _Px_WorldCountRunner(-1);
    return status < 0 ? -1 : !rest;
}

void
_Px_Stop(void)
{
    if (_Px_CrewStop()) {
        _Px_Settle();
    }
    _Px_TellErrors();
}
