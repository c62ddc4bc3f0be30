/*
 * Objects that leave a context: the main thread makes its own copy of them,
 * while contexts stand still (promotion).
 *
 * What main owns already is not copied: the copy refers to it, with a counted
 * reference. What a context owns is copied if its type is exactly one of those
 * in `copiers`; shared parts stay shared and cycles stay cycles.
 *
 *   C1  A context's object is only looked at, never counted: main must not be
 *       the one who drops its last reference.
 *   C2  A copy is in the memo before its parts are copied.
 *
 * Exceptions are copied whatever their class, as well as can be: their base
 * class of C code makes the copy from the promoted arguments, so that the
 * fields of its layout (errno, start, value) are set as well; the traceback is
 * made anew from the code objects and the line numbers of the old one.
 *
 * Rejected: pickling, which runs Python code of the classes on the way out and
 * on the way in, and costs ten times as much.
 *
 * Thread rule: the main thread, contexts at rest.
 */
#include "pycore_px.h"

#include "frameobject.h"
#include "pycore_frame.h"
#include "pycore_hashtable.h"
#include "pycore_long.h"
#include "pycore_pyerrors.h"
#include "pycore_setobject.h"
#include "pycore_unicodeobject.h"

typedef struct crossing {
    _Py_hashtable_t *memo; /* the context's object -> main's copy, counted */
} crossing;

typedef PyObject *copier(crossing *, PyObject *);

static PyObject *promote(crossing *, PyObject *);
static PyObject *promote_exception(crossing *, PyObject *);

/* Neither a context's own nor in its reach. */
static bool
is_mains(const void *object)
{
    return px_owner_word(object) == 0;
}

/* C2. @copy, or NULL when it cannot be remembered. */
static PyObject *
remember(crossing *to, PyObject *object, PyObject *copy)
{
    if (!copy) {
        return NULL;
    }
    if (_Py_hashtable_set(to->memo, object, copy) < 0) {
        Py_DECREF(copy);
        return PyErr_NoMemory();
    }
    return Py_NewRef(copy); /* one for the memo */
}

/* ---- values without parts ------------------------------------------------ */

static PyObject *
copy_int(crossing *Py_UNUSED(to), PyObject *object)
{
    return _PyLong_Copy((PyLongObject *)object);
}

static PyObject *
copy_float(crossing *Py_UNUSED(to), PyObject *object)
{
    return PyFloat_FromDouble(PyFloat_AS_DOUBLE(object));
}

static PyObject *
copy_complex(crossing *Py_UNUSED(to), PyObject *object)
{
    return PyComplex_FromCComplex(((PyComplexObject *)object)->cval);
}

static PyObject *
copy_str(crossing *Py_UNUSED(to), PyObject *object)
{
    return _PyUnicode_Copy(object);
}

static PyObject *
copy_bytes(crossing *Py_UNUSED(to), PyObject *object)
{
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(object),
                                     PyBytes_GET_SIZE(object));
}

static PyObject *
copy_bytearray(crossing *Py_UNUSED(to), PyObject *object)
{
    return PyByteArray_FromStringAndSize(PyByteArray_AS_STRING(object),
                                         PyByteArray_GET_SIZE(object));
}

/* ---- containers ---------------------------------------------------------- */

/* Fill the new @copy, whose items are at @to_items; drops it on failure. */
static PyObject *
fill(crossing *to, PyObject *copy, PyObject **to_items, PyObject **items,
     Py_ssize_t count)
{
    for (Py_ssize_t i = 0; copy && i < count; i++) {
        to_items[i] = promote(to, items[i]);
        if (!to_items[i]) {
            Py_CLEAR(copy);
        }
    }
    return copy;
}

static PyObject *
copy_tuple(crossing *to, PyObject *object)
{
    Py_ssize_t count = PyTuple_GET_SIZE(object);
    PyObject *copy = remember(to, object, PyTuple_New(count));
    return copy ? fill(to, copy, ((PyTupleObject *)copy)->ob_item,
                       ((PyTupleObject *)object)->ob_item, count)
                : NULL;
}

static PyObject *
copy_list(crossing *to, PyObject *object)
{
    Py_ssize_t count = PyList_GET_SIZE(object);
    PyObject *copy = remember(to, object, PyList_New(count));
    return copy ? fill(to, copy, ((PyListObject *)copy)->ob_item,
                       ((PyListObject *)object)->ob_item, count)
                : NULL;
}

/* Takes the copies of key and value along. */
static int
add_item(PyObject *dict, PyObject *key, PyObject *value)
{
    int status = key && value ? PyDict_SetItem(dict, key, value) : -1;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return status;
}

static PyObject *
copy_dict(crossing *to, PyObject *object)
{
    PyObject *copy = remember(to, object, PyDict_New());
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (copy && PyDict_Next(object, &at, &key, &value)) {
        PyObject *new_key = promote(to, key);
        PyObject *new_value = new_key ? promote(to, value) : NULL;
        if (add_item(copy, new_key, new_value) < 0) {
            Py_CLEAR(copy);
        }
    }
    return copy;
}

static PyObject *
fill_set(crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *key;
    Py_ssize_t at = 0;
    Py_hash_t hash;
    while (copy && _PySet_NextEntry(object, &at, &key, &hash)) {
        PyObject *new_key = promote(to, key);
        if (!new_key || PySet_Add(copy, new_key) < 0) {
            Py_CLEAR(copy);
        }
        Py_XDECREF(new_key);
    }
    return copy;
}

static PyObject *
copy_set(crossing *to, PyObject *object)
{
    return fill_set(to, remember(to, object, PySet_New(NULL)), object);
}

/* A frozen set cannot contain itself, and is to be unique while it is filled:
 * the memo comes last. */
static PyObject *
copy_frozenset(crossing *to, PyObject *object)
{
    PyObject *copy = fill_set(to, PyFrozenSet_New(NULL), object);
    return remember(to, object, copy);
}

/* ---- whatever it is ------------------------------------------------------ */

static const struct {
    PyTypeObject *type;
    copier *copy;
} copiers[] = {
    {&PyLong_Type, copy_int},
    {&PyUnicode_Type, copy_str},
    {&PyFloat_Type, copy_float},
    {&PyBytes_Type, copy_bytes},
    {&PyTuple_Type, copy_tuple},
    {&PyList_Type, copy_list},
    {&PyDict_Type, copy_dict},
    {&PySet_Type, copy_set},
    {&PyFrozenSet_Type, copy_frozenset},
    {&PyComplex_Type, copy_complex},
    {&PyByteArray_Type, copy_bytearray},
};

static copier *
copier_of(PyObject *object)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(copiers); i++) {
        if (Py_IS_TYPE(object, copiers[i].type)) {
            return copiers[i].copy;
        }
    }
    return PyExceptionInstance_Check(object) ? promote_exception : NULL;
}

static PyObject *
refuse(PyObject *object)
{
    return PyErr_Format(_Px_PersistenceError,
                        "a '%.100s' object cannot leave its context: return "
                        "numbers, strings, bytes, and lists, tuples, dicts and "
                        "sets of them",
                        Py_TYPE(object)->tp_name);
}

static PyObject *
promote(crossing *to, PyObject *object)
{
    PyObject *known;
    if (is_mains(object)) {
        return Py_NewRef(object);
    }
    known = _Py_hashtable_get(to->memo, object);
    if (known) {
        return Py_NewRef(known);
    }
    copier *copy = copier_of(object);
    if (!copy) {
        return refuse(object);
    }
    if (Py_EnterRecursiveCall(" while copying out of a context")) {
        return NULL;
    }
    PyObject *result = copy(to, object);
    Py_LeaveRecursiveCall();
    return result;
}

static void
drop_reference(void *object)
{
    Py_DECREF((PyObject *)object);
}

static PyObject *
cross(PyObject *object, copier *copy)
{
    crossing to = {_Py_hashtable_new_full(_Py_hashtable_hash_ptr,
                                          _Py_hashtable_compare_direct, NULL,
                                          drop_reference, NULL)};
    if (!to.memo) {
        return PyErr_NoMemory();
    }
    PyObject *result = copy(&to, object);
    _Py_hashtable_destroy(to.memo);
    return result;
}

PyObject *
_Px_Promote(PyObject *object)
{
    return is_mains(object) ? Py_NewRef(object) : cross(object, promote);
}

PyObject *
_Px_PromoteException(PyObject *exception)
{
    PyObject *copy = cross(exception, promote_exception);
    if (!copy) {
        copy = PyErr_GetRaisedException();
    }
    return copy;
}

/* ---- exceptions ---------------------------------------------------------- */

enum { MOST_ARGUMENTS = 16 }; /* more of them are left behind */

/* What to have instead of a part that cannot be copied; never NULL but without
 * memory. The text is made without running code of the context's. */
static PyObject *
promote_or_describe(crossing *to, PyObject *part)
{
    PyObject *copy = promote(to, part);
    if (!copy && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear();
        copy = PyUnicode_FromFormat("<%s object of a context>",
                                    Py_TYPE(part)->tp_name);
    }
    return copy;
}

/* What the class in C was called with: args, and the file names that OSError
 * has taken out of them (with a place for winerror between). */
static Py_ssize_t
arguments_of(PyBaseExceptionObject *from, PyObject *parts[MOST_ARGUMENTS])
{
    Py_ssize_t count = from->args ? PyTuple_GET_SIZE(from->args) : 0;
    PyOSErrorObject *os = (PyOSErrorObject *)from;
    count = count < MOST_ARGUMENTS ? count : MOST_ARGUMENTS;
    for (Py_ssize_t i = 0; i < count; i++) {
        parts[i] = PyTuple_GET_ITEM(from->args, i);
    }
    if (count == 2 && PyObject_TypeCheck(from, (PyTypeObject *)PyExc_OSError) &&
        os->filename) {
        parts[count++] = os->filename;
        if (os->filename2) {
            parts[count++] = Py_None;
            parts[count++] = os->filename2;
        }
    }
    return count;
}

static PyObject *
promote_arguments(crossing *to, PyBaseExceptionObject *from)
{
    PyObject *parts[MOST_ARGUMENTS];
    Py_ssize_t count = arguments_of(from, parts);
    PyObject *copy = PyTuple_New(count);
    for (Py_ssize_t i = 0; copy && i < count; i++) {
        PyObject *part = promote_or_describe(to, parts[i]);
        if (!part) {
            Py_CLEAR(copy);
        }
        else {
            PyTuple_SET_ITEM(copy, i, part);
        }
    }
    return copy;
}

/* The class itself, or its nearest base that is main's. */
static PyTypeObject *
class_outside(PyTypeObject *type)
{
    while (!is_mains(type)) {
        type = type->tp_base;
    }
    return type;
}

/* The base whose C code knows the layout. */
static PyTypeObject *
base_in_c(PyTypeObject *type)
{
    while (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        type = type->tp_base;
    }
    return type;
}

static PyObject *
make_exception(PyTypeObject *type, PyObject *arguments)
{
    PyTypeObject *base = base_in_c(type);
    PyObject *copy = base->tp_new(type, arguments, NULL);
    if (!copy) { /* such as a group whose parts are none any more */
        PyErr_Clear();
        copy =
            ((PyTypeObject *)PyExc_RuntimeError)
                ->tp_new((PyTypeObject *)PyExc_RuntimeError, arguments, NULL);
    }
    else if (base->tp_init(copy, arguments, NULL) < 0) {
        PyErr_Clear(); /* the fields stay unset, the arguments are there */
    }
    return copy;
}

/* A frame to show in a traceback: main's code as it is, a context's by name. */
static PyObject *
promote_frame(PyFrameObject *frame)
{
    PyCodeObject *code =
        frame->f_frame ? _PyFrame_GetCode(frame->f_frame) : NULL;
    PyObject *globals = PyDict_New();
    PyCodeObject *shown = NULL;
    PyFrameObject *copy = NULL;
    if (globals && code && is_mains(code)) {
        shown = (PyCodeObject *)Py_NewRef(code);
    }
    else if (globals && code) {
        const char *file = PyUnicode_AsUTF8(code->co_filename);
        const char *name = PyUnicode_AsUTF8(code->co_name);
        shown = PyCode_NewEmpty(file ? file : "?", name ? name : "?",
                                code->co_firstlineno);
    }
    if (shown) {
        copy = PyFrame_New(PyThreadState_Get(), shown, globals, NULL);
    }
    Py_XDECREF(shown);
    Py_XDECREF(globals);
    return (PyObject *)copy;
}

static int
line_of(PyTracebackObject *at)
{
    if (at->tb_lineno >= 0) {
        return at->tb_lineno;
    }
    return PyCode_Addr2Line(_PyFrame_GetCode(at->tb_frame->f_frame),
                            at->tb_lasti);
}

/* Code that stands for a context's has no positions in it. */
static int
position_of(PyTracebackObject *at)
{
    return is_mains(_PyFrame_GetCode(at->tb_frame->f_frame)) ? at->tb_lasti
                                                             : -1;
}

/* Recursion keeps the order; its depth is that of the context's stack. */
static PyObject *
promote_traceback(PyTracebackObject *at)
{
    if (!at || !PyTraceBack_Check(at)) {
        return Py_NewRef(Py_None);
    }
    PyObject *next = promote_traceback(at->tb_next);
    PyObject *frame = next ? promote_frame(at->tb_frame) : NULL;
    PyObject *copy = NULL;
    if (frame) {
        copy = PyObject_CallFunction((PyObject *)&PyTraceBack_Type, "OOii",
                                     next, frame, position_of(at), line_of(at));
    }
    Py_XDECREF(frame);
    Py_XDECREF(next);
    return copy;
}

/* Its own class stays behind: say which it was. */
static int
note_class(PyObject *copy, PyTypeObject *type)
{
    PyObject *note = PyUnicode_FromFormat(
        "raised as %s, a class made in a context", type->tp_name);
    PyObject *done =
        note ? PyObject_CallMethod(copy, "add_note", "O", note) : NULL;
    Py_XDECREF(note);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
copy_attributes(crossing *to, PyObject *copy, PyObject *attributes)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    int status = 0;
    while (!status && attributes &&
           PyDict_Next(attributes, &at, &name, &value)) {
        PyObject *new_name = promote(to, name);
        PyObject *new_value = new_name ? promote_or_describe(to, value) : NULL;
        status =
            new_value ? PyObject_GenericSetAttr(copy, new_name, new_value) : -1;
        Py_XDECREF(new_name);
        Py_XDECREF(new_value);
    }
    return status;
}

static int
copy_chain(crossing *to, PyBaseExceptionObject *copy,
           PyBaseExceptionObject *from)
{
    PyObject *cause = NULL, *context = NULL;
    if (from->cause && !(cause = promote_exception(to, from->cause))) {
        return -1;
    }
    PyException_SetCause((PyObject *)copy, cause);
    if (from->context && !(context = promote_exception(to, from->context))) {
        return -1;
    }
    PyException_SetContext((PyObject *)copy, context);
    copy->suppress_context = from->suppress_context;
    return 0;
}

static int
furnish(crossing *to, PyObject *copy, PyBaseExceptionObject *from)
{
    PyObject *traceback =
        promote_traceback((PyTracebackObject *)from->traceback);
    int status = traceback ? PyException_SetTraceback(copy, traceback) : -1;
    Py_XDECREF(traceback);
    if (!status) {
        status = copy_chain(to, (PyBaseExceptionObject *)copy, from);
    }
    if (!status) {
        status = copy_attributes(to, copy, from->dict);
    }
    if (!status && !is_mains(Py_TYPE(from))) {
        status = note_class(copy, Py_TYPE(from));
    }
    return status;
}

static PyObject *
promote_exception(crossing *to, PyObject *exception)
{
    PyBaseExceptionObject *from = (PyBaseExceptionObject *)exception;
    if (is_mains(exception) && !_Px_IN()) {
        return Py_NewRef(exception);
    }
    PyObject *known = _Py_hashtable_get(to->memo, exception);
    if (known) {
        return Py_NewRef(known);
    }
    PyObject *arguments = promote_arguments(to, from);
    PyObject *copy = NULL;
    if (arguments) {
        copy =
            remember(to, exception,
                     make_exception(class_outside(Py_TYPE(from)), arguments));
    }
    Py_XDECREF(arguments);
    if (copy && furnish(to, copy, from) < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}
