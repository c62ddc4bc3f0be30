/*
 * Run a function in a forked child: for what a process can do only once, such
 * as setting up the range of heaps. In the child, CHILD_CHECK() ends it.
 */
#ifndef PX_TESTS_IN_CHILD_H
#define PX_TESTS_IN_CHILD_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_CHECK(cond)                                                      \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);         \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

/* The exit code of a child that calls @fn; -1 when it did not exit. */
static inline int
exit_code_of(void (*fn)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        fn();
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

#endif
