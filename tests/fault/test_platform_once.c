/*
 * What a process does once, and so fails once: the fork handler, the key for
 * the ends of threads, the range of addresses. Each failure is tried in a fresh
 * process, in which nothing has been done before: this program, started again
 * with the number of the call that is to fail.
 *
 * ctest: slow, where a sanitizer makes each process start slowly
 *
 *   parent: k = 1, 2, ... --exec--> child: call k fails; the failure is told,
 *                                   and with it gone, all works; the end of the
 *                                   process finds no leak (LeakSanitizer)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"

/* How a child ends. Once calls have numbers of their own. */
enum {
    ATFORK,
    KEY,
    MAPPING,
    ANOTHER,  /* a call that fails elsewhere, too */
    HITS,     /* kinds of calls that were hit */
    MISSED,   /* call k is beyond the last */
    SILENT,   /* a code without a failure, or worse */
    UNUSABLE, /* the failure is gone, and it does not work yet */
    CHILD = 20
};

/* Which call is the k-th differs from run to run, with the threads and with the
 * addresses that the system gives; so they are tried until each kind was hit.
 */
enum {
    MOST_SWEEPS = 10,
    MISSES_AT_THE_END = 3,
    MOST_POINTS = 1000,
    PATIENCE_S = 60
};

/* ---- the child: everything that is done once ----------------------------- */

static int
use_lock_and_memory(px_context *cx, void *arg)
{
    static px_rwlock_biased lock;
    (void)arg;
    px_rwlock_biased_read_lock(&lock);
    px_rwlock_biased_read_unlock(&lock);
    return px_alloc(cx, 5000) ? 0 : PX_ENOMEM;
}

/* A heap on this thread, which then has windows of its own, and work on
 * another. */
static int
use_heap(void)
{
    px_heap *heap;
    int status = px_heap_create(NULL, &heap);
    if (status)
        return status;
    status = px_heap_alloc(heap, 5000) ? 0 : PX_ENOMEM;
    px_heap_release(heap);
    return status;
}

static int
use_runtime(void)
{
    px_runtime_options options;
    px_runtime *rt;
    px_runtime_options_init(&options);
    options.workers = 1;
    int status = px_runtime_create(&options, &rt);
    if (status)
        return status;
    status = px_submit_work(rt, use_lock_and_memory, NULL, NULL);
    if (!status)
        status = px_run(rt, NULL);
    return px_runtime_release(rt) ? SILENT : status;
}

static int
do_all_once(void)
{
    int status = use_heap();
    int then = use_runtime();
    return status ? status : then;
}

static int
kind_of(const char *function)
{
    if (!function)
        return MISSED;
    if (strcmp(function, "pthread_atfork") == 0)
        return ATFORK;
    if (strcmp(function, "pthread_key_create") == 0)
        return KEY;
    return strcmp(function, "mmap") == 0 ? MAPPING : ANOTHER;
}

static int
be_child(size_t k, bool permanent)
{
    alarm(PATIENCE_S); /* a child that hangs is one that did not exit */
    fault_arm(k, permanent);
    int status = do_all_once();
    fault_disarm();
    const char *fired = fault_fired();
    if (status > 0 || (status < 0 && !fired))
        return SILENT;
    return do_all_once() ? UNUSABLE : kind_of(fired);
}

/* ---- the parent ---------------------------------------------------------- */

static const char *program;

static void
exec_child(size_t k, bool permanent)
{
    char number[32];
    snprintf(number, sizeof number, "%zu", k);
    execl(program, program, number, permanent ? "permanent" : "once",
          (char *)NULL);
    _exit(127);
}

static int
outcome_of(size_t k, bool permanent)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        exec_child(k, permanent);
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) < CHILD)
        fail_msg("call %zu failed %s: the process ended with %#x", k,
                 permanent ? "for good" : "once", (unsigned)status);
    return WEXITSTATUS(status) - CHILD;
}

/* Until some numbers in a row are beyond the last call. */
static void
fail_each(bool permanent, size_t *hits)
{
    size_t misses = 0;
    for (size_t k = 1; misses < MISSES_AT_THE_END; k++) {
        int outcome = outcome_of(k, permanent);
        assert_true(k < MOST_POINTS);
        if (outcome > MISSED)
            fail_msg("call %zu failed %s: %s", k,
                     permanent ? "for good" : "once",
                     outcome == SILENT ? "told wrongly" : "unusable after it");
        misses = outcome == MISSED ? misses + 1 : 0;
        if (outcome < HITS)
            hits[outcome]++;
    }
}

static bool
each_was_hit(const size_t *hits)
{
    for (int kind = 0; kind < HITS; kind++)
        if (!hits[kind])
            return false;
    return true;
}

static void
hit_each(bool permanent)
{
    size_t hits[HITS] = {0};
    for (int i = 0; i < MOST_SWEEPS && !each_was_hit(hits); i++)
        fail_each(permanent, hits);
    print_message("fault: %zu fork handler, %zu key, %zu mapping, %zu others\n",
                  hits[ATFORK], hits[KEY], hits[MAPPING], hits[ANOTHER]);
    assert_true(each_was_hit(hits));
}

static void
process__survives__what_fails_once(void **state)
{
    (void)state;
    hit_each(false);
}

/* From call k on all fail, so the first one decides what is hit. */
static void
process__survives__what_fails_for_good(void **state)
{
    (void)state;
    hit_each(true);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process__survives__what_fails_once),
        cmocka_unit_test(process__survives__what_fails_for_good),
    };
    program = argv[0];
    if (argc == 3)
        return CHILD + be_child((size_t)atol(argv[1]),
                                strcmp(argv[2], "permanent") == 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
