/*
 * Copies of mappings: mmap.mmap.
 *
 *      mmap ----> data .. data + size      pages of a file, or of none
 *        |
 *        +------> descriptor               to resize it by, or -1
 *
 * Pages are not copied, they are handed over, as descriptors are (pxresource.c):
 * addresses stay what they were, and what the context has written is there.
 *
 *   P1  When a callback is over the copy takes the pages and the descriptor. A
 *       second copy, and that of a callback that goes on, has the same pages at
 *       another address, with a descriptor of its own: who writes to one writes to
 *       all, as where a file is mapped twice.
 *   P2  Only shared pages can be had twice. Of private ones, which nobody else is
 *       to see, there is no second mapping that would be neither a snapshot nor
 *       what the file has: these are refused.
 *   P3  A copy has no exports but those of views that are copied with it.
 *
 * Rejected: mapping the descriptor a second time. Anonymous memory has none, and
 * nor need a file's have; and the object does not tell whether its pages are shared,
 * which the system does.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxcross.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* As mmapmodule.c has it. */
typedef struct mapping {
    PyObject head;
    char *data; /* NULL: it is closed */
    Py_ssize_t size, at;
    off_t offset;
    Py_ssize_t exports;
    int fd;
    bool keeps_fd;
    PyObject *references;
    int access;
} mapping;

static bool
holds(PyObject *object)
{
    const mapping *it = (const mapping *)object;
    return it->data || it->fd >= 0;
}

static bool
is_same(PyObject *copy, PyObject *object)
{
    const mapping *mine = (const mapping *)copy;
    const mapping *from = (const mapping *)object;
    return mine->data == from->data && mine->fd == from->fd;
}

static void
empty(PyObject *copy)
{
    ((mapping *)copy)->data = NULL;
    ((mapping *)copy)->fd = -1;
}

static void
release(PyObject *object)
{
    const mapping *it = (mapping *)object;
    if (it->data) {
        (void)munmap(it->data, (size_t)it->size);
    }
    if (it->fd >= 0) {
        (void)close(it->fd);
    }
}

const _Px_holding _Px_mapping = {holds, is_same, NULL, empty, release};

/* ---- a second mapping ----------------------------------------------------- */

static void *
map_again(void *data, size_t size)
{
    return mremap(data, 0, size, MREMAP_MAYMOVE);
}

/* P2. Before 4.14 Linux gave new pages in the place of private ones. */
static bool
tells_private(void)
{
    static int known = -1;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = known >= 0 ? MAP_FAILED
                            : mmap(NULL, size, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED) {
        void *other = map_again(page, size);
        known = other == MAP_FAILED;
        if (!known) {
            (void)munmap(other, size);
        }
        (void)munmap(page, size);
    }
    return known > 0;
}

static int
refuse_private(PyObject *object)
{
    PyErr_Format(_Px_PersistenceError,
                 "a '%.100s' object of private memory leaves its context once, "
                 "when the callback is over: pass its content",
                 Py_TYPE(object)->tp_name);
    return -1;
}

static int
share_pages(mapping *mine, PyObject *object)
{
    const mapping *from = (mapping *)object;
    void *data = tells_private() ? map_again(from->data, (size_t)from->size)
                                 : MAP_FAILED;
    if (data != MAP_FAILED) {
        mine->data = data;
        return 0;
    }
    if (errno != ENOMEM) {
        return refuse_private(object);
    }
    PyErr_NoMemory();
    return -1;
}

static int
share(mapping *mine, PyObject *object)
{
    const mapping *from = (mapping *)object;
    if (from->data && share_pages(mine, object) < 0) {
        return -1;
    }
    mine->fd = from->fd < 0 ? -1 : _Px_DuplicateDescriptor(from->fd);
    return from->fd >= 0 && mine->fd < 0 ? -1 : 0;
}

/* ---- from outside --------------------------------------------------------- */

PyObject *
_Px_MakeMapping(_Px_crossing *Py_UNUSED(to), PyTypeObject *type,
                PyObject *object)
{
    const mapping *from = (mapping *)object;
    if (_Px_BaseInC(type)->tp_basicsize != sizeof *from) {
        return _Px_Refuse(object);
    }
    mapping *mine = (mapping *)type->tp_alloc(type, 0);
    if (mine) {
        mine->size = from->size;
        mine->at = from->at;
        mine->offset = from->offset;
        mine->fd = -1;
        mine->keeps_fd = from->keeps_fd;
        mine->access = from->access;
    }
    return (PyObject *)mine;
}

/* P1, P3 */
int
_Px_FillMapping(_Px_crossing *Py_UNUSED(to), PyObject *copy, PyObject *object)
{
    mapping *mine = (mapping *)copy;
    const mapping *from = (mapping *)object;
    if (!holds(object) || !_Px_TakeOver(object)) {
        return share(mine, object);
    }
    mine->data = from->data;
    mine->fd = from->fd;
    return 0;
}
