/*
 * The module _parallel: what parallel (Lib/parallel) is made of.
 *
 * Thread rule: any thread that runs Python code; what is for the main side
 * alone raises ParallelError in a context.
 */
#include "pycore_pxmodule.h"

#include "pycore_time.h"

PyDoc_STRVAR(
    submit_doc,
    "submit(func, args, kwds, callback, errback, notify, memory=0, /)\n--\n\n"
    "Call func(*args, **kwds) in a context; see parallel.submit_work().\n"
    "If notify is not None, main calls notify(error, result) when it is over.\n"
    "memory is 0 (auto), 1 (arena) or 2 (counted).");

static PyObject *
px_submit(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *func, *arguments, *kwds, *callback, *errback, *notify;
    int memory = PX_MEMORY_AUTO;
    if (!PyArg_ParseTuple(args, "OO!OOOO|i:submit", &func, &PyTuple_Type,
                          &arguments, &kwds, &callback, &errback, &notify,
                          &memory)) {
        return NULL;
    }
    if (memory < PX_MEMORY_AUTO || memory > PX_MEMORY_COUNTED) {
        PyErr_SetString(PyExc_ValueError, "memory must be 0, 1 or 2");
        return NULL;
    }
    if (!PyCallable_Check(func)) {
        PyErr_SetString(PyExc_TypeError, "func must be callable");
        return NULL;
    }
    if (kwds != Py_None && !PyDict_Check(kwds)) {
        PyErr_SetString(PyExc_TypeError, "kwds must be a dict or None");
        return NULL;
    }
    if (_Px_Submit(func, arguments, kwds == Py_None ? NULL : kwds, callback,
                   errback, notify == Py_None ? NULL : notify,
                   (px_memory)memory) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(memory_named_doc,
             "memory_named(name, /)\n--\n\n"
             "What submit() calls 'auto', 'arena' or 'counted'.");

static PyObject *
px_memory_named(PyObject *Py_UNUSED(module), PyObject *name)
{
    static const char *const names[] = {
        [PX_MEMORY_AUTO] = "auto",
        [PX_MEMORY_ARENA] = "arena",
        [PX_MEMORY_COUNTED] = "counted",
    };
    for (size_t i = 0; PyUnicode_Check(name) && i < Py_ARRAY_LENGTH(names);
         i++) {
        if (PyUnicode_EqualToUTF8(name, names[i])) {
            return PyLong_FromSize_t(i);
        }
    }
    return PyErr_Format(PyExc_ValueError,
                        "memory must be 'auto', 'arena' or 'counted', not %R",
                        name);
}

PyDoc_STRVAR(run_once_doc, "run_once(timeout_ms=-1, gather=False, /)\n--\n\n"
                           "Let contexts run until one is over, or with gather "
                           "for as long as there is\n"
                           "something to do and nobody waits. True if one was "
                           "over since the last call;\n"
                           "False if nothing is left to do or the time is up. "
                           "Raises the first error not\n"
                           "raised yet.");

static PyObject *
px_run_once_method(PyObject *Py_UNUSED(module), PyObject *args)
{
    long long timeout_ms = -1;
    int gather = 0;
    if (!PyArg_ParseTuple(args, "|Lp:run_once", &timeout_ms, &gather)) {
        return NULL;
    }
    int status = _Px_RunOnce(timeout_ms, gather);
    return status < 0 ? NULL : PyBool_FromLong(status);
}

PyDoc_STRVAR(call_later_doc, "call_later(func, args, kwds, /)\n--\n\n"
                             "In a context: have the main side call "
                             "func(*args, **kwds), with copies of the\n"
                             "arguments, when this callback is over; see "
                             "parallel.call_from_main_thread().");

static PyObject *
px_call_later(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *func, *arguments, *kwds;
    if (!PyArg_ParseTuple(args, "OO!O!:call_later", &func, &PyTuple_Type,
                          &arguments, &PyDict_Type, &kwds)) {
        return NULL;
    }
    if (!_Px_IN()) {
        PyErr_SetString(_Px_ParallelError, "not in a context");
        return NULL;
    }
    return _Px_CallLater(func, arguments, kwds) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(run_meanwhile_doc,
             "run_meanwhile(seconds, /)\n--\n\n"
             "For a thread that waits: run callbacks until some are over, or "
             "for so long\n"
             "(None: for ever). False if there are none, or another thread "
             "runs them, or\n"
             "has to do the rest.");

PyDoc_STRVAR(hand_over_doc,
             "hand_over(func, /)\n--\n\n"
             "In what run_meanwhile() delivers: have another thread call "
             "func(None, None),\n"
             "for this one may hold locks. False: call it here.");

static PyObject *
px_hand_over(PyObject *Py_UNUSED(module), PyObject *func)
{
    return PyBool_FromLong(_Px_HandOver(func));
}

PyDoc_STRVAR(call_first_doc,
             "call_first(callbacks, arg, /)\n--\n\n"
             "Take the first of a list away and call it, in one step as far as "
             "signals are\n"
             "concerned: what their handlers raise is kept for run().");

static PyObject *
px_call_first(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *list, *arg;
    if (!PyArg_ParseTuple(args, "O!O:call_first", &PyList_Type, &list, &arg)) {
        return NULL;
    }
    if (_Px_MAIN_ONLY("calling done callbacks") < 0) {
        return NULL;
    }
    return _Px_CallFirst(list, arg);
}

static PyObject *
px_run_meanwhile(PyObject *Py_UNUSED(module), PyObject *seconds)
{
    PyTime_t deadline = PyTime_MAX, rest;
    if (seconds != Py_None) {
        if (_PyTime_FromSecondsObject(&rest, seconds, _PyTime_ROUND_CEILING) <
            0) {
            return NULL;
        }
        deadline = _PyTime_Add(_Px_NowNs(), rest);
    }
    int ran = _Px_RunMeanwhile(deadline);
    return ran < 0 ? NULL : PyBool_FromLong(ran);
}

PyDoc_STRVAR(is_serving_doc, "is_serving()\n--\n\n"
                             "Whether this thread is in a call that a callback "
                             "waits for.");

static PyObject *
px_is_serving(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(_Px_IsServing());
}

PyDoc_STRVAR(served_doc,
             "served()\n--\n\n"
             "If it is, the first argument of that callback, else None.");

static PyObject *
px_served(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *first = _Px_Served();
    return Py_NewRef(first ? first : Py_None);
}

PyDoc_STRVAR(is_stuck_doc,
             "is_stuck()\n--\n\n"
             "Whether it is, and all workers wait for such calls, "
             "which wait themselves.");

static PyObject *
px_is_stuck(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(_Px_IsStuck());
}

PyDoc_STRVAR(call_now_doc, "call_now(func, args, kwds, /)\n--\n\n"
                           "In a context: have the main side call "
                           "func(*args, **kwds), with copies of the\n"
                           "arguments, and wait for the result; see "
                           "parallel.call_from_main_thread_and_wait().");

static PyObject *
px_call_now(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *func, *arguments, *kwds;
    if (!PyArg_ParseTuple(args, "OO!O!:call_now", &func, &PyTuple_Type,
                          &arguments, &PyDict_Type, &kwds)) {
        return NULL;
    }
    if (!_Px_IN()) {
        PyErr_SetString(_Px_ParallelError, "not in a context");
        return NULL;
    }
    return _Px_CallNow(func, arguments, kwds);
}

PyDoc_STRVAR(
    set_stop_after_doc,
    "set_stop_after(seconds, /)\n--\n\n"
    "Stop callbacks in mid-flight when somebody has waited so many seconds "
    "for the\n"
    "GIL, or for what another callback has returned: 0.02 at the start, never "
    "infinity.\n"
    "On the main side, any thread; in a context: ParallelError.");

static PyObject *
px_set_stop_after(PyObject *Py_UNUSED(module), PyObject *seconds)
{
    PyTime_t after;
    if (_Px_MAIN_ONLY("setting when contexts stop") < 0 ||
        _PyTime_FromSecondsObject(&after, seconds, _PyTime_ROUND_CEILING) < 0) {
        return NULL;
    }
    if (after < 0) {
        PyErr_SetString(PyExc_ValueError, "seconds must not be negative");
        return NULL;
    }
    _Px_StopAfter = after;
    Py_RETURN_NONE;
}

static PyObject *
px_active_count_method(PyObject *Py_UNUSED(module),
                       PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSize_t(_Px_ActiveCount());
}

static PyObject *
px_is_parallel_thread(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(_Px_IN());
}

static PyObject *
px_owns_method(PyObject *Py_UNUSED(module), PyObject *object)
{
    return PyBool_FromLong(_Px_OWN(object));
}

static PyObject *
px_local_method(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *dict = PyThreadState_GetDict();
    return dict ? Py_NewRef(dict) : PyErr_NoMemory();
}

PyDoc_STRVAR(here_doc,
             "here(object, make=..., /)\n--\n\n"
             "The object; in a context, in the place of an object of main's, "
             "what make()\n"
             "returned when first asked, a copy if make is None. Without make, "
             "what is there.");

static PyObject *
px_here_method(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *make = NULL;
    if (!PyArg_ParseTuple(args, "O|O:here", &object, &make)) {
        return NULL;
    }
    return !make             ? _Px_Seen(object)
           : make == Py_None ? _Px_MakeInPlaceOf(object, PX_INSTANCE)
                             : _Px_InPlaceOf(object, make);
}

static PyObject *
px_environ_here(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *data;
    int change;
    if (!PyArg_ParseTuple(args, "O!p:environ_here", &PyDict_Type, &data,
                          &change)) {
        return NULL;
    }
    return _Px_EnvironHere(data, change);
}

static PyObject *
px_thread_seq_id(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong((long)px_worker_id());
}

PyDoc_STRVAR(set_young_bytes_doc,
             "set_young_bytes(count, /)\n--\n\n"
             "Let contexts free nothing until they have allocated so much: "
             "then what is\n"
             "not referred to any more goes at once, as elsewhere. 0: from the "
             "beginning,\n"
             "for code that relies on when its objects go.");

PyDoc_STRVAR(set_memory_limit_doc,
             "set_memory_limit(count, /)\n--\n\n"
             "Callbacks that begin from now on get MemoryError when their "
             "context has grown\n"
             "by so many bytes; a little more is there to deal with that. "
             "None: no limit but\n"
             "the 8 GB of address space that a context has. On the main side, "
             "any thread; in a\n"
             "context: ParallelError.");

static int
set_bytes(size_t *to, PyObject *count)
{
    if (_Px_MAIN_ONLY("setting how much contexts allocate") < 0) {
        return -1;
    }
    Py_ssize_t bytes = PyLong_AsSsize_t(count);
    if (bytes < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "count must not be negative");
        }
        return -1;
    }
    *to = (size_t)bytes;
    return 0;
}

static PyObject *
px_set_young_bytes(PyObject *Py_UNUSED(module), PyObject *count)
{
    return set_bytes(&_Px_YoungBytes, count) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
px_set_memory_limit(PyObject *Py_UNUSED(module), PyObject *count)
{
    PyObject *none = NULL;
    if (count == Py_None) {
        count = none = PyLong_FromSsize_t(PY_SSIZE_T_MAX);
    }
    int status = count ? set_bytes(&_Px_MaxBytes, count) : -1;
    Py_XDECREF(none);
    return status < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(
    set_guard_doc,
    "set_guard(mode, /)\n--\n\n"
    "What to do about writes of contexts to main's memory that nothing "
    "else has\n"
    "stopped: 'off', 'auto' (end the callback with FrozenMemoryError, "
    "where that is\n"
    "safe to find out), 'full' (static data, too: slow), 'trace' (as "
    "'full', but the\n"
    "write is carried out and noted). The process must have been started "
    "with\n"
    "PYTHONPARALLELGUARD set to one of these. On the main side, any thread; "
    "in a\n"
    "context: ParallelError.");

static PyObject *
px_set_guard(PyObject *Py_UNUSED(module), PyObject *name)
{
    const char *mode =
        _Px_MAIN_ONLY("setting the guard") < 0 ? NULL : PyUnicode_AsUTF8(name);
    if (!mode || _Px_GuardSetMode(mode) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
px_stop_method(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (_Px_MAIN_ONLY("stopping") < 0) {
        return NULL;
    }
    _Px_Stop();
    Py_RETURN_NONE;
}

/* ---- modules and methods in C -------------------------------------------- */

static PyObject *
px_set_importers(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *for_c, *library;
    if (_Px_MAIN_ONLY("setting who imports") < 0 ||
        !PyArg_ParseTuple(args, "OO:set_importers", &for_c, &library)) {
        return NULL;
    }
    _Px_SetImporters(for_c, library);
    Py_RETURN_NONE;
}

static PyObject *
px_allow_method(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTypeObject *type;
    PyObject *name;
    if (_Px_MAIN_ONLY("opening methods") < 0 ||
        !PyArg_ParseTuple(args, "O!U:allow_method", &PyType_Type, &type,
                          &name) ||
        _Px_AllowMethod(type, name) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"submit", px_submit, METH_VARARGS, submit_doc},
    {"memory_named", px_memory_named, METH_O, memory_named_doc},
    {"run_once", px_run_once_method, METH_VARARGS, run_once_doc},
    {"run_meanwhile", px_run_meanwhile, METH_O, run_meanwhile_doc},
    {"hand_over", px_hand_over, METH_O, hand_over_doc},
    {"call_first", px_call_first, METH_VARARGS, call_first_doc},
    {"call_later", px_call_later, METH_VARARGS, call_later_doc},
    {"call_now", px_call_now, METH_VARARGS, call_now_doc},
    {"is_serving", px_is_serving, METH_NOARGS, is_serving_doc},
    {"served", px_served, METH_NOARGS, served_doc},
    {"is_stuck", px_is_stuck, METH_NOARGS, is_stuck_doc},
    {"set_stop_after", px_set_stop_after, METH_O, set_stop_after_doc},
    {"active_count", px_active_count_method, METH_NOARGS,
     PyDoc_STR("Pieces of work that are not over yet.")},
    {"is_parallel_thread", px_is_parallel_thread, METH_NOARGS,
     PyDoc_STR("Whether this code runs in a context.")},
    {"owns", px_owns_method, METH_O,
     PyDoc_STR("Whether this thread may change the object.")},
    {"local", px_local_method, METH_NOARGS,
     PyDoc_STR("A dict of this thread's; in a context, of the context's.")},
    {"here", px_here_method, METH_VARARGS, here_doc},
    {"environ_here", px_environ_here, METH_VARARGS,
     PyDoc_STR("environ_here(data, change, /)\n--\n\n"
               "The data of os.environ here.")},
    {"thread_seq_id", px_thread_seq_id, METH_NOARGS,
     PyDoc_STR("The number of this worker, from 1; 0 on the main side.")},
    {"set_young_bytes", px_set_young_bytes, METH_O, set_young_bytes_doc},
    {"set_guard", px_set_guard, METH_O, set_guard_doc},
    {"set_memory_limit", px_set_memory_limit, METH_O, set_memory_limit_doc},
    {"set_importers", px_set_importers, METH_VARARGS,
     PyDoc_STR(
         "set_importers(for_c, library, /)\n--\n\n"
         "What main calls with the name of a module that a context is to have "
         "from it.")},
    {"allow_method", px_allow_method, METH_VARARGS,
     PyDoc_STR("allow_method(cls, name, /)\n--\n\n"
               "See parallel.allow_methods().")},
    {"_stop", px_stop_method, METH_NOARGS,
     PyDoc_STR("End the workers; called at exit.")},
    {NULL},
};

/* ---- exceptions ---------------------------------------------------------- */

static int
add_exception(PyObject *module, PyObject **to, const char *name,
              const char *doc, PyObject *base)
{
    char full[64];
    PyOS_snprintf(full, sizeof full, "parallel.%s", name);
    if (!*to) {
        *to = PyErr_NewExceptionWithDoc(full, doc, base, NULL);
    }
    return *to ? PyModule_AddObjectRef(module, name, *to) : -1;
}

static int
add_exceptions(PyObject *module)
{
    if (add_exception(module, &_Px_ParallelError, "ParallelError",
                      "What contexts and the module parallel raise.",
                      PyExc_RuntimeError) < 0 ||
        add_exception(module, &_Px_UnprotectedError, "UnprotectedError",
                      "A context was about to change an object that is not "
                      "its own.",
                      _Px_ParallelError) < 0) {
        return -1;
    }
    if (add_exception(module, &_Px_PersistenceError, "PersistenceError",
                      "An object cannot leave its context.",
                      _Px_ParallelError) < 0) {
        return -1;
    }
    return add_exception(module, &_Px_FrozenMemoryError, "FrozenMemoryError",
                         "The guard has kept a context from writing to memory "
                         "of main's.",
                         _Px_ParallelError);
}

/* ---- the module ---------------------------------------------------------- */

/* Workers, exceptions and who imports are there once, for the interpreter whose
 * objects contexts read. Somebody may forget the module and import it again. */
static int
execute(PyObject *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError,
                        "contexts are for the main interpreter alone");
        return -1;
    }
    if (!_Px_empty_dict) {
        _Px_empty_dict = PyDict_New();
    }
    if (!_Px_empty_dict || PyModule_AddFunctions(module, _Px_stats) < 0) {
        return -1;
    }
    return add_exceptions(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_parallel",
    .m_doc = PyDoc_STR("Parallel contexts; see the module parallel."),
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__parallel(void)
{
    return PyModuleDef_Init(&module_def);
}
