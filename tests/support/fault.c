/*
 * Which call fails, and the torture loop over all of them.
 *
 *   run clean            warms caches; its remaining blocks are the baseline
 *   for k = 1, 2, ...    fail call k, disarm, look for leaks, run clean again
 *   until call k is not reached any more: then every point was tried
 *
 * A scenario with threads makes more calls in one run than in the next. So the
 * loop ends when call k was not reached, and k is past the most calls that any
 * clean run has made. At last the first call of each function fails, so that
 * none is left out by chance.
 *
 * Thread rule: fault_hit and fault_block from any thread; the rest from the
 * test's thread while the library is at rest, but for fault_watch(). The
 * counters are independent numbers, so relaxed order is enough; `failing` and
 * `permanent` are written before the scenario starts its threads, which orders
 * them.
 */
#include "fault.h"

#include "base/atomic.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_POINTS = 100000, /* a scenario that makes more calls does not end */
    PATIENCE_S = 60,     /* a run that takes longer hangs */
    MOST_FUNCTIONS = 64  /* more than wrapped.txt has */
};

static size_t calls;
static size_t failing;
static bool permanent_failure;
static const char *fired;
static const char *failing_function; /* if any, its first call fails instead */
static const char *seen[MOST_FUNCTIONS]; /* called since the torture began */
static const char *watched; /* the name; not the same literal everywhere */
static size_t watched_calls;
static long live_blocks;
static size_t total_points;
static struct tally {
    const char *function;
    size_t points;
} tallies[MOST_FUNCTIONS];
static _Thread_local unsigned spared;

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

bool
fault_lasts(void)
{
    return px__load_relaxed(&failing) != 0 &&
           px__load_relaxed(&permanent_failure) && fault_fired();
}

void
fault_watch(const char *function)
{
    px__store_relaxed(&watched, (const char *)NULL);
    px__store_relaxed(&watched_calls, (size_t)0);
    px__store_relaxed(&watched, function);
}

size_t
fault_watched(void)
{
    return px__load_relaxed(&watched_calls);
}

/* The watcher goes by the number alone, no matter what came before it. */
static void
count_watched(const char *function)
{
    const char *name = px__load_relaxed(&watched);
    if (name && strcmp(name, function) == 0)
        (void)px__add_relaxed(&watched_calls, (size_t)1);
}

void
fault_spare(void)
{
    spared++;
}

void
fault_unspare(void)
{
    spared--;
}

size_t
fault_total_points(void)
{
    return total_points;
}

/* Its tally, or a free one. Names are literals, but not always the same ones.
 */
static struct tally *
tally_of(const char *function)
{
    struct tally *at = tallies;
    while (at->function && strcmp(at->function, function) != 0)
        at++;
    return at;
}

size_t
fault_points_of(const char *function)
{
    return tally_of(function)->points;
}

static void
count_point(const char *function)
{
    struct tally *tally = tally_of(function);
    tally->function = function;
    tally->points++;
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

int
fault_code(const int *codes, size_t count)
{
    size_t turn = fault_count() + px__load_relaxed(&permanent_failure);
    return codes[turn % count];
}

static void
note_seen(const char *function)
{
    for (int i = 0; i < MOST_FUNCTIONS; i++) {
        const char *name = NULL;
        if (px__cas_acqrel(&seen[i], &name, function) ||
            strcmp(name, function) == 0)
            return;
    }
}

/* Whether this call, the @call-th of all, is the one that is to fail. */
static bool
is_to_fail(const char *function, size_t call)
{
    const char *name = px__load_relaxed(&failing_function);
    size_t k = px__load_relaxed(&failing);
    if (name && k != 0)
        return !fault_fired() && strcmp(name, function) == 0;
    return k != 0 &&
           (call == k || (px__load_relaxed(&permanent_failure) && call > k));
}

bool
fault_hit(const char *function)
{
    if (spared)
        return false;
    note_seen(function);
    count_watched(function);
    size_t call = px__add_relaxed(&calls, (size_t)1) + 1;
    bool hit = is_to_fail(function, call);
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

/* ---- a run that hangs ---------------------------------------------------- */

static void
say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

/* A signal handler: nothing but calls that are safe in one. */
static void
give_up(int signal_number)
{
    const char *function = fault_fired();
    (void)signal_number;
    say("fault: a run hangs; failed call: ");
    say(function ? function : "none");
    say(px__load_relaxed(&permanent_failure) ? ", for good\n" : ", once\n");
    _exit(3);
}

static int
run_watched(fault_scenario *scenario)
{
    signal(SIGALRM, give_up);
    alarm(PATIENCE_S);
    int status = scenario();
    alarm(0);
    return status;
}

/* ---- the loop ------------------------------------------------------------ */

/* One torture: what it found, and where. */
struct torture {
    fault_scenario *scenario;
    long baseline; /* blocks that a clean run leaves behind (caches) */
    long files;    /* and open files */
    size_t points;
    size_t most; /* calls that a clean run has made */
    bool permanent;
    const char *function; /* that the failure of this round hit */
    char wrong[200];
};

static bool
complain(struct torture *t, size_t k, const char *what, long detail)
{
    snprintf(t->wrong, sizeof t->wrong, "%s (%ld) after call %zu%s%s%s", what,
             detail, k, t->function ? ", of " : "",
             t->function ? t->function : "",
             t->permanent ? ", failed for good" : ", failed once");
    return false;
}

/* Where the system does not tell, always 0. */
static long
open_files(void)
{
    DIR *list = opendir("/proc/self/fd");
    long count = 0;
    while (list && readdir(list))
        count++;
    if (list)
        closedir(list);
    return count;
}

static bool
leaves_nothing(struct torture *t, size_t k)
{
    long blocks = fault_live_blocks() - t->baseline;
    long files = open_files() - t->files;
    if (blocks > 0)
        return complain(t, k, "blocks leaked", blocks);
    return files <= 0 || complain(t, k, "files left open", files);
}

/* Run with every call going through. It must have made good what a failure
 * before it may have left. */
static bool
run_clean(struct torture *t, size_t k)
{
    fault_arm(0, false);
    int status = run_watched(t->scenario);
    if (fault_count() > t->most)
        t->most = fault_count();
    if (status == 0)
        return true;
    return complain(t, k,
                    k ? "not usable any more: status" : "fails without a fault",
                    status);
}

/* Let call @k fail. False when something is wrong; t->function is NULL when the
 * scenario made no such call. */
static bool
fail_one(struct torture *t, size_t k)
{
    fault_arm(k, t->permanent);
    int status = run_watched(t->scenario);
    fault_disarm();
    t->function = fault_fired();
    if (status > 0 || (status < 0 && !t->function))
        return complain(t, k, "unexpected status", status);
    return leaves_nothing(t, k) && run_clean(t, k) && leaves_nothing(t, k);
}

static bool
fail_each(struct torture *t, bool permanent)
{
    t->permanent = permanent;
    for (size_t k = 1; k <= MAX_POINTS; k++) {
        if (!fail_one(t, k))
            return false;
        if (t->function) {
            t->points++;
            count_point(t->function);
        } else if (k > t->most) {
            return true;
        }
    }
    return complain(t, MAX_POINTS, "no end in sight", 0);
}

/* Threads make their calls in no fixed order, and a function that is called but
 * once may always have been a call before or behind the k-th. */
static bool
fail_first_of_each(struct torture *t)
{
    bool well = true;
    t->permanent = false;
    for (int i = 0; well && i < MOST_FUNCTIONS && seen[i]; i++) {
        failing_function = seen[i];
        well = fail_one(t, 1);
        failing_function = NULL;
        if (t->function) {
            t->points++;
            count_point(t->function);
        }
    }
    return well;
}

static bool
set_baseline(struct torture *t)
{
    memset(seen, 0, sizeof seen);
    bool well = run_clean(t, 0);
    t->baseline = fault_live_blocks();
    t->files = open_files();
    return well;
}

const char *
fault_torture(fault_scenario *scenario, size_t *points)
{
    static struct torture t;
    t = (struct torture){.scenario = scenario};
    bool well = set_baseline(&t) && fail_each(&t, false) &&
                fail_each(&t, true) && fail_first_of_each(&t);
    *points = t.points;
    total_points += t.points;
    if (well && sanitizer_found_leaks())
        well = complain(&t, t.points, "leak sanitizer", 1);
    return well ? NULL : t.wrong;
}
