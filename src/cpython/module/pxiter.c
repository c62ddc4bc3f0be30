/*
 * Copies of iterators and views that point into what they go over.
 *
 *      dict_keys_iterator   [ head | dict | used | place | ... ]
 *                                     |             |
 *      { a  -  b  c }  <--------------+             |   its copy has no holes:
 *           place 3 ^------------------------------ +   there, place 2
 *
 *   R1  An iterator of a dict is before the same item, which may be at another
 *       place: the copy of a dict has no holes.
 *   R2  An iterator of a set goes over a set of its own, of the members to come:
 *       the copy of a set may have another order.
 *   R3  What has been changed beside its iterator has been changed for the copy,
 *       too.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_setobject.h"

/* ---- of dicts --------------------------------------------------------------- */

/* As dictobject.c has them. */
typedef struct dict_iterator {
    PyObject head;
    PyObject *dict; /* NULL: it is over */
    Py_ssize_t used, place;
    PyObject *pair;
    Py_ssize_t left;
} dict_iterator;

/* How many items lie before this place. */
static Py_ssize_t
items_before(PyObject *dict, Py_ssize_t place)
{
    PyObject *key;
    Py_ssize_t at = 0, count = 0;
    while (PyDict_Next(dict, &at, &key, NULL) && at <= place) {
        count++;
    }
    return count;
}

/* Backwards, the place is that of the next item, not the one before which. */
static bool
goes_back(PyObject *iterator)
{
    return Py_IS_TYPE(iterator, &PyDictRevIterKey_Type) ||
           Py_IS_TYPE(iterator, &PyDictRevIterValue_Type) ||
           Py_IS_TYPE(iterator, &PyDictRevIterItem_Type);
}

/* R1, R3 */
int
_Px_FillDictIterator(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    dict_iterator *mine = (dict_iterator *)copy;
    const dict_iterator *from = (dict_iterator *)object;
    if (_Px_FillWords(to, copy, object) < 0) {
        return -1;
    }
    if (from->dict && !_Px_IsMains(from->dict)) {
        Py_ssize_t back = goes_back(object);
        mine->place = items_before(from->dict, from->place + back) - back;
        mine->used = from->used == ((PyDictObject *)from->dict)->ma_used
                         ? from->used
                         : -1;
    }
    return 0;
}

/* As odictobject.c has them. Its own order is not that of the dict that it is. */
typedef struct ordered_dict {
    PyDictObject dict;
    void *first, *last, *nodes;
    Py_ssize_t node_count;
    void *sentinel;
    size_t changes; /* each new key is one */
    PyObject *attributes, *references;
} ordered_dict;

typedef struct ordered_iterator {
    PyObject head;
    int kind;
    PyObject *dict; /* NULL: it is over */
    Py_ssize_t used;
    size_t changes;
    PyObject *key, *pair;
} ordered_iterator;

/* R3. The copy of the dict is as yet to be filled, maybe, and then has as many
 * changes as items. */
int
_Px_FillOrderedIterator(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    ordered_iterator *mine = (ordered_iterator *)copy;
    const ordered_iterator *from = (ordered_iterator *)object;
    if (PyODict_Type.tp_basicsize != sizeof(ordered_dict)) {
        (void)_Px_Refuse(object);
        return -1;
    }
    if (_Px_FillWords(to, copy, object) < 0) {
        return -1;
    }
    if (from->dict && !_Px_IsMains(from->dict)) {
        const ordered_dict *dict = (ordered_dict *)from->dict;
        Py_ssize_t used = dict->dict.ma_used;
        mine->used = from->used == used ? used : -1;
        mine->changes =
            from->changes == dict->changes ? (size_t)used : SIZE_MAX;
    }
    return 0;
}

/* ---- of sets ---------------------------------------------------------------- */

typedef struct set_iterator {
    PyObject head;
    PyObject *set; /* NULL: it is over */
    Py_ssize_t used, place, left;
} set_iterator;

PyObject *
_Px_MakeSetIterator(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
                    PyObject *object)
{
    const set_iterator *from = (set_iterator *)object;
    PyObject *copy = type->tp_basicsize == sizeof(set_iterator)
                         ? type->tp_alloc(type, 0)
                         : NULL;
    if (copy) {
        set_iterator *mine = (set_iterator *)copy;
        mine->used = from->used;
        mine->place = from->place;
        mine->left = from->left;
    }
    return copy;
}

/* R2, R3 */
int
_Px_FillSetIterator(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    set_iterator *mine = (set_iterator *)copy;
    const set_iterator *from = (set_iterator *)object;
    if (!from->set || _Px_IsMains(from->set)) {
        mine->set = Py_XNewRef(from->set);
        return 0;
    }
    PyObject *members = _Px_CopyMembers(to, from->set, from->place);
    mine->set = members ? PySet_New(NULL) : NULL;
    if (!mine->set) {
        Py_XDECREF(members);
        return -1;
    }
    bool same = from->used == ((PySetObject *)from->set)->used;
    mine->left = PyList_GET_SIZE(members);
    mine->used = same ? mine->left : -1;
    mine->place = 0;
    return _Px_AddMembers(to, mine->set, members);
}

/* ---- of deques -------------------------------------------------------------- */

/* The heads of what _collectionsmodule.c has. */
typedef struct deque {
    PyVarObject head;
    void *left, *right;
    Py_ssize_t first, last;
    size_t changes;
} deque;

typedef struct deque_iterator {
    PyObject head;
    void *block;
    Py_ssize_t place;
    PyObject *deque;
    size_t changes;
    Py_ssize_t left;
} deque_iterator;

/* R3. One that the deque contains is made before all of the deque is there. */
static PyObject *
iterate_deque(PyTypeObject *type, const deque_iterator *from, PyObject *mine)
{
    bool same = from->changes == ((deque *)from->deque)->changes;
    Py_ssize_t length = Py_SIZE(from->deque);
    if (Py_SIZE(mine) != length) {
        return _Px_Refuse((PyObject *)from);
    }
    PyObject *copy = _Px_Construct(
        type, Py_BuildValue("On", mine, same ? length - from->left : 0));
    if (copy && !same) {
        ((deque_iterator *)copy)->changes = SIZE_MAX;
        ((deque_iterator *)copy)->left = from->left;
    }
    return copy;
}

PyObject *
_Px_MakeDequeIterator(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    const deque_iterator *from = (deque_iterator *)object;
    if (type->tp_basicsize != sizeof *from) {
        return _Px_Refuse(object);
    }
    PyObject *mine = _Px_CopyPart(to, from->deque);
    PyObject *copy = mine ? iterate_deque(type, from, mine) : NULL;
    Py_XDECREF(mine);
    return copy;
}

/* ---- of structures ----------------------------------------------------------- */

/* As _struct.c has it. */
typedef struct unpacker {
    PyObject head;
    PyObject *packer; /* NULL: it is over */
    Py_buffer buffer;
    Py_ssize_t at;
} unpacker;

/* C3: whether no class in Python has a say in its buffer. */
static bool
has_buffer_in_c(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    const PyBufferProcs *own = type->tp_as_buffer;
    const PyBufferProcs *in_c = _Px_BaseInC(type)->tp_as_buffer;
    return own && in_c && own->bf_getbuffer == in_c->bf_getbuffer &&
           own->bf_releasebuffer == in_c->bf_releasebuffer;
}

static PyObject *
unpack_all(_Px_crossing *to, const unpacker *from)
{
    if (!has_buffer_in_c(from->buffer.obj)) {
        return _Px_Refuse((PyObject *)from);
    }
    PyObject *packer = _Px_CopyPart(to, from->packer);
    PyObject *bytes = packer ? _Px_CopyPart(to, from->buffer.obj) : NULL;
    PyObject *copy = bytes ? _Px_CallInC(packer, "iter_unpack", bytes) : NULL;
    Py_XDECREF(packer);
    Py_XDECREF(bytes);
    return copy;
}

PyObject *
_Px_MakeUnpacker(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    const unpacker *from = (unpacker *)object;
    if (type->tp_basicsize != sizeof *from) {
        return _Px_Refuse(object);
    }
    PyObject *copy =
        from->packer ? unpack_all(to, from) : type->tp_alloc(type, 0);
    unpacker *mine = (unpacker *)copy;
    if (copy && mine->buffer.len != from->buffer.len && from->packer) {
        Py_DECREF(copy);
        return _Px_Refuse(object);
    }
    if (copy) {
        mine->at = from->at;
    }
    return copy;
}

/* ---- of matches -------------------------------------------------------------- */

/* The head of what sre.h has. */
typedef struct scanner {
    PyObject head;
    PyObject *pattern;
    const void *at, *beginning;
    const void *start; /* of what is to be searched; NULL: it is over */
    const void *end;
    PyObject *string;
    Py_buffer buffer;
    Py_ssize_t first, last;
    int is_bytes, char_bytes, match_all, must_advance;
} scanner;

static PyObject *
scan_all(PyObject *pattern, PyObject *string, const scanner *from)
{
    PyObject *scan = _Px_AttributeInC(pattern, "scanner");
    PyObject *copy = scan ? PyObject_CallFunction(scan, "Onn", string,
                                                  from->first, from->last)
                          : NULL;
    Py_XDECREF(scan);
    return copy;
}

PyObject *
_Px_ScannedString(PyObject *object)
{
    return strcmp(Py_TYPE(object)->tp_name, "_sre.SRE_Scanner") == 0 &&
                   Py_TYPE(object)->tp_basicsize >= (Py_ssize_t)sizeof(scanner)
               ? ((scanner *)object)->string
               : NULL;
}

/* finditer() makes an iterator that asks one of these. */
PyObject *
_Px_MakeScanner(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    const scanner *from = (scanner *)object;
    if (type->tp_basicsize < (Py_ssize_t)sizeof *from ||
        !(PyUnicode_Check(from->string) || has_buffer_in_c(from->string))) {
        return _Px_Refuse(object);
    }
    PyObject *pattern = _Px_CopyPart(to, from->pattern);
    PyObject *string = pattern ? _Px_CopyPart(to, from->string) : NULL;
    PyObject *copy = string ? scan_all(pattern, string, from) : NULL;
    scanner *mine = (scanner *)copy;
    if (copy) {
        ptrdiff_t offset = (char *)from->start - (char *)from->beginning;
        mine->start = from->start ? (char *)mine->beginning + offset : NULL;
        mine->must_advance = from->must_advance;
    }
    Py_XDECREF(pattern);
    Py_XDECREF(string);
    return copy;
}

/* ---- of itertools ------------------------------------------------------------ */

typedef struct groups {
    PyObject head;
    PyObject *it, *key, *target, *current, *value;
    const void *group; /* nobody counts that */
} groups;

/* A group of a groupby, which goes on only while it is the newest. */
int
_Px_FillGroup(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    if (_Px_FillWords(to, copy, object) < 0) {
        return -1;
    }
    PyObject *from = *(PyObject **)(object + 1);
    PyObject *mine = *(PyObject **)(copy + 1);
    if (!_Px_IsMains(from) && ((groups *)from)->group == object) {
        ((groups *)mine)->group = copy;
    }
    return 0;
}

typedef struct tee_items {
    PyObject head;
    PyObject *it;
    int count, running;
    PyObject *next;
    PyObject *items[1];
} tee_items;

/* Behind the last item, its places were never written to. */
int
_Px_FillTee(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    tee_items *mine = (tee_items *)copy;
    tee_items *from = (tee_items *)object;
    return _Px_FillItems(to, mine->items, from->items, from->count) < 0
               ? -1
               : _Px_FillWords(to, copy, object);
}

/* The heads of what makes products, combinations, permutations: blocks of indices
 * into pools. */
typedef struct selection {
    PyObject head;
    PyObject *pools;
    Py_ssize_t *indices;
} selection;

typedef struct combinations {
    selection all;
    PyObject *result;
    Py_ssize_t length;
} combinations;

typedef struct permutations {
    selection all;
    Py_ssize_t *cycles;
    PyObject *result;
    Py_ssize_t length;
} permutations;

static int
copy_block(Py_ssize_t **mine, const Py_ssize_t *from, Py_ssize_t count)
{
    if (!from) {
        return 0;
    }
    *mine = PyMem_New(Py_ssize_t, count);
    if (!*mine) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(*mine, from, (size_t)count * sizeof **mine);
    return 0;
}

static int
copy_indices(PyObject *copy, PyObject *object, Py_ssize_t count)
{
    return copy_block(&((selection *)copy)->indices,
                      ((selection *)object)->indices, count);
}

static Py_ssize_t
pool_count(PyObject *object)
{
    return PyTuple_GET_SIZE(((selection *)object)->pools);
}

int
_Px_FillProduct(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    return copy_indices(copy, object, pool_count(object)) < 0
               ? -1
               : _Px_FillWords(to, copy, object);
}

int
_Px_FillCombinations(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    Py_ssize_t length = ((combinations *)object)->length;
    return copy_indices(copy, object, length) < 0
               ? -1
               : _Px_FillWords(to, copy, object);
}

int
_Px_FillPermutations(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    const permutations *from = (permutations *)object;
    if (copy_indices(copy, object, pool_count(object)) < 0 ||
        copy_block(&((permutations *)copy)->cycles, from->cycles,
                   from->length) < 0) {
        return -1;
    }
    return _Px_FillWords(to, copy, object);
}

/* ---- views of memory ---------------------------------------------------------- */

/* Whose buffer is the same bytes again in a copy of it. */
static bool
has_plain_buffer(PyObject *object)
{
    const PyTypeObject *base = _Px_BaseInC(Py_TYPE(object));
    return (base == &PyBytes_Type || base == &PyByteArray_Type ||
            strcmp(base->tp_name, "array.array") == 0 ||
            strcmp(base->tp_name, "mmap.mmap") == 0 ||
            strcmp(base->tp_name, "_io._BytesIOBuffer") == 0 ||
            strncmp(base->tp_name, "_ctypes.", 8) == 0) &&
           has_buffer_in_c(object);
}

/* Such a buffer, with what says how to read it in the interpreter. */
static bool
is_plain(const PyMemoryViewObject *view)
{
    const Py_buffer *all = view->mbuf ? &view->mbuf->master : NULL;
    return all && all->obj && !(view->flags & _Py_MEMORYVIEW_RESTRICTED) &&
           !(view->mbuf->flags &
             (_Py_MANAGED_BUFFER_RELEASED | _Py_MANAGED_BUFFER_FREE_FORMAT)) &&
           !view->view.suboffsets && _Px_IsMains(view->view.format) &&
           has_plain_buffer(all->obj);
}

/* A view of @whole, which is one of all of the buffer, with the shape of another.
 * What it is made of has that shape meanwhile. */
static PyObject *
reshape(PyMemoryViewObject *whole, const PyMemoryViewObject *from)
{
    Py_buffer own = whole->view;
    ptrdiff_t offset = (char *)from->view.buf - (char *)from->mbuf->master.buf;
    whole->view = from->view;
    whole->view.obj = own.obj;
    whole->view.buf = (char *)own.buf + offset;
    whole->view.internal = own.internal;
    PyObject *copy = PyMemoryView_FromObject((PyObject *)whole);
    whole->view = own;
    return copy;
}

static PyObject *
make_view(_Px_crossing *to, PyMemoryViewObject *from)
{
    PyObject *base = _Px_CopyPart(to, from->mbuf->master.obj);
    PyObject *whole = base ? PyMemoryView_FromObject(base) : NULL;
    PyObject *copy = NULL;
    Py_XDECREF(base);
    if (whole &&
        ((PyMemoryViewObject *)whole)->view.len == from->mbuf->master.len) {
        copy = reshape((PyMemoryViewObject *)whole, from);
    }
    else if (whole) {
        (void)_Px_Refuse((PyObject *)from);
    }
    Py_XDECREF(whole);
    return copy;
}

static PyObject *
make_released(void)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *view = bytes ? PyMemoryView_FromObject(bytes) : NULL;
    PyObject *none = view ? _Px_CallInC(view, "release", NULL) : NULL;
    Py_XDECREF(bytes);
    if (!none) {
        Py_CLEAR(view);
    }
    Py_XDECREF(none);
    return view;
}

PyObject *
_Px_MakeView(_Px_crossing *to, PyTypeObject *Py_UNUSED(type), PyObject *object)
{
    PyMemoryViewObject *from = (PyMemoryViewObject *)object;
    return from->flags & _Py_MEMORYVIEW_RELEASED ? make_released()
           : is_plain(from)                      ? make_view(to, from)
                                                 : _Px_Refuse(object);
}
