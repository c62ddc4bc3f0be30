/*
 * Copies of objects in C by the layout of their fields: views, iterators, matches,
 * patterns, entries of directories.
 *
 * A layout has a letter for each word behind the object's head:
 *
 *      o   a reference, which may be NULL: its copy
 *      n   no reference, or one that nobody counts: as it is
 *      -   NULL: the list of weak references, a buffer that is empty between
 *          calls, or what is filled in elsewhere
 *
 * and objects of variable size have more words, of kind n, behind these.
 *
 *      list_iterator   [ head | index | list ]      "no"
 *
 * Most have no constructor that would make an object in the middle of its life,
 * and what they give to pickle is made with the main thread's memory, or changes
 * them. So they are copied where they stand; an iterator goes on where it was.
 *
 *   Y1  A layout says all of the object, to the word, or it is not copied: that is
 *       what a CPython of another make would come to.
 *   Y2  What a context's object refers to is the context's or main's, but never an
 *       object that is made for the copying.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_genobject.h"
#include "pycore_namespace.h"
#include "pycore_unicodeobject.h"
#include "pycore_unionobject.h"

#ifdef Py_DEBUG
#define PATTERN "nooon-nonn"
#else
#define PATTERN "nooon-nnn"
#endif

/* What tee keeps in one object: 57 places for items, not all of them in use. */
#define PLACES "--------"
#define TEE "ono" PLACES PLACES PLACES PLACES PLACES PLACES PLACES "-"

#define BUFFERED "onnnn-nnnnn-nnn--"

typedef struct layout {
    PyTypeObject *type; /* NULL: it is known by its name */
    const char *name;
    const char *words;
} layout;

static const layout layouts[] = {
    {&PyDictKeys_Type, NULL, "o"},
    {&PyDictValues_Type, NULL, "o"},
    {&PyDictItems_Type, NULL, "o"},
    {&PyODictKeys_Type, NULL, "o"},
    {&PyODictValues_Type, NULL, "o"},
    {&PyODictItems_Type, NULL, "o"},
    {&PyDictProxy_Type, NULL, "o"},
    {&_PyUnion_Type, NULL, "oo"},
    {&PyListIter_Type, NULL, "no"},
    {&PyListRevIter_Type, NULL, "no"},
    {&PyTupleIter_Type, NULL, "no"},
    {&PyUnicodeIter_Type, NULL, "no"},
    {&_PyUnicodeASCIIIter_Type, NULL, "no"},
    {&PyBytesIter_Type, NULL, "no"},
    {&PyByteArrayIter_Type, NULL, "no"},
    {&PyRangeIter_Type, NULL, "nnn"},
    {&PyLongRangeIter_Type, NULL, "ooo"},
    {&PySeqIter_Type, NULL, "no"},
    {&PyCallIter_Type, NULL, "oo"},
    {&PyReversed_Type, NULL, "no"},
    {&PyEnum_Type, NULL, "nooon"},
    {&PyMap_Type, NULL, "oo"},
    {&PyFilter_Type, NULL, "oo"},
    {&PyZip_Type, NULL, "noon"},
    {NULL, "functools.partial", "oooo-n"},
    {NULL, "itertools.accumulate", "oooon"},
    {NULL, "itertools.batched", "onn"},
    {NULL, "itertools.chain", "oo"},
    {NULL, "itertools.compress", "oo"},
    {NULL, "itertools.count", "noo"},
    {NULL, "itertools.cycle", "oonn"},
    {NULL, "itertools.dropwhile", "oon"},
    {NULL, "itertools.filterfalse", "oo"},
    {NULL, "itertools.islice", "onnnn"},
    {NULL, "itertools.pairwise", "ooo"},
    {NULL, "itertools.repeat", "on"},
    {NULL, "itertools.starmap", "oo"},
    {NULL, "itertools.takewhile", "oon"},
    {NULL, "itertools.zip_longest", "nnooo"},
    {NULL, "itertools.groupby", "ooooo-n"},
    {NULL, "itertools._grouper", "oo"},
    {NULL, "itertools._tee", "on-n"},
    {NULL, "itertools._tee_dataobject", TEE},
    {NULL, "itertools.product", "o-on"},
    {NULL, "itertools.combinations", "o-onn"},
    {NULL, "itertools.combinations_with_replacement", "o-onn"},
    {NULL, "itertools.permutations", "o--onn"},
    {&PyDictIterKey_Type, NULL, "onnon"},
    {&PyDictIterValue_Type, NULL, "onnon"},
    {&PyDictIterItem_Type, NULL, "onnon"},
    {&PyDictRevIterKey_Type, NULL, "onnon"},
    {&PyDictRevIterValue_Type, NULL, "onnon"},
    {&PyDictRevIterItem_Type, NULL, "onnon"},
    {&PyProperty_Type, NULL, "ooooon"},
    {&PyStaticMethod_Type, NULL, "oo"},
    {&PyClassMethod_Type, NULL, "oo"},
    {&_PyCoroWrapper_Type, NULL, "o"},
    {NULL, "collections._tuplegetter", "no"},
    {NULL, "typing.TypeVar", "ooooooon"},
    {NULL, "typing.ParamSpec", "oooon"},
    {NULL, "typing.ParamSpecArgs", "o"},
    {NULL, "typing.ParamSpecKwargs", "o"},
    {NULL, "typing.TypeVarTuple", "ooo"},
    {NULL, "typing.TypeAliasType", "ooooo"},
    {NULL, "re.Match", "ooonnnnn"},
    {NULL, "re.Pattern", PATTERN},
    {NULL, "posix.DirEntry", "oooonnn"},
    {NULL, "sqlite3.Row", "oo"},
    {&PyODictIter_Type, NULL, "nonnoo"},
    {&PySuper_Type, NULL, "ooo"},
    {&PyContextToken_Type, NULL, "ooon"},
    {NULL, "memory_iterator", "nonn"},
    {NULL, "array.arrayiterator", "non"},
    {NULL, "functools.KeyWrapper", "oo"},
    {NULL, "operator.methodcaller", "ooo--n"},
    {NULL, "_io._BytesIOBuffer", "o"},
    {NULL, "_json.Scanner", "nooooo"},
    {NULL, "_json.Encoder", "oooooonn"},
    {NULL, "_csv.Dialect", "nnno"},
    {NULL, "_csv.reader", "ooon---nn"},
    {NULL, "_csv.writer", "oo---no"},
    {&PyInstanceMethod_Type, NULL, "o"},
    {&_PyAsyncGenASend_Type, NULL, "oon"},
    {&_PyAsyncGenAThrow_Type, NULL, "oon"},
    {NULL, "anext_awaitable", "oo"},
    {NULL, "generic_alias_iterator", "o"},
    {NULL, "decimal.ContextManager", "oo"},
    {NULL, "_elementtree._element_iterator", "---oon"},
    {NULL, "xml.etree.ElementTree.TreeBuilder", "oooooonoooooooooonn"},
    {NULL, "_multibytecodec.MultibyteCodec", "no"},
    {NULL, "_io._IOBase", "--"},
    {NULL, "_io._RawIOBase", "--"},
    {NULL, "_io._BufferedIOBase", "--"},
    {NULL, "_io._TextIOBase", "--"},
    {NULL, "_io.FileIO", "nn--"},
    {NULL, "_io.BufferedReader", BUFFERED},
    {NULL, "_io.BufferedWriter", BUFFERED},
    {NULL, "_io.BufferedRandom", BUFFERED},
    {NULL, "_io.BufferedRWPair", "oo--"},
    {NULL, "_io.TextIOWrapper", "nnoooooonnnnnononono--n"},
    {NULL, "_io.IncrementalNewlineDecoder", "oon"},
    {NULL, "_socket.socket", "nnnnn"},
    {NULL, "select.epoll", "n"},
};

/* ---- the words ----------------------------------------------------------- */

/* @base is the nearest class in C. */
static const layout *
layout_of(PyTypeObject *base)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(layouts); i++) {
        const layout *it = &layouts[i];
        if (it->type ? it->type == base
                     : strcmp(it->name, base->tp_name) == 0) {
            return it;
        }
    }
    return NULL;
}

static size_t
head_of(PyTypeObject *base)
{
    return base->tp_itemsize ? sizeof(PyVarObject) : sizeof(PyObject);
}

static PyObject **
first_word(PyObject *object, PyTypeObject *base)
{
    return (PyObject **)((char *)object + head_of(base));
}

/* Of what is behind the words of the layout; none in most. */
static size_t
bytes_behind(PyObject *object, PyTypeObject *base)
{
    return base->tp_itemsize ? (size_t)(base->tp_itemsize * Py_SIZE(object))
                             : 0;
}

/* Y1 */
static bool
says_all(const layout *it, PyTypeObject *base)
{
    size_t words = strlen(it->words);
    return (size_t)base->tp_basicsize ==
           head_of(base) + words * sizeof(PyObject *);
}

/* ---- from outside -------------------------------------------------------- */

bool
_Px_HasLayout(PyTypeObject *base)
{
    const layout *it = layout_of(base);
    return it && says_all(it, base);
}

/* Some references may not be NULL when the object goes: until there is the copy
 * there is None, which nobody counts. */
PyObject *
_Px_MakeWords(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    PyTypeObject *base = _Px_BaseInC(type);
    const char *words = layout_of(base)->words;
    size_t count = strlen(words);
    PyObject *copy =
        type->tp_alloc(type, base->tp_itemsize ? Py_SIZE(object) : 0);
    PyObject **from = first_word(object, base);
    PyObject **mine = copy ? first_word(copy, base) : NULL;
    for (size_t i = 0; copy && i < count; i++) {
        mine[i] = words[i] == 'o' ? Py_None : words[i] == 'n' ? from[i] : NULL;
    }
    if (copy) {
        memcpy(mine + count, from + count, bytes_behind(object, base));
    }
    return copy;
}

int
_Px_FillWords(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyTypeObject *base = _Px_BaseInC(Py_TYPE(object));
    const char *words = layout_of(base)->words;
    PyObject **from = first_word(object, base);
    PyObject **mine = first_word(copy, base);
    for (size_t i = 0; words[i]; i++) {
        PyObject *part = words[i] == 'o' ? from[i] : NULL;
        PyObject *new_part = part ? _Px_CopyPart(to, part) : NULL;
        if (part && !new_part) {
            return -1;
        }
        mine[i] = words[i] == 'o' ? new_part : mine[i];
    }
    return 0;
}
