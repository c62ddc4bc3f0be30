/*
 * Copies of classes that a context has made, of what only classes have in their
 * dicts, and of modules.
 *
 *      class made in a context             class of main's
 *      tp_hash, tp_basicsize, flags ---->  the same words
 *      name, bases, mro, slots ---------->  copies
 *      dict: functions, descriptors ---->  a dict of copies
 *                                          on the list of its bases' subclasses
 *
 * What a class statement makes consists of words - functions of the interpreter,
 * sizes, flags - which are right for main, too, and of objects. So a class is not
 * made a second time: its metaclass's __new__ and mro(), __init_subclass__ of its
 * bases, __set_name__ of what is in it, decorators: all have been called in the
 * context, and are not called again. What they did to the class itself is in its
 * dict; what they put elsewhere, a registry say, is the context's as everything.
 *
 *   T1  A class is as good as made before it is in the memo, but for its dict:
 *       instances can be made. Its bases and metaclass may lack theirs as well.
 *   T2  Its members name the copy's slots with strings that the copy has.
 *   T3  Caches begin empty: versions, specialisations, shared keys, those of abc.
 *
 * A module that a context has imported for itself is copied, with all that is in
 * it, for a function refers to all. Main does not find it in sys.modules: there is
 * what main imports.
 *
 * Rejected: type.__new__(), which calls __set_name__ and __init_subclass__; to find
 * main's class of the same name, as pickle does: it may be another one.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_descrobject.h"
#include "pycore_dict.h"
#include "pycore_moduleobject.h"
#include "pycore_object.h"
#include "pycore_typeobject.h"

/* ---- the parts of a class ------------------------------------------------- */

enum { BASES, BASE, MRO, NAME, QUALNAME, SLOTS, PARTS };

/* Classes that C code makes have more than these words say; of one in the making, a
 * callback that is stopped in mro() may tell. */
static bool
is_known(PyTypeObject *type)
{
    return type->tp_flags & Py_TPFLAGS_READY && _Px_IsMadeByPython(type) &&
           _Px_IsMains(_Px_BaseInC(type)) &&
           !((PyHeapTypeObject *)type)->ht_module && type->tp_mro &&
           PyDict_CheckExact(type->tp_dict);
}

/* But for the class itself, whose place stays empty. */
static PyObject *
copy_mro(_Px_crossing *to, PyObject *class)
{
    PyObject *mro = ((PyTypeObject *)class)->tp_mro;
    PyObject *copy = PyTuple_New(PyTuple_GET_SIZE(mro));
    for (Py_ssize_t i = 0; copy && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        PyObject *mine = base == class ? NULL : _Px_CopyPart(to, base);
        PyTuple_SET_ITEM(copy, i, mine);
        if (!mine && base != class) {
            Py_CLEAR(copy);
        }
    }
    return copy;
}

static PyObject *
copy_part(_Px_crossing *to, PyHeapTypeObject *from, int which)
{
    PyTypeObject *type = &from->ht_type;
    switch (which) {
    case BASES:
        return _Px_CopyItems(to, Py_NewRef(type->tp_bases));
    case BASE:
        return _Px_CopyPart(to, (PyObject *)type->tp_base);
    case MRO:
        return copy_mro(to, (PyObject *)from);
    case NAME:
        return _Px_CopyPart(to, from->ht_name);
    case QUALNAME:
        return _Px_CopyPart(to, from->ht_qualname);
    default:
        return from->ht_slots ? _Px_CopyPart(to, from->ht_slots)
                              : PyTuple_New(0);
    }
}

static int
copy_parts(_Px_crossing *to, PyHeapTypeObject *from, PyObject *parts[PARTS])
{
    int status = 0;
    for (int i = 0; !status && i < PARTS; i++) {
        parts[i] = copy_part(to, from, i);
        status = parts[i] ? 0 : -1;
    }
    return status;
}

static void
drop_parts(PyObject *parts[PARTS])
{
    for (int i = 0; i < PARTS; i++) {
        Py_CLEAR(parts[i]);
    }
}

/* ---- a class --------------------------------------------------------------- */

/* What are no objects; T3. */
static void
take_words(PyHeapTypeObject *copy, const PyHeapTypeObject *from)
{
    size_t first = offsetof(PyTypeObject, tp_name);
    size_t end = offsetof(PyHeapTypeObject, ht_name);
    memcpy((char *)copy + first, (const char *)from + first, end - first);
    PyTypeObject *type = &copy->ht_type;
    type->tp_base = NULL;
    type->tp_dict = type->tp_bases = type->tp_mro = type->tp_cache = NULL;
    type->tp_subclasses = type->tp_weaklist = NULL;
    type->tp_name = "";
    type->tp_doc = NULL;
    type->tp_version_tag = 0;
    type->tp_versions_used = 0;
    type->tp_watched = 0;
    type->tp_flags &= ~Py_TPFLAGS_VALID_VERSION_TAG;
}

static void
point_to_itself(PyHeapTypeObject *copy)
{
    PyTypeObject *type = &copy->ht_type;
    type->tp_as_async = &copy->as_async;
    type->tp_as_number = &copy->as_number;
    type->tp_as_sequence = &copy->as_sequence;
    type->tp_as_mapping = &copy->as_mapping;
    type->tp_as_buffer = &copy->as_buffer;
    type->tp_members = PyObject_GetItemData((PyObject *)copy);
}

/* They go over to the copy. */
static void
give_parts(PyHeapTypeObject *copy, PyObject *parts[PARTS])
{
    PyTypeObject *type = &copy->ht_type;
    type->tp_bases = parts[BASES];
    type->tp_base = (PyTypeObject *)parts[BASE];
    type->tp_mro = parts[MRO];
    copy->ht_name = parts[NAME];
    copy->ht_qualname = parts[QUALNAME];
    copy->ht_slots = parts[SLOTS];
    memset(parts, 0, PARTS * sizeof *parts);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro); i++) {
        if (!PyTuple_GET_ITEM(type->tp_mro, i)) {
            PyTuple_SET_ITEM(type->tp_mro, i, Py_NewRef(copy));
        }
    }
}

/* T2 */
static int
copy_slots(PyHeapTypeObject *copy, PyHeapTypeObject *from)
{
    PyMemberDef *mine = PyObject_GetItemData((PyObject *)copy);
    const PyMemberDef *members = PyObject_GetItemData((PyObject *)from);
    for (Py_ssize_t i = 0; i < Py_SIZE(from); i++) {
        mine[i] = members[i];
        mine[i].name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(copy->ht_slots, i));
        if (!mine[i].name) {
            return -1;
        }
    }
    return 0;
}

static int
copy_doc(PyTypeObject *copy, const PyTypeObject *from)
{
    if (!from->tp_doc) {
        return 0;
    }
    size_t bytes = strlen(from->tp_doc) + 1;
    char *doc = PyMem_Malloc(bytes);
    if (!doc) {
        PyErr_NoMemory();
        return -1;
    }
    copy->tp_doc = memcpy(doc, from->tp_doc, bytes);
    return 0;
}

/* T3 */
static int
make_keys(PyHeapTypeObject *copy, const PyHeapTypeObject *from)
{
    if (!from->ht_cached_keys) {
        return 0;
    }
    copy->ht_cached_keys = _PyDict_NewKeysForClass();
    if (!copy->ht_cached_keys) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int
furnish(PyHeapTypeObject *copy, PyHeapTypeObject *from)
{
    PyTypeObject *type = &copy->ht_type;
    type->tp_name = PyUnicode_AsUTF8(copy->ht_name);
    type->tp_dict = type->tp_name ? PyDict_New() : NULL;
    return type->tp_dict && copy_slots(copy, from) == 0 &&
                   copy_doc(type, &from->ht_type) == 0 &&
                   make_keys(copy, from) == 0
               ? 0
               : -1;
}

static PyObject *
make_class(PyTypeObject *metatype, PyHeapTypeObject *from,
           PyObject *parts[PARTS])
{
    if (PyTuple_GET_SIZE(parts[SLOTS]) != Py_SIZE(from)) {
        return _Px_Refuse((PyObject *)from);
    }
    PyObject *copy = metatype->tp_alloc(metatype, Py_SIZE(from));
    if (!copy) {
        return NULL;
    }
    take_words((PyHeapTypeObject *)copy, from);
    point_to_itself((PyHeapTypeObject *)copy);
    give_parts((PyHeapTypeObject *)copy, parts);
    if (furnish((PyHeapTypeObject *)copy, from) < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}

/* T1. Its bases may lead to it. */
PyObject *
_Px_MakeClass(_Px_crossing *to, PyTypeObject *metatype, PyObject *object)
{
    if (!is_known((PyTypeObject *)object)) {
        return _Px_Refuse(object);
    }
    PyObject *parts[PARTS] = {NULL};
    int status = copy_parts(to, (PyHeapTypeObject *)object, parts);
    PyObject *copy = status < 0 ? NULL : _Px_Known(to, object);
    if (!status && !copy) {
        copy = make_class(metatype, (PyHeapTypeObject *)object, parts);
    }
    drop_parts(parts);
    to->has_classes = true;
    return copy;
}

int
_Px_FillClass(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyTypeObject *mine = (PyTypeObject *)copy;
    PyObject *dict = _Px_CopyPart(to, ((PyTypeObject *)object)->tp_dict);
    if (dict) {
        Py_SETREF(mine->tp_dict, dict);
        PyType_Modified(mine);
    }
    return dict ? 0 : -1;
}

/* ---- subclasses ------------------------------------------------------------ */

/* Where a class has the dict of those that are derived from it. */
static PyObject **
subclasses_of(PyTypeObject *base)
{
    if (base->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN) {
        PyInterpreterState *interp = _PyInterpreterState_GET();
        return &_PyStaticType_GetState(interp, base)->tp_subclasses;
    }
    return (PyObject **)&base->tp_subclasses;
}

static int
add_subclass(PyTypeObject *base, PyTypeObject *type)
{
    PyObject **all = subclasses_of(base);
    PyObject *key = PyLong_FromVoidPtr(type);
    PyObject *reference = key ? PyWeakref_NewRef((PyObject *)type, NULL) : NULL;
    if (reference && !*all) {
        *all = PyDict_New();
    }
    int status = reference && *all ? PyDict_SetItem(*all, key, reference) : -1;
    Py_XDECREF(key);
    Py_XDECREF(reference);
    return status;
}

/* Those that have copies, in their order. */
static int
add_subclasses(const _Px_crossing *to, PyTypeObject *copy, PyObject *all)
{
    PyObject *reference;
    Py_ssize_t at = 0;
    int status = 0;
    while (!status && all && PyDict_Next(all, &at, NULL, &reference)) {
        PyObject *class = ((PyWeakReference *)reference)->wr_object;
        PyObject *mine = _Px_Known(to, class);
        status = mine ? add_subclass(copy, (PyTypeObject *)mine) : 0;
        Py_XDECREF(mine);
    }
    return status;
}

int
_Px_AddClass(const _Px_crossing *to, PyTypeObject *copy, PyTypeObject *object)
{
    int status = add_subclasses(to, copy, (PyObject *)object->tp_subclasses);
    for (Py_ssize_t i = 0; !status && i < PyTuple_GET_SIZE(copy->tp_bases);
         i++) {
        PyObject *base = PyTuple_GET_ITEM(object->tp_bases, i);
        status =
            _Px_IsMains(base) ? add_subclass((PyTypeObject *)base, copy) : 0;
    }
    PyType_Modified(copy);
    return status;
}

/* ---- what is in a class ---------------------------------------------------- */

/* The same slot of the copy. */
static PyObject *
make_member(PyTypeObject *class, PyTypeObject *from, const PyMemberDef *member)
{
    const PyMemberDef *members = PyObject_GetItemData((PyObject *)from);
    PyMemberDef *mine = PyObject_GetItemData((PyObject *)class);
    return PyDescr_NewMember(class, &mine[member - members]);
}

/* Of slots; or __dict__ and __weakref__, which C code has. */
PyObject *
_Px_MakeDescriptor(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyTypeObject *from = ((PyDescrObject *)object)->d_type;
    if (_Px_IsMains(from)) {
        return _Px_Refuse(object);
    }
    PyTypeObject *class = (PyTypeObject *)_Px_CopyPart(to, (PyObject *)from);
    PyObject *copy =
        !class ? NULL
        : type == &PyMemberDescr_Type
            ? make_member(class, from,
                          ((PyMemberDescrObject *)object)->d_member)
            : PyDescr_NewGetSet(class,
                                ((PyGetSetDescrObject *)object)->d_getset);
    Py_XDECREF(class);
    return copy;
}

/* As _abc.c has it. T3 */
typedef struct abc_data {
    PyObject head;
    PyObject *registry, *cache, *negative_cache;
    uint64_t version;
} abc_data;

PyObject *
_Px_MakeABC(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
            PyObject *Py_UNUSED(object))
{
    return type->tp_basicsize == sizeof(abc_data) ? type->tp_alloc(type, 0)
                                                  : NULL;
}

/* A set of weak references to what is registered. */
int
_Px_FillABC(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *registry = ((abc_data *)object)->registry;
    PyObject *set = registry ? _Px_CopyPart(to, registry) : NULL;
    ((abc_data *)copy)->registry = set;
    return registry && !set ? -1 : 0;
}

/* ---- modules --------------------------------------------------------------- */

/* What C code has made is main's, or has a state that nobody knows. Its dict comes
 * with its attributes. */
PyObject *
_Px_MakeModule(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyModuleObject *from = (PyModuleObject *)object;
    if (from->md_def || from->md_state) {
        return _Px_Refuse(object);
    }
    PyObject *name = from->md_name ? _Px_CopyPart(to, from->md_name) : NULL;
    bool failed = from->md_name && !name;
    PyObject *copy = failed ? NULL : _Px_ConstructEmpty(type);
    if (copy) {
        Py_XSETREF(((PyModuleObject *)copy)->md_name, Py_XNewRef(name));
    }
    Py_XDECREF(name);
    return copy;
}
