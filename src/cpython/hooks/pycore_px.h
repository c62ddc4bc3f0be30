/*
 * What our own sources in CPython share with each other.
 *
 *      pxhooks.c    memory, strings and errors of a context: what hooks call
 *      pxlimbo.c    what main drops and stopped callbacks may use
 *      pxown.c      what a context has of its own where main has one for all
 *      pxforeign.c  extension modules that were not built for us
 *      pxmethods.c  which methods in C are for main's objects
 *      pxthread.c   a worker's thread state: into a context and out of it
 *      pxclass.c    copies of instances and functions
 *      pxcopy.c     copies of values and containers
 *      pxexcept.c   copies of exceptions
 *      pxcross.c    objects that leave a context
 *      pxend.c      files and finalizers that a callback leaves behind
 *      pxguard.c    main's memory is read-only while contexts run
 *      pxfault.c    what becomes of a write to it
 *      pxgate.c     callbacks: into the world, out of it, to a halt
 *      pxworld.c    when contexts may run
 *      pxcrew.c     the threads: workers, keeper, coordinator
 *      pxerrors.c   errors that run_once() is to raise
 *      pxcalls.c    what callbacks have main call
 *      pximport.c   modules that main imports for callbacks
 *      pxwork.c     a piece of work from its submission to its harvest
 *      pxmodule.c   the module _parallel
 *
 * Each uses only those above it; but the four that copy use each other, and
 * freeing a block may take an owner off pxend.c's list.
 */
#ifndef Py_INTERNAL_PX_H
#define Py_INTERNAL_PX_H

#ifndef Py_BUILD_CORE
#error "this header requires Py_BUILD_CORE define"
#endif

#include "Python.h"

#include <pthread.h>
#include <pxrt.h>
#include <signal.h>

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
    char *first;     /* where its heap began */
    char *notice_at; /* when the heap has grown to here, ... */
    char *count_from;            /* ... here counting begins, ... */
    char *limit;                 /* ... and here its memory is over */
    bool reserve;                /* there is some more to deal with that */
    bool in_need;                /* and a MemoryError is being made of it */
    struct _gc_runtime_state gc; /* its own objects */
    struct _Py_object_freelists freelists;
    struct _Px_export *exports; /* main's buffers that it has looked into */
    char line[512];             /* printed, and not at its end yet, ... */
    size_t line_bytes;
    int line_fd; /* ... to here */
    bool common; /* between _Px_CommonBegin() and _Px_CommonEnd() */

    /* pxend.c: what owns something outside of its memory */
    struct _Py_hashtable_t *owners; /* by their blocks; NULL: none as yet */
    struct _Px_owner *newest;
    PyTypeObject *harmless; /* a class whose objects do not */

    /* pxown.c: what it has of its own, and what it still has of main's */
    struct _Px_names *names; /* attributes of main's modules */
    PyObject *modules;       /* sys.modules; NULL: main's */
    PyObject *taken;         /* what of main's has been in there, by name */
    PyObject *finders;       /* sys.path_importer_cache; NULL: main's */
    PyObject *environ;       /* the data of os.environ; NULL: main's */
    int imports_for_c;       /* under way */
    PyObject *imported;      /* a module that main has, and is new to it */
    PyObject *subclasses;    /* of main's classes; NULL: none */
    PyObject *interned;      /* {string: itself}; NULL: none */
    bool placed;    /* its thread shares directory and umask with nobody, ... */
    bool moved;     /* ... and they may not be main's */
    int str_digits; /* sys.get_int_max_str_digits() */
    struct _warnings_runtime_state warnings;
    struct codecs_state codecs;
};

/* ---- pxhooks.c ----------------------------------------------------------- */

/* Exceptions of the module, made by it; the first is the base of the others. */
extern PyObject *_Px_ParallelError;
extern PyObject *_Px_UnprotectedError;
extern PyObject *_Px_PersistenceError;
extern PyObject *_Px_FrozenMemoryError;
extern PyObject *_Px_empty_dict; /* likewise */

/* Static data of ours that contexts may write: the guard lets them. */
#define _Px_STATE __attribute__((section("px_data")))

/* When a context counts: from where it has grown large or lifetimes matter; never;
 * always. */
typedef enum px_memory {
    PX_MEMORY_AUTO,
    PX_MEMORY_ARENA,
    PX_MEMORY_COUNTED
} px_memory;

/* A list in the context's heap. */
typedef struct _Px_export {
    struct _Px_export *next;
    const void *object;
} _Px_export;

/* A context ends: write what it has printed. */
extern void _Px_FlushLine(struct _Px_cx *cx);

/* ---- pxlimbo.c ----------------------------------------------------------- */

/* A slice of main's begins with callbacks stopped in mid-flight. */
extern void _Px_LimboBeginSlice(uint64_t slice);

/* Drop what has come to limbo in slices up to this one. Runs finalizers. */
extern void _Px_LimboDrop(uint64_t until);

extern size_t _Px_LimboCount(void);
extern size_t _Px_LimboBytes(void); /* without what they refer to */
extern bool _Px_LimboFull(void);    /* callbacks in flight should end */

/* ---- pxown.c ------------------------------------------------------------- */

/* A context begins: what may be its own is main's as yet. */
extern void _Px_OwnNothing(struct _Px_cx *cx, PyInterpreterState *interp);

/* A context imports something; -1 with MemoryError. */
extern int _Px_OwnImports(void);

/* Any thread: @object, or in a context in the place of an object of main's
 * what make() has returned there when it was first asked for. A new reference;
 * NULL with an exception. */
extern PyObject *_Px_InPlaceOf(PyObject *object, PyObject *make);

/* Any thread: the dict behind os.environ, which is @data on the main side. */
extern PyObject *_Px_EnvironHere(PyObject *data, bool change);

/* ---- pxforeign.c --------------------------------------------------------- */

/* The name of the module if this address is in a library that was not built for
 * this interpreter; else NULL. */
extern const char *_Px_ForeignName(const void *address);

/* A context is about to call it: always -1. */
extern int _Px_RaiseForeignCode(const void *address);

/* ---- pxmethods.c --------------------------------------------------------- */

/* Main: let contexts call this method of main's objects. -1 with TypeError. */
extern int _Px_AllowMethod(PyTypeObject *type, PyObject *name);

/* ---- pxthread.c ---------------------------------------------------------- */

/* Where a callback is; see pxgate.c. */
typedef enum px_place {
    PX_OUTSIDE,
    PX_INSIDE,
    PX_RETURNING,
    PX_BLOCKED,
    PX_ASKING,
    PX_SERVED
} px_place;

/* What a callback has used, when it is over. */
typedef struct px_use {
    size_t bytes;
    size_t collections;
    bool counting; /* at its end */
} px_use;

/* A worker: the thread state that it uses, and where that began. */
typedef struct px_worker {
    PyThreadState *tstate; /* made by main, attached by the worker */
    bool attached;
    struct _Px_cx cx;
    px_use use;       /* of the last callback */
    PyObject *calls;  /* the context's: what this callback wants main to call */
    PyObject *ask;    /* the same, and it waits for the answer */
    PyObject *answer; /* main's: result, or exception if it failed */
    bool failed;
    PyObject *kept;   /* main's: a list of all answers to this callback */
    px_place place;   /* pxgate.c's, as is the rest */
    uint64_t began;   /* the slice that this callback began in */
    bool interrupted; /* it was told to end */
} px_worker;

/* Main: make the state of a worker that is yet to run. -1 with MemoryError. */
extern int _Px_WorkerInit(px_worker *worker, PyInterpreterState *interp);

/* pystate.c */
extern void _PyThreadState_AttachParallel(PyThreadState *tstate);

/* The worker, in a context: what it has used so far. */
extern px_use _Px_Use(const struct _Px_cx *cx);

/* What a context allocates before it counts references down. Main, while the
 * world is closed. */
extern size_t _Px_YoungBytes;

/* What a context may allocate before it gets MemoryError. Main, likewise. */
extern size_t _Px_MaxBytes;

/* Main, when the worker's thread has ended. */
extern void _Px_WorkerFini(px_worker *worker);

/* The worker: run Python code in @context from here on, until leave. */
extern void _Px_Enter(px_worker *worker, px_context *context, px_memory memory);
extern void _Px_Leave(px_worker *worker);

/* The worker, in a context: its C frames are gone, and what they had under way
 * with them. What is allocated stays until the context ends. */
extern void _Px_Abandon(px_worker *worker);

/* The same: its directory and umask are main's. -1 with OSError. */
extern int _Px_GoToMainsPlace(void);

/* ---- pxcross.c ----------------------------------------------------------- */

/* Main, while contexts stand still: an object of main's that equals @object,
 * which may be a context's. What cannot be copied is a PersistenceError. The copy
 * is complete after _Px_FillLate(*late), which is due if *late is not NULL. */
extern PyObject *_Px_Promote(PyObject *object, PyObject **late);

/* The same for an exception; never fails but for memory. */
extern PyObject *_Px_PromoteException(PyObject *exception, PyObject **late);

/* Main, when all copies are made: runs Python code. Takes @late over. */
extern int _Px_FillLate(PyObject *late);

/* One object that leaves a context, with all that it refers to. */
typedef struct _Px_crossing {
    struct _Py_hashtable_t *memo; /* a context's object -> its copy, counted */
    PyObject *late;   /* containers and what they contain, or NULL */
    PyObject **order; /* what the memo has, the oldest first */
    size_t count, room;
} _Px_crossing;

/* A copy of @object's own class @type, which is the kind's or made of it. */
typedef PyObject *_Px_maker(_Px_crossing *to, PyTypeObject *type,
                            PyObject *object);
typedef int _Px_filler(_Px_crossing *to, PyObject *copy, PyObject *object);

typedef struct _Px_kind {
    PyTypeObject *type; /* NULL: it is known by its name */
    const char *name;
    _Px_maker *make;  /* the copy, but for parts that may refer to it */
    _Px_filler *fill; /* these; NULL: there are none */
    bool is_number;
} _Px_kind;

/* Neither a context's own nor in its reach. */
static inline bool
_Px_IsMains(const void *object)
{
    return px_owner_word(object) == 0;
}

/* The error that @object, or what refers to it, must stay. */
extern PyObject *_Px_Refuse(PyObject *object);

extern PyObject *_Px_CopyPart(_Px_crossing *to, PyObject *object);
extern PyObject *_Px_Remember(_Px_crossing *to, PyObject *object,
                              PyObject *copy);
extern Py_ssize_t _Px_LateCount(const _Px_crossing *to);
extern void _Px_ForgetSince(_Px_crossing *to, size_t count, Py_ssize_t late);
extern int _Px_PutLate(_Px_crossing *to, PyObject *container, PyObject *items);

/* ---- pxcopy.c ------------------------------------------------------------ */

/* How to copy instances of @type, which is main's; NULL: that cannot be done. */
extern const _Px_kind *_Px_KindOf(PyTypeObject *type);

/* Copies of @items; -1 if one fails, where the rest stays as it is: NULL. */
extern int _Px_FillItems(_Px_crossing *to, PyObject **to_items,
                         PyObject **items, Py_ssize_t count);

/* dict[key] = value, whatever kind of dict, without methods of its class. */
extern int _Px_SetItem(PyObject *dict, PyObject *key, PyObject *value);

/* ---- pxclass.c ----------------------------------------------------------- */

/* The nearest base whose instances are made by C code; @type itself maybe. */
extern PyTypeObject *_Px_BaseInC(PyTypeObject *type);

/* Whether slots, dict and weak references are all that @type adds to it. */
extern bool _Px_AddsOnlySlots(PyTypeObject *type, PyTypeObject *base);

/* Copy what is in slots and in the dict. */
extern int _Px_CopyAttributes(_Px_crossing *to, PyObject *copy,
                              PyObject *object);

/* Main's member of the same value as this one of an enum, if any; a new one. */
extern PyObject *_Px_FindMember(PyObject *object);
extern int _Px_AddMember(PyObject *copy);

extern _Px_maker _Px_MakeFunction;
extern _Px_filler _Px_FillFunction;
extern _Px_maker _Px_MakePlain, _Px_MakeMethod, _Px_MakeCell;
extern _Px_filler _Px_FillCell;

/* Such as time.struct_time: a tuple with some more fields behind its items. */
extern bool _Px_IsStruct(PyTypeObject *type);
extern _Px_maker _Px_MakeStruct;
extern _Px_filler _Px_FillStruct;

/* ---- pxexcept.c ---------------------------------------------------------- */

extern PyObject *_Px_CopyException(_Px_crossing *to, PyObject *exception);

/* ---- pxend.c ------------------------------------------------------------- */

/* Main, before there are contexts. */
extern void _Px_FindImage(void);

/* A context: if there are owners, a block is freed. */
extern void _Px_ForgetOwner(struct _Px_cx *cx, void *block);

/* A context, its callback over: finalize what is left but for what leaves with
 * the outcome and the calls. An exception if the outcome cannot; else NULL. */
extern PyObject *_Px_EndOwners(struct _Px_cx *cx, PyObject *outcome,
                               PyObject *calls, bool failed);

/* ---- pxguard.c ----------------------------------------------------------- */

enum { PX_GUARD_OFF, PX_GUARD_AUTO, PX_GUARD_FULL, PX_GUARD_TRACE };
enum { PX_GUARD_SPANS = 200 };

typedef struct px_span {
    uintptr_t first, end;
} px_span;

/* NULL: there is no guard. Else in a mapping of its own. */
typedef struct px_guard {
    int mode;
    pid_t pid;
    bool up;
    int stepping;    /* the thread that has the step's lock, or 0 */
    size_t heap_ups; /* times that the heap was protected */
    size_t frozen;   /* callbacks ended */
    px_span heap, loader;
    unsigned count; /* what is protected now: */
    px_span spans[PX_GUARD_SPANS];
} px_guard;

extern px_guard *_Px_guard;

/* Who opens the world, before it opens and when all is calm again. */
extern void _Px_GuardUp(void);
extern void _Px_GuardDown(void);

/* Like _Px_Still(), for a thread that does not say so itself. */
extern void _Px_StillThreads(int more);

/* With the GIL: ordinary threads that may have the system write to main's heap. */
extern int _Px_ThreadsInCalls(void);

extern const char *_Px_GuardMode(void);
extern int _Px_GuardSetMode(const char *name); /* -1 with an exception */

/* ---- pxfault.c ----------------------------------------------------------- */

/* Have faults come here, whoever has taken them meanwhile. */
extern void _Px_FaultsCatch(void);

/* No thread is in the midst of a write that the guard carries out, and this one
 * takes no signals. */
extern void _Px_SpansLock(sigset_t *mask);
extern void _Px_SpansUnlock(const sigset_t *mask);

/* The worker, in a context: func(arg). False: the guard ended it, and there is
 * an exception instead. */
extern bool _Px_GuardCall(px_worker *worker, void (*func)(void *), void *arg);

/* ---- pxgate.c ------------------------------------------------------------ */

/* What is to be called in a context, and what became of it. */
typedef struct px_task {
    PyObject *func, *args, *kwds, *callback, *errback; /* main's */
    PyObject *notify;  /* main's: called as notify(error, result); NULL: none */
    PyObject *outcome; /* the context's: result or exception */
    PyObject *calls; /* the context's: a list of (func, args, kwds), or NULL */
    PyObject *kept;  /* main's: what main answered to it */
    PyObject *late;  /* main's: what its outcome lacks, for _Px_FillLate() */
    px_memory memory;
    int status; /* below 0: no context could be made for it */
    bool failed;
    bool interrupted;
    px_context *context; /* retained until harvest */
    struct px_task *next;
} px_task;

/* Of callbacks that are over. */
typedef struct px_totals {
    uint64_t callbacks, failed, counting;
    uint64_t bytes, collections;
    size_t largest; /* bytes of one */
} px_totals;

/* The world, which pxgate.c and pxworld.c share: see there. */
struct _Px_world {
    pthread_mutex_t mutex;
    pthread_cond_t gate;  /* workers: the world may be open */
    pthread_cond_t bell;  /* who opened or closes it: look again */
    pthread_cond_t start; /* the coordinator: there may be work */
    bool open, draining, ended;
    unsigned inside, stopped;
    unsigned blocked; /* of these, in a call that may block */
    unsigned asking;  /* and these want main to call something */
    uint64_t slice;   /* W6 */
    unsigned runners; /* threads in run_once(): the coordinator keeps away */
    size_t active;
    size_t over_count;
    px_task *over;
    px_totals total;
    size_t enough;     /* so many over ring the bell */
    unsigned harvests; /* under way; the GIL may change hands meanwhile */
    px_worker *workers;
    unsigned worker_count;
};

extern struct _Px_world _Px_world;

static inline void
_Px_WorldLock(void)
{
    pthread_mutex_lock(&_Px_world.mutex);
}

static inline void
_Px_WorldUnlock(void)
{
    pthread_mutex_unlock(&_Px_world.mutex);
}

/* With the mutex: who opens or closes the world is to look again. */
static inline void
_Px_WorldRing(void)
{
    pthread_cond_broadcast(&_Px_world.bell);
}

/* With the mutex: is there work for the coordinator; wake it if so. */
extern bool _Px_WorldHasWorkLocked(void);
extern void _Px_WorldWakeLocked(void);

/* A worker waits here until contexts may run. False: they never will. */
extern bool _Px_WorldEnter(px_worker *worker);
/* Entered or not, the worker has done with @task. */
extern void _Px_WorldLeave(px_worker *worker, px_task *task);

/* A context: wait while the world is closed. */
extern void _Px_WorldPause(void);

/* A context: wait until main has answered worker->ask. */
extern void _Px_WorldAsk(px_worker *worker);

/* With the GIL: a worker that waits so and is served by nobody else yet, or
 * NULL; it has its answer. */
extern px_worker *_Px_WorldNextAsking(void);
extern void _Px_WorldAnswered(px_worker *worker);

/* Any thread: how things are. */
typedef struct px_census {
    unsigned workers, running, stopped, blocked, asking;
    size_t active, over;
    uint64_t slices;
    px_totals total;
} px_census;

extern px_census _Px_WorldCensus(void);

/* Callbacks in flight; the slice in which the oldest of them began. */
extern unsigned _Px_WorldInFlight(void);
extern uint64_t _Px_WorldOldest(void);

/* ---- pxworld.c ----------------------------------------------------------- */

typedef enum px_run_how {
    PX_ONE,    /* until a callback is over */
    PX_GATHER, /* until all are, or some are and a switch interval has passed */
    PX_DRAIN   /* until those in flight are; none begins */
} px_run_how;

/* With the GIL: let contexts run that long; or until @deadline, or until this
 * thread is asked for something. Callbacks under way end first, or stop. */
extern void _Px_WorldRun(px_run_how how, PyTime_t deadline);

/* With the GIL, the world closed: drop what no callback in flight may use. Runs
 * finalizers. */
extern void _Px_WorldDropLimbo(void);

/* How long somebody waits for the GIL before callbacks stop in mid-flight. */
extern PyTime_t _Px_StopAfter;

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
extern void _Px_WorldEnd(void); /* no callback begins any more */
extern bool _Px_WorldEnded(void);
extern bool _Px_WorldForked(void);

/* How often a context has taken the GIL. */
extern size_t _Px_StrangeGilTakes(void);

/* ---- pxcrew.c ------------------------------------------------------------ */

/* With the GIL: start the threads if they are not there. The coordinator calls
 * @settle with the GIL when it has closed the world. -1 with an exception. */
extern int _Px_CrewStart(void (*settle)(void));
extern bool _Px_InSubInterpreter(void);

/* With the GIL: end them, which gives every task back. False: there are none. */
extern bool _Px_CrewStop(void);

/* One of @run and @failed is called, on a worker. */
extern int _Px_CrewSubmit(px_run_fn run, px_failed_fn failed, void *arg);
extern px_worker *_Px_CrewWorker(void); /* on a worker: which it is */

/* ---- pxerrors.c ---------------------------------------------------------- */

/* With the GIL. Takes the error over; an urgent one is raised before others. -1
 * with MemoryError. */
extern int _Px_KeepError(PyObject *error, bool urgent);

extern bool _Px_HasErrors(void);

/* Raise the first that is kept: -1; 0 when there is none. */
extern int _Px_RaiseError(void);

extern void _Px_ForgetErrors(void);

/* ---- pxcalls.c ----------------------------------------------------------- */

/* A context: have main call func(*args, **kwds) when this callback is over. */
extern int _Px_CallLater(PyObject *func, PyObject *args, PyObject *kwds);

/* A context: have main call it now, and wait for what it returns or raises. */
extern PyObject *_Px_CallNow(PyObject *func, PyObject *args, PyObject *kwds);

/* With the GIL, before the context goes: main's copy of the calls for later;
 * NULL when there is none. Make them, with the GIL: -1 with an exception. */
extern PyObject *_Px_TakeCalls(PyObject *calls);
extern int _Px_MakeCalls(PyObject *calls);

/* With the GIL, the world closed: answer callbacks that wait. */
extern void _Px_ServeCalls(void);
extern bool _Px_IsServing(void); /* this thread */

/* ---- pximport.c ---------------------------------------------------------- */

/* Main: for_c(name) returns the module, imported by main; library(name) what is
 * is in sys.modules after that, as a dict, or None. */
extern void _Px_SetImporters(PyObject *for_c, PyObject *library);

/* ---- pxwork.c ------------------------------------------------------------ */

extern int _Px_Submit(PyObject *func, PyObject *args, PyObject *kwds,
                      PyObject *callback, PyObject *errback, PyObject *notify,
                      px_memory memory);

/* Wait until a task is over (see _Px_WorldRun) or @timeout_ms have passed,
 * harvest what is over, raise the first error nobody has taken. -1 with an
 * exception; 1 when something was over since the last time; 0 when nothing is
 * left to do or time is over. */
extern int _Px_RunOnce(int64_t timeout_ms, bool gather);

extern size_t _Px_ActiveCount(void);
extern void _Px_Stop(void);

#endif
