/*
 * The guard: main's memory is read-only while contexts run.
 *
 *      world     closed      open ........... close      open
 *      pages     writable    read-only        writable   read-only
 *                            |                |
 *                      _Px_GuardUp()    _Px_GuardDown()
 *
 * The hooks are what makes contexts leave main's objects alone, with an
 * exception that can be caught. The guard is behind them: a write that no hook
 * has foreseen faults (pxfault.c) before it has changed anything, and ends its
 * callback with FrozenMemoryError; or, when the guard traces, it is noted and
 * carried out. Chosen when the process starts, by PYTHONPARALLELGUARD:
 *
 *      mode     main's Python heap          .data and .bss     such a write
 *      unset    -                           -                  is not seen
 *      off      -, until set_guard()        -                  is not seen
 *      auto     while nobody else might     -                  ends the callback
 *               have it written to (G3)
 *      full     the same                    of the interpreter ends the callback
 *                                           and extensions
 *      trace    the same                    the same           is noted, done
 *
 * The heap has to be in one place for it, large blocks included. So unless the
 * variable is unset, objects live in mimalloc, which gets a range of addresses
 * to take them from. Without it this file costs a branch when a world opens.
 *
 *   G1  What faults or is called by a handler of faults is in `guard`, in a
 *       mapping of its own: nothing here protects that.
 *   G2  up is true only between up and down, and changes under the step's lock
 *       of pxfault.c, as does the protection of pages.
 *   G3  Whoever opens the world holds the GIL. Any other ordinary thread is
 *       still (waits for the GIL, a lock, the time), or in a call that may have
 *       the system write to a buffer in the heap: os.read() would return
 *       EFAULT. Then the heap stays writable, and hooks alone protect it.
 *   G4  Ordinary threads may write where they have reason to without the GIL;
 *       their writes are carried out, one at a time, and not noted.
 *
 *   G5  A fault that comes while its signal is blocked ends the process. What is
 *       written so is the world's, when subprocess starts a process: its pages
 *       are not protected.
 *   G6  Spans once found stay, and are found anew in the same places: the handler
 *       of a fault may look at them late, when the world has closed since or is
 *       about to open, and must know it for one of ours.
 *
 * Not covered: what malloc() gives (so says PyMem_RawMalloc: thread states,
 * locks; and what libraries keep), stacks of Python frames, libraries that are
 * not extension modules.
 *
 * Rejected: memory protection keys, which change with the thread and would make
 * an exception of nobody's buffer: no machine at hand has them to test with.
 *
 * Thread rule: begin and set mode on main; up and down whoever opens the world.
 */
#include "pycore_pxmodule.h"

#include "pycore_mimalloc.h"
#include "pycore_pystate.h"

#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HEAP_BYTES_LOG = 36, SEGMENT_BYTES = 32 << 20 };
enum { BESIDE = 10000 }; /* more threads than wait */

px_guard *_Px_guard;

static int still; /* threads in a wait that G3 does not mind */

/* ---- still threads ------------------------------------------------------- */

void
_Px_StillThreads(int more)
{
    (void)__atomic_fetch_add(&still, more, __ATOMIC_RELAXED);
}

/* An interpreter with a GIL of its own runs beside contexts, and its threads may
 * be in any call. */
static int
detached_threads(const PyInterpreterState *interp)
{
    if (interp->ceval.own_gil && interp != PyInterpreterState_Main()) {
        return BESIDE;
    }
    int detached = 0;
    for (PyThreadState *t = interp->threads.head; t; t = t->next) {
        detached +=
            _Py_atomic_load_int_relaxed(&t->state) != _Py_THREAD_ATTACHED;
    }
    return detached;
}

/* With the GIL: all other threads have let it go, so they are detached. */
int
_Px_ThreadsInCalls(void)
{
    int detached = 0;
    HEAD_LOCK(&_PyRuntime);
    for (PyInterpreterState *at = _PyRuntime.interpreters.head; at;
         at = at->next) {
        detached += detached_threads(at);
    }
    HEAD_UNLOCK(&_PyRuntime);
    return detached - __atomic_load_n(&still, __ATOMIC_RELAXED);
}

/* ---- what is protected --------------------------------------------------- */

static void
add_span(unsigned *count, uintptr_t first, uintptr_t end)
{
    if (first < end && *count < PX_GUARD_SPANS) {
        _Px_guard->spans[(*count)++] = (px_span){first, end};
    }
}

/* All of it but the world's pages (G5). */
static void
add_data(unsigned *count, uintptr_t first, uintptr_t end)
{
    uintptr_t world = (uintptr_t)&_Px_world;
    if (world < first || world >= end) {
        add_span(count, first, end);
        return;
    }
    add_span(count, first, world);
    add_span(count, world + sizeof _Px_world, end);
}

static bool
is_of_interpreter(const char *path)
{
    const char *file = strrchr(path, '/');
    return path[0] == '\0' || (file && strstr(file, ".cpython-"));
}

/* The data segment of one of ours, less what the loader has protected. */
static int
add_object(struct dl_phdr_info *info, size_t Py_UNUSED(bytes), void *count)
{
    uintptr_t data = 0, end = 0, sealed = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && part->p_flags & PF_W) {
            data = first;
            end = first + part->p_memsz;
        }
        else if (part->p_type == PT_GNU_RELRO) {
            sealed = first + part->p_memsz;
        }
    }
    if (is_of_interpreter(info->dlpi_name)) {
        uintptr_t first = Py_MAX(data, sealed) / PX_PAGE * PX_PAGE;
        add_data(count, first, (end + PX_PAGE - 1) / PX_PAGE * PX_PAGE);
    }
    return 0;
}

static int
find_loader(struct dl_phdr_info *info, size_t Py_UNUSED(bytes), void *loader)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + part->p_vaddr;
        if (info->dlpi_addr == getauxval(AT_BASE) && part->p_type == PT_LOAD &&
            part->p_flags & PF_X) {
            *(px_span *)loader = (px_span){first, first + part->p_memsz};
        }
    }
    return 0;
}

static void
protect_span(px_span span, int how)
{
    (void)mprotect((void *)span.first, span.end - span.first, how);
}

static void
protect(int how)
{
    const px_guard *guard = _Px_guard;
    if (guard->heap_up) {
        protect_span(guard->heap, how);
    }
    for (unsigned i = 0; guard->data_up && i < guard->count; i++) {
        protect_span(guard->spans[i], how);
    }
}

/* G6: modules that are new come behind those that were there. */
static void
find_data(void)
{
    unsigned count = 0;
    (void)dl_iterate_phdr(add_object, &count);
    _Px_guard->count = count;
}

void
_Px_GuardUp(void)
{
    sigset_t mask;
    px_guard *guard = _Px_guard;
    if (!guard || guard->mode == PX_GUARD_OFF) {
        return;
    }
    _Px_FaultsCatch();
    guard->heap_up = _Px_ThreadsInCalls() <= 0;
    guard->heap_ups += guard->heap_up;
    guard->data_up = guard->mode != PX_GUARD_AUTO;
    if (guard->data_up) {
        find_data();
    }
    _Px_SpansLock(&mask);
    guard->up = true;
    protect(PROT_READ);
    _Px_SpansUnlock(&mask);
}

void
_Px_GuardDown(void)
{
    sigset_t mask;
    px_guard *guard = _Px_guard;
    if (!guard || !guard->up) {
        return;
    }
    _Px_SpansLock(&mask);
    guard->up = false;
    protect(PROT_READ | PROT_WRITE);
    _Px_SpansUnlock(&mask);
}

/* ---- modes --------------------------------------------------------------- */

static const char *const modes[] = {"off", "auto", "full", "trace"};

static int
mode_named(const char *name)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(modes); i++) {
        if (strcmp(name, modes[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const char *
_Px_GuardMode(void)
{
    return modes[_Px_guard ? _Px_guard->mode : PX_GUARD_OFF];
}

static void
set_mode(int mode)
{
    _Px_guard->mode = mode;
    _Px_Specializes = mode == PX_GUARD_OFF;
}

int
_Px_GuardSetMode(const char *name)
{
    int mode = mode_named(name);
    if (mode < 0) {
        PyErr_Format(PyExc_ValueError, "no mode of the guard: '%s'", name);
        return -1;
    }
    if (!_Px_guard && mode != PX_GUARD_OFF) {
        PyErr_SetString(_Px_ParallelError,
                        "the guard must be prepared when the process starts: "
                        "set PYTHONPARALLELGUARD, to 'off' if need be");
        return -1;
    }
    if (_Px_guard) {
        set_mode(mode);
    }
    return 0;
}

/* ---- the beginning ------------------------------------------------------- */

static void *
map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* Huge pages, where the system has them, make up and down cheap. */
static bool
make_heap(px_span *heap)
{
    const size_t bytes = (size_t)1 << HEAP_BYTES_LOG;
    char *at = map(bytes + SEGMENT_BYTES);
    if (!at) {
        return false;
    }
    at += SEGMENT_BYTES - (uintptr_t)at % SEGMENT_BYTES;
    (void)madvise(at, bytes, MADV_HUGEPAGE);
    *heap = (px_span){(uintptr_t)at, (uintptr_t)at + bytes};
    return mi_manage_os_memory_ex(at, bytes, true, false, true, -1, false,
                                  NULL);
}

int
_Px_GuardBegin(const char *name)
{
    int mode = name ? mode_named(name) : -1;
    if (mode < 0 || _Px_guard) {
        return name && mode < 0 ? -1 : _Px_guard != NULL;
    }
    px_guard *guard = map(sizeof *guard);
    if (!guard || !make_heap(&guard->heap)) {
        return -1;
    }
    guard->pid = getpid();
    (void)dl_iterate_phdr(find_loader, &guard->loader);
    _Px_guard = guard;
    set_mode(mode);
    return 1;
}
