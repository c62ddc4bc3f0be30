/*
 * Imports that main makes for callbacks.
 *
 * A module in C is made once for the process, and what C code imports it may keep
 * for good: neither may become a context's own. So the callback stops, main
 * imports, and the callback goes on with main's module:
 *
 *      context   finds the spec, asks .............. takes it as its own import
 *      main                        importer(name) /   of a module made by main
 *
 * The importer is Python code (parallel/__init__.py): it knows when main cannot.
 *
 *   I1  What a context gets is main's, initialised, and from the file that the
 *       context's own finders have named.
 *
 * Thread rule: a thread that is in a context; _Px_SetImporter() main.
 */
#include "pycore_px.h"

static PyObject *importer; /* main's: importer(name) -> module */

int
_Px_SetImporter(PyObject *func)
{
    if (!PyCallable_Check(func)) {
        PyErr_SetString(PyExc_TypeError, "the importer must be callable");
        return -1;
    }
    Py_XSETREF(importer, Py_NewRef(func));
    return 0;
}

PyObject *
_Px_ImportForCByMain(PyObject *name)
{
    if (!importer) {
        (void)_Px_RaiseForbidden("a first import by code in C");
        return NULL;
    }
    PyObject *args = PyTuple_Pack(1, name);
    PyObject *kwds = args ? PyDict_New() : NULL;
    PyObject *module = kwds ? _Px_CallNow(importer, args, kwds) : NULL;
    Py_XDECREF(args);
    Py_XDECREF(kwds);
    return module;
}

static bool
same_origin(PyObject *spec, PyObject *module)
{
    PyObject *other = PyObject_GetAttrString(module, "__spec__");
    PyObject *theirs = other ? PyObject_GetAttrString(other, "origin") : NULL;
    PyObject *ours = theirs ? PyObject_GetAttrString(spec, "origin") : NULL;
    int same = ours ? PyObject_RichCompareBool(ours, theirs, Py_EQ) : -1;
    Py_XDECREF(other);
    Py_XDECREF(theirs);
    Py_XDECREF(ours);
    return same > 0;
}

/* I1 */
PyObject *
_Px_ImportByMain(PyObject *spec)
{
    PyObject *name = PyObject_GetAttrString(spec, "name");
    PyObject *module = name ? _Px_ImportForCByMain(name) : NULL;
    if (module && !same_origin(spec, module)) {
        PyErr_Format(_Px_ParallelError,
                     "a context cannot import %R, which is written in C, from "
                     "elsewhere than the main side does: let the main thread "
                     "import it before",
                     name);
        Py_CLEAR(module);
    }
    _Px_here.cx->imported = module;
    Py_XDECREF(name);
    return module;
}
