/*
 * Copies of compressors and decompressors of bz2, lzma and zlib, as far as their
 * libraries do not copy them.
 *
 *      object ----> stream ----> state of the library's ----> tables, text
 *         |
 *         +-------> what has not been read, what was too much
 *
 * The libraries have no function to copy such a state, or their modules do not offer
 * it, and they say nothing of what is in it. So a context has them make it in memory
 * that is main's (pxoutside.c), and main's copy of the object takes it as it is.
 *
 *   Q1  A state is taken once, when the callback is over; a second copy, and that
 *       of a callback that goes on, are refused.
 *   Q2  A library may keep where the stream is that it was given: bz2 and zlib in
 *       the first word of their state. lzma is told of stream and allocator in each
 *       call, and keeps neither. Whenever a state is taken, it is looked into for
 *       the address of the stream, or of lzma's allocator: what is there that should
 *       not be is refused.
 *   Q3  Main's copy takes memory from where the module, or the library, would; an
 *       object of a context's by functions of ours, which call these.
 *   Q4  Of what the library has been given for one call alone nothing is left in
 *       a copy.
 *   Q5  The lock of an object is made with its state and goes with it: who has the
 *       lock has all.
 *
 * Rejected: copying a state by the layout that a release of the library has. bz2
 * would bear that, as it has not changed for decades; lzma has dozens of structures,
 * others in each release.
 *
 * Thread rule: as pxcross.c; codec_new() is for whoever makes one.
 */
#include "pycore_pxcross.h"

#include "pycore_pythread.h"

/* ---- as the libraries and modules have them --------------------------------- */

/* What a stream takes memory from. */
typedef struct allocator {
    _Px_function alloc;
    void (*free)(void *, void *);
    void *opaque;
} allocator;

typedef struct bz_stream {
    char *next_in;
    unsigned in_bytes, in_total[2];
    char *next_out;
    unsigned out_bytes, out_total[2];
    void *state;
    allocator from;
} bz_stream;

typedef struct z_stream {
    char *next_in;
    unsigned in_bytes;
    unsigned long in_total;
    char *next_out;
    unsigned out_bytes;
    unsigned long out_total;
    const char *message; /* a literal */
    void *state;
    allocator from;
    int kind;
    unsigned long sum, reserved;
} z_stream;

typedef struct xz_stream {
    char *next_in;
    size_t in_bytes;
    uint64_t in_total;
    char *next_out;
    size_t out_bytes;
    uint64_t out_total;
    allocator *from;
    void *state;
    void *reserved[4];
    uint64_t numbers[2];
    size_t sizes[2];
    int choices[2];
} xz_stream;

typedef struct bz_compressor {
    PyObject head;
    bz_stream stream;
    int flushed;
    PyThread_type_lock lock;
} bz_compressor;

/* What has not been read yet is in `input` from next_in on. */
typedef struct bz_decompressor {
    PyObject head;
    bz_stream stream;
    char is_over;
    PyObject *unused;
    char is_hungry;
    char *input;
    size_t input_bytes, left;
    PyThread_type_lock lock;
} bz_decompressor;

typedef struct xz_compressor {
    PyObject head;
    allocator from;
    xz_stream stream;
    int flushed;
    PyThread_type_lock lock;
} xz_compressor;

typedef struct xz_decompressor {
    PyObject head;
    allocator from;
    xz_stream stream;
    int check;
    char is_over;
    PyObject *unused;
    char is_hungry;
    char *input;
    size_t input_bytes;
    PyThread_type_lock lock;
} xz_decompressor;

typedef struct z_decompressor {
    PyObject head;
    z_stream stream;
    PyObject *dictionary;
    PyThread_type_lock lock;
    PyObject *unused;
    char *input;
    size_t input_bytes, left;
    bool is_ready;
    char is_over, is_hungry;
} z_decompressor;

/* ---- the kinds --------------------------------------------------------------- */

typedef enum library { BZ, XZ, Z } library;

/* Where things are in its objects. A stream begins with next_in. */
static const struct {
    size_t stream, next_out, state, from;
    size_t own; /* an address in the object itself; 0: there is none */
    bool points_back;
} places[] = {
    [BZ] = {.stream = offsetof(bz_compressor, stream),
            .next_out = offsetof(bz_compressor, stream.next_out),
            .state = offsetof(bz_compressor, stream.state),
            .from = offsetof(bz_compressor, stream.from),
            .points_back = true},
    [XZ] = {.stream = offsetof(xz_compressor, stream),
            .next_out = offsetof(xz_compressor, stream.next_out),
            .state = offsetof(xz_compressor, stream.state),
            .from = offsetof(xz_compressor, from),
            .own = offsetof(xz_compressor, stream.from)},
    [Z] = {.stream = offsetof(z_decompressor, stream),
           .next_out = offsetof(z_decompressor, stream.next_out),
           .state = offsetof(z_decompressor, stream.state),
           .from = offsetof(z_decompressor, stream.from),
           .points_back = true},
};

typedef struct kind {
    const char *name;
    size_t bytes, lock;
    size_t input, input_bytes, unused, dictionary; /* 0: there is none */
    library library;
} kind;

#define READER(type)                                                           \
    .bytes = sizeof(type), .lock = offsetof(type, lock),                       \
    .input = offsetof(type, input),                                            \
    .input_bytes = offsetof(type, input_bytes),                                \
    .unused = offsetof(type, unused)

enum { KINDS = 5 };

static const kind kinds[KINDS] = {
    {.name = "_bz2.BZ2Compressor",
     .bytes = sizeof(bz_compressor),
     .lock = offsetof(bz_compressor, lock),
     .library = BZ},
    {.name = "_bz2.BZ2Decompressor", READER(bz_decompressor), .library = BZ},
    {.name = "_lzma.LZMACompressor",
     .bytes = sizeof(xz_compressor),
     .lock = offsetof(xz_compressor, lock),
     .library = XZ},
    {.name = "_lzma.LZMADecompressor", READER(xz_decompressor), .library = XZ},
    {.name = "zlib._ZlibDecompressor",
     READER(z_decompressor),
     .dictionary = offsetof(z_decompressor, dictionary),
     .library = Z},
};

/* What makes one, of each kind. Main, when the class becomes ready. */
static newfunc makers[KINDS];

static const kind *
kind_of(const PyTypeObject *type)
{
    for (size_t i = 0; i < KINDS; i++) {
        if ((size_t)type->tp_basicsize == kinds[i].bytes &&
            strcmp(type->tp_name, kinds[i].name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* ---- parts of an object -------------------------------------------------------- */

static void **
word_at(PyObject *object, size_t place)
{
    return (void **)((char *)object + place);
}

static void **
state_of(const kind *it, PyObject *object)
{
    return word_at(object, places[it->library].state);
}

static void **
lock_of(PyObject *object)
{
    return word_at(object, kind_of(Py_TYPE(object))->lock);
}

static allocator *
allocator_of(const kind *it, PyObject *object)
{
    return (allocator *)(void *)word_at(object, places[it->library].from);
}

/* NULL: no context has made it in this way. */
static _Px_outside *
record_of(PyObject *object)
{
    return allocator_of(kind_of(Py_TYPE(object)), object)->opaque;
}

/* ---- in a context --------------------------------------------------------------- */

/* Takes over what a library got. */
static void *
noted(_Px_outside *record, void *block)
{
    if (block && !_Px_NoteBlock(record, block)) {
        record->free(NULL, block);
        return NULL;
    }
    return block;
}

/* More for the state of an object, by the function that its library has for that. */
#define MORE(name, number)                                                     \
    static void *name(void *opaque, number count, number bytes)                \
    {                                                                          \
        _Px_outside *record = opaque, *before = _Px_here.cx->making;           \
        void *(*alloc)(void *, number, number) =                               \
            (void *(*)(void *, number, number))record->alloc;                  \
        _Px_here.cx->making = record;                                          \
        void *block = alloc(NULL, count, bytes);                               \
        _Px_here.cx->making = before;                                          \
        return noted(record, block);                                           \
    }

MORE(bz_alloc, int)
MORE(xz_alloc, size_t)
MORE(z_alloc, unsigned)

static const _Px_function allocs[] = {
    [BZ] = (_Px_function)bz_alloc,
    [XZ] = (_Px_function)xz_alloc,
    [Z] = (_Px_function)z_alloc,
};

/* The record goes with the last block. */
static void
give_less(void *opaque, void *block)
{
    _Px_outside *record = opaque;
    void (*give)(void *, void *) = record->free;
    _Px_ForgetBlock(record, block);
    give(NULL, block);
}

/* Q3 */
static void
give_record(const kind *it, PyObject *object, _Px_outside *record)
{
    allocator *from = allocator_of(it, object);
    record->alloc = from->alloc;
    record->free = from->free;
    from->alloc = allocs[it->library];
    from->free = give_less;
    from->opaque = record;
}

/* The module leaves it to bz2 where a state to read with comes from. */
static PyObject *
with_record(const kind *it, PyObject *object, _Px_outside *record)
{
    void *state = *state_of(it, object);
    if (state && !_Px_NoteBlock(record, state)) {
        Py_DECREF(object);
        return PyErr_NoMemory();
    }
    give_record(it, object, record);
    return object;
}

static PyObject *
make_outside(const kind *it, PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    _Px_outside *before = _Px_here.cx->making, *record = _Px_NewOutside();
    if (!record) {
        return PyErr_NoMemory();
    }
    _Px_here.cx->making = record;
    PyObject *object = makers[it - kinds](type, args, kwds);
    if (object) {
        object = with_record(it, object, record);
    }
    _Px_here.cx->making = before;
    if (!object) {
        _Px_DropOutside(record);
    }
    return object;
}

static PyObject *
codec_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    const kind *it = kind_of(type);
    return _Px_IN() ? make_outside(it, type, args, kwds)
                    : makers[it - kinds](type, args, kwds);
}

void
_Px_WrapCodec(PyTypeObject *type)
{
    const kind *it = kind_of(type);
    if (it && type->tp_new && type->tp_new != codec_new) {
        makers[it - kinds] = type->tp_new;
        type->tp_new = codec_new;
    }
}

/* ---- what is the context's -------------------------------------------------------- */

/* Of a copy, in the place of the original's. */
typedef struct parts {
    char *input, *next_in;
    PyObject *unused, *dictionary;
} parts;

static void
drop_parts(parts *mine)
{
    PyMem_Free(mine->input);
    Py_XDECREF(mine->unused);
    Py_XDECREF(mine->dictionary);
}

/* Q4: elsewhere it was another's, for the last call. */
static bool
is_within(const char *at, const char *block, size_t bytes)
{
    return block && (uintptr_t)at - (uintptr_t)block < bytes;
}

static int
copy_input(const kind *it, PyObject *object, parts *mine)
{
    const char *input = it->input ? *word_at(object, it->input) : NULL;
    const char *next = *word_at(object, places[it->library].stream);
    size_t bytes = input ? (size_t)*word_at(object, it->input_bytes) : 0;
    if (!is_within(next, input, bytes)) {
        return 0;
    }
    mine->input = PyMem_Malloc(bytes);
    if (!mine->input) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(mine->input, input, bytes);
    mine->next_in = mine->input + (next - input);
    return 0;
}

static int
copy_object_at(_Px_crossing *to, PyObject *object, size_t place,
               PyObject **mine)
{
    PyObject *part = place ? *word_at(object, place) : NULL;
    *mine = part ? _Px_CopyPart(to, part) : NULL;
    return part && !*mine ? -1 : 0;
}

static int
copy_parts(_Px_crossing *to, const kind *it, PyObject *object, parts *mine)
{
    return copy_input(it, object, mine) < 0 ||
                   copy_object_at(to, object, it->unused, &mine->unused) < 0
               ? -1
               : copy_object_at(to, object, it->dictionary, &mine->dictionary);
}

/* Takes them over. */
static void
put_parts(const kind *it, PyObject *copy, const parts *mine)
{
    if (it->input) {
        *word_at(copy, it->input) = mine->input;
        *word_at(copy, it->unused) = mine->unused;
    }
    if (it->input && !mine->input) {
        *word_at(copy, it->input_bytes) = NULL;
    }
    if (it->dictionary) {
        *word_at(copy, it->dictionary) = mine->dictionary;
    }
    *word_at(copy, places[it->library].stream) = mine->next_in;
    *word_at(copy, places[it->library].next_out) = NULL;
}

/* ---- the state ---------------------------------------------------------------- */

static void
point_back(const kind *it, PyObject *object)
{
    void **state = *state_of(it, object);
    if (state && places[it->library].points_back) {
        *state = word_at(object, places[it->library].stream);
    }
}

/* Q2 */
static bool
is_as_expected(const kind *it, PyObject *object, const _Px_outside *record)
{
    void **state = *state_of(it, object);
    bool points = state && places[it->library].points_back;
    const void *kept =
        places[it->library].own
            ? (void *)allocator_of(it, object)
            : (void *)word_at(object, places[it->library].stream);
    return (!points || *state == word_at(object, places[it->library].stream)) &&
           _Px_CountWords(record, kept) == points;
}

/* Q3, Q5. All but what parts are put in the place of. */
static void
take(const kind *it, PyObject *copy, PyObject *object, _Px_outside *record)
{
    memcpy(copy + 1, object + 1, it->bytes - sizeof *copy);
    allocator *mine = allocator_of(it, copy);
    *mine = (allocator){record->alloc, record->free, NULL};
    if (places[it->library].own) {
        *word_at(copy, places[it->library].own) = mine;
    }
    point_back(it, copy);
    record->taken = true;
}

static bool
holds(PyObject *object)
{
    return *lock_of(object);
}

static bool
is_same(PyObject *copy, PyObject *object)
{
    return *lock_of(copy) == *lock_of(object);
}

static void
give_back(PyObject *object)
{
    record_of(object)->taken = false;
    point_back(kind_of(Py_TYPE(object)), object);
}

static void
empty(PyObject *copy)
{
    *lock_of(copy) = NULL;
    *state_of(kind_of(Py_TYPE(copy)), copy) = NULL;
}

/* What a context leaves is released by its record: _Px_EndOutside(). */
const _Px_holding _Px_codec = {holds, is_same, give_back, empty, NULL};

/* ---- from outside --------------------------------------------------------------- */

static PyObject *
make_codec(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    const _Px_outside *record = record_of(object);
    return record && !record->is_mixed ? type->tp_alloc(type, 0)
                                       : _Px_Refuse(object);
}

/* Q1. Parts first: they may fail. */
static int
fill_codec(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    const kind *it = kind_of(Py_TYPE(object));
    _Px_outside *record = record_of(object);
    parts mine = {0};
    if (!_Px_luggage || record->taken) {
        return _Px_RefuseTwice(object, "its library cannot copy what it has");
    }
    if (!is_as_expected(it, object, record)) {
        (void)_Px_Refuse(object);
        return -1;
    }
    if (copy_parts(to, it, object, &mine) < 0) {
        drop_parts(&mine);
        return -1;
    }
    take(it, copy, object, record);
    put_parts(it, copy, &mine);
    return 0;
}

const _Px_kind _Px_codecs = {NULL, NULL, make_codec, fill_codec, false};

bool
_Px_IsCodec(const PyTypeObject *base)
{
    return kind_of(base);
}
