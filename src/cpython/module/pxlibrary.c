/*
 * Copies of what C code of the library makes: dates, queues, arrays, trees of XML,
 * streams in memory, locks.
 *
 * The modules of these kinds are known by name, as nobody may have imported them;
 * an object is asked by methods of the kind's C type (L2 of pxcopy.c), which give
 * what its constructor takes.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#define _PY_DATETIME_IMPL /* for the structures alone */
#include "datetime.h"
#include "pycore_lock.h"
#include "pycore_pythread.h"

/* ---- dates --------------------------------------------------------------- */

/* From protocol 4 on they tell of `fold`. */
PyObject *
_Px_MakeTime(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyObject *reduce = _Px_AttributeInC(object, "__reduce_ex__");
    PyObject *recipe = reduce ? PyObject_CallFunction(reduce, "i", 4) : NULL;
    Py_XDECREF(reduce);
    return _Px_FollowRecipe(to, type, recipe);
}

PyObject *
_Px_MakeTimezone(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyObject *ask = _Px_AttributeInC(object, "__getinitargs__");
    PyObject *arguments = ask ? PyObject_CallNoArgs(ask) : NULL;
    Py_XDECREF(ask);
    return _Px_Construct(type, _Px_CopyItems(to, arguments));
}

/* Of a date or a time, which has no traversal; or NULL. */
static PyObject *
zone_of(PyObject *object)
{
    const char *name = _Px_BaseInC(Py_TYPE(object))->tp_name;
    return strcmp(name, "datetime.datetime") == 0
               ? PyDateTime_DATE_GET_TZINFO(object)
           : strcmp(name, "datetime.time") == 0
               ? PyDateTime_TIME_GET_TZINFO(object)
               : NULL;
}

int
_Px_TraverseAll(PyObject *object, visitproc visit, void *arg)
{
    traverseproc traverse = Py_TYPE(object)->tp_traverse;
    PyObject *zone = zone_of(object);
    PyObject *hidden = zone ? zone : _Px_ScannedString(object);
    int status = hidden ? visit(hidden, arg) : _Px_VisitTls(object, visit, arg);
    return !status && PyObject_IS_GC(object) && traverse
               ? traverse(object, visit, arg)
               : status;
}

/* ---- containers ---------------------------------------------------------- */

int
_Px_FillDefaultDict(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *factory = _Px_AttributeInC(object, "default_factory");
    PyObject *mine = factory ? _Px_CopyPart(to, factory) : NULL;
    PyObject *arguments = mine ? PyTuple_Pack(1, mine) : NULL;
    int status =
        arguments ? _Px_BaseInC(Py_TYPE(copy))->tp_init(copy, arguments, NULL)
                  : -1;
    Py_XDECREF(factory);
    Py_XDECREF(mine);
    Py_XDECREF(arguments);
    return status < 0 ? -1 : _Px_FillDict(to, copy, object);
}

/* A new object that __init__ in C has given @arguments, which it takes over. */
static PyObject *
initialized(PyTypeObject *type, PyObject *arguments)
{
    PyObject *copy = arguments ? _Px_ConstructEmpty(type) : NULL;
    if (copy && _Px_BaseInC(type)->tp_init(copy, arguments, NULL) < 0) {
        copy = _Px_DropCopy(copy);
    }
    Py_XDECREF(arguments);
    return copy;
}

PyObject *
_Px_MakeDeque(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    PyObject *bound = _Px_AttributeInC(object, "maxlen");
    return initialized(type, bound ? Py_BuildValue("(()N)", bound) : NULL);
}

/* append(copy of item); takes @item over. */
static int
append_copy(_Px_crossing *to, PyObject *append, PyObject *item)
{
    PyObject *mine = _Px_CopyPart(to, item);
    PyObject *none = mine ? PyObject_CallOneArg(append, mine) : NULL;
    Py_DECREF(item);
    Py_XDECREF(mine);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

int
_Px_FillDeque(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *append = _Px_AttributeInC(copy, "append");
    PyObject *items =
        append ? _Px_BaseInC(Py_TYPE(object))->tp_iter(object) : NULL;
    PyObject *item;
    int status = items ? 0 : -1;
    while (!status && (item = Py_TYPE(items)->tp_iternext(items))) {
        status = append_copy(to, append, item);
    }
    Py_XDECREF(append);
    Py_XDECREF(items);
    return PyErr_Occurred() ? -1 : status;
}

/* As arraymodule.c has it. */
typedef struct array {
    PyVarObject head;
    char *items;
    Py_ssize_t room;
    const int *kind; /* its letter, the bytes of an item, ... */
    PyObject *references;
    Py_ssize_t exports;
} array;

static bool
copy_items(array *mine, const array *from)
{
    Py_ssize_t count = Py_SIZE(from);
    size_t size = (size_t)count * (size_t)from->kind[1];
    mine->kind = from->kind;
    mine->items = size ? PyMem_Malloc(size) : NULL;
    if (mine->items) {
        memcpy(mine->items, from->items, size);
        mine->room = count;
        Py_SET_SIZE(mine, count);
    }
    return mine->items || !size;
}

/* Its constructor may warn, and its buffer be one of Python code's: C3. */
PyObject *
_Px_MakeArray(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    if (_Px_BaseInC(type)->tp_basicsize != sizeof(array)) {
        return _Px_Refuse(object);
    }
    PyObject *copy = type->tp_alloc(type, 0);
    if (copy && !copy_items((array *)copy, (array *)object)) {
        (void)_Px_DropCopy(copy);
        return PyErr_NoMemory();
    }
    return copy;
}

/* ---- by their state ------------------------------------------------------- */

PyObject *
_Px_CallInC(PyObject *object, const char *name, PyObject *argument)
{
    PyObject *method = _Px_AttributeInC(object, name);
    PyObject *result = !method    ? NULL
                       : argument ? PyObject_CallOneArg(method, argument)
                                  : PyObject_CallNoArgs(method);
    Py_XDECREF(method);
    return result;
}

/* The list of children is a new one of main's, with the context's children. */
static PyObject *
copy_field(_Px_crossing *to, PyObject *value)
{
    if (!PyList_CheckExact(value) || !_Px_IsMains(value)) {
        return _Px_CopyPart(to, value);
    }
    PyObject *mine = PyList_New(PyList_GET_SIZE(value));
    if (mine && _Px_FillItems(to, ((PyListObject *)mine)->ob_item,
                              ((PyListObject *)value)->ob_item,
                              PyList_GET_SIZE(value)) < 0) {
        Py_CLEAR(mine);
    }
    return mine;
}

int
_Px_FillElement(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *state = _Px_CallInC(object, "__getstate__", NULL);
    PyObject *mine = state ? PyDict_New() : NULL;
    PyObject *name, *value;
    Py_ssize_t at = 0;
    int status = mine ? 0 : -1;
    while (!status && PyDict_Next(state, &at, &name, &value)) {
        PyObject *part = copy_field(to, value);
        status = part ? PyDict_SetItem(mine, name, part) : -1;
        Py_XDECREF(part);
    }
    PyObject *none = status ? NULL : _Px_CallInC(copy, "__setstate__", mine);
    Py_XDECREF(state);
    Py_XDECREF(mine);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

/* As _elementtree.c has it: the way from the root to where the iterator is. */
typedef struct step {
    PyObject *parent;
    Py_ssize_t next;
} step;

typedef struct element_iterator {
    PyObject head;
    step *steps;
    Py_ssize_t count, room;
    PyObject *root, *tag;
    int gives_text;
} element_iterator;

int
_Px_FillElementIterator(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    element_iterator *mine = (element_iterator *)copy;
    const element_iterator *from = (element_iterator *)object;
    mine->steps = PyMem_New(step, from->room);
    if (!mine->steps) {
        PyErr_NoMemory();
        return -1;
    }
    mine->room = from->room;
    for (Py_ssize_t i = 0; i < from->count; i++) {
        PyObject *parent = _Px_CopyPart(to, from->steps[i].parent);
        if (!parent) {
            return -1;
        }
        mine->steps[i] = (step){parent, from->steps[i].next};
        mine->count = i + 1;
    }
    return _Px_FillWords(to, copy, object);
}

/* @copy, if a method has returned something for it. Takes both over. */
static PyObject *
unless_failed(PyObject *copy, PyObject *none)
{
    if (!none) {
        copy = _Px_DropCopy(copy);
    }
    Py_XDECREF(none);
    return copy;
}

/* What its C method @name has given @state. Takes both over; they may be NULL. */
static PyObject *
given(PyObject *copy, const char *name, PyObject *state)
{
    PyObject *none = copy && state ? _Px_CallInC(copy, name, state) : NULL;
    Py_XDECREF(state);
    return unless_failed(copy, none);
}

/* The same for a new object. */
static PyObject *
with_state(PyTypeObject *type, const char *name, PyObject *state)
{
    return given(state ? _Px_ConstructEmpty(type) : NULL, name, state);
}

PyObject *
_Px_MakeRandom(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
               PyObject *object)
{
    return with_state(type, "setstate", _Px_CallInC(object, "getstate", NULL));
}

/* Whether the constructor finds the codec of @type without Python code. */
static bool
has_codec(PyTypeObject *type)
{
    PyObject *name = PyUnicode_InternFromString("codec"), *codec = NULL;
    if (name && PyType_CheckExact(type)) {
        codec = _PyType_Lookup(type, name);
    }
    Py_XDECREF(name);
    return codec && strcmp(Py_TYPE(codec)->tp_name,
                           "_multibytecodec.MultibyteCodec") == 0;
}

/* Encoders and decoders of Asian texts. */
PyObject *
_Px_MakeMultibyte(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    if (!has_codec(type)) {
        return PyErr_Occurred() ? NULL : _Px_Refuse(object);
    }
    PyObject *errors = _Px_AttributeInC(object, "errors");
    PyObject *arguments = errors ? PyTuple_Pack(1, errors) : NULL;
    PyObject *copy = _Px_Construct(type, _Px_CopyItems(to, arguments));
    Py_XDECREF(errors);
    return copy ? given(copy, "setstate", _Px_CallInC(object, "getstate", NULL))
                : NULL;
}

/* ---- streams in memory ---------------------------------------------------- */

/* The heads of what bytesio.c and stringio.c have. To ask a stream for its value
 * may change it, with memory of the main thread's. */
typedef struct bytes_stream {
    PyObject head;
    PyObject *bytes; /* NULL: closed; longer than the value, maybe */
    Py_ssize_t at, length;
} bytes_stream;

enum { WRITING = 2 };

typedef struct text_stream {
    PyObject head;
    Py_UCS4 *text;
    Py_ssize_t at, length;
    size_t room;
    int state; /* WRITING: what counts is not `text`, but what the writer has */
    _PyUnicodeWriter writer;
    char is_ready, is_closed, universal, translates;
    PyObject *decoder, *newline;
} text_stream;

/* The same for one argument. */
static PyObject *
initialized_by(PyTypeObject *type, PyObject *value)
{
    return initialized(type, value ? Py_BuildValue("(N)", value) : NULL);
}

/* Takes @copy over. */
static PyObject *
closed(PyObject *copy)
{
    return unless_failed(copy, copy ? _Px_CallInC(copy, "close", NULL) : NULL);
}

PyObject *
_Px_MakeBytesIO(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
                PyObject *object)
{
    const bytes_stream *from = (bytes_stream *)object;
    if (!from->bytes) {
        return closed(_Px_ConstructEmpty(type));
    }
    const char *bytes = PyBytes_AS_STRING(from->bytes);
    PyObject *copy =
        initialized_by(type, PyBytes_FromStringAndSize(bytes, from->length));
    if (copy) {
        ((bytes_stream *)copy)->at = from->at;
    }
    return copy;
}

static PyObject *
value_of_text(const text_stream *from)
{
    PyObject *written = from->state == WRITING ? from->writer.buffer : NULL;
    return written ? PyUnicode_FromKindAndData(PyUnicode_KIND(written),
                                               PyUnicode_DATA(written),
                                               from->writer.pos)
                   : PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, from->text,
                                               from->length);
}

static PyObject *
state_of_text(_Px_crossing *to, const text_stream *from)
{
    PyObject *newline =
        from->newline ? _Px_CopyPart(to, from->newline) : Py_NewRef(Py_None);
    PyObject *value = newline ? value_of_text(from) : NULL;
    PyObject *state =
        value ? Py_BuildValue("(OOnO)", value, newline, from->at, Py_None)
              : NULL;
    Py_XDECREF(newline);
    Py_XDECREF(value);
    return state;
}

/* As textio.c has it. */
typedef struct newline_decoder {
    PyObject head;
    PyObject *decoder, *errors;
    unsigned int is_pending : 1, translates : 1, seen : 3;
} newline_decoder;

/* Which newlines it has come across; @copy may be NULL. */
static void
copy_seen(PyObject *copy, const text_stream *from)
{
    PyObject *decoder = copy ? ((text_stream *)copy)->decoder : NULL;
    if (decoder && from->decoder &&
        Py_TYPE(decoder)->tp_basicsize == sizeof(newline_decoder)) {
        ((newline_decoder *)decoder)->seen =
            ((newline_decoder *)from->decoder)->seen;
    }
}

/* What is not ready is what __new__ has made, without __init__. */
PyObject *
_Px_MakeStringIO(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    const text_stream *from = (text_stream *)object;
    if (!from->is_ready) {
        return _Px_ConstructEmpty(type);
    }
    PyObject *copy = with_state(type, "__setstate__", state_of_text(to, from));
    copy_seen(copy, from);
    return from->is_closed ? closed(copy) : copy;
}

/* ---- structures ----------------------------------------------------------- */

typedef struct packer {
    PyObject head;
    Py_ssize_t bytes, values;
    void *codes;
    PyObject *format; /* None: __new__ without __init__ */
} packer;

PyObject *
_Px_MakePacker(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyObject *format = ((packer *)object)->format;
    return PyBytes_Check(format)
               ? initialized_by(type, _Px_CopyPart(to, format))
               : _Px_ConstructEmpty(type);
}

/* ---- locks and queues ------------------------------------------------------ */

PyObject *
_Px_RefuseHeld(PyObject *lock)
{
    return PyErr_Format(_Px_PersistenceError,
                        "a '%.100s' object that is held cannot leave its "
                        "context: release it before",
                        Py_TYPE(lock)->tp_name);
}

/* The heads of what _threadmodule.c has. */
typedef struct simple_lock {
    PyObject head;
    PyMutex mutex;
} simple_lock;

typedef struct owned_lock {
    PyObject head;
    PyThread_type_lock lock;
    PyThread_ident_t owner;
    unsigned long count;
} owned_lock;

PyObject *
_Px_MakeLock(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    return PyMutex_IsLocked(&((simple_lock *)object)->mutex)
               ? _Px_RefuseHeld(object)
               : type->tp_alloc(type, 0);
}

PyObject *
_Px_MakeRLock(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    if (((owned_lock *)object)->count) {
        return _Px_RefuseHeld(object);
    }
    PyObject *copy = _Px_ConstructEmpty(type);
    return copy ? copy : PyErr_NoMemory(); /* which it has another name for */
}

/* The heads of what _threadmodule.c has for a thread. */
enum { NOT_STARTED = 1 };

typedef struct thread_handle {
    PyObject head;
    struct {
        void *nodes[4];
        PyThread_ident_t id;
        PyThread_handle_t thread;
        int has_thread, state;
    } * of;
} thread_handle;

PyObject *
_Px_MakeThread(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
               PyObject *object)
{
    if (type->tp_basicsize == sizeof(thread_handle) &&
        ((thread_handle *)object)->of->state == NOT_STARTED) {
        return _Px_ConstructEmpty(type);
    }
    return _Px_Refuse(object);
}

/* As _queuemodule.c has it: a ring. */
typedef struct simple_queue {
    PyObject head;
    bool has_waiting;
    Py_ssize_t last, first;
    PyObject **items;
    Py_ssize_t room, count;
} simple_queue;

int
_Px_FillQueue(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    const simple_queue *from = (simple_queue *)object;
    PyObject *put = _Px_AttributeInC(copy, "put");
    int status = put ? 0 : -1;
    for (Py_ssize_t i = 0; !status && i < from->count; i++) {
        PyObject *item = from->items[(from->first + i) % from->room];
        status = append_copy(to, put, Py_NewRef(item));
    }
    Py_XDECREF(put);
    return status;
}

/* ---- lru_cache() ------------------------------------------------------------ */

/* As _functoolsmodule.c has it. */
typedef struct cached_function {
    PyObject head;
    void *previous, *next;
    Py_hash_t hash;
    PyObject *key, *result;
    void *wrapper;
    int typed;
    PyObject *cache;
    Py_ssize_t hits;
    PyObject *func;
    Py_ssize_t most; /* -1: no bound */
    Py_ssize_t misses;
    PyObject *mark, *entry_type, *info_type, *dict, *references;
} cached_function;

static PyObject *
bound_of(const cached_function *from)
{
    return from->most < 0 ? Py_NewRef(Py_None) : PyLong_FromSsize_t(from->most);
}

/* What has been computed stays behind. */
PyObject *
_Px_MakeCached(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    const cached_function *from = (cached_function *)object;
    if (_Px_BaseInC(type)->tp_basicsize != sizeof *from) {
        return _Px_Refuse(object);
    }
    PyObject *func = _Px_CopyPart(to, from->func);
    PyObject *info = func ? _Px_CopyPart(to, from->info_type) : NULL;
    PyObject *bound = info ? bound_of(from) : NULL;
    PyObject *arguments =
        bound ? Py_BuildValue("(OOiO)", func, bound, from->typed, info) : NULL;
    Py_XDECREF(func);
    Py_XDECREF(info);
    Py_XDECREF(bound);
    return _Px_Construct(type, arguments);
}
