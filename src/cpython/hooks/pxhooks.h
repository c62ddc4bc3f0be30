/*
 * The hooks that the patches put into CPython: what a thread may write, and
 * what CPython's macros do with the rest.
 *
 * A thread is on the *main side*, where everything is as in stock CPython, or
 * in a *context*, whose memory is one window of addresses. All windows lie below
 * whatever is main's (pxcrew.c sees to that), and nobody ever sees an object of
 * another context's:
 *
 *      windows of contexts                                  own_end of main
 *      |########|########|########|          main's                |
 *      ---------------------------|--------------------------------|-> addresses
 *               own_end of a context's thread
 *
 *                       main side     in a context, young   in a context, counted
 *      own_end          all           the window's end      the window's end
 *      drop_end         all           0                     the window's end
 *      exact_end        all, or 0     the window's end      the window's end
 *
 * so that one compare answers the questions that reference counting asks: "do I
 * count this object?" (own_end), "does a dropped reference count down?"
 * (drop_end), "does the count tell of everybody who uses it?" (exact_end). On the
 * main side all are true, but for the last one while callbacks are stopped in
 * mid-flight (see pxlimbo.c).
 *
 *   H1  A context writes to an object only if _Px_OWN(object).
 *   H2  A count that a context sees is 1 only for an object of its own that
 *       nobody else can reach: Py_REFCNT() of any other reads _Px_SHARED.
 *   H3  A young context counts up, and down only where it pays and never to 0: its
 *       counts are upper bounds, so nothing is taken for unique that is not, and
 *       nothing is freed early.
 *   H4  While callbacks are stopped, main frees nothing that they may use.
 *
 * The immortal bit is tested before the hook, since that is measured to cost
 * the main side nothing: most counted operations there end at that test.
 *
 * Built without Py_PARALLEL every macro here is a constant, and the compiler
 * makes of the hooked code what it makes of the stock code.
 */
#ifndef Py_PXHOOKS_H
#define Py_PXHOOKS_H

#ifdef Py_PARALLEL

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct px_heap;
struct _Px_cx; /* a context, see pycore_px.h */
struct _gc_runtime_state;
struct _dictkeysobject;
struct _Py_object_freelists;

struct _Px_here {
    uintptr_t own_end;
    uintptr_t drop_end;
    uintptr_t exact_end;
    struct _Px_cx *cx; /* NULL on the main side */
    /* the context's, or its interpreter's */
    struct _gc_runtime_state *gc;
    struct _Py_object_freelists *freelists;
    /* the context's, for who allocates (NULL: there is more to do), and for who
     * frees what lies from `free_from` on, so many bytes (else there is more to do) */
    struct px_heap *from_heap, *to_heap;
    uintptr_t free_from;
    size_t free_bytes;
    char *room_end; /* for numbers: pxnumbers.c */
    size_t room;    /* so many bytes of it are left */
    int until_look; /* see pxspecialize.c */
};

/* Code that ends up in the executable itself reaches its own TLS directly;
 * extension modules and a shared libpython load the offset first. */
#if defined(Py_BUILD_CORE) && (!defined(__PIC__) || defined(__PIE__))
#define _Px_TLS_MODEL "local-exec"
#else
#define _Px_TLS_MODEL "initial-exec"
#endif
extern __thread struct _Px_here _Px_here
    __attribute__((tls_model(_Px_TLS_MODEL), visibility("default")));

/* Static data that contexts may write, ours and that of locks: the guard lets them. */
#define _Px_STATE __attribute__((section("px_data")))

/* What the count of an object reads as that a context must not change. */
#define _Px_SHARED ((Py_ssize_t)1 << 30)

#define _Px_IN() (__builtin_expect(_Px_here.cx != NULL, 0))
#define _Px_OWN(p) (__builtin_expect((uintptr_t)(p) < _Px_here.own_end, 1))
#define _Px_FOREIGN(p) (!_Px_OWN(p))

/* Whether a dropped reference to this object is to be counted down. */
#define _Px_DROPS(p) (__builtin_expect((uintptr_t)(p) < _Px_here.drop_end, 1))

/* Before a reference is dropped, where others will ask whether theirs is the last: a
 * young context counts it down, too (H3). */
#define _Px_GIVE_UP(p)                                                         \
    _Px_IF(!_Px_DROPS(p) && _Px_OWN(p) && (int32_t)_Px_RAW_COUNT(p) > 1,       \
           _Px_RAW_COUNT(p)--)

/* Whether its count tells of everybody who uses this object. */
#define _Px_EXACT(p) (__builtin_expect((uintptr_t)(p) < _Px_here.exact_end, 1))
#define _Px_RAW_COUNT(p) (_PyObject_CAST(p)->ob_refcnt)

/* The main side, while callbacks are stopped in mid-flight: an object is born;
 * its count is 0, but must it stay? Does a callback use its buffer? */
#define _Px_SOME_STOPPED() (__builtin_expect(_Px_here.exact_end == 0, 0))
#define _Px_BORN(op) (_Px_SOME_STOPPED() ? _Px_Born(op) : (void)0)
#define _Px_KEEPS(op) (_Px_SOME_STOPPED() && _Px_Keep(op))
#define _Px_EXPORTED(op) (_Px_SOME_STOPPED() && _Px_IsExported(op))

/* Here begins what Python code may see the end of, if this is true: a context
 * that frees nothing counts from now on. */
#define _Px_LIFETIME(matters)                                                  \
    (_Px_IN() && (matters) ? _Px_CountLifetimes() : (void)0)

/* The main side has changed a class of its own: its slots, bases or flags. With what
 * a context does the same to classes of its own: see pxtypes.c. */
#define _Px_CLASS_CHANGED(fix_slots, fix_order)                                \
    (_Px_SOME_STOPPED() ? _Px_ClassChanged(fix_slots, fix_order) : (void)0)

/* Always true: an object is found by what does not count as a reference. */
#define _Px_FOUND(op) (_Px_EXACT(op) || _Px_Found(op))

/* Whether a str knows its hash. One of main's that does not is no key of a table
 * that relies on it. */
#define _Px_HASHED(string) (((PyASCIIObject *)(string))->hash != -1)

/* Whether to specialise a general instruction now, and whether what is specialised
 * by may get a version number: see pxspecialize.c. */
#define _Px_TRIGGERS(main_triggers)                                            \
    (_Px_IN() ? --_Px_here.until_look == 0 : (main_triggers))
#define _Px_MAY_GIVE_VERSION(p) (!_Px_IN() || _Px_MayGiveVersion(p))
/* A context would change what the interpreter remembers of main's classes: add a
 * key to those that its instances share, or (NULL) take away the room for one;
 * where a name of it is found. */
#define _Px_WANT(wish, where, name)                                            \
    (--_Px_here.until_look == 0 ? wish(where, name) : (void)0)

/* The collector's state and the free lists that this thread uses. For neither side
 * is this a branch: _Px_BELONG() is where a thread gets another state. */
#define _Px_GC(main_gc) ((void)(main_gc), _Px_here.gc)
#define _Px_FREELISTS(main_lists) ((void)(main_lists), _Px_here.freelists)
#define _Px_BELONG(interp)                                                     \
    _Px_UNLESS_IN(_Px_here.gc = &(interp)->gc;                                 \
                  _Px_here.freelists = &(interp)->object_state.freelists)

/* 0 when the object may be changed here; else -1 with UnprotectedError. */
#define _Px_GUARD(p) (_Px_OWN(p) ? 0 : _Px_RaiseForeign(p))

/* What is done on a condition of ours. Not an if, so that nothing of it is left
 * where the hooks are off, not even a number of a label. */
#define _Px_IF(condition, statements)                                          \
    do {                                                                       \
        if (condition) {                                                       \
            statements;                                                        \
        }                                                                      \
    } while (0)

/* What to do when a guard has raised: "return -1" or the like. */
#define _Px_TRY(guard, way_out) _Px_IF((guard) < 0, way_out)

/* What only the main side does. */
#define _Px_UNLESS_IN(statement) _Px_IF(!_Px_IN(), statement)

/* The same for a dict, which may be the context's and still show what is main's. */
#define _Px_DICT_VIEW ((uint64_t)1 << 63)
#define _Px_READS_DICT(d)                                                      \
    (_Px_IN() && (_Px_FOREIGN(d) ||                                            \
                  ((PyDictObject *)(d))->ma_version_tag & _Px_DICT_VIEW))
#define _Px_GUARD_DICT(d)                                                      \
    (_Px_READS_DICT(d) ? _Px_RaiseForeignDict((PyObject *)(d)) : 0)

/* A new reference to the dict of an object, which has it or had it made. */
#define _Px_DICT_OF_OBJECT(op, dict)                                           \
    (_Px_OWN(op) ? Py_XNewRef(dict) : _Px_DictOf(op, dict))

/* The same for an attribute that C code sets. */
#define _Px_GUARD_SETTER(p, name) (_Px_OWN(p) ? 0 : _Px_GuardSetter(p, name))

/* The same for an iterator that is about to go on. One whose __next__ is Python
 * code is guarded where that code changes something. */
#define _Px_GUARD_NEXT(p) (_Px_OWN(p) ? 0 : _Px_GuardNext(p))

/* Whose memory is seen through @object, a memoryview of a memoryview perhaps. */
#define _Px_BUFFER_ROOT(object) (_Px_IN() ? _Px_BufferRoot(object) : (object))

/* 0 on the main side; in a context -1 with an exception that names what. */
#define _Px_MAIN_ONLY(what) (_Px_IN() ? _Px_RaiseForbidden(what) : 0)

/* Methods and slots of classes in C that may change an object: see pxmethods.c.
 * A method with a mark in its flags is for the context's own objects alone; a
 * function, or what a foreign module has, is not for contexts at all. To mark:
 * *@def is replaced if need be; @module is the name of a function's, or NULL. All
 * are 0 to go on, or -1 with an exception. */
#define _Px_METH_CLOSED 0x10000
#define _Px_METH_FOREIGN 0x20000
#define _Px_METH_MARKS (_Px_METH_CLOSED | _Px_METH_FOREIGN)
#define _Px_MARK_METHOD(type, def) _Px_MarkMethod(type, def)
#define _Px_MARK_FUNCTION(def, module)                                         \
    ((module) || __builtin_expect(_Px_foreign_count, 0)                        \
         ? _Px_MarkFunction(def, module)                                       \
         : 0)
#define _Px_GUARD_METHOD(def, self)                                            \
    (__builtin_expect((def)->ml_flags & _Px_METH_MARKS, 0) && _Px_IN()         \
         ? _Px_GuardMethod(def, self)                                          \
         : 0)
#define _Px_GUARD_SLOT(slot, name, self)                                       \
    (_Px_OWN(self) ? 0 : _Px_GuardSlot(slot, name, self))
#define _Px_GUARD_ITEM(p, name) (_Px_OWN(p) ? 0 : _Px_GuardItem(p, name))

/* Extension modules that were not built for this interpreter: see pxforeign.c.
 * Whether the library may be loaded; whether the class may be called here. */
#define _Px_CHECK_EXTENSION(handle, init, name, path)                          \
    _Px_CheckExtension(handle, (void *)(init), name, path)
#define _Px_GUARD_NEW(type) (_Px_IN() ? _Px_GuardNew(type) : 0)

/* What a context has of its own in the place of what main has: see pxown.c and
 * pxnames.c. The dict that has the value of a name in the module whose dict is
 * given. The state of a module in C: containers from the field @first to @last
 * are the context's, and what comes after @kept bytes begins as 0. The state that a
 * context sees is its own if it has one by now, else main's. */
#define _Px_WARNINGS(main_state) (_Px_IN() ? _Px_OwnWarnings() : (main_state))
#define _Px_CODECS(main_state, change)                                         \
    (_Px_IN() ? _Px_OwnCodecs(change) : (main_state))
#define _Px_STR_DIGITS(main_limit)                                             \
    (_Px_IN() ? _Px_OwnStrDigits() : (main_limit))
#define _Px_MODULES(main_modules)                                              \
    (_Px_IN() ? _Px_OwnModules(main_modules) : (main_modules))
#define _Px_NAMES(dict, name) (_Px_IN() ? _Px_OwnNames(dict, name) : NULL)
#define _Px_DICT_OF(dict, name)                                                \
    (_Px_NAMES(dict, name) ? _Px_OwnNames(dict, name) : (dict))
#define _Px_DICT_OF_STRING(dict, name)                                         \
    (_Px_IN() && _Px_OwnNamesOfString(dict, name)                              \
         ? _Px_OwnNamesOfString(dict, name)                                    \
         : (dict))
#define _Px_SET_GLOBAL(dict, name, value)                                      \
    (_Px_OWN(dict) ? PyDict_SetItem(dict, name, value)                         \
                   : _Px_SetForeignGlobal(dict, name, value))
#define _Px_MODULE_STATE(type, state, first, last, kept)                       \
    (_Px_OWN(state)                                                            \
         ? (state)                                                             \
         : (type *)_Px_OwnState(state, sizeof(type), offsetof(type, first),    \
                                offsetof(type, last), kept))
#define _Px_SEEN_STATE(state) (_Px_OWN(state) ? (state) : _Px_SeenState(state))
#define _Px_INTERNED(string) (_Px_IN() ? _Px_OwnInterned(string) : (string))
#define _Px_MAY_SET_UMASK() (_Px_IN() ? _Px_HaveOwnPlace("os.umask") : 0)
#define _Px_NEW_MEMORY_ERROR() (_Px_IN() ? _Px_NewMemoryError() : NULL)
#define _Px_IMP_METHODS {"begin_own", _Px_BeginOwn, METH_VARARGS, NULL},
#define _Px_IMPORT_FOR_C(more) (_Px_IN() ? _Px_ImportForC(more) : (void)0)
#define _Px_IMPORTS_FOR_C() (_Px_IN() && _Px_ImportsForC())

/* Memory for an int or a float. */
extern void *_Px_Malloc(size_t bytes);
extern void *_Px_RawMalloc(size_t bytes);
extern void *_Px_NewNumber(size_t bytes);
static inline void *
_Px_TakeNumber(size_t bytes)
{
    size_t whole = (bytes + 7) / 8 * 8, room = _Px_here.room;
    if (room < whole) {
        return _Px_here.drop_end ? _Px_Malloc(bytes) : _Px_NewNumber(bytes);
    }
    _Px_here.room = room - whole;
    return _Px_here.room_end - room;
}
#define _Px_MALLOC_NUMBER(bytes)                                               \
    (_Px_IN() ? _Px_TakeNumber(bytes) : PyObject_Malloc(bytes))

/* A context frees a block: whether this is one that does. */
#define _Px_FREED(block) (_Px_IN() ? _Px_Free(block), 1 : 0)

/* A context makes an object that may own something outside of its memory. */
#define _Px_MADE(op) (_Px_IN() ? _Px_Made(op) : (void)0)

/* A context is about to write to the first few bytes here, and may if they are
 * main's: a lock, a note of what the system can do. */
#define _Px_SHARES(memory) (_Px_OWN(memory) ? (void)0 : _Px_Share(memory))

extern void _Px_Made(PyObject *object);
PyAPI_FUNC(void) _Px_Share(const void *memory);
extern int _Px_foreign_count;
extern int _Px_MarkMethod(PyTypeObject *type, PyMethodDef **def);
extern int _Px_MarkFunction(PyMethodDef **def, PyObject *module);
extern int _Px_CheckExtension(void *handle, void *init, const char *name,
                              const char *path);
typedef void _Px_fix_slots(PyTypeObject *type);
typedef int _Px_fix_order(PyTypeObject *type, PyObject **old);
extern void _Px_ClassChanged(_Px_fix_slots *slots, _Px_fix_order *order);
extern void _Px_Born(PyObject *object);
extern int _Px_Keep(PyObject *object);
PyAPI_FUNC(int) _Px_Found(PyObject *object);
PyAPI_FUNC(int) _Px_IsExported(const void *object);
PyAPI_FUNC(Py_ssize_t) _Px_Count(PyObject *object);

/* The rest is called while in a context. */
extern int _Px_NoteExport(PyObject *object);
PyAPI_FUNC(PyObject *) _Px_BufferRoot(PyObject *object);
extern void _Px_Detach(void); /* a call begins that may block, ... */
extern void _Px_Attach(void); /* ... and has ended */
extern int _Px_MayGiveVersion(const void *object);
extern void _Px_WantKey(struct _dictkeysobject *keys, PyObject *key);
extern void _Px_WantLookup(PyTypeObject *type, PyObject *name);
extern PyObject *_Px_NewMemoryError(void); /* NULL: the last resort */
extern int _Px_ExplainFailure(void);
extern void *_Px_Calloc(size_t count, size_t bytes);
extern void *_Px_Realloc(void *block, size_t bytes);
extern void _Px_Free(void *block);
PyAPI_FUNC(void) _Px_CountLifetimes(void);
extern int _Px_HasFinally(PyCodeObject *code);
extern void _Px_CommonBegin(void);
extern void _Px_CommonEnd(PyObject *tuple);
extern PyObject *_Px_Intern(PyObject *interned, PyObject *string);
extern const char *_Px_ForeignUTF8(PyObject *string, Py_ssize_t *bytes);
extern int _Px_HandlePending(PyThreadState *tstate);
extern int _Px_AuditContext(const char *event);
extern struct _warnings_runtime_state *_Px_OwnWarnings(void);
extern struct codecs_state *_Px_OwnCodecs(int change);
extern int *_Px_OwnStrDigits(void);
extern void _Px_SetRecursionLimit(int limit);
extern PyObject *_Px_OwnModules(PyObject *modules);
extern PyObject *_Px_OwnNames(PyObject *dict, PyObject *name);
extern PyObject *_Px_OwnNamesOfString(PyObject *dict, const char *name);
extern PyObject *_Px_OwnRegistry(PyObject *globals, PyObject *registry);
extern PyObject *_Px_OwnOnceRegistry(PyObject *registry);
extern PyObject *_Px_BeginOwn(PyObject *module, PyObject *args);
extern PyObject *_Px_ImportByMain(PyObject *spec);
extern PyObject *_Px_ImportForCByMain(PyObject *name);
PyAPI_FUNC(void) _Px_ImportForC(int more);
extern int _Px_ImportsForC(void);
extern int _Px_MayDiffer(PyObject *dict, PyObject *name); /* or not */
PyAPI_FUNC(int)
    _Px_SetForeignAttr(PyObject *object, PyObject *name, PyObject *value);
/* The dict of a threading.local of main's, made with these arguments. */
extern PyObject *_Px_OwnLocal(PyObject *local, PyObject *args, PyObject *kwds);
PyAPI_FUNC(int)
    _Px_SetForeignGlobal(PyObject *dict, PyObject *name, PyObject *value);
PyAPI_FUNC(void *) _Px_OwnState(void *state, size_t bytes, size_t first,
                                size_t last, size_t kept);
PyAPI_FUNC(void *) _Px_SeenState(void *state);
PyAPI_FUNC(PyObject *)
    _Px_Instead(PyObject *object, PyObject *make(PyObject *object));
extern int _Px_AddOwnSubclass(PyTypeObject *base, PyTypeObject *type);
extern PyObject *_Px_WithOwnSubclasses(PyTypeObject *base, PyObject *list);
extern PyObject *_Px_OwnInterned(PyObject *string); /* steals it */
extern int _Px_HaveOwnPlace(const char *event);
extern void _Px_SetCtype(const char *name); /* in fileutils.c */
PyAPI_FUNC(PyObject *) _Px_PrintTo(PyObject *file, PyObject *text);
PyAPI_FUNC(PyObject *) _Px_EmptyDict(void);      /* main's: it stays empty */
extern void _Px_GilTaken(PyThreadState *tstate); /* in a context or not */
extern void _Px_GilWanted(void); /* its holder was asked to drop it */
extern void _Px_GilDropped(void);
/* Main is about to call the handler of a signal. */
extern void _Px_SignalTaken(int signal, PyObject *handler);
extern int _Px_PutsSignalsOff(void); /* while this thread tells a future */
/* PYTHONPARALLELGUARD: 1 if main's heap is to be mimalloc's, -1 if bad. */
extern int _Px_GuardBegin(const char *mode);
/* A thread begins (1) or ends (-1) a wait in which neither it nor the system writes
 * to main's memory; 2 and -2: one for the GIL, which others need not end. */
PyAPI_FUNC(void) _Px_Still(int more);
PyAPI_FUNC(int) _Px_RaiseForeign(const void *object);
extern int _Px_RaiseForeignDict(PyObject *dict);
extern PyObject *_Px_View(const void *owner, PyObject *dict);
extern PyObject *_Px_DictOf(PyObject *object, PyObject *dict);
extern PyObject *_Px_Detached(PyObject *dict);
extern PyObject *_Px_AskCopy(PyObject *copy,
                             PyObject *(*ask)(PyObject *, PyObject *),
                             PyObject *argument);
PyAPI_FUNC(Py_hash_t)
    _Px_HashCopy(PyTypeObject *type, PyObject *object, size_t bytes);
extern int _Px_GuardBack(PyFrameObject *frame);
extern int _Px_GuardNext(PyObject *iterator);
extern int _Px_GuardSetter(PyObject *object, const char *name);
extern int _Px_GuardMethod(const PyMethodDef *def, const void *self);
extern int _Px_GuardSlot(PyObject *slot, const char *name, const void *self);
extern int _Px_GuardItem(PyObject *object, PyObject *name);
extern int _Px_GuardNew(const PyTypeObject *type);
PyAPI_FUNC(int) _Px_RaiseForbidden(const char *what);

/* Every extension module has this, and thereby says that it was compiled with
 * the macros of this header. Its name changes when they change. */
#if !defined(Py_BUILD_CORE) || defined(Py_BUILD_CORE_MODULE)
extern const char _Px_built_with_hooks_2[]
    __attribute__((weak, visibility("default")));
const char _Px_built_with_hooks_2[] = "";
#endif

#ifdef __cplusplus
}
#endif

#else /* stock */

#define _Px_IN() 0
#define _Px_STATE
#define _Px_OWN(p) 1
#define _Px_FOREIGN(p) 0
#define _Px_DROPS(p) 1
#define _Px_GIVE_UP(p) ((void)0)
#define _Px_EXACT(p) 1
#define _Px_RAW_COUNT(p) Py_REFCNT(p)
#define _Px_SOME_STOPPED() 0
#define _Px_BORN(op) ((void)0)
#define _Px_MADE(op) ((void)0)
#define _Px_SHARES(memory) ((void)0)
#define _Px_KEEPS(op) 0
#define _Px_EXPORTED(op) 0
#define _Px_CLASS_CHANGED(fix_slots, fix_order) ((void)0)
#define _Px_FOUND(op) 1
#define _Px_Count(op) 0
#define _Px_NoteExport(op) 0
#define _Px_Detach() ((void)0)
#define _Px_Attach() ((void)0)
#define _Px_LIFETIME(matters) ((void)0)
#define _Px_HASHED(string) 1
#define _Px_TRIGGERS(main_triggers) (main_triggers)
#define _Px_MAY_GIVE_VERSION(p) 1
#define _Px_WANT(wish, where, name) ((void)0)
#define _Px_GC(main_gc) (main_gc)
#define _Px_FREELISTS(main_lists) (main_lists)
#define _Px_BELONG(interp) ((void)0)
#define _Px_GUARD(p) 0
#define _Px_IF(condition, statements) ((void)0)
#define _Px_TRY(guard, way_out) ((void)0)
#define _Px_UNLESS_IN(statement) statement
#define _Px_READS_DICT(d) 0
#define _Px_GUARD_DICT(d) 0
#define _Px_DICT_OF_OBJECT(op, dict) Py_XNewRef(dict)
#define _Px_View(owner, dict) (dict)
#define _Px_Detached(dict) (dict)
#define _Px_AskCopy(copy, ask, argument) NULL
#define _Px_HashCopy(type, object, bytes) (-1)
#define _Px_GUARD_NEXT(p) 0
#define _Px_METH_MARKS 0
#define _Px_MARK_METHOD(type, def) 0
#define _Px_MARK_FUNCTION(def, module) 0
#define _Px_GUARD_METHOD(def, self) 0
#define _Px_GUARD_SLOT(slot, name, self) 0
#define _Px_GUARD_ITEM(p, name) 0
#define _Px_CHECK_EXTENSION(handle, init, name, path) 0
#define _Px_GUARD_NEW(type) 0
#define _Px_MAIN_ONLY(what) 0
#define _Px_Malloc(bytes) NULL
#define _Px_RawMalloc(bytes) NULL
#define _Px_MALLOC_NUMBER(bytes) PyObject_Malloc(bytes)
#define _Px_Calloc(count, bytes) NULL
#define _Px_Realloc(block, bytes) NULL
#define _Px_FREED(block) 0
#define _Px_CommonBegin() ((void)0)
#define _Px_CommonEnd(tuple) ((void)0)
#define _Px_Intern(interned, string) (string)
#define _Px_ForeignUTF8(string, bytes) NULL
#define _Px_HandlePending(tstate) 0
#define _Px_AuditContext(event) 0
#define _Px_PrintTo(file, text) NULL
#define _Px_EmptyDict() NULL
#define _Px_WARNINGS(main_state) (main_state)
#define _Px_CODECS(main_state, change) (main_state)
#define _Px_STR_DIGITS(main_limit) (main_limit)
#define _Px_MODULES(main_modules) (main_modules)
#define _Px_NAMES(dict, name) NULL
#define _Px_DICT_OF(dict, name) (dict)
#define _Px_DICT_OF_STRING(dict, name) (dict)
#define _Px_SET_GLOBAL(dict, name, value) PyDict_SetItem(dict, name, value)
#define _Px_AddOwnSubclass(base, type) 0
#define _Px_WithOwnSubclasses(base, list) (list)
#define _Px_MODULE_STATE(type, state, first, last, kept) (state)
#define _Px_SEEN_STATE(state) (state)
#define _Px_Instead(object, make) NULL
#define _Px_BUFFER_ROOT(object) (object)
#define _Px_GUARD_SETTER(p, name) 0
#define _Px_INTERNED(string) (string)
#define _Px_OwnLocal(local, args, kwds) NULL
#define _Px_MAY_SET_UMASK() 0
#define _Px_NEW_MEMORY_ERROR() NULL
#define _Px_IMP_METHODS
#define _Px_ImportByMain(spec) NULL
#define _Px_ImportForCByMain(name) NULL
#define _Px_IMPORT_FOR_C(more) ((void)0)
#define _Px_IMPORTS_FOR_C() 0
#define _Px_OwnRegistry(globals, registry) (registry)
#define _Px_OwnOnceRegistry(registry) (registry)
#define _Px_MayDiffer(dict, name) 0
#define _Px_SetForeignAttr(object, name, value) 0
#define _Px_SetRecursionLimit(limit) ((void)0)
#define _Px_GilTaken(tstate) ((void)0)
#define _Px_GilWanted() ((void)0)
#define _Px_GilDropped() ((void)0)
#define _Px_SignalTaken(signal, handler) ((void)0)
#define _Px_SetCtype(name) ((void)0)
#define _Px_GuardBegin(mode) 0
#define _Px_Still(more) ((void)0)

#endif

/* Py_REFCNT(p) == 1, but for what main makes while callbacks are stopped; asked in
 * the order that is cheaper where it is not. */
#define _Px_UNIQUE(p) (_Px_RAW_COUNT(p) == 1 && _Px_EXACT(p))

#endif
