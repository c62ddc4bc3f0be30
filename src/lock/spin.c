/* See spin.h. The CPU count is asked for once: a process that is later confined
 * to one CPU spins a microsecond for nothing. Thread rule: any thread. */
#include "lock/spin.h"

#include <stdint.h>

#include "base/atomic.h"
#include "platform/thread.h"

enum { PAUSES = 100 };

/* Threads that race to fill it in write the same value. */
static uint32_t limit_plus_one;

unsigned
px__spin_limit(void)
{
    uint32_t known = px__load_relaxed(&limit_plus_one);
    if (known)
        return known - 1;
    unsigned limit = px__cpu_count() > 1 ? PAUSES : 0;
    px__store_relaxed(&limit_plus_one, limit + 1);
    return limit;
}
