/*
 * Imports that main makes for callbacks.
 *
 *      what main has not imported         is made by   and belongs to
 *      a module in C                      main         main: there is but one
 *      what code in C imports, and keeps  main         main
 *      a module of the standard library   main         main, if it can just now
 *      any other in Python                the context  the context
 *
 * The callback stops, main imports, and the callback goes on with main's module:
 *
 *      context   _imp.begin_own(name), or a spec ...... sys.modules
 *      main                               importer(name) /
 *
 * Modules of the library keep registers in C or in each other (csv, random,
 * sqlite3); and what main has, the next callback finds there and warm.
 *
 * The importers are Python code (parallel/imports.py): they know when main
 * cannot import.
 *
 *   I1  A module in C that a context gets is main's, initialised, and from the
 *       file that the context's own finders have named.
 *   I2  A context that has removed or blocked a module of main's wants one of
 *       its own: main is not asked.
 *
 * Thread rule: a thread that is in a context; _Px_SetImporters() main.
 */
#include "pycore_pxmodule.h"

#include "pycore_import.h"
#include "pycore_moduleobject.h"
#include "pycore_pystate.h"
#include "pycore_runtime.h"

#include <unistd.h>

enum { AWAIT_US = 500 }; /* between two looks whether main has done it */

static PyObject *import_for_c, *import_library; /* main's, or NULL */

void
_Px_SetImporters(PyObject *for_c, PyObject *library)
{
    Py_XSETREF(import_for_c, Py_NewRef(for_c));
    Py_XSETREF(import_library, Py_NewRef(library));
}

static PyObject *
ask_main(PyObject *importer, PyObject *name)
{
    PyObject *args = PyTuple_Pack(1, name);
    PyObject *kwds = args ? PyDict_New() : NULL;
    PyObject *answer = kwds ? _Px_CallNow(importer, args, kwds) : NULL;
    Py_XDECREF(args);
    Py_XDECREF(kwds);
    return answer;
}

/* ---- modules in C, and imports by code in C ------------------------------ */

PyObject *
_Px_ImportForCByMain(PyObject *name)
{
    if (!import_for_c) {
        (void)_Px_RaiseForbidden("a first import of, or by, code in C");
        return NULL;
    }
    return ask_main(import_for_c, name);
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

/* ---- the standard library ------------------------------------------------ */

static bool
is_of_library(PyObject *name)
{
    PyObject *names = PySys_GetObject("stdlib_module_names");
    Py_ssize_t length = PyUnicode_GET_LENGTH(name);
    Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, length, 1);
    PyObject *top = PyUnicode_Substring(name, 0, dot < 0 ? length : dot);
    bool is = top && names && PySequence_Contains(names, top) > 0;
    Py_XDECREF(top);
    return is;
}

/* Whether a name stands for no module, and did not on the main side. */
static bool
blocks_some(const struct _Px_cx *cx)
{
    PyObject *name, *module;
    Py_ssize_t at = 0;
    while (PyDict_Next(cx->modules, &at, &name, &module)) {
        if (module == Py_None &&
            PyDict_GetItemWithError(cx->taken, name) != Py_None) {
            return true;
        }
    }
    return false;
}

/* I2 */
static bool
wants_main_s(PyObject *name)
{
    return import_library && PyUnicode_Check(name) && is_of_library(name) &&
           !PyDict_Contains(_Px_here.cx->taken, name) &&
           !blocks_some(_Px_here.cx);
}

/* What main has now, and the context has never had, is its as well. */
static int
take_new(struct _Px_cx *cx, PyObject *modules)
{
    PyObject *name, *module;
    Py_ssize_t at = 0;
    while (PyDict_Next(modules, &at, &name, &module)) {
        if (!PyDict_Contains(cx->taken, name) &&
            (PyDict_SetItem(cx->taken, name, module) < 0 ||
             !PyDict_SetDefault(cx->modules, name, module))) {
            return -1;
        }
    }
    return 0;
}

static int
take_from_main(PyObject *name)
{
    PyObject *modules = ask_main(import_library, name);
    int status = modules ? 0 : -1;
    if (modules && PyDict_Check(modules)) {
        status = take_new(_Px_here.cx, modules);
    }
    Py_XDECREF(modules);
    return status;
}

/* ---- what main is importing ------------------------------------------------ */

/* Let main go on for a while. -1: this callback is told to end. */
static int
let_main_run(void)
{
    _Px_Detach();
    (void)usleep(AWAIT_US);
    _Px_Attach();
    return _Px_HandlePending(_PyThreadState_GET());
}

/* Wait while main is in the midst of importing @module, which may be anything.
 * -1 with an exception. */
static int
await_main(PyObject *module)
{
    PyObject *spec;
    int status = PyObject_GetOptionalAttr(module, &_Py_ID(__spec__), &spec);
    if (status <= 0) {
        return status;
    }
    status = 0;
    while (status == 0 && _PyModuleSpec_IsInitializing(spec) > 0) {
        status = let_main_run();
    }
    Py_DECREF(spec);
    return status;
}

/* A module of the context's that is half made is what imports this one. */
static int
await_mains_import(PyObject *name)
{
    PyObject *module = PyDict_GetItemWithError(_Px_here.cx->modules, name);
    return module && _Px_FOREIGN(module) ? await_main(module) : 0;
}

/* ---- an import begins ------------------------------------------------------ */

static int
look_at_main(PyObject *name)
{
    if (await_mains_import(name) < 0) {
        return -1;
    }
    return wants_main_s(name) ? take_from_main(name) : 0;
}

/* _imp.begin_own([name]): Python code is about to import what is not in
 * sys.modules. In a context, what is in there after this is taken, and the rest
 * becomes the context's: true. */
PyObject *
_Px_BeginOwn(PyObject *module, PyObject *args)
{
    (void)module;
    if (!_Px_IN()) {
        Py_RETURN_FALSE;
    }
    PyObject *name = NULL;
    if (!PyArg_ParseTuple(args, "|U:begin_own", &name)) {
        return NULL;
    }
    if (_Px_OwnImports() < 0 || (name && look_at_main(name) < 0)) {
        return NULL;
    }
    Py_RETURN_TRUE;
}
