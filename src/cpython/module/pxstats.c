/*
 * What the module _parallel tells of contexts: numbers, and whether any of them
 * has left something in main's objects.
 *
 * Thread rule: any thread that runs Python code; what is for the main side
 * alone raises ParallelError in a context.
 */
#include "pycore_pxmodule.h"

/* ---- contexts and callbacks ----------------------------------------------- */

PyDoc_STRVAR(
    context_stats_doc,
    "context_stats()\n--\n\n"
    "Numbers of contexts and callbacks, as a dict:\n\n"
    "workers    threads that run callbacks; 0 before anything was submitted\n"
    "active     callbacks that were submitted and not harvested\n"
    "over       of these, waiting for main to take their results\n"
    "in_flight  of these, begun and not over: running and stopped\n"
    "running    of these, on a worker now\n"
    "stopped    of these, stopped in mid-flight\n"
    "blocked    of these, in a call that may block, or served by main\n"
    "asking     of these, waiting for main to call something\n"
    "callbacks  callbacks that are over, since the process began\n"
    "failed     of these, ended by an exception\n"
    "slices     times that main ran between two times of the contexts");

static PyObject *
px_context_stats(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    px_census now = _Px_WorldCensus();
    return Py_BuildValue(
        "{sI sn sn sI sI sI sI sI sK sK sK}", "workers", now.workers, "active",
        (Py_ssize_t)now.active, "over", (Py_ssize_t)now.over, "in_flight",
        now.running + now.stopped, "running", now.running, "stopped",
        now.stopped, "blocked", now.blocked, "asking", now.asking, "callbacks",
        (unsigned long long)now.total.callbacks, "failed",
        (unsigned long long)now.total.failed, "slices",
        (unsigned long long)now.slices);
}

PyDoc_STRVAR(
    memory_stats_doc,
    "memory_stats()\n--\n\n"
    "Memory of contexts, as a dict. In a context, of this one:\n\n"
    "used_bytes        that its objects take, and what it has not freed\n"
    "peak_bytes        the most that it has used\n"
    "committed_bytes   that it has of the system\n"
    "large_page_bytes  of these, on large pages\n"
    "counting          1 if it counts references and collects cycles; 0 while\n"
    "                  it is young and frees nothing\n"
    "collections       runs of its cycle collector\n\n"
    "On the main side, of all callbacks that are over:\n\n"
    "used_bytes, collections  the sum\n"
    "peak_bytes        the most that one has used\n"
    "counting          how many counted references at their end\n"
    "limbo_objects     objects that main has dropped and that stay, since\n"
    "                  callbacks stopped in mid-flight may use them\n"
    "limbo_bytes       that these take, without what they refer to");

static PyObject *
memory_of_context(struct _Px_cx *cx)
{
    px_heap_stats stats = {.size = sizeof stats};
    px_use use = _Px_Use(cx);
    (void)px_heap_get_stats(cx->heap, &stats);
    return Py_BuildValue(
        "{sn sn sn sn si sn}", "used_bytes", (Py_ssize_t)stats.used_bytes,
        "peak_bytes", (Py_ssize_t)stats.peak_used_bytes, "committed_bytes",
        (Py_ssize_t)stats.committed_bytes, "large_page_bytes",
        (Py_ssize_t)stats.large_page_bytes, "counting", use.counting,
        "collections", (Py_ssize_t)use.collections);
}

static PyObject *
px_memory_stats(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (_Px_IN()) {
        return memory_of_context(_Px_here.cx);
    }
    px_census now = _Px_WorldCensus();
    return Py_BuildValue("{sK sK sn sK sn sn}", "used_bytes",
                         (unsigned long long)now.total.bytes, "collections",
                         (unsigned long long)now.total.collections,
                         "peak_bytes", (Py_ssize_t)now.total.largest,
                         "counting", (unsigned long long)now.total.counting,
                         "limbo_objects", (Py_ssize_t)_Px_LimboCount(),
                         "limbo_bytes", (Py_ssize_t)_Px_LimboBytes());
}

/* ---- what there should be none of, or little ------------------------------- */

static PyObject *
px_limbo(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSize_t(_Px_LimboCount());
}

static PyObject *
px_gil_takes(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSize_t(_Px_StrangeGilTakes());
}

static PyObject *
px_strays_freed(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSize_t(_Px_Strays());
}

PyDoc_STRVAR(guard_stats_doc,
             "guard_stats()\n--\n\n"
             "The guard's mode, how often it has protected main's heap, how "
             "many callbacks\n"
             "it has ended, and the threads in calls that make it leave the "
             "heap alone.");

static PyObject *
px_guard_stats(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (_Px_MAIN_ONLY("asking the guard") < 0) {
        return NULL;
    }
    px_guard none = {.mode = PX_GUARD_OFF};
    px_guard *guard = _Px_guard ? _Px_guard : &none;
    return Py_BuildValue("{s:s,s:n,s:n,s:i}", "mode", _Px_GuardMode(),
                         "heap_protected", (Py_ssize_t)guard->heap_ups,
                         "frozen", (Py_ssize_t)guard->frozen,
                         "threads_in_calls", _Px_ThreadsInCalls());
}

/* ---- references that main must not have ---------------------------------- */

static bool
is_of_contexts(const void *object)
{
    return (uintptr_t)object - px_range_view.base < px_range_view.bytes;
}

static int
visit_reference(PyObject *object, void *Py_UNUSED(unused))
{
    return is_of_contexts(object);
}

/* Contexts may be gone: no reference into one is followed. Dicts do not visit
 * their keys. */
static bool
refers_to_contexts(PyObject *object)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    bool found = false;
    while (PyDict_Check(object) && !found &&
           PyDict_Next(object, &at, &key, &value)) {
        found = is_of_contexts(key) || is_of_contexts(value);
    }
    return found || is_of_contexts(Py_TYPE(object)) ||
           Py_TYPE(object)->tp_traverse(object, visit_reference, NULL);
}

static int
note_stray(PyObject *object, void *names)
{
    if (!refers_to_contexts(object)) {
        return 1;
    }
    PyObject *name = PyUnicode_FromString(
        is_of_contexts(Py_TYPE(object)) ? "?" : Py_TYPE(object)->tp_name);
    int status = name ? PyList_Append(names, name) : -1;
    Py_XDECREF(name);
    return status == 0;
}

PyDoc_STRVAR(
    find_strays_doc,
    "find_strays()\n--\n\n"
    "The type names of main's objects that refer into a context. There should\n"
    "be none: after it, the process is not to be trusted.");

static PyObject *
px_find_strays(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *names =
        _Px_MAIN_ONLY("looking through main") < 0 ? NULL : PyList_New(0);
    if (names) {
        PyUnstable_GC_VisitObjects(note_stray, names);
    }
    if (PyErr_Occurred()) {
        Py_CLEAR(names);
    }
    return names;
}

PyMethodDef _Px_stats[] = {
    {"_limbo", px_limbo, METH_NOARGS,
     PyDoc_STR(
         "Objects that main has dropped and callbacks in flight may use.")},
    {"_gil_takes", px_gil_takes, METH_NOARGS,
     PyDoc_STR("How often a context has taken the GIL: never.")},
    {"_strays_freed", px_strays_freed, METH_NOARGS,
     PyDoc_STR("Blocks of others that contexts were about to free: none.")},
    {"context_stats", px_context_stats, METH_NOARGS, context_stats_doc},
    {"memory_stats", px_memory_stats, METH_NOARGS, memory_stats_doc},
    {"find_strays", px_find_strays, METH_NOARGS, find_strays_doc},
    {"guard_stats", px_guard_stats, METH_NOARGS, guard_stats_doc},
    {NULL},
};
