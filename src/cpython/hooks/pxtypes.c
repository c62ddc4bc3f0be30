/*
 * Classes that a context makes of main's, and what main makes of these meanwhile.
 *
 *      main's        Base <------- Derived
 *                      ^  ^
 *                      |   \__________
 *      the context's  Mine <-- Yours  Other
 *
 *      Base.tp_subclasses   {Derived}         main's, written by main
 *      Mine.tp_subclasses   {Yours}           the context's
 *      cx->subclasses       {Base: {Mine, Other}}
 *
 * A class has in its slots which special methods it has or inherits, in its order
 * what it inherits from, and in its flags whether it is a sequence or a mapping to
 * patterns. Whoever changes a class has that done for all that are derived from it,
 * by way of tp_subclasses. Main does not reach what contexts have made (T1): it only
 * counts such changes while callbacks are stopped, and a context that goes on and
 * finds the count changed does it for its own, all at once.
 *
 *   T1  Nothing here refers from main's classes to a context's.
 *   T2  A context that is inside has slots, orders and flags that agree with what
 *       main's classes are now: main changes nothing meanwhile.
 *   T3  A class comes after its bases.
 *
 * Other than that nothing is kept of a context's classes: they have no versions, so
 * no methods of theirs are in caches, and no code is specialised for them, which
 * would have to be told (pxspecialize.c, S4).
 *
 * Rejected: doing it for the class that has changed alone (main would have to keep a
 * list; all slots of a class take some 4 us, and only classes count that have a base
 * which can change); for single slots (the same); having main do it (it must not
 * write to a context's memory, and may have changed the class again meanwhile).
 *
 * Thread rule: _Px_ClassChanged() main, with the GIL; all else a thread that is in a
 * context, about that context.
 */
#include "pycore_px.h"

#include "pycore_hashtable.h"

/* ---- the list ------------------------------------------------------------- */

/* cx->subclasses is {address of main's: {address: weak reference}}. Not the class
 * itself: its metaclass may not let it be hashed. */
static PyObject *
subclasses_of(PyObject *address)
{
    PyObject *known = _Px_here.cx->subclasses;
    return known ? PyDict_GetItemWithError(known, address) : NULL;
}

static PyObject *
have_subclasses_of(PyObject *address)
{
    PyObject **known = &_Px_here.cx->subclasses;
    if (!address || (!*known && !(*known = PyDict_New()))) {
        return NULL;
    }
    PyObject *found = subclasses_of(address);
    if (found) {
        return found;
    }
    PyObject *empty = PyDict_New();
    found = empty ? PyDict_SetDefault(*known, address, empty) : NULL;
    Py_XDECREF(empty);
    return found;
}

int
_Px_AddOwnSubclass(PyTypeObject *base, PyTypeObject *type)
{
    PyObject *address = PyLong_FromVoidPtr(base);
    PyObject *others = have_subclasses_of(address);
    PyObject *key = PyLong_FromVoidPtr(type);
    PyObject *ref = PyWeakref_NewRef((PyObject *)type, NULL);
    int status = others && key && ref ? PyDict_SetItem(others, key, ref) : -1;
    Py_XDECREF(address);
    Py_XDECREF(key);
    Py_XDECREF(ref);
    return status;
}

/* It may have got other bases since. */
static bool
has_base(PyTypeObject *type, PyTypeObject *base)
{
    PyObject *bases = type->tp_bases;
    Py_ssize_t i = bases ? PyTuple_GET_SIZE(bases) : 0;
    while (i > 0 && PyTuple_GET_ITEM(bases, i - 1) != (PyObject *)base) {
        i--;
    }
    return i > 0;
}

static int
append_subclass(PyObject *list, PyTypeObject *base, PyObject *ref)
{
    PyObject *type = NULL;
    int status = PyWeakref_GetRef(ref, &type);
    if (status == 1 && has_base((PyTypeObject *)type, base)) {
        status = PyList_Append(list, type);
    }
    Py_XDECREF(type);
    return status;
}

/* Steals @list, the subclasses that main has made. */
PyObject *
_Px_WithOwnSubclasses(PyTypeObject *base, PyObject *list)
{
    PyObject *address = _Px_IN() ? PyLong_FromVoidPtr(base) : NULL;
    PyObject *ref, *own = address ? subclasses_of(address) : NULL;
    Py_ssize_t at = 0;
    while (own && list && PyDict_Next(own, &at, NULL, &ref)) {
        if (append_subclass(list, base, ref) < 0) {
            Py_CLEAR(list);
        }
    }
    Py_XDECREF(address);
    return list;
}

/* ---- main's changes ------------------------------------------------------- */

/* Read by contexts while main stands still. */
static struct {
    uint64_t epoch;           /* counts them */
    uint64_t order;           /* the last one of __bases__ */
    _Px_fix_slots *fix_slots; /* typeobject.c's */
    _Px_fix_order *fix_order;
} changes;

void
_Px_ClassChanged(_Px_fix_slots *slots, _Px_fix_order *order)
{
    changes.epoch++;
    if (slots) {
        changes.fix_slots = slots;
    }
    if (order) {
        changes.fix_order = order;
        changes.order = changes.epoch;
    }
}

/* ---- all classes of a context --------------------------------------------- */

/* {class: itself when it is done}, with a reference to each. */
static void
drop_class(void *type)
{
    Py_DECREF((PyObject *)type);
}

static _Py_hashtable_t *
new_table(void)
{
    return _Py_hashtable_new_full(_Py_hashtable_hash_ptr,
                                  _Py_hashtable_compare_direct, drop_class,
                                  NULL, NULL);
}

static int collect(_Py_hashtable_t *all, PyObject *refs);

static int
collect_class(_Py_hashtable_t *all, PyObject *type)
{
    if (_Py_hashtable_get_entry(all, type)) {
        return 0;
    }
    if (_Py_hashtable_set(all, type, NULL) < 0) {
        return -1;
    }
    PyObject *more = ((PyTypeObject *)type)->tp_subclasses;
    Py_INCREF(type);
    return more ? collect(all, more) : 0;
}

/* From {address: weak reference}. Runs no Python code. */
static int
collect(_Py_hashtable_t *all, PyObject *refs)
{
    PyObject *ref, *type;
    Py_ssize_t at = 0;
    int status = 0;
    while (status == 0 && PyDict_Next(refs, &at, NULL, &ref)) {
        if (PyWeakref_GetRef(ref, &type) == 1) {
            status = collect_class(all, type);
            Py_DECREF(type);
        }
    }
    return status;
}

static int
collect_all(_Py_hashtable_t *all)
{
    PyObject *refs, *known = _Px_here.cx->subclasses;
    Py_ssize_t at = 0;
    int status = 0;
    while (known && status == 0 && PyDict_Next(known, &at, NULL, &refs)) {
        status = collect(all, refs);
    }
    return status;
}

/* ---- a class that goes on ------------------------------------------------- */

/* The context's own have been seen to when they changed. */
static bool
may_change(PyTypeObject *type)
{
    return _Px_FOREIGN(type) &&
           !PyType_HasFeature(type, Py_TPFLAGS_IMMUTABLETYPE);
}

static bool
inherits_what_may_change(PyTypeObject *type)
{
    PyObject *order = type->tp_mro;
    Py_ssize_t i = order ? PyTuple_GET_SIZE(order) : 0;
    while (i > 0 &&
           !may_change((PyTypeObject *)PyTuple_GET_ITEM(order, i - 1))) {
        i--;
    }
    return i > 0;
}

typedef struct fixing {
    _Py_hashtable_t *all;
    bool order;
    bool poor; /* memory was short */
} fixing;

/* May run Python code: a metaclass' mro(). Main's new bases may leave no order, and
 * main cannot be told any more: the class keeps the one it has. */
static void
fix_order(fixing *to, PyTypeObject *type)
{
    if (changes.fix_order(type, NULL) >= 0) {
        return;
    }
    if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
        to->poor = true;
        PyErr_Clear();
        return;
    }
    PyErr_FormatUnraisable("Exception ignored: main has changed bases, and %R "
                           "keeps its old order",
                           type);
}

/* As when the class was made: the first base that is a sequence or a mapping says
 * which. */
static void
fix_flags(PyTypeObject *type)
{
    const unsigned long kinds = Py_TPFLAGS_SEQUENCE | Py_TPFLAGS_MAPPING;
    PyObject *bases = type->tp_bases;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
        if ((type->tp_flags & kinds) == 0) {
            type->tp_flags |= base->tp_flags & kinds;
        }
    }
}

static void
fix_class(fixing *to, PyTypeObject *type)
{
    if (!inherits_what_may_change(type)) {
        return;
    }
    if (to->order) {
        fix_order(to, type);
    }
    fix_flags(type);
    if (changes.fix_slots) {
        changes.fix_slots(type);
    }
}

/* T3 */
static void
fix_after_bases(fixing *to, PyTypeObject *type)
{
    _Py_hashtable_entry_t *entry = _Py_hashtable_get_entry(to->all, type);
    if (!entry || entry->value) {
        return; /* main's, or done */
    }
    entry->value = type;
    PyObject *bases = Py_NewRef(type->tp_bases);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        fix_after_bases(to, (PyTypeObject *)PyTuple_GET_ITEM(bases, i));
    }
    Py_DECREF(bases);
    fix_class(to, type);
}

static int
fix_entry(_Py_hashtable_t *Py_UNUSED(all), const void *type,
          const void *Py_UNUSED(value), void *to)
{
    fix_after_bases(to, (PyTypeObject *)(uintptr_t)type);
    return 0;
}

static bool
fix_all(bool order)
{
    fixing to = {.all = new_table(), .order = order};
    to.poor = !to.all || collect_all(to.all) < 0;
    if (!to.poor) {
        (void)_Py_hashtable_foreach(to.all, fix_entry, &to);
    }
    if (to.all) {
        _Py_hashtable_destroy(to.all);
    }
    return !to.poor;
}

/* T2. What a metaclass' mro() does may stop, and then main changes even more. */
static void
catch_up(struct _Px_cx *cx)
{
    bool rich = true;
    while (rich && cx->classes_seen != changes.epoch) {
        uint64_t now = changes.epoch;
        rich = fix_all(cx->classes_seen < changes.order);
        cx->classes_seen = rich ? now : cx->classes_seen;
    }
}

/* Without memory to do it, it is done the next time. */
void
_Px_FixClasses(void)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx->classes_seen == changes.epoch || cx->fixes_classes) {
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    cx->fixes_classes = true;
    catch_up(cx);
    cx->fixes_classes = false;
    PyErr_SetRaisedException(raised);
}

void
_Px_OwnNoClasses(struct _Px_cx *cx)
{
    cx->subclasses = NULL;
    cx->classes_seen = changes.epoch;
    cx->fixes_classes = false;
}
