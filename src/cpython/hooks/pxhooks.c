/*
 * What the hooks in CPython call while a thread is in a context.
 *
 * Memory comes from the context's heap, whatever domain asks for it, and goes
 * with it. A block of somebody else's is never resized or freed here: who comes
 * that far with a main-owned block has missed a guard, so the block is left
 * alone and the attempt counted.
 *
 * Common memory: some of CPython's C code computes a value once for the whole
 * process, in whichever thread comes first (the keyword tuples of argument
 * parsers). Between _Px_CommonBegin() and _Px_CommonEnd() memory comes from
 * malloc, which any thread may call, and what was made is immortal.
 *
 * Thread rule: a thread that is in a context, about that context.
 */
#include "pycore_px.h"

#include "pycore_ceval.h"
#include "pycore_object.h"
#include "pycore_pystate.h"
#include "pycore_unicodeobject.h"

__thread struct _Px_here _Px_here = {
    .lo = 0, .span = UINTPTR_MAX, .drop_span = UINTPTR_MAX};

PyObject *_Px_ParallelError;
PyObject *_Px_UnprotectedError;
PyObject *_Px_PersistenceError;

/* ---- memory -------------------------------------------------------------- */

static size_t strays; /* blocks of others that were to be freed or resized */

/* A young context frees nothing. One that has grown counts: references go down
 * as well as up from here on, and cycles are collected. Legal at any instant
 * (H3): what was counted too high so far is just not freed. */
static void
begin_counting(struct _Px_cx *cx)
{
    cx->count_from = (char *)UINTPTR_MAX;
    cx->gc.enabled = 1;
    _Px_here.drop_span = _Px_here.span;
}

static void
notice_growth(struct _Px_cx *cx)
{
    if (((px_cursor *)(void *)cx->heap)->next > cx->count_from) {
        begin_counting(cx);
    }
}

void *
_Px_Malloc(size_t bytes)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx->common) {
        return malloc(bytes ? bytes : 1);
    }
    notice_growth(cx);
    return px_heap_alloc_slow(cx->heap, bytes);
}

void *
_Px_Calloc(size_t count, size_t bytes)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx->common) {
        return calloc(count ? count : 1, bytes ? bytes : 1);
    }
    notice_growth(cx);
    return px_heap_calloc(cx->heap, count, bytes);
}

void *
_Px_Realloc(void *block, size_t bytes)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx->common) {
        return realloc(block, bytes ? bytes : 1);
    }
    notice_growth(cx);
    if (block && !_Px_OWN(block)) {
        (void)__atomic_fetch_add(&strays, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    return px_heap_realloc(cx->heap, block, bytes);
}

void
_Px_Free(void *block)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx->common) {
        free(block);
    }
    else if (_Px_OWN(block)) {
        (void)px_heap_free(cx->heap, block);
    }
    else if (block) {
        (void)__atomic_fetch_add(&strays, 1, __ATOMIC_RELAXED);
    }
}

size_t
_Px_Strays(void)
{
    return __atomic_load_n(&strays, __ATOMIC_RELAXED);
}

/* ---- common memory ------------------------------------------------------- */

static struct _Py_object_freelists no_freelists; /* stays empty */

void
_Px_CommonBegin(void)
{
    if (_Px_IN()) {
        _Px_here.cx->common = true;
        _Px_here.freelists = &no_freelists;
    }
}

static void
immortalize(PyObject *object)
{
    if (object && !_Py_IsImmortal(object)) {
        object->ob_refcnt = _Py_IMMORTAL_REFCNT;
    }
}

void
_Px_CommonEnd(PyObject *tuple)
{
    if (!_Px_IN()) {
        return;
    }
    for (Py_ssize_t i = 0; tuple && i < PyTuple_GET_SIZE(tuple); i++) {
        immortalize(PyTuple_GET_ITEM(tuple, i));
    }
    immortalize(tuple);
    _Px_here.cx->common = false;
    _Px_here.freelists = &_Px_here.cx->freelists;
}

/* ---- strings ------------------------------------------------------------- */

/* Main's table is only looked up. A string that is not in it stays what it is:
 * interning is an optimisation, and the string goes with the context. */
PyObject *
_Px_Intern(PyObject *interned, PyObject *string)
{
    PyObject *known = PyDict_GetItemWithError(interned, string);
    if (!known) {
        PyErr_Clear();
        return string;
    }
    Py_DECREF(string);
    return Py_NewRef(known);
}

/* Main's string has no UTF-8 form yet, and must not get one of ours. The bytes
 * live until the context's memory goes. */
const char *
_Px_ForeignUTF8(PyObject *string, Py_ssize_t *bytes)
{
    PyObject *encoded = PyUnicode_AsUTF8String(string);
    if (bytes) {
        *bytes = encoded ? PyBytes_GET_SIZE(encoded) : -1;
    }
    return encoded ? PyBytes_AS_STRING(encoded) : NULL;
}

/* ---- errors -------------------------------------------------------------- */

int
_Px_RaiseForeign(const void *object)
{
    PyErr_Format(_Px_UnprotectedError,
                 "a context must not change the '%.100s' object at %p, which "
                 "is not its own: change a copy, return the new value, or let "
                 "the main thread do it",
                 Py_TYPE((PyObject *)object)->tp_name, object);
    return -1;
}

int
_Px_RaiseForbidden(const char *what)
{
    PyErr_Format(_Px_ParallelError,
                 "%s is not possible in a context: let the main thread do it",
                 what);
    return -1;
}

/* ---- the eval breaker ---------------------------------------------------- */

/* The collector wants a list for what it cannot collect. */
static bool
have_garbage_list(struct _gc_runtime_state *gc)
{
    if (!gc->garbage) {
        gc->garbage = PyList_New(0);
    }
    if (!gc->garbage) {
        PyErr_Clear();
    }
    return gc->garbage != NULL;
}

/* Of all that may be pending only the context's own collection is its own
 * business: signals, pending calls and the GIL are main's. The bit of signals
 * says that main waits, and the user wants this callback to end. */
int
_Px_HandlePending(PyThreadState *tstate)
{
    if (_Py_eval_breaker_bit_is_set(tstate, _PY_SIGNALS_PENDING_BIT)) {
        _Py_unset_eval_breaker_bit(tstate, _PY_SIGNALS_PENDING_BIT);
        PyErr_SetNone(PyExc_KeyboardInterrupt);
        return -1;
    }
    if (_Py_eval_breaker_bit_is_set(tstate, _PY_GC_SCHEDULED_BIT)) {
        _Py_unset_eval_breaker_bit(tstate, _PY_GC_SCHEDULED_BIT);
        if (have_garbage_list(_Px_here.gc)) {
            _Py_RunGC(tstate);
        }
    }
    return 0;
}
