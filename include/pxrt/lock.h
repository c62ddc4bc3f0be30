/** @file
 *  Locks for memory that several threads share. They are slim (4 to 16 bytes),
 *  valid and unlocked when zero-initialised, need no destroy, and sleep in the
 *  operating system when they have to wait. None of them allocates or fails.
 *
 *  @code
 *      static px_rwlock lock;             // guards table; zero is unlocked
 *      px_rwlock_read_lock(&lock);
 *      const entry *e = find(&table, key);
 *      px_rwlock_read_unlock(&lock);
 *  @endcode
 *
 *  Which one
 *    - px_mutex          very short sections, or more than about one write in a
 *                        hundred: a plain mutex then beats every reader-writer
 *                        lock, since even a reader writes to the lock;
 *    - px_rwlock         readers stay inside long enough to overlap;
 *    - px_rwlock_biased  read nearly always: readers on different CPUs do not
 *                        touch a common cache line. A write may cost a
 *                        microsecond, and up to a millisecond more when a
 *                        reader was interrupted inside. Not with more threads
 *                        than CPUs and some writes: there px_rwlock is better;
 *    - px_once           something to initialise exactly once;
 *    - px_event          one thread tells another that something happened.
 *
 *  Rules for all of them
 *    - a lock is released by the thread that took it;
 *    - a lock that is held or waited for is not moved or freed. A px_mutex,
 *      px_once and px_event may be freed as soon as the last user has been
 *      *let in*; a px_rwlock or px_rwlock_biased only when the last unlock has
 *      *returned*: it still looks at the lock to find whom to wake;
 *    - in the child of a fork a lock may be held by a thread that is gone;
 *    - do not keep one in memory that a rollback drops while it is held.
 *
 *  A library built with PXRT_DEBUG aborts with a message on unlock by a thread
 *  that does not hold the lock, and on waits that can never end because the
 *  thread waits for itself.
 */
#ifndef PXRT_LOCK_H
#define PXRT_LOCK_H

#include <pxrt/defs.h>
#include <pxrt/status.h>

PX_BEGIN_DECLS

/* ------------------------------------------------------------------------ */

/** A reader-writer lock of 8 bytes. Many readers or one writer.
 *
 *  Writers come first: while one waits, no new reader enters. So a thread that
 *  reads and asks to read again (directly, or through a function it calls) may
 *  wait for a writer that waits for it: do not nest reads of one lock. Readers
 *  are not starved either: a leaving writer lets the waiting ones compete. */
typedef struct px_rwlock {
    uint32_t state;  /**< Who is inside, and whether others wait. */
    uint32_t notify; /**< Counts the wake-ups of writers. */
} px_rwlock;

/** Enter as a reader; waits while a writer is inside or waits.
 *  @pre    the thread does not hold this lock.
 *  @thread any
 *  @cost   one atomic operation when no writer is about. */
PX_API void px_rwlock_read_lock(px_rwlock *lock);

/** Enter as a reader if that needs no wait.
 *  @return true when entered. May say no although only readers are inside,
 *          while a writer waits.
 *  @thread any
 *  @cost   one atomic operation. */
PX_API PX_MUST_CHECK bool px_rwlock_try_read_lock(px_rwlock *lock);

/** Leave as a reader. What was read is complete before a writer enters.
 *  @pre    the thread is inside as a reader.
 *  @thread the one that entered
 *  @cost   one atomic operation; a system call by the last reader when a writer
 *          sleeps. */
PX_API void px_rwlock_read_unlock(px_rwlock *lock);

/** Enter alone; waits until all others have left.
 *  @pre    the thread does not hold this lock, not even for reading.
 *  @thread any
 *  @cost   one atomic operation when nobody is inside. */
PX_API void px_rwlock_write_lock(px_rwlock *lock);

/** Enter alone if that needs no wait.
 *  @return true when entered.
 *  @thread any
 *  @cost   one atomic operation. */
PX_API PX_MUST_CHECK bool px_rwlock_try_write_lock(px_rwlock *lock);

/** Leave as the writer. What was written is visible to everyone who enters.
 *  @pre    the thread is inside as the writer.
 *  @thread the one that entered
 *  @cost   one atomic operation; one or two system calls when others wait. */
PX_API void px_rwlock_write_unlock(px_rwlock *lock);

/* ------------------------------------------------------------------------ */

/** A reader-writer lock of 16 bytes for what is read nearly always. Readers
 *  announce themselves in a record of their own thread; a writer withdraws the
 *  bias, waits for those records, and the bias comes back after some reads.
 *  The same rules as for px_rwlock. Up to 4 such locks read by a thread at the
 *  same time, and up to 512 threads, are fast; more are only slower. */
typedef struct px_rwlock_biased {
    px_rwlock lock;            /**< For writers, and readers without bias. */
    uint32_t bias;             /**< Whether readers may use their records. */
    uint32_t plain_reads_left; /**< Until the bias comes back. */
} px_rwlock_biased;

/** Like px_rwlock_read_lock().
 *  @pre    the thread does not hold this lock.
 *  @thread any
 *  @cost   one atomic operation on memory of this thread while biased. */
PX_API void px_rwlock_biased_read_lock(px_rwlock_biased *lock);

/** Like px_rwlock_try_read_lock().
 *  @return true when entered.
 *  @thread any */
PX_API PX_MUST_CHECK bool
px_rwlock_biased_try_read_lock(px_rwlock_biased *lock);

/** Like px_rwlock_read_unlock().
 *  @thread the one that entered
 *  @cost   a plain store while biased. */
PX_API void px_rwlock_biased_read_unlock(px_rwlock_biased *lock);

/** Like px_rwlock_write_lock().
 *  @pre    the thread does not hold this lock, not even for reading.
 *  @thread any
 *  @cost   while biased, a look at the record of every thread that uses biased
 *          locks; else as for px_rwlock. */
PX_API void px_rwlock_biased_write_lock(px_rwlock_biased *lock);

/** Like px_rwlock_try_write_lock(); never waits for readers.
 *  @return true when entered.
 *  @thread any */
PX_API PX_MUST_CHECK bool
px_rwlock_biased_try_write_lock(px_rwlock_biased *lock);

/** Like px_rwlock_write_unlock().
 *  @thread the one that entered */
PX_API void px_rwlock_biased_write_unlock(px_rwlock_biased *lock);

/* ------------------------------------------------------------------------ */

/** A mutex of 4 bytes. Not recursive, not fair: a running thread may take it
 *  before one that was just woken, which is what makes it fast. */
typedef struct px_mutex {
    uint32_t state; /**< Internal. */
} px_mutex;

/** Take the mutex; waits until it is free.
 *  @pre    the thread does not hold it.
 *  @thread any
 *  @cost   one atomic operation when free. */
PX_API void px_mutex_lock(px_mutex *mutex);

/** Take the mutex if it is free.
 *  @return true when taken.
 *  @thread any
 *  @cost   one atomic operation. */
PX_API PX_MUST_CHECK bool px_mutex_try_lock(px_mutex *mutex);

/** Give the mutex back.
 *  @pre    the thread holds it.
 *  @thread the one that took it
 *  @cost   one atomic operation; a system call when others sleep. */
PX_API void px_mutex_unlock(px_mutex *mutex);

/* ------------------------------------------------------------------------ */

/** Run-once control of 4 bytes. */
typedef struct px_once {
    uint32_t state; /**< Internal. */
} px_once;

/** What to run once: returns PX_OK (or any code >= 0) when it is done for good,
 *  a negative code when it failed and may be tried again. */
typedef int (*px_once_fn)(void *arg);

/** Run fn(arg) unless it has succeeded before. Callers that come meanwhile
 *  wait; when the run fails, one of them tries anew with its own fn and arg.
 *  What fn wrote is visible to every caller that gets PX_OK.
 *  @return PX_OK: it has succeeded, now or before. The code of fn when this
 *          caller's own run failed. PX_EINVAL: once or fn is NULL.
 *  @pre    fn does not run the same px_once.
 *  @thread any
 *  @cost   one load when it is done. */
PX_API int px_once_run(px_once *once, px_once_fn fn, void *arg);

/** Whether the px_once has succeeded.
 *  @thread any
 *  @cost   one load. */
PX_API bool px_once_done(const px_once *once);

/* ------------------------------------------------------------------------ */

/** An auto-reset event of 4 bytes: a flag that one wait takes. Setting it twice
 *  before a wait is the same as setting it once. */
typedef struct px_event {
    uint32_t state; /**< Internal. */
} px_event;

/** Set the event: one present or future wait returns.
 *  @thread any
 *  @cost   one atomic operation; a system call when a thread sleeps on it. */
PX_API void px_event_set(px_event *event);

/** Wait for the event and reset it.
 *  @param  timeout_ns nanoseconds to wait at most; 0 does not wait, a negative
 *          value waits for ever.
 *  @return PX_OK: the event was set, and this call took it. PX_ETIMEDOUT: it
 *          was not set in time. PX_EINVAL: event is NULL.
 *  @thread any
 *  @cost   one atomic operation when set. */
PX_API int px_event_wait(px_event *event, int64_t timeout_ns);

/** Take the event if it is set; never waits.
 *  @return true when it was set.
 *  @thread any */
PX_API PX_MUST_CHECK bool px_event_try(px_event *event);

PX_END_DECLS

#include <pxrt/lock_inline.h>

#endif
