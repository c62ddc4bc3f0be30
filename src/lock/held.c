/*
 * The list behind held.h: a small array per thread, newest last.
 *
 * Invariants
 *   D1  entries [0, count) are the locks this thread holds, but for `unlisted`
 *       more that found the array full
 *   D2  while unlisted > 0 a lock that is not found may be one of those, and is
 *       given the benefit of the doubt
 *
 * Thread rule: each thread its own.
 * Rejected: an owner field in each lock: it would double the size of px_mutex,
 * and cannot name many readers.
 */
#include "lock/held.h"

#if defined(PXRT_DEBUG)

#include "base/assert.h"

enum { LISTED_MAX = 64 };

static _Thread_local struct {
    struct {
        const void *lock;
        enum px__held_mode mode;
    } entries[LISTED_MAX];
    unsigned count;
    unsigned unlisted;
} held;

void
px__held_add(const void *lock, enum px__held_mode mode)
{
    if (held.count == LISTED_MAX) {
        held.unlisted++;
        return;
    }
    held.entries[held.count].lock = lock;
    held.entries[held.count].mode = mode;
    held.count++;
}

/* The newest first: locks are mostly released in reverse order. */
void
px__held_remove(const void *lock, enum px__held_mode mode)
{
    for (unsigned i = held.count; i-- > 0;) {
        if (held.entries[i].lock == lock && held.entries[i].mode == mode) {
            held.entries[i] = held.entries[--held.count]; /* D1 */
            return;
        }
    }
    PX_CHECK(held.unlisted > 0, "unlock by a thread that does not hold it");
    held.unlisted--; /* D2 */
}

void
px__held_expect_none(const void *lock)
{
    for (unsigned i = 0; i < held.count; i++)
        PX_CHECK(held.entries[i].lock != lock,
                 "this thread waits for a lock that it holds itself");
}

#else
typedef int px__held_is_for_debug_builds; /* ISO C wants a declaration */
#endif
