/* The monotonic clock of POSIX. Thread rule: any thread. */
#include "platform/clock.h"

#include <time.h>

int64_t
px__now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * PX_NS_PER_SEC + now.tv_nsec;
}
