/*
 * Concurrency Kit's bytelock: a byte for each reader; spins, never parks.
 * Readers have to bring a number of their own, which is why the loops have
 * slots; in turn each has a byte to itself, and no count to change with the
 * others.
 */
#include "../lock_peer.h"

#if defined(PEER_CK)
#include <ck_bytelock.h>

static ck_bytelock_t lock __attribute__((aligned(128))) =
    CK_BYTELOCK_INITIALIZER;

static inline void
lock_read(unsigned slot)
{
    ck_bytelock_read_lock(&lock, slot);
}

static inline void
unlock_read(unsigned slot)
{
    ck_bytelock_read_unlock(&lock, slot);
}

static inline void
lock_write(unsigned slot)
{
    ck_bytelock_write_lock(&lock, slot);
}

static inline void
unlock_write(unsigned slot)
{
    (void)slot;
    ck_bytelock_write_unlock(&lock);
}

#define PEER lock_peer_ck_bytelock
#include "../lock_template.h"
#else
const struct lock_peer lock_peer_ck_bytelock = {
    .missing = "built without Concurrency Kit"};
#endif
