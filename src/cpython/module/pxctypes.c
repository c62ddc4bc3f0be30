/*
 * Copies of the data of ctypes: numbers, structures, unions, arrays, pointers.
 *
 *      Point    [ head | bytes --> own memory | kept ]     a copy of the bytes
 *      point.x  [ head | bytes, base --> Point ]           part of the copy
 *      pointer  [ head | bytes --> address | kept --> Point ]   of the copy's
 *
 *   D1  Bytes leave if they mean the same elsewhere. Which of them are addresses the
 *       class says, but for a union.
 *   D2  Part of a structure, say, is the same part of its copy, and what is at an
 *       address is what is there for the copy.
 *   D3  What is known of a class has to be as here, to the byte (Y1 of pxlayout.c).
 *   D4  A pointer leaves if its address is not the context's: of a library's data,
 *       of what malloc() gave, of main's; or if that is of something which it keeps
 *       alive: then it is the same place in the copy of that.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_dict.h"

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

/* A function at an address. */
typedef struct function {
    data data;
    PyObject *thunk, *callable; /* of one in Python; NULL */
    PyObject *parts[6]; /* converters, arguments, result, its checks, flags */
} function;

/* A field of a structure. */
typedef struct field {
    PyObject head;
    Py_ssize_t offset, size, index;
    PyObject *type;
} field;

enum { NESTED = 16 }; /* dicts of what is kept, in each other */

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

/* Objects in structures in structures keep dicts of nothing, and what has been cast
 * keeps itself. */
static bool
keeps_nothing(const data *object, PyObject *kept)
{
    PyObject *value;
    Py_ssize_t at = 0;
    bool is_dict = kept && PyDict_CheckExact(kept);
    bool nothing =
        !kept || kept == Py_None || is_dict || kept == (const PyObject *)object;
    while (nothing && is_dict && PyDict_Next(kept, &at, NULL, &value)) {
        nothing = keeps_nothing(object, value);
    }
    return nothing;
}

/* D1 */
static bool
is_plain_data(const data *object, const data_class *known)
{
    return known && !(known->flags & (IS_POINTER | HAS_POINTER)) &&
           !is_letter_of_pointer(known->item) &&
           keeps_nothing(object, object->kept);
}

static PyObject *
copy_bytes(PyTypeObject *type, const data *from)
{
    PyObject *copy = _Px_ConstructEmpty(type);
    data *mine = (data *)copy;
    if (copy && mine->size != from->size) {
        (void)_Px_DropCopy(copy);
        return _Px_Refuse((PyObject *)from);
    }
    if (copy) {
        memcpy(mine->bytes, from->bytes, (size_t)from->size);
    }
    return copy;
}

/* ---- addresses ------------------------------------------------------------- */

static bool
is_function(const PyTypeObject *base)
{
    return strcmp(base->tp_name, "_ctypes.CFuncPtr") == 0;
}

/* Whether instances are one. */
static bool
is_address(const data_class *known)
{
    Py_UCS4 letter = known && known->item && PyUnicode_Check(known->item)
                         ? PyUnicode_READ_CHAR(known->item, 0)
                         : 0;
    return known && known->size == sizeof(void *) &&
           (letter ? strchr("zZPO", (int)letter) != NULL
                   : (known->flags & IS_POINTER) != 0);
}

/* Whether there are some in instances. */
static bool
has_addresses(const data_class *known)
{
    return known && !(known->flags & IS_POINTER) && known->flags & HAS_POINTER;
}

static bool
is_within(const char *address, const char *bytes, Py_ssize_t count)
{
    return (uintptr_t)address - (uintptr_t)bytes < (size_t)Py_MAX(count, 1);
}

/* What an address may be of beside the object itself, that of data or text; NULL:
 * it has no such. */
static char *
bytes_of(PyObject *object, Py_ssize_t *count)
{
    if (about(Py_TYPE(object))) {
        *count = ((data *)object)->size;
        return ((data *)object)->bytes;
    }
    *count = PyBytes_Check(object) ? PyBytes_GET_SIZE(object) + 1 : 0;
    return PyBytes_Check(object) ? PyBytes_AS_STRING(object) : NULL;
}

static bool
is_of(const char *address, PyObject *object)
{
    Py_ssize_t count;
    const char *bytes = bytes_of(object, &count);
    return address == (char *)object ||
           (bytes && is_within(address, bytes, count));
}

/* That of @kept which the address is of; borrowed, or NULL. */
static PyObject *
find_target(PyObject *kept, const char *address, int depth)
{
    PyObject *value, *found = kept && is_of(address, kept) ? kept : NULL;
    Py_ssize_t at = 0;
    if (!kept || !PyDict_CheckExact(kept)) {
        return found;
    }
    while (!found && depth > 0 && PyDict_Next(kept, &at, NULL, &value)) {
        found = find_target(value, address, depth - 1);
    }
    return found;
}

/* Numbers are not in the memo, but for one that is all that is kept: @mine. */
static PyObject *
copy_of_target(_Px_crossing *to, PyObject *target, PyObject *mine)
{
    if (mine) {
        return Py_NewRef(mine);
    }
    PyObject *copy = _Px_CopyPart(to, target);
    PyObject *known = copy ? _Px_Known(to, target) : NULL;
    Py_XDECREF(copy);
    return known || PyErr_Occurred() ? known : _Px_Refuse(target);
}

/* What a part leads to is kept alive by the whole. */
static PyObject *
kept_for(const data *part)
{
    while (part->base) {
        part = part->base;
    }
    return part->kept;
}

static char *
same_place(const char *address, PyObject *target, PyObject *copy)
{
    Py_ssize_t count;
    return address == (char *)target
               ? (char *)copy
               : bytes_of(copy, &count) + (address - bytes_of(target, &count));
}

/* D4. What @address, which @from has or leads to, is for the copy, of which @mine
 * is all that it keeps, or NULL. NULL: an error, or NULL itself. Whoever keeps the
 * target's copy has been copied, or is going to be. */
static char *
carry(_Px_crossing *to, const data *from, char *address, PyObject *mine)
{
    if (_Px_IsMains(address)) {
        return address;
    }
    PyObject *kept = kept_for(from);
    PyObject *target = find_target(kept, address, NESTED);
    PyObject *copy =
        target ? copy_of_target(to, target, target == kept ? mine : NULL)
               : _Px_Refuse((PyObject *)from);
    char *place = copy ? same_place(address, target, copy) : NULL;
    Py_XDECREF(copy);
    return place;
}

/* D2. It is in the base's bytes, or where these say. */
static char *
place_of_part(_Px_crossing *to, const data *from, const data *base)
{
    const data *of = from->base;
    return is_within(from->bytes, of->bytes, of->size)
               ? base->bytes + (from->bytes - of->bytes)
               : carry(to, of, from->bytes, NULL);
}

static PyObject *
make_part_of(_Px_crossing *to, PyTypeObject *type, const data *from)
{
    data *base = (data *)_Px_CopyPart(to, (PyObject *)from->base);
    char *place = base ? place_of_part(to, from, base) : NULL;
    data *mine = place ? (data *)type->tp_alloc(type, 0) : NULL;
    if (mine) {
        mine->bytes = place;
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

/* ---- classes --------------------------------------------------------------- */

static PyObject *
main_pointer_to(PyTypeObject *metaclass, PyObject *item)
{
    PyObject *module = PyType_GetModule(metaclass);
    PyObject *make = module ? _PyDict_GetItemStringWithError(
                                  PyModule_GetDict(module), "POINTER")
                            : NULL;
    return PyErr_Occurred() ? NULL
           : make && PyCFunction_CheckExact(make)
               ? PyObject_CallOneArg(make, item)
               : _Px_Refuse(item);
}

/* C3: whether ctypes can look up arrays of, and pointers to, a class without code of
 * a metaclass in Python. */
static bool
is_asked_in_c(PyObject *item)
{
    const PyTypeObject *own = Py_TYPE(item);
    const PyTypeObject *in_c = _Px_BaseInC(Py_TYPE(item));
    return own->tp_hash == in_c->tp_hash &&
           own->tp_richcompare == in_c->tp_richcompare && own->tp_as_sequence &&
           in_c->tp_as_sequence &&
           own->tp_as_sequence->sq_repeat == in_c->tp_as_sequence->sq_repeat;
}

/* A class such as c_int * 3, or POINTER(c_int), of which main has one: whatever else
 * a class of arrays or pointers may be is not what this gives. */
static PyObject *
make_class(_Px_crossing *to, PyTypeObject *metaclass, PyObject *object)
{
    PyTypeObject *from = (PyTypeObject *)object;
    const data_class *known = about(from);
    if (!known || !known->item || !is_asked_in_c(known->item)) {
        return _Px_Refuse(object);
    }
    PyObject *item = _Px_CopyPart(to, known->item);
    PyObject *copy = !item ? NULL
                     : known->flags & IS_POINTER
                         ? main_pointer_to(metaclass, item)
                         : PySequence_Repeat(item, known->length);
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

/* ---- the kinds -------------------------------------------------------------- */

/* Wide text is kept by a capsule. */
static PyObject *
make_pointer(PyTypeObject *type, const data *from)
{
    bool is_callback =
        is_function(_Px_BaseInC(type)) && ((const function *)from)->thunk;
    bool is_wide = from->kept && PyCapsule_CheckExact(from->kept);
    return from->is_owner && !is_callback && !is_wide
               ? _Px_ConstructEmpty(type)
               : _Px_Refuse((PyObject *)from);
}

static bool
has_size(const PyTypeObject *base)
{
    return (size_t)base->tp_basicsize ==
           (is_function(base) ? sizeof(function) : sizeof(data));
}

static PyObject *
make_data(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    const data *from = (data *)object;
    const data_class *known = about(Py_TYPE(object));
    bool is_pointer = is_address(known);
    if (!has_size(_Px_BaseInC(type)) || !from->bytes ||
        !(is_pointer || has_addresses(known) || is_plain_data(from, known))) {
        return _Px_Refuse(object);
    }
    return from->base       ? make_part_of(to, type, from)
           : is_pointer     ? make_pointer(type, from)
           : from->is_owner ? copy_bytes(type, from)
                            : _Px_Refuse(object);
}

/* D4 */
static int
fill_address(_Px_crossing *to, data *mine, const data *from, Py_ssize_t at)
{
    char *address;
    memcpy(&address, from->bytes + at, sizeof address);
    char *place = carry(to, from, address, mine->kept);
    memcpy(mine->bytes + at, &place, sizeof place);
    return place || !address ? 0 : -1;
}

static int fill_addresses(_Px_crossing *to, data *mine, const data *from,
                          PyTypeObject *type, Py_ssize_t at);

static int
fill_elements(_Px_crossing *to, data *mine, const data *from,
              const data_class *known, Py_ssize_t at)
{
    PyTypeObject *item = (PyTypeObject *)known->item;
    const data_class *each = about(item);
    int status = each ? 0 : -1;
    for (Py_ssize_t i = 0; !status && i < known->length; i++) {
        status = fill_addresses(to, mine, from, item, at + i * each->size);
    }
    return status;
}

/* Those that the class itself has. */
static int
fill_fields(_Px_crossing *to, data *mine, const data *from, PyTypeObject *type,
            Py_ssize_t at)
{
    PyObject *value;
    Py_ssize_t next = 0;
    int status = 0;
    while (!status && PyDict_Next(type->tp_dict, &next, NULL, &value)) {
        const field *it = (field *)value;
        if (strcmp(Py_TYPE(value)->tp_name, "_ctypes.CField") == 0) {
            status = fill_addresses(to, mine, from, (PyTypeObject *)it->type,
                                    at + it->offset);
        }
    }
    return status;
}

static int
fill_structure(_Px_crossing *to, data *mine, const data *from,
               PyTypeObject *type, Py_ssize_t at)
{
    int status = 0;
    for (; !status && _Px_IsMadeByPython(type); type = type->tp_base) {
        status = fill_fields(to, mine, from, type, at);
    }
    return status;
}

/* At @at in the bytes is an instance of @type. -1 without an error: nobody knows
 * which of it are addresses. */
static int
fill_addresses(_Px_crossing *to, data *mine, const data *from,
               PyTypeObject *type, Py_ssize_t at)
{
    const data_class *known = about(type);
    const char *kind = _Px_BaseInC(type)->tp_name;
    if (is_address(known)) {
        return fill_address(to, mine, from, at);
    }
    if (!has_addresses(known)) {
        return known && !is_letter_of_pointer(known->item) ? 0 : -1;
    }
    return strcmp(kind, "_ctypes.Array") == 0
               ? fill_elements(to, mine, from, known, at)
           : strcmp(kind, "_ctypes.Structure") == 0
               ? fill_structure(to, mine, from, type, at)
               : -1;
}

static int
fill_parts(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    return is_function(_Px_BaseInC(Py_TYPE(object)))
               ? _Px_FillItems(to, ((function *)copy)->parts,
                               ((function *)object)->parts,
                               Py_ARRAY_LENGTH(((function *)copy)->parts))
               : 0;
}

static int
fill_data(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    data *mine = (data *)copy;
    const data *from = (data *)object;
    const data_class *known = about(Py_TYPE(object));
    if (from->base || !(is_address(known) || has_addresses(known))) {
        return 0;
    }
    mine->kept = from->kept ? _Px_CopyPart(to, from->kept) : NULL;
    if ((from->kept && !mine->kept) || fill_parts(to, copy, object) < 0) {
        return -1;
    }
    int status = fill_addresses(to, mine, from, Py_TYPE(object), 0);
    if (status < 0 && !PyErr_Occurred()) {
        (void)_Px_Refuse(object);
    }
    return status;
}

static const _Px_kind kinds[] = {
    {NULL, "_ctypes._SimpleCData", make_data, fill_data, false},
    {NULL, "_ctypes.Structure", make_data, fill_data, false},
    {NULL, "_ctypes.Union", make_data, fill_data, false},
    {NULL, "_ctypes.Array", make_data, fill_data, false},
    {NULL, "_ctypes._Pointer", make_data, fill_data, false},
    {NULL, "_ctypes.CFuncPtr", make_data, fill_data, false},
    {NULL, "_ctypes.PyCArrayType", make_class, NULL, false},
    {NULL, "_ctypes.PyCPointerType", make_class, NULL, false},
};

const _Px_kind *
_Px_KindOfData(PyTypeObject *base)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(kinds); i++) {
        if (strcmp(kinds[i].name, base->tp_name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}
