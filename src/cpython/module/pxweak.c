/*
 * Copies of weak references, and of what is made of them: WeakSet, dicts with weak
 * keys or values, trees whose nodes know their parents.
 *
 *      result in the context              copy of main's
 *      list ----> Point <.... ref         list ----> Point <.... ref
 *                 Other <.... ref            (nobody has it) ... ref, dead
 *        object of main's <.. ref         object of main's <.... ref
 *
 * A weak reference keeps nothing alive, so it has nothing copied. When all that the
 * result holds is copied, each reference finds the copy of its referent in the memo,
 * or is dead: its referent goes with the context. Its callback is not called, but
 * for those by which the library's weak containers drop an entry; these are called
 * with the containers that are filled late, before anybody sees the result.
 *
 *   W1  Until all copies are made a new reference is dead: it is in no list.
 *   W2  A dead reference keeps the hash that it had, and stays the key that it was.
 *   W3  While containers are filled late no referent dies.
 *   W4  A container with references among its keys is filled after what the hashes
 *       of their referents depend on.
 *   W5  If the crossing fails no callback is called.
 *   W6  A reference without callback to what is main's is the one that main has.
 *
 * Rejected: to copy referents as well and let them die. They may be large, and may
 * not be able to leave; and they would die while copies are made.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_hashtable.h"
#include "pycore_object.h"
#include "pycore_weakref.h"

/* ---- one reference ------------------------------------------------------- */

static PyWeakReference *
as_reference(PyObject *object)
{
    return (PyWeakReference *)object;
}

static bool
is_dead(const PyWeakReference *reference)
{
    return reference->wr_object == Py_None;
}

/* Of those an object has one of each kind, which are first in its list. */
static bool
is_basic(const PyWeakReference *reference)
{
    return !reference->wr_callback && (PyWeakref_CheckRefExact(reference) ||
                                       PyWeakref_CheckProxy(reference));
}

/* W1, W2 */
static PyObject *
make_dead(PyTypeObject *type, const PyWeakReference *from)
{
    PyObject *copy = type->tp_alloc(type, 0);
    if (copy) {
        PyWeakReference *mine = as_reference(copy);
        mine->wr_object = Py_None;
        mine->hash = from->hash;
        mine->vectorcall = from->vectorcall;
    }
    return copy;
}

/* W6 */
PyObject *
_Px_MakeReference(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyWeakReference *from = as_reference(object);
    to->has_references = true;
    if (is_dead(from) || !is_basic(from) || !_Px_IsMains(from->wr_object)) {
        return make_dead(type, from);
    }
    return PyWeakref_CheckProxy(object)
               ? PyWeakref_NewProxy(from->wr_object, NULL)
               : PyWeakref_NewRef(from->wr_object, NULL);
}

/* The callback may lead to it. */
int
_Px_FillReference(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *callback = as_reference(object)->wr_callback;
    PyObject *mine = callback ? _Px_CopyPart(to, callback) : NULL;
    as_reference(copy)->wr_callback = mine;
    return callback && !mine ? -1 : 0;
}

/* ---- referents ----------------------------------------------------------- */

/* Main's, or a copy that somebody holds; borrowed. NULL: nobody does. */
static PyObject *
find_referent(const _Px_crossing *to, PyObject *object)
{
    PyObject *mine =
        _Px_IsMains(object) ? Py_NewRef(object) : _Px_Known(to, object);
    if (!mine && _Px_IsMains(Py_TYPE(object))) {
        mine = _Px_FindMember(object);
    }
    Py_XDECREF(mine);
    return mine && _PyType_SUPPORTS_WEAKREFS(Py_TYPE(mine)) ? mine : NULL;
}

/* By its address, that is, or not at all. */
static bool
is_hashed_early(PyObject *object)
{
    hashfunc hash = Py_TYPE(object)->tp_hash;
    return hash == PyObject_GenericHash || hash == PyObject_HashNotImplemented;
}

/* What a new reference is to be put behind in the list of its referent. */
static PyWeakReference *
place_in(PyWeakReference *first, const PyWeakReference *reference)
{
    PyWeakReference *place = NULL;
    if (first && is_basic(first) && PyWeakref_CheckRefExact(first) &&
        !(is_basic(reference) && PyWeakref_CheckRefExact(reference))) {
        place = first;
        first = first->wr_next;
    }
    if (first && is_basic(first) && PyWeakref_CheckProxy(first) &&
        !is_basic(reference)) {
        place = first;
    }
    return place;
}

/* As weakrefobject.c does it, for a reference that is there already. */
static void
refer(PyWeakReference *reference, PyObject *referent)
{
    PyWeakReference **list =
        (PyWeakReference **)_PyObject_GET_WEAKREFS_LISTPTR(referent);
    PyWeakReference *place = place_in(*list, reference);
    PyWeakReference **next = place ? &place->wr_next : list;
    reference->wr_object = referent;
    reference->hash = -1;
    reference->wr_prev = place;
    reference->wr_next = *next;
    if (*next) {
        (*next)->wr_prev = reference;
    }
    *next = reference;
}

/* ---- all references of a crossing ---------------------------------------- */

typedef int each(_Px_crossing *to, PyWeakReference *copy,
                 PyWeakReference *from);

static int
do_each(_Px_crossing *to, each *what)
{
    int status = 0;
    for (size_t i = to->instances; !status && i < to->count; i++) {
        PyObject *from = to->order[i];
        if (PyWeakref_Check(from)) {
            PyObject *copy = _Py_hashtable_get(to->memo, from);
            status = what(to, as_reference(copy), as_reference(from));
        }
    }
    return status;
}

static int
resolve(_Px_crossing *to, PyWeakReference *copy, PyWeakReference *from)
{
    if (is_dead(copy) && !is_dead(from)) {
        PyObject *referent = find_referent(to, from->wr_object);
        if (referent) {
            refer(copy, referent);
        }
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* W4. 1: it is. */
static int
is_hashed_by_value(_Px_crossing *Py_UNUSED(to), PyWeakReference *copy,
                   PyWeakReference *from)
{
    return !is_dead(copy) && !_Px_IsMains(from->wr_object) &&
           !is_hashed_early(copy->wr_object);
}

/* W5 */
static int
disarm(_Px_crossing *Py_UNUSED(to), PyWeakReference *copy,
       PyWeakReference *Py_UNUSED(from))
{
    if (copy->wr_callback) {
        _PyWeakref_ClearRef(copy);
    }
    return 0;
}

/* W3 */
static int
hold(_Px_crossing *to, PyWeakReference *copy, PyWeakReference *Py_UNUSED(from))
{
    return is_dead(copy)
               ? 0
               : _Px_PutLate(to, (PyObject *)copy, Py_NewRef(copy->wr_object));
}

/* Its callback may hold other referents, which go with it: not before Python code
 * may run. */
static int
bury(_Px_crossing *to, PyWeakReference *copy, PyWeakReference *from)
{
    PyObject *callback = copy->wr_callback;
    if (!callback || !is_dead(copy) || is_dead(from)) {
        return 0;
    }
    copy->wr_callback = NULL;
    return _Px_PutLate(to, (PyObject *)copy, callback);
}

/* ---- in which order containers are filled -------------------------------- */

/* On a walk to the depth: all that an object refers to has been seen. */
enum { DONE = 1 };

/* Of the context's objects that leave. */
typedef struct ordering {
    _Px_crossing *to;
    _Py_hashtable_t *entries; /* copy of a container -> what it lacks */
    _Py_hashtable_t *seen;
    uintptr_t *stack;
    size_t count, room;
    PyObject *sorted;
} ordering;

static int
put(ordering *all, uintptr_t object)
{
    if (all->count == all->room) {
        size_t room = all->room ? 2 * all->room : 64;
        uintptr_t *stack =
            PyMem_RawRealloc(all->stack, room * sizeof *all->stack);
        if (!stack) {
            return -1;
        }
        all->stack = stack;
        all->room = room;
    }
    all->stack[all->count++] = object;
    return 0;
}

/* Dicts of instances and arguments of exceptions have no copies of their own. */
static bool
may_lead_on(const ordering *all, PyObject *object)
{
    return !_Px_IsMains(object) && !_Py_hashtable_get(all->seen, object) &&
           (PyDict_CheckExact(object) || PyTuple_CheckExact(object) ||
            _Py_hashtable_get(all->to->memo, object));
}

static int
push(PyObject *object, void *arg)
{
    return object && may_lead_on(arg, object) ? put(arg, (uintptr_t)object) : 0;
}

/* W4 */
static int
push_referent(ordering *all, PyObject *object)
{
    PyObject *referent =
        PyWeakref_Check(object) ? as_reference(object)->wr_object : NULL;
    return !referent || is_hashed_early(referent) ? 0 : push(referent, all);
}

static int
look_deeper(ordering *all, PyObject *object)
{
    traverseproc traverse = Py_TYPE(object)->tp_traverse;
    if (_Py_hashtable_get(all->seen, object)) {
        return 0;
    }
    if (_Py_hashtable_set(all->seen, object, object) < 0 ||
        put(all, (uintptr_t)object | DONE) < 0 ||
        push_referent(all, object) < 0) {
        return -1;
    }
    return PyObject_IS_GC(object) && traverse ? traverse(object, push, all) : 0;
}

/* All that @object refers to has its place. */
static int
give_place(ordering *all, PyObject *object)
{
    PyObject *copy = _Py_hashtable_get(all->to->memo, object);
    PyObject *entry = copy ? _Py_hashtable_get(all->entries, copy) : NULL;
    if (entry) {
        (void)_Py_hashtable_steal(all->entries, copy);
    }
    return entry ? PyList_Append(all->sorted, entry) : 0;
}

static int
sort_from(ordering *all, PyObject *root)
{
    int status = push(root, all);
    while (!status && all->count > 0) {
        uintptr_t next = all->stack[--all->count];
        PyObject *object = (PyObject *)(next & ~(uintptr_t)DONE);
        status =
            next & DONE ? give_place(all, object) : look_deeper(all, object);
    }
    return status;
}

static int
list_entries(ordering *all)
{
    PyObject *late = all->to->late;
    int status = all->entries && all->seen && all->sorted ? 0 : -1;
    for (Py_ssize_t i = 0; !status && i < PyList_GET_SIZE(late); i++) {
        PyObject *entry = PyList_GET_ITEM(late, i);
        status =
            _Py_hashtable_set(all->entries, PyTuple_GET_ITEM(entry, 0), entry);
    }
    return status;
}

/* What is in the place of a context's set, but no copy of it: no key has it. */
static int
append_rest(ordering *all)
{
    PyObject *late = all->to->late;
    int status = 0;
    for (Py_ssize_t i = 0; !status && i < PyList_GET_SIZE(late); i++) {
        PyObject *entry = PyList_GET_ITEM(late, i);
        if (_Py_hashtable_get(all->entries, PyTuple_GET_ITEM(entry, 0))) {
            status = PyList_Append(all->sorted, entry);
        }
    }
    return status;
}

static _Py_hashtable_t *
new_table(void)
{
    return _Py_hashtable_new(_Py_hashtable_hash_ptr,
                             _Py_hashtable_compare_direct);
}

static void
drop_ordering(ordering *all)
{
    if (all->entries) {
        _Py_hashtable_destroy(all->entries);
    }
    if (all->seen) {
        _Py_hashtable_destroy(all->seen);
    }
    PyMem_RawFree(all->stack);
    Py_XDECREF(all->sorted);
}

static int
sort_late(_Px_crossing *to, PyObject *root)
{
    ordering all = {to, new_table(), new_table(), NULL, 0, 0, PyList_New(0)};
    int status = list_entries(&all);
    if (!status) {
        status = sort_from(&all, root);
    }
    if (!status) {
        status = append_rest(&all);
    }
    if (!status) {
        Py_SETREF(to->late, Py_NewRef(all.sorted));
    }
    else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    drop_ordering(&all);
    return status;
}

/* ---- from outside -------------------------------------------------------- */

int
_Px_ResolveReferences(_Px_crossing *to, PyObject *root)
{
    int status = do_each(to, resolve);
    if (!status && to->late && do_each(to, is_hashed_by_value)) {
        status = sort_late(to, root);
    }
    if (!status && to->late) {
        status = do_each(to, hold);
    }
    return status ? status : do_each(to, bury);
}

void
_Px_DisarmReferences(_Px_crossing *to)
{
    (void)do_each(to, disarm);
}

/* By which the containers of the library drop what is dead. */
static const char *const removers[] = {
    "WeakSet.__init__.<locals>._remove",
    "WeakValueDictionary.__init__.<locals>.remove",
    "WeakKeyDictionary.__init__.<locals>.remove",
};

static bool
is_named(PyObject *name, const char *text)
{
    return name && PyUnicode_CheckExact(name) &&
           PyUnicode_EqualToUTF8(name, text);
}

static bool
is_remover(PyObject *callback)
{
    PyFunctionObject *func = (PyFunctionObject *)callback;
    bool found = false;
    if (!PyFunction_Check(callback) ||
        !(is_named(func->func_module, "weakref") ||
          is_named(func->func_module, "_weakrefset"))) {
        return false;
    }
    for (size_t i = 0; !found && i < Py_ARRAY_LENGTH(removers); i++) {
        found = is_named(func->func_qualname, removers[i]);
    }
    return found;
}

/* @other: what it refers to, or the callback of a dead one. */
void
_Px_EndReference(PyObject *reference, PyObject *other)
{
    if (!is_dead(as_reference(reference)) || !is_remover(other)) {
        return;
    }
    PyObject *result = PyObject_CallOneArg(other, reference);
    if (!result) {
        PyErr_WriteUnraisable(other);
    }
    Py_XDECREF(result);
}
