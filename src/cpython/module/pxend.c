/*
 * What a context owns outside of its memory, and what becomes of it at the end.
 *
 * Memory goes in one sweep and asks nobody. But a file has a descriptor, a
 * digest memory of OpenSSL's, and an instance of a class with __del__ something
 * to say. Those on the list of such objects (pxowners.c), when the callback is over,
 * are dealt with each before what it refers to, an event loop before its sockets; of
 * others the newer first, a text file before its buffer:
 *
 *      finalize    __del__, and what closes files and sockets, with the
 *                  ResourceWarning of those that nobody has closed
 *      dealloc     of classes in C that cannot be asked in a finer way
 *
 * but for what leaves with the outcome: its copy on the main side will be. What
 * weakref.finalize() was told is called first (pxfinalize.c).
 *
 *   E1  Python code runs before the first object is deallocated, not after.
 *   E2  What the outcome reaches is not deallocated: main is going to look at it.
 *       But for what cannot leave: at that main looks no closer than to name its
 *       class, and from here on no memory is given back.
 *
 * Thread rule: a worker in a context, about that context.
 */
#include "pycore_pxmodule.h"

#include "pycore_hashtable.h"
#include "pycore_object.h"
#include "pycore_pystate.h"

enum {
    ROUNDS = 10, /* finalizers may make new owners, whose may make new ones */
    BYTES_EACH = 1024 /* to sort an owner and to finalize it: tables, lists */
};

/* What leaves: the outcome, calls for main, finalizers of what leaves; or NULL. */
enum { OUTCOME, CALLS, FINALIZERS, ROOTS };

/* ---- what leaves --------------------------------------------------------- */

/* Objects of the context's that somebody can reach; those from `next` on are yet
 * to be looked into. */
typedef struct walk {
    _Py_hashtable_t *seen;
    PyObject **found;
    size_t next, count, room;
} walk;

static bool
make_room(walk *to)
{
    size_t room = to->room ? 2 * to->room : 64;
    PyObject **found = PyMem_Realloc(to->found, room * sizeof *found);
    if (found) {
        to->found = found;
        to->room = room;
    }
    return found;
}

/* The traceback of an exception leaves without the variables of its frames. */
static int
visit(PyObject *object, void *arg)
{
    walk *to = arg;
    if (!object || !_Px_OWN(object) || PyFrame_Check(object) ||
        _Py_hashtable_get(to->seen, object)) {
        return 0;
    }
    if ((to->count == to->room && !make_room(to)) ||
        _Py_hashtable_set(to->seen, object, object) < 0) {
        return -1;
    }
    to->found[to->count++] = object;
    return 0;
}

/* -1: out of memory. */
static int
walk_all(walk *to, PyObject *const roots[ROOTS])
{
    if (!to->seen) {
        to->seen = _Px_NewTable();
    }
    int status = to->seen ? 0 : -1;
    for (int i = 0; status == 0 && i < ROOTS; i++) {
        status = visit(roots[i], to);
    }
    while (status == 0 && to->next < to->count) {
        status = _Px_TraverseAll(to->found[to->next++], visit, to);
    }
    return status;
}

/* Whoever has come to the limit of memory leaves, too: to find what leaves takes
 * what it takes, and to deal with the rest something for each. */
static int
find_all(walk *to, struct _Px_cx *cx, PyObject *const roots[ROOTS])
{
    size_t owners = cx->owners ? cx->owners->nentries : 0;
    char *limit = cx->limit;
    _Px_LimitMemory(cx, (char *)UINTPTR_MAX);
    int status = walk_all(to, roots);
    char *ahead = _Px_LimitAhead(cx, BYTES_EACH * owners);
    _Px_LimitMemory(cx, Py_MAX(limit, ahead));
    return status;
}

/* ---- the end ------------------------------------------------------------- */

static bool
leaves(const void *to, PyObject *object)
{
    _Py_hashtable_t *seen = ((const walk *)to)->seen;
    return seen && _Py_hashtable_get(seen, object);
}

static bool
can_leave(PyObject *object)
{
    return PyExceptionInstance_Check(object) || _Px_KindOf(Py_TYPE(object));
}

/* The object in a block that was an owner's: it may have been freed since, and
 * another made in its place. */
static PyObject *
owner_in(const struct _Px_cx *cx, void *block)
{
    struct _Px_owner *owner =
        cx->newest ? _Py_hashtable_get(cx->owners, block) : NULL;
    return owner ? owner->object : NULL;
}

/* An owner that cannot leave, although it is part of the result: of several the one
 * that is nearest. */
static PyObject *
find_captive(const walk *to, const struct _Px_cx *cx)
{
    for (size_t i = 0; i < to->count; i++) {
        PyObject *object = to->found[i];
        if (!can_leave(object) && owner_in(cx, _Px_BlockOf(object)) == object) {
            return object;
        }
    }
    return NULL;
}

/* ---- in which order ------------------------------------------------------ */

/* On a walk to the depth: all that an object refers to has been seen. */
enum { DONE = 1 };

/* The owners of a list, each before those that it reaches: who has been seen
 * through first is put last. */
typedef struct sorting {
    walk walk;
    _Py_hashtable_t *due; /* blocks of the list */
    void **sorted;
    size_t left;
} sorting;

static int
put(walk *to, uintptr_t object)
{
    if (to->count == to->room && !make_room(to)) {
        return -1;
    }
    to->found[to->count++] = (PyObject *)object;
    return 0;
}

/* What refers to nothing and is not on the list is of no account. */
static int
push(PyObject *object, void *arg)
{
    sorting *all = arg;
    if (!object || !_Px_OWN(object) ||
        (!PyObject_IS_GC(object) &&
         !_Py_hashtable_get(all->due, _Px_BlockOf(object)))) {
        return 0;
    }
    return put(&all->walk, (uintptr_t)object);
}

static int
look_deeper(sorting *all, PyObject *object)
{
    if (_Py_hashtable_get(all->walk.seen, object)) {
        return 0;
    }
    if (_Py_hashtable_set(all->walk.seen, object, object) < 0 ||
        put(&all->walk, (uintptr_t)object | DONE) < 0) {
        return -1;
    }
    return _Px_TraverseAll(object, push, all);
}

static int
sort_from(sorting *all, PyObject *root)
{
    walk *to = &all->walk;
    int status = push(root, all);
    while (status == 0 && to->count > 0) {
        uintptr_t next = (uintptr_t)to->found[--to->count];
        PyObject *object = (PyObject *)(next & ~(uintptr_t)DONE);
        if (!(next & DONE)) {
            status = look_deeper(all, object);
        }
        else if (_Py_hashtable_get(all->due, _Px_BlockOf(object))) {
            all->sorted[--all->left] = _Px_BlockOf(object);
        }
    }
    return status;
}

static int
sort_all(sorting *all, const struct _Px_cx *cx, void **list, size_t count)
{
    int status = all->due && all->walk.seen && all->sorted ? 0 : -1;
    for (size_t i = 0; status == 0 && i < count; i++) {
        status = _Py_hashtable_set(all->due, list[i], list[i]);
    }
    for (size_t i = count; status == 0 && i > 0;) {
        status = sort_from(all, owner_in(cx, list[--i]));
    }
    return status;
}

/* Without memory for that they stay in the order of their age. */
static void
sort_owners(const struct _Px_cx *cx, void **list, size_t count)
{
    sorting all = {{.seen = _Px_NewTable()},
                   _Px_NewTable(),
                   PyMem_Calloc(count, sizeof *list),
                   count};
    if (sort_all(&all, cx, list, count) == 0) {
        memcpy(list, all.sorted, count * sizeof *list);
    }
    PyMem_Free(all.sorted);
    PyMem_Free(all.walk.found); /* the tables go with the context */
}

/* Whether main is going to have a copy. */
static bool
is_leaving(const walk *to, PyObject *object)
{
    return leaves(to, object) && can_leave(object);
}

/* The blocks of those that are there now and do not leave, from the newest on.
 * NULL: no memory. */
static void **
list_owners(const struct _Px_cx *cx, const walk *to, size_t *count)
{
    size_t room = cx->owners->nentries, used = 0;
    void **list = PyMem_Calloc(room + 1, sizeof *list);
    for (struct _Px_owner *at = cx->newest; list && at; at = at->older) {
        if (!is_leaving(to, at->object)) {
            list[used++] = _Px_BlockOf(at->object);
        }
    }
    *count = used;
    if (list && used > 1) {
        sort_owners(cx, list, used);
    }
    return list;
}

/* ---- dealing with them ---------------------------------------------------- */

/* True: finalizers have made new owners. */
static bool
finalize_all(struct _Px_cx *cx, const walk *to)
{
    size_t count;
    struct _Px_owner *newest = cx->newest;
    void **list = list_owners(cx, to, &count);
    for (size_t i = 0; list && i < count; i++) {
        PyObject *object = owner_in(cx, list[i]);
        if (object) {
            Py_INCREF(object); /* it may drop the last one itself */
            PyObject_CallFinalizer(object);
            Py_DECREF(object);
        }
    }
    PyMem_Free(list);
    _Px_FindGenerators(cx);
    return cx->newest && cx->newest != newest;
}

/* It may go with what it refers to. */
static void
clear(PyObject *object)
{
    Py_INCREF(object);
    if (Py_TYPE(object)->tp_clear) {
        (void)Py_TYPE(object)->tp_clear(object);
    }
    Py_DECREF(object);
}

/* Something that no walk comes to may refer to it: it is closed, where that is all
 * that there is to do. */
static void
deallocate(PyObject *object)
{
    if (!_Px_ReleaseHeld(object)) {
        object->ob_refcnt = 0;
        Py_TYPE(object)->tp_dealloc(object);
    }
}

/* Those of the list that it takes more to free than the interpreter's code. */
static void
do_all(const struct _Px_cx *cx, void **list, size_t count,
       void (*what)(PyObject *))
{
    for (size_t i = 0; list && i < count; i++) {
        PyObject *object = owner_in(cx, list[i]);
        if (object && !_Px_IsInImage(Py_TYPE(object))) {
            what(object);
        }
    }
}

/* E2. All of it counts as young. */
static void
keep_memory(struct _Px_cx *cx)
{
    cx->young_end = ((px_cursor *)(void *)cx->heap)->next;
    _Px_ChooseWays(cx);
}

/* E1, E2. As the collector does it: first all are to drop what they refer to,
 * others of the list maybe; then those go that are still there. */
static void
deallocate_all(struct _Px_cx *cx, const walk *to)
{
    size_t count;
    void **list = list_owners(cx, to, &count);
    keep_memory(cx);
    do_all(cx, list, count, clear);
    do_all(cx, list, count, deallocate);
    PyMem_Free(list);
}

/* Without memory for that their descriptors stay open. */
static _Px_resource *
list_resources(const struct _Px_cx *cx, const walk *to)
{
    size_t count = 0;
    PyObject **leaving = PyMem_Calloc(cx->owners->nentries, sizeof *leaving);
    for (struct _Px_owner *at = cx->newest; leaving && at; at = at->older) {
        if (is_leaving(to, at->object)) {
            leaving[count++] = at->object;
        }
    }
    _Px_resource *list = count ? _Px_ListResources(leaving, count) : NULL;
    PyMem_Free(leaving);
    return list;
}

/* What is part of it goes with the context. */
static PyObject *
replace_outcome(walk *to, PyObject *captive, PyObject *const roots[ROOTS])
{
    (void)_Px_Refuse(captive);
    PyObject *instead = PyErr_GetRaisedException();
    PyObject *const others[ROOTS] = {instead, roots[CALLS], NULL};
    _Py_hashtable_clear(to->seen);
    to->next = to->count = 0;
    if (walk_all(to, others) == 0 && roots[FINALIZERS]) {
        _Px_CallFinalizers(roots[FINALIZERS], leaves, to);
    }
    return instead;
}

/* What is to be an outcome instead, or NULL. */
static PyObject *
end_owners(struct _Px_cx *cx, walk *to, PyObject *const roots[ROOTS],
           bool failed)
{
    if (find_all(to, cx, roots) < 0) {
        return NULL;
    }
    PyObject *captive = failed ? NULL : find_captive(to, cx);
    PyObject *instead = captive ? replace_outcome(to, captive, roots) : NULL;
    for (int i = 0; i < ROUNDS && finalize_all(cx, to); i++) {
    }
    deallocate_all(cx, to);
    return instead;
}

/* ---- from outside -------------------------------------------------------- */

/* Those that leave; or NULL. */
static PyObject *
end_finalizers(struct _Px_cx *cx, PyObject *const roots[ROOTS])
{
    walk to = {0};
    PyObject *table = _Px_FindFinalizers();
    if (!table) {
        return NULL;
    }
    (void)find_all(&to, cx, roots); /* without memory nothing leaves */
    _Px_CallFinalizers(table, leaves, &to);
    return PyDict_GET_SIZE(table) > 0 ? table : NULL;
}

PyObject *
_Px_EndOwners(struct _Px_cx *cx, PyObject *outcome, PyObject *calls,
              bool failed, px_luggage *luggage)
{
    walk to = {0};
    PyObject *roots[ROOTS] = {outcome, calls, NULL};
    luggage->finalizers = roots[FINALIZERS] = end_finalizers(cx, roots);
    _Px_FindGenerators(cx);
    if (!cx->newest) {
        return NULL;
    }
    PyObject *instead = end_owners(cx, &to, roots, failed);
    luggage->resources = to.seen ? list_resources(cx, &to) : NULL;
    cx->newest = NULL; /* the rest is memory */
    _Px_ChooseWays(cx);
    return instead;
}
