/*
 * px_rwlock: the slim lock, 8 bytes. The names are macros for the inlined first
 * steps, as any C program gets them.
 */
#include "../lock_peer.h"

#include <pxrt/lock.h>

static px_rwlock lock __attribute__((aligned(128)));

static inline void
lock_read(unsigned slot)
{
    (void)slot;
    px_rwlock_read_lock(&lock);
}

static inline void
unlock_read(unsigned slot)
{
    (void)slot;
    px_rwlock_read_unlock(&lock);
}

static inline void
lock_write(unsigned slot)
{
    (void)slot;
    px_rwlock_write_lock(&lock);
}

static inline void
unlock_write(unsigned slot)
{
    (void)slot;
    px_rwlock_write_unlock(&lock);
}

#define PEER lock_peer_px
#include "../lock_template.h"
