/*
 * Copies of what holds something outside of a context's memory: files and sockets,
 * and what is stacked on them.
 *
 *      TextIOWrapper --> BufferedWriter --> FileIO --> descriptor
 *        decoder           buffer
 *        text              lock
 *
 * Memory is copied, a descriptor is not: there is one of a number in a process. Nor
 * are mappings (pxmapping.c), listings of directories (pxlisting.c), and states of
 * libraries in C (pxcodec.c), of which much the same is true.
 *
 *   X1  When a callback is over the copy takes the descriptor, and the original,
 *       which nobody is going to use, does not close it. A second copy, of a call
 *       beside the outcome, has another descriptor for the same open file.
 *   X2  While a callback goes on, the copy has another descriptor, too, and the
 *       original keeps its own.
 *   X3  What is to be written is written once: files that have a descriptor in
 *       common must not have any such data.
 *   X4  A copy that main never gets to see gives its descriptor back.
 *   X5  What has not left in the end is main's nevertheless, to be written out and
 *       closed as anything that is dropped.
 *
 * Thread rule: as pxcross.c; _Px_ListResources() is for a worker, at the end.
 */
#include "pycore_pxcross.h"

#include "pycore_pythread.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- the kinds ----------------------------------------------------------- */

enum { LEVELS = 16 };

typedef enum shape {
    OTHER,
    HANDLE,
    BUFFERED,
    TEXT,
    MAPPING,
    LISTING,
    CODEC
} shape;

static const struct {
    const char *name;
    shape shape;
} shapes[] = {
    {"_io.FileIO", HANDLE},
    {"_socket.socket", HANDLE},
    {"select.epoll", HANDLE},
    {"_io.BufferedReader", BUFFERED},
    {"_io.BufferedWriter", BUFFERED},
    {"_io.BufferedRandom", BUFFERED},
    {"_io.TextIOWrapper", TEXT},
    {"mmap.mmap", MAPPING},
    {"posix.ScandirIterator", LISTING},
};

/* What fileio.c has; others begin the same way. */
typedef struct handle {
    PyObject head;
    int fd;
    unsigned int created : 1;
    unsigned int readable : 1;
    unsigned int writable : 1;
    unsigned int appending : 1;
    signed int seekable : 2;
    unsigned int closes : 1;
} handle;

/* As bufferedio.c has it. */
typedef struct buffered {
    PyObject head;
    PyObject *raw;
    int ok, detached, readable, writable;
    char finalizing;
    int fast;
    off_t at;
    char *buffer;
    off_t place, raw_place, read_end, write_place;
    off_t write_end; /* -1: nothing is to be written */
    PyThread_type_lock lock;
    unsigned long owner;
    Py_ssize_t bytes, mask;
} buffered;

/* The head of what textio.c has. */
typedef struct text {
    PyObject head;
    int ok, detached;
    Py_ssize_t chunk;
    PyObject *buffer, *encoding, *encoder, *decoder;
    PyObject *newline, *errors;
    const char *written_newline; /* in `newline`, or static */
    char flags[8], finalizing;
    void *encode;
    char starts;
    PyObject *decoded;
    Py_ssize_t decoded_used;
    PyObject *unwritten;
    Py_ssize_t unwritten_bytes;
} text;

static shape
shape_of(PyObject *object)
{
    const char *name = _Px_BaseInC(Py_TYPE(object))->tp_name;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(shapes); i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            return shapes[i].shape;
        }
    }
    return _Px_IsCodec(_Px_BaseInC(Py_TYPE(object))) ? CODEC : OTHER;
}

static PyObject *
what_is_under(PyObject *object)
{
    switch (shape_of(object)) {
    case TEXT:
        return ((text *)object)->buffer;
    case BUFFERED:
        return ((buffered *)object)->raw;
    default:
        return NULL;
    }
}

/* What has the descriptor of a stack; NULL: nothing of the kind. Nothing keeps a
 * buffer from being its own raw stream. */
static handle *
handle_of(PyObject *object)
{
    PyObject *under;
    for (int i = 0; i < LEVELS && (under = what_is_under(object)); i++) {
        object = under;
    }
    return shape_of(object) == HANDLE ? (handle *)object : NULL;
}

static bool
owns_descriptor(PyObject *object)
{
    const handle *it = (const handle *)object;
    bool is_file = strcmp(_Px_BaseInC(Py_TYPE(it))->tp_name, "_io.FileIO") == 0;
    return it->fd >= 0 && (!is_file || it->closes);
}

static bool
is_same_descriptor(PyObject *copy, PyObject *object)
{
    return ((handle *)copy)->fd == ((handle *)object)->fd;
}

static void
forget_descriptor(PyObject *copy)
{
    ((handle *)copy)->fd = -1;
}

static void
close_descriptor(PyObject *object)
{
    close(((handle *)object)->fd);
}

static const _Px_holding descriptor = {owns_descriptor, is_same_descriptor,
                                       NULL, forget_descriptor,
                                       close_descriptor};

/* NULL: it holds nothing itself. */
static const _Px_holding *
holding_of(PyObject *object)
{
    switch (shape_of(object)) {
    case HANDLE:
        return &descriptor;
    case MAPPING:
        return &_Px_mapping;
    case LISTING:
        return &_Px_listing;
    case CODEC:
        return &_Px_codec;
    default:
        return NULL;
    }
}

/* ---- what a context leaves ------------------------------------------------ */

_Px_resource *
_Px_ListResources(PyObject *const *objects, size_t count)
{
    size_t used = 0;
    _Px_resource *list = PyMem_Calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        PyTypeObject *base = _Px_BaseInC(Py_TYPE(objects[i]));
        if (shape_of(objects[i]) != OTHER || _Px_HasTwins(base) ||
            _Px_HasTls(base)) {
            list[used++].object = objects[i];
        }
    }
    return list;
}

_Px_resource *
_Px_FindResource(const void *object)
{
    _Px_resource *at = _Px_luggage ? _Px_luggage->resources : NULL;
    while (at && at->object && at->object != object) {
        at++;
    }
    return at && at->object ? at : NULL;
}

/* X1 */
bool
_Px_TakeOver(PyObject *object)
{
    _Px_resource *resource = _Px_FindResource(object);
    if (!resource || resource->taken) {
        return false;
    }
    resource->taken = true;
    return true;
}

int
_Px_RefuseTwice(PyObject *object, const char *instead)
{
    PyErr_Format(_Px_PersistenceError,
                 "a '%.100s' object leaves its context once, when the callback "
                 "is over: %s",
                 Py_TYPE(object)->tp_name, instead);
    return -1;
}

bool
_Px_ReleaseHeld(PyObject *object)
{
    const _Px_holding *what = holding_of(object);
    if (!what || !what->release) {
        return false;
    }
    if (what->holds(object)) {
        what->release(object);
        what->empty(object);
    }
    return true;
}

/* X4 */
void
_Px_GiveBack(PyObject *copy, PyObject *object)
{
    const _Px_holding *what = holding_of(copy);
    _Px_GiveBackTls(copy, object);
    if (!what || !what->holds(copy)) {
        return;
    }
    if (!what->is_same(copy, object)) {
        what->release(copy);
    }
    else if (what->give_back) {
        what->give_back(object);
    }
    else {
        _Px_FindResource(object)->taken = false;
    }
    what->empty(copy);
}

/* ---- descriptors ---------------------------------------------------------- */

/* Children inherit both or none. */
int
_Px_DuplicateDescriptor(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    int other =
        flags < 0
            ? -1
            : fcntl(fd, flags & FD_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
    if (other < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return other;
}

PyObject *
_Px_MakeHandle(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    PyObject *copy = _Px_MakeWords(to, type, object);
    if (copy) {
        ((handle *)copy)->fd = -1;
    }
    return copy;
}

/* X1, X2 */
int
_Px_FillHandle(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    handle *mine = (handle *)copy;
    const handle *from = (handle *)object;
    if (_Px_FillWords(to, copy, object) < 0) {
        return -1;
    }
    if (!owns_descriptor(object)) {
        mine->fd = from->fd;
        return 0;
    }
    mine->fd =
        _Px_TakeOver(object) ? from->fd : _Px_DuplicateDescriptor(from->fd);
    return mine->fd < 0 ? -1 : 0;
}

bool
_Px_HasLeft(const _Px_crossing *to, PyObject *socket)
{
    const _Px_resource *resource = _Px_FindResource(socket);
    PyObject *copy = _Px_Known(to, socket);
    bool here = copy && ((handle *)copy)->fd == ((handle *)socket)->fd;
    Py_XDECREF(copy);
    return resource && resource->taken && !here;
}

/* ---- buffers --------------------------------------------------------------- */

static bool
has_unwritten(PyObject *object)
{
    const buffered *buffer = (buffered *)object;
    return shape_of(object) == TEXT
               ? ((text *)object)->unwritten_bytes > 0
               : buffer->writable && buffer->buffer &&
                     buffer->write_place < buffer->write_end;
}

/* X3 */
static int
check_unwritten(PyObject *copy, PyObject *object)
{
    const handle *mine = handle_of(copy);
    if (!mine || mine->fd == handle_of(object)->fd || !has_unwritten(object)) {
        return 0;
    }
    PyErr_Format(_Px_PersistenceError,
                 "a '%.100s' object with data to be written cannot leave its "
                 "context as an argument: flush() it before",
                 Py_TYPE(object)->tp_name);
    return -1;
}

static int
give_buffer(buffered *mine, const buffered *from)
{
    mine->lock = PyThread_allocate_lock();
    if (from->buffer) {
        mine->buffer = PyMem_Malloc((size_t)from->bytes);
    }
    if (!mine->lock || (from->buffer && !mine->buffer)) {
        PyErr_NoMemory();
        return -1;
    }
    if (from->buffer) {
        memcpy(mine->buffer, from->buffer, (size_t)from->bytes);
    }
    return 0;
}

PyObject *
_Px_MakeBuffered(_Px_crossing *to, PyTypeObject *type, PyObject *object)
{
    return ((buffered *)object)->owner ? _Px_RefuseHeld(object)
                                       : _Px_MakeWords(to, type, object);
}

int
_Px_FillBuffered(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    if (_Px_FillWords(to, copy, object) < 0 ||
        check_unwritten(copy, object) < 0) {
        return -1;
    }
    return give_buffer((buffered *)copy, (buffered *)object);
}

/* ---- text ------------------------------------------------------------------ */

int
_Px_FillText(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    text *mine = (text *)copy;
    const text *from = (text *)object;
    if (_Px_FillWords(to, copy, object) < 0 ||
        check_unwritten(copy, object) < 0) {
        return -1;
    }
    if (from->newline &&
        from->written_newline == PyUnicode_DATA(from->newline)) {
        mine->written_newline = PyUnicode_DATA(mine->newline);
    }
    return 0;
}

/* ---- what has not left ------------------------------------------------------ */

/* What holds something, of a stack too; or NULL. */
static PyObject *
holder_of(PyObject *object)
{
    return holding_of(object) ? object : (PyObject *)handle_of(object);
}

static bool
is_left(PyObject *object)
{
    PyObject *holder = holder_of(object);
    const _Px_resource *resource = holder ? _Px_FindResource(holder) : NULL;
    return resource && !resource->taken && holding_of(holder)->holds(holder);
}

/* Without its buffers, if there is no other way. */
static void
take_or_release(PyObject *list, PyObject *object)
{
    PyObject *late;
    PyObject *copy = list ? _Px_Promote(object, &late) : NULL;
    if (copy) {
        (void)PyList_Append(list, copy);
        Py_XDECREF(late);
        Py_DECREF(copy);
    }
    PyErr_Clear();
    const _Px_holding *what = holding_of(object);
    if (is_left(object) && what && what->release) {
        what->release(object);
        _Px_FindResource(object)->taken = true;
    }
}

/* X5, S4, T1. A file was made after what it is stacked on, so it comes before that;
 * what is not a file may be part of one. */
PyObject *
_Px_TakeLeft(void)
{
    PyObject *list = NULL;
    for (_Px_resource *at = _Px_luggage->resources; at && at->object; at++) {
        if (is_left(at->object)) {
            list = list ? list : PyList_New(0);
            take_or_release(list, at->object);
        }
    }
    for (_Px_resource *at = _Px_luggage->resources; at && at->object; at++) {
        _Px_ReleaseTwin(at->object);
        _Px_ReleaseTls(at);
    }
    return list;
}
