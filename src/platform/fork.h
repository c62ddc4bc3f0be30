/*
 * OS contract: notice that this process is the child of a fork.
 *
 * Only the forking thread exists in the child: locks may be held by threads
 * that are gone, workers are missing. A room that owns such things stores the
 * generation when it creates them and answers PX_EFORKED when it has changed.
 */
#ifndef PX_PLATFORM_FORK_H
#define PX_PLATFORM_FORK_H

#include <stdint.h>

/* A number that differs between a process and its forked child, provided that
 * it was asked for before the fork as well. Constant where there is no fork
 * (Windows). Any thread; a load and a branch. */
uint32_t px__fork_generation(void);

#endif
