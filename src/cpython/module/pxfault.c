/*
 * What becomes of a write to memory that the guard protects.
 *
 *                     .-- not ours ----> the handler there was before
 *      SIGSEGV -------+-- in a context, of what is main's
 *      (on_fault)     |      mode trace: noted, then a step
 *                     |      else: the callback ends -> _Px_GuardCall()
 *                     '-- of an ordinary thread, or to our own state: a step
 *
 *      a step:  page writable, trap flag set | one instruction | SIGTRAP: page
 *               read-only, flag cleared                          (on_trap)
 *
 * A step is how a write is carried out while all others go on faulting. One
 * thread steps at a time; what others write to the same page meanwhile is lost
 * to the guard, not to the process.
 *
 *   F1  Who holds the step's lock takes no signal but the two: a handler of
 *       another that writes would wait for it forever. In a step that is from
 *       on_fault() to on_trap(), so that nobody else runs with the trap flag.
 *   F2  A step may fault again (a store across pages, a string instruction):
 *       it then holds the lock already, and on_trap() seals all its pages.
 *   F3  Handlers write to their stack, to TLS, to `_Px_guard` and to the log,
 *       none of which is protected, and call nothing that takes memory.
 *   F4  What a step calls is bound before the first: the linker would write its
 *       address where the guard protects, and the step would begin itself.
 *
 * Ending a callback is a jump out of the handler to _Px_GuardCall(): the write
 * has not happened, what the frames in between had allocated is the context's
 * and goes with it. If they held a lock of a library's, it stays locked: see
 * HAZARDS.md.
 *
 * The trace is a file that grows while the process runs, so that it is there
 * whatever end that comes to: a line a site, its count at the beginning.
 * tests/cpython/trace_writes.py makes sense of it.
 *
 * Thread rule: handlers on any thread, the rest as said in pycore_pxmodule.h.
 */
#include "pycore_pxmodule.h"

#include "pycore_frame.h"
#include "pycore_pystate.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { STEP_PAGES = 8, FRAMES = 40, KEY_FRAMES = 5 };
enum { SITES = 8192, LOG_BYTES = 32 << 20, LINE_BYTES = 4096 };
enum { TRAP_FLAG = 0x100, WRITE_ERROR = 2 };
enum { SHARED_BYTES = 48 }; /* the largest is an RLock */

static __thread struct {
    unsigned pages; /* 0: this thread is in no step */
    uintptr_t page[STEP_PAGES];
    uint64_t mask; /* what is restored after it */
} step;

static __thread struct {
    bool armed;
    jmp_buf to;
    uintptr_t at, pc; /* what the write was */
} escape;

static struct {
    struct sigaction fault, trap;
} before; /* the handlers that ours replaced */

static __thread bool passed_on; /* a fault that is none of ours */

/* ---- what an address is -------------------------------------------------- */

static bool
is_in(px_span span, uintptr_t at)
{
    return span.first <= at && at < span.end;
}

static bool
is_protected(uintptr_t at)
{
    bool found = is_in(_Px_guard->heap, at);
    for (unsigned i = 0; i < _Px_guard->count && !found; i++) {
        found = is_in(_Px_guard->spans[i], at);
    }
    return found;
}

/* With the step's lock: is it read-only now, but for the step? */
static bool
is_up(uintptr_t at)
{
    const px_guard *guard = _Px_guard;
    return guard->up &&
           (is_in(guard->heap, at) ? guard->heap_up : guard->data_up);
}

/* Sections of the program: data that the sources of the contexts mark, and all
 * of libpxrt's (see tools/build.sh). */
extern char __start_px_data[], __stop_px_data[];
extern char __start_pxrt_data[] __attribute__((weak));
extern char __stop_pxrt_data[] __attribute__((weak));
extern char __start_pxrt_bss[] __attribute__((weak));
extern char __stop_pxrt_bss[] __attribute__((weak));

static bool
is_section(const char *first, const char *end, uintptr_t at)
{
    return is_in((px_span){(uintptr_t)first, (uintptr_t)end}, at);
}

/* CPython's own that contexts write. Locks are there to be shared; the counts of
 * rare events saturate, and nothing but an optimizer that we build without and
 * statistics read them. */
static const struct {
    const void *first;
    size_t bytes;
} shared[] = {
    {&_PyRuntime._main_interpreter.imports.lock,
     sizeof _PyRuntime._main_interpreter.imports.lock},
    {&_PyRuntime._main_interpreter.rare_events,
     sizeof _PyRuntime._main_interpreter.rare_events},
    {&_PyRuntime.interpreters.mutex, sizeof _PyRuntime.interpreters.mutex},
};

static bool
is_shared(uintptr_t at)
{
    bool found = at - _Px_here.cx->shared < SHARED_BYTES;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(shared) && !found; i++) {
        found = at - (uintptr_t)shared[i].first < shared[i].bytes;
    }
    return found;
}

/* What contexts write and nobody minds: the explicit list. The loader stores the
 * address of a function that is called for the first time; what the process
 * computes once (pxhooks.c: common memory) is there for all. */
static bool
is_ours(uintptr_t at, uintptr_t pc)
{
    return _Px_here.cx->common || is_in(_Px_guard->loader, pc) ||
           is_shared(at) || is_section(__start_px_data, __stop_px_data, at) ||
           is_section(__start_pxrt_data, __stop_pxrt_data, at) ||
           is_section(__start_pxrt_bss, __stop_pxrt_bss, at);
}

/* ---- signals of others ---------------------------------------------------- */

/* A handler that has done raises the signal again, for who was there before it.
 * If that was us, nobody is left. */
static bool
nobody_is_left(const struct sigaction *who, const siginfo_t *info)
{
    bool some = who->sa_flags & SA_SIGINFO ||
                (who->sa_handler != SIG_DFL && who->sa_handler != SIG_IGN);
    return !some || (passed_on && info->si_code <= 0);
}

/* A fault comes once more by itself; a trap, and what was sent, does not. */
static void
end_process(int signal, const siginfo_t *info)
{
    static const struct sigaction none = {.sa_handler = SIG_DFL};
    (void)sigaction(signal, &none, NULL);
    if (signal != SIGSEGV || info->si_code <= 0) {
        (void)raise(signal);
    }
}

static void
pass_on(const struct sigaction *who, int signal, siginfo_t *info,
        void *ucontext)
{
    if (who->sa_handler == SIG_IGN && info->si_code <= 0) {
        return;
    }
    if (nobody_is_left(who, info)) {
        end_process(signal, info);
        return;
    }
    passed_on = true;
    if (who->sa_flags & SA_SIGINFO) {
        who->sa_sigaction(signal, info, ucontext);
    }
    else {
        who->sa_handler(signal);
    }
    passed_on = false;
}

/* ---- stepping ------------------------------------------------------------ */

static void
lock_step(void)
{
    int nobody = 0;
    while (!__atomic_compare_exchange_n(&_Px_guard->stepping, &nobody, 1, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        nobody = 0;
        sched_yield();
    }
}

static void
unlock_step(void)
{
    __atomic_store_n(&_Px_guard->stepping, 0, __ATOMIC_RELEASE);
}

static void
set_page(uintptr_t page, int how)
{
    (void)mprotect((void *)page, PX_PAGE, how);
}

/* The system's masks have 64 bits; those of the C library are longer. */
static const uint64_t none_but_ours =
    ~((uint64_t)1 << (SIGSEGV - 1) | (uint64_t)1 << (SIGTRAP - 1));

static void
begin_step(ucontext_t *uc)
{
    lock_step();
    memcpy(&step.mask, &uc->uc_sigmask, sizeof step.mask);
    memcpy(&uc->uc_sigmask, &none_but_ours, sizeof none_but_ours);
    uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

/* The world may have closed before we had the lock. */
static void
let_write(ucontext_t *uc, uintptr_t at)
{
    if (step.pages == 0) {
        begin_step(uc);
    }
    uintptr_t page = at / PX_PAGE * PX_PAGE;
    if (step.pages < STEP_PAGES) {
        step.page[step.pages++] = page;
    }
    set_page(page, PROT_READ | PROT_WRITE);
}

static void
on_trap(int signal, siginfo_t *info, void *ucontext)
{
    ucontext_t *uc = ucontext;
    if (step.pages == 0) {
        pass_on(&before.trap, signal, info, ucontext);
        return;
    }
    for (; step.pages > 0; step.pages--) {
        uintptr_t page = step.page[step.pages - 1];
        if (is_up(page)) {
            set_page(page, PROT_READ);
        }
    }
    uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    memcpy(&uc->uc_sigmask, &step.mask, sizeof step.mask);
    unlock_step();
}

/* ---- the trace ----------------------------------------------------------- */

static struct {
    char *text; /* the file; NULL until there is something to say */
    size_t used;
    struct {
        size_t key;
        size_t line; /* where in text */
        unsigned count;
    } site[SITES];
} * trace;

static void
open_trace(void)
{
    char path[256];
    const char *prefix = getenv("PYTHONPARALLELTRACE");
    PyOS_snprintf(path, sizeof path, "%s.%d", prefix ? prefix : "px-trace",
                  (int)getpid());
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    char *text = MAP_FAILED;
    if (file >= 0 && ftruncate(file, LOG_BYTES) == 0) {
        text =
            mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    void *table = mmap(NULL, sizeof *trace, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED || table == MAP_FAILED) {
        Py_FatalError("the guard cannot write its trace");
    }
    (void)close(file);
    trace = table;
    trace->text = text;
}

/* The frames below the handler's, from the one that wrote. */
static int
frames_from(uintptr_t pc, void **frames)
{
    void *all[FRAMES + 4];
    int count = backtrace(all, FRAMES + 4), first = 0;
    while (first < count && (uintptr_t)all[first] != pc) {
        first++;
    }
    if (first == count) { /* lost at the signal's frame */
        frames[0] = (void *)pc;
        return 1;
    }
    int kept = 0;
    while (kept < FRAMES && first < count) {
        frames[kept++] = all[first++];
    }
    return kept;
}

static size_t
key_of(void **frames, int count)
{
    size_t key = 14695981039346656037u;
    for (int i = 0; i < count && i < KEY_FRAMES; i++) {
        key = (key ^ (size_t)frames[i]) * 1099511628211u;
    }
    return key;
}

typedef struct px_line {
    char text[LINE_BYTES];
    size_t used;
} px_line;

__attribute__((format(printf, 2, 3))) static void
put(px_line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof line->text - line->used;
    int more = vsnprintf(line->text + line->used, room, format, arguments);
    va_end(arguments);
    line->used += Py_MIN((size_t)Py_MAX(more, 0), room - 1);
}

static void
put_place(px_line *line, uintptr_t at)
{
    Dl_info info;
    if (dladdr((void *)at, &info)) {
        put(line, " %s+%#lx", info.dli_fname,
            (unsigned long)(at - (uintptr_t)info.dli_fbase));
    }
    else {
        put(line, " ?+%#lx", (unsigned long)at);
    }
}

static const char *
ascii(PyObject *string)
{
    return PyUnicode_IS_COMPACT_ASCII(string)
               ? (const char *)PyUnicode_1BYTE_DATA(string)
               : "?";
}

/* The function in Python that runs; its line may be that of the call before. */
static void
put_python(px_line *line)
{
    PyThreadState *tstate = _PyThreadState_GET();
    _PyInterpreterFrame *frame =
        tstate ? _PyThreadState_GetFrame(tstate) : NULL;
    if (frame) {
        PyCodeObject *code = _PyFrame_GetCode(frame);
        put(line, "%s:%d:%s", ascii(code->co_filename),
            PyUnstable_InterpreterFrame_GetLine(frame),
            ascii(code->co_qualname));
    }
}

static void
log_site(size_t i, uintptr_t at, void **frames, int count)
{
    px_line line = {.used = 0};
    put(&line, "%8u\t%s\t", 1, is_in(_Px_guard->heap, at) ? "heap" : "data");
    put_place(&line, at);
    put(&line, "\t");
    put_python(&line);
    put(&line, "\t");
    for (int f = 0; f < count; f++) {
        put_place(&line, (uintptr_t)frames[f]);
    }
    put(&line, "\n");
    if (trace->used + line.used < LOG_BYTES) {
        memcpy(trace->text + trace->used, line.text, line.used);
        trace->site[i].line = trace->used;
        trace->used += line.used;
    }
}

static void
count_site(size_t i)
{
    char digits[16];
    PyOS_snprintf(digits, sizeof digits, "%8u", ++trace->site[i].count);
    memcpy(trace->text + trace->site[i].line, digits, 8);
}

/* With the step's lock: of all that write, one writes the trace. */
static void
note(uintptr_t at, uintptr_t pc)
{
    void *frames[FRAMES];
    int count = frames_from(pc, frames);
    size_t key = key_of(frames, count), i = key % SITES, tried = 0;
    while (trace->site[i].count > 0 && trace->site[i].key != key &&
           tried++ < SITES) {
        i = (i + 1) % SITES;
    }
    if (trace->site[i].count > 0) {
        count_site(i);
    }
    else {
        trace->site[i].key = key;
        trace->site[i].count = 1;
        log_site(i, at, frames, count);
    }
}

/* ---- faults -------------------------------------------------------------- */

static bool
is_write_to_guarded(siginfo_t *info, ucontext_t *uc)
{
    return info->si_code == SEGV_ACCERR &&
           uc->uc_mcontext.gregs[REG_ERR] & WRITE_ERROR &&
           is_protected((uintptr_t)info->si_addr);
}

/* A child of vfork() uses this thread's stack and TLS, and must not jump. */
static bool
must_end(uintptr_t at, uintptr_t pc)
{
    return _Px_IN() && escape.armed && !is_ours(at, pc) &&
           _Px_guard->mode != PX_GUARD_TRACE && getpid() == _Px_guard->pid;
}

static void
leave_handler(ucontext_t *uc)
{
    sigset_t mask;
    sigemptyset(&mask);
    memcpy(&mask, &uc->uc_sigmask, sizeof(uint64_t));
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static bool
must_note(uintptr_t at, uintptr_t pc)
{
    return _Px_IN() && !is_ours(at, pc) && _Px_guard->mode == PX_GUARD_TRACE;
}

static void
on_fault(int signal, siginfo_t *info, void *ucontext)
{
    ucontext_t *uc = ucontext;
    uintptr_t at = (uintptr_t)info->si_addr;
    uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    int error = errno;
    if (!is_write_to_guarded(info, uc)) {
        pass_on(&before.fault, signal, info, ucontext);
    }
    else if (step.pages == 0 && must_end(at, pc)) {
        escape.at = at;
        escape.pc = pc;
        escape.armed = false;
        leave_handler(uc);
        longjmp(escape.to, 1);
    }
    else {
        bool noted = step.pages == 0 && must_note(at, pc);
        let_write(uc, at);
        if (noted) {
            note(at, pc);
        }
    }
    errno = error;
}

static void
set_all_but_ours(sigset_t *mask)
{
    sigfillset(mask);
    sigdelset(mask, SIGSEGV);
    sigdelset(mask, SIGTRAP);
}

static void
catch_one(int signal, void (*handler)(int, siginfo_t *, void *),
          struct sigaction *old)
{
    struct sigaction now;
    if (sigaction(signal, NULL, &now) == 0 && now.sa_sigaction != handler) {
        struct sigaction ours = {.sa_sigaction = handler,
                                 .sa_flags = SA_SIGINFO | SA_NODEFER};
        set_all_but_ours(&ours.sa_mask); /* F1 */
        *old = now;
        (void)sigaction(signal, &ours, NULL);
    }
}

void
_Px_SpansLock(sigset_t *mask)
{
    sigset_t all;
    set_all_but_ours(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, mask);
    lock_step();
}

void
_Px_SpansUnlock(const sigset_t *mask)
{
    unlock_step();
    (void)pthread_sigmask(SIG_SETMASK, mask, NULL);
}

/* F4. What else a step calls, whoever sets the guard up has called. */
static void
bind_yield(void)
{
    static bool bound;
    if (!bound) {
        sched_yield();
        bound = true;
    }
}

void
_Px_FaultsCatch(void)
{
    bind_yield();
    if (_Px_guard->mode == PX_GUARD_TRACE && !trace) {
        void *frame;
        (void)backtrace(&frame, 1); /* its first call loads a library */
        open_trace();
    }
    catch_one(SIGSEGV, on_fault, &before.fault);
    catch_one(SIGTRAP, on_trap, &before.trap);
}

/* ---- the way out --------------------------------------------------------- */

static void
raise_frozen(void)
{
    Dl_info info;
    const char *name = "?";
    if (dladdr((void *)escape.pc, &info) && info.dli_sname) {
        name = info.dli_sname;
    }
    PyErr_Format(_Px_FrozenMemoryError,
                 "C code of the callback (near %s) was about to write to "
                 "memory of the main thread, at %p",
                 name, (void *)escape.at);
}

bool
_Px_GuardCall(px_worker *worker, void (*func)(void *), void *arg)
{
    if (_Px_guard && setjmp(escape.to)) {
        (void)__atomic_fetch_add(&_Px_guard->frozen, 1, __ATOMIC_RELAXED);
        /* it may have been in a call that blocks */
        _PyThreadState_Attach(worker->tstate);
        _Px_Abandon(worker);
        raise_frozen();
        return false;
    }
    escape.armed = true;
    func(arg);
    escape.armed = false;
    return true;
}
