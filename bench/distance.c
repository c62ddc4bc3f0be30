/*
 * How far the CPUs are from each other: what a cache line takes to another one
 * and back.
 *
 *   here    1 --> 2 --> 3 ...       the two write in turn, each when it has
 *   there      \-> 1 --> 2 ...      seen what the other wrote
 *
 * It is measured before each round of a bench that uses several CPUs, since it
 * explains what nothing else does: the host of a virtual machine moves its CPUs,
 * now to cores that share a cache, now to cores that do not. The same two were
 * seen 67 and 350 ns apart within a minute, and whatever is handed from thread
 * to thread is then slower in proportion. A machine at rest does not show in
 * which of the two states it is.
 */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 21, TRIPS = 50 };

static uint32_t line __attribute__((aligned(128)));

static struct {
    double ns[BENCH_ROUNDS];
    size_t count;
} noted;

static void
answer(uint32_t seen)
{
    while (__atomic_load_n(&line, __ATOMIC_ACQUIRE) != seen) {
    }
    __atomic_store_n(&line, seen + 1, __ATOMIC_RELEASE);
}

static void *
stand_there(void *unused)
{
    bench_pin(1);
    for (uint32_t i = 0; i < SAMPLES * TRIPS; i++)
        answer(2 * i + 1);
    return unused;
}

/* The median of short samples: one with a preemption in it does not count. */
static void *
stand_here(void *result)
{
    double ns[SAMPLES];
    bench_pin(0);
    for (uint32_t sample = 0; sample < SAMPLES; sample++) {
        uint64_t begin = bench_now_ns();
        for (uint32_t i = 0; i < TRIPS; i++)
            answer(2 * (sample * TRIPS + i));
        ns[sample] = (double)(bench_now_ns() - begin) / TRIPS;
    }
    *(double *)result = bench_quantile(ns, SAMPLES, 0.5);
    return result;
}

/* In threads of their own, since pinning is for good. */
static double
measure(void)
{
    pthread_t here, there;
    double ns;
    line = 0;
    if (pthread_create(&there, NULL, stand_there, NULL) != 0 ||
        pthread_create(&here, NULL, stand_here, &ns) != 0)
        abort();
    pthread_join(here, NULL);
    pthread_join(there, NULL);
    return ns;
}

void
bench_distance_forget(void)
{
    noted.count = 0;
}

void
bench_distance_note(const struct bench *bench)
{
    if (bench->cpus == 1 || bench_cpu_count() == 1 ||
        noted.count == BENCH_ROUNDS)
        return;
    noted.ns[noted.count++] = measure();
}

const char *
bench_distance_text(void)
{
    static char text[BENCH_TEXT];
    if (!noted.count)
        return "";
    snprintf(text, sizeof text,
             " (a cache line to another CPU and back: %.0f ns, %.0f - %.0f)",
             bench_quantile(noted.ns, noted.count, 0.5),
             bench_quantile(noted.ns, noted.count, 0.1),
             bench_quantile(noted.ns, noted.count, 0.9));
    return text;
}
