/*
 * Threads on POSIX: pthreads, and a thread-specific key as the slot.
 *
 * Thread rule: any thread.
 * Rejected: pthread_once() for the key: it could not tell that none is left, nor
 * try again when one is.
 */
#include "platform/thread.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pxrt/status.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "platform/thread_slot.h"

/* A thread of the library takes no signal that is meant for the host's threads,
 * and a write to a broken pipe is an error code here, not a SIGPIPE. Faults of
 * its own stay, and so does the signal of profilers. */
static void
block_signals(void)
{
    static const int kept[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                               SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        sigdelset(&set, kept[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *
start(void *arg)
{
    px__thread *t = arg;
    block_signals();
    if (t->name[0])
        px__thread_set_name(t->name);
    t->fn(t->arg);
    return NULL;
}

/* The system refuses sizes below its minimum or, in places, off page bounds. */
static int
set_stack(pthread_attr_t *attr, size_t stack_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t least = (size_t)PTHREAD_STACK_MIN;
    size_t bytes = stack_bytes > least ? stack_bytes : least;
    if (bytes > SIZE_MAX - page)
        return PX_ENOMEM;
    bytes = (bytes + page - 1) & ~(page - 1);
    return pthread_attr_setstacksize(attr, bytes) ? PX_ENOMEM : PX_OK;
}

int
px__thread_create_sized(px__thread *t, const char *name, size_t stack_bytes,
                        px__thread_fn fn, void *arg)
{
    pthread_attr_t attr;
    t->fn = fn;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name ? name : "");
    if (pthread_attr_init(&attr))
        return PX_ENOMEM;
    int rc = stack_bytes ? set_stack(&attr, stack_bytes) : PX_OK;
    if (rc == PX_OK && pthread_create(&t->handle, &attr, start, t))
        rc = PX_ENOMEM;
    pthread_attr_destroy(&attr);
    return rc;
}

void
px__thread_join(px__thread *t)
{
    int rc = pthread_join(t->handle, NULL);
    PX_CHECK(rc == 0, "joined a thread twice, or by itself");
}

#if defined(__linux__)
/* The mask of the main thread stands for the process: that of the calling thread
 * may be one CPU out of many, and say nothing of where the others run. It may be
 * wider than cpu_set_t on very large machines: grow it until the kernel
 * accepts. 0: could not ask. */
static unsigned
allowed_cpus(void)
{
    for (size_t cpus = CPU_SETSIZE; cpus <= 1u << 20; cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set)
            return 0;
        size_t bytes = CPU_ALLOC_SIZE(cpus);
        int rc = sched_getaffinity(getpid(), bytes, set);
        int count = rc == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return (unsigned)count;
    }
    return 0;
}
#else
static unsigned
allowed_cpus(void)
{
    return 0;
}
#endif

unsigned
px__cpu_count(void)
{
    unsigned allowed = allowed_cpus();
    if (allowed)
        return allowed;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

unsigned
px__cpu_here(void)
{
#if defined(__linux__)
    int cpu = sched_getcpu();
    return cpu < 0 ? 0 : (unsigned)cpu;
#else
    return 0;
#endif
}

#if defined(__linux__)
uint64_t
px__thread_system_id(void)
{
    return (uint64_t)syscall(SYS_gettid);
}

/* The file says: ns on a CPU, ns waited for one, times it got one. */
int64_t
px__thread_waited_ns(uint64_t system_id)
{
    char text[96];
    snprintf(text, sizeof text, "/proc/self/task/%llu/schedstat",
             (unsigned long long)system_id);
    int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0)
        return -1;
    text[got] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtoll(second, NULL, 10) : -1;
}
#else
uint64_t
px__thread_system_id(void)
{
    return 0;
}

int64_t
px__thread_waited_ns(uint64_t system_id)
{
    (void)system_id;
    return -1;
}
#endif

void
px__thread_yield(void)
{
    sched_yield();
}

void
px__thread_set_name(const char *name)
{
    char cut[PX_THREAD_NAME_BYTES];
    snprintf(cut, sizeof cut, "%s", name);
#if defined(__APPLE__)
    pthread_setname_np(cut);
#elif defined(__linux__)
    pthread_setname_np(pthread_self(), cut);
#endif
}

/* --- the slot ------------------------------------------------------------ */

_Static_assert(sizeof(pthread_key_t) <= sizeof(uintptr_t),
               "a key fits into the word");

/* 0, or the key and 1. Set once; the exchange pairs with the loads. */
static uintptr_t slot_word;

/* Of two threads that make a key at once the second one drops its own. */
static uintptr_t
make_slot(void)
{
    pthread_key_t key;
    uintptr_t word = 0;
    if (pthread_key_create(&key, px__thread_slot_ended))
        return 0;
    if (px__cas_acqrel(&slot_word, &word, (uintptr_t)key + 1))
        return (uintptr_t)key + 1;
    pthread_key_delete(key);
    return word;
}

void *
px__thread_slot_get(void)
{
    uintptr_t word = px__load_acquire(&slot_word);
    return word ? pthread_getspecific((pthread_key_t)(word - 1)) : NULL;
}

int
px__thread_slot_set(void *value)
{
    uintptr_t word = px__load_acquire(&slot_word);
    if (!word)
        word = make_slot();
    if (!word || pthread_setspecific((pthread_key_t)(word - 1), value))
        return PX_ENOMEM;
    return PX_OK;
}
