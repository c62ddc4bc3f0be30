/*
 * pthread_rwlock with its default attributes (glibc's prefers readers), which
 * is also what uv_rwlock is on this system. 56 bytes, behind calls of the C
 * library. With its default a writer may wait for ever: that is less than
 * the others promise.
 */
#include "../lock_peer.h"

#include <pthread.h>

static pthread_rwlock_t lock __attribute__((aligned(128))) =
    PTHREAD_RWLOCK_INITIALIZER;

static inline void
lock_read(unsigned slot)
{
    (void)slot;
    pthread_rwlock_rdlock(&lock);
}

static inline void
unlock_read(unsigned slot)
{
    (void)slot;
    pthread_rwlock_unlock(&lock);
}

static inline void
lock_write(unsigned slot)
{
    (void)slot;
    pthread_rwlock_wrlock(&lock);
}

static inline void
unlock_write(unsigned slot)
{
    (void)slot;
    pthread_rwlock_unlock(&lock);
}

#define PEER lock_peer_pthread
#include "../lock_template.h"
