/*
 * Objects that leave a context: the main thread makes its own copy of them,
 * while contexts stand still.
 *
 *      outcome in the context           copy of main's
 *      list ----> Point                 list ----> Point
 *        |          x, y --> ...          |          x, y --> ...
 *        +--> object of main's <----------+
 *
 * What main owns already is not copied: the copy refers to it, with a counted
 * reference. What a context owns is copied field by field, as pxcopy.c and
 * pxclass.c know the kinds of objects; exceptions by pxexcept.c. Shared parts
 * stay shared and cycles stay cycles. No method of a class is called, so that
 * nothing of main's changes before all outcomes are safe: but for hashes and
 * comparisons, if keys of a dict or members of a set need Python code for them.
 * These containers stay empty until _Px_FillLate(), when all copies are made. Weak
 * references are not followed: at the end they refer to what was copied (pxweak.c).
 *
 *   C1  A context's object is only looked at: what is counted up on the way is
 *       counted down again. Who has its descriptor is noted elsewhere.
 *   C2  A copy is in the memo before its parts are copied.
 *   C3  Between the first copy of a harvest and the last no Python code runs.
 *   C4  What a container that is filled late contains is complete before it.
 *   C5  Whoever goes on after a part could not be copied forgets all copies
 *       since its beginning: some of them lack parts of theirs.
 *   C6  What is in the place of main's instance leaves as that instance.
 *   C7  A copy that main never gets to see is not finalized: parts of it may be
 *       missing, of its class even.
 *   C8  A class is among the subclasses of its bases when all copies are made.
 *
 * Rejected: keeping the context, and letting main use what lies there. Its
 * references to main's objects are not counted: while one context is kept, what
 * main drops would stay in limbo, and main's collector wait. A task that returns
 * one small object would keep all that it ever allocated, and 16 TB of addresses
 * are 2048 contexts. Counts of a young context are upper bounds, so nobody would
 * know when the last reference is gone. Nor pickling, which runs Python code of
 * the classes on the way out and in, and takes four times as long.
 *
 * Thread rule: the main side with the GIL, contexts at rest.
 */
#include "pycore_pxcross.h"

#include "pycore_ceval.h"
#include "pycore_gc.h"
#include "pycore_hashtable.h"
#include "pycore_long.h"
#include "pycore_setobject.h"

px_luggage *_Px_luggage;

enum { SHORT = 4 }; /* digits of an int, of 30 bits each */

/* ---- the memo ------------------------------------------------------------ */

static int
have_room(_Px_crossing *to)
{
    if (to->count < to->room) {
        return 0;
    }
    size_t room = to->room ? 2 * to->room : 64;
    PyObject **order = PyMem_RawRealloc(to->order, room * sizeof *order);
    if (!order) {
        return -1;
    }
    to->order = order;
    to->room = room;
    return 0;
}

static PyObject *
find_copy(const _Px_crossing *to, PyObject *object)
{
    PyObject *known = _Py_hashtable_get(to->memo, object);
    return known && known != Py_None ? Py_NewRef(known) : NULL;
}

/* C7 */
static void
silence(PyObject *copy)
{
    if (PyType_Check(copy)) {
        ((PyTypeObject *)copy)->tp_finalize = NULL;
        ((PyTypeObject *)copy)->tp_del = NULL;
    }
    else if (PyObject_IS_GC(copy)) {
        _PyGC_SET_FINALIZED(copy);
    }
}

PyObject *
_Px_DropCopy(PyObject *copy)
{
    if (copy) {
        silence(copy);
        Py_DECREF(copy);
    }
    return NULL;
}

/* Takes both over, and hands @known back, of which @copy is another copy. */
static PyObject *
prefer(PyObject *known, PyObject *copy)
{
    if (copy == known) {
        Py_DECREF(copy);
    }
    else {
        (void)_Px_DropCopy(copy);
    }
    return known;
}

/* C2. Takes @copy over and hands it back. */
static PyObject *
remember_new(_Px_crossing *to, PyObject *object, PyObject *copy)
{
    if (have_room(to) < 0 || _Py_hashtable_set(to->memo, object, copy) < 0) {
        (void)_Px_DropCopy(copy);
        return PyErr_NoMemory();
    }
    to->order[to->count++] = object;
    return Py_NewRef(copy); /* one for the memo */
}

PyObject *
_Px_Known(const _Px_crossing *to, PyObject *object)
{
    return find_copy(to, object);
}

/* Takes @copy over, which may be NULL, and hands it back, or the one that a part
 * of it, made first, has led to: obj.m = obj.method. */
PyObject *
_Px_Remember(_Px_crossing *to, PyObject *object, PyObject *copy)
{
    PyObject *known = copy ? find_copy(to, object) : NULL;
    return !copy   ? NULL
           : known ? prefer(known, copy)
                   : remember_new(to, object, copy);
}

_Px_crossing_mark
_Px_MarkCrossing(const _Px_crossing *to)
{
    return (_Px_crossing_mark){to->count,
                               to->late ? PyList_GET_SIZE(to->late) : 0};
}

/* C7. All before the first goes: one may be part of another. */
static void
silence_since(const _Px_crossing *to, size_t first)
{
    for (size_t i = Py_MAX(first, to->instances); i < to->count; i++) {
        PyObject *copy = _Py_hashtable_get(to->memo, to->order[i]);
        if (copy) {
            silence(copy);
            _Px_GiveBack(copy, to->order[i]);
        }
    }
}

/* C5 */
void
_Px_ForgetSince(_Px_crossing *to, _Px_crossing_mark mark)
{
    silence_since(to, mark.count);
    while (to->count > mark.count) {
        Py_XDECREF(_Py_hashtable_steal(to->memo, to->order[--to->count]));
    }
    if (to->late &&
        PyList_SetSlice(to->late, mark.late, PY_SSIZE_T_MAX, NULL)) {
        PyErr_Clear(); /* to cut a list short takes no memory */
    }
}

static void
drop_reference(void *object)
{
    Py_DECREF((PyObject *)object);
}

/* ---- whatever it is ------------------------------------------------------ */

PyObject *
_Px_Refuse(PyObject *object)
{
    return PyErr_Format(_Px_PersistenceError,
                        "a '%.100s' object cannot leave its context: return "
                        "what it stands for, as plain data",
                        Py_TYPE(object)->tp_name);
}

/* What @copy, which is in the memo, has beside what its maker has made. */
static int
complete(_Px_crossing *to, const _Px_kind *kind, PyObject *copy,
         PyObject *object)
{
    if (kind->fill && kind->fill(to, copy, object) < 0) {
        return -1;
    }
    return PyType_Check(copy) ? 0 : _Px_CopyAttributes(to, copy, object);
}

/* Whether nobody misses the identity of this number: it is short, and equals
 * itself. */
static bool
is_cheap(PyObject *number)
{
    if (PyLong_CheckExact(number)) {
        return _PyLong_DigitCount((PyLongObject *)number) <= SHORT;
    }
    if (PyFloat_CheckExact(number)) {
        return !isnan(PyFloat_AS_DOUBLE(number));
    }
    Py_complex value = ((PyComplexObject *)number)->cval;
    return !isnan(value.real) && !isnan(value.imag);
}

/* The class is main's, or main's copy of it. */
static PyObject *
copy_instance(_Px_crossing *to, const _Px_kind *kind, PyTypeObject *type,
              PyObject *object)
{
    PyObject *copy = kind->make(to, type, object);
    if (copy && kind->is_number && type == kind->type && is_cheap(object)) {
        return copy; /* finding it again would cost more than another copy */
    }
    PyObject *known = copy ? find_copy(to, object) : NULL;
    if (known) {
        return prefer(known, copy);
    }
    copy = copy ? remember_new(to, object, copy) : NULL;
    if (copy && complete(to, kind, copy, object) < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}

/* Its class may lead to it: a member of an enum. */
static PyObject *
copy_with_class(_Px_crossing *to, const _Px_kind *kind, PyObject *object)
{
    PyObject *type = _Px_CopyPart(to, (PyObject *)Py_TYPE(object));
    PyObject *copy = type ? find_copy(to, object) : NULL;
    if (type && !copy) {
        copy = copy_instance(to, kind, (PyTypeObject *)type, object);
    }
    Py_XDECREF(type);
    return copy;
}

static PyObject *
copy_object(_Px_crossing *to, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    const _Px_kind *kind = _Px_KindOf(type);
    if (!kind) {
        return _Px_Refuse(object);
    }
    if (!_Px_IsMains(type)) {
        return copy_with_class(to, kind, object);
    }
    PyObject *copy = _Px_FindMember(object);
    if (copy || PyErr_Occurred()) {
        return copy;
    }
    copy = copy_instance(to, kind, type, object);
    if (copy && _Px_AddMember(copy) < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}

PyObject *
_Px_CopyPart(_Px_crossing *to, PyObject *object)
{
    PyObject *known =
        _Px_IsMains(object) ? Py_NewRef(object) : find_copy(to, object);
    if (known) {
        return known;
    }
    if (Py_EnterRecursiveCall(" while copying out of a context")) {
        return NULL;
    }
    PyObject *copy = PyExceptionInstance_Check(object)
                         ? _Px_CopyException(to, object)
                         : copy_object(to, object);
    Py_LeaveRecursiveCall();
    return copy;
}

/* ---- containers that need Python code ------------------------------------ */

/* C4: whoever comes here has copied the items, which come first thereby. Takes
 * @items over: of a set its members, of a dict keys and values in turn. */
int
_Px_PutLate(_Px_crossing *to, PyObject *container, PyObject *items)
{
    PyObject *entry = PyTuple_Pack(2, container, items);
    if (!to->late) {
        to->late = PyList_New(0);
    }
    int status = entry && to->late ? PyList_Append(to->late, entry) : -1;
    Py_XDECREF(entry);
    Py_DECREF(items);
    return status;
}

/* The table of a set that is about to go. */
static void
take_table(PySetObject *mine, PySetObject *from)
{
    bool is_small = from->table == from->smalltable;
    memcpy(mine->smalltable, from->smalltable, sizeof from->smalltable);
    mine->table = is_small ? mine->smalltable : from->table;
    mine->mask = from->mask;
    mine->fill = from->fill;
    mine->used = from->used;
    memset(from->smalltable, 0, sizeof from->smalltable);
    from->table = from->smalltable;
    from->mask = PySet_MINSIZE - 1;
    from->fill = from->used = 0;
}

/* A frozen set can be added to by its only user, and of this one other copies
 * know. To count them off meanwhile is not for code that hashes members: the
 * collector may run. */
static int
fill_late_set(PyObject *set, PyObject *members)
{
    if (!PyFrozenSet_Check(set)) {
        return _PySet_Update(set, members);
    }
    PyObject *all = PySet_New(members);
    if (all) {
        take_table((PySetObject *)set, (PySetObject *)all);
        Py_DECREF(all);
    }
    return all ? 0 : -1;
}

static int
fill_late_dict(PyObject *dict, PyObject *items)
{
    int status = 0;
    for (Py_ssize_t i = 0; !status && i < PyList_GET_SIZE(items); i += 2) {
        status = _Px_SetItem(dict, PyList_GET_ITEM(items, i),
                             PyList_GET_ITEM(items, i + 1));
    }
    return status;
}

/* Weak references come after all containers. To a list something is added. */
static int
fill_late(PyObject *container, PyObject *items)
{
    if (PyWeakref_Check(container)) {
        _Px_EndReference(container, items);
        return 0;
    }
    if (PyList_Check(container)) {
        return PyList_SetSlice(container, PY_SSIZE_T_MAX, PY_SSIZE_T_MAX,
                               items);
    }
    return PyAnySet_Check(container) ? fill_late_set(container, items)
           : PyDict_Check(container) ? fill_late_dict(container, items)
                                     : _Px_AdoptFinalizer(container, items);
}

int
_Px_FillLate(PyObject *late)
{
    int status = 0;
    Py_ssize_t count = late ? PyList_GET_SIZE(late) : 0;
    for (Py_ssize_t i = 0; !status && i < count; i++) {
        PyObject *entry = PyList_GET_ITEM(late, i);
        status =
            fill_late(PyTuple_GET_ITEM(entry, 0), PyTuple_GET_ITEM(entry, 1));
    }
    Py_XDECREF(late);
    return status;
}

/* ---- from outside -------------------------------------------------------- */

/* C code may have told of an object of the context's in its error. */
static void
clean_error(void)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *arguments = ((PyBaseExceptionObject *)error)->args;
    bool clean = true;
    for (Py_ssize_t i = 0; clean && i < PyTuple_GET_SIZE(arguments); i++) {
        clean = _Px_IsMains(PyTuple_GET_ITEM(arguments, i));
    }
    if (clean) {
        PyErr_SetRaisedException(error);
        return;
    }
    PyErr_Format(_Px_PersistenceError, "%.100s while copying out of a context",
                 Py_TYPE(error)->tp_name);
    Py_DECREF(error);
}

/* C6 */
static int
know_instances(_Px_crossing *to)
{
    int status = 0;
    struct _Px_instead *at = _Px_luggage ? _Px_luggage->instead : NULL;
    for (; at && !status; at = at->next) {
        PyObject *known = _Px_Remember(to, at->own, Py_NewRef(at->of));
        status = known ? 0 : -1;
        Py_XDECREF(known);
    }
    to->instances = to->count;
    return status;
}

/* C8 */
static int
add_classes(const _Px_crossing *to)
{
    int status = 0;
    for (size_t i = to->instances; !status && i < to->count; i++) {
        PyObject *copy = _Py_hashtable_get(to->memo, to->order[i]);
        if (PyType_Check(copy)) {
            status = _Px_AddClass(to, (PyTypeObject *)copy,
                                  (PyTypeObject *)to->order[i]);
        }
    }
    return status;
}

/* Without an error in sight: a deque that goes while memory is short clears it. */
static void
end_crossing(_Px_crossing *to, bool failed)
{
    PyObject *error = PyErr_GetRaisedException();
    if (failed && to->has_references) {
        _Px_DisarmReferences(to);
    }
    if (failed) {
        silence_since(to, 0);
    }
    _Py_hashtable_destroy(to->memo);
    PyMem_RawFree(to->order);
    if (failed) {
        Py_CLEAR(to->late);
    }
    PyErr_SetRaisedException(error);
}

/* All is copied that the outcome refers to. */
static int
complete_all(_Px_crossing *to, PyObject *object)
{
    if (_Px_CopyFinalizers(to) < 0 ||
        (to->has_references && _Px_ResolveReferences(to, object) < 0)) {
        return -1;
    }
    return to->has_classes ? add_classes(to) : 0;
}

static PyObject *
cross(PyObject *object, PyObject **late,
      PyObject *(*copy)(_Px_crossing *, PyObject *))
{
    _Px_crossing to = {.memo = _Py_hashtable_new_full(
                           _Py_hashtable_hash_ptr, _Py_hashtable_compare_direct,
                           NULL, drop_reference, NULL)};
    if (!to.memo) {
        return PyErr_NoMemory();
    }
    PyObject *result = know_instances(&to) < 0 ? NULL : copy(&to, object);
    if (result && complete_all(&to, object) < 0) {
        Py_CLEAR(result);
    }
    end_crossing(&to, !result);
    _Px_NoteFinalizers(result);
    if (!result) {
        clean_error();
    }
    *late = to.late;
    return result;
}

PyObject *
_Px_Promote(PyObject *object, PyObject **late)
{
    *late = NULL;
    return _Px_IsMains(object) ? Py_NewRef(object)
                               : cross(object, late, _Px_CopyPart);
}

PyObject *
_Px_PromoteException(PyObject *exception, PyObject **late)
{
    *late = NULL;
    PyObject *copy = cross(exception, late, _Px_CopyException);
    return copy ? copy : PyErr_GetRaisedException();
}
