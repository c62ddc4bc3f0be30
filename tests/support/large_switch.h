/*
 * Another text in place of the system's switch for large pages, for this
 * process alone: a file of ours is mounted over sysfs's. It cannot be taken
 * back, so it belongs into a child (in_child.h). What the kernel does stays as
 * it was.
 */
#ifndef PX_TESTS_LARGE_SWITCH_H
#define PX_TESTS_LARGE_SWITCH_H

#if defined(__linux__)

#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* False where this system does not let us mount. */
static inline bool
large_switch_reads(const char *text)
{
    char path[] = "/tmp/pxrt-switch-XXXXXX";
    int fd = mkstemp(path);
    bool written = fd >= 0 && write(fd, text, strlen(text)) > 0;
    close(fd);
    bool alone =
        unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    bool mounted = written && alone &&
                   mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount(path, "/sys/kernel/mm/transparent_hugepage/enabled",
                         NULL, MS_BIND, NULL) == 0;
    unlink(path);
    return mounted;
}

#endif

#endif
