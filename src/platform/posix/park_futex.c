/*
 * Park on the Linux futex: the kernel compares the word and queues the waiter
 * in one step, which is P1. Futexes are private to the process; the kernel then
 * hashes the virtual address and takes no lock of the memory map.
 *
 * The thread sanitizer has a signal handler run in the next call that it knows,
 * which a system call of ours is not: a signal that comes just before it would
 * wait for its end. So no sleep there is longer than HELD_BACK_NS, and whoever
 * sleeps looks again (P2).
 *
 * Thread rule: any thread.
 * Rejected: FUTEX_WAIT_BITSET with an absolute time: callers loop over a
 * relative remainder anyway (P2), on every OS.
 */
#include "platform/park.h"

#if defined(PX_PARK_FUTEX)

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <pxrt/status.h>

#include "base/sanitizer.h"
#include "platform/clock.h"

enum { HELD_BACK_NS = 50 * PX_NS_PER_MS };

/* 32-bit systems with a 64-bit time_t (musl, new glibc) need the new call. */
#if defined(SYS_futex_time64) && !defined(SYS_futex)
#define SYS_futex SYS_futex_time64
#endif

static long
futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, timeout,
                   NULL, 0);
}

int
px__park(uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    bool cut =
        PX_THREAD_SANITIZER && (timeout_ns < 0 || timeout_ns > HELD_BACK_NS);
    int64_t sleep_ns = cut ? HELD_BACK_NS : timeout_ns;
    struct timespec relative = {
        .tv_sec = (time_t)(sleep_ns / PX_NS_PER_SEC),
        .tv_nsec = (long)(sleep_ns % PX_NS_PER_SEC),
    };
    int saved_errno = errno; /* a lock must not change its caller's errno */
    long rc =
        futex(word, FUTEX_WAIT, expected, sleep_ns < 0 ? NULL : &relative);
    int timed_out = rc < 0 && errno == ETIMEDOUT && !cut;
    errno = saved_errno;
    return timed_out ? PX_ETIMEDOUT : PX_OK;
}

/* The count that the kernel returns is dropped on purpose (P3), and so is the
 * error of an address that is no longer mapped (P4). */
static void
wake(uint32_t *word, int count)
{
    int saved_errno = errno;
    (void)futex(word, FUTEX_WAKE, (uint32_t)count, NULL);
    errno = saved_errno;
}

void
px__unpark_one(uint32_t *word)
{
    wake(word, 1);
}

void
px__unpark_all(uint32_t *word)
{
    wake(word, INT_MAX);
}

#else
typedef int px__park_futex_is_not_used; /* ISO C wants a declaration */
#endif
