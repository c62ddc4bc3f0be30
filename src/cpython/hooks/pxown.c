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
 *      __subclasses__() of main's class  makes a subclass
 *      what modules compute when first   computes it
 *        asked and keep in a global
 *      codecs, their error handlers      registers one, or looks one up that
 *                                        main has not used
 *
 * Attributes of main's modules that are its own lie beside the module's dict:
 *
 *      cx->names -> [dict of main's, {name: value}] -> [...] -> NULL
 *
 *   O1  A name that may be a context's own is never read by specialised code,
 *       which knows nothing of this list: see _Px_MayDiffer().
 *   O2  An import for C code has the module from main: C code may keep what it
 *       imports in a place that outlives the context.
 *   O3  Nothing here refers from main's objects to a context's.
 *
 * Rejected: own values for every attribute of every module. A program that
 * counts in a global would count in vain and never be told.
 *
 * Thread rule: a thread that is in a context, about that context;
 * _Px_MayDiffer() any thread.
 */
#include "pycore_px.h"

#include "pycore_import.h"
#include "pycore_interp.h"
#include "pycore_moduleobject.h"
#include "pycore_pystate.h"
#include "pycore_unicodeobject.h"

struct _Px_names {
    PyObject *of;    /* main's dict */
    PyObject *names; /* the context's: {name: value} */
    struct _Px_names *next;
};

/* ---- which names --------------------------------------------------------- */

/* What Python code sets for a while, or what importing changes. */
static const char *const sys_names[] = {
    "argv",    "breakpointhook", "displayhook",         "excepthook",
    "modules", "path",           "path_importer_cache", "stderr",
    "stdin",   "stdout",         "unraisablehook",
};

static const char *const warnings_names[] = {
    "_showwarnmsg_impl", "defaultaction", "filters",
    "formatwarning",     "onceregistry",  "showwarning",
};

/* Computed when first asked: nobody sees who has done it. */
static const struct {
    const char *module, *name;
} computed_names[] = {
    {"base64", "_a85chars"},
    {"base64", "_a85chars2"},
    {"base64", "_b85chars"},
    {"base64", "_b85chars2"},
    {"base64", "_b85dec"},
    {"dbm", "_defaultmod"},
    {"fileinput", "_state"},
    {"ftplib", "_150_re"},
    {"ftplib", "_227_re"},
    {"ipaddress", "_address_fmt_re"},
    {"mimetypes", "_db"},
    {"mimetypes", "common_types"},
    {"mimetypes", "encodings_map"},
    {"mimetypes", "inited"},
    {"mimetypes", "suffix_map"},
    {"mimetypes", "types_map"},
    {"pkgutil", "_NAME_PATTERN"},
    {"platform", "_os_release_cache"},
    {"platform", "_uname_cache"},
    {"posixpath", "_varprog"},
    {"posixpath", "_varprogb"},
    {"random", "_sha512"},
    {"shutil", "_USE_CP_SENDFILE"},
    {"tempfile", "_O_TMPFILE_WORKS"},
    {"urllib.parse", "_hextobyte"},
    {"urllib.parse", "_hostprog"},
    {"urllib.parse", "_portprog"},
    {"urllib.parse", "_typeprog"},
    {"urllib.request", "_ftperrors"},
    {"urllib.request", "_localhost"},
    {"urllib.request", "_noheaders"},
    {"urllib.request", "_opener"},
    {"urllib.request", "_thishost"},
    {"uuid", "_node"},
    {"zipfile", "_crctable"},
};

static bool
is_one_of(PyObject *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (_PyUnicode_EqualToASCIIString(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* Of this module, or of a second copy of it that a test has made. */
static bool
is_of_module(PyObject *dict, const char *module)
{
    PyObject *name = PyDict_GetItemWithError(dict, &_Py_ID(__name__));
    return name && PyUnicode_Check(name) &&
           _PyUnicode_EqualToASCIIString(name, module);
}

static bool
is_computed(PyObject *dict, PyObject *name)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(computed_names); i++) {
        if (_PyUnicode_EqualToASCIIString(name, computed_names[i].name)) {
            return is_of_module(dict, computed_names[i].module);
        }
    }
    return false;
}

/* Whether contexts may have a value of their own for this name in main's dict
 * of a module. */
int
_Px_MayDiffer(PyObject *dict, PyObject *name)
{
    if (!PyUnicode_Check(name)) {
        return 0;
    }
    if (dict == _PyInterpreterState_GET()->sysdict) {
        return is_one_of(name, sys_names, Py_ARRAY_LENGTH(sys_names));
    }
    return _PyUnicode_EqualToASCIIString(name, "__warningregistry__") ||
           is_computed(dict, name) ||
           (is_one_of(name, warnings_names, Py_ARRAY_LENGTH(warnings_names)) &&
            is_of_module(dict, "warnings"));
}

/* ---- own names ----------------------------------------------------------- */

static struct _Px_names *
names_beside(PyObject *dict)
{
    struct _Px_names *at = _Px_here.cx->names;
    while (at && at->of != dict) {
        at = at->next;
    }
    return at;
}

static struct _Px_names *
add_names_beside(PyObject *dict)
{
    struct _Px_names *beside = PyMem_Malloc(sizeof *beside);
    PyObject *names = beside ? PyDict_New() : NULL;
    if (!names) {
        PyErr_NoMemory();
        return NULL;
    }
    *beside = (struct _Px_names){dict, names, _Px_here.cx->names};
    _Px_here.cx->names = beside;
    return beside;
}

static int
set_name(PyObject *dict, PyObject *name, PyObject *value)
{
    struct _Px_names *beside = names_beside(dict);
    if (!beside) {
        beside = add_names_beside(dict);
    }
    return beside ? PyDict_SetItem(beside->names, name, value) : -1;
}

static int
set_name_of_string(PyObject *dict, const char *name, PyObject *value)
{
    PyObject *key = PyUnicode_FromString(name);
    int status = key ? set_name(dict, key, value) : -1;
    Py_XDECREF(key);
    return status;
}

/* Whoever asks for sys.modules may be about to change it. */
static int
have_own_modules(void)
{
    struct _Px_cx *cx = _Px_here.cx;
    PyInterpreterState *interp = _PyInterpreterState_GET();
    if (cx->modules) {
        return 0;
    }
    PyObject *modules = PyDict_Copy(_PyImport_GetModules(interp));
    cx->taken = modules ? PyDict_Copy(modules) : NULL;
    if (!cx->taken ||
        set_name_of_string(interp->sysdict, "modules", modules) < 0) {
        return -1;
    }
    cx->modules = modules;
    return 0;
}

static bool
is_sys_modules(PyObject *dict, PyObject *name)
{
    return dict == _PyInterpreterState_GET()->sysdict &&
           PyUnicode_Check(name) &&
           _PyUnicode_EqualToASCIIString(name, "modules");
}

/* The context's {name: value} beside main's dict if @name is in there. */
PyObject *
_Px_OwnNames(PyObject *dict, PyObject *name)
{
    if (is_sys_modules(dict, name) && have_own_modules() < 0) {
        PyErr_Clear(); /* main's is guarded */
    }
    struct _Px_names *beside = names_beside(dict);
    return beside && PyDict_Contains(beside->names, name) > 0 ? beside->names
                                                              : NULL;
}

PyObject *
_Px_OwnNamesOfString(PyObject *dict, const char *name)
{
    PyObject *key = names_beside(dict) ? PyUnicode_FromString(name) : NULL;
    PyObject *names = key ? _Px_OwnNames(dict, key) : NULL;
    Py_XDECREF(key);
    return names;
}

/* ---- setting attributes of main's objects -------------------------------- */

/* Whether importlib makes a module that this context has imported an attribute
 * of main's package. One of main's that has that name already stays. */
static bool
is_own_submodule(PyModuleObject *package, PyObject *name, PyObject *value)
{
    if (!PyModule_Check(value) || !_Px_OWN(value) ||
        PyDict_Contains(package->md_dict, name) || !package->md_name) {
        return false;
    }
    PyObject *full = PyUnicode_FromFormat("%U.%U", package->md_name, name);
    PyObject *has = PyDict_GetItemWithError(((PyModuleObject *)value)->md_dict,
                                            &_Py_ID(__name__));
    bool same = full && has && PyUnicode_Check(has) &&
                PyUnicode_Compare(full, has) == 0;
    Py_XDECREF(full);
    return same;
}

/* module.name = value. Nothing changes if it has that value already. The spec of
 * a module that main has imported for this context stays main's. */
static int
set_module_attr(PyModuleObject *module, PyObject *name, PyObject *value)
{
    if (_Px_MayDiffer(module->md_dict, name) ||
        is_own_submodule(module, name, value)) {
        return set_name(module->md_dict, name, value);
    }
    bool same = PyDict_GetItemWithError(module->md_dict, name) == value ||
                (_Px_here.cx->imported == (PyObject *)module &&
                 _PyUnicode_EqualToASCIIString(name, "__spec__"));
    return same ? 0 : _Px_RaiseForeign(module);
}

/* object.name = value, or del object.name when @value is NULL. */
int
_Px_SetForeignAttr(PyObject *object, PyObject *name, PyObject *value)
{
    PyModuleObject *module = (PyModuleObject *)object;
    if (value && PyModule_Check(object) && module->md_dict) {
        return set_module_attr(module, name, value);
    }
    return _Px_RaiseForeign(object);
}

/* global name; name = value. */
int
_Px_SetForeignGlobal(PyObject *dict, PyObject *name, PyObject *value)
{
    return _Px_MayDiffer(dict, name) ? set_name(dict, name, value)
                                     : PyDict_SetItem(dict, name, value);
}

/* ---- objects of the context's in the place of main's ---------------------- */

static PyObject *
make_in_place_of(PyObject *object, PyObject *make, PyObject *dict)
{
    PyObject *own = PyObject_CallNoArgs(make);
    if (own && PyDict_SetItem(dict, object, own) < 0) {
        Py_CLEAR(own);
    }
    return own;
}

PyObject *
_Px_InPlaceOf(PyObject *object, PyObject *make)
{
    if (_Px_OWN(object)) {
        return Py_NewRef(object);
    }
    PyObject *dict = PyThreadState_GetDict();
    if (!dict) {
        return PyErr_NoMemory();
    }
    PyObject *own = PyDict_GetItemWithError(dict, object);
    if (own || PyErr_Occurred()) {
        return Py_XNewRef(own);
    }
    return make_in_place_of(object, make, dict);
}

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

/* ---- subclasses of main's classes ----------------------------------------- */

/* cx->subclasses is {class of main's: {address: weak reference}}. */
static PyObject *
subclasses_of(PyTypeObject *base)
{
    PyObject *known = _Px_here.cx->subclasses;
    return known ? PyDict_GetItemWithError(known, (PyObject *)base) : NULL;
}

static PyObject *
have_subclasses_of(PyTypeObject *base)
{
    PyObject **known = &_Px_here.cx->subclasses;
    if (!*known && !(*known = PyDict_New())) {
        return NULL;
    }
    PyObject *found = subclasses_of(base);
    if (found) {
        return found;
    }
    PyObject *empty = PyDict_New();
    found = empty ? PyDict_SetDefault(*known, (PyObject *)base, empty) : NULL;
    Py_XDECREF(empty);
    return found;
}

int
_Px_AddOwnSubclass(PyTypeObject *base, PyTypeObject *type)
{
    PyObject *others = have_subclasses_of(base);
    PyObject *key = PyLong_FromVoidPtr(type);
    PyObject *ref = PyWeakref_NewRef((PyObject *)type, NULL);
    int status = others && key && ref ? PyDict_SetItem(others, key, ref) : -1;
    Py_XDECREF(key);
    Py_XDECREF(ref);
    return status;
}

/* It may have got other bases since. */
static int
append_subclass(PyObject *list, PyTypeObject *base, PyObject *ref)
{
    PyObject *type = NULL;
    int status = PyWeakref_GetRef(ref, &type);
    if (status == 1) {
        PyObject *bases = ((PyTypeObject *)type)->tp_bases;
        status = bases ? PySequence_Contains(bases, (PyObject *)base) : 0;
    }
    if (status == 1) {
        status = PyList_Append(list, type);
    }
    Py_XDECREF(type);
    return status;
}

/* Steals @list, the subclasses that main has made. */
PyObject *
_Px_WithOwnSubclasses(PyTypeObject *base, PyObject *list)
{
    PyObject *ref, *own = _Px_IN() ? subclasses_of(base) : NULL;
    Py_ssize_t at = 0;
    while (own && list && PyDict_Next(own, &at, NULL, &ref)) {
        if (append_subclass(list, base, ref) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
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
    if (own && set_name_of_string(dict, name, own) < 0) {
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
    return warnings ? own_registry(PyModule_GetDict(warnings), "onceregistry",
                                   registry)
                    : NULL;
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
    if (change && _Px_FOREIGN(codecs->search_path) && copy_codecs(codecs) < 0) {
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
    if (have_own_modules() < 0) {
        return -1;
    }
    if (cx->finders) {
        return 0;
    }
    cx->finders = PyDict_New();
    return cx->finders
               ? set_name_of_string(sys, "path_importer_cache", cx->finders)
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
    cx->modules = NULL;
    cx->finders = NULL;
    cx->environ = NULL;
    cx->interned = NULL;
    cx->subclasses = NULL;
    cx->imports_for_c = 0;
    cx->imported = NULL;
    cx->str_digits = interp->long_state.max_str_digits;
    cx->warnings = interp->warnings;
    cx->codecs = interp->codecs;
}
