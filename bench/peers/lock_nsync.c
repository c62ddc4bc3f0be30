/*
 * nsync's reader-writer mutex: like ours it parks after a spin; it is 16 bytes,
 * behind calls of a shared library.
 */
#include "../lock_peer.h"

#if defined(PEER_NSYNC)
#include <nsync.h>

static nsync_mu lock __attribute__((aligned(128))) = NSYNC_MU_INIT;

static inline void
lock_read(unsigned slot)
{
    (void)slot;
    nsync_mu_rlock(&lock);
}

static inline void
unlock_read(unsigned slot)
{
    (void)slot;
    nsync_mu_runlock(&lock);
}

static inline void
lock_write(unsigned slot)
{
    (void)slot;
    nsync_mu_lock(&lock);
}

static inline void
unlock_write(unsigned slot)
{
    (void)slot;
    nsync_mu_unlock(&lock);
}

#define PEER lock_peer_nsync
#include "../lock_template.h"
#else
const struct lock_peer lock_peer_nsync = {.missing = "built without nsync"};
#endif
