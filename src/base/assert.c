/*
 * The one place where libpxrt aborts the process: a failed rung of the assert
 * ladder. It formats into a stack buffer and writes once, so that it works with
 * a corrupt heap and inside a signal handler.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void
px__abort(const char *what, const char *message, const char *file, int line)
{
    char text[512];
    snprintf(text, sizeof text, "libpxrt: %s: %s (%s:%d)\n", message, what,
             file, line);
    fputs(text, stderr);
    fflush(stderr);
    abort();
}
