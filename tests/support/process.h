/* What this process holds of the system: for tests that nothing is left over.
 * Where the system does not tell, always 0. */
#ifndef PX_TESTS_PROCESS_H
#define PX_TESTS_PROCESS_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

static inline long
entries_of(const char *directory)
{
    DIR *list = opendir(directory);
    long count = 0;
    while (list && readdir(list))
        count++;
    if (list)
        closedir(list);
    return count;
}

static inline long
open_files(void)
{
    return entries_of("/proc/self/fd");
}

/* One that was joined a moment ago may still be there. */
static inline long
live_threads(void)
{
    return entries_of("/proc/self/task");
}

static inline size_t
resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
