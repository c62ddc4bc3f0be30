/*
 * Copies of what Python code has made a class or a function of.
 *
 *      class P(Base):            an instance of P, made by object's C code:
 *          __slots__ = "s",      [ head | Base's slots | s | values of names ]
 *
 * An instance is what the nearest base in C makes, and slots and a dict beside.
 * Its copy is made by the same C code and then given these, whatever __init__,
 * __setattr__ or __reduce__ of the class say: the copy is the same object
 * elsewhere, not a new one. __del__ is for the copy to run. But members of an
 * enum are compared by identity: there is one for each value.
 *
 *   I1  What a class adds to its base is accounted for to the byte, or instances
 *       are refused: nothing that lies in them is left behind.
 *
 * A function made in a context, such as a closure, is made anew of the same code,
 * or of a copy (pxframe.c), with copies of what it has bound. Struct sequences and
 * aliases such as list[int] are here, too.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_dict.h"
#include "pycore_object.h"
#include "pycore_typeobject.h"

/* ---- classes ------------------------------------------------------------- */

/* C code that makes a class gives it a name of its own. */
bool
_Px_IsMadeByPython(const PyTypeObject *type)
{
    return type->tp_flags & Py_TPFLAGS_HEAPTYPE &&
           !((PyHeapTypeObject *)type)->_ht_tpname;
}

PyTypeObject *
_Px_BaseInC(PyTypeObject *type)
{
    while (_Px_IsMadeByPython(type)) {
        type = type->tp_base;
    }
    return type;
}

static Py_ssize_t
slot_count(PyTypeObject *type)
{
    Py_ssize_t count = 0;
    PyMemberDef *member = PyObject_GetItemData((PyObject *)type);
    for (Py_ssize_t i = 0; i < Py_SIZE(type); i++) {
        count += member[i].type == Py_T_OBJECT_EX;
    }
    return count;
}

/* I1 */
bool
_Px_AddsOnlySlots(PyTypeObject *type, PyTypeObject *base)
{
    Py_ssize_t words = 0;
    for (PyTypeObject *at = type; at != base; at = at->tp_base) {
        words += slot_count(at);
    }
    words += !(type->tp_flags & Py_TPFLAGS_MANAGED_DICT) &&
             type->tp_dictoffset != base->tp_dictoffset;
    words += !(type->tp_flags & Py_TPFLAGS_MANAGED_WEAKREF) &&
             type->tp_weaklistoffset != base->tp_weaklistoffset;
    return type->tp_basicsize ==
           base->tp_basicsize + words * (Py_ssize_t)sizeof(PyObject *);
}

PyObject *
_Px_MakePlain(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
              PyObject *Py_UNUSED(object))
{
    return type->tp_alloc(type, 0);
}

/* ---- attributes ---------------------------------------------------------- */

static int
copy_slots_of(_Px_crossing *to, PyTypeObject *type, PyObject *copy,
              PyObject *object)
{
    PyMemberDef *member = PyObject_GetItemData((PyObject *)type);
    for (Py_ssize_t i = 0; i < Py_SIZE(type); i++) {
        PyObject *part = *(PyObject **)((char *)object + member[i].offset);
        if (member[i].type != Py_T_OBJECT_EX || !part) {
            continue;
        }
        PyObject **slot = (PyObject **)((char *)copy + member[i].offset);
        *slot = _Px_CopyPart(to, part);
        if (!*slot) {
            return -1;
        }
    }
    return 0;
}

static int
copy_slots(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    int status = 0;
    for (PyTypeObject *type = Py_TYPE(object);
         !status && _Px_IsMadeByPython(type); type = type->tp_base) {
        status = copy_slots_of(to, type, copy, object);
    }
    return status;
}

/* The name is the class's, in most cases, and main's thereby. */
static int
copy_value(_Px_crossing *to, PyObject *copy, PyObject *name, PyObject *part)
{
    PyObject *new_name = _Px_CopyPart(to, name);
    PyObject *value = new_name ? _Px_CopyPart(to, part) : NULL;
    if (value) {
        PyUnicode_InternInPlace(&new_name);
    }
    int status =
        value ? _PyObject_StoreInstanceAttribute(copy, new_name, value) : -1;
    Py_XDECREF(new_name);
    Py_XDECREF(value);
    return status;
}

/* In the order in which they were set. There are none any more in an instance whose
 * dict has been deleted. */
static int
copy_values(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyDictValues *values = _PyObject_InlineValues(object);
    PyDictKeysObject *keys =
        ((PyHeapTypeObject *)Py_TYPE(object))->ht_cached_keys;
    const uint8_t *order = get_insertion_order_array(values);
    int size = values->valid ? values->size : 0, status = 0;
    for (int i = 0; !status && i < size; i++) {
        status = copy_value(to, copy, DK_UNICODE_ENTRIES(keys)[order[i]].me_key,
                            values->values[order[i]]);
    }
    return status;
}

static PyObject *
dict_of(PyObject *object)
{
    if (Py_TYPE(object)->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        return (PyObject *)_PyObject_GetManagedDict(object);
    }
    PyObject **at = _PyObject_ComputedDictPointer(object);
    return at ? *at : NULL;
}

/* The dict of one instance whose class did not know the names as yet. */
static bool
is_its_own(PyObject *dict)
{
    PyObject *name;
    Py_ssize_t at = 0;
    bool own = PyDict_CheckExact(dict) && dict->ob_refcnt == 1;
    while (own && PyDict_Next(dict, &at, &name, NULL)) {
        own = PyUnicode_CheckExact(name);
    }
    return own;
}

static int
copy_named_values(_Px_crossing *to, PyObject *copy, PyObject *dict)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    int status = 0;
    while (!status && PyDict_Next(dict, &at, &name, &value)) {
        status = copy_value(to, copy, name, value);
    }
    return status;
}

/* It may be referred to from elsewhere, too. */
static int
give_dict(_Px_crossing *to, PyObject *copy, PyObject *dict)
{
    PyObject *mine = _Px_CopyPart(to, dict);
    int status = !mine ? -1
                 : Py_TYPE(copy)->tp_flags & Py_TPFLAGS_MANAGED_DICT
                     ? _PyObject_SetManagedDict(copy, mine)
                     : PyObject_GenericSetDict(copy, mine, NULL);
    Py_XDECREF(mine);
    return status;
}

int
_Px_CopyAttributes(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject *dict = dict_of(object);
    bool in_place = type->tp_flags & Py_TPFLAGS_INLINE_VALUES;
    if (copy_slots(to, copy, object) < 0) {
        return -1;
    }
    if (in_place && dict && is_its_own(dict)) {
        return copy_named_values(to, copy, dict);
    }
    if (dict) {
        return give_dict(to, copy, dict);
    }
    return in_place ? copy_values(to, copy, object) : 0;
}

/* ---- members of enums ---------------------------------------------------- */

/* What a dict has by this name, if no key of it needs Python code for that. */
static PyObject *
item_in_c(PyObject *dict, PyObject *name)
{
    return DK_IS_UNICODE(((PyDictObject *)dict)->ma_keys)
               ? PyDict_GetItemWithError(dict, name)
               : NULL;
}

/* Main's table of members by value, if @type is an enum and main has no values that
 * are hashed or compared by Python code (C3). */
static PyObject *
members_of(PyTypeObject *type)
{
    PyObject *name = NULL, *members = NULL;
    if (!PyType_CheckExact(type)) { /* made by another class, as enums are */
        name = PyUnicode_InternFromString("_value2member_map_");
        members = name ? item_in_c(type->tp_dict, name) : NULL;
        Py_XDECREF(name);
    }
    return members && PyDict_CheckExact(members) &&
                   _Px_AreKeysHashedInC(members)
               ? members
               : NULL;
}

/* C3: whatever its class has by this name. */
static PyObject *
own_attribute(PyObject *object, PyObject *name)
{
    PyObject *dict = dict_of(object);
    if (dict || !(Py_TYPE(object)->tp_flags & Py_TPFLAGS_INLINE_VALUES)) {
        return dict ? item_in_c(dict, name) : NULL;
    }
    PyDictValues *values = _PyObject_InlineValues(object);
    PyHeapTypeObject *type = (PyHeapTypeObject *)Py_TYPE(object);
    Py_ssize_t at = values->valid
                        ? _PyDictKeys_StringLookup(type->ht_cached_keys, name)
                        : -1;
    return at < 0 ? NULL : values->values[at];
}

/* The number of a combination of flags that main did not have as yet; not counted. */
static PyObject *
value_of(PyObject *member)
{
    PyObject *name = PyUnicode_InternFromString("_value_");
    PyObject *value = name ? own_attribute(member, name) : NULL;
    Py_XDECREF(name);
    PyErr_Clear();
    return value && PyLong_CheckExact(value) ? value : NULL;
}

PyObject *
_Px_FindMember(PyObject *object)
{
    PyObject *members = members_of(Py_TYPE(object));
    PyObject *value = members ? value_of(object) : NULL;
    PyObject *known = value ? PyDict_GetItemWithError(members, value) : NULL;
    return Py_XNewRef(known);
}

int
_Px_AddMember(PyObject *copy)
{
    PyObject *members = members_of(Py_TYPE(copy));
    PyObject *value = members ? value_of(copy) : NULL;
    return value              ? PyDict_SetItem(members, value, copy)
           : PyErr_Occurred() ? -1
                              : 0;
}

/* ---- functions ----------------------------------------------------------- */

/* C3: a function that is made looks names up in its globals, where keys that are no
 * str may need Python code. It is told of what it finds, in any case. */
static PyObject *
new_function(PyObject *code, PyObject *globals)
{
    PyObject *asked = DK_IS_UNICODE(((PyDictObject *)globals)->ma_keys)
                          ? Py_NewRef(globals)
                          : PyDict_New();
    PyObject *copy = asked ? PyFunction_New(code, asked) : NULL;
    if (copy) {
        Py_SETREF(((PyFunctionObject *)copy)->func_globals, Py_NewRef(globals));
    }
    Py_XDECREF(asked);
    return copy;
}

/* Its globals may lead to it. What they say of builtins may not be there yet. */
PyObject *
_Px_MakeFunction(_Px_crossing *to, PyTypeObject *Py_UNUSED(type),
                 PyObject *object)
{
    PyFunctionObject *from = (PyFunctionObject *)object;
    PyObject *code = _Px_CopyPart(to, from->func_code);
    PyObject *globals = code ? _Px_CopyPart(to, from->func_globals) : NULL;
    PyObject *builtins = globals ? _Px_CopyPart(to, from->func_builtins) : NULL;
    PyObject *copy = builtins ? new_function(code, globals) : NULL;
    if (copy) {
        Py_SETREF(((PyFunctionObject *)copy)->func_builtins,
                  Py_NewRef(builtins));
    }
    Py_XDECREF(code);
    Py_XDECREF(globals);
    Py_XDECREF(builtins);
    return copy;
}

static int
copy_field(_Px_crossing *to, PyObject **field, PyObject *part)
{
    PyObject *mine = part ? _Px_CopyPart(to, part) : NULL;
    if (part && !mine) {
        return -1;
    }
    Py_XSETREF(*field, mine);
    return 0;
}

int
_Px_FillFunction(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyFunctionObject *mine = (PyFunctionObject *)copy;
    PyFunctionObject *from = (PyFunctionObject *)object;
    if (copy_field(to, &mine->func_name, from->func_name) < 0 ||
        copy_field(to, &mine->func_qualname, from->func_qualname) < 0 ||
        copy_field(to, &mine->func_doc, from->func_doc) < 0 ||
        copy_field(to, &mine->func_module, from->func_module) < 0 ||
        copy_field(to, &mine->func_typeparams, from->func_typeparams) < 0) {
        return -1;
    }
    if (copy_field(to, &mine->func_defaults, from->func_defaults) < 0 ||
        copy_field(to, &mine->func_kwdefaults, from->func_kwdefaults) < 0 ||
        copy_field(to, &mine->func_annotations, from->func_annotations) < 0) {
        return -1;
    }
    return copy_field(to, &mine->func_closure, from->func_closure);
}

PyObject *
_Px_MakeMethod(_Px_crossing *to, PyTypeObject *Py_UNUSED(type),
               PyObject *object)
{
    PyObject *func = _Px_CopyPart(to, PyMethod_GET_FUNCTION(object));
    PyObject *self = func ? _Px_CopyPart(to, PyMethod_GET_SELF(object)) : NULL;
    PyObject *copy = self ? PyMethod_New(func, self) : NULL;
    Py_XDECREF(func);
    Py_XDECREF(self);
    return copy;
}

/* I2. What it is a method of; NULL for a function. */
static int
copy_self(_Px_crossing *to, PyObject *from, PyObject **self)
{
    *self = from ? _Px_CopyPart(to, from) : NULL;
    if (!*self) {
        return from ? -1 : 0;
    }
    return _Px_BaseInC(Py_TYPE(*self)) == _Px_BaseInC(Py_TYPE(from)) ? 0 : 1;
}

/* Methods in C, such as append of a list: the copy of the list has its own. */
PyObject *
_Px_MakeBuiltin(_Px_crossing *to, PyTypeObject *Py_UNUSED(type),
                PyObject *object)
{
    PyCFunctionObject *from = (PyCFunctionObject *)object;
    PyTypeObject *class = PyCFunction_GET_CLASS(from);
    PyObject *self = NULL, *copy = NULL;
    if (!_Px_IsMains(from->m_module) || !_Px_IsMains(from->m_ml) ||
        !_Px_IsMains(class)) {
        return _Px_Refuse(object);
    }
    int status = copy_self(to, from->m_self, &self);
    if (status == 0) {
        copy = PyCMethod_New(from->m_ml, self, from->m_module, class);
    }
    else if (status > 0) {
        (void)_Px_Refuse(object);
    }
    Py_XDECREF(self);
    return copy;
}

/* As descrobject.c has it. */
typedef struct wrapper {
    PyObject head;
    PyObject *slot, *self;
} wrapper;

PyObject *
_Px_SelfOfWrapper(PyObject *object)
{
    return ((wrapper *)object)->self;
}

/* Such as __setitem__ of a dict. */
PyObject *
_Px_MakeWrapper(_Px_crossing *to, PyTypeObject *Py_UNUSED(type),
                PyObject *object)
{
    const wrapper *from = (wrapper *)object;
    PyObject *self = NULL;
    int status = _Px_IsMains(from->slot) ? copy_self(to, from->self, &self) : 1;
    PyObject *copy = status == 0 ? PyWrapper_New(from->slot, self) : NULL;
    if (status > 0) {
        (void)_Px_Refuse(object);
    }
    Py_XDECREF(self);
    return copy;
}

PyObject *
_Px_MakeCell(_Px_crossing *Py_UNUSED(to), PyTypeObject *Py_UNUSED(type),
             PyObject *Py_UNUSED(object))
{
    return PyCell_New(NULL);
}

int
_Px_FillCell(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *content = PyCell_GET(object);
    PyObject *mine = content ? _Px_CopyPart(to, content) : NULL;
    PyCell_SET(copy, mine);
    return content && !mine ? -1 : 0;
}

/* ---- struct sequences ---------------------------------------------------- */

bool
_Px_IsStruct(PyTypeObject *type)
{
    return type->tp_base == &PyTuple_Type &&
           PyDict_Contains(_PyType_GetDict(type), &_Py_ID(n_sequence_fields)) ==
               1;
}

PyObject *
_Px_MakeStruct(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
               PyObject *Py_UNUSED(object))
{
    return PyStructSequence_New(type);
}

int
_Px_FillStruct(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *fields = PyObject_GetAttrString(
        (PyObject *)_Px_BaseInC(Py_TYPE(object)), "n_fields");
    Py_ssize_t count = fields ? PyLong_AsSsize_t(fields) : -1;
    Py_XDECREF(fields);
    return count < 0 ? -1
                     : _Px_FillItems(to, ((PyTupleObject *)copy)->ob_item,
                                     ((PyTupleObject *)object)->ob_item, count);
}

/* ---- aliases ------------------------------------------------------------- */

/* Of an iterator with one object. Takes it over. */
static PyObject *
only_object_of(PyObject *iterable)
{
    PyObject *iterator = iterable ? PyObject_GetIter(iterable) : NULL;
    PyObject *object = iterator ? PyIter_Next(iterator) : NULL;
    Py_XDECREF(iterator);
    Py_XDECREF(iterable);
    return object;
}

/* *tuple[int] is what iter(tuple[int]) yields, and says so: by an iterator. */
PyObject *
_Px_MakeAlias(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyObject *unpacked = _Px_AttributeInC(object, "__unpacked__");
    Py_XDECREF(unpacked);
    if (!unpacked || unpacked == Py_False) {
        return unpacked ? _Px_MakeByArguments(to, type, object) : NULL;
    }
    PyObject *origin = _Px_AttributeInC(object, "__origin__");
    PyObject *arguments = origin ? _Px_AttributeInC(object, "__args__") : NULL;
    PyObject *recipe =
        arguments ? Py_BuildValue("O(OO)", type, origin, arguments) : NULL;
    Py_XDECREF(origin);
    Py_XDECREF(arguments);
    return only_object_of(_Px_FollowRecipe(to, type, recipe));
}
