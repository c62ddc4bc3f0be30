/*
 * What the harness asks of Linux: time, CPUs, and what the kernel says about a
 * process's memory (which is the truth about large pages, whatever was asked
 * for).
 */
#include "harness.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Not the CPU's time stamp counter: its rate is not that of the core, and a
 * reading by the vDSO costs some 20 ns, which a round of milliseconds does not
 * feel. */
uint64_t
bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The CPUs of the process as it was started: pinning a thread later must not
 * shrink what the next one chooses from. */
static const cpu_set_t *
allowed_cpus(void)
{
    static cpu_set_t allowed;
    if (CPU_COUNT(&allowed) == 0)
        sched_getaffinity(0, sizeof allowed, &allowed);
    return &allowed;
}

unsigned
bench_cpu_count(void)
{
    return (unsigned)CPU_COUNT(allowed_cpus());
}

/* From the last CPU on, because the first one usually takes the interrupts. */
void
bench_pin(unsigned index)
{
    const cpu_set_t *allowed = allowed_cpus();
    unsigned skip = index % bench_cpu_count();
    for (size_t cpu = CPU_SETSIZE; cpu-- > 0;) {
        if (!CPU_ISSET(cpu, allowed) || skip-- != 0)
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

/* The number after @p key in a "Key:   123 kB" file of /proc, or -1. */
static long
proc_value(const char *path, const char *key)
{
    char line[256];
    long value = -1;
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    while (value < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            value = atol(line + strlen(key));
    fclose(file);
    return value;
}

long
bench_rss_kb(int pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", pid ? pid : getpid());
    return proc_value(path, "VmRSS:");
}

long
bench_page_table_kb(void)
{
    return proc_value("/proc/self/status", "VmPTE:");
}

/* The whole process, not one mapping: a peer's memory may be anywhere. */
void
bench_kernel_pages(char *text)
{
    long large = proc_value("/proc/self/smaps_rollup", "AnonHugePages:");
    if (large < 0)
        snprintf(text, BENCH_TEXT, "unknown");
    else if (large == 0)
        snprintf(text, BENCH_TEXT, "small");
    else
        snprintf(text, BENCH_TEXT, "large: %ld KB", large);
}

/* The first line of a file, or what follows @p key in the first line that
 * begins with it; without the line's end. */
static void
text_of(const char *path, const char *key, char *text, size_t bytes)
{
    char line[256];
    bool found = false;
    FILE *file = fopen(path, "r");
    snprintf(text, bytes, "?");
    while (file && !found && fgets(line, sizeof line, file)) {
        found = strncmp(line, key, strlen(key)) == 0;
        line[strcspn(line, "\n")] = 0;
        if (found)
            snprintf(text, bytes, "%.*s", (int)bytes - 1, line + strlen(key));
    }
    if (file)
        fclose(file);
}

void
bench_describe_machine(char *text, size_t bytes)
{
    char model[128], pages[64], load[64];
    struct utsname system;
    uname(&system);
    text_of("/proc/cpuinfo", "model name\t: ", model, sizeof model);
    text_of("/sys/kernel/mm/transparent_hugepage/enabled", "", pages,
            sizeof pages);
    text_of("/proc/loadavg", "", load, sizeof load);
    snprintf(text, bytes,
             "%u CPUs (%s), Linux %s, glibc %s, transparent large pages: %s, "
             "load before the run: %.4s, compiler: %s",
             bench_cpu_count(), model, system.release, gnu_get_libc_version(),
             pages, load, __VERSION__);
}

void *
bench_map(size_t bytes)
{
    const size_t align = (size_t)2 << 20;
    char *raw = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    return raw + (align - (uintptr_t)raw % align) % align;
}

void
bench_cool(void)
{
    /* more than the last-level cache of a large machine: filling an arena of
     * 16 MB must not cool more than this does */
    const size_t bytes = (size_t)128 << 20, line = 64;
    static char *other;
    if (!other)
        other = bench_map(bytes);
    for (size_t at = 0; other && at < bytes; at += line)
        bench_touch(other + at, 1);
}
