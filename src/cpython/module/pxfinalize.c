/*
 * What a callback has told weakref.finalize().
 *
 * The module keeps finalizers in a dict of the thread's, here the context's (see the
 * patch), with what they are to call: {finalizer: info}. When the callback is over
 * those of what does not leave are called, the newest first. Others leave with what
 * they are for: a TemporaryDirectory that is returned keeps its directory.
 *
 *   N1  A finalizer is called once: by the context, or by main.
 *   N2  One whose object was to leave and could not is called by main.
 *
 * Thread rule: _Px_FindFinalizers() and _Px_CallFinalizers() are for a worker, at the
 * end; the rest as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_pystate.h"

/* ---- the end of a callback ------------------------------------------------ */

/* weakref.finalize; NULL: nobody has imported it. */
static PyObject *
class_of_finalizers(void)
{
    PyObject *name = PyUnicode_FromString("weakref");
    PyObject *module = name ? PyImport_GetModule(name) : NULL;
    PyObject *class =
        module ? PyObject_GetAttrString(module, "finalize") : NULL;
    Py_XDECREF(name);
    Py_XDECREF(module);
    return class;
}

PyObject *
_Px_FindFinalizers(void)
{
    PyObject *local = _PyThreadState_GET()->dict;
    PyObject *class = local ? class_of_finalizers() : NULL;
    PyObject *table = class ? PyDict_GetItemWithError(local, class) : NULL;
    Py_XDECREF(class);
    PyErr_Clear();
    return table && PyDict_GET_SIZE(table) > 0 ? table : NULL;
}

/* Borrowed, None if it is gone; NULL: no info of the library's. */
static PyObject *
object_of(PyObject *info)
{
    PyObject *reference = PyObject_GetAttrString(info, "weakref");
    PyObject *object = NULL;
    if (reference && PyWeakref_Check(reference)) {
        object = ((PyWeakReference *)reference)->wr_object;
    }
    Py_XDECREF(reference);
    PyErr_Clear();
    return object;
}

static void
call_finalizer(PyObject *finalizer)
{
    PyObject *result = PyObject_CallNoArgs(finalizer);
    if (!result) {
        PyErr_WriteUnraisable(finalizer);
    }
    Py_XDECREF(result);
}

void
_Px_CallFinalizers(PyObject *table, _Px_leaver *leaves, const void *walk)
{
    PyObject *all = PyDict_Items(table);
    for (Py_ssize_t i = all ? PyList_GET_SIZE(all) : 0; i > 0;) {
        PyObject *item = PyList_GET_ITEM(all, --i);
        PyObject *object = object_of(PyTuple_GET_ITEM(item, 1));
        if (!object || !leaves(walk, object)) {
            call_finalizer(PyTuple_GET_ITEM(item, 0));
        }
    }
    Py_XDECREF(all);
    PyErr_Clear();
}

/* ---- those that leave ------------------------------------------------------ */

/* What has become of a finalizer that was to leave, by its place in the table. */
enum { HERE, ON_ITS_WAY, LEFT };

static bool
have_states(px_luggage *luggage)
{
    if (!luggage->states) {
        luggage->states =
            PyMem_RawCalloc((size_t)PyDict_GET_SIZE(luggage->finalizers), 1);
    }
    return luggage->states;
}

static int
copy_pair(_Px_crossing *to, PyObject *finalizer, PyObject *info)
{
    PyObject *mine = _Px_CopyPart(to, finalizer);
    PyObject *new_info = mine ? _Px_CopyPart(to, info) : NULL;
    int status = new_info ? _Px_PutLate(to, mine, new_info) : -1;
    Py_XDECREF(mine);
    return status;
}

static bool
is_known(const _Px_crossing *to, PyObject *object)
{
    PyObject *known = object ? _Px_Known(to, object) : NULL;
    Py_XDECREF(known);
    return known;
}

/* N1 */
static int
copy_finalizers(_Px_crossing *to, PyObject *table, char *states)
{
    PyObject *finalizer, *info;
    Py_ssize_t at = 0;
    int status = 0;
    for (size_t i = 0; !status && PyDict_Next(table, &at, &finalizer, &info);
         i++) {
        if (states[i] == HERE && is_known(to, object_of(info))) {
            states[i] = ON_ITS_WAY;
            status = copy_pair(to, finalizer, info);
        }
    }
    return status;
}

int
_Px_CopyFinalizers(_Px_crossing *to)
{
    px_luggage *luggage = _Px_luggage;
    if (!luggage || !luggage->finalizers) {
        return 0;
    }
    if (!have_states(luggage)) {
        PyErr_NoMemory();
        return -1;
    }
    return copy_finalizers(to, luggage->finalizers, luggage->states);
}

void
_Px_NoteFinalizers(bool left)
{
    px_luggage *luggage = _Px_luggage;
    size_t count = luggage && luggage->states
                       ? (size_t)PyDict_GET_SIZE(luggage->finalizers)
                       : 0;
    for (size_t i = 0; i < count; i++) {
        if (luggage->states[i] == ON_ITS_WAY) {
            luggage->states[i] = left ? LEFT : HERE;
        }
    }
}

/* What @func returns, given @first and what the finalizer's function is to get. */
static PyObject *
call_as(PyObject *func, PyObject *first, PyObject *info)
{
    PyObject *rest = PyObject_GetAttrString(info, "args");
    PyObject *named = rest ? PyObject_GetAttrString(info, "kwargs") : NULL;
    PyObject *all = named ? PySequence_Concat(first, rest) : NULL;
    PyObject *result =
        all ? PyObject_Call(func, all, named == Py_None ? NULL : named) : NULL;
    Py_XDECREF(rest);
    Py_XDECREF(named);
    Py_XDECREF(all);
    return result;
}

/* As if main had made it for its copy of the object. */
static PyObject *
initialize(PyObject *finalizer, PyObject *info)
{
    PyObject *class = class_of_finalizers();
    PyObject *init = class ? PyObject_GetAttrString(class, "__init__") : NULL;
    PyObject *func = init ? PyObject_GetAttrString(info, "func") : NULL;
    PyObject *first =
        func ? PyTuple_Pack(3, finalizer, object_of(info), func) : NULL;
    PyObject *none = first ? call_as(init, first, info) : NULL;
    Py_XDECREF(class);
    Py_XDECREF(init);
    Py_XDECREF(func);
    Py_XDECREF(first);
    return none;
}

int
_Px_AdoptFinalizer(PyObject *finalizer, PyObject *info)
{
    PyObject *none = initialize(finalizer, info);
    PyObject *at_exit = none ? PyObject_GetAttrString(info, "atexit") : NULL;
    int status =
        at_exit ? PyObject_SetAttrString(finalizer, "atexit", at_exit) : -1;
    Py_XDECREF(none);
    Py_XDECREF(at_exit);
    return status;
}

/* ---- those that have not left ----------------------------------------------- */

static bool
is_any_left(const px_luggage *luggage)
{
    return luggage->finalizers &&
           (!luggage->states ||
            memchr(luggage->states, HERE,
                   (size_t)PyDict_GET_SIZE(luggage->finalizers)));
}

PyObject *
_Px_TakeFinalizers(PyObject **late)
{
    PyObject *mine = is_any_left(_Px_luggage)
                         ? _Px_Promote(_Px_luggage->finalizers, late)
                         : NULL;
    PyErr_Clear();
    return mine;
}

/* N2. What it is for is gone. */
static void
end_finalizer(PyObject *finalizer, PyObject *info)
{
    PyObject *func = PyObject_GetAttrString(info, "func");
    PyObject *first = func ? PyTuple_New(0) : NULL;
    PyObject *result = first ? call_as(func, first, info) : NULL;
    if (!result) {
        PyErr_WriteUnraisable(finalizer);
    }
    Py_XDECREF(func);
    Py_XDECREF(first);
    Py_XDECREF(result);
}

/* The copy has them in the order that the states are of. */
void
_Px_EndFinalizers(PyObject *table, PyObject *late, const char *states)
{
    PyObject *all = _Px_FillLate(late) < 0 ? NULL : PyDict_Items(table);
    for (Py_ssize_t i = all ? PyList_GET_SIZE(all) : 0; i > 0;) {
        PyObject *item = PyList_GET_ITEM(all, --i);
        if (!states || states[i] == HERE) {
            end_finalizer(PyTuple_GET_ITEM(item, 0), PyTuple_GET_ITEM(item, 1));
        }
    }
    Py_XDECREF(all);
    Py_DECREF(table);
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(NULL);
    }
}
