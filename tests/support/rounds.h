/* How many rounds a test makes: what a run for each change has time for, or as
 * many as PX_TEST_ROUNDS says; see RECORDS.md for the long runs. A program has
 * one test that asks. */
#ifndef PX_TESTS_ROUNDS_H
#define PX_TESTS_ROUNDS_H

#include <stdlib.h>

static inline long
rounds_or(long usual)
{
    const char *wish = getenv("PX_TEST_ROUNDS");
    long rounds = wish ? atol(wish) : 0;
    return rounds > 0 ? rounds : usual;
}

#endif
