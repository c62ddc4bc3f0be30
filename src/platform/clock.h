/* OS contract: the monotonic clock. */
#ifndef PX_PLATFORM_CLOCK_H
#define PX_PLATFORM_CLOCK_H

#include <stdint.h>

enum {
    PX_NS_PER_US = 1000,
    PX_NS_PER_MS = 1000000,
    PX_NS_PER_SEC = 1000000000
};

/* Nanoseconds since an arbitrary start; never goes back, is not affected by
 * setting the time of day. Signed, so that differences need no casts. Any
 * thread; about 20 ns, no system call where the OS has a vDSO. */
int64_t px__now_ns(void);

/* The time left of @timeout_ns that began at @start_ns: never below 0. A
 * negative timeout means "for ever" and stays as it is. */
static inline int64_t
px__time_left_ns(int64_t start_ns, int64_t timeout_ns)
{
    if (timeout_ns < 0)
        return timeout_ns;
    int64_t passed_ns = px__now_ns() - start_ns;
    return passed_ns < timeout_ns ? timeout_ns - passed_ns : 0;
}

#endif
