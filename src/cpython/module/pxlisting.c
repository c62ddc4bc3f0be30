/*
 * Copies of listings of directories: what os.scandir() returns.
 *
 *      iterator ----> DIR *           the C library's, with a descriptor
 *         |
 *         +---------> path            the object that was given, and its bytes
 *
 *   D1  A DIR is malloc's, and there is no function to copy it: a second one of
 *       the same directory would be at its beginning, one of the same descriptor
 *       would take entries from the first. So the copy takes it when the callback
 *       is over; a second copy, and that of a callback that goes on, are refused.
 *   D2  The bytes of a path are those of an object that it keeps.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include <dirent.h>

/* As posixmodule.c has them. */
typedef struct path {
    const char *function, *argument; /* literals */
    int flags[5];
    const wchar_t *wide; /* NULL, but for Windows */
    const char *narrow;  /* NULL: of a descriptor, or the current directory */
    int fd;              /* somebody else's, or -1 */
    int is_wrong;
    Py_ssize_t length;
    PyObject *object, *bytes;
} path;

typedef struct listing {
    PyObject head;
    path path;
    DIR *dir; /* NULL: it is over, or closed */
    int fd;
} listing;

static bool
holds(PyObject *object)
{
    return ((listing *)object)->dir;
}

static bool
is_same(PyObject *copy, PyObject *object)
{
    return ((listing *)copy)->dir == ((listing *)object)->dir;
}

static void
empty(PyObject *copy)
{
    ((listing *)copy)->dir = NULL;
}

static void
release(PyObject *object)
{
    (void)closedir(((listing *)object)->dir);
}

const _Px_holding _Px_listing = {holds, is_same, NULL, empty, release};

/* ---- paths ---------------------------------------------------------------- */

/* What @narrow is in @from, in @mine. */
static const char *
place_in(PyObject *mine, PyObject *from, const char *narrow)
{
    return PyBytes_AS_STRING(mine) + (narrow - PyBytes_AS_STRING(from));
}

/* D2 */
static int
place_bytes(path *mine, const path *from)
{
    PyObject *kept = from->bytes ? from->bytes : from->object;
    if (!from->narrow) {
        return 0;
    }
    if (!kept || !PyBytes_Check(kept)) {
        return -1;
    }
    mine->narrow =
        place_in(from->bytes ? mine->bytes : mine->object, kept, from->narrow);
    return 0;
}

static int
copy_path(_Px_crossing *to, path *mine, const path *from)
{
    *mine = *from;
    mine->narrow = NULL;
    mine->object = mine->bytes = NULL;
    mine->object = from->object ? _Px_CopyPart(to, from->object) : NULL;
    if (from->object && !mine->object) {
        return -1;
    }
    mine->bytes = from->bytes ? _Px_CopyPart(to, from->bytes) : NULL;
    return from->bytes && !mine->bytes ? -1 : 0;
}

/* ---- from outside --------------------------------------------------------- */

PyObject *
_Px_MakeListing(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
                PyObject *object)
{
    return type->tp_basicsize == sizeof(listing) &&
                   !((listing *)object)->path.wide
               ? type->tp_alloc(type, 0)
               : _Px_Refuse(object);
}

/* D1 */
int
_Px_FillListing(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    listing *mine = (listing *)copy;
    const listing *from = (listing *)object;
    mine->fd = from->fd;
    if (copy_path(to, &mine->path, &from->path) < 0) {
        return -1;
    }
    if (place_bytes(&mine->path, &from->path) < 0) {
        (void)_Px_Refuse(object);
        return -1;
    }
    if (from->dir && !_Px_TakeOver(object)) {
        return _Px_RefuseTwice(object, "pass a list of what it gives");
    }
    mine->dir = from->dir;
    return 0;
}
