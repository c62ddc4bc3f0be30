/*
 * Budgets of committed bytes, in a tree. A heap charges what it commits to its
 * budget and to all the budgets above, before it asks the system.
 *
 *            total 1 GB
 *           /          \
 *      tenant 256 MB    tenant 512 MB
 *       /    \            |
 *     heap   heap        heap
 *
 * Invariants
 *   Q1  used <= limit, at every moment and for every reader
 *   Q2  used of a parent >= the sum of its children's used, once all charges
 *       that are under way have returned
 *
 * Threads: any. `used` is a plain count that publishes nothing, so it is
 * relaxed; `references` is a reference count.
 *
 * Rejected: add first and undo when it was too much, as the kernel's control
 * groups do (breaks Q1: a big charge that fails could make a small one beside
 * it fail as well).
 */
#include "heap/layout.h"

#include <stdlib.h>

struct px_quota {
    uint32_t references;
    size_t limit;
    size_t used;
    px_quota *parent;
};

int
px_quota_create(size_t limit_bytes, px_quota *parent, px_quota **out)
{
    if (!out || limit_bytes == 0)
        return PX_EINVAL;
    px_quota *quota = malloc(sizeof *quota);
    if (!quota)
        return PX_ENOMEM;
    *quota = (px_quota){.references = 1,
                        .limit = limit_bytes,
                        .parent = px_quota_retain(parent)};
    *out = quota;
    return 0;
}

px_quota *
px_quota_retain(px_quota *quota)
{
    if (quota)
        px__add_relaxed(&quota->references, 1);
    return quota;
}

void
px_quota_release(px_quota *quota)
{
    while (quota) {
        /* acquire and release: pairs with itself on another thread */
        uint32_t before = px__sub_acqrel(&quota->references, 1);
        PX_CHECK(before > 0, "quota released too often");
        if (before > 1)
            return;
        px_quota *parent = quota->parent;
        PX_ASSERT(px__load_relaxed(&quota->used) == 0);
        free(quota);
        quota = parent;
    }
}

size_t
px_quota_used(const px_quota *quota)
{
    return quota ? px__load_relaxed(&quota->used) : 0;
}

static bool
charge_one(px_quota *quota, size_t bytes)
{
    size_t used = px__load_relaxed(&quota->used);
    do {
        if (bytes > quota->limit - used) /* Q1 */
            return false;
    } while (
        !px__cas_weak(&quota->used, &used, used + bytes, __ATOMIC_RELAXED));
    return true;
}

/* Take the charge back from @from up to, not including, @until. */
static void
uncharge(px_quota *from, const px_quota *until, size_t bytes)
{
    for (px_quota *q = from; q != until; q = q->parent) {
        size_t before = px__sub_relaxed(&q->used, bytes);
        PX_ASSERT(before >= bytes);
        (void)before;
    }
}

bool
px__quota_charge(px_quota *quota, size_t bytes)
{
    for (px_quota *q = quota; q; q = q->parent) {
        if (!charge_one(q, bytes)) {
            uncharge(quota, q, bytes);
            return false;
        }
    }
    return true;
}

void
px__quota_uncharge(px_quota *quota, size_t bytes)
{
    uncharge(quota, NULL, bytes);
}
