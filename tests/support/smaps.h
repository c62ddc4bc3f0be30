/* What the kernel says of this process's mappings, in /proc/self/smaps. */
#ifndef PX_TESTS_SMAPS_H
#define PX_TESTS_SMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of all mappings that overlap some addresses. */
struct smaps {
    size_t mappings;
    size_t closed; /* mappings that nobody may touch */
    size_t resident_bytes;
    size_t large_bytes; /* of these on large pages */
    size_t kept_small;  /* mappings with MADV_NOHUGEPAGE */
    size_t advised;     /* mappings with MADV_HUGEPAGE */
    size_t dumped;      /* mappings that a core dump holds */
    size_t dumped_bytes;
    size_t seams;      /* neighbours of which it holds one */
    size_t last_bytes; /* the latest mapping */
    bool last_dumped;
};

static inline void
smaps_take_dumped(struct smaps *sum, bool dumped)
{
    sum->seams += sum->mappings > 1 && dumped != sum->last_dumped;
    sum->dumped += dumped;
    sum->dumped_bytes += dumped ? sum->last_bytes : 0;
    sum->last_dumped = dumped;
}

static inline void
smaps_take(struct smaps *sum, const char *line)
{
    size_t kb;
    if (sscanf(line, "Rss: %zu kB", &kb) == 1)
        sum->resident_bytes += kb * 1024;
    else if (sscanf(line, "AnonHugePages: %zu kB", &kb) == 1)
        sum->large_bytes += kb * 1024;
    else if (strncmp(line, "VmFlags:", 8) == 0) {
        sum->kept_small += strstr(line, " nh") != NULL;
        sum->advised += strstr(line, " hg") != NULL;
        smaps_take_dumped(sum, strstr(line, " dd") == NULL);
    }
}

static inline struct smaps
smaps_of(const void *at, size_t bytes)
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    struct smaps sum = {0};
    char line[512];
    size_t lo, hi;
    bool inside = false;
    while (smaps && fgets(line, sizeof line, smaps)) {
        if (sscanf(line, "%zx-%zx ", &lo, &hi) == 2) {
            inside = lo < (uintptr_t)at + bytes && (uintptr_t)at < hi;
            sum.mappings += inside;
            sum.last_bytes = hi - lo;
            sum.closed += inside && strstr(line, " ---p ");
        } else if (inside) {
            smaps_take(&sum, line);
        }
    }
    if (smaps)
        fclose(smaps);
    return sum;
}

#endif
