/*
 * OS contract: notice that this process is the child of a fork.
 *
 * Only the forking thread exists in the child: locks may be held by threads
 * that are gone, workers are missing. A room that owns such things stores the
 * generation when it creates them and answers PX_EFORKED when it has changed.
 */
#ifndef PX_PLATFORM_FORK_H
#define PX_PLATFORM_FORK_H

#include <pxrt/defs.h>

#include "base/atomic.h"

#if defined(_WIN32)

/* There is no fork. */
static inline int
px__fork_watch(void)
{
    return 0;
}

static inline uint32_t
px__fork_generation(void)
{
    return 1;
}

#else

/* Read by px__fork_generation() only. */
extern uint32_t px__fork_word;

/* Begin to watch for forks; again is harmless. 0 or PX_ENOMEM. Any thread. */
int px__fork_watch(void);

/* A number that differs between a process and its forked child, provided that
 * somebody watched before the fork. Any thread; a load: every creation of a
 * heap asks. */
static inline uint32_t
px__fork_generation(void)
{
    /* relaxed: it changes only while the child has one thread */
    return px__load_relaxed(&px__fork_word);
}

#endif

#endif
