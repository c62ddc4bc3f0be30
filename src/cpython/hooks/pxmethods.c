/*
 * Which methods of classes in C a context may call on main's objects, and which
 * functions of modules in C it may not call.
 *
 * C code changes its objects where nobody sees it. The interpreter's own classes
 * have guards where they change; for classes of extension modules the rule is
 * the other way round: closed, unless somebody has looked at the method.
 *
 *      class in C                       on an object that is not the context's
 *      -----------------------------    --------------------------------------
 *      of the interpreter's core        guards of its own; the table closes some
 *      in the table                     as the table says
 *      any other                        closed; allow_methods() opens
 *
 * The mark is in the method itself. When a class becomes ready, each method that
 * is closed gets a copy of its PyMethodDef with one flag more:
 *
 *      descriptor, bound method --> PyMethodDef {name, C function, flags | CLOSED}
 *
 * Specialised instructions compare the flags with those of the one kind that they
 * know, so they leave such a method to the general call, and that looks. Methods
 * that are open are called exactly as in stock CPython.
 *
 *   M1  A method with the flag is called in a context only on the context's own;
 *       a function with it, and what is foreign, not at all.
 *   M2  A flag that is set is cleared by main alone, while contexts stand still.
 *   M3  Copies are never freed, like the definitions that they are copies of.
 *
 * Item assignment needs no method; it asks by the name of its slot. Functions of
 * modules have the same mark, if a second table names them: no context may call
 * these, whatever they are given.
 *
 * Rejected: a bit in the class, which each call of each method would ask for; a
 * guard in each of some hundred methods and functions, and none in those of others'
 * modules.
 *
 * Thread rule: main with the GIL to make ready and to allow; any for the rest.
 */
#include "pycore_px.h"

#include "pycore_object.h"
#include "pycore_typeobject.h"

/* ---- what is known ------------------------------------------------------- */

/* Methods that only read, whatever class they are of: they are CPython's own, or
 * protocols that say so. */
static const char readers[] =
    "__class_getitem__ __dir__ __format__ __getnewargs__ __getstate__ "
    "__length_hint__ __reduce__ __reduce_ex__ __replace__ __sizeof__";

#define ALL ""                            /* read, or have guards */
#define HASH "copy digest hexdigest"      /* of algorithms */
#define COPY "__copy__ __deepcopy__ copy" /* of compressors */
#define FUTURE                                                                 \
    "cancelled cancelling done get_context get_coro get_loop get_name"
#define RAW "fileno isatty readable seekable tell writable"

/* By name, which is sorted. Methods: those that are open, or after '-' those that
 * are closed. */
static const struct row {
    const char *type, *methods;
} rows[] = {
    {"_asyncio.Future", FUTURE},
    {"_asyncio.Task", FUTURE},
    {"_blake2.blake2b", HASH},
    {"_blake2.blake2s", HASH},
    {"_contextvars.Context", "-run"},
    {"_ctypes.PyCArrayType", ALL},
    {"_ctypes.PyCFuncPtrType", ALL},
    {"_ctypes.PyCPointerType", "-set_type"},
    {"_ctypes.PyCSimpleType", ALL},
    {"_ctypes.PyCStructType", ALL},
    {"_ctypes.UnionType", ALL},
    {"_hashlib.HASH", HASH},
    {"_hashlib.HASHXOF", HASH},
    {"_hashlib.HMAC", HASH},
    {"_io.BufferedRWPair", "-close detach"},
    {"_io.BufferedRandom", "-detach tell"},
    {"_io.BufferedReader", "-detach tell"},
    {"_io.BufferedWriter", "-detach tell"},
    {"_io.BytesIO", "-close"},
    {"_io.FileIO", RAW},
    {"_io.IncrementalNewlineDecoder", "getstate"},
    {"_io.StringIO", "-close"},
    {"_io.TextIOWrapper", "-detach reconfigure seek"},
    {"_io._BufferedIOBase", ALL},
    {"_io._IOBase", ALL},
    {"_io._RawIOBase", ALL},
    {"_io._TextIOBase", ALL},
    {"_md5.md5", HASH},
    {"_multibytecodec.MultibyteCodec", ALL},
    {"_multiprocessing.SemLock", "-_after_fork"},
    {"_queue.SimpleQueue", "empty qsize"},
    {"_random.Random", "-seed setstate"},
    {"_sha1.sha1", HASH},
    {"_sha2.SHA224Type", HASH},
    {"_sha2.SHA256Type", HASH},
    {"_sha2.SHA384Type", HASH},
    {"_sha2.SHA512Type", HASH},
    {"_sha3.sha3_224", HASH},
    {"_sha3.sha3_256", HASH},
    {"_sha3.sha3_384", HASH},
    {"_sha3.sha3_512", HASH},
    {"_sha3.shake_128", HASH},
    {"_sha3.shake_256", HASH},
    {"_socket.socket", "-bind close connect connect_ex detach listen "
                       "setblocking setsockopt settimeout shutdown"},
    {"_ssl.Certificate", ALL},
    {"_ssl._SSLContext", "_wrap_bio _wrap_socket cert_store_stats get_ca_certs "
                         "get_ciphers session_stats"},
    {"_struct.Struct", ALL},
    {"_struct.unpack_iterator", ALL},
    {"_thread.RLock", "-_at_fork_reinit"},
    {"_thread._ThreadHandle", "is_done"},
    {"_thread._local", ALL},
    {"_thread.lock", "-_at_fork_reinit"},
    {"array.array", "-byteswap reverse"},
    {"async_generator_asend", "-close send throw"},
    {"async_generator_athrow", "-close send throw"},
    {"collections.OrderedDict", "-clear move_to_end"},
    {"collections.defaultdict", ALL},
    {"collections.deque", "-clear reverse rotate"},
    {"decimal.Context", "Etiny Etop __copy__ canonical copy radix"},
    {"decimal.Decimal", ALL},
    {"decimal.SignalDictMixin", "copy"},
    {"frame", "-clear"},
    {"functools._lru_cache_wrapper", "-cache_clear"},
    {"functools.partial", ALL},
    {"memoryview", "-__exit__ release"},
    {"mmap.mmap", "find rfind size tell"},
    {"pickle.PickleBuffer", "-release"},
    {"posix.DirEntry", "__fspath__ inode is_junction"},
    {"posix.ScandirIterator", "__enter__"},
    {"re.Match", ALL},
    {"re.Pattern", ALL},
    {"select.epoll", "fileno"},
    {"sqlite3.Row", ALL},
    {"typing.ParamSpec", ALL},
    {"typing.ParamSpecArgs", ALL},
    {"typing.ParamSpecKwargs", ALL},
    {"typing.TypeVar", ALL},
    {"typing.TypeVarTuple", ALL},
    {"unicodedata.UCD", ALL},
    {"xml.etree.ElementTree.Element",
     "__copy__ __deepcopy__ find findall findtext get items iter iterfind "
     "itertext keys makeelement"},
    {"zlib.Compress", COPY},
    {"zlib.Decompress", COPY},
    {"zoneinfo.ZoneInfo", ALL},
};

/* Functions of modules that are closed to contexts, by name of the module: what
 * they change belongs to the process, or they keep or move what they are given
 * where no guard looks. All others have guards, or need none. */
static const struct row functions[] = {
    {"_ctypes", "dlclose resize"},
    {"_curses", ALL},
    {"_curses_panel", ALL},
    {"_imp", "_override_frozen_modules_for_tests "
             "_override_multi_interp_extensions_check"},
    {"_interpchannels", ALL},
    {"_interpqueues", ALL},
    {"_interpreters", ALL},
    {"_locale", "bind_textdomain_codeset bindtextdomain textdomain"},
    {"_signal", "alarm pthread_sigmask raise_signal set_wakeup_fd setitimer "
                "siginterrupt signal"},
    {"_socket", "setdefaulttimeout sethostname"},
    {"_struct", "_clearcache"},
    {"_tracemalloc", "clear_traces reset_peak start stop"},
    {"atexit", "_clear _run_exitfuncs register unregister"},
    {"faulthandler", "cancel_dump_traceback_later disable dump_traceback "
                     "dump_traceback_later enable register unregister"},
    {"posix",
     "chroot initgroups login_tty nice register_at_fork "
     "sched_setaffinity sched_setparam sched_setscheduler setegid "
     "seteuid setgid setgroups setns setpgid setpgrp setpriority setregid "
     "setresgid setresuid setreuid setsid setuid tcsetpgrp unshare"},
    {"pwd", "getpwall"},
    {"readline", "add_history append_history_file clear_history insert_text "
                 "parse_and_bind read_history_file read_init_file redisplay "
                 "remove_history_item replace_history_item set_auto_history "
                 "set_completer set_completer_delims "
                 "set_completion_display_matches_hook set_history_length "
                 "set_pre_input_hook set_startup_hook write_history_file"},
    {"resource", "prlimit"},
    {"sys", "_clear_internal_caches _clear_type_cache _setprofileallthreads "
            "_settraceallthreads activate_stack_trampoline addaudithook "
            "deactivate_stack_trampoline setdlopenflags setswitchinterval"},
    {"time", "clock_settime clock_settime_ns tzset"},
};

/* Slots that change an object, and may be called by these names. */
static const char changers[] = "__call__ __delattr__ __delitem__ __init__ "
                               "__setattr__ __setitem__";

/* Those that nothing in the core's classes guards. */
static const char unguarded[] = "__del__ __init__";

static bool
is_one_of(const char *name, const char *words)
{
    size_t length = strlen(name);
    const char *at = words;
    while ((at = strstr(at, name))) {
        bool begins = at == words || at[-1] == ' ';
        if (begins && (at[length] == ' ' || at[length] == '\0')) {
            return true;
        }
        at += length;
    }
    return false;
}

static int
compare_row(const void *name, const void *row)
{
    return strcmp(name, ((const struct row *)row)->type);
}

#define FIND(table, name)                                                      \
    ((const struct row *)bsearch(name, table, Py_ARRAY_LENGTH(table),          \
                                 sizeof *(table), compare_row))

/* Whether a context may call this method, or slot, of main's objects. */
static bool
is_open(const PyTypeObject *type, const char *name)
{
    const struct row *row = FIND(rows, type->tp_name);
    if (is_one_of(name, readers)) {
        return true;
    }
    if (strcmp(name, "__setstate__") == 0) {
        return false;
    }
    if (!row) {
        return type->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN;
    }
    return row->methods[0] == '-' ? !is_one_of(name, row->methods + 1)
           : row->methods[0]      ? is_one_of(name, row->methods)
                                  : true;
}

/* A function of a module, which is a name, or else of nobody's. */
static bool
is_closed_function(PyObject *module, const char *name)
{
    const char *of =
        module && PyUnicode_Check(module) ? PyUnicode_AsUTF8(module) : NULL;
    const struct row *row = of ? FIND(functions, of) : NULL;
    return row && (!row->methods[0] || is_one_of(name, row->methods));
}

/* ---- marks --------------------------------------------------------------- */

static int
put_mark(PyMethodDef **def, int mark)
{
    PyMethodDef *copy = PyMem_RawMalloc(sizeof *copy); /* M3 */
    if (!copy) {
        PyErr_NoMemory();
        return -1;
    }
    *copy = **def;
    copy->ml_flags |= mark;
    *def = copy;
    return 0;
}

static bool
is_foreign(const PyMethodDef *def)
{
    return _Px_ForeignName((void *)def->ml_meth);
}

/* A function of a module, or a method that is bound. */
int
_Px_MarkFunction(PyMethodDef **def, PyObject *module)
{
    if (_Px_IN() || (*def)->ml_flags & _Px_METH_MARKS) {
        return 0;
    }
    if (_Px_foreign_count > 0 && is_foreign(*def)) {
        return put_mark(def, _Px_METH_FOREIGN);
    }
    return is_closed_function(module, (*def)->ml_name)
               ? put_mark(def, _Px_METH_CLOSED)
               : 0;
}

/* Main: a method of a class that becomes ready. In a context the class, and all
 * objects of it, are the context's. */
int
_Px_MarkMethod(PyTypeObject *type, PyMethodDef **def)
{
    if (_Px_IN()) {
        return 0;
    }
    if (is_foreign(*def)) {
        return put_mark(def, _Px_METH_FOREIGN);
    }
    _Px_WrapCodec(type);
    return is_open(type, (*def)->ml_name) ? 0 : put_mark(def, _Px_METH_CLOSED);
}

/* ---- looking ------------------------------------------------------------- */

static int
raise_closed(const char *name, const void *object)
{
    if (_Px_RefuseUser()) {
        return -1;
    }
    PyErr_Format(
        _Px_UnprotectedError,
        "a context must not call %s() of the '%.100s' object at %p, "
        "which is not its own and may be changed by it: make one in "
        "the context, or let the main thread do it (a method that only "
        "reads can be opened with parallel.allow_methods())",
        name, Py_TYPE((PyObject *)object)->tp_name, object);
    return -1;
}

/* What Python code calls a module in C. */
static const char *
public_name(const char *module)
{
    return strcmp(module, "posix") == 0 ? "os" : module + (module[0] == '_');
}

static int
raise_closed_function(const char *name, PyObject *module)
{
    char what[100];
    const char *of = PyModule_GetName(module);
    if (!of) {
        return -1;
    }
    (void)snprintf(what, sizeof what, "%s.%s()", public_name(of), name);
    return _Px_RaiseForbidden(what);
}

/* M1. A context is about to call a method with a mark, or such a function. */
int
_Px_GuardMethod(const PyMethodDef *def, const void *self)
{
    if (def->ml_flags & _Px_METH_FOREIGN) {
        return _Px_RaiseForeignCode((void *)def->ml_meth);
    }
    if (self && PyModule_Check((PyObject *)self)) {
        return raise_closed_function(def->ml_name, (PyObject *)self);
    }
    return _Px_OWN(self) ? 0 : raise_closed(def->ml_name, self);
}

static PyObject *allowed; /* slots that main has opened: a set, or NULL */

static bool
is_allowed(PyObject *slot)
{
    return allowed && PySet_Contains(allowed, slot) > 0;
}

/* A context calls a slot of an object that is not its own by its name. Those of
 * the core's classes look themselves, but for the unguarded ones. */
int
_Px_GuardSlot(PyObject *slot, const char *name, const void *self)
{
    PyTypeObject *type = PyDescr_TYPE(slot);
    bool begins = type != &PyBaseObject_Type && type != &PyType_Type &&
                  type != &_PyWeakref_RefType && is_one_of(name, unguarded);
    bool closed = is_one_of(name, changers) && !is_open(type, name);
    return (begins || closed) && !is_allowed(slot) ? raise_closed(name, self)
                                                   : 0;
}

/* The same for one that is called without its name. */
int
_Px_GuardItem(PyObject *object, PyObject *name)
{
    PyObject *slot = _PyType_Lookup(Py_TYPE(object), name);
    return slot && Py_IS_TYPE(slot, &PyWrapperDescr_Type)
               ? _Px_GuardSlot(slot, PyUnicode_AsUTF8(name), object)
               : 0;
}

/* ---- opening ------------------------------------------------------------- */

static int
allow_slot(PyObject *slot)
{
    if (!allowed && !(allowed = PySet_New(NULL))) {
        return -1;
    }
    return PySet_Add(allowed, slot);
}

/* M2 */
int
_Px_AllowMethod(PyTypeObject *type, PyObject *name)
{
    PyObject *descr = PyDict_GetItemWithError(_PyType_GetDict(type), name);
    if (descr && Py_IS_TYPE(descr, &PyMethodDescr_Type)) {
        PyMethodDef *def = ((PyMethodDescrObject *)descr)->d_method;
        if (def->ml_flags & _Px_METH_CLOSED) {
            def->ml_flags &= ~_Px_METH_CLOSED;
        }
        return 0;
    }
    if (descr && Py_IS_TYPE(descr, &PyWrapperDescr_Type)) {
        return allow_slot(descr);
    }
    PyErr_Format(PyExc_TypeError, "%.100s has no method %R written in C",
                 type->tp_name, name);
    return -1;
}
