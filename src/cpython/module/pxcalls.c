/*
 * What callbacks have main call: later, or now.
 *
 *      context   call_later ... over             call_now, stop ........ go on
 *      main                      \ copy, call                \ copy, call /
 *
 * Calls for later are made when the callback is over, in their order. One that a
 * callback waits for stops it in mid-flight. What main answers is main's: the
 * task keeps it for as long as the callback may use it.
 *
 * Thread rule: _Px_CallLater() and _Px_CallNow() in a context, the rest on the
 * main side with the GIL.
 */
#include "pycore_pxmodule.h"

#include "pycore_descrobject.h"

/* For whom this thread makes a call, and whether that waits for it. */
static __thread struct served {
    const px_task *task;
    bool waits;
} served_here;

/* ---- in a context -------------------------------------------------------- */

/* A copy of the list would hear what append() was to tell this one. */
static int
refuse_own_method(PyObject *func)
{
    PyObject *self = PyCFunction_Check(func) ? PyCFunction_GET_SELF(func)
                     : Py_IS_TYPE(func, &_PyMethodWrapper_Type)
                         ? _Px_SelfOfWrapper(func)
                         : NULL;
    if (!self || _Px_IsMains(self)) {
        return 0;
    }
    PyObject *name = PyObject_GetAttrString(func, "__name__");
    if (name) {
        PyErr_Format(_Px_PersistenceError,
                     "'%U' is a method of an object of this context: main "
                     "would call that of a copy",
                     name);
        Py_DECREF(name);
    }
    return -1;
}

int
_Px_CallLater(PyObject *func, PyObject *args, PyObject *kwds)
{
    if (refuse_own_method(func) < 0) {
        return -1;
    }
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
    if (refuse_own_method(func) < 0) {
        return NULL;
    }
    px_worker *worker = _Px_CrewWorker();
    worker->ask = PyTuple_Pack(3, func, args, kwds);
    if (!worker->ask) {
        return NULL;
    }
    _Px_WorldAsk(worker);
    if (worker->failed) {
        /* Raising changes an exception, so it takes one of our own. What main
         * has made is not copied, so nothing is late. */
        PyObject *late;
        PyErr_SetRaisedException(_Px_PromoteException(worker->answer, &late));
        assert(!late);
        return NULL;
    }
    return Py_NewRef(worker->answer);
}

/* ---- calls for later ----------------------------------------------------- */

/* With a failure in the place of each that cannot be copied, and followed by
 * what each lacks as yet. Without memory for a list, a failure in its place. */
PyObject *
_Px_TakeCalls(PyObject *calls)
{
    if (!calls) {
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(calls);
    PyObject *mine = PyList_New(2 * count);
    if (!mine) {
        return PyErr_GetRaisedException();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *late;
        PyObject *call = _Px_Promote(PyList_GET_ITEM(calls, i), &late);
        if (!call) {
            call = PyErr_GetRaisedException();
        }
        PyList_SET_ITEM(mine, 2 * i, call);
        PyList_SET_ITEM(mine, 2 * i + 1, late ? late : Py_NewRef(Py_None));
    }
    return mine;
}

/* One call for a context. What it returns goes nowhere. */
static int
call_later(PyObject *call, PyObject *late)
{
    if (late != Py_None && _Px_FillLate(Py_NewRef(late)) < 0) {
        return -1;
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
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static void
make_call(PyObject *call, PyObject *late)
{
    if (!PyTuple_CheckExact(call)) { /* it could not be copied */
        _Px_KeepError(Py_NewRef(call), false);
    }
    else if (call_later(call, late) < 0) {
        _Px_KeepError(PyErr_GetRaisedException(), false);
    }
}

static void
make_calls(PyObject *calls)
{
    if (calls && !PyList_CheckExact(calls)) { /* nor could any other */
        _Px_KeepError(Py_NewRef(calls), false);
        return;
    }
    Py_ssize_t count = calls ? PyList_GET_SIZE(calls) : 0;
    for (Py_ssize_t i = 0; i < count; i += 2) {
        make_call(PyList_GET_ITEM(calls, i), PyList_GET_ITEM(calls, i + 1));
    }
}

void
_Px_MakeCalls(const px_task *task)
{
    struct served outer = served_here;
    served_here = (struct served){task, false};
    make_calls(task->calls);
    served_here = outer;
}

/* ---- calls that callbacks wait for --------------------------------------- */

/* The result of func(*args, **kwds), or NULL. */
static PyObject *
call_for(const px_worker *worker)
{
    PyObject *late;
    PyObject *mine = _Px_Promote(worker->ask, &late);
    if (!mine || _Px_FillLate(late) < 0) {
        Py_XDECREF(mine);
        return NULL;
    }
    PyObject *kwds = PyTuple_GET_ITEM(mine, 2);
    struct served outer = served_here;
    served_here = (struct served){worker->task, true};
    PyObject *result = PyObject_Call(PyTuple_GET_ITEM(mine, 0),
                                     PyTuple_GET_ITEM(mine, 1), kwds);
    served_here = outer;
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
    PyObject *answer = call_for(worker);
    worker->failed = !answer;
    if (!answer && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        answer = PyErr_GetRaisedException();
        _Px_KeepError(Py_NewRef(answer), true);
    }
    else if (!answer) {
        answer = PyErr_GetRaisedException();
    }
    keep_answer(worker, answer);
    _Px_WorldAnswered(worker);
}

void
_Px_ServeCalls(void)
{
    px_worker *asking;
    while ((asking = _Px_WorldNextAsking())) {
        _Px_CrewSpare();
        serve(asking);
    }
}

bool
_Px_IsServing(void)
{
    return served_here.waits;
}

PyObject *
_Px_Served(void)
{
    PyObject *args = served_here.task ? served_here.task->args : NULL;
    return args && PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0)
                                              : NULL;
}

/* All but this thread, which asks. */
bool
_Px_IsStuck(void)
{
    px_census now = _Px_WorldCensus();
    return served_here.waits && now.served == now.workers &&
           now.waiting + 1 >= now.workers;
}
