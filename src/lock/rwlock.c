/*
 * The slim reader-writer lock: two 32-bit words, since that is what operating
 * systems can wait on. The division of the words, writers first, and the wake
 * of both kinds where nobody knows who was woken are those of the futex lock of
 * Rust's standard library (Mara Bos, 2022); the checks and the proof are ours.
 *
 *   state   31               30               29 ......................... 0
 *           +----------------+----------------+-----------------------------+
 *           | WRITERS_WAIT   | READERS_WAIT   | 0 free, 1..MAX readers,     |
 *           |                |                | all ones: a writer is inside |
 *           +----------------+----------------+-----------------------------+
 *           readers park on this word
 *   notify  counts the wakes of writers; writers park on this word
 *
 * Why writers park on another word: one wake must reach exactly one writer, not
 * a reader, and a change of the reader count must not look like a wake.
 *
 * Invariants
 *   W1  count == WRITER while a writer is inside; else it is the number of
 *       readers inside
 *   W2  a reader enters only while both waiting bits are clear: writers first
 *   W3  a reader parks only on a state word in which READERS_WAIT is set
 *   W4  readers inside and READERS_WAIT imply WRITERS_WAIT: the last reader out
 *       need only look for writers
 *   W5  whoever clears WRITERS_WAIT then bumps notify and unparks one; the
 *       waiting bits are cleared only while the lock is free
 *   W6  a writer that waited sets WRITERS_WAIT again as it enters: the wake
 *       it took had cleared the bit for all of them; others may still sleep
 *   W7  nobody relies on a wake having woken somebody (P3 of platform/park.h):
 *       after a writer was perhaps woken, waiting readers are woken as well. A
 *       writer that is really there competes with them, and wins often enough:
 *       who has woken somebody gives way to him
 *
 * The step names (RL1, WL3, ...) are those of tests/model/rwlock.pml.
 *
 * Orders: enter is an acquire, leave is a release, all on `state`. All other
 * changes of `state` are read-modify-writes, so they continue the release
 * sequence of the last leave and may be relaxed. `notify` has its own pair: U2
 * releases, WL4 acquires; a writer that saw the bump also sees the bit cleared.
 *
 * Thread rule: any thread; a lock is left by the thread that entered.
 * Rejected: SRWLOCK and pthread_rwlock underneath (56 bytes; shared requests
 * that were granted exclusively); queue locks (a node per waiter, and nothing
 * to gain with few cores); handing the lock over to the woken thread (safe, but
 * the lock then stands idle while that thread is being scheduled).
 */
#include <pxrt/lock.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "lock/held.h"
#include "lock/slow.h"
#include "lock/spin.h"
#include "platform/park.h"

#define READERS_WAIT (UINT32_C(1) << 30)
#define WRITERS_WAIT (UINT32_C(1) << 31)
#define COUNT (READERS_WAIT - 1)
#define WRITER COUNT
#define MAX_READERS (WRITER - 1)

_Static_assert(sizeof(px_rwlock) == 8, "documented size");

static bool
is_free(uint32_t state)
{
    return (state & COUNT) == 0;
}

/* W2. One comparison: a waiting bit makes the number too large as well. */
static bool
may_read(uint32_t state)
{
    return state < MAX_READERS;
}

/* Enter as a reader from *state on, as long as only other readers interfere.
 * On failure *state is what forbids it. */
static bool
read_from(px_rwlock *lock, uint32_t *state)
{
    while (may_read(*state)) {
        if (px__cas_weak(&lock->state, state, *state + 1, __ATOMIC_ACQUIRE))
            return true; /* RL1; pairs with the releases of RU1, WU1 */
        px__spin_back_off();
        *state = px__load_relaxed(&lock->state);
    }
    return false;
}

/* Try for a little while, if a writer is inside. Once somebody parks there is
 * no point: that one is served first. To lose the race against the next writer
 * is no reason to park: it leaves soon, too. */
static bool
spin_for_read(px_rwlock *lock, uint32_t *state)
{
    px__spin spin = px__spin_begin();
    *state = px__load_relaxed(&lock->state);
    while (!read_from(lock, state)) {
        if (*state != WRITER || !px__spin_more(&spin))
            return false;
        *state = px__load_relaxed(&lock->state);
    }
    return true;
}

void
px__rwlock_read_wait(px_rwlock *lock)
{
    for (;;) {
        uint32_t state;
        if (spin_for_read(lock, &state))
            return;
        PX_CHECK((state & COUNT) != MAX_READERS, "2^30 readers in one lock");
        if (!(state & READERS_WAIT) && /* RL2 */
            !px__cas(&lock->state, &state, state | READERS_WAIT,
                     __ATOMIC_RELAXED))
            continue;
        px__held_expect_none(lock);
        px__park(&lock->state, state | READERS_WAIT, -1); /* RL3, W3 */
    }
}

void(px_rwlock_read_lock)(px_rwlock *lock)
{
    uint32_t state = 0;
    if (PX_UNLIKELY(!px__cas_acquire(&lock->state, &state, 1)) &&
        !read_from(lock, &state))
        px__rwlock_read_wait(lock);
    px__held_add(lock, PX_HELD_READ);
}

bool
px_rwlock_try_read_lock(px_rwlock *lock)
{
    uint32_t state = px__load_relaxed(&lock->state);
    bool entered = read_from(lock, &state);
    if (entered)
        px__held_add(lock, PX_HELD_READ);
    return entered;
}

/* U2 and U3: the bump makes a writer that is about to park return at once; the
 * unpark reaches one that sleeps. Which of them it was, nobody knows (W7). */
static void
wake_writer(px_rwlock *lock)
{
    px__add_release(&lock->notify, 1); /* pairs with the acquire of WL4 */
    px__unpark_one(&lock->notify);
}

/* The lock is free and somebody waits: pass the news on. Each compare fails
 * only when another thread has entered or announced itself; if it entered,
 * waking is its business when it leaves. */
void
px__rwlock_wake(px_rwlock *lock, uint32_t state)
{
    PX_INVARIANT(is_free(state)); /* W5 */
    if (state == WRITERS_WAIT) {
        if (px__cas(&lock->state, &state, 0, __ATOMIC_RELAXED)) { /* U1 */
            wake_writer(lock);
            px__spin_give_way();
            return;
        }
    }
    if (state == (READERS_WAIT | WRITERS_WAIT)) {
        if (!px__cas(&lock->state, &state, READERS_WAIT, __ATOMIC_RELAXED))
            return; /* U4 */
        wake_writer(lock);
        state = READERS_WAIT; /* W7: go on as if nobody had been there */
    }
    if (state == READERS_WAIT &&
        px__cas(&lock->state, &state, 0, __ATOMIC_RELAXED)) { /* U5 */
        px__unpark_all(&lock->state);                         /* U6 */
        px__spin_give_way();
    }
}

void(px_rwlock_read_unlock)(px_rwlock *lock)
{
    px__held_remove(lock, PX_HELD_READ);
    uint32_t state = px__sub_release(&lock->state, 1) - 1;           /* RU1 */
    PX_INVARIANT((state & COUNT) < MAX_READERS);                     /* W1 */
    PX_INVARIANT(!(state & READERS_WAIT) || (state & WRITERS_WAIT)); /* W4 */
    if (PX_UNLIKELY(state == WRITERS_WAIT ||
                    state == (READERS_WAIT | WRITERS_WAIT)))
        px__rwlock_wake(lock, state);
}

/* Enter alone if the lock is free, keeping the waiting bits and adding @bits.
 */
static bool
write_from(px_rwlock *lock, uint32_t *state, uint32_t bits)
{
    while (is_free(*state)) {
        if (px__cas_weak(&lock->state, state, *state | WRITER | bits,
                         __ATOMIC_ACQUIRE))
            return true; /* WL1; pairs with the releases of RU1, WU1 */
    }
    return false;
}

/* Try for a little while, unless others sleep for the lock. A race that is lost
 * is no reason to park: whoever announces himself too early makes each thread
 * that leaves call the system, mostly to wake nobody. */
static bool
spin_for_write(px_rwlock *lock, uint32_t *state, uint32_t bits)
{
    px__spin spin = px__spin_begin();
    *state = px__load_relaxed(&lock->state);
    while (!write_from(lock, state, bits)) {
        if ((*state & WRITERS_WAIT) || !px__spin_more(&spin))
            return false;
        *state = px__load_relaxed(&lock->state);
    }
    return true;
}

/* The second look at the state lies between reading notify and parking on it: a
 * wake before it shows in the state, a wake after it changes notify. */
static void
park_writer(px_rwlock *lock)
{
    uint32_t seen = px__load_acquire(&lock->notify); /* WL4 */
    uint32_t state = px__load_relaxed(&lock->state); /* WL5 */
    if (is_free(state) || !(state & WRITERS_WAIT))
        return;
    px__held_expect_none(lock);
    px__park(&lock->notify, seen, -1); /* WL6 */
}

void
px__rwlock_write_wait(px_rwlock *lock)
{
    uint32_t others_wait =
        0; /* becomes WRITERS_WAIT once this one waited: W6 */
    for (;;) {
        uint32_t state;
        if (spin_for_write(lock, &state, others_wait))
            return;
        if (!(state & WRITERS_WAIT) && /* WL2 */
            !px__cas(&lock->state, &state, state | WRITERS_WAIT,
                     __ATOMIC_RELAXED))
            continue;
        others_wait = WRITERS_WAIT; /* WL3 */
        park_writer(lock);
    }
}

void(px_rwlock_write_lock)(px_rwlock *lock)
{
    uint32_t state = 0;
    if (PX_UNLIKELY(!px__cas_acquire(&lock->state, &state, WRITER)))
        px__rwlock_write_wait(lock);
    px__held_add(lock, PX_HELD_WRITE);
}

bool
px_rwlock_try_write_lock(px_rwlock *lock)
{
    uint32_t state = px__load_relaxed(&lock->state);
    bool entered = write_from(lock, &state, 0);
    if (entered)
        px__held_add(lock, PX_HELD_WRITE);
    return entered;
}

void(px_rwlock_write_unlock)(px_rwlock *lock)
{
    px__held_remove(lock, PX_HELD_WRITE);
    uint32_t state = px__sub_release(&lock->state, WRITER) - WRITER; /* WU1 */
    PX_INVARIANT(is_free(state));                                    /* W1 */
    if (PX_UNLIKELY(state != 0))
        px__rwlock_wake(lock, state);
}
