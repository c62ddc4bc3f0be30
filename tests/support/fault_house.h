/*
 * For the fault torture of runtimes: one that keeps account of how all that it
 * accepted has ended, whatever failed in between.
 */
#ifndef PX_TESTS_FAULT_HOUSE_H
#define PX_TESTS_FAULT_HOUSE_H

#include <pxrt.h>

/* What scenarios answer that no failure excuses. */
enum { LOST_SOMETHING = 1, STILL_ACTIVE, NO_RELEASE };

/* The code of work that fails on purpose. */
enum { ON_PURPOSE = -77 };

/* How the next house is to be built; the test's to set. */
extern struct house_plan {
    unsigned workers;
    bool eager; /* heaps start large: contexts fail when they are made */
    px_quota *quota;
} house_plan;

/* The runtime of a scenario, and how everything that it accepted has ended. */
extern struct house {
    px_runtime *rt;
    unsigned accepted; /* atomic, as are the next three */
    unsigned done;
    unsigned handled;
    unsigned children_refused;
    unsigned reported;
    int status; /* the first code that was not on purpose */
} house;

/* 0, or why there is none. */
int house_open(void);

/* Remember a code, if it is one of failure and the first one. */
void house_note(int status);

/* The same for the code of a submission, which counts. */
void house_submitted(int status);

/* Run to the end; main gets the errors that nobody dealt with. */
void house_run(void);

/* Release the runtime: the code remembered, or NO_RELEASE. */
int house_close(void);

/* The same after a run to the end, after which nothing may be left and nothing
 * be lost: what was accepted is done, dealt with or reported. */
int house_run_and_close(void);

#endif
