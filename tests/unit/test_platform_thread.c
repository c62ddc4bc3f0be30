/* Threads, their numbers and their exit hooks; the clock; fork detection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <string.h>

#include <pxrt/status.h>

#include "base/atomic.h"
#include "platform/clock.h"
#include "platform/fork.h"
#include "platform/thread.h"

#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

enum { BIG_STACK = 4 << 20, BIG_FRAME = 3 << 20 };

static void
run(px__thread_fn fn, void *arg)
{
    px__thread t;
    assert_int_equal(px__thread_create(&t, "test", fn, arg), PX_OK);
    px__thread_join(&t);
}

static void
store_id(void *arg)
{
    *(uint64_t *)arg = px__thread_self_id();
}

static void
self_id__is_stable_and_unique__across_threads(void **state)
{
    (void)state;
    uint64_t mine = px__thread_self_id();
    uint64_t first = 0, second = 0;
    run(store_id, &first);
    run(store_id, &second); /* may reuse the stack and TLS, not the number */
    assert_true(mine != 0 && first != 0 && second != 0);
    assert_true(mine != first && mine != second && first != second);
    assert_true(px__thread_self_id() == mine);
}

#if defined(__linux__)
struct waiter {
    uint64_t id;
    uint32_t begun, end;
};

/* On one CPU, whichever it is. */
static void
stay_here(void)
{
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    assert_int_equal(sched_setaffinity(0, sizeof here, &here), 0);
}

static void
spin(void *arg)
{
    struct waiter *w = arg;
    w->id = px__thread_system_id();
    px__store_release(&w->begun, 1);
    while (!px__load_acquire(&w->end)) {
    }
}

static void
share_a_cpu(void *unused)
{
    (void)unused;
    struct waiter w = {0};
    px__thread t;
    stay_here(); /* and so does t, which inherits it */
    assert_int_equal(px__thread_create(&t, "spin", spin, &w), PX_OK);
    while (!px__load_acquire(&w.begun))
        px__thread_yield();
    int64_t before = px__thread_waited_ns(w.id);
    while (before >= 0 && px__thread_waited_ns(w.id) < before + 1000000) {
    }
    px__store_release(&w.end, 1);
    px__thread_join(&t);
}

/* Two threads on one CPU: one of them waits. A kernel that does not tell says so
 * for every thread. */
static void
waited__grows__on_a_cpu_that_is_shared(void **state)
{
    (void)state;
    run(share_a_cpu, NULL);
    assert_int_equal(px__thread_waited_ns(UINT64_MAX), -1);
}
#endif

static void
use_a_big_frame(void *arg)
{
    volatile char frame[BIG_FRAME];
    for (size_t i = 0; i < BIG_FRAME; i += 4096)
        frame[i] = 1;
    *(int *)arg = frame[0];
}

static void
create__honours_the_stack_size__when_given(void **state)
{
    (void)state;
    int reached = 0;
    px__thread t;
    assert_int_equal(
        px__thread_create_sized(&t, NULL, BIG_STACK, use_a_big_frame, &reached),
        PX_OK);
    px__thread_join(&t);
    assert_int_equal(reached, 1);
}

static void
create__accepts_a_tiny_stack__by_raising_it(void **state)
{
    (void)state;
    uint64_t id = 0;
    px__thread t;
    assert_int_equal(px__thread_create_sized(&t, NULL, 1, store_id, &id),
                     PX_OK);
    px__thread_join(&t);
    assert_true(id != 0);
}

static void
create__fails_cleanly__with_an_impossible_stack(void **state)
{
    (void)state;
    px__thread t;
    assert_int_equal(
        px__thread_create_sized(&t, NULL, SIZE_MAX, store_id, NULL), PX_ENOMEM);
    assert_int_equal(
        px__thread_create_sized(&t, NULL, SIZE_MAX / 2, store_id, NULL),
        PX_ENOMEM);
}

#if defined(__linux__)
static void
read_name(void *arg)
{
    pthread_getname_np(pthread_self(), arg, PX_THREAD_NAME_BYTES);
}

static void
create__cuts_the_name__to_what_the_system_takes(void **state)
{
    (void)state;
    char name[PX_THREAD_NAME_BYTES];
    px__thread t;
    assert_int_equal(
        px__thread_create(&t, "a-name-that-is-too-long", read_name, name),
        PX_OK);
    px__thread_join(&t);
    assert_string_equal(name, "a-name-that-is-");
}
#endif

/* What the hooks did, in order, and the hooks of the one test thread. */
static char trace[16];
static px__exit_hook hook_a, hook_b, hook_c;

static void
write_trace(void *arg)
{
    strcat(trace, arg);
}

static void
write_trace_and_arm_c(void *arg)
{
    strcat(trace, arg);
    hook_c = (px__exit_hook){.fn = write_trace, .arg = "c"};
    px__thread_at_exit(&hook_c);
}

static void
arm_hooks(void *arg)
{
    (void)arg;
    hook_a = (px__exit_hook){.fn = write_trace, .arg = "a"};
    hook_b = (px__exit_hook){.fn = write_trace_and_arm_c, .arg = "b"};
    px__thread_at_exit(&hook_a);
    px__thread_at_exit(&hook_b);
    strcat(trace, "-");
}

static void
at_exit__runs_last_armed_first__and_late_ones_too(void **state)
{
    (void)state;
    trace[0] = 0;
    run(arm_hooks, NULL);
    assert_string_equal(trace, "-bca");
    trace[0] = 0;
    run(arm_hooks, NULL); /* hooks may be armed again */
    assert_string_equal(trace, "-bca");
}

static int rearmed;
static px__exit_hook stubborn;

static void
arm_me_ten_times(void *arg)
{
    if (++rearmed < 10)
        px__thread_at_exit(arg);
}

static void
arm_stubborn(void *arg)
{
    stubborn = (px__exit_hook){.fn = arm_me_ten_times, .arg = arg};
    px__thread_at_exit(&stubborn);
}

static void
at_exit__runs_all__beyond_the_systems_own_rounds(void **state)
{
    (void)state;
    run(arm_stubborn, &stubborn); /* POSIX promises only 4 rounds */
    assert_int_equal(rearmed, 10);
}

static void
cpu_count__is_positive__always(void **state)
{
    (void)state;
    assert_true(px__cpu_count() >= 1);
}

#if defined(__linux__)
static void
cpu_count__follows_the_affinity__when_narrowed(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    size_t first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    unsigned count = px__cpu_count();
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(count, 1);
}

static void
pin_and_count(void *count)
{
    cpu_set_t set;
    size_t first = 0;
    sched_getaffinity(0, sizeof set, &set);
    while (!CPU_ISSET(first, &set))
        first++;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    sched_setaffinity(0, sizeof set, &set);
    *(unsigned *)count = px__cpu_count();
}

/* Else who asks first from a pinned thread would keep all others from spinning.
 */
static void
cpu_count__is_the_process_s__on_a_pinned_thread(void **state)
{
    (void)state;
    unsigned count = 0, before = px__cpu_count();
    run(pin_and_count, &count);
    assert_int_equal(count, before);
}
#endif

static void
now_ns__never_goes_back__in_many_reads(void **state)
{
    (void)state;
    int64_t last_ns = px__now_ns();
    for (int i = 0; i < 100000; i++) {
        int64_t now_ns = px__now_ns();
        assert_true(now_ns >= last_ns);
        last_ns = now_ns;
    }
}

static void
time_left__saturates__at_zero_and_for_ever(void **state)
{
    (void)state;
    int64_t now_ns = px__now_ns();
    assert_true(px__time_left_ns(now_ns, -1) == -1);
    assert_true(px__time_left_ns(now_ns - 100, 50) == 0);
    int64_t left_ns = px__time_left_ns(now_ns, INT64_MAX);
    assert_true(left_ns > INT64_MAX / 2);
}

#if !defined(_WIN32)
static void
fork_generation__changes__in_the_child_only(void **state)
{
    (void)state;
    assert_int_equal(px__fork_watch(), 0);
    assert_int_equal(px__fork_watch(), 0);
    uint32_t before = px__fork_generation();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(px__fork_generation() != before ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(px__fork_generation() == before);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__linux__)
        cmocka_unit_test(waited__grows__on_a_cpu_that_is_shared),
#endif
        cmocka_unit_test(self_id__is_stable_and_unique__across_threads),
        cmocka_unit_test(create__honours_the_stack_size__when_given),
        cmocka_unit_test(create__accepts_a_tiny_stack__by_raising_it),
        cmocka_unit_test(create__fails_cleanly__with_an_impossible_stack),
#if defined(__linux__)
        cmocka_unit_test(create__cuts_the_name__to_what_the_system_takes),
        cmocka_unit_test(cpu_count__follows_the_affinity__when_narrowed),
        cmocka_unit_test(cpu_count__is_the_process_s__on_a_pinned_thread),
#endif
        cmocka_unit_test(at_exit__runs_last_armed_first__and_late_ones_too),
        cmocka_unit_test(at_exit__runs_all__beyond_the_systems_own_rounds),
        cmocka_unit_test(cpu_count__is_positive__always),
        cmocka_unit_test(now_ns__never_goes_back__in_many_reads),
        cmocka_unit_test(time_left__saturates__at_zero_and_for_ever),
#if !defined(_WIN32)
        cmocka_unit_test(fork_generation__changes__in_the_child_only),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
