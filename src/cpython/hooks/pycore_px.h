/*
 * What our own sources in CPython share: these, among themselves and with those of
 * the module (pycore_pxmodule.h).
 *
 *      pxhooks.c    memory, strings and dicts of a context: what hooks call
 *      pxlifetimes.c   from when on a context counts references
 *      pxnumbers.c     memory for numbers until then
 *      pxrefuse.c   what contexts are refused, and what they are told
 *      pxlimbo.c    what main drops and stopped callbacks may use
 *      pxplace.c    what a context has in the place of main's objects
 *      pxnames.c    globals of main's modules that a context has of its own
 *      pxtypes.c    classes that it makes of main's
 *      pxown.c      what else it has of its own where main has one for all
 *                   (these four: pycore_pxown.h)
 *      pxforeign.c  extension modules that were not built for us
 *      pxmethods.c  which methods in C are for main's objects
 *      pxspecialize.c   instructions of main's code for what contexts have
 *      pxthread.c   a worker's thread state: into a context and out of it
 *
 * Each uses only those above it, and what the end of this file names.
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
    struct _Px_owner *newest; /* see below */
    char *first;              /* where its heap began */
    char *notice_at;          /* when the heap has grown to here, ... */
    char *count_from;         /* ... here counting begins, ... */
    char *young_end;          /* what lies below here is not freed */
    char *limit;              /* ... and here its memory is over */
    bool reserve;             /* there is some more to deal with that */
    bool in_need;             /* and a MemoryError is being made of it */
    bool common;     /* between _Px_CommonBegin() and _Px_CommonEnd() */
    uintptr_t stack; /* its thread's: what is above that is not the context's */
    struct _gc_runtime_state gc; /* its own objects */
    struct _Py_object_freelists freelists;
    struct _Px_export *exports; /* main's buffers that it has looked into */
    char line[512];             /* printed, and not at its end yet, ... */
    size_t line_bytes;
    int line_fd;      /* ... to here */
    PyObject *utf8;   /* {string of main's: bytes}; NULL: none */
    uintptr_t shared; /* memory of main's that it was the last to write to */

    /* pxowners.c: what owns something outside of its memory, to the newest of these */
    struct _Py_hashtable_t *owners; /* by their blocks; NULL: none as yet */
    PyTypeObject *harmless;         /* a class whose objects do not */

    /* pxoutside.c: blocks of main's memory, by the objects that have them */
    struct _Px_outside *outside; /* the newest; NULL: none */
    struct _Px_outside *making; /* PyMem_RawMalloc() is for this one; or NULL */
    size_t outside_bytes;

    /* pxtypes.c */
    PyObject *subclasses;  /* of main's classes; NULL: none */
    uint64_t classes_seen; /* main's changes that these have been fixed for */
    bool fixes_classes;    /* is at it */

    /* pxnames.c, pxown.c: what it has of its own, or has of main's as yet */
    struct _Px_names *names;     /* attributes of main's modules */
    struct _Px_state *states;    /* of modules in C */
    struct _Px_instead *instead; /* copies of main's instances */
    PyObject *modules;           /* sys.modules; NULL: main's */
    PyObject *taken;             /* what of main's has been in there, by name */
    PyObject *finders;           /* sys.path_importer_cache; NULL: main's */
    PyObject *environ;           /* the data of os.environ; NULL: main's */
    bool poor;                   /* see _Px_NoteOwn() */
    bool keeps_mains;            /* see pxnames.c: have_own() */
    int imports_for_c;           /* under way */
    PyObject *imported;          /* a module that main has, and is new to it */
    PyObject *interned;          /* {string: itself}; NULL: none */
    bool placed; /* its thread shares directory and umask with nobody, ... */
    bool moved;  /* ... and they may not be main's */
    bool takes_signals;
    sigset_t blocked; /* if it does: else */
    int str_digits;   /* sys.get_int_max_str_digits() */
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

/* From where in its heap a context has no more memory; where that is, this much
 * and some in reserve ahead. */
extern void _Px_LimitMemory(struct _Px_cx *cx, char *limit);
extern char *_Px_LimitAhead(const struct _Px_cx *cx, size_t bytes);

/* After a change of cx->common, newest or young_end: how memory is taken and given
 * back. */
extern void _Px_ChooseWays(const struct _Px_cx *cx);

/* A context ends: write what it has printed. */
extern void _Px_FlushLine(struct _Px_cx *cx);

/* Blocks of others that contexts were about to free or resize: none. */
extern size_t _Px_Strays(void);

/* ---- pxrefuse.c ---------------------------------------------------------- */

/* In a context: whether an error is set that says what of the library does not work
 * there, since it is that which is about to change main's. */
extern bool _Px_RefuseUser(void);

/* In a context: it has something of its own in main's place, or has failed to, with
 * or without MemoryError. Then main's stands in: to be read as well, but as long as
 * that is so, what is refused is refused for lack of memory. */
extern void _Px_NoteOwn(bool had);

/* A context is about to make one of this class. */
extern int _Px_GuardExecutor(const PyTypeObject *type);

/* ---- pxlimbo.c ----------------------------------------------------------- */

/* A slice of main's begins with callbacks stopped in mid-flight. */
extern void _Px_LimboBeginSlice(uint64_t slice);

/* Drop what has come to limbo in slices up to this one. Runs finalizers. */
extern void _Px_LimboDrop(uint64_t until);

extern size_t _Px_LimboCount(void);
extern size_t _Px_LimboBytes(void); /* without what they refer to */
extern bool _Px_LimboFull(void);    /* callbacks in flight should end */

/* ---- pxforeign.c --------------------------------------------------------- */

/* The name of the module if this address is in a library that was not built for
 * this interpreter; else NULL. */
extern const char *_Px_ForeignName(const void *address);

/* A context is about to call it: always -1. */
extern int _Px_RaiseForeignCode(const void *address);

/* ---- pxmethods.c --------------------------------------------------------- */

/* Main: let contexts call this method of main's objects. -1 with TypeError. */
extern int _Px_AllowMethod(PyTypeObject *type, PyObject *name);

/* ---- pxspecialize.c ------------------------------------------------------ */

/* Not while a guard stops writes to main's code. Main, while the world is closed. */
extern bool _Px_Specializes;

/* Whoever has closed the world, before main goes on. */
extern void _Px_FulfilWishes(void);

/* dictobject.c: as if an instance of main's had got it. */
extern void _Px_AddKey(PyDictKeysObject *keys, PyObject *key);

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
    PyObject *kept; /* main's: a list of all answers to this callback */
    const struct px_task *task; /* that this callback is the work of */
    px_place place;             /* pxgate.c's, as is the rest */
    uint64_t began;             /* the slice that this callback began in */
    bool interrupted;           /* it was told to end */
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

/* Main: what this thread blocks is what main blocks. */
extern void _Px_NoteSignals(void);

/* Block that and nothing else; *@before is what this thread blocked. */
extern void _Px_TakeSignals(sigset_t *before);

/* The worker, in a context: the same, until leave. */
extern void _Px_TakeSignalsInContext(void);

/* ---- what hooks call of the module ---------------------------------------- */

/* A context: if there are owners, a block is freed. */
extern void _Px_ForgetOwner(struct _Px_cx *cx, void *block);

/* A context, with cx->making: a block of main's memory, or NULL; whether this was
 * one, and is freed. */
extern void *_Px_OutsideMalloc(size_t bytes);
extern bool _Px_OutsideFree(void *block);

/* Main: a class becomes ready; if it is one of bz2's or lzma's, contexts make its
 * objects in another way. */
extern void _Px_WrapCodec(PyTypeObject *type);

/* A context: wait while the world is closed. */
extern void _Px_WorldPause(void);

#include "pycore_pxown.h"

#endif
