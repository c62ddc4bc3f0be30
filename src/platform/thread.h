/*
 * OS contract: threads, their identity, and what they do when they end.
 */
#ifndef PX_PLATFORM_THREAD_H
#define PX_PLATFORM_THREAD_H

#include <stddef.h>
#include <stdint.h>

#if !defined(_WIN32)
#include <pthread.h>
#endif

/* Names longer than this are cut: Linux takes 15 characters. */
enum { PX_THREAD_NAME_BYTES = 16 };

typedef void (*px__thread_fn)(void *arg);

/* A thread that was created and not yet joined. The struct doubles as the
 * start record of the new thread, so creation never allocates; it must stay
 * where it is until joined. Written by create, then read only. */
typedef struct px__thread {
#if defined(_WIN32)
    void *handle;
#else
    pthread_t handle;
#endif
    px__thread_fn fn;
    void *arg;
    char name[PX_THREAD_NAME_BYTES];
} px__thread;

/* Start fn(arg) on a new thread with the system's default stack. @name is
 * copied (NULL: no name). Returns PX_OK or PX_ENOMEM: the system gives no more
 * threads. Any thread. */
int px__thread_create(px__thread *t, const char *name, px__thread_fn fn,
                      void *arg);

/* The same with a stack of at least stack_bytes; 0 is the system's default. */
int px__thread_create_sized(px__thread *t, const char *name, size_t stack_bytes,
                            px__thread_fn fn, void *arg);

/* Wait until @t has ended; its memory may then go. Exactly once per thread, not
 * from @t itself. Everything @t did happens before the return. */
void px__thread_join(px__thread *t);

/* A number that no other thread of the process has or had; never 0. Any
 * thread; a TLS load. */
uint64_t px__thread_self_id(void);

/* How many CPUs this process may run on (its affinity mask, not the machine's
 * size); at least 1. A system call: cache it. */
unsigned px__cpu_count(void);

/* The CPU that this thread runs on, or did a moment ago; 0 where that is not
 * known. A few ns. */
unsigned px__cpu_here(void);

/* The calling thread, for px__thread_waited_ns(); 0: the system does not tell
 * that of a thread. */
uint64_t px__thread_system_id(void);

/* How long the thread @system_id of this process was ready to run and had no
 * CPU, up to the last time that it got one; -1: not known. Some us: it asks
 * the system. Any thread. */
int64_t px__thread_waited_ns(uint64_t system_id);

/* Offer the CPU to another runnable thread. */
void px__thread_yield(void);

/* Name the calling thread for debuggers; cut to 15 characters. Best effort. */
void px__thread_set_name(const char *name);

/* Something to do when a thread ends. The caller's storage: it lives until fn
 * was called, so it is per thread and not on the stack. */
typedef struct px__exit_hook {
    void (*fn)(void *arg);
    void *arg;
    struct px__exit_hook *next; /* ours, while the hook is armed */
} px__exit_hook;

/* Call hook->fn(hook->arg) when the calling thread ends; the last armed runs
 * first. A hook is disarmed before it is called, may arm others (they run too),
 * and is armed once at a time. Not called for a thread that ends with the
 * process, which is how the main thread ends. Returns PX_OK or PX_ENOMEM. */
int px__thread_at_exit(px__exit_hook *hook);

#endif
