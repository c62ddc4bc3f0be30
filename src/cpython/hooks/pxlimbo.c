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
 *   L1  Objects in limbo have a count of at least 1, of which one is limbo's, so
 *       weak references and finalizers find them as they were.
 *   L2  Limbo is in the order of slices: its oldest entries leave first.
 *   L3  `born` has a bit for each 16 bytes of address space: set means an object
 *       begun there in this slice (and may be gone by now).
 *
 * Limbo has no limit, but who fills it is slowed down: with FULL objects in it no
 * callback begins, and main waits a second for those in flight each time that
 * the GIL comes its way.
 *
 * Rejected: remembering births in the object (no room in it), in the allocator
 * (free lists hand out most objects), in a hash table (main's every allocation
 * would pay for a lookup; a bit costs an address computation).
 *
 * Thread rule: the main side, with the GIL.
 */
#include "pycore_px.h"

#include "pycore_long.h"
#include "pycore_object.h"

#include <sys/mman.h>

enum {
    GRANULE_LOG = 4,
    USER_BITS = 47,
    FULL = 1 << 20 /* objects */
};

static const size_t born_bytes = (size_t)1 << (USER_BITS - GRANULE_LOG - 3);

typedef struct entry {
    PyObject *object;
    uint64_t slice;
} entry;

static struct {
    entry *entries; /* the oldest at first */
    size_t first, count, room;
    uint64_t slice;
    PyObject *leaving;   /* this one really goes */
    unsigned char *born; /* NULL: no births are known */
    bool dirty;          /* some bit of it is set */
} limbo;

/* ---- births -------------------------------------------------------------- */

static void
map_births(void)
{
    void *map = mmap(NULL, born_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map != MAP_FAILED) {
        (void)madvise(map, born_bytes, MADV_DONTDUMP);
        limbo.born = map;
    }
}

static void
forget_births(void)
{
    if (!limbo.born) {
        map_births();
    }
    else if (limbo.dirty) {
        (void)madvise(limbo.born, born_bytes, MADV_DONTNEED);
    }
    limbo.dirty = false;
}

void
_Px_Born(PyObject *object)
{
    uintptr_t granule = (uintptr_t)object >> GRANULE_LOG;
    if (limbo.born && granule / 8 < born_bytes) {
        limbo.born[granule / 8] |= (unsigned char)(1u << granule % 8);
        limbo.dirty = true;
    }
}

static bool
is_born(PyObject *object)
{
    uintptr_t granule = (uintptr_t)object >> GRANULE_LOG;
    return limbo.dirty && granule / 8 < born_bytes &&
           limbo.born[granule / 8] >> granule % 8 & 1;
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

/* ---- limbo --------------------------------------------------------------- */

/* Entries that have left make room first. */
static bool
make_room(void)
{
    memmove(limbo.entries, limbo.entries + limbo.first,
            limbo.count * sizeof *limbo.entries);
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
    if (limbo.first + limbo.count < limbo.room || make_room()) {
        limbo.entries[limbo.first + limbo.count++] =
            (entry){.object = object, .slice = limbo.slice};
    }
    return true;
}

/* ---- the world's --------------------------------------------------------- */

void
_Px_LimboBeginSlice(uint64_t slice)
{
    limbo.slice = slice;
    forget_births();
}

/* A finalizer may let others run who come here, too: what leaves has left the
 * list before. */
static void
drop_oldest(void)
{
    PyObject *object = limbo.entries[limbo.first].object;
    limbo.first++;
    limbo.count--;
    limbo.leaving = object->ob_refcnt == 1 ? object : NULL;
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
    return limbo.count > FULL;
}
