/*
 * What the sources of the module share with each other.
 *
 *      pxowners.c   what owns something outside of a context's memory
 *      pxend.c      files and finalizers that a callback leaves behind
 *      pxguard.c    main's memory is read-only while contexts run
 *      pxfault.c    what becomes of a write to it
 *      pxgate.c     callbacks: into the world, out of it, to a halt
 *      pxworld.c    when contexts may run
 *      pxcrew.c     the threads: workers, keeper, coordinator
 *      pxerrors.c   errors that run_once() is to raise
 *      pxcalls.c    what callbacks have main call
 *      pximport.c   modules that main imports for callbacks
 *      pxharvest.c  main's copies of outcomes, and who is told of them
 *      pxwork.c     a piece of work: submission, call, and who has it run
 *      pxstats.c    what it tells of contexts
 *      pxmodule.c   the module _parallel
 *
 * Each uses only those above it, and those of pycore_pxcross.h.
 */
#ifndef Py_INTERNAL_PXMODULE_H
#define Py_INTERNAL_PXMODULE_H

#include "pycore_pxcross.h"

/* ---- pxowners.c ---------------------------------------------------------- */

struct _Px_owner {
    struct _Px_owner *newer, *older;
    PyObject *object;
};

/* Main, before there are contexts. */
extern void _Px_FindImage(void);

/* Whether it is the interpreter's code that frees what its instances have. */
extern bool _Px_IsInImage(const PyTypeObject *type);
/* Where the memory of an object begins. */
extern void *_Px_BlockOf(PyObject *object);
/* By addresses; NULL without memory. */
extern struct _Py_hashtable_t *_Px_NewTable(void);
/* A context: note the generators that are owners. */
extern void _Px_FindGenerators(struct _Px_cx *cx);

/* ---- pxend.c ------------------------------------------------------------- */

/* A context, its callback over: finalize what is left but for what leaves with
 * the outcome and the calls. An exception if the outcome cannot; else NULL. */
extern PyObject *_Px_EndOwners(struct _Px_cx *cx, PyObject *outcome,
                               PyObject *calls, bool failed,
                               px_luggage *luggage);

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
    bool heap_up, data_up; /* what is protected while it is up: */
    unsigned count;        /* of spans; see G6 */
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

/* ---- work and world ------------------------------------------------------ */

/* What is to be called in a context, and what became of it. */
typedef struct px_task {
    PyObject *func, *args, *kwds, *callback, *errback; /* main's */
    PyObject *notify;  /* main's: called as notify(error, result); NULL: none */
    PyObject *outcome; /* the context's: result or exception */
    PyObject *calls; /* the context's: a list of (func, args, kwds), or NULL */
    px_luggage luggage; /* the context's */
    PyObject *kept;     /* main's: what main answered to it */
    PyObject *left;     /* main's: files that have not left, or NULL */
    PyObject *unfinished, *unfinished_late; /* main's: nor these finalizers */
    PyObject *late; /* main's: what its outcome lacks, for _Px_FillLate() */
    px_memory memory;
    int status; /* below 0: no context could be made for it */
    bool failed;
    bool interrupted;
    bool handed_over;    /* only a function of main's to call */
    px_context *context; /* retained until harvest */
    struct px_task *next;
} px_task;

/* Of callbacks that are over. */
typedef struct px_totals {
    uint64_t callbacks, failed, counting;
    uint64_t bytes, collections;
    size_t largest; /* bytes of one */
} px_totals;

enum { PX_PAGE = 4096 };

/* The world, which pxgate.c, pxrunners.c and pxworld.c share: see there. */
struct _Px_world {
    /* Pages of its own, which the guard leaves alone: a context goes through
     * here with all signals blocked when it starts a process. */
    _Alignas(PX_PAGE) pthread_mutex_t mutex;
    pthread_cond_t gate;  /* workers: the world may be open */
    pthread_cond_t bell;  /* who opened or closes it: look again */
    pthread_cond_t start; /* the coordinator: there may be work */
    bool open, draining, ended;
    unsigned inside, stopped;
    unsigned blocked; /* of these, in a call that may block */
    unsigned asking;  /* and these want main to call something */
    uint64_t slice;   /* W6 */
    unsigned runners; /* R1: coordinators keep away */
    unsigned waiting; /* R2: runners that wait, and count as none meanwhile */
    unsigned idle;    /* coordinators that are no runners */
    bool urgent;      /* one of them must begin */
    PyTime_t alarm;   /* when one of them looks whether that is so */
    bool lonely;      /* atomic, see R4; urgent after this: */
    PyTime_t lonely_until;
    size_t due; /* outcomes taken, and not yet about to be delivered */
    size_t active;
    size_t over_count;
    px_task *over;
    px_totals total;
    size_t enough;       /* so many over ring the bell */
    unsigned harvests;   /* under way; the GIL may change hands meanwhile */
    unsigned delivering; /* R3: those that do not wait */
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

/* ---- pxrunners.c --------------------------------------------------------- */

/* With the mutex: wake a coordinator if there is work for one; or, with the GIL, see
 * to it that one wakes when the GIL goes. */
extern void _Px_WorldWakeLocked(void);
extern void _Px_WorldNoteLocked(void);

/* What time it is; a GIL switch interval, within reason. */
enum { PX_SLICE_MS_MAX = 20 /* the longest that a signal waits */ };
extern PyTime_t _Px_NowNs(void);
extern PyTime_t _Px_SliceNs(void);

/* With the mutex: false when it was not signalled until then. */
extern bool _Px_WorldAwait(pthread_cond_t *what, PyTime_t until);

/* This thread has the GIL again. With the mutex: the end has come. */
extern void _Px_WorldBack(void);
extern void _Px_WorldForgetLeaving(void);

/* With the GIL: this thread is about to run callbacks, or has done so. */
extern void _Px_WorldCountRunner(int more);

/* A coordinator, without the GIL: wait for work, and be the runner. False: the
 * end has come. With the GIL: is there still any, and nobody else who does it? */
extern bool _Px_WorldAwaitWork(void);
extern bool _Px_WorldHasWork(void);

/* With the GIL: is there work, and nobody who runs it? */
extern bool _Px_WorldIsLonely(void);

/* With the GIL: count this thread's harvests. */
extern void _Px_WorldCountHarvest(int more);

/* With the GIL: unless another thread delivers outcomes, and does not wait, this one
 * may. If one does, the GIL goes for a while, until it has done so. */
extern bool _Px_WorldMayDeliver(void);

/* Wait a while, without the GIL, for others that deliver, though they may wait for
 * something. False: there were none. */
extern bool _Px_WorldAwaitHarvest(void);

/* With the GIL: there is one coordinator more; is any idle? */
extern void _Px_WorldCountIdle(int more);
extern bool _Px_WorldHasIdle(void);

/* With the GIL: so many outcomes more are to be delivered. */
extern void _Px_WorldCountDue(int more);

/* ---- pxgate.c ------------------------------------------------------------ */

/* A worker waits here until contexts may run. False: they never will. */
extern bool _Px_WorldEnter(px_worker *worker);
/* Entered or not, the worker has done with @task. */
extern void _Px_WorldLeave(px_worker *worker, px_task *task);

/* A context: wait until main has answered worker->ask. */
extern void _Px_WorldAsk(px_worker *worker);

/* With the GIL: a worker that waits so and is served by nobody else yet, or
 * NULL; it has its answer. */
extern px_worker *_Px_WorldNextAsking(void);
extern void _Px_WorldAnswered(px_worker *worker);

/* Any thread: how things are. */
typedef struct px_census {
    unsigned workers, running, stopped, blocked, asking;
    unsigned served, waiting;
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
 * thread is asked for something; not at all while outcomes are due. Callbacks under
 * way end first, or stop. */
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

extern size_t _Px_WorldActive(void);

extern void _Px_WorldBegin(px_worker *workers, unsigned count);
extern void _Px_WorldEnd(void); /* no callback begins any more */
extern bool _Px_WorldEnded(void);
extern bool _Px_WorldForked(void);

/* How often a context has taken the GIL. */
extern size_t _Px_StrangeGilTakes(void);

/* ---- pxcrew.c ------------------------------------------------------------ */

/* With the GIL: start the threads if they are not there. A coordinator calls
 * @settle with the GIL when it has closed the world. -1 with an exception. */
extern int _Px_CrewStart(void (*settle)(void));

/* With the GIL: code of main's is about to run that may wait for callbacks, so see
 * to it that another coordinator is there. */
extern void _Px_CrewSpare(void);

/* With the GIL: end them, which gives every task back. False: there are none. */
extern bool _Px_CrewStop(void);

/* One of @run and @failed is called, on a worker. */
extern int _Px_CrewSubmit(px_run_fn run, px_failed_fn failed, void *arg);
extern px_worker *_Px_CrewWorker(void); /* on a worker: which it is */

/* ---- pxerrors.c ---------------------------------------------------------- */

/* With the GIL. Takes the error over; an urgent one is raised before others. It
 * needs no memory to do so. */
extern void _Px_KeepError(PyObject *error, bool urgent);

extern bool _Px_HasErrors(void);

/* Raise the first that is kept: -1; 0 when there is none. */
extern int _Px_RaiseError(void);

/* The end: write those that are left to stderr. */
extern void _Px_TellErrors(void);

/* ---- pxcalls.c ----------------------------------------------------------- */

/* A context: have main call func(*args, **kwds) when this callback is over. */
extern int _Px_CallLater(PyObject *func, PyObject *args, PyObject *kwds);

/* A context: have main call it now, and wait for what it returns or raises. */
extern PyObject *_Px_CallNow(PyObject *func, PyObject *args, PyObject *kwds);

/* With the GIL, before the context goes: main's copy of the calls for later;
 * NULL when there is none. Make them, with the GIL: what fails is kept. */
extern PyObject *_Px_TakeCalls(PyObject *calls);
extern void _Px_MakeCalls(const px_task *task);

/* With the GIL, the world closed: answer callbacks that wait. */
extern void _Px_ServeCalls(void);
extern bool _Px_IsServing(void); /* this thread */

/* The first argument of the callback that this thread serves: borrowed, or NULL. */
extern PyObject *_Px_Served(void);

/* This thread serves, and so do others, for every worker there is: they all wait,
 * and no callback can go on or begin. */
extern bool _Px_IsStuck(void);

/* ---- pximport.c ---------------------------------------------------------- */

/* Main: for_c(name) returns the module, imported by main; library(name) what is
 * in sys.modules after that, as a dict, or None. */
extern void _Px_SetImporters(PyObject *for_c, PyObject *library);

/* ---- pxharvest.c --------------------------------------------------------- */

extern void _Px_FreeTask(px_task *task);

/* With the GIL, the world closed: take all outcomes, and only then run code of
 * main's: for outcomes, calls, and limbo. */
extern void _Px_Settle(void);

/* The same for a thread that waits and may hold locks, which code of main's may
 * want: outcomes that need such code, and calls, are left to a coordinator. -1 with
 * an exception: a Ctrl-C that struck meanwhile. */
extern int _Px_SettleQuietly(void);

/* With the GIL: have a coordinator call @func(None, None). False: this thread is not
 * in _Px_SettleQuietly(), or there is no memory: call it here. */
extern bool _Px_HandOver(PyObject *func);

/* With the GIL: take the first off a list, if there is one, and call it with @arg.
 * Meanwhile signals are handled, also when an outcome is delivered. */
extern PyObject *_Px_CallFirst(PyObject *list, PyObject *arg);

/* Are outcomes left that nobody has begun to deliver? */
extern bool _Px_HarvestHasRest(void);

/* Is there something to tell run_once() of? Then: -1 with the first error, or
 * whether something was over since. */
extern bool _Px_HarvestHasNews(void);
extern int _Px_HarvestTell(void);

/* ---- pxwork.c ------------------------------------------------------------ */

extern int _Px_Submit(PyObject *func, PyObject *args, PyObject *kwds,
                      PyObject *callback, PyObject *errback, PyObject *notify,
                      px_memory memory);

/* Wait until a task is over (see _Px_WorldRun) or @timeout_ms have passed,
 * harvest what is over, raise the first error nobody has taken. -1 with an
 * exception; 1 when something was over since the last time; 0 when nothing is
 * left to do or time is over. */
extern int _Px_RunOnce(int64_t timeout_ms, bool gather);

/* With the GIL: like a coordinator, let contexts run until some outcomes are there
 * and delivered, or until @deadline. 1: did so; 0: there is nothing to do, another
 * thread does it, or is to do the rest; -1 with an exception. */
extern int _Px_RunMeanwhile(PyTime_t deadline);

extern size_t _Px_ActiveCount(void);
extern void _Px_Stop(void);

/* ---- pxstats.c ----------------------------------------------------------- */

/* These of the module's functions. */
extern PyMethodDef _Px_stats[];

#endif
