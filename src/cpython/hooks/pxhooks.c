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
 * malloc, which any thread may call, and what was made is immortal. What a library
 * in C keeps for an object that may leave is main's raw memory (pxoutside.c).
 *
 * Thread rule: a thread that is in a context, about that context.
 */
#include "pycore_px.h"

#include <errno.h>
#include <unistd.h>

#include "pycore_ceval.h"
#include "pycore_object.h"
#include "pycore_pystate.h"
#include "pycore_unicodeobject.h"

__thread struct _Px_here _Px_here = {.own_end = UINTPTR_MAX,
                                     .drop_end = UINTPTR_MAX,
                                     .exact_end = UINTPTR_MAX,
                                     .until_look = 1};

PyObject *_Px_ParallelError;
PyObject *_Px_UnprotectedError;
PyObject *_Px_PersistenceError;
PyObject *_Px_FrozenMemoryError;
PyObject *_Px_empty_dict;

/* ---- memory -------------------------------------------------------------- */

enum {
    AHEAD_BYTES = 512,  /* what is written to soon is fetched: measured */
    SMALL_BYTES = 4096, /* a limit is exceeded by less than this ... */
    RESERVE_BYTES = 256 * 1024 /* ... and by this */
};

static size_t strays
    _Px_STATE; /* blocks of others that were to be freed or resized */

void
_Px_LimitMemory(struct _Px_cx *cx, char *limit)
{
    cx->limit = limit;
    cx->notice_at = Py_MIN(cx->count_from, limit);
}

/* What has come to its limit needs some memory to raise MemoryError and to deal
 * with it: once. Memory that was freed is handed out again all the same, which
 * the limit does not know; so it is one of growth. What nobody has is no reason
 * to take from the reserve. */
static bool
is_over_limit(struct _Px_cx *cx, size_t bytes)
{
    char *next = ((px_cursor *)(void *)cx->heap)->next;
    if (bytes > PY_SSIZE_T_MAX) {
        return true;
    }
    if (next < cx->limit && bytes < (size_t)(cx->limit - next)) {
        return false;
    }
    if (cx->reserve) {
        cx->reserve = false;
        _Px_LimitMemory(cx, cx->limit + RESERVE_BYTES);
    }
    return true;
}

char *
_Px_LimitAhead(const struct _Px_cx *cx, size_t bytes)
{
    char *next = ((px_cursor *)(void *)cx->heap)->next;
    return next + RESERVE_BYTES + bytes;
}

/* The usual case: there is nothing to notice. */
static inline bool
is_small_growth(const struct _Px_cx *cx, size_t bytes)
{
    char *next = ((px_cursor *)(void *)cx->heap)->next;
    __builtin_prefetch(next + AHEAD_BYTES, 1);
    return next < cx->notice_at && bytes < SMALL_BYTES;
}

/* False: no memory is left. */
static bool
notice_growth(struct _Px_cx *cx, size_t bytes)
{
    if (is_small_growth(cx, bytes)) {
        return true;
    }
    if (((px_cursor *)(void *)cx->heap)->next >= cx->count_from) {
        _Px_CountLifetimes();
    }
    return !is_over_limit(cx, bytes);
}

static size_t
product(size_t count, size_t bytes)
{
    size_t all;
    return __builtin_mul_overflow(count, bytes, &all) ? SIZE_MAX : all;
}

static void *__attribute__((noinline)) malloc_slowly(size_t bytes)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx->common) {
        return malloc(bytes ? bytes : 1);
    }
    return notice_growth(cx, bytes) ? px_heap_alloc(cx->heap, bytes) : NULL;
}

void *
_Px_Malloc(size_t bytes)
{
    px_heap *heap = _Px_here.from_heap;
    void *block = heap ? px_heap_alloc_freed(heap, bytes) : NULL;
    if (block) {
        return block;
    }
    return heap && is_small_growth(_Px_here.cx, bytes)
               ? px_heap_alloc_new(heap, bytes)
               : malloc_slowly(bytes);
}

/* For PyMem_RawMalloc(). */
void *
_Px_RawMalloc(size_t bytes)
{
    return _Px_here.cx->making ? _Px_OutsideMalloc(bytes) : _Px_Malloc(bytes);
}

void *
_Px_Calloc(size_t count, size_t bytes)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx->common) {
        return calloc(count ? count : 1, bytes ? bytes : 1);
    }
    return notice_growth(cx, product(count, bytes))
               ? px_heap_calloc(cx->heap, count, bytes)
               : NULL;
}

void *
_Px_Realloc(void *block, size_t bytes)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx->common) {
        return realloc(block, bytes ? bytes : 1);
    }
    if (block && !_Px_OWN(block)) {
        (void)__atomic_fetch_add(&strays, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    if (!notice_growth(cx, bytes)) {
        return NULL;
    }
    return px_heap_realloc(cx->heap, block, bytes);
}

static void __attribute__((noinline)) free_slowly(void *block)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (_Px_OWN(block)) {
        if (cx->newest) {
            _Px_ForgetOwner(cx, block);
        }
        if ((char *)block >= cx->young_end) {
            (void)px_heap_free(cx->heap, block);
        }
    }
    else if (cx->common) {
        free(block);
    }
    else if (!cx->outside || !_Px_OutsideFree(block)) {
        (void)__atomic_fetch_add(&strays, 1, __ATOMIC_RELAXED);
    }
}

void
_Px_Free(void *block)
{
    if ((uintptr_t)block - _Px_here.free_from < _Px_here.free_bytes) {
        px_heap_free_live(_Px_here.to_heap, block);
    }
    else {
        free_slowly(block);
    }
}

/* After anything that they depend on. */
void
_Px_ChooseWays(const struct _Px_cx *cx)
{
    _Px_here.from_heap = cx->common ? NULL : cx->heap;
    _Px_here.to_heap = cx->heap;
    _Px_here.room = 0;
    _Px_here.free_from = (uintptr_t)cx->young_end;
    _Px_here.free_bytes =
        cx->newest ? 0 : _Px_here.own_end - (uintptr_t)cx->young_end;
}

size_t
_Px_Strays(void)
{
    return __atomic_load_n(&strays, __ATOMIC_RELAXED);
}

/* ---- buffers of main's --------------------------------------------------- */

/* Who looks into some of them in turn does not note each time. */
static bool
was_lately(const _Px_export *export, const void *object)
{
    for (int i = 0; export && i < 8; i++) {
        if (export->object == object) {
            return true;
        }
        export = export->next;
    }
    return false;
}

static int
note_export(struct _Px_cx *cx, const void *object)
{
    if (was_lately(cx->exports, object)) {
        return 0;
    }
    _Px_export *export = _Px_Malloc(sizeof *export);
    if (!export) {
        PyErr_NoMemory();
        return -1;
    }
    *export = (_Px_export){.next = cx->exports, .object = object};
    cx->exports = export;
    return 0;
}

/* While this callback is in flight main must not resize what it looks into. A
 * view of main's may be released by main: what it looks into counts, too. */
int
_Px_NoteExport(PyObject *object)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (!object || PyBytes_CheckExact(object)) {
        return 0;
    }
    PyObject *under = PyMemoryView_Check(object)
                          ? PyMemoryView_GET_BUFFER(object)->obj
                          : NULL;
    return under && note_export(cx, under) < 0 ? -1 : note_export(cx, object);
}

PyObject *
_Px_BufferRoot(PyObject *object)
{
    while (object && PyMemoryView_Check(object)) {
        object = PyMemoryView_GET_BUFFER(object)->obj;
    }
    return object;
}

/* ---- common memory ------------------------------------------------------- */

static struct _Py_object_freelists no_freelists; /* stays empty */

/* The guard is going to see the write. */
void
_Px_Share(const void *memory)
{
    _Px_here.cx->shared = (uintptr_t)memory;
}

void
_Px_CommonBegin(void)
{
    if (_Px_IN()) {
        _Px_here.cx->common = true;
        _Px_ChooseWays(_Px_here.cx);
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
    bool made = tuple && !_Py_IsImmortal(tuple);
    for (Py_ssize_t i = 0; made && i < PyTuple_GET_SIZE(tuple); i++) {
        immortalize(PyTuple_GET_ITEM(tuple, i));
    }
    immortalize(tuple);
    _Px_here.cx->common = false;
    _Px_ChooseWays(_Px_here.cx);
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
    (void)_Px_FOUND(known);
    return Py_NewRef(known);
}

/* The bytes live until the context's memory goes: in a table, so that who asks
 * again gets the same, but for strings whose hash is Python code. Borrowed. */
static PyObject *
encode_once(struct _Px_cx *cx, PyObject *string)
{
    if (!PyUnicode_CheckExact(string)) {
        return PyUnicode_AsUTF8String(string);
    }
    if (!cx->utf8 && !(cx->utf8 = PyDict_New())) {
        return NULL;
    }
    PyObject *known = PyDict_GetItemWithError(cx->utf8, string);
    if (known || PyErr_Occurred()) {
        return known;
    }
    PyObject *encoded = PyUnicode_AsUTF8String(string);
    int status = encoded ? PyDict_SetItem(cx->utf8, string, encoded) : -1;
    Py_XDECREF(encoded);
    return status < 0 ? NULL : encoded;
}

/* Main's string has no UTF-8 form yet, and must not get one of ours. */
const char *
_Px_ForeignUTF8(PyObject *string, Py_ssize_t *bytes)
{
    PyObject *encoded = encode_once(_Px_here.cx, string);
    if (bytes) {
        *bytes = encoded ? PyBytes_GET_SIZE(encoded) : -1;
    }
    return encoded ? PyBytes_AS_STRING(encoded) : NULL;
}

/* ---- dicts --------------------------------------------------------------- */

/* In the place of one that main's object does not have yet: what is stored in it
 * would be lost, so it must not be the context's. */
PyObject *
_Px_EmptyDict(void)
{
    return Py_NewRef(_Px_empty_dict);
}

/* What reading __dict__ of main's object gives, if main has not made a dict yet,
 * is a view: a copy of what the object has now, which refuses changes, as they
 * would be lost with it. Its version, which a context does not use, says whose:
 *
 *      bit 63       62 .. 59    58 .. 12                  11 .. 0
 *      1: a view    0           address of the object     watchers: 0
 */
enum { OWNER_SHIFT = 12 };

/* Takes @dict, which nobody else knows, over, and hands it back. */
PyObject *
_Px_View(const void *owner, PyObject *dict)
{
    if (dict) {
        ((PyDictObject *)dict)->ma_version_tag =
            _Px_DICT_VIEW | (uint64_t)(uintptr_t)owner << OWNER_SHIFT;
    }
    return dict;
}

/* A new reference: to main's dict, or to what is a view from here on. */
PyObject *
_Px_DictOf(PyObject *object, PyObject *dict)
{
    return dict && _Px_OWN(dict) ? _Px_View(object, dict) : Py_XNewRef(dict);
}

/* Takes @dict over, whose values lie in main's object. */
PyObject *
_Px_Detached(PyObject *dict)
{
    PyObject *copy = dict ? PyDict_Copy(dict) : NULL;
    Py_XDECREF(dict);
    return copy;
}

int
_Px_RaiseForeignDict(PyObject *dict)
{
    uint64_t tag = ((PyDictObject *)dict)->ma_version_tag & ~_Px_DICT_VIEW;
    return _Px_RaiseForeign(_Px_FOREIGN(dict)
                                ? (void *)dict
                                : (void *)(uintptr_t)(tag >> OWNER_SHIFT));
}

/* ---- what an object keeps of itself --------------------------------------- */

/* The hash of main's object by a copy of these bytes of it, of its class in C:
 * the copy may keep it. */
Py_hash_t
_Px_HashCopy(PyTypeObject *type, PyObject *object, size_t bytes)
{
    PyObject *copy = type->tp_alloc(type, 1);
    if (!copy) {
        return -1;
    }
    memcpy((char *)copy + sizeof *copy, (char *)object + sizeof *object,
           bytes - sizeof *object);
    Py_hash_t hash = type->tp_hash(copy);
    Py_DECREF(copy);
    return hash;
}

/* Takes @copy over. */
PyObject *
_Px_AskCopy(PyObject *copy, PyObject *(*ask)(PyObject *, PyObject *),
            PyObject *argument)
{
    PyObject *answer = copy ? ask(copy, argument) : NULL;
    Py_XDECREF(copy);
    return answer;
}

/* ---- MemoryError ---------------------------------------------------------- */

/* Main has some in store and one for the last resort, which takes no traceback.
 * A context makes one, and when that fails has the last resort, too. */
PyObject *
_Px_NewMemoryError(void)
{
    struct _Px_cx *cx = _Px_here.cx;
    PyTypeObject *type = (PyTypeObject *)PyExc_MemoryError;
    if (cx->in_need) {
        return NULL;
    }
    cx->in_need = true;
    PyObject *error = type->tp_new(type, PyTuple_New(0), NULL);
    cx->in_need = false;
    if (!error) {
        PyErr_Clear();
    }
    return error;
}

/* ---- print() ------------------------------------------------------------- */

/* Main's text files have buffers, which a context must not fill; but everybody
 * prints. So what goes to the process's own stdout and stderr is written to
 * their descriptors, a line at a time so that lines of contexts do not mix. */

/* Who reads them may need the GIL to go on: this is a call that may block. */
static void
write_all(int fd, const char *bytes, size_t count)
{
    _Px_Detach();
    while (count > 0) {
        ssize_t done = write(fd, bytes, count);
        if (done < 0 && errno != EINTR) {
            break; /* nobody listens; print() would not say so either */
        }
        bytes += done > 0 ? done : 0;
        count -= done > 0 ? (size_t)done : 0;
    }
    _Px_Attach();
}

void
_Px_FlushLine(struct _Px_cx *cx)
{
    if (cx->line_bytes > 0) {
        write_all(cx->line_fd, cx->line, cx->line_bytes);
        cx->line_bytes = 0;
    }
}

static void
print_bytes(struct _Px_cx *cx, int fd, const char *bytes, size_t count)
{
    if (cx->line_fd != fd || count > sizeof cx->line - cx->line_bytes) {
        _Px_FlushLine(cx);
        cx->line_fd = fd;
    }
    if (count > sizeof cx->line) {
        write_all(fd, bytes, count);
        return;
    }
    memcpy(cx->line + cx->line_bytes, bytes, count);
    cx->line_bytes += count;
    if (memchr(bytes, '\n', count)) {
        _Px_FlushLine(cx);
    }
}

/* 1 or 2, or -1 for any other file. */
static int
descriptor_of(PyObject *file)
{
    return file == PySys_GetObject("__stdout__")   ? 1
           : file == PySys_GetObject("__stderr__") ? 2
                                                   : -1;
}

/* As the file itself would. */
static PyObject *
encode_for(PyObject *file, PyObject *text)
{
    PyObject *encoding = PyObject_GetAttr(file, &_Py_ID(encoding));
    PyObject *errors =
        encoding ? PyObject_GetAttr(file, &_Py_ID(errors)) : NULL;
    const char *name = errors ? PyUnicode_AsUTF8(encoding) : NULL;
    const char *handler = name ? PyUnicode_AsUTF8(errors) : NULL;
    PyObject *bytes =
        handler ? PyUnicode_AsEncodedString(text, name, handler) : NULL;
    Py_XDECREF(encoding);
    Py_XDECREF(errors);
    return bytes;
}

/* file.write(text), or file.flush() when @text is NULL. */
PyObject *
_Px_PrintTo(PyObject *file, PyObject *text)
{
    int fd = descriptor_of(file);
    if (fd < 0) {
        (void)_Px_RaiseForeign(file);
        return NULL;
    }
    if (!text) {
        _Px_FlushLine(_Px_here.cx);
        Py_RETURN_NONE;
    }
    PyObject *bytes = encode_for(file, text);
    if (!bytes) {
        return NULL;
    }
    print_bytes(_Px_here.cx, fd, PyBytes_AS_STRING(bytes),
                (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return PyLong_FromSsize_t(PyUnicode_GET_LENGTH(text));
}

/* ---- the eval breaker ---------------------------------------------------- */

/* Of all that may be pending only the context's own collection is its own
 * business: signals, pending calls and the GIL are main's. The bit of signals
 * says that main waits, and the user wants this callback to end. */
int
_Px_HandlePending(PyThreadState *tstate)
{
    if (_Py_eval_breaker_bit_is_set(tstate, _PY_GIL_DROP_REQUEST_BIT)) {
        _Py_unset_eval_breaker_bit(tstate, _PY_GIL_DROP_REQUEST_BIT);
        _Px_WorldPause();
    }
    if (_Py_eval_breaker_bit_is_set(tstate, _PY_SIGNALS_PENDING_BIT)) {
        _Py_unset_eval_breaker_bit(tstate, _PY_SIGNALS_PENDING_BIT);
        PyErr_SetNone(PyExc_KeyboardInterrupt);
        return -1;
    }
    if (_Py_eval_breaker_bit_is_set(tstate, _PY_GC_SCHEDULED_BIT)) {
        _Py_unset_eval_breaker_bit(tstate, _PY_GC_SCHEDULED_BIT);
        _Py_RunGC(tstate);
    }
    return 0;
}
