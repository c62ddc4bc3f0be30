/*
 * Debug builds: which locks the calling thread holds. The locks have no room
 * for an owner, so each thread keeps a short list of its own. It finds
 *   - an unlock by a thread that does not hold the lock
 *   - a wait for a lock that this thread itself keeps from being released
 * Without PXRT_DEBUG every call below is nothing.
 */
#ifndef PX_LOCK_HELD_H
#define PX_LOCK_HELD_H

enum px__held_mode { PX_HELD_READ, PX_HELD_WRITE };

#if defined(PXRT_DEBUG)

/* The calling thread took @lock. */
void px__held_add(const void *lock, enum px__held_mode mode);

/* It releases @lock; aborts when it does not hold it in this mode. */
void px__held_remove(const void *lock, enum px__held_mode mode);

/* It is about to park until @lock is free; aborts when it holds it, in either
 * mode: nobody else could end that wait. */
void px__held_expect_none(const void *lock);

#else
static inline void
px__held_add(const void *lock, enum px__held_mode mode)
{
    (void)lock;
    (void)mode;
}

static inline void
px__held_remove(const void *lock, enum px__held_mode mode)
{
    (void)lock;
    (void)mode;
}

static inline void
px__held_expect_none(const void *lock)
{
    (void)lock;
}
#endif

#endif
