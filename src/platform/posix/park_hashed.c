/*
 * Park where the OS cannot wait on an address: a fixed table of condition
 * variables, indexed by a hash of the word's address, as the kernel's table of
 * futexes is.
 *
 *   word 0x..40 --hash--> [ bucket 17: mutex | condition ] <--hash-- word
 * 0x..98
 *
 * Invariants
 *   H1  the waiter compares the word under its bucket's mutex, and the waker
 *       takes that mutex after it changed the word: one of the two sees the
 *       other (P1)
 *   H2  words that share a bucket wake each other for nothing; P2 allows it.
 *       Therefore "one" must wake all of a bucket: the one that the condition
 *       variable would choose might wait for another word, and swallow the wake
 *
 * Thread rule: any thread.
 * Rejected: a queue of waiters per bucket, which wakes exactly one: it is only
 * worth its code where this is the main path, and there the OS has better.
 */
#include "platform/park.h"

#if !defined(PX_PARK_FUTEX)

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>

#include <pxrt/status.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "platform/clock.h"

enum { BUCKETS = 128 };

/* A cache line each, so that unrelated words do not slow each other down. */
static struct bucket {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} __attribute__((aligned(PX_CACHE_LINE))) buckets[BUCKETS];

static pthread_once_t buckets_once = PTHREAD_ONCE_INIT;

static void
init_condition(pthread_cond_t *changed)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
#if !defined(__APPLE__)
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
#endif
    int rc = pthread_cond_init(changed, &attr);
    PX_CHECK(rc == 0, "no condition variable for parking");
    pthread_condattr_destroy(&attr);
}

static void
init_buckets(void)
{
    for (int i = 0; i < BUCKETS; i++) {
        int rc = pthread_mutex_init(&buckets[i].mutex, NULL);
        PX_CHECK(rc == 0, "no mutex for parking");
        init_condition(&buckets[i].changed);
    }
}

/* Multiplying spreads the low bits, which aligned addresses do not use. */
static struct bucket *
bucket_of(const uint32_t *word)
{
    pthread_once(&buckets_once, init_buckets);
    uint64_t mixed = (uint64_t)(uintptr_t)word * UINT64_C(0x9E3779B97F4A7C15);
    return &buckets[mixed >> 57];
}

#if defined(__APPLE__)
static int
wait_for(struct bucket *b, int64_t timeout_ns)
{
    struct timespec relative = {
        .tv_sec = (time_t)(timeout_ns / PX_NS_PER_SEC),
        .tv_nsec = (long)(timeout_ns % PX_NS_PER_SEC),
    };
    return pthread_cond_timedwait_relative_np(&b->changed, &b->mutex,
                                              &relative);
}
#else
static int
wait_for(struct bucket *b, int64_t timeout_ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nsec = until.tv_nsec + timeout_ns % PX_NS_PER_SEC;
    until.tv_sec += (time_t)(timeout_ns / PX_NS_PER_SEC + nsec / PX_NS_PER_SEC);
    until.tv_nsec = (long)(nsec % PX_NS_PER_SEC);
    return pthread_cond_timedwait(&b->changed, &b->mutex, &until);
}
#endif

int
px__park(uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    struct bucket *b = bucket_of(word);
    int rc = 0;
    pthread_mutex_lock(&b->mutex);
    if (px__load_relaxed(word) == expected) { /* H1 orders this load */
        if (timeout_ns < 0)
            rc = pthread_cond_wait(&b->changed, &b->mutex);
        else
            rc = wait_for(b, timeout_ns);
    }
    pthread_mutex_unlock(&b->mutex);
    return rc == ETIMEDOUT ? PX_ETIMEDOUT : PX_OK;
}

void
px__unpark_all(uint32_t *word)
{
    struct bucket *b = bucket_of(word);
    pthread_mutex_lock(&b->mutex);
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->mutex);
}

void
px__unpark_one(uint32_t *word)
{
    px__unpark_all(word); /* H2 */
}

#else
typedef int px__park_hashed_is_not_used; /* ISO C wants a declaration */
#endif
