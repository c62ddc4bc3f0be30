/*
 * A small model checker for the real sources of the lock room: it runs them on
 * fibers, decides at every atomic access which thread goes on and which value a
 * load sees, and tries all decisions within two bounds, one run after another.
 *
 * The memory is C11's, kept as a history of stores for each word: a load may
 * see any store that coherence and happens-before allow, not just the newest.
 * Acquire and release carry vector clocks; plain data is checked for races with
 * them. So a missing order shows as a stale value, a data race or a lost wake.
 *
 * What it does not cover: loads that are satisfied by stores that come later in
 * the run (load buffering), a store that enters the history before an older
 * one, and schedules beyond the bounds.
 */
#ifndef PX_TESTS_MODEL_CHECKER_H
#define PX_TESTS_MODEL_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_THREADS = 4 };

/* --- what the sources call (shim/base/atomic.h, platform/park.h) ---------- */

uintptr_t model_load(const void *word, size_t bytes, int order);
void model_store(void *word, size_t bytes, uintptr_t value, int order);
uintptr_t model_rmw(void *word, size_t bytes, char op, uintptr_t value,
                    int order);
bool model_cas(void *word, void *expected, size_t bytes, uintptr_t desired,
               int order);

/* --- what a scenario is made of ------------------------------------------- */

/* Plain memory that the lock must protect. */
struct model_plain {
    uint32_t write_stamp;
    int writer;
    uint32_t read_stamps[MODEL_THREADS];
};

void model_plain_read(struct model_plain *p);
void model_plain_write(struct model_plain *p);

/* End this run, and the search, with a failure. */
__attribute__((noreturn)) void model_fail(const char *what);

struct model_scenario {
    void (*prepare)(void); /* before each run: reset plain memory */
    void (*bodies[MODEL_THREADS])(void); /* the threads; NULL ends them */
    void (*check)(void);                 /* after each run, with final values */
    void (*switched)(int from, int to);  /* swap thread-locals; may be NULL */
};

/* One deliberate mistake: accesses of @kind to @word that ask for order @from
 * get order @to instead. */
struct model_mistake {
    char kind; /* 'l'oad, 's'tore, 'r'mw, 'c'as */
    const void *word;
    int from, to;
};

struct model_bounds {
    int preemptions; /* switches away from a thread that could go on */
    int stale;       /* loads that see an older store */
};

struct model_result {
    long runs;
    const char *failure; /* NULL: all runs were good */
};

/* Try all runs within the bounds, or until one fails. */
struct model_result model_explore(const struct model_scenario *s,
                                  const struct model_mistake *mistake,
                                  struct model_bounds bounds);

#endif
