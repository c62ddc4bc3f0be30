/*
 * The slow ways of px_rwlock and px_mutex, entered after the first step failed.
 * <pxrt/lock_inline.h> declares them as well, for code that inlines that step;
 * they know nothing of held.h, as inlined steps do not either.
 */
#ifndef PX_LOCK_SLOW_H
#define PX_LOCK_SLOW_H

#include <pxrt/lock.h>

/* Enter as a reader; the CAS from 0 has failed. */
PX_API void px__rwlock_read_wait(px_rwlock *lock);

/* Enter as the writer; the CAS from 0 has failed. */
PX_API void px__rwlock_write_wait(px_rwlock *lock);

/* The lock was just left, is free as @state, and somebody waits. */
PX_API void px__rwlock_wake(px_rwlock *lock, uint32_t state);

/* Take the mutex; the CAS from 0 has failed. */
PX_API void px__mutex_wait(px_mutex *mutex);

/* The mutex was just released, and others may sleep. */
PX_API void px__mutex_wake(px_mutex *mutex);

#endif
