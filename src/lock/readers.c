/*
 * The table of readers, see readers.h.
 *
 * Invariants
 *   S1  a record belongs to the thread that made `taken` 1, until its exit hook
 *       makes it 0; its slots are NULL then
 *   S2  records at or beyond `used` have never been taken: writers stop there.
 *       `used` is raised before the record's first announcement
 *   S3  a writer reads `leaves` before the slot that it then waits for, and the
 *       reader writes them in reverse order: so the writer does not park over
 *       an empty slot, provided that the reader knew of the writer
 *
 * A reader that read the lock's bias just before the writer revoked it does not
 * know, and leaves without a wake. The writer therefore naps no longer than
 * NAP_NS at a time. That bounds a rare delay; correctness does not rest on it.
 *
 * Thread rule: a thread writes its own record; anyone reads all slots.
 * Rejected: one hash table of announcements as in the BRAVO paper: neighbours
 * share cache lines, a writer scans 32 KB, and leaving needs a token or a
 * second atomic operation to know whose entry it clears. Records from malloc: a
 * lock must not fail for lack of memory.
 */
#include "lock/readers.h"

#include <pxrt/status.h>

#include "lock/spin.h"
#include "platform/clock.h"
#include "platform/park.h"

enum { RECORDS = 512, NAP_NS = PX_NS_PER_MS };

_Static_assert(sizeof(px__reader_record) == PX_CACHE_LINE || sizeof(void *) < 8,
               "one cache line per thread");

static px__reader_record records[RECORDS];
static uint32_t used;

_Thread_local px__reader_record *px__reader_self;

/* Belongs to every thread that found the table full: it has no unused slot and
 * announces nothing, and so saves them a search at every read. */
static px__reader_record no_record = {
    .slots = {&no_record, &no_record, &no_record, &no_record},
};

/* A thread that ends inside a lock leaves it locked, as with any other lock:
 * its record is then never used again. */
static void
give_back(void *arg)
{
    px__reader_record *r = arg;
    px__reader_self = &no_record; /* for hooks that run after this one */
    for (int i = 0; i < PX_READER_SLOTS; i++) {
        PX_ASSERT(!r->slots[i]);
        if (r->slots[i])
            return;
    }
    px__store_release(&r->taken, 0); /* S1; pairs with try_take() */
}

static bool
try_take(px__reader_record *r)
{
    uint32_t taken = px__load_relaxed(&r->taken);
    return !taken && px__cas_acquire(&r->taken, &taken, 1); /* S1 */
}

/* S2. Sequentially consistent: ordered before the announcement as any writer
 * sees it. */
static void
raise_used(uint32_t least)
{
    uint32_t now = px__load_seqcst(&used);
    while (now < least && !px__cas_seqcst(&used, &now, least)) {
    }
}

/* Without the exit hook the record could never be given back: do without. */
static px__reader_record *
adopt(px__reader_record *r)
{
    r->at_exit = (px__exit_hook){.fn = give_back, .arg = r};
    if (px__thread_at_exit(&r->at_exit) != PX_OK) {
        px__store_release(&r->taken, 0);
        return &no_record;
    }
    raise_used((uint32_t)(r - records) + 1);
    return r;
}

static px__reader_record *
find_record(void)
{
    for (int i = 0; i < RECORDS; i++)
        if (try_take(&records[i]))
            return adopt(&records[i]);
    return &no_record;
}

px__reader_record *
px__reader_record_take(void)
{
    PX_ASSERT(!px__reader_self);
    return px__reader_self = find_record();
}

void
px__reader_tell_writers(px__reader_record *r)
{
    px__add_release(&r->leaves, 1); /* S3; pairs with sleep_for_slot() */
    px__unpark_all(&r->leaves);
    px__spin_give_way();
}

/* Sequentially consistent: the writer's half of B1 and B2 in biased.c. */
static bool
announces(px__reader_record *r, int i, const void *lock)
{
    return px__load_seqcst(&r->slots[i]) == lock;
}

static bool
spin_for_slot(px__reader_record *r, int i, const void *lock)
{
    px__spin spin = px__spin_begin();
    while (announces(r, i, lock)) {
        if (!px__spin_more(&spin))
            return false;
    }
    return true;
}

static void
sleep_for_slot(px__reader_record *r, int i, const void *lock)
{
    for (;;) {
        uint32_t leaves = px__load_acquire(&r->leaves); /* S3 */
        if (!announces(r, i, lock))
            return;
        px__park(&r->leaves, leaves, NAP_NS);
    }
}

bool
px__reader_any(const void *lock)
{
    uint32_t end = px__load_seqcst(&used); /* S2 */
    for (uint32_t r = 0; r < end; r++)
        for (int i = 0; i < PX_READER_SLOTS; i++)
            if (announces(&records[r], i, lock))
                return true;
    return false;
}

/* Once a slot was seen not to announce the lock, a later announcement there
 * sees the revoked bias and is taken back; so one look at each is enough. */
bool
px__reader_wait_for_all(const void *lock)
{
    bool slept = false;
    uint32_t end = px__load_seqcst(&used); /* S2 */
    for (uint32_t r = 0; r < end; r++) {
        for (int i = 0; i < PX_READER_SLOTS; i++) {
            if (spin_for_slot(&records[r], i, lock))
                continue;
            sleep_for_slot(&records[r], i, lock);
            slept = true;
        }
    }
    return slept;
}
