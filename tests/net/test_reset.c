/* The peer resets, in each state that a connection can be in, and in a storm of
 * resets.
 *
 * PX_TEST_ROUNDS: connections of the storm. */
#include "ends.h"
#include "moments.h"

#include "rounds.h"
#include "runtime/dispatch.h"

enum { STORM = 3000 };

/* ---- one by one ---------------------------------------------------------- */

static bool
are_closed(void *arg)
{
    return moment_closed() >= *(int *)arg;
}

/* Another one, so that it is seen that the server still serves. */
static void
reset_another(served *s)
{
    int two = 2, fd = dial(s);
    say_text(fd, "x");
    reset(fd);
    wait_closed(s, (uint64_t)two);
}

static void
end(served *s)
{
    if (s->server) {
        reset_another(s);
        unserve(s);
    } else {
        while (px_run(s->rt, NULL) < 0) {
        }
        assert_int_equal(px_active_count(s->rt), 0);
        assert_int_equal(px_runtime_release(s->rt), 0);
    }
}

static void
reset_at(const moment *m)
{
    int one = 1;
    served s;
    int fd = moment_reach(&s, m);
    reset(fd);
    moment_await_notice(m);
    moment_pass();
    wait_until(&s, are_closed, &one);
    moment_forget();
    assert_int_equal(moment_connected(), 1);
    assert_int_equal(moment_closed(), 1);
    if (m->fails != (moment_status() < 0))
        fail_msg("%s: status %d", m->name, moment_status());
    end(&s);
    assert_int_equal(moment_connected(), moment_closed());
}

static void
peer__resets__at_each_moment(void **state)
{
    (void)state;
    for (unsigned i = 0; i < moment_count; i++) {
        print_message("%s\n", moments[i].name);
        reset_at(&moments[i]);
    }
}

/* ---- before it is accepted ----------------------------------------------- */

static int
talk(const served *s)
{
    int fd = dial(s);
    have_echoed(fd);
    return fd;
}

/* The system may forget the connection, or hand out one that is dead. */
static void
peer__resets__before_it_is_accepted(void **state)
{
    served s;
    int fd;
    (void)state;
    serve(&s, &echoing, NULL);
    px__loop_enter(s.rt); /* nobody accepts */
    fd = dial(&s);
    say_text(fd, "nobody is there");
    reset(fd);
    px__loop_leave(s.rt);
    fd = talk(&s); /* the queue is in order: who is answered comes after it */
    hang_up(fd);
    wait_closed(&s, stats_of(&s).accepted);
    assert_int_equal(peek(&seen.connected), peek(&seen.closed));
    unserve(&s);
}

/* ---- a storm ------------------------------------------------------------- */

static bool
all_closed(void *arg)
{
    px_server_stats stats = stats_of(arg);
    return stats.connections == 0 && stats.closed == stats.accepted;
}

static void
come_and_go(const served *s, long i)
{
    int fd = dial(s);
    if (i % 3)
        say_text(fd, "to be echoed");
    if (i % 5)
        reset(fd);
    else
        hang_up(fd);
}

/* The system itself forgets some that are reset before they were accepted. */
static void
peer__resets_in_a_storm__all_are_closed_once(void **state)
{
    long storm = rounds_or(STORM);
    served s;
    (void)state;
    serve(&s, &echoing, NULL);
    for (long i = 0; i < storm; i++) {
        come_and_go(&s, i);
        if (i % 64 == 0)
            px_run_once(s.rt, 0, NULL);
    }
    hang_up(talk(&s));
    wait_until(&s, all_closed, &s);
    assert_true(stats_of(&s).accepted > (uint64_t)storm / 2);
    assert_int_equal(peek(&seen.connected), peek(&seen.closed));
    unserve(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(peer__resets__at_each_moment),
        TEST(peer__resets__before_it_is_accepted),
        TEST(peer__resets_in_a_storm__all_are_closed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
