/*
 * Copies of values and containers, by the kind of object.
 *
 * Each kind of object has a *maker*, which makes the copy, and most a *filler*,
 * which puts in what may refer back to it. Both work for classes derived from
 * the kind, too: the copy is made by the kind's C code for that class, and what
 * the class adds comes later (pxclass.c).
 *
 *      numbers, text     made whole
 *      containers        made empty; filled, or put off (L1)
 *      by arguments      made by the C constructor from what the C code gives
 *                        to pickle: ranges, dates, decimals
 *      of the library    see pxlibrary.c
 *      views, iterators  see pxlayout.c, pxiter.c
 *      classes, modules  see pxtype.c
 *      code, generators  see pxframe.c
 *      weak references   see pxweak.c
 *      states of C code  see pxstate.c, pxtls.c
 *      data of ctypes    see pxctypes.c
 *
 *   L1  A key or a member is hashed and compared on the way only if its type is
 *       known to do that in C, down to the last item of a tuple; else the whole
 *       container is filled late, since the order of a dict matters.
 *   L2  An object is asked by methods of the kind's C type, not of its class.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_descrobject.h"
#include "pycore_hashtable.h"
#include "pycore_long.h"
#include "pycore_namespace.h"
#include "pycore_setobject.h"
#include "pycore_unicodeobject.h"
#include "pycore_unionobject.h"

/* ---- by the C constructor ------------------------------------------------ */

/* What the kind makes for @type of @arguments, which it takes over. */
PyObject *
_Px_Construct(PyTypeObject *type, PyObject *arguments)
{
    PyTypeObject *base = _Px_BaseInC(type);
    PyObject *copy = arguments ? base->tp_new(type, arguments, NULL) : NULL;
    Py_XDECREF(arguments);
    return copy;
}

PyObject *
_Px_ConstructEmpty(PyTypeObject *type)
{
    return _Px_Construct(type, PyTuple_New(0));
}

/* An instance of @type that is worth @value, which it takes over. */
static PyObject *
construct_like(PyTypeObject *type, PyObject *value)
{
    if (!value || Py_IS_TYPE(value, type)) {
        return value;
    }
    PyObject *arguments = PyTuple_Pack(1, value);
    Py_DECREF(value);
    return _Px_Construct(type, arguments);
}

/* L2 */
PyObject *
_Px_AttributeInC(PyObject *object, const char *name)
{
    PyTypeObject *base = _Px_BaseInC(Py_TYPE(object));
    PyObject *found = PyObject_GetAttrString((PyObject *)base, name);
    descrgetfunc get = found ? Py_TYPE(found)->tp_descr_get : NULL;
    PyObject *value = get ? get(found, object, (PyObject *)base) : NULL;
    Py_XDECREF(found);
    return value;
}

/* Copies of the items of a tuple, which it takes over. */
PyObject *
_Px_CopyItems(_Px_crossing *to, PyObject *items)
{
    Py_ssize_t count = items ? PyTuple_GET_SIZE(items) : 0;
    PyObject *mine = items ? PyTuple_New(count) : NULL;
    for (Py_ssize_t i = 0; mine && i < count; i++) {
        PyObject *item = _Px_CopyPart(to, PyTuple_GET_ITEM(items, i));
        if (!item) {
            Py_CLEAR(mine);
        }
        else {
            PyTuple_SET_ITEM(mine, i, item);
        }
    }
    Py_XDECREF(items);
    return mine;
}

/* Takes over (type, arguments of its constructor, ...), made by C code. */
PyObject *
_Px_FollowRecipe(_Px_crossing *to, PyTypeObject *type, PyObject *recipe)
{
    PyObject *arguments = NULL;
    if (recipe) {
        arguments = _Px_CopyItems(to, Py_NewRef(PyTuple_GET_ITEM(recipe, 1)));
    }
    Py_XDECREF(recipe);
    return _Px_Construct(type, arguments);
}

PyObject *
_Px_MakeByArguments(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyObject *reduce = _Px_AttributeInC(object, "__reduce__");
    PyObject *recipe = reduce ? PyObject_CallNoArgs(reduce) : NULL;
    Py_XDECREF(reduce);
    return _Px_FollowRecipe(to, type, recipe);
}

/* ---- numbers and text ---------------------------------------------------- */

static PyObject *
make_int(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    return construct_like(type, _PyLong_Copy((PyLongObject *)object));
}

static PyObject *
make_float(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    return construct_like(type, PyFloat_FromDouble(PyFloat_AS_DOUBLE(object)));
}

static PyObject *
make_complex(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    return construct_like(
        type, PyComplex_FromCComplex(((PyComplexObject *)object)->cval));
}

static PyObject *
make_str(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    return construct_like(type, _PyUnicode_Copy(object));
}

static PyObject *
make_bytes(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    return construct_like(type,
                          PyBytes_FromStringAndSize(PyBytes_AS_STRING(object),
                                                    PyBytes_GET_SIZE(object)));
}

static PyObject *
make_bytearray(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
               PyObject *object)
{
    PyObject *copy = _Px_ConstructEmpty(type);
    if (copy && PyByteArray_Resize(copy, PyByteArray_GET_SIZE(object)) < 0) {
        copy = _Px_DropCopy(copy);
    }
    if (copy) {
        memcpy(PyByteArray_AS_STRING(copy), PyByteArray_AS_STRING(object),
               (size_t)PyByteArray_GET_SIZE(object));
    }
    return copy;
}

/* ---- sequences ----------------------------------------------------------- */

/* Whatever is not there yet is NULL, as may be what C code has not put in. */
int
_Px_FillItems(_Px_crossing *to, PyObject **to_items, PyObject **items,
              Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        to_items[i] = items[i] ? _Px_CopyPart(to, items[i]) : NULL;
        if (items[i] && !to_items[i]) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
make_tuple(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    Py_ssize_t count = PyTuple_GET_SIZE(object);
    return type == &PyTuple_Type ? PyTuple_New(count)
                                 : type->tp_alloc(type, count);
}

static int
fill_tuple(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    return _Px_FillItems(to, ((PyTupleObject *)copy)->ob_item,
                         ((PyTupleObject *)object)->ob_item,
                         PyTuple_GET_SIZE(object));
}

static PyObject *
make_list(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    return type == &PyList_Type ? PyList_New(PyList_GET_SIZE(object))
                                : _Px_ConstructEmpty(type);
}

static int
fill_list(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    Py_ssize_t count = PyList_GET_SIZE(object);
    PyObject *items =
        PyList_CheckExact(copy) ? Py_NewRef(copy) : PyList_New(count);
    int status = items ? _Px_FillItems(to, ((PyListObject *)items)->ob_item,
                                       ((PyListObject *)object)->ob_item, count)
                       : -1;
    if (!status && items != copy) {
        status = PyList_SetSlice(copy, 0, 0, items);
    }
    Py_XDECREF(items);
    return status;
}

/* ---- dicts and sets ------------------------------------------------------ */

/* L1 */
static bool
is_hashed_in_c(PyObject *key)
{
    PyTypeObject *type = Py_TYPE(key);
    if (type == &PyUnicode_Type || type == &PyLong_Type ||
        type == &PyFloat_Type || type == &PyBytes_Type ||
        type == &PyBool_Type || type == &PyComplex_Type || key == Py_None) {
        return true;
    }
    Py_ssize_t i = 0;
    if (type == &PyTuple_Type) {
        while (i < PyTuple_GET_SIZE(key) &&
               is_hashed_in_c(PyTuple_GET_ITEM(key, i))) {
            i++;
        }
    }
    return type == &PyTuple_Type && i == PyTuple_GET_SIZE(key);
}

bool
_Px_AreKeysHashedInC(PyObject *dict)
{
    PyObject *key;
    Py_ssize_t at = 0;
    bool all = true;
    while (all && PyDict_Next(dict, &at, &key, NULL)) {
        all = is_hashed_in_c(key);
    }
    return all;
}

static bool
members_are_hashed_in_c(PyObject *set)
{
    PyObject *key;
    Py_ssize_t at = 0;
    Py_hash_t hash;
    bool all = true;
    while (all && _PySet_NextEntry(set, &at, &key, &hash)) {
        all = is_hashed_in_c(key);
    }
    return all;
}

int
_Px_SetItem(PyObject *dict, PyObject *key, PyObject *value)
{
    return PyODict_Check(dict) ? PyODict_SetItem(dict, key, value)
                               : PyDict_SetItem(dict, key, value);
}

/* Where the copy of an item goes: @late, if that is a list, or the dict. */
static int
put_item(_Px_crossing *to, PyObject *copy, PyObject *late, PyObject *key,
         PyObject *value)
{
    PyObject *new_key = _Px_CopyPart(to, key);
    PyObject *new_value = new_key ? _Px_CopyPart(to, value) : NULL;
    int status = new_value ? 0 : -1;
    if (!status && late) {
        status = PyList_Append(late, new_key) < 0
                     ? -1
                     : PyList_Append(late, new_value);
    }
    else if (!status) {
        status = _Px_SetItem(copy, new_key, new_value);
    }
    Py_XDECREF(new_key);
    Py_XDECREF(new_value);
    return status;
}

/* @late goes on, or goes. */
static int
end_late(_Px_crossing *to, PyObject *copy, PyObject *late, int status)
{
    if (!status && late) {
        return _Px_PutLate(to, copy, late);
    }
    Py_XDECREF(late);
    return status;
}

static PyObject *
make_empty(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
           PyObject *Py_UNUSED(object))
{
    return _Px_ConstructEmpty(type);
}

int
_Px_FillDict(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *key, *value;
    PyObject *late = _Px_AreKeysHashedInC(object) ? NULL : PyList_New(0);
    Py_ssize_t at = 0;
    int status = PyErr_Occurred() ? -1 : 0;
    while (!status && PyDict_Next(object, &at, &key, &value)) {
        status = put_item(to, copy, late, key, value);
    }
    return end_late(to, copy, late, status);
}

/* The values by the addresses of their keys, which no code has to compare. */
static _Py_hashtable_t *
values_by_key(PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    _Py_hashtable_t *table =
        _Py_hashtable_new(_Py_hashtable_hash_ptr, _Py_hashtable_compare_direct);
    while (table && PyDict_Next(dict, &at, &key, &value)) {
        if (_Py_hashtable_set(table, key, value) < 0) {
            _Py_hashtable_destroy(table);
            table = NULL;
        }
    }
    if (!table) {
        PyErr_NoMemory();
    }
    return table;
}

/* No value: methods of dict, called for it, have left a key that it lost. */
static int
put_ordered(_Px_crossing *to, PyObject *copy, PyObject *late, PyObject *key,
            PyObject *value)
{
    if (!value) {
        PyErr_SetString(PyExc_RuntimeError,
                        "an OrderedDict was changed as if it were a dict");
        return -1;
    }
    return put_item(to, copy, late, key, value);
}

/* As odictobject.c has them. An iterator of it looks each key up, and for that may
 * make tables of the context's anew (C1). */
typedef struct ordered_node {
    PyObject *key;
    Py_hash_t hash;
    struct ordered_node *next, *previous;
} ordered_node;

typedef struct ordered_dict {
    PyDictObject dict;
    ordered_node *first, *last;
} ordered_dict;

/* Its own order is not that of the dict that it is. */
static int
fill_ordered(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *late = _Px_AreKeysHashedInC(object) ? NULL : PyList_New(0);
    const ordered_node *at = ((ordered_dict *)object)->first;
    _Py_hashtable_t *values = values_by_key(object);
    int status = values && !PyErr_Occurred() ? 0 : -1;
    for (; !status && at; at = at->next) {
        PyObject *value = _Py_hashtable_get(values, at->key);
        status = put_ordered(to, copy, late, at->key, value);
    }
    if (values) {
        _Py_hashtable_destroy(values);
    }
    return end_late(to, copy, late, status);
}

PyObject *
_Px_CopyMembers(_Px_crossing *to, PyObject *set, Py_ssize_t at)
{
    PyObject *key, *members = PyList_New(0);
    Py_hash_t hash;
    while (members && _PySet_NextEntry(set, &at, &key, &hash)) {
        PyObject *mine = _Px_CopyPart(to, key);
        if (!mine || PyList_Append(members, mine) < 0) {
            Py_CLEAR(members);
        }
        Py_XDECREF(mine);
    }
    return members;
}

/* A frozen set that needs no Python code for its members is made whole. */
static PyObject *
make_set(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    return PyFrozenSet_Check(object) && members_are_hashed_in_c(object)
               ? construct_like(type, _Px_CopyMembers(to, object, 0))
               : _Px_ConstructEmpty(type);
}

static int
add_now(PyObject *set, PyObject *members)
{
    int status = 0;
    for (Py_ssize_t i = 0; !status && i < PyList_GET_SIZE(members); i++) {
        status = PySet_Add(set, PyList_GET_ITEM(members, i));
    }
    Py_DECREF(members);
    return status;
}

int
_Px_AddMembers(_Px_crossing *to, PyObject *set, PyObject *members)
{
    Py_ssize_t i = 0, count = members ? PyList_GET_SIZE(members) : 0;
    while (i < count && is_hashed_in_c(PyList_GET_ITEM(members, i))) {
        i++;
    }
    return !members     ? -1
           : i == count ? add_now(set, members)
                        : _Px_PutLate(to, set, members);
}

static int
fill_set(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    bool is_made = PyFrozenSet_Check(object) && members_are_hashed_in_c(object);
    return is_made ? 0
                   : _Px_AddMembers(to, copy, _Px_CopyMembers(to, object, 0));
}

/* ---- the kinds ----------------------------------------------------------- */

static const _Px_kind kinds[] = {
    {&PyLong_Type, NULL, make_int, NULL, true},
    {&PyUnicode_Type, NULL, make_str, NULL, false},
    {&PyBaseObject_Type, NULL, _Px_MakePlain, NULL, false},
    {&PyFloat_Type, NULL, make_float, NULL, true},
    {&PyTuple_Type, NULL, make_tuple, fill_tuple, false},
    {&PyList_Type, NULL, make_list, fill_list, false},
    {&PyDict_Type, NULL, make_empty, _Px_FillDict, false},
    {&PyBytes_Type, NULL, make_bytes, NULL, false},
    {&PySet_Type, NULL, make_set, fill_set, false},
    {&PyFrozenSet_Type, NULL, make_set, fill_set, false},
    {&PyComplex_Type, NULL, make_complex, NULL, true},
    {&PyByteArray_Type, NULL, make_bytearray, NULL, false},
    {&PyODict_Type, NULL, make_empty, fill_ordered, false},
    {&PyRange_Type, NULL, _Px_MakeByArguments, NULL, false},
    {&PySlice_Type, NULL, _Px_MakeByArguments, NULL, false},
    {&PyFunction_Type, NULL, _Px_MakeFunction, _Px_FillFunction, false},
    {&PyCell_Type, NULL, _Px_MakeCell, _Px_FillCell, false},
    {&PyMethod_Type, NULL, _Px_MakeMethod, NULL, false},
    {&PyCFunction_Type, NULL, _Px_MakeBuiltin, NULL, false},
    {&PyCMethod_Type, NULL, _Px_MakeBuiltin, NULL, false},
    {&_PyMethodWrapper_Type, NULL, _Px_MakeWrapper, NULL, false},
    {&_PyNamespace_Type, NULL, make_empty, NULL, false},
    {NULL, "datetime.datetime", _Px_MakeTime, NULL, false},
    {NULL, "datetime.date", _Px_MakeByArguments, NULL, false},
    {NULL, "datetime.time", _Px_MakeTime, NULL, false},
    {NULL, "datetime.timedelta", _Px_MakeByArguments, NULL, false},
    {NULL, "datetime.timezone", _Px_MakeTimezone, NULL, false},
    {NULL, "datetime.tzinfo", _Px_MakePlain, NULL, false},
    {NULL, "decimal.Decimal", _Px_MakeByArguments, NULL, false},
    {NULL, "collections.deque", _Px_MakeDeque, _Px_FillDeque, false},
    {NULL, "collections.defaultdict", make_empty, _Px_FillDefaultDict, false},
    {NULL, "array.array", _Px_MakeArray, NULL, false},
    {NULL, "_io.BytesIO", _Px_MakeBytesIO, NULL, false},
    {NULL, "_io.StringIO", _Px_MakeStringIO, NULL, false},
    {NULL, "_struct.Struct", _Px_MakePacker, NULL, false},
    {NULL, "_random.Random", _Px_MakeRandom, NULL, false},
    {NULL, "typing.Generic", _Px_MakePlain, NULL, false},
    {&Py_GenericAliasType, NULL, _Px_MakeAlias, NULL, false},
    {NULL, "ast.AST", _Px_MakePlain, NULL, false},
    {NULL, "xml.etree.ElementTree.Element", make_empty, _Px_FillElement, false},
    {NULL, "operator.itemgetter", _Px_MakeByArguments, NULL, false},
    {NULL, "operator.attrgetter", _Px_MakeByArguments, NULL, false},
    {NULL, "datetime.IsoCalendarDate", make_tuple, fill_tuple, false},
    {&PyType_Type, NULL, _Px_MakeClass, _Px_FillClass, false},
    {&PyMemberDescr_Type, NULL, _Px_MakeDescriptor, NULL, false},
    {&PyGetSetDescr_Type, NULL, _Px_MakeDescriptor, NULL, false},
    {&PyModule_Type, NULL, _Px_MakeModule, NULL, false},
    {&PyCode_Type, NULL, _Px_MakeCode, NULL, false},
    {&PyGen_Type, NULL, _Px_MakeGenerator, _Px_FillGenerator, false},
    {&PyCoro_Type, NULL, _Px_MakeGenerator, _Px_FillGenerator, false},
    {&PyAsyncGen_Type, NULL, _Px_MakeGenerator, _Px_FillGenerator, false},
    {&PyDictIterKey_Type, NULL, _Px_MakeWords, _Px_FillDictIterator, false},
    {&PyDictIterValue_Type, NULL, _Px_MakeWords, _Px_FillDictIterator, false},
    {&PyDictIterItem_Type, NULL, _Px_MakeWords, _Px_FillDictIterator, false},
    {&PyDictRevIterKey_Type, NULL, _Px_MakeWords, _Px_FillDictIterator, false},
    {&PyDictRevIterValue_Type, NULL, _Px_MakeWords, _Px_FillDictIterator,
     false},
    {&PyDictRevIterItem_Type, NULL, _Px_MakeWords, _Px_FillDictIterator, false},
    {&PySetIter_Type, NULL, _Px_MakeSetIterator, _Px_FillSetIterator, false},
    {&PyMemoryView_Type, NULL, _Px_MakeView, NULL, false},
    {NULL, "itertools._grouper", _Px_MakeWords, _Px_FillGroup, false},
    {NULL, "itertools._tee_dataobject", _Px_MakeWords, _Px_FillTee, false},
    {NULL, "itertools.product", _Px_MakeWords, _Px_FillProduct, false},
    {NULL, "itertools.combinations", _Px_MakeWords, _Px_FillCombinations,
     false},
    {NULL, "itertools.combinations_with_replacement", _Px_MakeWords,
     _Px_FillCombinations, false},
    {NULL, "itertools.permutations", _Px_MakeWords, _Px_FillPermutations,
     false},
    {NULL, "functools._lru_cache_wrapper", _Px_MakeCached, NULL, false},
    {NULL, "_thread.lock", _Px_MakeLock, NULL, false},
    {NULL, "_thread.RLock", _Px_MakeRLock, NULL, false},
    {NULL, "_io.FileIO", _Px_MakeHandle, _Px_FillHandle, false},
    {NULL, "_socket.socket", _Px_MakeHandle, _Px_FillHandle, false},
    {NULL, "select.epoll", _Px_MakeHandle, _Px_FillHandle, false},
    {NULL, "_io.BufferedReader", _Px_MakeBuffered, _Px_FillBuffered, false},
    {NULL, "_io.BufferedWriter", _Px_MakeBuffered, _Px_FillBuffered, false},
    {NULL, "_io.BufferedRandom", _Px_MakeBuffered, _Px_FillBuffered, false},
    {NULL, "_io.TextIOWrapper", _Px_MakeWords, _Px_FillText, false},
    {NULL, "mmap.mmap", _Px_MakeMapping, _Px_FillMapping, false},
    {NULL, "posix.ScandirIterator", _Px_MakeListing, _Px_FillListing, false},
    {NULL, "_queue.SimpleQueue", make_empty, _Px_FillQueue, false},
    {NULL, "_abc._abc_data", _Px_MakeABC, _Px_FillABC, false},
    {&_PyWeakref_RefType, NULL, _Px_MakeReference, _Px_FillReference, false},
    {&_PyWeakref_ProxyType, NULL, _Px_MakeReference, _Px_FillReference, false},
    {&_PyWeakref_CallableProxyType, NULL, _Px_MakeReference, _Px_FillReference,
     false},
    {&PyODictIter_Type, NULL, _Px_MakeWords, _Px_FillOrderedIterator, false},
    {NULL, "collections._deque_iterator", _Px_MakeDequeIterator, NULL, false},
    {NULL, "collections._deque_reverse_iterator", _Px_MakeDequeIterator, NULL,
     false},
    {NULL, "_struct.unpack_iterator", _Px_MakeUnpacker, NULL, false},
    {NULL, "_sre.SRE_Scanner", _Px_MakeScanner, NULL, false},
    {NULL, "zlib.Compress", _Px_MakeTwin, _Px_FillStream, false},
    {NULL, "zlib.Decompress", _Px_MakeTwin, _Px_FillStream, false},
    {&PyContextVar_Type, NULL, _Px_MakeVariable, _Px_FillVariable, false},
    {&PyContext_Type, NULL, _Px_MakeContext, _Px_FillContext, false},
    {NULL, "_thread._local", _Px_MakeLocal, NULL, false},
    {NULL, "zoneinfo.ZoneInfo", _Px_MakeZone, NULL, false},
    {NULL, "_elementtree._element_iterator", _Px_MakeWords,
     _Px_FillElementIterator, false},
    {NULL, "_thread._ThreadHandle", _Px_MakeThread, NULL, false},
    {NULL, "_multibytecodec.MultibyteIncrementalDecoder", _Px_MakeMultibyte,
     NULL, false},
    {NULL, "_multibytecodec.MultibyteIncrementalEncoder", _Px_MakeMultibyte,
     NULL, false},
    {&PyTraceBack_Type, NULL, _Px_MakeTraceback, NULL, false},
};

static const _Px_kind struct_kind = {NULL, NULL, _Px_MakeStruct, _Px_FillStruct,
                                     false};

static const _Px_kind kind_of_twins = {NULL, NULL, _Px_MakeTwin, NULL, false};

static const _Px_kind kind_of_tls = {NULL, NULL, _Px_MakeTls, _Px_FillTls,
                                     false};

static const _Px_kind kind_by_layout = {NULL, NULL, _Px_MakeWords,
                                        _Px_FillWords, false};

static const _Px_kind *
kind_in_c(PyTypeObject *base)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(kinds); i++) {
        const _Px_kind *kind = &kinds[i];
        if (kind->type ? kind->type == base
                       : strcmp(kind->name, base->tp_name) == 0) {
            return kind;
        }
    }
    return _Px_IsStruct(base)    ? &struct_kind
           : _Px_HasLayout(base) ? &kind_by_layout
           : _Px_HasTwins(base)  ? &kind_of_twins
           : _Px_HasTls(base)    ? &kind_of_tls
           : _Px_IsCodec(base)   ? &_Px_codecs
                                 : _Px_KindOfData(base);
}

const _Px_kind *
_Px_KindOf(PyTypeObject *type)
{
    PyTypeObject *base = _Px_BaseInC(type);
    const _Px_kind *kind = _Px_IsMains(base) ? kind_in_c(base) : NULL;
    return kind && (type == base || _Px_AddsOnlySlots(type, base)) ? kind
                                                                   : NULL;
}
