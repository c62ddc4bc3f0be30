/** @file
 *  The uncontended ways through px_rwlock and px_mutex, inlined: one atomic
 *  operation each, which takes a fifth of the time off a call. Included by
 *  <pxrt/lock.h>; nothing here is to be used by name. The functions remain in
 *  the library, for other languages and for their address.
 *
 *  Off in PXRT_DEBUG builds, whose functions keep track of who holds what; code
 *  with and without these may share a lock. The steps are those of
 *  src/lock/rwlock.c and mutex.c, where the words are explained.
 */
#ifndef PXRT_LOCK_INLINE_H
#define PXRT_LOCK_INLINE_H

#include <pxrt/lock.h>

#if defined(__GNUC__) && !defined(PXRT_DEBUG)

PX_BEGIN_DECLS

/* The rest of each way, when the first step was not enough. */
PX_API void px__rwlock_read_wait(px_rwlock *lock);
PX_API void px__rwlock_write_wait(px_rwlock *lock);
PX_API void px__rwlock_wake(px_rwlock *lock, uint32_t state);
PX_API void px__mutex_wait(px_mutex *mutex);
PX_API void px__mutex_wake(px_mutex *mutex);

static inline bool
px__inline_cas(uint32_t *word, uint32_t expected, uint32_t desired)
{
    return PX_LIKELY(__atomic_compare_exchange_n(
        word, &expected, desired, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

static inline void
px__inline_read_lock(px_rwlock *lock)
{
    if (!px__inline_cas(&lock->state, 0, 1)) /* RL1 */
        px__rwlock_read_wait(lock);
}

static inline void
px__inline_read_unlock(px_rwlock *lock)
{
    uint32_t state = /* RU1 */
        __atomic_fetch_sub(&lock->state, 1, __ATOMIC_RELEASE) - 1;
    if (PX_UNLIKELY((state & 0xBFFFFFFFu) == 0x80000000u)) /* W4 */
        px__rwlock_wake(lock, state);
}

static inline void
px__inline_write_lock(px_rwlock *lock)
{
    if (!px__inline_cas(&lock->state, 0, 0x3FFFFFFFu)) /* WL1 */
        px__rwlock_write_wait(lock);
}

static inline void
px__inline_write_unlock(px_rwlock *lock)
{
    uint32_t state = /* WU1 */
        __atomic_fetch_sub(&lock->state, 0x3FFFFFFFu, __ATOMIC_RELEASE) -
        0x3FFFFFFFu;
    if (PX_UNLIKELY(state != 0))
        px__rwlock_wake(lock, state);
}

static inline void
px__inline_mutex_lock(px_mutex *mutex)
{
    if (!px__inline_cas(&mutex->state, 0, 1))
        px__mutex_wait(mutex);
}

static inline void
px__inline_mutex_unlock(px_mutex *mutex)
{
    uint32_t state = __atomic_exchange_n(&mutex->state, 0, __ATOMIC_RELEASE);
    if (PX_UNLIKELY(state == 2))
        px__mutex_wake(mutex);
}

/** @cond The functions of <pxrt/lock.h>, documented there. */
#define px_rwlock_read_lock(lock) px__inline_read_lock(lock)
#define px_rwlock_read_unlock(lock) px__inline_read_unlock(lock)
#define px_rwlock_write_lock(lock) px__inline_write_lock(lock)
#define px_rwlock_write_unlock(lock) px__inline_write_unlock(lock)
#define px_mutex_lock(mutex) px__inline_mutex_lock(mutex)
#define px_mutex_unlock(mutex) px__inline_mutex_unlock(mutex)
/** @endcond */

PX_END_DECLS

#endif

#endif
