/*
 * The reader-biased lock: a px_rwlock, and a way round it for readers, after
 * Dice and Kogan, "BRAVO: Biased Locking for Reader-Writer Locks" (USENIX ATC
 * 2019). A reader announces itself in a slot of its own thread (readers.h), so
 * that readers write to no common cache line.
 *
 *             slow read, after enough of them
 *        OFF --------------------------------> ON
 *         ^                                     | a writer is inside `lock`
 *         |   no slot announces the lock        v
 *         +-------------------------------- REVOKING
 *
 *   from \ to   OFF              ON                        REVOKING
 *   OFF         -                a reader inside lock      -
 *   ON          -                (again, harmless)         writer inside lock
 *   REVOKING    the same writer  it, when it only tried    -
 *
 * Invariants
 *   B1  a reader: slot := lock, THEN reads bias == ON, or takes the slot back
 *   B2  a writer: bias := REVOKING, THEN reads the slots
 *       B1 and B2 are sequentially consistent; so of a reader and a writer that
 *       meet, at least one sees the other
 *   B3  bias changes only under `lock`: OFF to ON by readers inside it, the
 *       rest by the writer inside it. So ON means that no writer is in its
 *       section
 *   B4  who leaves reads bias before it clears its slot: afterwards the lock
 *       may be gone
 *   B5  OFF means that no reader is inside by its slot
 *
 * Thread rule: any thread; left by the thread that entered.
 * Rejected: measuring how long a revocation took to decide when bias may return
 * (a clock on the slow read path). Waiting for slots before entering `lock`:
 * new readers could keep a writer out for ever.
 */
#include <pxrt/lock.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "lock/held.h"
#include "lock/readers.h"

enum { OFF, ON, REVOKING };

/* Reads that go through the lock after a revocation, before bias returns: some
 * times what the revocation cost. One that had to sleep met a reader that was
 * not running, and will meet more of those while there are more threads than
 * CPUs. */
enum { PLAIN_READS = 512, PLAIN_READS_AFTER_SLEEP = 32 * PLAIN_READS };

_Static_assert(sizeof(px_rwlock_biased) == 16, "documented size");

/* Enter through a slot; false when the lock has to be taken. */
static inline bool
enter_by_slot(px_rwlock_biased *b)
{
    if (px__load_relaxed(&b->bias) != ON)
        return false;
    px__reader_record *self = px__reader_self;
    if (PX_UNLIKELY(!self))
        self = px__reader_record_take();
    const void **slot = px__reader_slot_of(self, NULL);
    if (PX_UNLIKELY(!slot))
        return false;
    px__store_seqcst(slot, b); /* B1 */
    uint32_t bias =
        px__load_seqcst(&b->bias); /* pairs with the releases of ON */
    if (PX_LIKELY(bias == ON))
        return true;
    px__reader_leave(self, slot, bias == REVOKING);
    return false;
}

/* Called inside `lock` as a reader (B3). Readers that count at the same time
 * may lose counts: it is a heuristic. */
static void
count_plain_read(px_rwlock_biased *b)
{
    uint32_t left = px__load_relaxed(&b->plain_reads_left);
    if (left > 0)
        px__store_relaxed(&b->plain_reads_left, left - 1);
    else if (px__load_relaxed(&b->bias) == OFF)
        px__store_release(&b->bias, ON); /* hands on what writers did */
}

void
px_rwlock_biased_read_lock(px_rwlock_biased *b)
{
    if (PX_LIKELY(enter_by_slot(b))) {
        px__held_add(&b->lock, PX_HELD_READ);
        return;
    }
    px_rwlock_read_lock(&b->lock);
    count_plain_read(b);
}

bool
px_rwlock_biased_try_read_lock(px_rwlock_biased *b)
{
    if (enter_by_slot(b)) {
        px__held_add(&b->lock, PX_HELD_READ);
        return true;
    }
    bool entered = px_rwlock_try_read_lock(&b->lock);
    if (entered)
        count_plain_read(b);
    return entered;
}

void
px_rwlock_biased_read_unlock(px_rwlock_biased *b)
{
    px__reader_record *self = px__reader_self;
    const void **slot = self ? px__reader_slot_of(self, b) : NULL;
    if (PX_UNLIKELY(!slot)) {
        px_rwlock_read_unlock(&b->lock);
        return;
    }
    px__held_remove(&b->lock, PX_HELD_READ);
    uint32_t bias = px__load_relaxed(&b->bias); /* B4 */
    px__reader_leave(self, slot, bias == REVOKING);
}

/* Called inside `lock` as the writer: no reader can turn bias ON meanwhile. */
static void
revoke(px_rwlock_biased *b)
{
    px__store_seqcst(&b->bias, REVOKING); /* B2 */
    bool slept = px__reader_wait_for_all(b);
    px__store_relaxed(&b->plain_reads_left,
                      slept ? PLAIN_READS_AFTER_SLEEP : PLAIN_READS);
    px__store_relaxed(&b->bias, OFF); /* handed on by leaving `lock` */
}

void
px_rwlock_biased_write_lock(px_rwlock_biased *b)
{
    px__held_expect_none(&b->lock); /* would wait for its own slot */
    px_rwlock_write_lock(&b->lock);
    if (px__load_relaxed(&b->bias) == ON) /* B3: settled while we are inside */
        revoke(b);
}

/* With readers announced, bias must come back: OFF would hide them (B5). */
static bool
try_revoke(px_rwlock_biased *b)
{
    px__store_seqcst(&b->bias, REVOKING); /* B2 */
    bool alone = !px__reader_any(b);
    if (alone)
        px__store_relaxed(&b->plain_reads_left, PLAIN_READS);
    px__store_release(&b->bias, alone ? OFF : ON); /* as count_plain_read() */
    return alone;
}

bool
px_rwlock_biased_try_write_lock(px_rwlock_biased *b)
{
    if (!px_rwlock_try_write_lock(&b->lock))
        return false;
    if (px__load_relaxed(&b->bias) != ON || try_revoke(b))
        return true;
    px_rwlock_write_unlock(&b->lock);
    return false;
}

void
px_rwlock_biased_write_unlock(px_rwlock_biased *b)
{
    px_rwlock_write_unlock(&b->lock);
}
