/*
 * What a context has of its own where main has one for all.
 *
 * Some state is global because a program was one thread of control when it was
 * designed: where print() goes, which warnings are shown, what is imported,
 * which codecs there are. Python code changes it for a while, or adds to it in
 * passing, and none of that is meant for others. So a context reads main's
 * until it changes something; then it has its own, which goes with it.
 *
 *      state                             its own from when it
 *      sys.stdin, stdout, stderr, ...    is set
 *      filters and hooks of warnings     is set
 *      __warningregistry__ of a module   is set, or a warning is issued there
 *      sys.modules                       asks for it
 *      sys.path_importer_cache           imports what main has not imported
 *      a module as attribute of its      imports that module
 *        package
 *      os.environ                        changes it
 *      limits of digits, of recursion    sets them
 *      what sys.intern() returns         has a string interned
 *      codecs, their error handlers      registers one, or looks one up that
 *                                        main has not used
 *
 * Where any of that is an attribute of a module, pxnames.c keeps it, and so it
 * does with globals of the library's modules.
 *
 *   O1  Nothing here refers from main's objects to a context's.
 *   O2  An import for C code has the module from main: C code may keep what it
 *       imports in a place that outlives the context.
 *
 * Thread rule: a thread that is in a context, about that context.
 */
#include "pycore_px.h"

#include "pycore_import.h"
#include "pycore_interp.h"
#include "pycore_moduleobject.h"
#include "pycore_pystate.h"
#include "pycore_unicodeobject.h"

/* ---- interned strings ----------------------------------------------------- */

/* What main's table does not have is in the context's. */
PyObject *
_Px_OwnInterned(PyObject *string)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (PyUnicode_CHECK_INTERNED(string)) {
        return string; /* in main's table */
    }
    if (!cx->interned) {
        cx->interned = PyDict_New();
    }
    PyObject *first =
        cx->interned ? PyDict_SetDefault(cx->interned, string, string) : NULL;
    Py_XINCREF(first);
    Py_DECREF(string);
    return first;
}

/* ---- warnings ------------------------------------------------------------ */

struct _warnings_runtime_state *
_Px_OwnWarnings(void)
{
    return &_Px_here.cx->warnings;
}

/* A registry that warnings are about to be noted in. Steals @registry, which
 * main's module has, or NULL. */
static PyObject *
own_registry(PyObject *dict, const char *name, PyObject *registry)
{
    if (registry && _Px_OWN(registry)) {
        return registry;
    }
    PyObject *own = registry ? PyDict_Copy(registry) : PyDict_New();
    if (own && _Px_SetOwnName(dict, name, own) < 0) {
        Py_CLEAR(own);
    }
    return own;
}

PyObject *
_Px_OwnRegistry(PyObject *globals, PyObject *registry)
{
    return own_registry(globals, "__warningregistry__", registry);
}

PyObject *
_Px_OwnOnceRegistry(PyObject *registry)
{
    PyObject *warnings = PyImport_GetModule(&_Py_ID(warnings));
    PyObject *own = warnings ? own_registry(PyModule_GetDict(warnings),
                                            "onceregistry", registry)
                             : NULL;
    Py_XDECREF(warnings);
    return own;
}

/* ---- codecs -------------------------------------------------------------- */

static int
copy_codecs(struct codecs_state *codecs)
{
    PyObject *path = PySequence_List(codecs->search_path);
    PyObject *cache = path ? PyDict_Copy(codecs->search_cache) : NULL;
    PyObject *errors = cache ? PyDict_Copy(codecs->error_registry) : NULL;
    if (!errors) {
        return -1;
    }
    codecs->search_path = path;
    codecs->search_cache = cache;
    codecs->error_registry = errors;
    return 0;
}

/* To be changed, or else only to be read. For lack of memory a change is
 * refused: main's are guarded. */
struct codecs_state *
_Px_OwnCodecs(int change)
{
    struct codecs_state *codecs = &_Px_here.cx->codecs;
    if (change && _Px_FOREIGN(codecs->search_path)) {
        _Px_NoteOwn(copy_codecs(codecs) == 0);
        PyErr_Clear();
    }
    return codecs;
}

/* ---- limits -------------------------------------------------------------- */

void
_Px_SetRecursionLimit(int limit)
{
    PyThreadState *tstate = _PyThreadState_GET();
    int depth = tstate->py_recursion_limit - tstate->py_recursion_remaining;
    tstate->py_recursion_limit = limit;
    tstate->py_recursion_remaining = limit - depth;
}

int *
_Px_OwnStrDigits(void)
{
    return &_Px_here.cx->str_digits;
}

/* ---- the environment ----------------------------------------------------- */

/* What os.environ reads, or changes, in the place of the process's. */
PyObject *
_Px_EnvironHere(PyObject *data, bool change)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx && !cx->environ && change) {
        cx->environ = PyDict_Copy(data);
        return Py_XNewRef(cx->environ);
    }
    return Py_NewRef(cx && cx->environ ? cx->environ : data);
}

/* ---- imports ------------------------------------------------------------- */

/* Whoever asks for sys.modules may be about to change it. */
int
_Px_HaveOwnModules(void)
{
    struct _Px_cx *cx = _Px_here.cx;
    PyInterpreterState *interp = _PyInterpreterState_GET();
    if (cx->modules) {
        return 0;
    }
    PyObject *modules = PyDict_Copy(_PyImport_GetModules(interp));
    cx->taken = modules ? PyDict_Copy(modules) : NULL;
    if (!cx->taken || _Px_SetOwnName(interp->sysdict, "modules", modules) < 0) {
        return -1;
    }
    cx->modules = modules;
    return 0;
}

/* O2 */
PyObject *
_Px_OwnModules(PyObject *modules)
{
    const struct _Px_cx *cx = _Px_here.cx;
    return cx->modules && cx->imports_for_c == 0 ? cx->modules : modules;
}

/* What is imported from here on becomes the context's: module, sys.modules,
 * finders and all. */
int
_Px_OwnImports(void)
{
    struct _Px_cx *cx = _Px_here.cx;
    PyObject *sys = _PyInterpreterState_GET()->sysdict;
    if (_Px_HaveOwnModules() < 0) {
        return -1;
    }
    if (cx->finders) {
        return 0;
    }
    cx->finders = PyDict_New();
    return cx->finders ? _Px_SetOwnName(sys, "path_importer_cache", cx->finders)
                       : -1;
}

/* C code begins to import something, or has done with it (O2). */
void
_Px_ImportForC(int more)
{
    _Px_here.cx->imports_for_c += more;
}

int
_Px_ImportsForC(void)
{
    return _Px_here.cx->imports_for_c > 0;
}

/* ---- beginning ----------------------------------------------------------- */

void
_Px_OwnNothing(struct _Px_cx *cx, PyInterpreterState *interp)
{
    cx->names = NULL;
    cx->states = NULL;
    cx->instead = NULL;
    cx->modules = NULL;
    cx->taken = NULL;
    cx->finders = NULL;
    cx->environ = NULL;
    cx->interned = NULL;
    _Px_OwnNoClasses(cx);
    cx->poor = false;
    cx->keeps_mains = false;
    cx->imports_for_c = 0;
    cx->imported = NULL;
    cx->str_digits = interp->long_state.max_str_digits;
    cx->warnings = interp->warnings;
    cx->codecs = interp->codecs;
}
