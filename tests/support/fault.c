/*
 * Which call fails, and the torture loop over all of them.
 *
 *   run clean            warms caches; its remaining blocks are the baseline
 *   for k = 1, 2, ...    fail call k, disarm, look for leaks, run clean again
 *   until call k is not reached any more: then every point was tried
 *
 * The loop ends by "not reached" and not by a number counted beforehand,
 * because a scenario with threads may make more calls in one run than in the
 * next.
 *
 * Thread rule: fault_hit and fault_block from any thread; the rest from the
 * test's thread while the library is at rest. The counters are independent
 * numbers, so relaxed order is enough; `failing` and `permanent` are written
 * before the scenario starts its threads, which orders them.
 */
#include "fault.h"

#include "base/atomic.h"

#include <stdio.h>

/* A scenario that makes more calls than this does not end. */
enum { MAX_POINTS = 100000 };

static size_t calls;
static size_t failing;
static bool permanent_failure;
static const char *fired;
static long live_blocks;

void
fault_arm(size_t k, bool permanent)
{
    px__store_relaxed(&calls, (size_t)0);
    px__store_relaxed(&fired, (const char *)NULL);
    px__store_relaxed(&permanent_failure, permanent);
    px__store_relaxed(&failing, k);
}

void
fault_disarm(void)
{
    px__store_relaxed(&failing, (size_t)0);
}

size_t
fault_count(void)
{
    return px__load_relaxed(&calls);
}

const char *
fault_fired(void)
{
    return px__load_relaxed(&fired);
}

long
fault_live_blocks(void)
{
    return px__load_relaxed(&live_blocks);
}

void
fault_block(int delta)
{
    (void)px__add_relaxed(&live_blocks, delta);
}

bool
fault_hit(const char *function)
{
    size_t call = px__add_relaxed(&calls, (size_t)1) + 1;
    size_t k = px__load_relaxed(&failing);
    bool hit = k != 0 && (call == k ||
                          (px__load_relaxed(&permanent_failure) && call > k));
    if (hit && !px__load_relaxed(&fired))
        px__store_relaxed(&fired, function);
    return hit;
}

/* Present in programs that the leak sanitizer watches. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static bool
sanitizer_found_leaks(void)
{
    return __lsan_do_recoverable_leak_check &&
           __lsan_do_recoverable_leak_check() != 0;
}

/* One torture: what it found, and where. */
struct torture {
    fault_scenario *scenario;
    long baseline; /* blocks that a clean run leaves behind (caches) */
    size_t points;
    bool permanent;
    char wrong[200];
};

static bool
complain(struct torture *t, size_t k, const char *what, long detail)
{
    const char *function = fault_fired();
    snprintf(t->wrong, sizeof t->wrong, "%s (%ld) after call %zu%s%s%s", what,
             detail, k, function ? ", of " : "", function ? function : "",
             t->permanent ? ", failed for good" : ", failed once");
    return false;
}

static bool
leaves_nothing(struct torture *t, size_t k)
{
    long more = fault_live_blocks() - t->baseline;
    return more <= 0 || complain(t, k, "blocks leaked", more);
}

/* Let call @k fail. False when something is wrong; @reached tells whether the
 * scenario made that call at all. */
static bool
fail_one(struct torture *t, size_t k, bool *reached)
{
    fault_arm(k, t->permanent);
    int status = t->scenario();
    fault_disarm();
    *reached = fault_fired() != NULL;
    if (status > 0 || (status < 0 && !*reached))
        return complain(t, k, "unexpected status", status);
    if (!leaves_nothing(t, k))
        return false;
    status = t->scenario();
    if (status != 0)
        return complain(t, k, "not usable any more: status", status);
    return leaves_nothing(t, k);
}

static bool
fail_each(struct torture *t, bool permanent)
{
    t->permanent = permanent;
    for (size_t k = 1; k <= MAX_POINTS; k++) {
        bool reached;
        if (!fail_one(t, k, &reached))
            return false;
        if (!reached)
            return true;
        t->points++;
    }
    return complain(t, MAX_POINTS, "no end in sight", 0);
}

static bool
run_clean(struct torture *t)
{
    fault_arm(0, false);
    int status = t->scenario();
    t->baseline = fault_live_blocks();
    return status == 0 || complain(t, 0, "fails without a fault", status);
}

const char *
fault_torture(fault_scenario *scenario, size_t *points)
{
    static struct torture t;
    t = (struct torture){.scenario = scenario};
    bool well = run_clean(&t) && fail_each(&t, false) && fail_each(&t, true);
    *points = t.points;
    if (well && sanitizer_found_leaks())
        well = complain(&t, t.points, "leak sanitizer", 1);
    return well ? NULL : t.wrong;
}
