/*
 * What a context has in the place of objects of main's, and of what modules in C
 * keep.
 *
 *      tstate->dict    {object of main's: the context's, ...}
 *      cx->states -->  [state of a module in C, the context's] the last asked for
 *                                   |
 *                      all --> {state of main's: the context's, ...}
 *
 * An object of main's that a context is about to change, though none of that is
 * meant for others, gets one of the context's in its place: made by whoever asks
 * (`_parallel.here`), or in one of three ways:
 *
 *      PX_COPY      a copy of a dict, list or set; of anything else itself
 *      PX_NEW       another object of its class
 *      PX_INSTANCE  a copy of an instance, with its own dicts, lists and sets
 *
 * Whoever asks for the same object gets the same again, by whatever name: so does
 * code in C that has its containers in a state, whose copy the context uses.
 *
 *   P1  Nothing here refers from main's objects to a context's.
 *   P2  What is in the place of main's object is the context's until it is over.
 *
 * Thread rule: a thread that is in a context, about that context; _Px_InPlaceOf()
 * and _Px_Seen() any thread.
 */
#include "pycore_px.h"

#include "pycore_ceval.h"
#include "pycore_descrobject.h"
#include "pycore_hashtable.h"
#include "pycore_object.h"

/* ---- in which way -------------------------------------------------------- */

static PyObject *
another_of_its_class(PyObject *value)
{
    return PyObject_CallNoArgs((PyObject *)Py_TYPE(value));
}

static PyObject *
shallow_copy_of_dict(PyObject *value)
{
    PyObject *copier = NULL;
    if (PyDict_CheckExact(value)) {
        return PyDict_Copy(value);
    }
    if (PyObject_GetOptionalAttrString(value, "__copy__", &copier) < 0) {
        return NULL;
    }
    PyObject *copy =
        copier ? PyObject_CallNoArgs(copier) : another_of_its_class(value);
    if (copy && !copier && PyDict_Update(copy, value) < 0) {
        Py_CLEAR(copy);
    }
    Py_XDECREF(copier);
    return copy;
}

static PyObject *copy_of(PyObject *value);

/* With copies of the dicts and lists in it. */
static PyObject *
copy_of_dict(PyObject *value)
{
    PyObject *key, *item, *copy = shallow_copy_of_dict(value);
    Py_ssize_t at = 0;
    while (copy && PyDict_Next(value, &at, &key, &item)) {
        bool inner = PyDict_Check(item) || PyList_CheckExact(item);
        PyObject *own = inner ? copy_of(item) : NULL;
        if (inner && (!own || PyDict_SetItem(copy, key, own) < 0)) {
            Py_CLEAR(copy);
        }
        Py_XDECREF(own);
    }
    return copy;
}

static PyObject *
copy_of_tuple(PyObject *value)
{
    Py_ssize_t count = PyTuple_GET_SIZE(value);
    PyObject *copy = PyTuple_New(count);
    for (Py_ssize_t i = 0; copy && i < count; i++) {
        PyObject *own = copy_of(PyTuple_GET_ITEM(value, i));
        if (own) {
            PyTuple_SET_ITEM(copy, i, own);
        }
        else {
            Py_CLEAR(copy);
        }
    }
    return copy;
}

/* A dict may be in itself. */
static PyObject *
copy_of_nested(PyObject *value)
{
    if (Py_EnterRecursiveCall(" while copying for a context")) {
        return NULL;
    }
    PyObject *copy =
        PyDict_Check(value) ? copy_of_dict(value) : copy_of_tuple(value);
    Py_LeaveRecursiveCall();
    return copy;
}

/* A new reference to @value itself if it is no container. */
static PyObject *
copy_of(PyObject *value)
{
    return PyList_CheckExact(value)  ? PySequence_List(value)
           : PySet_CheckExact(value) ? PySet_New(value)
           : PyDict_Check(value) || PyTuple_CheckExact(value)
               ? copy_of_nested(value)
               : Py_NewRef(value);
}

/* Of a method in C it is that of another object: counters are kept as
 * itertools.count().__next__. */
static PyObject *
new_instead_of(PyObject *value)
{
    if (!Py_IS_TYPE(value, &_PyMethodWrapper_Type)) {
        return another_of_its_class(value);
    }
    PyObject *copy = NULL, *self = PyObject_GetAttrString(value, "__self__");
    PyObject *name = self ? PyObject_GetAttr(value, &_Py_ID(__name__)) : NULL;
    PyObject *another = name ? another_of_its_class(self) : NULL;
    if (another) {
        copy = PyObject_GetAttr(another, name);
    }
    Py_XDECREF(another);
    Py_XDECREF(name);
    Py_XDECREF(self);
    return copy;
}

static int
copy_attributes(PyObject *copy, PyObject *attributes)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    int status = 0;
    while (status == 0 && PyDict_Next(attributes, &at, &name, &value)) {
        PyObject *own = copy_of(value);
        status = own ? PyObject_GenericSetAttr(copy, name, own) : -1;
        Py_XDECREF(own);
    }
    return status;
}

/* All it has is its attributes. */
static bool
is_plain(PyTypeObject *type)
{
    return type->tp_basicsize == PyBaseObject_Type.tp_basicsize &&
           type->tp_itemsize == 0 &&
           PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE);
}

static PyObject *
copy_of_instance(PyObject *object)
{
    if (!is_plain(Py_TYPE(object))) {
        (void)_Px_RaiseForeign(object);
        return NULL;
    }
    PyObject *attributes = PyObject_GenericGetDict(object, NULL);
    PyObject *copy =
        attributes ? PyType_GenericAlloc(Py_TYPE(object), 0) : NULL;
    if (copy && copy_attributes(copy, attributes) < 0) {
        Py_CLEAR(copy);
    }
    Py_XDECREF(attributes);
    return copy;
}

/* ---- in the place of ------------------------------------------------------ */

/* The object itself if it can be hashed (_random looks for that), or else its
 * address: what main drops meanwhile stays where it is. */
static PyObject *
key_of(PyObject *object)
{
    return Py_TYPE(object)->tp_hash == PyObject_HashNotImplemented
               ? PyLong_FromVoidPtr(object)
               : Py_NewRef(object);
}

/* A borrowed reference; NULL, perhaps with an exception, if there is nothing. */
static PyObject *
in_place_of(PyObject *object)
{
    PyObject *dict = PyThreadState_GetDict();
    PyObject *key = dict ? key_of(object) : PyErr_NoMemory();
    PyObject *own = key ? PyDict_GetItemWithError(dict, key) : NULL;
    Py_XDECREF(key);
    return own;
}

/* Steals @own and returns it. */
static PyObject *
put_in_place_of(PyObject *object, PyObject *own)
{
    PyObject *key = own ? key_of(object) : NULL;
    if (own &&
        (!key || PyDict_SetItem(PyThreadState_GetDict(), key, own) < 0)) {
        Py_CLEAR(own);
    }
    Py_XDECREF(key);
    return own;
}

static PyObject *
make_instead(PyObject *object, long kind)
{
    return kind == PX_COPY  ? copy_of(object)
           : kind == PX_NEW ? new_instead_of(object)
                            : copy_of_instance(object);
}

/* When it leaves it is main's again. */
static int
note_instance(PyObject *object, PyObject *own)
{
    struct _Px_instead *note = PyMem_Malloc(sizeof *note);
    if (!note) {
        PyErr_NoMemory();
        return -1;
    }
    *note = (struct _Px_instead){own, object, _Px_here.cx->instead};
    _Px_here.cx->instead = note;
    return 0;
}

PyObject *
_Px_MakeInPlaceOf(PyObject *object, long kind)
{
    PyObject *own = _Px_OWN(object) ? object : in_place_of(object);
    if (own || PyErr_Occurred()) {
        return Py_XNewRef(own);
    }
    own = put_in_place_of(object, make_instead(object, kind));
    if (own && kind == PX_INSTANCE && note_instance(object, own) < 0) {
        Py_CLEAR(own);
    }
    return own;
}

PyObject *
_Px_InPlaceOf(PyObject *object, PyObject *make)
{
    PyObject *own = _Px_OWN(object) ? object : in_place_of(object);
    return own || PyErr_Occurred()
               ? Py_XNewRef(own)
               : put_in_place_of(object, PyObject_CallNoArgs(make));
}

/* A borrowed reference: for C code that would store it in main's object. */
PyObject *
_Px_Instead(PyObject *object, PyObject *make(PyObject *object))
{
    PyObject *own = in_place_of(object);
    if (!own && !PyErr_Occurred()) {
        own = put_in_place_of(object, make(object));
        Py_XDECREF(own);
    }
    return own;
}

PyObject *
_Px_Seen(PyObject *object)
{
    PyObject *own = _Px_OWN(object) ? object : in_place_of(object);
    return PyErr_Occurred() ? NULL : Py_NewRef(own ? own : object);
}

/* ---- state of modules in C ----------------------------------------------- */

/* Weak sets begin empty: those who are in there are main's. */
static int
copy_containers(PyObject **first, PyObject **end)
{
    for (PyObject **field = first; field < end; field++) {
        bool weak = *field && PyObject_HasAttrStringWithError(
                                  *field, "_pending_removals") == 1;
        PyObject *copy =
            *field ? _Px_MakeInPlaceOf(*field, weak ? PX_NEW : PX_COPY) : NULL;
        if (*field && !copy) {
            return -1;
        }
        *field = copy;
    }
    return 0;
}

/* Offsets of the fields; what is not kept begins as 0. */
struct shape {
    size_t bytes, first, last, kept;
};

struct _Px_state {
    const void *of;       /* main's */
    _Py_hashtable_t *all; /* of this context's, by what they are of */
    char own[];
};

/* The one that is asked for will be asked for again. */
static struct _Px_state *
find_state(const void *state)
{
    struct _Px_state *beside = _Px_here.cx->states;
    if (beside && beside->of != state) {
        beside = _Py_hashtable_get(beside->all, state);
        if (beside) {
            _Px_here.cx->states = beside;
        }
    }
    return beside;
}

/* Copying may have run code that uses the same state: then there is one. */
static struct _Px_state *
put_state(const void *state, struct _Px_state *beside)
{
    struct _Px_state *known = find_state(state), *last = _Px_here.cx->states;
    if (known) {
        return known;
    }
    beside->of = state;
    beside->all = last ? last->all
                       : _Py_hashtable_new(_Py_hashtable_hash_ptr,
                                           _Py_hashtable_compare_direct);
    if (!beside->all || _Py_hashtable_set(beside->all, state, beside) < 0) {
        PyErr_NoMemory();
        return NULL;
    }
    return _Px_here.cx->states = beside;
}

static struct _Px_state *
add_state(const void *state, struct shape shape)
{
    struct _Px_state *beside = PyMem_Calloc(1, sizeof *beside + shape.bytes);
    if (!beside) {
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(beside->own, state, shape.kept);
    int status = copy_containers((PyObject **)(beside->own + shape.first),
                                 (PyObject **)(beside->own + shape.last) + 1);
    return status < 0 ? NULL : put_state(state, beside);
}

void *
_Px_SeenState(void *state)
{
    struct _Px_state *beside = find_state(state);
    return beside ? beside->own : state;
}

/* For lack of memory main's, whose containers are guarded. */
void *
_Px_OwnState(void *state, size_t bytes, size_t first, size_t last, size_t kept)
{
    struct _Px_state *beside = find_state(state);
    if (!beside) {
        PyObject *raised = PyErr_GetRaisedException();
        beside = add_state(state, (struct shape){bytes, first, last, kept});
        _Px_NoteOwn(beside);
        PyErr_SetRaisedException(raised);
    }
    return beside ? beside->own : state;
}
