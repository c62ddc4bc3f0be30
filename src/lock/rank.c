/*
 * Ranks of mutexes, see rank.h. Since ranks increase strictly, a thread holds
 * each at most once: one bit per rank says it all.
 *
 * Thread rule: any thread; unlock by the one that locked.
 */
#include "lock/rank.h"

#include "base/assert.h"

_Static_assert(PX_RANK_COUNT <= 32, "a rank is one bit of held_ranks");

#if defined(PXRT_DEBUG)
static _Thread_local uint32_t held_ranks;

static void
note_lock(uint32_t rank)
{
    PX_CHECK(held_ranks >> rank == 0, "mutexes taken out of rank order");
    held_ranks |= UINT32_C(1) << rank;
}

static void
note_unlock(uint32_t rank)
{
    held_ranks &= ~(UINT32_C(1) << rank);
}
#else
static void
note_lock(uint32_t rank)
{
    (void)rank;
}

static void
note_unlock(uint32_t rank)
{
    (void)rank;
}
#endif

/* Checked before the wait: a real deadlock would otherwise hide the report. */
void
px__ranked_lock(px__ranked_mutex *m)
{
    PX_ASSERT(m->rank < PX_RANK_COUNT);
    note_lock(m->rank);
    px_mutex_lock(&m->mutex);
}

void
px__ranked_unlock(px__ranked_mutex *m)
{
    px_mutex_unlock(&m->mutex);
    note_unlock(m->rank);
}
