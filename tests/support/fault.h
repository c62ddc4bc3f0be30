/*
 * Fault torture: let the k-th call that the library makes to the system fail,
 * for every k, and see that the library survives each.
 *
 * A fault program (tests/fault/test_*.c) is linked so that every call to a
 * function of tests/fault/wrapped.txt goes through support/fault_wrappers.c.
 * The program's own calls are counted too, but for those between fault_spare()
 * and fault_unspare(); libc's and libuv's inner ones are not. A scenario is a
 * function that sets something up, uses it, takes it down and returns 0, or the
 * status code that it met:
 *
 *     static int
 *     create_and_drop(void)
 *     {
 *         px_heap *heap;
 *         int status = px_heap_create(&heap, NULL);
 *         if (status < 0)
 *             return status;       (a failed create leaves nothing behind)
 *         ...
 *         px_heap_release(heap);
 *         return status;
 *     }
 *
 *     assert_fault_torture(create_and_drop);
 */
#ifndef PX_TESTS_FAULT_H
#define PX_TESTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>

typedef int fault_scenario(void);

/* From now on the k-th wrapped call fails: once, or with all after it. k = 0
 * only counts. */
void fault_arm(size_t k, bool permanent);

/* Let every call through again. The counters stay readable. */
void fault_disarm(void);

/* Wrapped calls since fault_arm, by all threads. */
size_t fault_count(void);

/* The function whose call failed since fault_arm; NULL when none did. */
const char *fault_fired(void);

/* Whether calls fail now and go on failing: who waits for the outcome of one
 * that is tried again and again need not. */
bool fault_lasts(void);

/* Count the calls of one function, beginning now: for who waits until the
 * library has come to a certain place. Those that fail count, too. */
void fault_watch(const char *function);
size_t fault_watched(void);

/* Calls of this thread neither count nor fail until unspare; nests. For the
 * part of a test that is not the library: its clients. */
void fault_spare(void);
void fault_unspare(void);

/* Blocks allocated through the wrappers and not freed yet. */
long fault_live_blocks(void);

/* Run @scenario with each of its calls failing, once and for good, and then with
 * the first call of each function. After each it must leave no more blocks and open files than a clean run does, and run
 * clean again.
 * Returns NULL when all is well, else what is wrong (a static buffer);
 * @points gets the number of failures tried. A scenario that hangs ends the
 * program, with a word about the call. */
const char *fault_torture(fault_scenario *scenario, size_t *points);

/* The same, as a cmocka assertion that prints the number of points. */
#define assert_fault_torture(scenario)                                         \
    do {                                                                       \
        size_t fault_points = 0;                                               \
        const char *fault_wrong = fault_torture((scenario), &fault_points);    \
        print_message("fault: %s: %zu points\n", #scenario, fault_points);     \
        if (fault_wrong)                                                       \
            fail_msg("%s: %s", #scenario, fault_wrong);                        \
    } while (0)

/* Failures tried by all tortures of this program. A program asserts a floor, so
 * that it cannot lose its points without anybody noticing. */
size_t fault_total_points(void);

/* Those of them that hit this function. */
size_t fault_points_of(const char *function);

/* For the wrappers: one of several codes that a call may fail with; each in its
 * turn as the calls go by. */
int fault_code(const int *codes, size_t count);

/* For the wrappers: count this call; true when it has to fail. */
bool fault_hit(const char *function);

/* For the wrappers: a block came (+1) or went (-1). */
void fault_block(int delta);

#endif
