/* What a core dump holds of the range: see dump.c. */
#ifndef PX_HEAP_DUMP_H
#define PX_HEAP_DUMP_H

#include "heap/window.h"

/* From now on dumps hold @run up to @end. The run's owner. */
void px__dump_add(px__run *run, char *end);

/* Its memory above @end, or all of it, was given back. The run's owner. */
void px__dump_cut(px__run *run, char *end);
void px__dump_drop(px__run *run);

/* The same as px__dump_add(), when they hold it already. */
static inline void
px__dump_cover(px__run *run, char *end)
{
    if (PX_UNLIKELY(run->dumped < end) && !px__range.commit_later)
        px__dump_add(run, end);
}

#endif
