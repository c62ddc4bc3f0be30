/*
 * px_mutex, for readers too: what the documentation recommends for very short
 * sections with more than a few writes.
 */
#include "../lock_peer.h"

#include <pxrt/lock.h>

static px_mutex lock __attribute__((aligned(128)));

static inline void
lock_read(unsigned slot)
{
    (void)slot;
    px_mutex_lock(&lock);
}

static inline void
unlock_read(unsigned slot)
{
    (void)slot;
    px_mutex_unlock(&lock);
}

static inline void
lock_write(unsigned slot)
{
    (void)slot;
    px_mutex_lock(&lock);
}

static inline void
unlock_write(unsigned slot)
{
    (void)slot;
    px_mutex_unlock(&lock);
}

#define PEER lock_peer_px_mutex
#include "../lock_template.h"
