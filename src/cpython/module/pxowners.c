/*
 * The objects of a context's that own something outside of its memory: a file has a
 * descriptor, a digest memory of OpenSSL's, and an instance of a class with __del__
 * something to say. Whoever makes one has it noted:
 *
 *      cx->owners    block ----> [object] the newest
 *                                   |
 *                    block ----> [object] ... the oldest
 *
 * From then on the context counts references, so that what is dropped goes at once,
 * as elsewhere, and leaves the list. What is left at the end is pxend.c's.
 *
 * A generator that waits within `try` or `with` belongs there, too. They come and go
 * by the million: the context only remembers that it has made one, and looks for
 * those that are left among all that its collector knows.
 *
 *   O1  Each object on the list is alive: freeing its block takes it off.
 *
 * A class in C counts as an owner if it has a finalizer, or if it is not part of
 * the interpreter and not known to own nothing but memory; a class derived from
 * it, too.
 *
 * Rejected: noting them in the modules that open files and sockets. There are
 * dozens of them, and those of others would be forgotten.
 *
 * Thread rule: a worker in a context, about that context; _Px_FindImage() as said.
 */
#include "pycore_pxmodule.h"

#include "pycore_frame.h"
#include "pycore_hashtable.h"
#include "pycore_object.h"

#include <link.h>

/* ---- which classes ------------------------------------------------------- */

/* Extension modules, and parts of them, whose objects own nothing but memory of
 * the context's. */
static const char *const harmless[] = {
    "array.",        "datetime.",      "decimal.",      "_asyncio.",
    "_bz2.",         "_csv.",          "_json.",        "_ctypes.Array",
    "_ctypes.CArg",  "_ctypes.CField", "_ctypes.CFunc", "_ctypes.Structure",
    "_ctypes.Union", "_ctypes._",      "_lzma.",        "_pickle.",
    "_queue.",       "_random.",       "_elementtree.", "_multibytecodec.",
    "_struct.",      "pyexpat.",       "zlib.",         "zoneinfo.",
    "unicodedata.",  "xml.etree.",     "_io.Bytes",     "_io.StringIO",
    "sqlite3.Row",   "_blake2.",
};

static uintptr_t image, image_bytes; /* the interpreter's code and data */

/* Of classes that have none of their own: it calls that of the base. */
static destructor inherited;

/* Main, before there are contexts. */
static int
find_image(struct dl_phdr_info *info, size_t Py_UNUSED(bytes),
           void *Py_UNUSED(unused))
{
    uintptr_t here = (uintptr_t)&find_image;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && here - first < part->p_memsz) {
            image = first;
            image_bytes = part->p_memsz;
        }
    }
    return image_bytes != 0;
}

void
_Px_FindImage(void)
{
    (void)dl_iterate_phdr(find_image, NULL);
    inherited = ((PyTypeObject *)_Px_ParallelError)->tp_dealloc;
}

static bool
begins_with(const char *name, const char *part)
{
    while (*part && *name == *part) {
        name++;
        part++;
    }
    return !*part;
}

/* Most differ in what they begin with: strncmp() takes longer to be called. */
static bool
is_harmless(const PyTypeObject *type)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(harmless); i++) {
        if (begins_with(type->tp_name, harmless[i])) {
            return true;
        }
    }
    return false;
}

/* @type or the base whose code frees what its instances have. */
static const PyTypeObject *
freed_by(const PyTypeObject *type)
{
    while (type->tp_dealloc == inherited && type->tp_base) {
        type = type->tp_base;
    }
    return type;
}

bool
_Px_IsInImage(const PyTypeObject *type)
{
    return (uintptr_t)freed_by(type)->tp_dealloc - image < image_bytes;
}

static bool
has_more_than_memory(const PyTypeObject *type)
{
    const PyTypeObject *base = freed_by(type);
    bool finalizes = type->tp_finalize && (type != base || !is_harmless(type));
    return finalizes || (!_Px_IsInImage(base) && !is_harmless(base));
}

/* Some of those that do: valid while the context has a table. One that is gone may
 * be in there, and another be taken for it: that is noted, which does no harm. */
static __thread const PyTypeObject *owning[8];

static const PyTypeObject **
place_of(const PyTypeObject *type)
{
    return &owning[((uintptr_t)type >> 5) % Py_ARRAY_LENGTH(owning)];
}

/* A class in Python may have got __del__ since. */
static bool
is_known_harmless(const PyTypeObject *type)
{
    return type == _Px_here.cx->harmless &&
           (!type->tp_finalize || type->tp_dealloc != inherited);
}

/* What is found out is remembered: who makes dates or digests makes many. */
static bool
owns_something(PyTypeObject *type)
{
    if (is_known_harmless(type)) {
        return false;
    }
    if (_Px_here.cx->owners && *place_of(type) == type) {
        return true;
    }
    bool owns = has_more_than_memory(type);
    if (!owns) {
        _Px_here.cx->harmless = type;
    }
    return owns;
}

/* ---- the list ------------------------------------------------------------ */

void *
_Px_BlockOf(PyObject *object)
{
    return (char *)object - _PyType_PreHeaderSize(Py_TYPE(object));
}

_Py_hashtable_t *
_Px_NewTable(void)
{
    return _Py_hashtable_new(_Py_hashtable_hash_ptr,
                             _Py_hashtable_compare_direct);
}

static bool
have_table(struct _Px_cx *cx)
{
    if (!cx->owners) {
        cx->owners = _Px_NewTable();
        memset(owning, 0, sizeof owning);
    }
    return cx->owners;
}

static void
unlink_owner(struct _Px_cx *cx, struct _Px_owner *owner)
{
    if (owner->newer) {
        owner->newer->older = owner->older;
    }
    else {
        cx->newest = owner->older;
        _Px_ChooseWays(cx);
    }
    if (owner->older) {
        owner->older->newer = owner->newer;
    }
}

/* Without memory for that it is not noted. */
static void
note_owner(struct _Px_cx *cx, PyObject *object)
{
    struct _Px_owner *owner = have_table(cx) ? _Px_Malloc(sizeof *owner) : NULL;
    if (!owner ||
        _Py_hashtable_set(cx->owners, _Px_BlockOf(object), owner) < 0) {
        return;
    }
    *owner = (struct _Px_owner){.older = cx->newest, .object = object};
    if (cx->newest) {
        cx->newest->newer = owner;
    }
    cx->newest = owner;
    *place_of(Py_TYPE(object)) = Py_TYPE(object);
    _Px_ChooseWays(cx);
    _Px_CountLifetimes();
}

static bool
is_generator(PyObject *object)
{
    return PyGen_CheckExact(object) || PyCoro_CheckExact(object) ||
           PyAsyncGen_CheckExact(object);
}

/* In the table that is a class of main's, which is no block of the context's. */
static bool
has_generators(struct _Px_cx *cx)
{
    return cx->owners && _Py_hashtable_get(cx->owners, &PyGen_Type);
}

static void
note_generators(struct _Px_cx *cx)
{
    if (have_table(cx) && !has_generators(cx)) {
        (void)_Py_hashtable_set(cx->owners, &PyGen_Type, cx);
    }
}

void
_Px_Made(PyObject *object)
{
    if (is_generator(object)) {
        note_generators(_Px_here.cx);
    }
    else if (_Px_OWN(object) && owns_something(Py_TYPE(object))) {
        note_owner(_Px_here.cx, object);
    }
}

/* O1 */
void
_Px_ForgetOwner(struct _Px_cx *cx, void *block)
{
    struct _Px_owner *owner = _Py_hashtable_get(cx->owners, block);
    if (owner) {
        (void)_Py_hashtable_steal(cx->owners, block);
        unlink_owner(cx, owner);
        _Px_Free(owner);
    }
}

/* ---- generators ---------------------------------------------------------- */

/* Whether it has not been told yet that it ends. */
static bool
waits_in_try(PyObject *object)
{
    PyGenObject *it = (PyGenObject *)object;
    return FRAME_STATE_SUSPENDED(it->gi_frame_state) &&
           !_PyGC_FINALIZED(object) &&
           _Px_HasFinally(
               _PyFrame_GetCode((_PyInterpreterFrame *)it->gi_iframe));
}

static void
note_those_in(struct _Px_cx *cx, PyGC_Head *list)
{
    PyGC_Head *at = list;
    while ((at = _PyGCHead_NEXT(at)) != list) {
        PyObject *object = _Py_FROM_GC(at);
        if (is_generator(object) && waits_in_try(object) &&
            !_Py_hashtable_get(cx->owners, _Px_BlockOf(object))) {
            note_owner(cx, object);
        }
    }
}

/* The newest last. Whoever has come to the limit of memory has some, too. */
void
_Px_FindGenerators(struct _Px_cx *cx)
{
    if (!has_generators(cx)) {
        return;
    }
    char *limit = cx->limit;
    _Px_LimitMemory(cx, (char *)UINTPTR_MAX);
    note_those_in(cx, &cx->gc.permanent_generation.head);
    for (int i = NUM_GENERATIONS; i > 0;) {
        note_those_in(cx, &cx->gc.generations[--i].head);
    }
    _Px_LimitMemory(cx, limit);
}
