/*
 * The table of readers, see readers.h.
 *
 * Invariants
 *   S1  a record belongs to the thread that made `taken` 1, until its exit hook
 *       makes it 0; its slots are NULL then
 *   S2  records at or beyond `used` have never been taken: scans stop there.
 *       `used` is raised before the record's first announcement
 *
 * Thread rule: a thread writes its own record; anyone reads all slots.
 * Rejected: one hash table of announcements as in the BRAVO paper: neighbours
 * share cache lines, a writer scans 32 KB, and leaving needs a token or a
 * second atomic operation to know whose entry it clears. Records from malloc: a
 * lock must not fail for lack of memory.
 */
#include "lock/readers.h"

#include <stddef.h>

#include <pxrt/status.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "platform/thread.h"

enum { RECORDS = 512, SLOTS = 4 };

/* The hook lies here since thread-local storage may be gone when it runs. */
static struct record {
    px__reader_slot slots[SLOTS];
    px__exit_hook at_exit;
    uint32_t taken;
} __attribute__((aligned(PX_CACHE_LINE))) records[RECORDS];

_Static_assert(sizeof(struct record) == PX_CACHE_LINE, "one line a thread");

static uint32_t used;

/* What a thread knows of itself. `asked` keeps a thread that found the table
 * full from searching it on every read. */
static _Thread_local struct {
    struct record *record;
    bool asked;
} self;

/* A thread that ends inside a lock leaves it locked, as with any other lock:
 * its record is then never used again. */
static void
give_back(void *arg)
{
    struct record *r = arg;
    self.record = NULL;
    for (int i = 0; i < SLOTS; i++) {
        PX_ASSERT(!r->slots[i].lock);
        if (r->slots[i].lock)
            return;
    }
    px__store_release(&r->taken, 0); /* S1; pairs with try_take() */
}

static bool
try_take(struct record *r)
{
    uint32_t taken = px__load_relaxed(&r->taken);
    return !taken && px__cas_acquire(&r->taken, &taken, 1); /* S1 */
}

/* S2. Sequentially consistent, to be ordered before the announcement as the
 * scanning writer sees it. */
static void
raise_used(uint32_t least)
{
    uint32_t now = px__load_seqcst(&used);
    while (now < least && !px__cas_seqcst(&used, &now, least)) {
    }
}

/* Without the exit hook the record could never be given back: do without. */
static struct record *
adopt(struct record *r)
{
    r->at_exit = (px__exit_hook){.fn = give_back, .arg = r};
    if (px__thread_at_exit(&r->at_exit) == PX_OK) {
        raise_used((uint32_t)(r - records) + 1);
        return r;
    }
    px__store_release(&r->taken, 0);
    return NULL;
}

static struct record *
take_record(void)
{
    self.asked = true;
    for (int i = 0; i < RECORDS; i++)
        if (try_take(&records[i]))
            return adopt(&records[i]);
    return NULL;
}

px__reader_slot *
px__reader_slot_unused(void)
{
    if (PX_UNLIKELY(!self.record)) {
        if (self.asked || !(self.record = take_record()))
            return NULL;
    }
    for (int i = 0; i < SLOTS; i++)
        if (!self.record->slots[i].lock)
            return &self.record->slots[i];
    return NULL;
}

px__reader_slot *
px__reader_slot_of(const void *lock)
{
    if (self.record)
        for (int i = 0; i < SLOTS; i++)
            if (self.record->slots[i].lock == lock)
                return &self.record->slots[i];
    return NULL;
}

bool
px__reader_announced(const void *lock)
{
    uint32_t end = px__load_seqcst(&used);
    for (uint32_t r = 0; r < end; r++)
        for (int i = 0; i < SLOTS; i++)
            if (px__load_seqcst(&records[r].slots[i].lock) == lock)
                return true;
    return false;
}
