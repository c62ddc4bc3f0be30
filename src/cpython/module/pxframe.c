/*
 * Copies of code that a context has compiled, and of generators, coroutines and
 * asynchronous generators, which go on where they were.
 *
 *      generator        [ head | name | exception | state | frame           ]
 *      its frame        [ code | function | where | locals, cells | stack   ]
 *
 * A frame at rest is a code object, a place in it, and references, some of which
 * are NULL: locals that are not bound, what a call is to have no self for. All are
 * copied: iterators of loops and __exit__ of `with` on the stack, too, what is
 * awaited, and the exception that is being handled. The frame object that somebody
 * may have asked for stays behind.
 *
 *   F1  A generator's copy counts as cleared until its frame holds nothing but
 *       counted references and NULL; then as what the original is.
 *   F2  One that runs - a callback that waits for main's answer may be in it - has
 *       a part of its state elsewhere, and is refused.
 *   F3  An instruction is at the same distance from the first in the copy of a
 *       code: it has the same bytes, but for specialisations.
 *   F4  `finally` is for the copy: of the context's generator nothing runs.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_code.h"
#include "pycore_frame.h"
#include "pycore_gc.h"
#include "pycore_genobject.h"
#include "pycore_object.h"
#include "pycore_opcode_metadata.h"

/* ---- code ------------------------------------------------------------------ */

/* F3. Instructions as compiled, without what they have noted for themselves. */
static PyObject *
copy_instructions(PyCodeObject *from)
{
    PyObject *bytes = PyBytes_FromStringAndSize(
        (const char *)_PyCode_CODE(from), _PyCode_NBYTES(from));
    _Py_CODEUNIT *at = bytes ? (_Py_CODEUNIT *)PyBytes_AS_STRING(bytes) : NULL;
    int count = bytes ? (int)Py_SIZE(from) : 0;
    for (int i = 0; i < count; i++) {
        at[i].op.code = (uint8_t)_Py_GetBaseOpcode(from, i);
        for (int caches = _PyOpcode_Caches[at[i].op.code]; caches > 0;
             caches--) {
            at[++i].cache = 0;
        }
    }
    return bytes;
}

enum { CONSTANTS = 4, PARTS = 9 };

/* In the order of @parts; -1: one is missing. */
static int
copy_parts(_Px_crossing *to, PyCodeObject *from, PyObject *parts[PARTS])
{
    PyObject *const all[PARTS] = {
        from->co_filename,        from->co_name,
        from->co_qualname,        from->co_linetable,
        from->co_consts,          from->co_names,
        from->co_localsplusnames, from->co_localspluskinds,
        from->co_exceptiontable};
    for (int i = 0; i < PARTS; i++) {
        parts[i] = _Px_CopyPart(to, all[i]);
        if (!parts[i]) {
            return -1;
        }
    }
    return 0;
}

/* Whoever has replaced constants by what leads to the code has made a cycle, in
 * which they are not all there yet. */
static bool
are_there(PyObject *constants)
{
    Py_ssize_t i = 0;
    while (i < PyTuple_GET_SIZE(constants) && PyTuple_GET_ITEM(constants, i)) {
        i++;
    }
    return i == PyTuple_GET_SIZE(constants);
}

static PyObject *
construct(PyCodeObject *from, PyObject *instructions, PyObject *parts[PARTS])
{
    struct _PyCodeConstructor all = {
        .filename = parts[0],
        .name = parts[1],
        .qualname = parts[2],
        .flags = from->co_flags,
        .code = instructions,
        .firstlineno = from->co_firstlineno,
        .linetable = parts[3],
        .consts = parts[CONSTANTS],
        .names = parts[5],
        .localsplusnames = parts[6],
        .localspluskinds = parts[7],
        .argcount = from->co_argcount,
        .posonlyargcount = from->co_posonlyargcount,
        .kwonlyargcount = from->co_kwonlyargcount,
        .stacksize = from->co_stacksize,
        .exceptiontable = parts[8],
    };
    return (PyObject *)_PyCode_New(&all);
}

PyObject *
_Px_MakeCode(_Px_crossing *to, PyTypeObject *Py_UNUSED(type), PyObject *object)
{
    PyCodeObject *from = (PyCodeObject *)object;
    PyObject *parts[PARTS] = {NULL};
    PyObject *copy = NULL;
    if (copy_parts(to, from, parts) < 0) {
        copy = NULL;
    }
    else if (!are_there(parts[CONSTANTS])) {
        (void)_Px_Refuse(object);
    }
    else {
        PyObject *instructions = copy_instructions(from);
        copy = instructions ? construct(from, instructions, parts) : NULL;
        Py_XDECREF(instructions);
    }
    for (int i = 0; i < PARTS; i++) {
        Py_XDECREF(parts[i]);
    }
    return copy;
}

/* ---- generators ------------------------------------------------------------ */

static _PyInterpreterFrame *
frame_of(PyObject *generator)
{
    return (_PyInterpreterFrame *)((PyGenObject *)generator)->gi_iframe;
}

/* F2 */
static bool
is_at_rest(PyObject *generator)
{
    PyGenObject *it = (PyGenObject *)generator;
    return it->gi_frame_state != FRAME_EXECUTING &&
           !(PyAsyncGen_CheckExact(generator) && it->gi_running_async) &&
           (FRAME_STATE_FINISHED(it->gi_frame_state) ||
            (frame_of(generator)->stacktop >= 0 &&
             PyFunction_Check(frame_of(generator)->f_funcobj)));
}

static PyObject *
refuse_running(PyObject *generator)
{
    return PyErr_Format(_Px_PersistenceError,
                        "a running '%.100s' object cannot leave its context",
                        Py_TYPE(generator)->tp_name);
}

/* F1: one that is over. Takes @code over. */
static PyObject *
make_generator(PyTypeObject *type, PyObject *code)
{
    int slots = _PyFrame_NumSlotsForCodeObject((PyCodeObject *)code);
    PyGenObject *copy = PyObject_GC_NewVar(PyGenObject, type, slots);
    if (!copy) {
        Py_DECREF(code);
        return NULL;
    }
    size_t head = offsetof(PyGenObject, gi_weakreflist);
    memset((char *)copy + head, 0, _PyObject_VAR_SIZE(type, slots) - head);
    copy->gi_frame_state = FRAME_CLEARED;
    frame_of((PyObject *)copy)->f_executable = code;
    _PyObject_GC_TRACK(copy);
    return (PyObject *)copy;
}

PyObject *
_Px_MakeGenerator(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    if (!is_at_rest(object)) {
        return refuse_running(object);
    }
    PyObject *code = _Px_CopyPart(to, frame_of(object)->f_executable);
    return code ? make_generator(type, code) : NULL;
}

/* F3; the references come later. */
static void
set_up_frame(PyObject *copy, PyFunctionObject *func,
             const _PyInterpreterFrame *from)
{
    _PyInterpreterFrame *mine = frame_of(copy);
    const PyCodeObject *code = (PyCodeObject *)from->f_executable;
    PyCodeObject *my_code = (PyCodeObject *)mine->f_executable;
    mine->f_funcobj = (PyObject *)func;
    mine->f_globals = func->func_globals;
    mine->f_builtins = func->func_builtins;
    mine->instr_ptr =
        _PyCode_CODE(my_code) + (from->instr_ptr - _PyCode_CODE(code));
    mine->stacktop = from->stacktop;
    mine->return_offset = from->return_offset;
    mine->owner = FRAME_OWNED_BY_GENERATOR;
}

static int
copy_reference(_Px_crossing *to, PyObject **mine, PyObject *from)
{
    *mine = from ? _Px_CopyPart(to, from) : NULL;
    return from && !*mine ? -1 : 0;
}

static int
copy_references(_Px_crossing *to, _PyInterpreterFrame *mine,
                const _PyInterpreterFrame *from)
{
    int status = copy_reference(to, &mine->f_locals, from->f_locals);
    for (int i = 0; !status && i < from->stacktop; i++) {
        status = copy_reference(to, &mine->localsplus[i], from->localsplus[i]);
    }
    return status;
}

static int
fill_frame(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyGenObject *mine = (PyGenObject *)copy;
    PyGenObject *from = (PyGenObject *)object;
    PyObject *func = _Px_CopyPart(to, frame_of(object)->f_funcobj);
    if (!func) {
        return -1;
    }
    set_up_frame(copy, (PyFunctionObject *)func, frame_of(object));
    mine->gi_frame_state = from->gi_frame_state;
    mine->gi_closed = from->gi_closed;
    return copy_references(to, frame_of(copy), frame_of(object)) < 0 ||
                   copy_reference(to, &mine->gi_exc_state.exc_value,
                                  from->gi_exc_state.exc_value) < 0
               ? -1
               : 0;
}

/* Where it was called, and who is to close it, are the context's own. */
int
_Px_FillGenerator(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyGenObject *mine = (PyGenObject *)copy;
    PyGenObject *from = (PyGenObject *)object;
    if (copy_reference(to, &mine->gi_name, from->gi_name) < 0 ||
        copy_reference(to, &mine->gi_qualname, from->gi_qualname) < 0) {
        return -1;
    }
    return FRAME_STATE_FINISHED(from->gi_frame_state)
               ? 0
               : fill_frame(to, copy, object);
}
