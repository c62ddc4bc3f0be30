/*
 * The limit: one atomic read-modify-write to enter and one to leave, behind a
 * call each, as any lock of a library is. It excludes nobody, so it takes part
 * in the uncontended benches only.
 */
#include "../lock_peer.h"

static uint32_t word __attribute__((aligned(128)));

static __attribute__((noinline)) void
enter(void)
{
    __atomic_fetch_add(&word, 1, __ATOMIC_ACQUIRE);
}

static __attribute__((noinline)) void
leave(void)
{
    __atomic_fetch_sub(&word, 1, __ATOMIC_RELEASE);
}

static inline void
lock_read(unsigned slot)
{
    (void)slot;
    enter();
}

static inline void
unlock_read(unsigned slot)
{
    (void)slot;
    leave();
}

static inline void
lock_write(unsigned slot)
{
    (void)slot;
    enter();
}

static inline void
unlock_write(unsigned slot)
{
    (void)slot;
    leave();
}

#define PEER lock_peer_two_rmw
#include "../lock_template.h"
