/*
 * Concurrency Kit's rwlock: spins, never parks. Its operations are inline, as
 * ours are; a waiter that spins is woken for nothing, and burns its CPU for it:
 * a rival where threads are no more than CPUs, and a warning where they are.
 */
#include "../lock_peer.h"

#if defined(PEER_CK)
#include <ck_rwlock.h>

static ck_rwlock_t lock __attribute__((aligned(128))) = CK_RWLOCK_INITIALIZER;

static inline void
lock_read(unsigned slot)
{
    (void)slot;
    ck_rwlock_read_lock(&lock);
}

static inline void
unlock_read(unsigned slot)
{
    (void)slot;
    ck_rwlock_read_unlock(&lock);
}

static inline void
lock_write(unsigned slot)
{
    (void)slot;
    ck_rwlock_write_lock(&lock);
}

static inline void
unlock_write(unsigned slot)
{
    (void)slot;
    ck_rwlock_write_unlock(&lock);
}

#define PEER lock_peer_ck_rwlock
#include "../lock_template.h"
#else
const struct lock_peer lock_peer_ck_rwlock = {
    .missing = "built without Concurrency Kit"};
#endif
