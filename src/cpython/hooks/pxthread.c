/*
 * A worker thread that runs Python code without the GIL.
 *
 * Main makes the thread state of each worker before the worker runs; the worker
 * binds it to itself at its first callback and keeps it attached. In between
 * callbacks it is just not used: whether the thread is in a context is
 * _Px_here's business alone.
 *
 *   main      _Px_WorkerInit                                  _Px_WorkerFini
 *   worker                    Enter .. Leave, Enter .. Leave
 *
 *   T1  Between Leave and Enter the thread state refers to nothing that lies in
 *       a context, and to nothing of main's but the interpreter.
 *   T2  The first chunk of the data stack lies outside of every context, so no
 *       rollback can take it away.
 *   T3  While in a context, tstate->tracing is 1: nothing is instrumented, no
 *       trace function is called, and RESUME does not write to code objects.
 *   T4  The thread state is not on the interpreter's list: whoever goes through
 *       that looks at frames, and those of a callback in flight are not main's.
 *   T5  A thread whose directory and umask are its own has those of the process's
 *       first thread when a callback begins.
 *   T6  It takes no signals, for they are for main's thread to be interrupted by,
 *       but from when a callback starts a process to its end: the process
 *       inherits what the thread that starts it does not take.
 */
#include "pycore_px.h"

#include "pycore_ceval.h"
#include "pycore_frame.h"
#include "pycore_pystate.h"
#include "pycore_tstate.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* A context that has allocated more than this is no longer young: measured, up
 * to a megabyte not freeing is cheaper than freeing. */
size_t _Px_YoungBytes = 1 << 20;

size_t _Px_MaxBytes = SIZE_MAX;

static sigset_t mains_mask; /* of who started the workers */

/* ---- main ---------------------------------------------------------------- */

/* T4. As pystate.c does it, but that the state stays. */
static void
take_off_list(PyThreadState *tstate)
{
    HEAD_LOCK(&_PyRuntime);
    if (tstate->prev) {
        tstate->prev->next = tstate->next;
    }
    else {
        tstate->interp->threads.head = tstate->next;
    }
    if (tstate->next) {
        tstate->next->prev = tstate->prev;
    }
    tstate->prev = tstate->next = NULL;
    HEAD_UNLOCK(&_PyRuntime);
}

static void
put_on_list(PyThreadState *tstate)
{
    HEAD_LOCK(&_PyRuntime);
    tstate->next = tstate->interp->threads.head;
    tstate->next->prev = tstate;
    tstate->interp->threads.head = tstate;
    HEAD_UNLOCK(&_PyRuntime);
}

int
_Px_WorkerInit(px_worker *worker, PyInterpreterState *interp)
{
    memset(worker, 0, sizeof *worker);
    worker->tstate = _PyThreadState_New(interp, _PyThreadState_WHENCE_UNKNOWN);
    if (!worker->tstate) {
        PyErr_NoMemory();
        return -1;
    }
    take_off_list(worker->tstate);
    return 0;
}

void
_Px_WorkerFini(px_worker *worker)
{
    if (!worker->tstate) {
        return;
    }
    /* its thread, and with it what it had bound the state to, is gone */
    worker->tstate->_status.active = 0;
    worker->tstate->_status.bound_gilstate = 0;
    worker->tstate->state = 0;
    worker->tstate->tracing = 0;
    put_on_list(worker->tstate);
    PyThreadState_Clear(worker->tstate);
    PyThreadState_Delete(worker->tstate);
    worker->tstate = NULL;
}

/* ---- the worker ---------------------------------------------------------- */

/* Make the data stack's first chunk now (T2). */
static void
make_data_stack(PyThreadState *tstate)
{
    _PyInterpreterFrame *frame = _PyThreadState_PushFrame(tstate, 1);
    if (frame) {
        _PyThreadState_PopFrame(tstate, frame);
    }
}

static void
attach(px_worker *worker)
{
    _PyThreadState_AttachParallel(worker->tstate);
    make_data_stack(worker->tstate);
    worker->attached = true;
}

/* T1. Exceptions, generators' hooks, context variables: all of the context. */
static void
forget(PyThreadState *tstate)
{
    tstate->current_exception = NULL;
    tstate->exc_state.exc_value = NULL;
    tstate->exc_state.previous_item = NULL;
    tstate->exc_info = &tstate->exc_state;
    tstate->current_frame = NULL;
    tstate->context = NULL;
    tstate->context_ver++;
    tstate->dict = NULL;
    tstate->delete_later = NULL;
    tstate->async_gen_firstiter = NULL;
    tstate->async_gen_finalizer = NULL;
    tstate->coroutine_origin_tracking_depth = 0;
    tstate->critical_section = 0;
    tstate->threading_local_key = NULL;
    tstate->threading_local_sentinel = NULL;
    ((_PyThreadStateImpl *)tstate)->asyncio_running_loop = NULL;
    tstate->c_recursion_remaining = Py_C_RECURSION_LIMIT;
    tstate->recursion_headroom = 0;
}

/* What main has monitored since: its code is to run here as it is. */
static void
follow_main(PyThreadState *tstate)
{
    tstate->eval_breaker = _Py_atomic_load_uintptr_relaxed(
        &tstate->interp->ceval.instrumentation_version);
    tstate->tracing = 1; /* T3 */
    tstate->py_recursion_limit = tstate->interp->ceval.recursion_limit;
    tstate->py_recursion_remaining = tstate->py_recursion_limit;
}

/* Off while the context is young: its dead objects look alive. What cannot be
 * collected should go to main's gc.garbage, which is guarded, so it stays. */
static void
prepare_collector(struct _Px_cx *cx, PyInterpreterState *interp)
{
    memset(&cx->gc, 0, sizeof cx->gc);
    _PyGC_InitState(&cx->gc);
    cx->gc.generations[0].threshold = 2000;
    cx->gc.generations[1].threshold = 10;
    cx->gc.generations[2].threshold = 10;
    cx->gc.garbage = interp->gc.garbage;
}

static char *
at(char *first, size_t bytes)
{
    return bytes < UINTPTR_MAX - (uintptr_t)first ? first + bytes
                                                  : (char *)UINTPTR_MAX;
}

static void
set_limits(struct _Px_cx *cx, char *first, px_memory memory)
{
    cx->first = cx->young_end = first;
    cx->count_from =
        at(first, memory == PX_MEMORY_ARENA ? SIZE_MAX : _Px_YoungBytes);
    _Px_LimitMemory(cx, at(first, _Px_MaxBytes));
    cx->reserve = true;
    cx->in_need = false;
}

/* ---- the current directory and the umask ---------------------------------- */

/* T5. Threads share them. Linux lets one have its own, for good; since it cannot
 * come back, it goes where the first thread is. */

static int
umask_in(char *status)
{
    char *at = strstr(status, "\nUmask:");
    return at ? (int)strtol(at + strlen("\nUmask:"), NULL, 8) : -1;
}

/* The first thread's umask, or -1. */
static int
mains_umask(void)
{
    char text[256] = "";
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t bytes = read(fd, text, sizeof text - 1);
    close(fd);
    if (bytes <= 0) {
        errno = EIO;
        return -1;
    }
    return umask_in(text);
}

int
_Px_GoToMainsPlace(void)
{
    int mask = mains_umask();
    if (mask < 0 || chdir("/proc/self/cwd") < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    (void)umask((mode_t)mask);
    _Px_here.cx->moved = false;
    return 0;
}

/* Whether this thread would find the way back. */
static bool
sees_mains_place(void)
{
    return mains_umask() >= 0 && access("/proc/self/cwd", X_OK) == 0;
}

/* A context is about to set its directory or umask. */
int
_Px_HaveOwnPlace(const char *event)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (!cx->placed && (!sees_mains_place() || unshare(CLONE_FS) < 0)) {
        return _Px_RaiseForbidden(event);
    }
    cx->placed = cx->moved = true;
    return 0;
}

/* ---- signals (T6) -------------------------------------------------------- */

void
_Px_NoteSignals(void)
{
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mains_mask);
}

void
_Px_TakeSignals(sigset_t *before)
{
    (void)pthread_sigmask(SIG_SETMASK, &mains_mask, before);
}

void
_Px_TakeSignalsInContext(void)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (!cx->takes_signals) {
        _Px_TakeSignals(&cx->blocked);
        cx->takes_signals = true;
    }
}

static void
take_no_signals(struct _Px_cx *cx)
{
    if (cx->takes_signals) {
        (void)pthread_sigmask(SIG_SETMASK, &cx->blocked, NULL);
        cx->takes_signals = false;
    }
}

void
_Px_Enter(px_worker *worker, px_context *context, px_memory memory)
{
    struct _Px_cx *cx = &worker->cx;
    const void *first = NULL;
    size_t bytes = 0;
    if (!worker->attached) {
        attach(worker);
    }
    (void)px_context_window(context, &first, &bytes);
    cx->context = context;
    cx->heap = px_context_heap(context);
    set_limits(cx, ((px_cursor *)(void *)cx->heap)->next, memory);
    cx->stack = (uintptr_t)__builtin_frame_address(0);
    cx->line_bytes = 0;
    cx->exports = NULL;
    cx->owners = NULL;
    cx->newest = NULL;
    cx->harmless = NULL;
    cx->outside = NULL;
    cx->making = NULL;
    cx->outside_bytes = 0;
    cx->common = false;
    cx->utf8 = NULL;
    cx->shared = 0;
    _Px_OwnNothing(cx, worker->tstate->interp);
    memset(&cx->freelists, 0, sizeof cx->freelists);
    prepare_collector(cx, worker->tstate->interp);
    follow_main(worker->tstate);
    _Px_here = (struct _Px_here){.own_end = (uintptr_t)first + bytes,
                                 .drop_end = 0, /* young */
                                 .exact_end = (uintptr_t)first + bytes,
                                 .cx = cx,
                                 .gc = &cx->gc,
                                 .freelists = &cx->freelists,
                                 .until_look = _Px_here.until_look};
    _Px_ChooseWays(cx);
    if (memory == PX_MEMORY_COUNTED) {
        _Px_CountLifetimes();
    }
}

/* gc tells of its generations; there are no others. */
px_use
_Px_Use(const struct _Px_cx *cx)
{
    px_use use = {
        .bytes = (size_t)(((px_cursor *)(void *)cx->heap)->next - cx->first),
        .counting = _Px_here.drop_end != 0};
    for (size_t i = 0; i < NUM_GENERATIONS; i++) {
        use.collections += (size_t)cx->gc.generation_stats[i].collections;
    }
    return use;
}

void
_Px_Leave(px_worker *worker)
{
    worker->use = _Px_Use(&worker->cx);
    _Px_FlushLine(&worker->cx);
    if (worker->cx.moved) {
        (void)_Px_GoToMainsPlace(); /* or else when the next one begins */
    }
    take_no_signals(&worker->cx);
    forget(worker->tstate);
    _Px_here = (struct _Px_here){.own_end = UINTPTR_MAX,
                                 .drop_end = UINTPTR_MAX,
                                 .exact_end = UINTPTR_MAX,
                                 .until_look = _Px_here.until_look};
    _Px_BELONG(worker->tstate->interp);
}

/* Frames of Python that nobody will pop. */
static void
drop_data_stack(PyThreadState *tstate)
{
    while (tstate->datastack_chunk->previous) {
        _PyStackChunk *chunk = tstate->datastack_chunk;
        tstate->datastack_chunk = chunk->previous;
        _PyObject_VirtualFree(chunk, chunk->size);
    }
    _PyStackChunk *first = tstate->datastack_chunk;
    tstate->datastack_top = &first->data[1];
    tstate->datastack_limit = (PyObject **)((char *)first + first->size);
}

/* Counts and lists may be as a change half done has left them: count no
 * reference down from here on, collect nothing, reuse nothing. */
void
_Px_Abandon(px_worker *worker)
{
    struct _Px_cx *cx = &worker->cx;
    forget(worker->tstate);
    drop_data_stack(worker->tstate);
    cx->common = false;
    cx->making = NULL;
    cx->utf8 = NULL;
    cx->shared = 0;
    cx->in_need = false;
    cx->exports = NULL;
    cx->owners = NULL; /* with descriptors and all */
    cx->newest = NULL;
    cx->count_from = (char *)UINTPTR_MAX;
    memset(&cx->freelists, 0, sizeof cx->freelists);
    prepare_collector(cx, worker->tstate->interp);
    cx->gc.enabled = 0;
    follow_main(worker->tstate);
    _Px_here.freelists = &cx->freelists;
    _Px_here.drop_end = 0;
    _Px_ChooseWays(cx);
}

/* ---- threading.local ------------------------------------------------------- */

/* As in a new thread: a dict without anything, and then what __init__ says. */
static PyObject *
make_local(PyObject *local, PyObject *args, PyObject *kwds, PyObject *dict)
{
    PyObject *names = PyDict_New();
    initproc init = Py_TYPE(local)->tp_init;
    if (!names || PyDict_SetItem(dict, local, names) < 0) {
        Py_CLEAR(names);
    }
    else if (init != PyBaseObject_Type.tp_init && init(local, args, kwds) < 0) {
        Py_CLEAR(names);
        PyObject *error = PyErr_GetRaisedException();
        (void)PyDict_DelItem(dict, local);
        PyErr_SetRaisedException(error);
    }
    return names;
}

PyObject *
_Px_OwnLocal(PyObject *local, PyObject *args, PyObject *kwds)
{
    PyObject *dict = PyThreadState_GetDict();
    PyObject *names = dict ? PyDict_GetItemWithError(dict, local) : NULL;
    if (names || PyErr_Occurred()) {
        return Py_XNewRef(names);
    }
    return dict ? make_local(local, args, kwds, dict) : PyErr_NoMemory();
}
