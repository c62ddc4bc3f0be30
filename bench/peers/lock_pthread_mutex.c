/*
 * pthread_mutex, for readers too, with its default attributes: it parks at once
 * and does not spin.
 */
#include "../lock_peer.h"

#include <pthread.h>

static pthread_mutex_t lock __attribute__((aligned(128))) =
    PTHREAD_MUTEX_INITIALIZER;

static inline void
lock_read(unsigned slot)
{
    (void)slot;
    pthread_mutex_lock(&lock);
}

static inline void
unlock_read(unsigned slot)
{
    (void)slot;
    pthread_mutex_unlock(&lock);
}

static inline void
lock_write(unsigned slot)
{
    (void)slot;
    pthread_mutex_lock(&lock);
}

static inline void
unlock_write(unsigned slot)
{
    (void)slot;
    pthread_mutex_unlock(&lock);
}

#define PEER lock_peer_pthread_mutex
#include "../lock_template.h"
