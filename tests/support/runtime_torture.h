/* What the fault tortures of runtimes share, beside fault_house.h: all that a
 * program of them includes. */
#ifndef PX_TESTS_RUNTIME_TORTURE_H
#define PX_TESTS_RUNTIME_TORTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pxrt.h>

#include "base/atomic.h"
#include "fault.h"
#include "fault_house.h"
#include "fault_range.h"

/* Work or a shot that fails on purpose. */
static inline int
misbehave(px_context *cx, void *arg)
{
    return px_fail(cx, ON_PURPOSE, "failed for %s", (const char *)arg);
}

/* How the houses that come are built. */
static inline void
with(unsigned workers, bool eager)
{
    house_plan.workers = workers;
    house_plan.eager = eager;
    print_message("%u workers%s:\n", workers, eager ? ", eager" : "");
}

/* The code of a scenario that ran its house to the end and closed it. */
static inline int
house_run_out(void)
{
    house_run();
    bool active = px_active_count(house.rt) != 0;
    int status = house_close();
    return active ? STILL_ACTIVE : status;
}

/* Fewer points than @floor mean that calls have gone past the wrappers. */
static inline void
assert_points(size_t floor)
{
    print_message("fault: %zu points\n", fault_total_points());
    assert_true(fault_total_points() >= floor);
}

#endif
