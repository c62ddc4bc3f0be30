/* px_stop() against px_run(): before it, during it, as it ends; from another
 * thread, from a callback, from a signal handler. An hour's timer keeps the
 * runtime from ending by itself, so a stop that is lost hangs this program,
 * which the alarm then ends.
 *
 * PX_TEST_ROUNDS: stops of each test. */
#include "runtime_support.h"

#include "rounds.h"
#include "sanitized.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum {
    ROUNDS = PX_SANITIZED ? 10000 : 20000,
    PHASES = 257, /* lengths of the pause before a stop */
    PATIENCE_S = 200,
    HOUR_MS = 3600 * 1000
};

static px_runtime *runtime;
static uint32_t returned; /* atomic: runs that main has come back from */
static long rounds;

static void
give_up(int number)
{
    static const char text[] = "a stop was lost: px_run() does not return\n";
    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(4);
    _exit(3);
}

static int
begin(void **state)
{
    (void)state;
    rounds = rounds_or(ROUNDS);
    runtime = runtime_of(2);
    px__store_seqcst(&returned, 0);
    signal(SIGALRM, give_up);
    alarm(PATIENCE_S);
    return px_submit_timer(runtime, HOUR_MS, 0, do_nothing, NULL, NULL, NULL);
}

static int
end(void **state)
{
    (void)state;
    alarm(0);
    return px_runtime_release(runtime);
}

static void
run(void)
{
    assert_int_equal(px_run(runtime, NULL), 0);
    assert_true(px_active_count(runtime) >= 1); /* a stop, not the end */
    px__add_seqcst(&returned, 1);
}

/* ---- from main, and from callbacks --------------------------------------- */

static void
stop__is_kept__for_the_next_run(void **state)
{
    (void)state;
    for (long i = 0; i < rounds; i++) {
        assert_int_equal(px_stop(runtime), 0);
        if (i % 2)
            assert_int_equal(px_stop(runtime), 0); /* counts as one */
        if (i % 3 == 0)
            assert_true(px_run_once(runtime, 0, NULL) >= 0); /* not for it */
        run();
    }
}

static int
stop_from_callback(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return px_stop(runtime);
}

/* With contexts on the path to freedom main naps rather than waits. */
static void
stop__of_a_callback__ends_the_run(void **state)
{
    (void)state;
    for (long i = 0; i < rounds; i++) {
        for (long k = 0; k < i % 4; k++)
            assert_int_equal(px_submit_work(runtime, do_nothing, NULL, NULL),
                             0);
        assert_int_equal(
            px_submit_work(runtime, stop_from_callback, NULL, NULL), 0);
        run();
    }
}

/* ---- from another thread ------------------------------------------------- */

static void
pause_for(long phase)
{
    for (long i = 0; i < phase % PHASES; i++)
        px__pause();
}

static void
await_return(uint32_t count)
{
    while (px__load_seqcst(&returned) < count)
        px__thread_yield();
}

/* One stop for each run; it meets every phase of the run, its beginning and the
 * time before it, too. */
static void
stop_in_turn(void *arg)
{
    (void)arg;
    for (long i = 0; i < rounds; i++) {
        await_return((uint32_t)i);
        pause_for(i * 7);
        if (i % 5 == 0) /* main is about to be woken for something else */
            assert_int_equal(px_submit_work(runtime, do_nothing, NULL, NULL),
                             0);
        assert_int_equal(px_stop(runtime), 0);
    }
}

static void
stop__of_a_thread__ends_exactly_one_run(void **state)
{
    px__thread thread;
    (void)state;
    assert_int_equal(px__thread_create(&thread, "stop", stop_in_turn, NULL), 0);
    for (long i = 0; i < rounds; i++) {
        pause_for(i * 3);
        run();
    }
    px__thread_join(&thread);
}

/* Main is told both of an error and of a stop, in whichever order they meet it:
 * a stop that came while an error was reported is for the run after that. */
static void
stop__is_not_swallowed__by_an_error(void **state)
{
    (void)state;
    for (long i = 0; i < rounds; i++) {
        int first, second;
        assert_int_equal(px_submit_work(runtime, fail_plainly, NULL, NULL), 0);
        pause_for(i * 13);
        assert_int_equal(px_stop(runtime), 0);
        first = px_run(runtime, NULL);
        second = px_run(runtime, NULL);
        assert_int_equal(first + second, PX_EFULL);
        assert_true(first == 0 || second == 0);
    }
}

/* ---- many at once -------------------------------------------------------- */

static uint32_t stopping; /* atomic: threads that still do */

static void
stop_often(void *arg)
{
    (void)arg;
    for (long i = 0; i < rounds; i++) {
        assert_int_equal(px_stop(runtime), 0);
        pause_for(i);
    }
    px__sub_seqcst(&stopping, 1);
    assert_int_equal(px_stop(runtime), 0);
}

/* The last stop of each thread comes after it has said that it ends, so main
 * always has one to come back by. */
static void
stop__of_many_threads__is_never_lost(void **state)
{
    enum { THREADS = 3 };
    px__thread threads[THREADS];
    (void)state;
    px__store_seqcst(&stopping, THREADS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            px__thread_create(&threads[i], "stop", stop_often, NULL), 0);
    do
        run();
    while (px__load_seqcst(&stopping) > 0);
    for (int i = 0; i < THREADS; i++)
        px__thread_join(&threads[i]);
}

/* ---- from a signal handler ----------------------------------------------- */

static void
stop_on_signal(int number)
{
    (void)number;
    (void)px_stop(runtime);
}

static pthread_t main_thread;

static void
signal_in_turn(void *arg)
{
    (void)arg;
    for (long i = 0; i < rounds; i++) {
        await_return((uint32_t)i);
        pause_for(i * 11);
        pthread_kill(main_thread, SIGUSR1);
    }
}

/* The handler runs on main, wherever that is: before it parks, parked, woken. */
static void
stop__in_a_signal_handler_of_main__ends_the_run(void **state)
{
    px__thread thread;
    (void)state;
    main_thread = pthread_self();
    signal(SIGUSR1, stop_on_signal);
    assert_int_equal(px__thread_create(&thread, "kill", signal_in_turn, NULL),
                     0);
    for (long i = 0; i < rounds; i++)
        run();
    px__thread_join(&thread);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stop__is_kept__for_the_next_run, begin,
                                        end),
        cmocka_unit_test_setup_teardown(stop__of_a_callback__ends_the_run,
                                        begin, end),
        cmocka_unit_test_setup_teardown(stop__of_a_thread__ends_exactly_one_run,
                                        begin, end),
        cmocka_unit_test_setup_teardown(stop__is_not_swallowed__by_an_error,
                                        begin, end),
        cmocka_unit_test_setup_teardown(stop__of_many_threads__is_never_lost,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            stop__in_a_signal_handler_of_main__ends_the_run, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
