/* Runtimes with servers and clients come and go in one process, each released
 * at some moment of a connection's life, with timers armed, work under way and
 * errors waiting: nothing of them stays.
 *
 * PX_TEST_ROUNDS: lives. */
#include "ends.h"
#include "moments.h"

#include "process.h"
#include "rounds.h"
#include "sanitized.h"

#include <sched.h>
#include <time.h>

enum {
    LIVES = 200,
    GUESTS = 3,
    HOUR_MS = 3600 * 1000,
    GROWTH_BYTES = 256 << 10, /* allocators and caches have their ways */
    LIFE_BYTES = 1 << 10      /* less than any record of ours */
};

enum leave { AT_ONCE, AFTER_CLOSE, AFTER_DRAIN, LEAVES };

static int
work_a_little(px_context *cx, void *arg)
{
    (void)arg;
    return px_alloc(cx, 5000) ? 0 : PX_ENOMEM;
}

static int
fail_a_little(px_context *cx, void *arg)
{
    (void)arg;
    return px_fail(cx, PX_EFULL, "nobody will hear of it");
}

/* Things under way beside the connection. */
static void
furnish(px_runtime *rt)
{
    for (int i = 0; i < 3; i++) {
        assert_int_equal(px_submit_work(rt, work_a_little, NULL, NULL), 0);
        assert_int_equal(px_submit_work(rt, fail_a_little, NULL, NULL), 0);
    }
    assert_int_equal(
        px_submit_timer(rt, HOUR_MS, 0, work_a_little, NULL, NULL, NULL), 0);
    assert_int_equal(px_submit_timer(rt, 0, 1, work_a_little, NULL, NULL, NULL),
                     0);
}

/* Some more clients, who say something or nothing. */
static int
invite(const served *s, int *guests)
{
    int count = s->server ? GUESTS : 0;
    for (int i = 0; i < count; i++) {
        guests[i] = dial(s);
        if (i)
            say_text(guests[i], "hello");
    }
    return count;
}

static void
leave(served *s, enum leave how)
{
    if (how != AT_ONCE && s->server)
        assert_int_equal(
            px_server_close(s->server, how == AFTER_DRAIN ? HOUR_MS : 0), 0);
    assert_int_equal(px_runtime_release(s->rt), 0);
}

static void
live(const moment *m, enum leave how)
{
    int guests[GUESTS];
    served s;
    int fd = moment_reach(&s, m);
    furnish(s.rt);
    int count = invite(&s, guests);
    moment_forget();
    leave(&s, how);
    if (moment_connected() != moment_closed())
        fail_msg("%s: %d connected, %d closed", m->name, moment_connected(),
                 moment_closed());
    hang_up(fd);
    for (int i = 0; i < count; i++)
        hang_up(guests[i]);
}

/* A thread that was joined may be seen a little longer. */
static bool
threads_are_gone(long before)
{
    time_t end = time(NULL) + CLIENT_PATIENCE_S;
    while (live_threads() > before && time(NULL) < end)
        sched_yield();
    return live_threads() <= before;
}

static void
live_often(long lives)
{
    for (long i = 0; i < lives; i++)
        live(&moments[i % moment_count],
             (enum leave)((i + i / moment_count) % LEAVES));
}

static void
lives__leave_nothing_behind__ended_at_each_moment(void **state)
{
    long lives = rounds_or(LIVES);
    (void)state;
    live_often((long)moment_count * LEAVES); /* warms caches */
    long files = open_files(), threads = live_threads();
    size_t bytes = resident_bytes();
    size_t most = bytes + GROWTH_BYTES + (size_t)lives * LIFE_BYTES;
    live_often(lives);
    print_message("%ld lives: %zu KB resident, then %zu KB\n", lives,
                  bytes / 1024, resident_bytes() / 1024);
    assert_int_equal(open_files(), files);
    assert_true(threads_are_gone(threads));
    assert_true(PX_SANITIZED || resident_bytes() < most);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives__leave_nothing_behind__ended_at_each_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
