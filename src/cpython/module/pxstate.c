/*
 * Copies of what holds a state of C code's: digests, compressors, context
 * variables, time zones.
 *
 *      digest       [ head | EVP_MD_CTX * ]      asked for a copy of itself
 *      time zone    [ head | key | tables ]      main's of this key, or a copy
 *
 *   S1  What makes a copy of itself (a *twin*) does so for its own class only, and
 *       may share with the copy what is the context's: a filler sets that right.
 *   S2  Of a time zone main has one for each key, wherever it was made.
 *   S3  A new threading.local has nothing for any thread, as main's threads are
 *       others than the one that put something in: its __init__ runs when a
 *       thread first asks, as for all threads but its maker's.
 *
 *   S4  A digest has memory outside of the context's, of OpenSSL's or of its own
 *       module's, and so has its twin. That of the original is there until it is
 *       released.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include "pycore_context.h"
#include "pycore_hamt.h"

/* Takes @copy over, which may be NULL. */
static PyObject *
unless_failed(PyObject *copy, int status)
{
    if (status < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}

/* ---- twins ---------------------------------------------------------------- */

/* Their names, or how these begin; S4 is about the first few. */
static const char *const twins[] = {
    "_hashlib.HASH", "_hashlib.HMAC", "_md5.",    "_sha1.",
    "_sha2.",        "_sha3.",        "_blake2.", "decimal.Context",
};

enum { DIGESTS = 6 };

static bool
is_among(const PyTypeObject *type, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(type->tp_name, twins[i], strlen(twins[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool
_Px_HasTwins(PyTypeObject *base)
{
    return is_among(base, Py_ARRAY_LENGTH(twins));
}

/* S1 */
PyObject *
_Px_MakeTwin(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    if (!Py_IS_TYPE(object, type)) {
        return _Px_Refuse(object);
    }
    PyObject *copy = _Px_CallInC(object, "copy", NULL);
    if (copy && !Py_IS_TYPE(copy, type)) {
        Py_DECREF(copy);
        return _Px_Refuse(object);
    }
    return copy;
}

/* S4. Main, when the context is about to go. What deallocates it would free the
 * context's block as one of main's, so it gets an object of main's that has what
 * the original had; it knows the type, which main counts. */
void
_Px_ReleaseTwin(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (!is_among(type, DIGESTS)) {
        return;
    }
    PyObject *heir =
        PyType_IS_GC(type) ? _PyObject_GC_New(type) : _PyObject_New(type);
    if (!heir) {
        PyErr_Clear();
        return;
    }
    memcpy(heir + 1, object + 1, (size_t)type->tp_basicsize - sizeof(PyObject));
    Py_DECREF(heir);
}

/* As zlibmodule.c has it. */
typedef struct stream {
    PyObject head;
    char state[112];
    PyObject *unused, *tail;
    char is_over, is_ready;
    PyObject *dictionary;
    void *lock;
} stream;

/* The copy of a part in the place of the part. */
static int
replace(_Px_crossing *to, PyObject **part)
{
    PyObject *mine = *part ? _Px_CopyPart(to, *part) : NULL;
    if (*part && !mine) {
        return -1;
    }
    Py_XSETREF(*part, mine);
    return 0;
}

int
_Px_FillStream(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    stream *mine = (stream *)copy;
    if (Py_TYPE(copy)->tp_basicsize != sizeof *mine) {
        (void)_Px_Refuse(object);
        return -1;
    }
    return replace(to, &mine->unused) < 0 || replace(to, &mine->tail) < 0
               ? -1
               : replace(to, &mine->dictionary);
}

/* ---- context variables ---------------------------------------------------- */

PyObject *
_Px_MakeVariable(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyObject *name = _Px_CopyPart(to, ((PyContextVar *)object)->var_name);
    PyObject *arguments = name ? PyTuple_Pack(1, name) : NULL;
    Py_XDECREF(name);
    return _Px_Construct(type, arguments);
}

int
_Px_FillVariable(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *value = ((PyContextVar *)object)->var_default;
    PyObject *mine = value ? _Px_CopyPart(to, value) : NULL;
    Py_XSETREF(((PyContextVar *)copy)->var_default, mine);
    return value && !mine ? -1 : 0;
}

PyObject *
_Px_MakeContext(_Px_crossing *Py_UNUSED(to), PyTypeObject *Py_UNUSED(type),
                PyObject *Py_UNUSED(object))
{
    return PyContext_New();
}

/* Takes @item over: a variable and its value. */
static int
put_variable(_Px_crossing *to, PyContext *mine, PyObject *item)
{
    PyObject *variable = _Px_CopyPart(to, PyTuple_GET_ITEM(item, 0));
    PyObject *value =
        variable ? _Px_CopyPart(to, PyTuple_GET_ITEM(item, 1)) : NULL;
    PyHamtObject *more =
        value ? _PyHamt_Assoc(mine->ctx_vars, variable, value) : NULL;
    Py_DECREF(item);
    Py_XDECREF(variable);
    Py_XDECREF(value);
    if (more) {
        Py_SETREF(mine->ctx_vars, more);
    }
    return more ? 0 : -1;
}

/* It is not entered, whether the other is or not. */
int
_Px_FillContext(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    PyObject *items = _PyHamt_NewIterItems(((PyContext *)object)->ctx_vars);
    PyObject *item;
    int status = items ? 0 : -1;
    while (!status && (item = PyIter_Next(items))) {
        status = put_variable(to, (PyContext *)copy, item);
    }
    Py_XDECREF(items);
    return PyErr_Occurred() ? -1 : status;
}

/* ---- threading.local ------------------------------------------------------ */

/* As _threadmodule.c has it. */
typedef struct local {
    PyObject head;
    PyObject *arguments, *keywords, *references;
    PyObject *dicts;    /* by thread */
    PyObject *sentries; /* weak references, to see the end of threads */
} local;

static PyObject *
construct_local(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *copy = _Px_BaseInC(type)->tp_new(type, arguments, keywords);
    if (!copy) {
        return NULL;
    }
    local *mine = (local *)copy;
    PyDict_Clear(mine->dicts); /* S3 */
    return unless_failed(copy, PySet_Clear(mine->sentries));
}

PyObject *
_Px_MakeLocal(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    const local *from = (local *)object;
    if (_Px_BaseInC(type)->tp_basicsize != sizeof *from) {
        return _Px_Refuse(object);
    }
    PyObject *arguments = from->arguments, *keywords = from->keywords;
    PyObject *mine = arguments ? _Px_CopyPart(to, arguments) : PyTuple_New(0);
    PyObject *named = mine && keywords ? _Px_CopyPart(to, keywords) : NULL;
    PyObject *copy = mine && (named || !keywords)
                         ? construct_local(type, mine, named)
                         : NULL;
    Py_XDECREF(mine);
    Py_XDECREF(named);
    return copy;
}

/* ---- time zones ----------------------------------------------------------- */

/* As _zoneinfo.c has them. */
typedef struct offset {
    PyObject *utc, *saving, *name;
    long seconds;
} offset;

enum { RULE_BYTES = 16 };

typedef struct rule {
    offset standard, saving;
    int difference;
    void *start, *end;
    unsigned char is_standard_only;
} rule;

typedef struct zone {
    PyObject head;
    PyObject *key, *file, *references;
    size_t changes, count;
    int64_t *utc, *wall[2];
    offset **after_change, *before;
    rule last;
    offset *offsets;
    unsigned char is_fixed, source;
} zone;

enum { FROM_CACHE = 1 }; /* and not by no_cache() or from_file() */

typedef struct zone_module {
    PyTypeObject *class;
    PyObject *open, *find, *common, *deltas, *zones;
    void *latest;
    offset none;
} zone_module;

/* The WeakValueDictionary that main keeps its zones in, or NULL. Not counted. */
static PyObject *
cache_of(PyTypeObject *type)
{
    PyTypeObject *base = _Px_BaseInC(type);
    if (type != base) {
        PyObject *name = PyUnicode_InternFromString("_weak_cache");
        PyObject *cache = name ? _PyType_Lookup(type, name) : NULL;
        Py_XDECREF(name);
        return cache;
    }
    PyObject *module = PyType_GetModule(base);
    PyModuleDef *def = module ? PyModule_GetDef(module) : NULL;
    return def && def->m_size == sizeof(zone_module)
               ? ((zone_module *)PyModule_GetState(module))->zones
               : NULL;
}

/* Its table: from keys to weak references. */
static PyObject *
table_of(PyTypeObject *type)
{
    PyObject *cache = cache_of(type);
    PyObject *name = cache ? PyUnicode_InternFromString("data") : NULL;
    PyObject *table = name ? PyObject_GenericGetAttr(cache, name) : NULL;
    Py_XDECREF(name);
    if (table && !PyDict_CheckExact(table)) {
        Py_CLEAR(table);
    }
    return table;
}

/* S2. Where main has, or would have, a zone of this key; NULL: nowhere. */
static PyObject *
table_for(PyTypeObject *type, const zone *from)
{
    return from->source == FROM_CACHE && PyUnicode_CheckExact(from->key) &&
                   _Px_IsMains(Py_TYPE(from))
               ? table_of(type)
               : NULL;
}

static PyObject *
find_zone(PyObject *table, PyObject *key)
{
    PyObject *reference = PyDict_GetItemWithError(table, key);
    PyObject *found = NULL;
    if (reference && PyWeakref_Check(reference)) {
        (void)PyWeakref_GetRef(reference, &found);
    }
    return found;
}

/* A KeyedRef of weakref's. It has no callback to take a dead one off, as that would
 * be Python code; the next zone of the key takes its place. */
static PyObject *
refer_to(PyObject *zone, PyObject *key)
{
    PyObject *name = PyUnicode_InternFromString("weakref");
    PyObject *module = name ? PyImport_GetModule(name) : NULL;
    PyObject *class =
        module ? PyObject_GetAttrString(module, "KeyedRef") : NULL;
    PyObject *arguments = class ? PyTuple_Pack(1, zone) : NULL;
    PyObject *reference = NULL;
    if (arguments && PyType_Check(class)) {
        reference =
            _PyWeakref_RefType.tp_new((PyTypeObject *)class, arguments, NULL);
    }
    if (reference && PyObject_SetAttrString(reference, "key", key) < 0) {
        Py_CLEAR(reference);
    }
    Py_XDECREF(name);
    Py_XDECREF(module);
    Py_XDECREF(class);
    Py_XDECREF(arguments);
    return reference;
}

/* Without weakref, which zoneinfo imports, it is not put there. */
static int
keep_zone(PyObject *table, zone *mine)
{
    PyObject *reference = refer_to((PyObject *)mine, mine->key);
    int status = reference ? PyDict_SetItem(table, mine->key, reference) : -1;
    Py_XDECREF(reference);
    return reference || PyErr_Occurred() ? status : 0;
}

/* NULL of nothing. */
static void *
copy_block(const void *from, size_t bytes, int *status)
{
    void *mine = from ? PyMem_Malloc(bytes) : NULL;
    if (mine) {
        memcpy(mine, from, bytes);
    }
    else if (from) {
        PyErr_NoMemory();
        *status = -1;
    }
    return mine;
}

static int
copy_offset(_Px_crossing *to, offset *mine, const offset *from)
{
    mine->seconds = from->seconds;
    mine->utc = from->utc ? _Px_CopyPart(to, from->utc) : NULL;
    mine->saving = from->saving ? _Px_CopyPart(to, from->saving) : NULL;
    mine->name = from->name ? _Px_CopyPart(to, from->name) : NULL;
    return !mine->utc == !from->utc && !mine->saving == !from->saving &&
                   !mine->name == !from->name
               ? 0
               : -1;
}

static int
copy_offsets(_Px_crossing *to, zone *mine, const zone *from)
{
    int status = 0;
    mine->offsets =
        from->count ? PyMem_Calloc(from->count, sizeof(offset)) : NULL;
    if (from->count && !mine->offsets) {
        PyErr_NoMemory();
        return -1;
    }
    mine->count = from->count;
    for (size_t i = 0; !status && i < from->count; i++) {
        status = copy_offset(to, &mine->offsets[i], &from->offsets[i]);
    }
    return status;
}

static int
copy_changes(zone *mine, const zone *from)
{
    int status = 0;
    size_t count = from->changes, bytes = count * sizeof *mine->utc;
    mine->utc = copy_block(from->utc, bytes, &status);
    mine->wall[0] = copy_block(from->wall[0], bytes, &status);
    mine->wall[1] = copy_block(from->wall[1], bytes, &status);
    mine->after_change =
        copy_block(from->after_change, count * sizeof(offset *), &status);
    for (size_t i = 0; !status && i < count; i++) {
        mine->after_change[i] =
            mine->offsets + (from->after_change[i] - from->offsets);
    }
    mine->before =
        from->before ? mine->offsets + (from->before - from->offsets) : NULL;
    mine->changes = count;
    return status;
}

static int
copy_rule(_Px_crossing *to, rule *mine, const rule *from)
{
    int status = 0;
    mine->is_standard_only = from->is_standard_only;
    mine->difference = from->difference;
    mine->start = copy_block(from->start, RULE_BYTES, &status);
    mine->end = copy_block(from->end, RULE_BYTES, &status);
    if (status < 0 || copy_offset(to, &mine->standard, &from->standard) < 0) {
        return -1;
    }
    return from->is_standard_only
               ? 0
               : copy_offset(to, &mine->saving, &from->saving);
}

static int
copy_zone(_Px_crossing *to, zone *mine, const zone *from)
{
    mine->key = from->key ? _Px_CopyPart(to, from->key) : NULL;
    mine->file = from->file ? _Px_CopyPart(to, from->file) : NULL;
    if (!mine->key != !from->key || !mine->file != !from->file) {
        return -1;
    }
    mine->is_fixed = from->is_fixed;
    mine->source = from->source;
    return copy_offsets(to, mine, from) < 0 || copy_changes(mine, from) < 0
               ? -1
               : copy_rule(to, &mine->last, &from->last);
}

static PyObject *
new_zone(_Px_crossing *to, PyTypeObject *type, const zone *from,
         PyObject *table)
{
    PyObject *copy = type->tp_alloc(type, 0);
    zone *mine = (zone *)copy;
    int status = copy ? copy_zone(to, mine, from) : -1;
    if (!status && table) {
        status = keep_zone(table, mine);
    }
    return unless_failed(copy, status);
}

PyObject *
_Px_MakeZone(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    const zone *from = (zone *)object;
    if (_Px_BaseInC(type)->tp_basicsize != sizeof *from) {
        return _Px_Refuse(object);
    }
    PyObject *table = table_for(type, from);
    PyObject *copy = table ? find_zone(table, from->key) : NULL;
    if (!copy && !PyErr_Occurred()) {
        copy = new_zone(to, type, from, table);
    }
    Py_XDECREF(table);
    return copy;
}
