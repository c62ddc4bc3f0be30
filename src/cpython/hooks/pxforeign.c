/*
 * Extension modules that were not built for this interpreter.
 *
 * A module compiled with the headers of stock CPython counts references by their
 * macros: at once, with no look at whose object it is. Called in a context it
 * would count main's objects without a lock. No name of a file tells them apart
 * for sure; but each object file that has seen our headers has a symbol:
 *
 *      file                                     symbol    is
 *      x.cpython-313-px-x86_64-linux-gnu.so     yes       ours
 *      x.so, x.abi3.so, built from source       yes       ours
 *      x.abi3.so, x.cpython-313-x86_64-...so    no        foreign: of a wheel
 *
 * A foreign module is an ImportError that names it, before any of its code runs.
 * With PYTHONPARALLEL_ALLOW_ABI3=1 it loads, for the main side alone: its
 * functions, methods and classes raise ParallelError in a context. What operators
 * do with its objects is not covered but by the guard.
 *
 *   F1  The library is in the table before any of its code is called.
 *   F2  Entries below the count never change: who reads needs no lock. Who adds one
 *       has the mutex, for interpreters with a GIL of their own load at once, and
 *       raises the count last.
 *
 * Thread rule: whoever imports to load, in whatever interpreter; any for the rest.
 */
#include "pycore_px.h"

#include "pycore_pystate.h"

#include <dlfcn.h>
#include <link.h>

enum { FOREIGN_MAX = 256 };

/* A library's addresses, as it is mapped; what it was imported as. */
typedef struct image {
    uintptr_t first, end;
    char name[80];
} image;

static image foreign[FOREIGN_MAX];
int _Px_foreign_count; /* F2: released by add(), acquired by foreign_at() */
static PyMutex adding;

/* ---- where code is ------------------------------------------------------- */

typedef struct search {
    uintptr_t address;
    image found;
} search;

static int
look_at_library(struct dl_phdr_info *library, size_t Py_UNUSED(size), void *arg)
{
    search *all = arg;
    uintptr_t first = UINTPTR_MAX, end = 0;
    for (unsigned i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &library->dlpi_phdr[i];
        if (part->p_type == PT_LOAD) {
            uintptr_t at = library->dlpi_addr + part->p_vaddr;
            first = Py_MIN(first, at);
            end = Py_MAX(end, at + part->p_memsz);
        }
    }
    if (all->address < first || all->address >= end) {
        return 0;
    }
    all->found = (image){.first = first, .end = end};
    return 1;
}

static bool
is_in(const image *library, const void *address)
{
    return (uintptr_t)address >= library->first &&
           (uintptr_t)address < library->end;
}

static const image *
foreign_at(const void *address)
{
    const int count = __atomic_load_n(&_Px_foreign_count, __ATOMIC_ACQUIRE);
    for (int i = 0; i < count; i++) {
        if (is_in(&foreign[i], address)) {
            return &foreign[i];
        }
    }
    return NULL;
}

const char *
_Px_ForeignName(const void *address)
{
    const image *library = foreign_at(address);
    return library ? library->name : NULL;
}

/* ---- loading ------------------------------------------------------------- */

static int
refuse(const char *name, const char *path)
{
    PyObject *text = PyUnicode_FromFormat(
        "%s was not built for this interpreter and would count references that "
        "are not its to count: build it from source (pip install --no-binary), "
        "or set PYTHONPARALLEL_ALLOW_ABI3=1 to have it on the main side alone",
        path);
    PyObject *module = PyUnicode_FromString(name);
    PyObject *file = PyUnicode_DecodeFSDefault(path);
    if (text && module && file) {
        PyErr_SetImportError(text, module, file);
    }
    Py_XDECREF(text);
    Py_XDECREF(module);
    Py_XDECREF(file);
    return -1;
}

static bool
are_allowed(void)
{
    const char *allow = _Py_GetConfig()->use_environment
                            ? getenv("PYTHONPARALLEL_ALLOW_ABI3")
                            : NULL;
    return allow && strcmp(allow, "1") == 0;
}

/* F2. False: there is no room. */
static bool
add(const image *library)
{
    PyMutex_Lock(&adding);
    const int count = _Px_foreign_count;
    bool known = foreign_at((void *)library->first); /* by others, meanwhile */
    bool added = !known && count < FOREIGN_MAX;
    if (added) {
        foreign[count] = *library;
        __atomic_store_n(&_Px_foreign_count, count + 1, __ATOMIC_RELEASE);
    }
    PyMutex_Unlock(&adding);
    return known || added;
}

/* A library has been loaded, and @init of it is about to be called: F1. */
int
_Px_CheckExtension(void *handle, void *init, const char *name, const char *path)
{
    search where = {.address = (uintptr_t)init};
    if (!init || foreign_at(init) ||
        !dl_iterate_phdr(look_at_library, &where)) {
        return 0;
    }
    const void *mark = dlsym(handle, "_Px_built_with_hooks_2");
    if (is_in(&where.found, mark)) {
        return 0;
    }
    PyOS_snprintf(where.found.name, sizeof where.found.name, "%s", name);
    return are_allowed() && add(&where.found) ? 0 : refuse(name, path);
}

/* ---- calling ------------------------------------------------------------- */

int
_Px_RaiseForeignCode(const void *address)
{
    PyErr_Format(_Px_ParallelError,
                 "a context cannot call the module '%s', which was not built "
                 "for this interpreter: build it from source, or let the main "
                 "thread call it",
                 _Px_ForeignName(address));
    return -1;
}

/* A class is called in a context. */
int
_Px_GuardNew(const PyTypeObject *type)
{
    const void *calls[] = {(void *)type->tp_new, (void *)type->tp_init};
    for (size_t i = 0; _Px_foreign_count > 0 && i < 2; i++) {
        if (foreign_at(calls[i])) {
            return _Px_RaiseForeignCode(calls[i]);
        }
    }
    return _Px_GuardExecutor(type);
}
