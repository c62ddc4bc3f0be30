/* A range for fault torture, to be set up before anything uses memory. */
#ifndef PX_TESTS_FAULT_RANGE_H
#define PX_TESTS_FAULT_RANGE_H

#include <pxrt/heap.h>

/* A group set-up of cmocka. Memory is committed piece by piece, and windows are
 * given back at once, so that each context asks the system for its own, and may
 * fail to get it. */
static inline int
ask_always(void **state)
{
    px_range_options options;
    (void)state;
    px_range_options_init(&options);
    options.commit_on_demand = true;
    options.cache_bytes = 0;
    return px_range_configure(&options);
}

#endif
