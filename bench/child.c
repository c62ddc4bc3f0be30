/*
 * A subject's process: prepare, set the subject up, then one round for each
 * request until the harness hangs up.
 *
 * Loops are calibrated here: the count is chosen once so that a round lasts
 * about bench_config.round_ns, which also warms the subject up. A subject with
 * a round function measures itself.
 */
#include "harness.h"

#include <dlfcn.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CALIBRATION_PASSES = 3 };

struct child {
    const struct bench *bench;
    const struct bench_subject *subject;
    void *state;
    /* Iterations of a calibrated round. */
    uint64_t count;
};

/* One call for all iterations: the call through the table and the two readings
 * of the clock are shared by a whole round, some 20 ms. */
static uint64_t
timed(const struct child *child, uint64_t count)
{
    uint64_t begin = bench_now_ns();
    child->subject->loop(child->state, count);
    return bench_now_ns() - begin;
}

/* The least of some passes. The first one pays for page faults and large pages,
 * and any may be interrupted: taken at its word it would set a count that is
 * far too small, and all rounds would then measure the clock and cold caches.
 */
static uint64_t
timed_well(const struct child *child, uint64_t count)
{
    uint64_t least = timed(child, count);
    for (int i = 1; i < CALIBRATION_PASSES; i++) {
        uint64_t spent = timed(child, count);
        least = spent < least ? spent : least;
    }
    return least;
}

static uint64_t
calibrate(const struct child *child)
{
    uint64_t count = 1, spent;
    while ((spent = timed_well(child, count)) < bench_config.round_ns / 4)
        count *= 2;
    double ideal =
        (double)count * (double)bench_config.round_ns / (double)spent;
    return ideal < 1 ? 1 : (uint64_t)ideal;
}

/* A preloaded allocator that the loader refused would be measured as glibc
 * under a false name: so ask where malloc comes from. */
static const char *
check_preload(const char *preload)
{
    Dl_info info;
    void *found = dlsym(RTLD_DEFAULT, "malloc");
    unsetenv("LD_PRELOAD");
    if (!found || !dladdr(found, &info) || !info.dli_fname)
        return "cannot tell where malloc comes from";
    return strcmp(info.dli_fname, preload) == 0
               ? NULL
               : "the loader did not preload the library";
}

/* Before anything allocates: mallopt settles what glibc's malloc does with
 * memory that is freed, and pinning where the subject's memory is first
 * touched. */
static const char *
prepare(const struct child *child)
{
    const struct bench_subject *subject = child->subject;
    bench_cpu_count(); /* remembers the CPUs before pinning shrinks them */
    if (child->bench->cpus == 1)
        bench_pin(0);
    if (subject->flags & BENCH_NO_TRIM &&
        (!mallopt(M_MMAP_MAX, 0) || !mallopt(M_TRIM_THRESHOLD, -1)))
        return "mallopt refused";
    return subject->preload ? check_preload(subject->preload) : NULL;
}

static const char *
start(struct child *child)
{
    const char *failed = prepare(child);
    if (!failed && child->subject->setup)
        failed = child->subject->setup(child->subject->arg, &child->state);
    if (!failed && child->subject->loop)
        child->count = calibrate(child);
    return failed;
}

/* After the clock has stopped: reading /proc costs more than many a round. */
static void
measure_memory(const struct child *child, struct bench_sample *sample)
{
    if (sample->rss_kb == 0)
        sample->rss_kb = bench_rss_kb(0);
    if (child->subject->pages)
        child->subject->pages(child->state, sample->pages);
    else if (!sample->pages[0])
        bench_kernel_pages(sample->pages);
}

/* The count stays what calibration chose, in all rounds: a round that took
 * longer shows as a slower one, it is not shortened. */
static const char *
run_round(const struct child *child, struct bench_sample *sample)
{
    const char *failed = NULL;
    for (size_t i = 0; i < BENCH_METRICS; i++)
        sample->value[i] = NAN;
    if (child->subject->loop)
        sample->value[0] = (double)timed(child, child->count) /
                           (double)child->count * child->bench->metric[0].scale;
    else
        failed = child->subject->round(child->state, sample);
    if (!failed)
        measure_memory(child, sample);
    return failed;
}

static bool
answer(int fd, const struct bench_sample *sample, const char *failed)
{
    struct bench_reply reply = {0};
    reply.sample = *sample;
    if (failed)
        snprintf(reply.failed, sizeof reply.failed, "%s", failed);
    return send(fd, &reply, sizeof reply, MSG_NOSIGNAL) == sizeof reply &&
           !failed;
}

int
bench_child(const struct bench *bench, const struct bench_subject *subject,
            int fd)
{
    struct child child = {.bench = bench, .subject = subject};
    struct bench_sample sample = {0};
    char request;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool going = answer(fd, &sample, start(&child));
    while (going && recv(fd, &request, 1, 0) == 1) {
        sample = (struct bench_sample){0};
        const char *failed = run_round(&child, &sample);
        going = answer(fd, &sample, failed);
    }
    /* The harness waits for the end: a teardown that hangs is cut short. */
    alarm(20);
    if (child.state && subject->teardown)
        subject->teardown(child.state);
    return 0;
}

static void
print_solo(const struct bench *bench, unsigned round,
           const struct bench_sample *sample)
{
    printf("round %u:", round);
    for (size_t i = 0; i < bench->metric_count; i++)
        printf("  %.4g %s %s", sample->value[i], bench->metric[i].unit,
               bench->metric[i].name);
    printf("  rss %ld KB, pages %s\n", sample->rss_kb, sample->pages);
}

int
bench_solo(const struct bench *bench, const struct bench_subject *subject)
{
    struct child child = {.bench = bench, .subject = subject};
    const char *failed = subject->missing ? subject->missing : start(&child);
    for (unsigned i = 0; !failed && i < bench_config.rounds; i++) {
        struct bench_sample sample = {0};
        failed = run_round(&child, &sample);
        if (!failed)
            print_solo(bench, i, &sample);
    }
    if (failed)
        fprintf(stderr, "pxbench: %s/%s failed: %s\n", bench->name,
                subject->name, failed);
    if (child.state && subject->teardown)
        subject->teardown(child.state);
    return failed != NULL;
}
