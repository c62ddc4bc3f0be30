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
 *
 * A callback that wants main to call something says so in a list of its own;
 * main makes copies of that, too, and calls when it has all outcomes. If it wants
 * to wait for the result, it stops in mid-flight until main has called. What main
 * answers is main's: the task keeps it for as long as the callback may use it.
 *
 * Thread rule: run_task() and _Px_CallLater() on a worker, the rest on the main
 * side with the GIL.
 */
#include "pycore_px.h"

#include "pycore_ceval.h"
#include "pycore_pyerrors.h"
#include "pycore_pystate.h"
#include "pycore_time.h"

static struct {
    PyObject *errors; /* a list: exceptions that nobody has been told of */
    bool unseen;      /* something was over since run_once() said so */
} work;

static __thread unsigned harvests_here; /* this thread is in so many */
static __thread unsigned serves_here;   /* and makes so many calls for callbacks */

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
    px_worker *worker = _Px_CrewWorker();
    if (_Px_WorldEnter(worker)) {
        _Px_Enter(worker, context);
        worker->calls = worker->kept = NULL;
        perform(task);
        task->calls = worker->calls;
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

int
_Px_CallLater(PyObject *func, PyObject *args, PyObject *kwds)
{
    px_worker *worker = _Px_CrewWorker();
    PyObject *call = PyTuple_Pack(3, func, args, kwds ? kwds : Py_None);
    if (!worker->calls) {
        worker->calls = PyList_New(0);
    }
    int status =
        call && worker->calls ? PyList_Append(worker->calls, call) : -1;
    Py_XDECREF(call);
    return status;
}

PyObject *
_Px_CallNow(PyObject *func, PyObject *args, PyObject *kwds)
{
    px_worker *worker = _Px_CrewWorker();
    worker->ask = PyTuple_Pack(3, func, args, kwds);
    if (!worker->ask) {
        return NULL;
    }
    _Px_WorldAsk(worker);
    if (worker->failed) { /* raising changes an exception: have one of our own */
        PyErr_SetRaisedException(_Px_PromoteException(worker->answer));
        return NULL;
    }
    return Py_NewRef(worker->answer);
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
    if (!task->outcome) {
        say_why_it_never_ran(task);
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
    return mine;
}

/* Main's copy of what the callback wants called, with a failure in the place of
 * each that cannot be copied. NULL when there is none. */
static PyObject *
take_calls(px_task *task)
{
    Py_ssize_t count = task->calls ? PyList_GET_SIZE(task->calls) : 0;
    PyObject *mine = count ? PyList_New(count) : NULL;
    for (Py_ssize_t i = 0; mine && i < count; i++) {
        PyObject *call = _Px_Promote(PyList_GET_ITEM(task->calls, i));
        if (!call) {
            call = PyErr_GetRaisedException();
        }
        PyList_SET_ITEM(mine, i, call);
    }
    PyErr_Clear();
    return mine;
}

/* From here on the context may go. */
static void
take(px_task *task)
{
    task->calls = take_calls(task);
    task->outcome = take_outcome(task);
    px_context_release(task->context);
    task->context = NULL;
}

/* Steals the error; run_once() raises it some time. */
static int
keep_error(PyObject *error)
{
    if (!work.errors) {
        work.errors = PyList_New(0);
    }
    int status = work.errors ? PyList_Append(work.errors, error) : -1;
    Py_DECREF(error);
    return status;
}

/* One call for a context. What it returns goes nowhere. */
static int
make_call(PyObject *call)
{
    if (!PyTuple_CheckExact(call)) { /* it could not be copied */
        return keep_error(Py_NewRef(call));
    }
    PyObject *func = PyTuple_GET_ITEM(call, 0);
    PyObject *kwds = PyTuple_GET_ITEM(call, 2);
    PyObject *result = PyObject_Call(func, PyTuple_GET_ITEM(call, 1),
                                     kwds == Py_None ? NULL : kwds);
    if (result && result != Py_None &&
        PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                         "call_from_main_thread(): %R returned a '%.100s' "
                         "object, which goes nowhere",
                         func, Py_TYPE(result)->tp_name) < 0) {
        Py_CLEAR(result);
    }
    int status = result ? 0 : keep_error(PyErr_GetRaisedException());
    Py_XDECREF(result);
    return status;
}

static int
deliver_calls(px_task *task)
{
    int status = 0;
    Py_ssize_t count = task->calls ? PyList_GET_SIZE(task->calls) : 0;
    for (Py_ssize_t i = 0; i < count && status == 0; i++) {
        status = make_call(PyList_GET_ITEM(task->calls, i));
    }
    Py_CLEAR(task->calls);
    return status;
}

/* Ctrl-C may strike in the midst of a call that is none of its business: it is
 * run_once()'s to raise, before other errors. */
static int
put_off(PyObject *interrupt)
{
    if (!work.errors) {
        work.errors = PyList_New(0);
    }
    int status = work.errors ? PyList_Insert(work.errors, 0, interrupt) : -1;
    Py_DECREF(interrupt);
    return status;
}

static bool
put_interrupt_off(void)
{
    return PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) &&
           put_off(PyErr_GetRaisedException()) == 0;
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
        return task->failed && !task->interrupted
                   ? keep_error(Py_NewRef(outcome))
                   : 0;
    }
    PyObject *error = task->failed ? outcome : Py_None;
    PyObject *result = task->failed ? Py_None : outcome;
    return notify(task, error, result);
}

static void
deliver(px_task *task)
{
    if (deliver_calls(task) < 0 || deliver_outcome(task) < 0) {
        PyErr_WriteUnraisable(task->notify);
    }
    Py_CLEAR(task->outcome);
    free_task(task);
}

/* All outcomes are copied before anybody is told of one: telling runs code of
 * main's, which may drop what another outcome refers to. */
static void
harvest(void)
{
    px_task *tasks = _Px_WorldTake(), *next;
    if (!tasks) {
        return;
    }
    _Px_WorldCountHarvest(1);
    harvests_here++;
    for (px_task *task = tasks; task; task = task->next) {
        take(task);
    }
    work.unseen = true;
    for (; tasks; tasks = next) {
        next = tasks->next;
        deliver(tasks);
    }
    harvests_here--;
    _Px_WorldCountHarvest(-1);
}

/* ---- calls that callbacks wait for --------------------------------------- */

/* The result of func(*args, **kwds), or NULL. */
static PyObject *
call_for(PyObject *ask)
{
    PyObject *mine = _Px_Promote(ask);
    if (!mine) {
        return NULL;
    }
    PyObject *kwds = PyTuple_GET_ITEM(mine, 2);
    serves_here++;
    PyObject *result = PyObject_Call(PyTuple_GET_ITEM(mine, 0),
                                     PyTuple_GET_ITEM(mine, 1), kwds);
    serves_here--;
    Py_DECREF(mine);
    return result;
}

/* Steals @answer, which stays with the callback even without memory for that. */
static void
keep_answer(px_worker *worker, PyObject *answer)
{
    if (!worker->kept) {
        worker->kept = PyList_New(0);
    }
    if (worker->kept && PyList_Append(worker->kept, answer) == 0) {
        Py_DECREF(answer);
    }
    PyErr_Clear();
    worker->answer = answer;
}

static void
serve(px_worker *worker)
{
    PyObject *answer = call_for(worker->ask);
    worker->failed = !answer;
    if (!answer && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        answer = PyErr_GetRaisedException();
        (void)put_off(Py_NewRef(answer));
    }
    else if (!answer) {
        answer = PyErr_GetRaisedException();
    }
    keep_answer(worker, answer);
    _Px_WorldAnswered(worker);
}

/* ---- after the world was closed ------------------------------------------ */

static void
warn_of_limbo(void)
{
    if (_Px_LimboFull() &&
        PyErr_WarnEx(PyExc_RuntimeWarning,
                     "callbacks are in flight for so long that a million objects "
                     "wait for their end: the main side waits, too",
                     1) < 0) {
        PyErr_WriteUnraisable(NULL);
    }
}

static void
settle(void)
{
    px_worker *asking;
    harvest();
    while ((asking = _Px_WorldNextAsking())) {
        serve(asking);
    }
    warn_of_limbo();
    _Px_LimboDrop(_Px_WorldOldest());
}

/* ---- submitting ---------------------------------------------------------- */

int
_Px_Submit(PyObject *func, PyObject *args, PyObject *kwds, PyObject *callback,
           PyObject *errback, PyObject *notify)
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

/* The first error that nobody has been told of, raised; 0 when there is none.
 * It tells of what was over, too. */
static int
raise_first(void)
{
    if (!work.errors || PyList_GET_SIZE(work.errors) == 0) {
        return 0;
    }
    work.unseen = false;
    PyObject *first = Py_NewRef(PyList_GET_ITEM(work.errors, 0));
    if (PyList_SetSlice(work.errors, 0, 1, NULL) == 0) {
        PyErr_SetRaisedException(first);
    }
    else {
        Py_DECREF(first);
    }
    return -1;
}

/* Another thread may be delivering what was the last. */
static void
await_harvest(void)
{
    Py_BEGIN_ALLOW_THREADS _Px_WorldAwaitHarvest(harvests_here);
    Py_END_ALLOW_THREADS
}

/* Let time pass, and others have what they ask for. 1: nothing is left. */
static int
turn(px_run_how how, PyTime_t deadline)
{
    if (_Px_WorldActive() > 0 && !_Px_WorldEnded()) {
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
    return work.unseen || (work.errors && PyList_GET_SIZE(work.errors) > 0);
}

static int
tell_news(void)
{
    if (raise_first() < 0) {
        return -1;
    }
    bool unseen = work.unseen;
    work.unseen = false;
    return unseen;
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
    if (serves_here > 0) {
        PyErr_SetString(_Px_ParallelError,
                        "running the loop in a call that a callback waits for");
        return -1;
    }
    _Px_WorldCountRunner(1);
    int status = run_until(gather ? PX_GATHER : PX_ONE, deadline_of(timeout_ms));
    _Px_WorldCountRunner(-1);
    return status;
}

void
_Px_Stop(void)
{
    if (_Px_CrewStop()) {
        settle();
    }
    Py_CLEAR(work.errors);
}
