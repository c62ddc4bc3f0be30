/*
 * The harvest: main's copies of outcomes, and who is told of them.
 *
 * Main harvests whenever it has closed the world and before it does anything else:
 * an outcome may refer to objects of main's, uncounted, and main must not have
 * dropped them.
 *
 *   K1  A task is in one place at a time: libpxrt's queue, a worker, the world's
 *       list of what is over, a harvest.
 *   K2  Outcomes are harvested in the order in which the tasks were over.
 *   K3  Nobody harvests but after closing the world, before letting the GIL go.
 *   K4  Outcomes that were taken are delivered in that order by whoever comes, one
 *       at a time (R3 of pxrunners.c): who delivers one may wait for the next.
 *
 * What a callback wants main to call (pxcalls.c) is copied with its outcome, and
 * called when main has all outcomes.
 *
 * Thread rule: the main side, with the GIL.
 */
#include "pycore_pxmodule.h"

#include "pycore_ceval.h"
#include "pycore_pyerrors.h"
#include "pycore_pystate.h"

enum {
    OFTEN = 1000, /* so often a call is tried that something strikes */
    ROOM = 100    /* frames for it */
};

static bool unseen; /* something was over since run_once() said so */

static px_task *due, **due_end = &due; /* K4 */

static __thread bool runs_no_code; /* it is in _Px_SettleQuietly() */

/* A Ctrl-C that struck there, or NULL. */
static __thread PyObject *interrupt;

/* ---- tasks --------------------------------------------------------------- */

void
_Px_FreeTask(px_task *task)
{
    Py_XDECREF(task->func);
    Py_XDECREF(task->args);
    Py_XDECREF(task->kwds);
    Py_XDECREF(task->callback);
    Py_XDECREF(task->errback);
    Py_XDECREF(task->notify);
    Py_XDECREF(task->kept);
    Py_XDECREF(task->left);
    Py_XDECREF(task->unfinished);
    Py_XDECREF(task->unfinished_late);
    PyMem_RawFree(task->luggage.states);
    px_context_release(task->context);
    PyMem_RawFree(task);
}

/* ---- taking outcomes ------------------------------------------------------ */

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
        task->interrupted =
            task->interrupted && mine &&
            PyErr_GivenExceptionMatches(mine, PyExc_KeyboardInterrupt);
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
    _Px_luggage = &task->luggage;
    task->outcome = take_outcome(task);
    task->calls = _Px_TakeCalls(task->calls);
    task->left = _Px_TakeLeft();
    task->unfinished = _Px_TakeFinalizers(&task->unfinished_late);
    _Px_EndOutside(task->luggage.outside);
    _Px_luggage = NULL;
    px_context_release(task->context);
    task->context = NULL;
}

/* ---- signals -------------------------------------------------------------- */

/* In the code of futures no handler of main's strikes: half of a step done would
 * leave a lock held, or somebody not told. */
static __thread bool puts_signals_off;

int
_Px_PutsSignalsOff(void)
{
    return puts_signals_off;
}

/* Returns what it was. Those that came meanwhile are due. */
static bool
put_signals_off(bool off)
{
    PyThreadState *tstate = _PyThreadState_GET();
    bool was = puts_signals_off;
    puts_signals_off = off;
    if (!off && _Py_ThreadCanHandleSignals(tstate->interp) &&
        _Py_atomic_load_int_relaxed(&_PyRuntime.signals.is_tripped)) {
        _Py_set_eval_breaker_bit(tstate, _PY_SIGNALS_PENDING_BIT);
    }
    return was;
}

/* ---- delivering them ------------------------------------------------------ */

/* Ctrl-C, or what a handler of another signal raises, may strike in the midst of a
 * call that is none of its business: whoever has callbacks run raises it, before
 * other errors. A shortage may be over. */
static bool
put_interrupt_off(void)
{
    if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear();
        return true;
    }
    if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) &&
        !_Py_ThreadCanHandleSignals(PyInterpreterState_Get())) {
        return false;
    }
    PyObject *error = PyErr_GetRaisedException();
    if (runs_no_code) {
        Py_XSETREF(interrupt, error);
    }
    else {
        _Px_KeepError(error, true);
    }
    return true;
}

/* How deep the thread is that happens to deliver is no concern of the future's. */
static void
give_room(PyThreadState *tstate, int frames)
{
    tstate->py_recursion_remaining += frames;
    tstate->c_recursion_remaining += frames;
}

/* What is interrupted is called once more, so it must bear that. */
static int
notify(px_task *task, PyObject *error, PyObject *result)
{
    PyThreadState *tstate = _PyThreadState_GET();
    PyObject *answer = NULL;
    bool again = true;
    bool before = put_signals_off(true);
    give_room(tstate, ROOM);
    for (int i = 0; again && i < OFTEN; i++) {
        answer =
            PyObject_CallFunctionObjArgs(task->notify, error, result, NULL);
        again = !answer && put_interrupt_off();
    }
    give_room(tstate, -ROOM);
    (void)put_signals_off(before);
    Py_XDECREF(answer);
    if (again) {
        PyErr_NoMemory();
    }
    return answer ? 0 : -1;
}

/* What a handler raises is nothing that the callback has raised. */
static void
handle_signals(void)
{
    if (PyErr_CheckSignals() < 0) {
        _Px_KeepError(PyErr_GetRaisedException(), true);
    }
}

static PyObject *
pop_first(PyObject *list)
{
    PyObject *first =
        PyList_GET_SIZE(list) > 0 ? Py_NewRef(PyList_GET_ITEM(list, 0)) : NULL;
    if (first && PyList_SetSlice(list, 0, 1, NULL) < 0) {
        Py_CLEAR(first);
    }
    return first;
}

PyObject *
_Px_CallFirst(PyObject *list, PyObject *arg)
{
    bool before = put_signals_off(false);
    handle_signals();
    PyObject *first = pop_first(list);
    PyObject *answer = NULL;
    if (first) {
        answer = PyObject_CallOneArg(first, arg);
        Py_DECREF(first);
    }
    else if (!PyErr_Occurred()) {
        answer = Py_NewRef(Py_None); /* a handler has had all called */
    }
    (void)put_signals_off(before);
    return answer;
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
end_finalizers(px_task *task)
{
    if (task->unfinished) {
        _Px_EndFinalizers(task->unfinished, task->unfinished_late,
                          task->luggage.states);
        task->unfinished = task->unfinished_late = NULL;
    }
}

static void
deliver(px_task *task)
{
    complete_outcome(task);
    _Px_MakeCalls(task);
    if (deliver_outcome(task) < 0) {
        PyErr_WriteUnraisable(task->notify);
    }
    end_finalizers(task);
    Py_CLEAR(task->calls);
    Py_CLEAR(task->outcome);
    _Px_FreeTask(task);
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
    _Px_WorldCountHarvest(1);
    while (due && !_Px_WorldForked()) {
        deliver(take_due(&due));
    }
    _Px_WorldCountHarvest(-1);
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

/* What struck meanwhile. */
static int
raise_interrupt(void)
{
    if (!interrupt) {
        return 0;
    }
    PyErr_SetRaisedException(interrupt);
    interrupt = NULL;
    return -1;
}

int
_Px_SettleQuietly(void)
{
    take_all();
    _Px_WorldDropLimbo();
    _Px_WorldCountHarvest(1);
    runs_no_code = true;
    deliver_quietly();
    runs_no_code = false;
    _Px_WorldCountHarvest(-1);
    return raise_interrupt();
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
void
_Px_Settle(void)
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

/* ---- for who has callbacks run --------------------------------------------- */

bool
_Px_HarvestHasRest(void)
{
    return due;
}

bool
_Px_HarvestHasNews(void)
{
    return unseen || _Px_HasErrors();
}

int
_Px_HarvestTell(void)
{
    bool some = unseen;
    unseen = false;
    return _Px_RaiseError() < 0 ? -1 : some;
}
