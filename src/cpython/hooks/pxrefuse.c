/*
 * What a context is refused, and what its callback is told.
 *
 * An error is of use if it names what the callback has asked for, and what to do
 * instead. What the library is about to do for it, deep in there, says neither:
 *
 *      the callback
 *        asyncio.to_thread()              <- named: the outermost of those frames
 *          run_in_executor()                 on top that a list knows
 *            ThreadPoolExecutor()
 *              threading.Thread.start()
 *                _thread.start_joinable_thread     <- refused
 *
 *   R1  Nothing here changes anything but the thread's exception.
 *
 * Thread rule: a thread that is in a context, about that context.
 */
#include "pycore_px.h"

#include "pycore_frame.h"
#include "pycore_pystate.h"

#define MAIN "let the main thread do it"
#define ELSE_MAIN "or " MAIN
#define THREADS "submit work instead (parallel.submit_work), " ELSE_MAIN
#define PROCESSES                                                              \
    "start a program (subprocess), submit work "                               \
    "(parallel.submit_work), " ELSE_MAIN

/* ---- who asks ------------------------------------------------------------ */

/* Of a module, or of a package: what its functions are known as, or NULL if that
 * is for their callers to say. */
typedef struct user {
    const char *module, *function; /* or any */
    const char *what, *instead;
    bool keeps; /* state of main's: that is why it is refused */
} user;

static const user users[] = {
    {"asyncio.base_events", "getaddrinfo", "getaddrinfo() of an event loop",
     "use addresses, not names, or ask socket.getaddrinfo(), which waits",
     false},
    {"asyncio.base_events", "getnameinfo", "getnameinfo() of an event loop",
     "ask socket.getnameinfo(), which waits", false},
    {"asyncio.base_events", "_getaddrinfo_sock", NULL, NULL, false},
    {"asyncio.base_events", "_ensure_resolved", NULL, NULL, false},
    {"asyncio.base_events", "run_in_executor",
     "run_in_executor() of an event loop", THREADS, false},
    {"asyncio.threads", NULL, "asyncio.to_thread()", THREADS, false},
    {"concurrent.futures._base", NULL, NULL, NULL, false},
    {"concurrent.futures.process", NULL,
     "concurrent.futures.ProcessPoolExecutor", THREADS, true},
    {"concurrent.futures.thread", NULL, "concurrent.futures.ThreadPoolExecutor",
     THREADS, true},
    {"multiprocessing", NULL, "multiprocessing", PROCESSES, true},
    {"os", "_spawnvef", "os.spawnv()", PROCESSES, false},
    {"signal", NULL, NULL, NULL, false},
    {"threading", NULL, "threading.Thread", THREADS, false},
};

static bool
is_module(const char *name, const char *module)
{
    size_t bytes = strlen(module);
    return strncmp(name, module, bytes) == 0 &&
           (name[bytes] == 0 || name[bytes] == '.');
}

static const user *
user_named(const char *module, PyObject *function)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(users); i++) {
        const user *at = &users[i];
        if (is_module(module, at->module) &&
            (!at->function || PyUnicode_EqualToUTF8(function, at->function))) {
            return at;
        }
    }
    return NULL;
}

static const user *
user_in(_PyInterpreterFrame *frame)
{
    PyObject *name =
        PyDict_GetItemWithError(frame->f_globals, &_Py_ID(__name__));
    const char *module =
        name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
    return module ? user_named(module, _PyFrame_GetCode(frame)->co_name) : NULL;
}

/* Who of the list it is that the callback has called; NULL: nobody. @keeps: they
 * are looked for who keep state of main's. */
static const user *
find_user(bool keeps)
{
    const user *found = NULL, *at;
    _PyInterpreterFrame *frame = _PyThreadState_GetFrame(_PyThreadState_GET());
    while (frame && (at = user_in(frame))) {
        found = at->what && (at->keeps || !keeps) ? at : found;
        frame = _PyFrame_GetFirstComplete(frame->previous);
    }
    PyErr_Clear();
    return found;
}

/* ---- errors -------------------------------------------------------------- */

static int
forbid(const char *what, const char *instead)
{
    const user *by = find_user(false);
    PyErr_Format(_Px_ParallelError, "%s is not possible in a context: %s",
                 by ? by->what : what, by ? by->instead : instead);
    return -1;
}

int
_Px_RaiseForbidden(const char *what)
{
    return forbid(what, MAIN);
}

bool
_Px_RefuseUser(void)
{
    const user *by = find_user(true);
    if (by) {
        (void)forbid(by->what, by->instead);
    }
    return by;
}

void
_Px_NoteOwn(bool had)
{
    _Px_here.cx->poor = !had && PyErr_ExceptionMatches(PyExc_MemoryError);
}

int
_Px_RaiseForeign(const void *object)
{
    if (_Px_here.cx->poor) {
        PyErr_NoMemory();
        return -1;
    }
    if (_Px_RefuseUser()) {
        return -1;
    }
    PyErr_Format(_Px_UnprotectedError,
                 "a context must not change the '%.100s' object at %p, which "
                 "is not its own: change a copy, return the new value, or let "
                 "the main thread do it",
                 Py_TYPE((PyObject *)object)->tp_name, object);
    return -1;
}

/* C code that fails and sets no exception, or sets one and does not fail, would be
 * a SystemError. True: there is an exception now that says why. Much of CPython's
 * code keeps silent where memory is short (the tokenizer's begin), and void
 * functions cannot say that a guard has stopped them (PyDict_Clear). */
int
_Px_ExplainFailure(void)
{
    if (PyErr_Occurred()) {
        return PyErr_ExceptionMatches(_Px_ParallelError) ||
               PyErr_ExceptionMatches(PyExc_MemoryError);
    }
    if (_Px_here.cx->reserve) {
        return 0;
    }
    PyErr_NoMemory();
    return 1;
}

/* Pickling an iterator goes through a copy of it on the stack. */
static bool
is_on_stack(const void *object)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return (uintptr_t)object - here < _Px_here.cx->stack - here;
}

/* The caller's frame may have no object yet. */
int
_Px_GuardBack(PyFrameObject *frame)
{
    _PyInterpreterFrame *caller =
        frame->f_back ? NULL
                      : _PyFrame_GetFirstComplete(frame->f_frame->previous);
    return caller && !caller->frame_obj ? _Px_GUARD(frame) : 0;
}

int
_Px_GuardNext(PyObject *iterator)
{
    if (is_on_stack(iterator)) {
        return 0;
    }
    PyObject *next = _PyType_Lookup(Py_TYPE(iterator), &_Py_ID(__next__));
    return next && PyFunction_Check(next) ? 0 : _Px_RaiseForeign(iterator);
}

/* Those of exceptions look whether anything changes: contextlib and others set what
 * is there already. */
int
_Px_GuardSetter(PyObject *object, const char *name)
{
    static const char *const look[] = {"__cause__", "__context__",
                                       "__traceback__"};
    bool looks = false;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(look) && !looks; i++) {
        looks = strcmp(name, look[i]) == 0;
    }
    return looks && PyExceptionInstance_Check(object)
               ? 0
               : _Px_RaiseForeign(object);
}

/* ---- what is main's business --------------------------------------------- */

/* CPython announces these events before it does what they name. Each changes
 * what all threads share, or would let main's code be written to. */
static const struct {
    const char *event, *instead;
} main_events[] = {
    {"_thread.start_new_thread", THREADS},
    {"_thread.start_joinable_thread", THREADS},
    {"cpython._PySys_ClearAuditHooks", MAIN},
    {"gc.get_objects", MAIN},
    {"gc.get_referrers", MAIN},
    {"os.exec", PROCESSES},
    {"os.fork", PROCESSES},
    {"os.forkpty", PROCESSES},
    {"os.putenv", MAIN},
    {"os.unsetenv", MAIN},
    {"resource.setrlimit", MAIN},
    {"sys._current_exceptions", MAIN},
    {"sys._current_frames", MAIN},
    {"sys.addaudithook", MAIN},
    {"sys.monitoring.register_callback", MAIN},
    {"sys.setprofile", MAIN},
    {"sys.settrace", MAIN},
    {"syslog.closelog", MAIN},
    {"syslog.openlog", MAIN},
    {"syslog.setlogmask", MAIN},
};

static bool
starts_process(const char *event)
{
    return strcmp(event, "subprocess.Popen") == 0 ||
           strcmp(event, "os.posix_spawn") == 0 ||
           strcmp(event, "os.system") == 0;
}

int
_Px_AuditContext(const char *event)
{
    if (_Px_here.cx->environ && strcmp(event, "os.system") == 0) {
        return _Px_RaiseForbidden("os.system() with an environment of its own");
    }
    if (strcmp(event, "os.chdir") == 0) {
        return _Px_HaveOwnPlace(event);
    }
    if (starts_process(event)) {
        _Px_TakeSignalsInContext();
        return 0;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(main_events); i++) {
        if (strcmp(event, main_events[i].event) == 0) {
            return forbid(event, main_events[i].instead);
        }
    }
    return 0;
}

/* An event loop makes one when it is first asked for a thread, and would have to
 * end it, for which it needs a thread. */
int
_Px_GuardExecutor(const PyTypeObject *type)
{
    if (type->tp_name[0] != 'T' ||
        strcmp(type->tp_name, "ThreadPoolExecutor") != 0) {
        return 0;
    }
    return forbid("concurrent.futures.ThreadPoolExecutor", THREADS);
}
