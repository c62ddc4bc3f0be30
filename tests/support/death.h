/* Whether a function aborts, tried in a forked child. POSIX only. */
#ifndef PX_TESTS_DEATH_H
#define PX_TESTS_DEATH_H

#if !defined(_WIN32)

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that waits for itself for ever dies of SIGALRM, which is not an
 * abort; its message goes nowhere. */
static inline bool
aborts(void (*fn)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        fn();
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child &&
           WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
#endif
