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
 *   K1  A task is in one place at a time: libpxrt's queue, a worker, the world's
 *       list of what is over, a harvest.
 *   K2  Outcomes are harvested in the order in which the tasks were over.
 *   K3  Nobody harvests but after closing the world, before letting the GIL go.
 *   K4  Outcomes that were taken are delivered in that order by whoever comes: who
 *       delivers one may wait for the next.
 *
 * What a callback wants main to call (pxcalls.c) is copied with its outcome, and
 * called when main has all outcomes.
 *
 * Thread rule: run_task() and give_up() on a worker, the rest on the main side
 * with the GIL.
 */
#include "pycore_pxmodule.h"

#include "pycore_ceval.h"
#include "pycore_pyerrors.h"
#include "pycore_pystate.h"
#include "pycore_time.h"

static bool unseen; /* something was over since run_once() said so */

static px_task *due, **due_end = &due; /* K4 */

static __thread unsigned harvests_here; /* this thread is in so many */
static __thread bool runs_no_code;      /* it is in _Px_RunMeanwhile() */

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
    PyObject *instead =
        _Px_EndOwners(&worker->cx, leaves, worker->calls, task->failed);
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
        perform_guarded(worker, task);
        task->calls = worker->calls;
        task->instead = worker->cx.instead;
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
    Py_XDECREF(task->kept);
    px_context_release(task->context);
    PyMem_RawFree(task);
}

/* ---- harvest ------------------------------------------------------------- */

static void
say_why_it_never_ran(const px_task *task)
{
    if (task->status == PX_ENOMEM) {
        PyErr_NoMemory();
        return;
    }
    PyErr_SetString(_Px_ParallelError, task->status < 0
                                           ? px_strerror(task->status)
                                           : "the interpreter shuts down");
}

/* Main's copy of the outcome. What cannot be copied is a failure. */
static PyObject *
take_outcome(px_task *task)
{
    PyObject *mine = NULL;
    task->late = NULL;
    if (!task->outcome) {
        say_why_it_never_ran(task);
        task->interrupted = task->status == 0; /* who ends the process knows */
    }
    else if (task->failed) {
        mine = _Px_PromoteException(task->outcome, &task->late);
    }
    else if (task->notify) {
        mine = _Px_Promote(task->outcome, &task->late);
    }
    else {
        mine = Py_NewRef(Py_None);
    }
    if (!mine) {
        task->failed = true;
        mine = PyErr_GetRaisedException();
    }
    return mine;
}

/* From here on the context may go. */
static void
take(px_task *task)
{
    _Px_leaving = task->instead;
    task->calls = _Px_TakeCalls(task->calls);
    task->outcome = take_outcome(task);
    _Px_leaving = NULL;
    px_context_release(task->context);
    task->context = NULL;
}

/* Ctrl-C may strike in the midst of a call that is none of its business: it is
 * run_once()'s to raise, before other errors. */
static bool
put_interrupt_off(void)
{
    if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        return false;
    }
    _Px_KeepError(PyErr_GetRaisedException(), true);
    return true;
}

/* What is interrupted is called once more, so it must bear that. */
static int
notify(px_task *task, PyObject *error, PyObject *result)
{
    PyObject *answer;
    do {
        answer =
            PyObject_CallFunctionObjArgs(task->notify, error, result, NULL);
    } while (!answer && put_interrupt_off());
    Py_XDECREF(answer);
    return answer ? 0 : -1;
}

/* Whoever interrupts has an exception of his own. */
static int
deliver_outcome(px_task *task)
{
    PyObject *outcome = task->outcome;
    if (!task->notify) {
        if (task->failed && !task->interrupted) {
            _Px_KeepError(Py_NewRef(outcome), false);
        }
        return 0;
    }
    PyObject *error = task->failed ? outcome : Py_None;
    PyObject *result = task->failed ? Py_None : outcome;
    return notify(task, error, result);
}

/* What needs Python code to be complete. */
static void
complete_outcome(px_task *task)
{
    if (_Px_FillLate(task->late) < 0) {
        bool interrupted = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
        task->failed = true;
        Py_SETREF(task->outcome, PyErr_GetRaisedException());
        if (interrupted) {
            _Px_KeepError(Py_NewRef(task->outcome), true);
        }
    }
}

static void
deliver(px_task *task)
{
    complete_outcome(task);
    _Px_MakeCalls(task->calls);
    if (deliver_outcome(task) < 0) {
        PyErr_WriteUnraisable(task->notify);
    }
    Py_CLEAR(task->calls);
    Py_CLEAR(task->outcome);
    free_task(task);
}

static void
count_harvest(int more)
{
    _Px_WorldCountHarvest(more);
    harvests_here += (unsigned)more;
}

static void
take_all(void)
{
    *due_end = _Px_WorldTake();
    while (*due_end) {
        take(*due_end);
        due_end = &(*due_end)->next;
        _Px_WorldCountDue(1);
        unseen = true;
    }
}

static px_task *
take_due(px_task **at)
{
    px_task *task = *at;
    *at = task->next;
    if (!*at) {
        due_end = at;
    }
    _Px_WorldCountDue(-1);
    return task;
}

static void
deliver_all(void)
{
    if (!due) {
        return;
    }
    _Px_CrewSpare();
    count_harvest(1);
    while (due) {
        deliver(take_due(&due));
    }
    count_harvest(-1);
}

/* ---- by who waits for something ------------------------------------------ */

/* A thread that waits may hold locks, which code of main's may want: outcomes that
 * need such code, and calls, are left to a coordinator. */

/* Others may deliver as well, whenever the GIL changes hands. */
static void
deliver_quietly(void)
{
    px_task **at = &due;
    while (*at) {
        if ((*at)->calls || (*at)->late || (*at)->handed_over) {
            at = &(*at)->next;
        }
        else {
            deliver(take_due(at));
            at = &due;
        }
    }
}

static void
settle_quietly(void)
{
    take_all();
    _Px_WorldDropLimbo();
    count_harvest(1);
    runs_no_code = true;
    deliver_quietly();
    runs_no_code = false;
    count_harvest(-1);
}

bool
_Px_HandOver(PyObject *func)
{
    px_task *task = runs_no_code ? PyMem_RawCalloc(1, sizeof *task) : NULL;
    if (!task) {
        return false;
    }
    task->notify = Py_NewRef(func);
    task->outcome = Py_NewRef(Py_None);
    task->handed_over = true;
    *due_end = task;
    due_end = &task->next;
    _Px_WorldCountDue(1);
    return true;
}

/* ---- after the world was closed ------------------------------------------ */

static void
warn_of_limbo(void)
{
    if (PyErr_WarnEx(
            PyExc_RuntimeWarning,
            "callbacks are in flight for so long that a million objects "
            "wait for their end: the main side waits, too",
            1) < 0) {
        PyErr_WriteUnraisable(NULL);
    }
}

/* All outcomes are copied before code of main's runs, which may drop what they
 * refer to; and limbo, which they may refer to as well, is emptied before others
 * are told that their callbacks are over. */
static void
settle(void)
{
    bool full = _Px_LimboFull();
    take_all();
    _Px_WorldDropLimbo();
    deliver_all();
    _Px_ServeCalls();
    if (full) {
        warn_of_limbo();
    }
}

/* ---- submitting ---------------------------------------------------------- */

int
_Px_Submit(PyObject *func, PyObject *args, PyObject *kwds, PyObject *callback,
           PyObject *errback, PyObject *notify, px_memory memory)
{
    if (_Px_MAIN_ONLY("submitting work") < 0 || _Px_CrewStart(settle) < 0) {
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
        free_task(task);
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

/* Another thread may be delivering what was the last. If it waits here as well, in
 * a done callback, then it is not for us. */
static void
await_harvest(void)
{
    const int mine = (int)harvests_here;
    count_harvest(-mine);
    Py_BEGIN_ALLOW_THREADS _Px_WorldAwaitHarvest(0);
    Py_END_ALLOW_THREADS count_harvest(mine);
}

/* Let time pass, and others have what they ask for. 1: nothing is left. */
static int
turn(px_run_how how, PyTime_t deadline)
{
    if (due || (_Px_WorldActive() > 0 && !_Px_WorldEnded())) {
        _Px_WorldRun(how, deadline);
        settle();
    }
    else if (_Px_WorldHarvests(harvests_here)) {
        await_harvest();
    }
    else {
        return 1;
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

static bool
has_news(void)
{
    return unseen || _Px_HasErrors();
}

static int
tell_news(void)
{
    bool some = unseen;
    unseen = false;
    return _Px_RaiseError() < 0 ? -1 : some;
}

static int
run_until(px_run_how how, PyTime_t deadline)
{
    int status = 0;
    while (status == 0 && !has_news() && !is_past(deadline)) {
        status = turn(how, deadline);
    }
    if (status < 0 || (has_news() && land(deadline) < 0)) {
        return -1;
    }
    return tell_news();
}

int
_Px_RunOnce(int64_t timeout_ms, bool gather)
{
    if (_Px_MAIN_ONLY("running the loop") < 0) {
        return -1;
    }
    if (_Px_WorldForked()) {
        return _Px_CrewStart(settle); /* says so */
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
    settle_quietly();
    bool rest = due || _Px_WorldCensus().asking > 0;
    int status = _Py_HandlePending(_PyThreadState_GET());
    _Px_WorldCountRunner(-1);
    return status < 0 ? -1 : !rest;
}

void
_Px_Stop(void)
{
    if (_Px_CrewStop()) {
        settle();
    }
    _Px_TellErrors();
}
