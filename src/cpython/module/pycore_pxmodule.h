/*
 * What the sources of the module share with each other.
 *
 *      pxclass.c    copies of instances and functions
 *      pxtype.c     copies of classes and modules
 *      pxframe.c    copies of code and generators
 *      pxcopy.c     copies of values and containers
 *      pxlibrary.c  copies of what the library's C code makes
 *      pxlayout.c   copies of objects in C, word by word
 *      pxiter.c     copies of iterators that take more
 *      pxctypes.c   copies of the data of ctypes
 *      pxweak.c     copies of weak references
 *      pxresource.c copies of files and sockets
 *      pxstate.c    copies of what holds a state of C code's
 *      pxexcept.c   copies of exceptions
 *      pxcross.c    objects that leave a context
 *      pxfinalize.c what weakref.finalize() was told
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
 * Each uses only those above it, and those of pycore_px.h; but those that copy
 * use each other.
 */
#ifndef Py_INTERNAL_PXMODULE_H
#define Py_INTERNAL_PXMODULE_H

#include "pycore_px.h"

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
    size_t instances; /* the first so many are main's instances, no copies */
    bool has_classes;
    bool has_references; /* weak ones */
} _Px_crossing;

/* What a crossing had made at some time: see _Px_ForgetSince(). */
typedef struct _Px_crossing_mark {
    size_t count;
    Py_ssize_t late;
} _Px_crossing_mark;

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

/* NULL, with the error that @object, or what refers to it, must stay. */
extern PyObject *_Px_Refuse(PyObject *object);

/* What there is to know of a context that is over, of which copies are made. */
typedef struct px_luggage {
    struct _Px_instead
        *instead; /* its copies of main's instances: these leave */
    struct _Px_resource *resources; /* its files that leave, or NULL */
    PyObject *finalizers; /* {its finalizer: info} of what leaves, or NULL */
    char *states;         /* raw memory, of each of these; NULL: none copied */
} px_luggage;

/* NULL: the context goes on. */
extern px_luggage *_Px_luggage;

extern PyObject *_Px_CopyPart(_Px_crossing *to, PyObject *object);
extern PyObject *_Px_Remember(_Px_crossing *to, PyObject *object,
                              PyObject *copy);
extern PyObject *_Px_Known(const _Px_crossing *to, PyObject *object);
extern _Px_crossing_mark _Px_MarkCrossing(const _Px_crossing *to);
extern void _Px_ForgetSince(_Px_crossing *to, _Px_crossing_mark mark);
extern int _Px_PutLate(_Px_crossing *to, PyObject *container, PyObject *items);

/* ---- pxcopy.c ------------------------------------------------------------ */

/* How to copy instances of @type; NULL: that cannot be done. */
extern const _Px_kind *_Px_KindOf(PyTypeObject *type);

/* What the kind makes for @type of @arguments, which it takes over; of none. */
extern PyObject *_Px_Construct(PyTypeObject *type, PyObject *arguments);
extern PyObject *_Px_ConstructEmpty(PyTypeObject *type);

/* Takes over (type, arguments of its constructor, ...), made by C code. */
extern PyObject *_Px_FollowRecipe(_Px_crossing *to, PyTypeObject *type,
                                  PyObject *recipe);

/* What @object has by this name in its class in C. */
extern PyObject *_Px_AttributeInC(PyObject *object, const char *name);

/* Copies of the items of a tuple, which it takes over. */
extern PyObject *_Px_CopyItems(_Px_crossing *to, PyObject *items);

/* Copies of @items; -1 if one fails, where the rest stays as it is: NULL. */
extern int _Px_FillItems(_Px_crossing *to, PyObject **to_items,
                         PyObject **items, Py_ssize_t count);

/* dict[key] = value, whatever kind of dict, without methods of its class. */
extern int _Px_SetItem(PyObject *dict, PyObject *key, PyObject *value);

extern _Px_maker _Px_MakeByArguments;
extern _Px_filler _Px_FillDict;

/* Copies of members of a set from a place in its table on; have them added to a
 * set, now or late: takes @members over. */
extern PyObject *_Px_CopyMembers(_Px_crossing *to, PyObject *set,
                                 Py_ssize_t at);
extern int _Px_AddMembers(_Px_crossing *to, PyObject *set, PyObject *members);

/* ---- pxlibrary.c --------------------------------------------------------- */

/* What the C method of this name returns, with an argument if it is not NULL. */
extern PyObject *_Px_CallInC(PyObject *object, const char *name,
                             PyObject *argument);

extern _Px_maker _Px_MakeTime, _Px_MakeTimezone, _Px_MakeArray;
extern _Px_maker _Px_MakeDeque, _Px_MakePacker, _Px_MakeRandom;
extern _Px_maker _Px_MakeBytesIO, _Px_MakeStringIO;
extern _Px_maker _Px_MakeLock, _Px_MakeRLock, _Px_MakeCached, _Px_MakeAlias;
extern _Px_filler _Px_FillDeque, _Px_FillDefaultDict, _Px_FillElement;
extern _Px_maker _Px_MakeThread, _Px_MakeMultibyte;
extern _Px_filler _Px_FillQueue, _Px_FillElementIterator;

/* NULL: a lock that is held stays. */
extern PyObject *_Px_RefuseHeld(PyObject *lock);

/* ---- pxlayout.c ---------------------------------------------------------- */

/* Whether it is known of the instances of @base, a class in C, what each of their
 * words is. */
extern bool _Px_HasLayout(PyTypeObject *base);

extern _Px_maker _Px_MakeWords;
extern _Px_filler _Px_FillWords;

/* ---- pxctypes.c ---------------------------------------------------------- */

extern _Px_maker _Px_MakeData, _Px_MakeArrayClass;

/* ---- pxresource.c -------------------------------------------------------- */

/* A worker: those of these objects that have to do with descriptors, in memory of
 * the context's; NULL: there is none. */
extern struct _Px_resource *_Px_ListResources(PyObject *const *objects,
                                              size_t count);

/* Of _Px_luggage: main's copies of those that no copy has been made of, in a
 * list, or closed; NULL: none. */
extern PyObject *_Px_TakeLeft(void);

/* Main gets to see no @copy: @object has its descriptor again. */
extern void _Px_GiveBack(PyObject *copy, PyObject *object);

extern _Px_maker _Px_MakeHandle, _Px_MakeBuffered;
extern _Px_filler _Px_FillHandle, _Px_FillBuffered, _Px_FillText;

/* ---- pxclass.c ----------------------------------------------------------- */

/* The nearest base whose instances are made by C code; @type itself maybe. */
extern PyTypeObject *_Px_BaseInC(PyTypeObject *type);

/* Whether a class statement has made it, or the like. */
extern bool _Px_IsMadeByPython(const PyTypeObject *type);

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
extern _Px_maker _Px_MakeBuiltin, _Px_MakeWrapper;
extern _Px_filler _Px_FillCell;

/* What such a method as [].__len__ is of; not counted. */
extern PyObject *_Px_SelfOfWrapper(PyObject *object);

/* Such as time.struct_time: a tuple with some more fields behind its items. */
extern bool _Px_IsStruct(PyTypeObject *type);
extern _Px_maker _Px_MakeStruct;
extern _Px_filler _Px_FillStruct;

/* ---- pxtype.c ------------------------------------------------------------ */

extern _Px_maker _Px_MakeClass, _Px_MakeDescriptor, _Px_MakeModule, _Px_MakeABC;
extern _Px_filler _Px_FillClass, _Px_FillABC;

/* All copies are made: main's bases of this one and its own subclasses are to
 * know it. */
extern int _Px_AddClass(const _Px_crossing *to, PyTypeObject *copy,
                        PyTypeObject *object);

/* ---- pxframe.c ----------------------------------------------------------- */

extern _Px_maker _Px_MakeCode, _Px_MakeGenerator;
extern _Px_filler _Px_FillGenerator;

/* ---- pxiter.c ------------------------------------------------------------ */

extern _Px_maker _Px_MakeSetIterator, _Px_MakeView;
extern _Px_filler _Px_FillSetIterator, _Px_FillDictIterator, _Px_FillGroup;
extern _Px_filler _Px_FillTee, _Px_FillOrderedIterator;
extern _Px_maker _Px_MakeDequeIterator, _Px_MakeUnpacker, _Px_MakeScanner;
extern _Px_filler _Px_FillProduct, _Px_FillCombinations, _Px_FillPermutations;

/* ---- pxweak.c ------------------------------------------------------------ */

extern _Px_maker _Px_MakeReference;
extern _Px_filler _Px_FillReference;

/* All copies are made, of @root and what it refers to: weak references refer to
 * them, or are dead. */
extern int _Px_ResolveReferences(_Px_crossing *to, PyObject *root);

/* They are not needed, and nobody is to hear of it. */
extern void _Px_DisarmReferences(_Px_crossing *to);

/* For _Px_FillLate(), when all containers are filled: runs Python code. */
extern void _Px_EndReference(PyObject *reference, PyObject *other);

/* ---- pxstate.c ----------------------------------------------------------- */

/* Whether instances of @base, a class in C, make copies of themselves. */
extern bool _Px_HasTwins(PyTypeObject *base);

/* Main, when a context is about to go: free what a twin's original has outside of
 * its memory, if it is a digest. */
extern void _Px_ReleaseTwin(PyObject *object);

extern _Px_maker _Px_MakeTwin, _Px_MakeVariable, _Px_MakeContext;
extern _Px_maker _Px_MakeLocal, _Px_MakeZone;
extern _Px_filler _Px_FillStream, _Px_FillVariable, _Px_FillContext;

/* ---- pxexcept.c ---------------------------------------------------------- */

extern PyObject *_Px_CopyException(_Px_crossing *to, PyObject *exception);
extern _Px_maker _Px_MakeTraceback;

/* ---- pxend.c ------------------------------------------------------------- */

/* Main, before there are contexts. */
extern void _Px_FindImage(void);

/* A context, its callback over: finalize what is left but for what leaves with
 * the outcome and the calls. An exception if the outcome cannot; else NULL. */
extern PyObject *_Px_EndOwners(struct _Px_cx *cx, PyObject *outcome,
                               PyObject *calls, bool failed,
                               px_luggage *luggage);

/* ---- pxfinalize.c -------------------------------------------------------- */

typedef bool _Px_leaver(const void *walk, PyObject *object);

/* A worker, at the end: the context's {finalizer: info}, or NULL. */
extern PyObject *_Px_FindFinalizers(void);

/* Call those whose object does not leave. */
extern void _Px_CallFinalizers(PyObject *table, _Px_leaver *leaves,
                               const void *walk);

/* Of _Px_luggage: those of what has been copied; whether they have left with it. */
extern int _Px_CopyFinalizers(_Px_crossing *to);
extern void _Px_NoteFinalizers(bool left);

/* For _Px_FillLate(): main has it. */
extern int _Px_AdoptFinalizer(PyObject *finalizer, PyObject *info);

/* Of _Px_luggage: a copy of the table, if some have not left; or NULL. When Python
 * code may run, call these. Takes both over. */
extern PyObject *_Px_TakeFinalizers(PyObject **late);
extern void _Px_EndFinalizers(PyObject *table, PyObject *late,
                              const char *states);

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
    bool alarmed;     /* one of them looks now and then whether that is so */
    bool lonely;      /* atomic, see R4; and before an alarm goes off: */
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
extern void _Px_MakeCalls(PyObject *calls);

/* With the GIL, the world closed: answer callbacks that wait. */
extern void _Px_ServeCalls(void);
extern bool _Px_IsServing(void); /* this thread */

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
