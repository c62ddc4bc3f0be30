/*
 * What our own sources in CPython share with each other.
 *
 *      pxhooks.c    memory, strings and errors of a context: what hooks call
 *      pxown.c      what a context has of its own where main has one for all
 *      pxthread.c   a worker's thread state: into a context and out of it
 *      pxcross.c    objects that leave a context: copies, exceptions
 *      pxworld.c    when contexts may run
 *      pxcrew.c     the threads: workers, keeper, coordinator
 *      pxwork.c     a piece of work from its submission to its harvest
 *      pxmodule.c   the module _parallel
 *
 * Each uses only those above it.
 */
#ifndef Py_INTERNAL_PX_H
#define Py_INTERNAL_PX_H

#ifndef Py_BUILD_CORE
#error "this header requires Py_BUILD_CORE define"
#endif

#include "Python.h"

#include <pxrt.h>

#include "pycore_codecs.h"
#include "pycore_freelist.h"
#include "pycore_gc.h"
#include "pycore_lock.h"
#include "pycore_warnings.h"

/* ---- a context, as the hooks know it ------------------------------------- */

/* One for each worker, used by one callback after the other. Written by its
 * worker alone. */
struct _Px_cx {
    px_context *context;
    px_heap *heap;
    uintptr_t stack; /* its thread's: what is above that is not the context's */
    char *count_from; /* counting begins when the heap has grown to here */
    struct _gc_runtime_state gc; /* its own objects */
    struct _Py_object_freelists freelists;
    char line[512]; /* printed, and not at its end yet, ... */
    size_t line_bytes;
    int line_fd; /* ... to here */
    bool common; /* between _Px_CommonBegin() and _Px_CommonEnd() */

    /* pxown.c: what it has of its own, and what it still has of main's */
    struct _Px_names *names; /* attributes of main's modules */
    PyObject *modules;       /* sys.modules; NULL: main's */
    PyObject *finders;       /* sys.path_importer_cache; NULL: main's */
    PyObject *environ;       /* the data of os.environ; NULL: main's */
    int imports_for_c;       /* under way */
    int str_digits;          /* sys.get_int_max_str_digits() */
    struct _warnings_runtime_state warnings;
    struct codecs_state codecs;
};

/* ---- pxhooks.c ----------------------------------------------------------- */

/* Exceptions of the module, made by it; the first is the base of the others. */
extern PyObject *_Px_ParallelError;
extern PyObject *_Px_UnprotectedError;
extern PyObject *_Px_PersistenceError;

/* A context ends: write what it has printed. */
extern void _Px_FlushLine(struct _Px_cx *cx);

/* ---- pxown.c ------------------------------------------------------------- */

/* A context begins: what may be its own is main's as yet. */
extern void _Px_OwnNothing(struct _Px_cx *cx, PyInterpreterState *interp);

/* Any thread: the dict behind os.environ, which is @data on the main side. */
extern PyObject *_Px_EnvironHere(PyObject *data, bool change);

/* ---- pxthread.c ---------------------------------------------------------- */

/* A worker: the thread state that it uses, and where that began. */
typedef struct px_worker {
    PyThreadState *tstate; /* made by main, attached by the worker */
    bool attached;
    struct _Px_cx cx;
    PyObject *calls;  /* the context's: what this callback wants main to call */
    bool inside;      /* pxworld.c's: it runs a callback, */
    bool interrupted; /* which was told to end */
} px_worker;

/* Main: make the state of a worker that is yet to run. -1 with MemoryError. */
extern int _Px_WorkerInit(px_worker *worker, PyInterpreterState *interp);

/* pystate.c */
extern void _PyThreadState_AttachParallel(PyThreadState *tstate);

/* What a context allocates before it counts references down. Main, while the
 * world is closed. */
extern size_t _Px_YoungBytes;

/* Main, when the worker's thread has ended. */
extern void _Px_WorkerFini(px_worker *worker);

/* The worker: run Python code in @context from here on, until leave. */
extern void _Px_Enter(px_worker *worker, px_context *context);
extern void _Px_Leave(px_worker *worker);

/* ---- pxcross.c ----------------------------------------------------------- */

/* Main, while contexts stand still: an object of main's that equals @object,
 * which may be a context's. What cannot be copied is a PersistenceError. */
extern PyObject *_Px_Promote(PyObject *object);

/* The same for an exception; never fails but for memory. */
extern PyObject *_Px_PromoteException(PyObject *exception);

/* ---- pxworld.c ----------------------------------------------------------- */

/* What is to be called in a context, and what became of it. */
typedef struct px_task {
    PyObject *func, *args, *kwds, *callback, *errback; /* main's */
    PyObject *notify;  /* main's: called as notify(error, result); NULL: none */
    PyObject *outcome; /* the context's: result or exception */
    PyObject *calls; /* the context's: a list of (func, args, kwds), or NULL */
    bool failed;
    bool interrupted;
    px_context *context; /* retained until harvest */
    struct px_task *next;
} px_task;

/* A worker waits here until contexts may run. False: they never will. */
extern bool _Px_WorldEnter(px_worker *worker);
/* Entered or not, the worker has done with @task. */
extern void _Px_WorldLeave(px_worker *worker, px_task *task);

/* With the GIL: let contexts run until one is over, or with @gather until all
 * are, or some are and a switch interval has passed; or until @deadline, or
 * until this thread is asked for something. Callbacks under way end first. */
extern void _Px_WorldRun(bool gather, PyTime_t deadline);

/* With the GIL: one task more is to come (false: none may); it does not come. */
extern bool _Px_WorldAdd(void);
extern void _Px_WorldWithdraw(void);

/* With the GIL: the tasks that are over, oldest first. */
extern px_task *_Px_WorldTake(void);

/* Harvests under way, of which the caller's thread has @mine: count them, ask
 * whether there are others, wait a while (without the GIL) for those. */
extern void _Px_WorldCountHarvest(int more);
extern bool _Px_WorldHarvests(unsigned mine);
extern void _Px_WorldAwaitHarvest(unsigned mine);

extern size_t _Px_WorldActive(void);
extern void _Px_WorldCountRunner(int more);

/* The coordinator, without the GIL: wait for work. False: the end has come.
 * With the GIL: is there still any? */
extern bool _Px_WorldAwaitWork(void);
extern bool _Px_WorldHasWork(void);

extern void _Px_WorldBegin(px_worker *workers, unsigned count);
extern void _Px_WorldEnd(void);       /* no callback begins any more */
extern void _Px_WorldAwaitCalm(void); /* those under way are over */
extern bool _Px_WorldEnded(void);
extern bool _Px_WorldForked(void);

/* How often a context has taken the GIL. */
extern size_t _Px_StrangeGilTakes(void);

/* ---- pxcrew.c ------------------------------------------------------------ */

/* With the GIL: start the threads if they are not there. The coordinator calls
 * @harvest with the GIL when it has closed the world. -1 with an exception. */
extern int _Px_CrewStart(void (*harvest)(void));

/* With the GIL: end them, which gives every task back. False: there are none. */
extern bool _Px_CrewStop(void);

extern int _Px_CrewSubmit(px_run_fn run, void *arg);
extern px_worker *_Px_CrewWorker(void); /* on a worker: which it is */

/* ---- pxwork.c ------------------------------------------------------------ */

extern int _Px_Submit(PyObject *func, PyObject *args, PyObject *kwds,
                      PyObject *callback, PyObject *errback, PyObject *notify);

/* A context: have main call func(*args, **kwds) when this callback is over. */
extern int _Px_CallLater(PyObject *func, PyObject *args, PyObject *kwds);

/* Wait until a task is over (see _Px_WorldRun) or @timeout_ms have passed,
 * harvest what is over, raise the first error nobody has taken. -1 with an
 * exception; 1 when something was over since the last time; 0 when nothing is
 * left to do or time is over. */
extern int _Px_RunOnce(int64_t timeout_ms, bool gather);

extern size_t _Px_ActiveCount(void);
extern void _Px_Stop(void);

#endif
