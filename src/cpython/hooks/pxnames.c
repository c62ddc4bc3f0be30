/*
 * Attributes of main's modules that a context has of its own.
 *
 * A library keeps in globals what was one program's when it was designed: the
 * event loop's policy, the registered dialects, what was computed once. In a
 * context such a name is the context's own,
 *
 *      kind    from when it    and begins as
 *      SET     sets it         what it is set to
 *      COPY    reads it        a copy of main's dict, list or set
 *      NEW     reads it        another object of the class of main's, as if the
 *                              module had just been imported: locks, counters,
 *                              what lists those who are there
 *      MINE    reads it        a copy of main's instance
 *
 * The names are listed below; looking one up costs a look into a dict,
 *
 *      table = {name: {module: kind}}
 *
 * which is made once, when the first code is specialised. Values that are a
 * context's own lie beside the module's dict:
 *
 *      cx->names -> [dict of main's, {name: value}] -> [...] -> NULL
 *
 *   N1  A name that may be a context's own is never read by specialised code,
 *       which knows nothing of this list: see _Px_MayDiffer().
 *   N2  Nothing here refers from main's objects to a context's.
 *   N3  What captured a container before (a default argument, a closure) has
 *       main's: a name is listed only if nobody does.
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

enum { NONE, SET, COPY = PX_COPY, NEW = PX_NEW, MINE = PX_INSTANCE };

/* What Python code sets for a while, what importing changes, what is computed when
 * first asked, so that nobody sees who has done it; caches, registries, and the
 * locks that protect them. */
static const struct px_name {
    const char *module, *name;
    int kind;
} listed[] = {
    {"_colorize", "can_colorize", SET},
    {"_strptime", "_TimeRE_cache", SET},
    {"_strptime", "_cache_lock", NEW},
    {"_strptime", "_regex_cache", COPY},
    {"asyncio.coroutines", "_iscoroutine_typecache", COPY},
    {"asyncio.events", "_event_loop_policy", MINE},
    {"asyncio.events", "_lock", NEW},
    {"asyncio.tasks", "_current_tasks", COPY},
    {"asyncio.tasks", "_eager_tasks", COPY},
    {"asyncio.tasks", "_scheduled_tasks", NEW},
    {"asyncio.tasks", "_task_name_counter", NEW},
    {"base64", "_a85chars", SET},
    {"base64", "_a85chars2", SET},
    {"base64", "_b32rev", COPY},
    {"base64", "_b32tab2", COPY},
    {"base64", "_b85chars", SET},
    {"base64", "_b85chars2", SET},
    {"base64", "_b85dec", SET},
    {"builtins", "_", SET},
    {"concurrent.futures", "ProcessPoolExecutor", SET},
    {"concurrent.futures", "ThreadPoolExecutor", SET},
    {"concurrent.futures.thread", "_global_shutdown_lock", NEW},
    {"copy", "dispatch_table", COPY},
    {"copyreg", "_extension_cache", COPY},
    {"copyreg", "_extension_registry", COPY},
    {"copyreg", "_inverted_registry", COPY},
    {"copyreg", "dispatch_table", COPY},
    {"ctypes", "_c_functype_cache", COPY},
    {"dbm", "_defaultmod", SET},
    {"dbm", "_modules", COPY},
    {"doctest", "OPTIONFLAGS_BY_NAME", COPY},
    {"doctest", "_unittest_reportflags", SET},
    {"doctest", "master", MINE},
    {"email._encoded_words", "_q_byte_map", COPY},
    {"email.charset", "ALIASES", COPY},
    {"email.charset", "CHARSETS", COPY},
    {"email.charset", "CODEC_MAP", COPY},
    {"filecmp", "_cache", COPY},
    {"fileinput", "_state", SET},
    {"ftplib", "_150_re", SET},
    {"ftplib", "_227_re", SET},
    {"gettext", "_current_domain", SET},
    {"gettext", "_localedirs", COPY},
    {"gettext", "_translations", COPY},
    {"http.cookiejar", "logger", SET},
    {"http.server", "nobody", SET},
    {"imaplib", "Commands", COPY},
    {"importlib", "_RELOADING", NEW},
    {"inspect", "_filesbymodname", COPY},
    {"inspect", "modulesbyfile", COPY},
    {"ipaddress", "_address_fmt_re", SET},
    {"linecache", "cache", COPY},
    {"linecache", "getlines", SET},
    {"logging", "_at_fork_reinit_lock_weakset", NEW},
    {"logging", "_handlerList", NEW},
    {"logging", "_handlers", NEW},
    {"logging", "_levelToName", COPY},
    {"logging", "_lock", NEW},
    {"logging", "_logRecordFactory", SET},
    {"logging", "_loggerClass", SET},
    {"logging", "_nameToLevel", COPY},
    {"logging", "_warnings_showwarning", SET},
    {"logging", "lastResort", SET},
    {"logging", "raiseExceptions", SET},
    {"logging", "root", MINE},
    {"mimetypes", "_db", MINE},
    {"mimetypes", "common_types", SET},
    {"mimetypes", "encodings_map", SET},
    {"mimetypes", "inited", SET},
    {"mimetypes", "suffix_map", SET},
    {"mimetypes", "types_map", SET},
    {"pdb", "set_trace", SET},
    {"pickle", "_extension_cache", COPY},
    {"pickle", "_extension_registry", COPY},
    {"pickle", "_inverted_registry", COPY},
    {"pickle", "dispatch_table", COPY},
    {"pkgutil", "_NAME_PATTERN", SET},
    {"platform", "_os_release_cache", SET},
    {"platform", "_platform_cache", COPY},
    {"platform", "_sys_version_cache", COPY},
    {"platform", "_uname_cache", SET},
    {"posixpath", "_varprog", SET},
    {"posixpath", "_varprogb", SET},
    {"pyclbr", "_modules", COPY},
    {"pydoc", "pager", SET},
    {"random", "_sha512", SET},
    {"shutil", "_ARCHIVE_FORMATS", COPY},
    {"shutil", "_UNPACK_FORMATS", COPY},
    {"shutil", "_USE_CP_SENDFILE", SET},
    {"subprocess", "_active", NEW},
    {"symtable", "_newSymbolTable", NEW},
    {"sys", "argv", COPY},
    {"sys", "breakpointhook", SET},
    {"sys", "displayhook", SET},
    {"sys", "excepthook", SET},
    {"sys", "modules", SET},
    {"sys", "path", COPY},
    {"sys", "path_importer_cache", SET},
    {"sys", "stderr", SET},
    {"sys", "stdin", SET},
    {"sys", "stdout", SET},
    {"sys", "unraisablehook", SET},
    {"sysconfig", "_CONFIG_VARS", SET},
    {"sysconfig", "_CONFIG_VARS_INITIALIZED", SET},
    {"sysconfig", "_CONFIG_VARS_LOCK", NEW},
    {"tempfile", "_O_TMPFILE_WORKS", SET},
    {"tempfile", "_name_sequence", NEW},
    {"tempfile", "_once_lock", NEW},
    {"tempfile", "tempdir", SET},
    {"threading", "_active", COPY},
    {"threading", "_active_limbo_lock", NEW},
    {"threading", "_counter", NEW},
    {"threading", "_dangling", NEW},
    {"threading", "_limbo", COPY},
    {"typing", "_overload_registry", COPY},
    {"unittest", "IsolatedAsyncioTestCase", SET},
    {"unittest.case", "_module_cleanups", NEW},
    {"unittest.mock", "file_spec", SET},
    {"unittest.mock", "open_spec", SET},
    {"unittest.mock", "sentinel", MINE},
    {"unittest.signals", "_results", NEW},
    {"urllib.parse", "_hextobyte", SET},
    {"urllib.parse", "_hostprog", SET},
    {"urllib.parse", "_portprog", SET},
    {"urllib.parse", "_typeprog", SET},
    {"urllib.request", "_ftperrors", SET},
    {"urllib.request", "_localhost", SET},
    {"urllib.request", "_noheaders", SET},
    {"urllib.request", "_opener", SET},
    {"urllib.request", "_thishost", SET},
    {"urllib.request", "_url_tempfiles", NEW},
    {"uuid", "_last_timestamp", SET},
    {"uuid", "_node", SET},
    {"warnings", "_showwarnmsg_impl", SET},
    {"warnings", "defaultaction", SET},
    {"warnings", "filters", SET},
    {"warnings", "formatwarning", SET},
    {"warnings", "onceregistry", SET},
    {"warnings", "showwarning", SET},
    {"webbrowser", "_browsers", COPY},
    {"webbrowser", "_lock", NEW},
    {"webbrowser", "_os_preferred_browser", SET},
    {"webbrowser", "_tryorder", COPY},
    {"xml.dom.domreg", "registered", COPY},
    {"xml.etree.ElementPath", "_cache", COPY},
    {"xml.etree.ElementTree", "_namespace_map", COPY},
    {"zipfile", "_crctable", SET},
    {"zipimport", "_zip_directory_cache", COPY},
};

static PyObject *table;

static int
add_name(PyObject *all, const struct px_name *entry)
{
    PyObject *name = PyUnicode_InternFromString(entry->name);
    PyObject *empty = name ? PyDict_New() : NULL;
    PyObject *modules = empty ? PyDict_SetDefault(all, name, empty) : NULL;
    PyObject *number = modules ? PyLong_FromLong(entry->kind) : NULL;
    int status =
        number ? PyDict_SetItemString(modules, entry->module, number) : -1;
    Py_XDECREF(number);
    Py_XDECREF(empty);
    Py_XDECREF(name);
    return status;
}

static PyObject *
make_table(void)
{
    PyObject *all = PyDict_New();
    int status = all ? 0 : -1;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(listed) && status == 0; i++) {
        status = add_name(all, &listed[i]);
    }
    if (status < 0) {
        Py_CLEAR(all);
    }
    return all;
}

/* Of this module, or of a second copy of it that a test has made. */
static long
kind_in(PyObject *dict, PyObject *modules)
{
    PyObject *module = PyDict_GetItemWithError(dict, &_Py_ID(__name__));
    PyObject *kind = module && PyUnicode_CheckExact(module)
                         ? PyDict_GetItemWithError(modules, module)
                         : NULL;
    return kind ? PyLong_AsLong(kind) : NONE;
}

static long
kind_of(PyObject *dict, PyObject *name)
{
    if (!table || !PyUnicode_CheckExact(name)) {
        return NONE;
    }
    PyObject *modules = PyDict_GetItemWithError(table, name);
    return modules ? kind_in(dict, modules)
           : _PyUnicode_EqualToASCIIString(name, "__warningregistry__") ? SET
                                                                        : NONE;
}

/* Whether contexts may have a value of their own for this name in main's dict
 * of a module. If there is no memory to tell, it may be. */
int
_Px_MayDiffer(PyObject *dict, PyObject *name)
{
    if (!table && !_Px_IN() && !(table = make_table())) {
        PyErr_Clear();
        return 1;
    }
    return kind_of(dict, name) != NONE;
}

/* ---- beside main's ------------------------------------------------------- */

static struct _Px_names *
names_beside(PyObject *of)
{
    struct _Px_names *at = _Px_here.cx->names;
    while (at && at->of != of) {
        at = at->next;
    }
    return at;
}

/* Steals @names; -1 if that is NULL, or for lack of memory. */
static int
put_beside(PyObject *of, PyObject *names)
{
    struct _Px_names *beside = names ? PyMem_Malloc(sizeof *beside) : NULL;
    if (!beside) {
        PyErr_NoMemory();
        return -1;
    }
    *beside = (struct _Px_names){of, names, _Px_here.cx->names};
    _Px_here.cx->names = beside;
    return 0;
}

static int
set_name(PyObject *dict, PyObject *name, PyObject *value)
{
    if (!names_beside(dict) && put_beside(dict, PyDict_New()) < 0) {
        return -1;
    }
    return PyDict_SetItem(names_beside(dict)->names, name, value);
}

int
_Px_SetOwnName(PyObject *dict, const char *name, PyObject *value)
{
    PyObject *key = PyUnicode_FromString(name);
    int status = key ? set_name(dict, key, value) : -1;
    Py_XDECREF(key);
    return status;
}

/* Without it a context has main's, which is guarded. If that was to be a new one, so
 * it is with all such names from then on: a lock of main's that it has taken it must
 * find again. */
static void
have_own(PyObject *dict, PyObject *name, long kind)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (kind == NEW && cx->keeps_mains) {
        cx->poor = true;
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *value = PyDict_GetItemWithError(dict, name);
    PyObject *own = value ? _Px_MakeInPlaceOf(value, kind) : NULL;
    bool has = own && set_name(dict, name, own) == 0;
    _Px_NoteOwn(has);
    cx->keeps_mains |= kind == NEW && value && !has;
    Py_XDECREF(own);
    PyErr_SetRaisedException(raised);
}

/* ---- reading ------------------------------------------------------------- */

static bool
is_sys_modules(PyObject *dict, PyObject *name)
{
    return dict == _PyInterpreterState_GET()->sysdict &&
           PyUnicode_Check(name) &&
           _PyUnicode_EqualToASCIIString(name, "modules");
}

static PyObject *
names_with(PyObject *dict, PyObject *name)
{
    struct _Px_names *beside = names_beside(dict);
    return beside && PyDict_Contains(beside->names, name) > 0 ? beside->names
                                                              : NULL;
}

/* The context's {name: value} beside main's dict if @name is in there. */
PyObject *
_Px_OwnNames(PyObject *dict, PyObject *name)
{
    if (is_sys_modules(dict, name)) {
        _Px_NoteOwn(_Px_HaveOwnModules() == 0);
        PyErr_Clear(); /* main's is guarded */
    }
    PyObject *names = names_with(dict, name);
    long kind = names ? NONE : kind_of(dict, name);
    if (kind != NONE && kind != SET) {
        have_own(dict, name, kind);
        names = names_with(dict, name);
    }
    return names;
}

PyObject *
_Px_OwnNamesOfString(PyObject *dict, const char *name)
{
    PyObject *key = names_beside(dict) ? PyUnicode_FromString(name) : NULL;
    PyObject *names = key ? _Px_OwnNames(dict, key) : NULL;
    Py_XDECREF(key);
    return names;
}

/* ---- setting ------------------------------------------------------------- */

/* Whether importlib makes a module that this context has imported an attribute
 * of main's package. */
static bool
is_own_submodule(PyModuleObject *package, PyObject *name, PyObject *value)
{
    if (!PyModule_Check(value) || !_Px_OWN(value) || !package->md_name) {
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

/* Nothing changes if it is that already, or if a module is imported anew, in a
 * context, that main has there as well: code that main has warmed reads main's. The
 * spec of a module that main has imported for this context stays main's. */
static bool
stays(PyModuleObject *module, PyObject *name, PyObject *value)
{
    PyObject *has = PyDict_GetItemWithError(module->md_dict, name);
    return (has && has == value) ||
           (has && PyModule_Check(has) &&
            is_own_submodule(module, name, value)) ||
           (_Px_here.cx->imported == (PyObject *)module &&
            _PyUnicode_EqualToASCIIString(name, "__spec__"));
}

/* module.name = value. */
static int
set_module_attr(PyModuleObject *module, PyObject *name, PyObject *value)
{
    if (kind_of(module->md_dict, name) != NONE ||
        (!PyDict_Contains(module->md_dict, name) &&
         is_own_submodule(module, name, value))) {
        return set_name(module->md_dict, name, value);
    }
    return stays(module, name, value) ? 0 : _Px_RaiseForeign(module);
}

/* What the library sets in passing, and goes on without. */
static const struct px_name dropped[] = {
    {"HtmlDiff", "_default_prefix"}, /* difflib: makes names differ */
};

static bool
is_dropped(const PyTypeObject *type, PyObject *name)
{
    bool found = false;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(dropped) && !found; i++) {
        found = strcmp(type->tp_name, dropped[i].module) == 0 &&
                _PyUnicode_EqualToASCIIString(name, dropped[i].name);
    }
    return found;
}

/* class.name = value. */
static int
set_class_attr(PyTypeObject *type, PyObject *name, PyObject *value)
{
    PyObject *has = PyDict_GetItemWithError(_PyType_GetDict(type), name);
    return (has && has == value) || is_dropped(type, name)
               ? 0
               : _Px_RaiseForeign(type);
}

/* object.name = value, or del object.name when @value is NULL. */
int
_Px_SetForeignAttr(PyObject *object, PyObject *name, PyObject *value)
{
    PyModuleObject *module = (PyModuleObject *)object;
    if (value && PyModule_Check(object) && module->md_dict) {
        return set_module_attr(module, name, value);
    }
    if (value && PyType_Check(object)) {
        return set_class_attr((PyTypeObject *)object, name, value);
    }
    return _Px_RaiseForeign(object);
}

/* global name; name = value. */
int
_Px_SetForeignGlobal(PyObject *dict, PyObject *name, PyObject *value)
{
    return kind_of(dict, name) != NONE ? set_name(dict, name, value)
                                       : PyDict_SetItem(dict, name, value);
}
