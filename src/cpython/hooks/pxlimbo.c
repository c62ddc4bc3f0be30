/*
 * What the main side drops while callbacks are stopped in mid-flight.
 *
 * A callback holds objects of main's without counting them. While it runs main
 * stands still; while it is stopped main runs, and may drop the last counted
 * reference to what the callback is going to use. Such an object does not go:
 *
 *      main     drop, count 0 --> limbo (count 1) ......... leaves limbo: dropped
 *      world  --closed-----------open---------closed-------------------
 *                 slice k                       no callback begun before slice k
 *                                               is in flight any more
 *
 * A *slice* is a time of main's, between two times of the contexts. What is born
 * in a slice and dropped in the same one was never seen by a context, and goes
 * at once: else main's temporary objects would all end here.
 *
 * And main, which changes objects in place that nobody else refers to, must not
 * trust a count of 1: what is not born in this slice reads as shared.
 *
 * What is in limbo can still be found: by a weak reference, as an interned string.
 * Callbacks that begin later may see it then. So what was found does not leave for
 * good: it is dropped like anything else, and comes back as of that slice.
 *
 *   L1  Objects in limbo have a count of at least 1, of which one is limbo's, so
 *       weak references and finalizers find them as they were.
 *   L2  Limbo is in the order of slices: its oldest entries leave first.
 *   L3  `born` has a bit for each 16 bytes of address space: set means an object
 *       begun there in this slice (and may be gone by now).
 *   L4  `found` has one, too: set means that an object there may have been found
 *       since it came. Contexts set bits as well; leaving clears one.
 *
 * Limbo has no limit, but who fills it is slowed down: with FULL objects in it, and
 * in what they alone refer to, no callback begins, and main waits a second for
 * those in flight each time that the GIL comes its way.
 *
 * Rejected: remembering births in the object (no room in it), in the allocator
 * (free lists hand out most objects), in a hash table (main's every allocation
 * would pay for a lookup; a bit costs an address computation).
 *
 * Thread rule: the main side, with the GIL; _Px_Count() and _Px_Found() anybody.
 */
#include "pycore_px.h"

#include "pycore_long.h"
#include "pycore_object.h"

#include <sys/mman.h>

enum {
    GRANULE_LOG = 4,
    USER_BITS = 47,
    FULL = 1 << 20, /* objects */
    DEEP = 32,      /* references are followed so far to count them */
    TEXT_BYTES = 64 /* that count as an object */
};

static const size_t map_bytes = (size_t)1 << (USER_BITS - GRANULE_LOG - 3);

typedef struct entry {
    PyObject *object;
    uint64_t slice;
    size_t weight; /* objects that it keeps, about */
} entry;

static struct {
    entry *entries; /* the oldest at first */
    size_t first, count, room;
    size_t weight; /* of all */
    uint64_t slice;
    PyObject *leaving;    /* this one really goes */
    unsigned char *born;  /* NULL: no births are known */
    bool dirty;           /* some bit of it is set */
    unsigned char *found; /* NULL: what is in limbo may have been found */
} limbo;

/* ---- a bit for each object ----------------------------------------------- */

static unsigned char *
map_bits(void)
{
    void *map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(map, map_bytes, MADV_DONTDUMP);
    return map;
}

/* NULL: no bit is kept for it. */
static unsigned char *
byte_of(unsigned char *map, const PyObject *object)
{
    uintptr_t at = (uintptr_t)object >> GRANULE_LOG >> 3;
    return map && at < map_bytes ? map + at : NULL;
}

static unsigned char
mask_of(const PyObject *object)
{
    return (unsigned char)(1u << ((uintptr_t)object >> GRANULE_LOG) % 8);
}

/* ---- births -------------------------------------------------------------- */

static void
forget_births(void)
{
    if (!limbo.born) {
        limbo.born = map_bits();
    }
    else if (limbo.dirty) {
        (void)madvise(limbo.born, map_bytes, MADV_DONTNEED);
    }
    limbo.dirty = false;
}

void
_Px_Born(PyObject *object)
{
    unsigned char *byte = byte_of(limbo.born, object);
    if (byte) {
        *byte |= mask_of(object);
        limbo.dirty = true;
    }
}

static bool
is_born(PyObject *object)
{
    unsigned char *byte = limbo.dirty ? byte_of(limbo.born, object) : NULL;
    return byte && *byte & mask_of(object);
}

Py_ssize_t
_Px_Count(PyObject *object)
{
    if (_Px_IN()) {
        return _Px_SHARED;
    }
    return object->ob_refcnt == 1 && !is_born(object) ? _Px_SHARED
                                                      : object->ob_refcnt;
}

/* ---- what is found -------------------------------------------------------- */

/* Before anything came to limbo there is no map, and nothing to say. */
int
_Px_Found(PyObject *object)
{
    unsigned char *byte = byte_of(limbo.found, object);
    unsigned char mask = mask_of(object);
    if (byte && !(__atomic_load_n(byte, __ATOMIC_RELAXED) & mask)) {
        (void)__atomic_fetch_or(byte, mask, __ATOMIC_RELAXED);
    }
    return true;
}

/* With all contexts at rest. */
static bool
was_found(PyObject *object)
{
    unsigned char *byte = byte_of(limbo.found, object);
    bool found = !byte || *byte & mask_of(object);
    if (byte) {
        *byte &= (unsigned char)~mask_of(object);
    }
    return found;
}

/* ---- what it weighs ------------------------------------------------------ */

typedef struct scale {
    size_t weight;
    int depth;
} scale;

static size_t
own_weight(PyObject *object)
{
    if (PyUnicode_Check(object)) {
        return 1 + (size_t)PyUnicode_GET_LENGTH(object) / TEXT_BYTES;
    }
    if (PyBytes_Check(object) || PyByteArray_Check(object)) {
        return 1 + (size_t)Py_SIZE(object) / TEXT_BYTES;
    }
    return 1;
}

static int weigh(PyObject *object, void *scale);

/* The collector does not know of tuples and dicts of strings and numbers. */
static void
weigh_contents(PyObject *object, scale *scale)
{
    if (_PyObject_IS_GC(object) && _PyObject_GC_IS_TRACKED(object)) {
        scale->depth++;
        (void)Py_TYPE(object)->tp_traverse(object, weigh, scale);
        scale->depth--;
    }
    else if (PyTuple_Check(object)) {
        scale->weight += (size_t)PyTuple_GET_SIZE(object);
    }
    else if (PyDict_Check(object)) {
        scale->weight += (size_t)PyDict_GET_SIZE(object);
    }
}

/* What others refer to does not go with it. */
static int
weigh(PyObject *object, void *with)
{
    scale *scale = with;
    if (object->ob_refcnt == 1) {
        scale->weight += own_weight(object);
        if (scale->depth < DEEP) {
            weigh_contents(object, scale);
        }
    }
    return 0;
}

/* ---- limbo --------------------------------------------------------------- */

/* Entries that have left make room first. */
static bool
make_room(void)
{
    if (limbo.count > 0) {
        memmove(limbo.entries, limbo.entries + limbo.first,
                limbo.count * sizeof *limbo.entries);
    }
    limbo.first = 0;
    if (limbo.count < limbo.room / 2) {
        return true;
    }
    size_t room = limbo.room ? 2 * limbo.room : 1024;
    entry *entries = PyMem_RawRealloc(limbo.entries, room * sizeof *entries);
    if (entries) {
        limbo.entries = entries;
        limbo.room = room;
    }
    return limbo.count < limbo.room;
}

/* Without memory for an entry the object stays for good. */
static void
add_entry(PyObject *object)
{
    scale scale = {.weight = 0};
    if (limbo.first + limbo.count == limbo.room && !make_room()) {
        return;
    }
    (void)weigh(object, &scale);
    limbo.weight += scale.weight;
    limbo.entries[limbo.first + limbo.count++] =
        (entry){.object = object, .slice = limbo.slice, .weight = scale.weight};
}

int
_Px_Keep(PyObject *object)
{
    if (object == limbo.leaving) {
        limbo.leaving = NULL;
        return false;
    }
    if (is_born(object)) {
        return false;
    }
    object->ob_refcnt = 1;
#ifdef Py_REF_DEBUG
    _Py_IncRefTotal(_PyThreadState_GET());
#endif
    add_entry(object);
    return true;
}

/* ---- the world's --------------------------------------------------------- */

void
_Px_LimboBeginSlice(uint64_t slice)
{
    limbo.slice = slice;
    if (!limbo.found) {
        limbo.found = map_bits();
    }
    forget_births();
}

/* A finalizer may let others run who come here, too: what leaves has left the
 * list before. */
static void
drop_oldest(void)
{
    PyObject *object = limbo.entries[limbo.first].object;
    limbo.weight -= limbo.entries[limbo.first].weight;
    limbo.first++;
    limbo.count--;
    limbo.leaving =
        object->ob_refcnt == 1 && !was_found(object) ? object : NULL;
    Py_DECREF(object);
    limbo.leaving = NULL;
}

void
_Px_LimboDrop(uint64_t until)
{
    while (limbo.count > 0 && limbo.entries[limbo.first].slice <= until) {
        drop_oldest();
    }
}

size_t
_Px_LimboCount(void)
{
    return limbo.count;
}

static size_t
bytes_of(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    Py_ssize_t items = type->tp_itemsize == 0 ? 0
                       : PyLong_Check(object)
                           ? _PyLong_DigitCount((PyLongObject *)object)
                           : Py_SIZE(object);
    return (size_t)(type->tp_basicsize + items * type->tp_itemsize);
}

size_t
_Px_LimboBytes(void)
{
    size_t bytes = 0;
    for (size_t i = 0; i < limbo.count; i++) {
        bytes += bytes_of(limbo.entries[limbo.first + i].object);
    }
    return bytes;
}

bool
_Px_LimboFull(void)
{
    return limbo.weight > FULL;
}
