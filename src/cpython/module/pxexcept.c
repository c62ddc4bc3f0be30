/*
 * Exceptions that leave a context, whatever their class, as well as can be.
 *
 * The arguments come first, and once no arguments are being copied any more all
 * else: the fields of the layout (errno, start, value), which may not be what the
 * arguments say, attributes, cause, context; the traceback is made anew from the
 * code objects and the line numbers of the old one. What cannot be copied is
 * described; a class of the context's becomes one of its bases that are main's.
 *
 *      group --> arguments: [part]     part.__context__ = group: its copy is
 *        |                             there when the part's context is copied
 *        +--> exceptions: (part,)
 *
 *   X1  A class of the context's with several bases becomes one of them. A note says
 *       which class it was, and which others it was derived from.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "frameobject.h"
#include "pycore_frame.h"
#include "pycore_hashtable.h"
#include "pycore_pyerrors.h"

/* What to have instead of a part that cannot be copied; never NULL but without
 * memory. The text is made without running code of the context's. */
static PyObject *
copy_or_describe(_Px_crossing *to, PyObject *part)
{
    _Px_crossing_mark mark = _Px_MarkCrossing(to);
    PyObject *copy = _Px_CopyPart(to, part);
    if (!copy && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear();
        _Px_ForgetSince(to, mark);
        copy = PyUnicode_FromFormat("<%s object of a context>",
                                    Py_TYPE(part)->tp_name);
    }
    return copy;
}

/* What the class in C was called with. */
static PyObject *
copy_arguments(_Px_crossing *to, PyBaseExceptionObject *from)
{
    Py_ssize_t count = from->args ? PyTuple_GET_SIZE(from->args) : 0;
    PyObject *copy = PyTuple_New(count);
    for (Py_ssize_t i = 0; copy && i < count; i++) {
        PyObject *part = copy_or_describe(to, PyTuple_GET_ITEM(from->args, i));
        if (!part) {
            Py_CLEAR(copy);
        }
        else {
            PyTuple_SET_ITEM(copy, i, part);
        }
    }
    return copy;
}

/* Where the next class in an MRO is that is main's; the number of classes: no more. */
static Py_ssize_t
next_outside(PyObject *mro, Py_ssize_t at)
{
    Py_ssize_t count = PyTuple_GET_SIZE(mro);
    while (at < count && !_Px_IsMains(PyTuple_GET_ITEM(mro, at))) {
        at++;
    }
    return at;
}

/* The class itself, or the base of main's that its users would catch: the first that
 * Python code has made, else the one that the layout is of. The others are lost
 * (X1), with their fields. */
static PyTypeObject *
class_outside(PyTypeObject *type)
{
    PyObject *mro = type->tp_mro;
    Py_ssize_t at = next_outside(mro, 0), count = PyTuple_GET_SIZE(mro);
    for (; !_Px_IsMains(type) && at < count; at = next_outside(mro, at + 1)) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, at);
        if (PyExceptionClass_Check(base) && _Px_IsMadeByPython(base)) {
            return base;
        }
    }
    while (!_Px_IsMains(type)) {
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

/* Whether what the error is about can be done without. */
static bool
can_go_on(void)
{
    if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
        return false;
    }
    PyErr_Clear();
    return true;
}

/* CPython's own are made without a look at their arguments, which may not fit any
 * more, or lack parts as yet: all their fields are copied anyway. */
static PyTypeObject *
maker_of(PyTypeObject *type)
{
    PyTypeObject *base = base_in_c(type);
    return base->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN
               ? (PyTypeObject *)PyExc_BaseException
               : base;
}

static PyObject *
make_exception(PyTypeObject *type, PyObject *arguments)
{
    PyTypeObject *base = maker_of(type);
    PyTypeObject *instead = (PyTypeObject *)PyExc_RuntimeError;
    PyObject *copy = base->tp_new(type, arguments, NULL);
    if (!copy) { /* a library's that takes no descriptions, say */
        return can_go_on() ? instead->tp_new(instead, arguments, NULL) : NULL;
    }
    /* Else the fields stay unset, and the arguments are there. */
    if (base->tp_init(copy, arguments, NULL) < 0 && !can_go_on()) {
        copy = _Px_DropCopy(copy);
    }
    return copy;
}

/* Code of a context's, by name, as far as that can be encoded. */
static PyCodeObject *
show_code(PyCodeObject *code)
{
    const char *file = PyUnicode_AsUTF8(code->co_filename);
    if (!file && !can_go_on()) {
        return NULL;
    }
    const char *name = PyUnicode_AsUTF8(code->co_name);
    if (!name && !can_go_on()) {
        return NULL;
    }
    return PyCode_NewEmpty(file ? file : "?", name ? name : "?",
                           code->co_firstlineno);
}

/* A frame to show in a traceback. */
static PyObject *
copy_frame(PyFrameObject *frame)
{
    PyCodeObject *code =
        frame->f_frame ? _PyFrame_GetCode(frame->f_frame) : NULL;
    PyObject *globals = PyDict_New();
    PyCodeObject *shown = NULL;
    PyFrameObject *copy = NULL;
    if (globals && code && _Px_IsMains(code)) {
        shown = (PyCodeObject *)Py_NewRef(code);
    }
    else if (globals && code) {
        shown = show_code(code);
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
    return _Px_IsMains(_PyFrame_GetCode(at->tb_frame->f_frame)) ? at->tb_lasti
                                                                : -1;
}

static PyObject *
copy_entry(PyTracebackObject *at)
{
    PyObject *frame = copy_frame(at->tb_frame);
    PyObject *copy = frame
                         ? PyObject_CallFunction((PyObject *)&PyTraceBack_Type,
                                                 "OOii", Py_None, frame,
                                                 position_of(at), line_of(at))
                         : NULL;
    Py_XDECREF(frame);
    return copy;
}

/* It may be as long as recursion was deep. */
static PyObject *
copy_traceback(PyTracebackObject *at)
{
    PyObject *first = NULL, **end = &first;
    for (; at && PyTraceBack_Check(at); at = at->tb_next) {
        if (!(*end = copy_entry(at))) {
            Py_XDECREF(first);
            return NULL;
        }
        end = (PyObject **)&((PyTracebackObject *)*end)->tb_next;
    }
    return first;
}

/* Without its exception, as part of what sys.exc_info() has returned. */
PyObject *
_Px_MakeTraceback(_Px_crossing *Py_UNUSED(to), PyTypeObject *Py_UNUSED(type),
                  PyObject *object)
{
    return copy_traceback((PyTracebackObject *)object);
}

/* None if there is none. */
static PyObject *
traceback_of(_Px_crossing *to, PyObject *traceback)
{
    if (!traceback || !PyTraceBack_Check(traceback)) {
        return Py_NewRef(Py_None);
    }
    PyObject *known = _Px_Known(to, traceback);
    return known ? known
                 : _Px_Remember(to, traceback,
                                copy_traceback((PyTracebackObject *)traceback));
}

/* X1. Takes @note over. */
static PyObject *
note_lost_bases(PyObject *note, PyTypeObject *type, PyTypeObject *instead)
{
    PyObject *mro = type->tp_mro;
    Py_ssize_t at = next_outside(mro, 0), count = PyTuple_GET_SIZE(mro);
    const char *before = " and derived from";
    for (; note && at < count; at = next_outside(mro, at + 1)) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, at);
        if (!PyType_IsSubtype(instead, base)) {
            Py_SETREF(note, PyUnicode_FromFormat("%U%s %s", note, before,
                                                 base->tp_name));
            before = ",";
        }
    }
    return note;
}

/* Its own class stays behind: say which it was. */
static PyObject *
note_on_class(PyTypeObject *type)
{
    PyObject *note = PyUnicode_FromFormat(
        "raised as %s, a class made in a context", type->tp_name);
    return note_lost_bases(note, type, class_outside(type));
}

/* The notes in an exception's dict, if that is known without Python code; not
 * counted, or NULL. */
static PyObject *
notes_in(PyObject *dict)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    while (dict && PyDict_Next(dict, &at, &name, &value)) {
        if (PyUnicode_CheckExact(name) &&
            PyUnicode_EqualToUTF8(name, "__notes__")) {
            return value;
        }
    }
    return NULL;
}

/* C3: not by add_note(), which the class may have from Python code. To a list of
 * notes that may lack some as yet one is added late; it has to be the copy's own.
 * Takes @note over. */
static int
add_note(_Px_crossing *to, PyObject *copy, PyObject *from_dict, PyObject *note)
{
    PyObject *theirs = notes_in(from_dict);
    PyObject *notes = note ? PyList_New(1) : NULL;
    PyObject *dict = notes ? PyObject_GenericGetDict(copy, NULL) : NULL;
    PyObject *mine = dict ? notes_in(dict) : NULL;
    int status = dict ? 0 : -1;
    if (notes) {
        PyList_SET_ITEM(notes, 0, Py_NewRef(note));
    }
    if (!status && !mine) {
        status = PyDict_SetItemString(dict, "__notes__", notes);
    }
    else if (!status && PyList_CheckExact(mine) && !_Px_IsMains(theirs)) {
        status = _Px_PutLate(to, mine, Py_NewRef(notes));
    }
    Py_XDECREF(dict);
    Py_XDECREF(notes);
    Py_XDECREF(note);
    return status;
}

static int
put_late(_Px_crossing *to, PyObject *dict, PyObject *name, PyObject *value)
{
    PyObject *items = PyList_New(2);
    if (!items) {
        return -1;
    }
    PyList_SET_ITEM(items, 0, Py_NewRef(name));
    PyList_SET_ITEM(items, 1, Py_NewRef(value));
    return _Px_PutLate(to, dict, items);
}

/* C3: a name that is no str may need Python code, or end as another one has. */
static int
copy_attribute(_Px_crossing *to, PyObject *dict, PyObject *name,
               PyObject *value)
{
    PyObject *new_name = copy_or_describe(to, name);
    PyObject *new_value = new_name ? copy_or_describe(to, value) : NULL;
    int status = !new_value ? -1
                 : PyUnicode_CheckExact(name)
                     ? PyDict_SetItem(dict, new_name, new_value)
                     : put_late(to, dict, new_name, new_value);
    Py_XDECREF(new_name);
    Py_XDECREF(new_value);
    return status;
}

static int
copy_attributes(_Px_crossing *to, PyObject *copy, PyObject *attributes)
{
    PyObject *name, *value;
    PyObject *dict = attributes ? PyObject_GenericGetDict(copy, NULL) : NULL;
    Py_ssize_t at = 0;
    int status = attributes && !dict ? -1 : 0;
    while (!status && dict && PyDict_Next(attributes, &at, &name, &value)) {
        status = copy_attribute(to, dict, name, value);
    }
    Py_XDECREF(dict);
    return status;
}

/* What an AttributeError is about may be anything, and large. */
static bool
is_to_copy(const PyMemberDef *member)
{
    return member->type == Py_T_OBJECT_EX ||
           (member->type == _Py_T_OBJECT && strcmp(member->name, "obj") != 0);
}

/* A group is none without its exceptions; but these can all be copied. */
static PyObject *
copy_value(_Px_crossing *to, const PyMemberDef *member, PyObject *part)
{
    bool is_vital =
        member->flags & Py_READONLY && strcmp(member->name, "exceptions") == 0;
    return is_vital ? _Px_CopyPart(to, part) : copy_or_describe(to, part);
}

/* C code may rely on the class of what nobody can set. */
static bool
may_be_put(const PyMemberDef *member, PyObject *value, PyObject *part)
{
    return !(member->flags & Py_READONLY) || !value ||
           PyUnicode_Check(value) == PyUnicode_Check(part);
}

/* It may have been deleted. */
static int
copy_field(_Px_crossing *to, const PyMemberDef *member, PyObject **mine,
           PyObject *part)
{
    PyObject *value = part ? copy_value(to, member, part) : NULL;
    if (part && !value) {
        return -1;
    }
    if (may_be_put(member, value, part)) {
        PyObject *old = *mine;
        *mine = value;
        value = old;
    }
    Py_XDECREF(value);
    return 0;
}

/* Numbers that are not to be set tell where a class in C has its dict. */
static int
copy_member(_Px_crossing *to, const PyMemberDef *member, PyObject *copy,
            PyObject *from)
{
    char *mine = (char *)copy + member->offset;
    char *part = (char *)from + member->offset;
    if (is_to_copy(member)) {
        return copy_field(to, member, (PyObject **)mine, *(PyObject **)part);
    }
    if (member->type == Py_T_PYSSIZET && !(member->flags & Py_READONLY)) {
        *(Py_ssize_t *)mine = *(Py_ssize_t *)part;
    }
    return 0;
}

static int
copy_members_of(_Px_crossing *to, PyTypeObject *base, PyObject *copy,
                PyObject *from)
{
    int status = 0;
    for (PyMemberDef *m = base->tp_members; !status && m && m->name; m++) {
        status = copy_member(to, m, copy, from);
    }
    return status;
}

/* Fields of the layout and slots, whatever the arguments have filled them with. */
static int
copy_members(_Px_crossing *to, PyObject *copy, PyObject *from)
{
    PyTypeObject *base = class_outside(Py_TYPE(from));
    int status = 0;
    if (!PyObject_TypeCheck(copy, base)) {
        return 0; /* it has become another one */
    }
    if (PyObject_TypeCheck(copy, (PyTypeObject *)PyExc_OSError)) {
        ((PyOSErrorObject *)copy)->written = ((PyOSErrorObject *)from)->written;
    }
    for (; !status && base; base = base->tp_base) {
        status = copy_members_of(to, base, copy, from);
    }
    return status;
}

static int
furnish(_Px_crossing *to, PyObject *copy, PyBaseExceptionObject *from)
{
    PyObject *traceback = traceback_of(to, from->traceback);
    int status = traceback ? PyException_SetTraceback(copy, traceback) : -1;
    Py_XDECREF(traceback);
    if (!status) {
        status = copy_members(to, copy, (PyObject *)from);
    }
    if (!status) {
        status = copy_attributes(to, copy, from->dict);
    }
    if (!status && !_Px_IsMains(Py_TYPE(from))) {
        status = add_note(to, copy, from->dict, note_on_class(Py_TYPE(from)));
    }
    return status;
}

/* While its arguments are copied, which it may be among, None stands for it. */
static PyObject *
make_copy(_Px_crossing *to, PyBaseExceptionObject *from)
{
    if (_Py_hashtable_set(to->memo, from, Py_None) < 0) {
        return PyErr_NoMemory();
    }
    PyObject *arguments = copy_arguments(to, from);
    PyObject *copy =
        arguments ? make_exception(class_outside(Py_TYPE(from)), arguments)
                  : NULL;
    Py_XDECREF(arguments);
    (void)_Py_hashtable_steal(to->memo, from);
    return _Px_Remember(to, (PyObject *)from, copy);
}

/* But for all that complete() is for. */
static PyObject *
copy_alone(_Px_crossing *to, PyObject *exception)
{
    if (_Px_IsMains(exception) && !_Px_IN()) {
        return Py_NewRef(exception);
    }
    PyObject *known = _Py_hashtable_get(to->memo, exception);
    if (known == Py_None) {
        PyErr_SetString(_Px_PersistenceError,
                        "an exception that is among its own arguments cannot "
                        "leave its context");
        return NULL;
    }
    return known ? Py_NewRef(known)
                 : make_copy(to, (PyBaseExceptionObject *)exception);
}

static int
complete(_Px_crossing *to, PyBaseExceptionObject *copy,
         PyBaseExceptionObject *from)
{
    PyObject *cause = NULL, *context = NULL;
    if (furnish(to, (PyObject *)copy, from) < 0) {
        return -1;
    }
    if (from->cause && !(cause = copy_alone(to, from->cause))) {
        return -1;
    }
    PyException_SetCause((PyObject *)copy, cause);
    if (from->context && !(context = copy_alone(to, from->context))) {
        return -1;
    }
    PyException_SetContext((PyObject *)copy, context);
    copy->suppress_context = from->suppress_context;
    return 0;
}

/* Chains may be longer than recursion can be deep: what has been copied since
 * @first is completed in turn, which adds to what has been. */
static int
complete_since(_Px_crossing *to, size_t first)
{
    int status = 0;
    for (size_t i = first; !status && i < to->count; i++) {
        PyObject *from = to->order[i];
        if (PyExceptionInstance_Check(from)) {
            PyObject *copy = _Py_hashtable_get(to->memo, from);
            status = complete(to, (PyBaseExceptionObject *)copy,
                              (PyBaseExceptionObject *)from);
        }
    }
    return status;
}

/* Arguments of another one wait for it: it may be their context. */
PyObject *
_Px_CopyException(_Px_crossing *to, PyObject *exception)
{
    size_t first = to->count;
    bool is_outermost = !to->in_exception;
    to->in_exception = true;
    PyObject *copy = copy_alone(to, exception);
    if (copy && is_outermost && complete_since(to, first) < 0) {
        Py_CLEAR(copy);
    }
    to->in_exception = !is_outermost;
    return copy;
}
