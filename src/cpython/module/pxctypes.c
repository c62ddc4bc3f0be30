/*
 * Copies of the data of ctypes: numbers, structures, unions, arrays.
 *
 *      Point    [ head | bytes --> own memory | kept ]     a copy of the bytes
 *      point.x  [ head | bytes, base --> Point ]           part of the copy
 *
 *   D1  Bytes leave if they mean the same elsewhere: addresses do not.
 *   D2  Part of a structure, say, is the same part of its copy.
 *   D3  What is known of a class has to be as here, to the byte (Y1 of pxlayout.c).
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

/* As ctypes.h has it. */
typedef struct data {
    PyObject head;
    char *bytes;
    int is_owner; /* of these */
    struct data *base;
    Py_ssize_t size, length, index;
    PyObject *kept;
    union {
        char bytes[16];
        long double number;
    } own;
} data;

/* What is known of a class, in itself. */
typedef struct data_class {
    int initialized;
    Py_ssize_t size, alignment, length;
    struct {
        size_t size;
        unsigned short alignment, type;
        void *elements;
    } for_calls;
    PyObject *item; /* of arrays; of numbers, a letter */
    void *set, *get, *convert;
    PyObject *arguments, *converters, *result, *checker, *module;
    int flags;
    char *format;
    int dimensions;
    Py_ssize_t *shape;
} data_class;

enum { IS_POINTER = 0x100, HAS_POINTER = 0x200 };

/* The metaclass that all others are derived from. */
static PyTypeObject *
common_metaclass(PyTypeObject *type)
{
    PyTypeObject *metaclass = Py_TYPE(type);
    while (metaclass && strcmp(metaclass->tp_name, "_ctypes.CType_Type") != 0) {
        metaclass = metaclass->tp_base;
    }
    return metaclass;
}

/* NULL: it is not as here, or not complete. */
static const data_class *
about(PyTypeObject *type)
{
    PyTypeObject *metaclass = common_metaclass(type);
    if (!metaclass ||
        metaclass->tp_basicsize !=
            metaclass->tp_base->tp_basicsize + (Py_ssize_t)sizeof(data_class)) {
        return NULL;
    }
    data_class *known = PyObject_GetTypeData((PyObject *)type, metaclass);
    return known->initialized ? known : NULL;
}

/* Classes derived from that of pointers only have the letter from it. */
static bool
is_letter_of_pointer(PyObject *item)
{
    return item && PyUnicode_Check(item) && PyUnicode_GET_LENGTH(item) == 1 &&
           strchr("zZPsXO", (int)PyUnicode_READ_CHAR(item, 0));
}

/* Objects in structures in structures keep dicts of nothing. */
static bool
keeps_nothing(PyObject *kept)
{
    PyObject *value;
    Py_ssize_t at = 0;
    bool nothing = !kept || kept == Py_None || PyDict_CheckExact(kept);
    while (nothing && kept && PyDict_CheckExact(kept) &&
           PyDict_Next(kept, &at, NULL, &value)) {
        nothing = keeps_nothing(value);
    }
    return nothing;
}

/* D1 */
static bool
is_plain_data(const data *object, const data_class *known)
{
    return known && !(known->flags & (IS_POINTER | HAS_POINTER)) &&
           !is_letter_of_pointer(known->item) && keeps_nothing(object->kept);
}

static PyObject *
copy_bytes(PyTypeObject *type, const data *from)
{
    PyObject *copy = _Px_ConstructEmpty(type);
    data *mine = (data *)copy;
    if (copy && mine->size != from->size) {
        Py_DECREF(copy);
        return _Px_Refuse((PyObject *)from);
    }
    if (copy) {
        memcpy(mine->bytes, from->bytes, (size_t)from->size);
    }
    return copy;
}

/* D2 */
static PyObject *
make_part_of(_Px_crossing *to, PyTypeObject *type, const data *from)
{
    data *base = (data *)_Px_CopyPart(to, (PyObject *)from->base);
    data *mine = base ? (data *)type->tp_alloc(type, 0) : NULL;
    if (mine) {
        mine->bytes = base->bytes + (from->bytes - from->base->bytes);
        mine->size = from->size;
        mine->length = from->length;
        mine->index = from->index;
        mine->base = base;
    }
    else {
        Py_XDECREF(base);
    }
    return (PyObject *)mine;
}

/* A class such as c_int * 3, of which main has one: whatever else a class of arrays
 * may be is not what this gives. */
PyObject *
_Px_MakeArrayClass(_Px_crossing *to, PyTypeObject *Py_UNUSED(metaclass),
                   PyObject *object)
{
    PyTypeObject *from = (PyTypeObject *)object;
    const data_class *known = about(from);
    if (!known || !known->item) {
        return _Px_Refuse(object);
    }
    PyObject *item = _Px_CopyPart(to, known->item);
    PyObject *copy = item ? PySequence_Repeat(item, known->length) : NULL;
    PyTypeObject *mine = (PyTypeObject *)copy;
    Py_XDECREF(item);
    if (copy &&
        (strcmp(mine->tp_name, from->tp_name) != 0 ||
         mine->tp_base != from->tp_base ||
         PyDict_GET_SIZE(mine->tp_dict) != PyDict_GET_SIZE(from->tp_dict))) {
        Py_DECREF(copy);
        return _Px_Refuse(object);
    }
    return copy;
}

PyObject *
_Px_MakeData(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    const data *from = (data *)object;
    if (_Px_BaseInC(type)->tp_basicsize != sizeof *from ||
        !is_plain_data(from, about(Py_TYPE(object)))) {
        return _Px_Refuse(object);
    }
    return from->base       ? make_part_of(to, type, from)
           : from->is_owner ? copy_bytes(type, from)
                            : _Px_Refuse(object);
}
