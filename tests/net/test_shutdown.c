/* Ends that no callback asked for: deadlines, the server, the runtime. */
#include "ends.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/clock.h"

/* ---- deadlines -------------------------------------------------------------
 */

static void
idle_deadline__closes__who_says_nothing(void **state)
{
    px_server_options options;
    served s;
    int fd;
    (void)state;
    px_server_options_init(&options);
    options.idle_timeout_ms = 40;
    fd = serve_one(&s, &echoing, &options);
    assert_true(hear_end(fd) != -1);
    assert_one_end(&s, PX_ETIMEDOUT);
    assert_int_equal(stats_of(&s).timeouts, 1);
    unserve_one(&s, fd);
}

enum { IDLE_MS = 200 };

/* Talk until somebody was cut off, and once more. What the server heard last
 * was said in the round before, or when it was dialled at @before_ns. False:
 * that was so long ago that the deadline may have met the talker, on a machine
 * that had no time for us; which proves nothing. */
static bool
talk_without_pause(served *s, int talker, int64_t before_ns)
{
    bool cut, alive, brisk = true;
    do {
        int64_t begin_ns = px__now_ns();
        cut = stats_of(s).timeouts > 0;
        alive = say_text(talker, "still here") && hears(talker, "still here");
        brisk = brisk && px__now_ns() - before_ns < IDLE_MS * PX_NS_PER_MS;
        before_ns = begin_ns;
        px_run_once(s->rt, 1, NULL);
    } while (alive && !cut);
    assert_true(alive || !brisk);
    return alive && brisk;
}

/* Each round takes less than the deadline, all of them much longer. */
static bool
talker_outlives_idler(void)
{
    px_server_options options;
    served s;
    int talker, idler;
    int64_t before_ns;
    bool outlived;
    px_server_options_init(&options);
    options.idle_timeout_ms = IDLE_MS;
    serve(&s, &echoing, &options);
    before_ns = px__now_ns();
    talker = dial(&s);
    idler = dial(&s);
    outlived = talk_without_pause(&s, talker, before_ns);
    assert_true(!outlived || hear_end(idler) != -1);
    hang_up(talker);
    hang_up(idler);
    wait_closed(&s, 2);
    unserve(&s);
    return outlived;
}

static void
idle_deadline__spares__who_talks(void **state)
{
    (void)state;
    while (!talker_outlives_idler())
        continue;
}

static void
assert_send_deadline(unsigned attempts)
{
    px_server_options options;
    served s;
    int fd;
    setup(NULL);
    px_server_options_init(&options);
    options.send_timeout_ms = 60;
    options.max_sync_send_attempts = attempts;
    serve(&s, &flooding, &options);
    fd = dial_small(&s, 4096);
    assert_one_end(&s, PX_ETIMEDOUT);
    assert_int_equal(stats_of(&s).timeouts, 1);
    unserve_one(&s, fd);
}

static void
send_deadline__closes__who_takes_nothing(void **state)
{
    (void)state;
    assert_send_deadline(1);
}

static void
send_deadline__holds__for_synchronous_sends(void **state)
{
    (void)state;
    assert_send_deadline(0);
}

/* No deadline, and a peer that reads nothing: the thread does not stay for ever,
 * but leaves the rest to the loop, which keeps nobody busy. */
static void
synchronous_send__is_left_to_the_loop__without_a_deadline(void **state)
{
    px_server_options options;
    served s;
    (void)state;
    px_server_options_init(&options);
    options.send_timeout_ms = 0;
    options.max_sync_send_attempts = 0;
    serve(&s, &flooding, &options);
    int fd = dial_small(&s, 4096);
    wait_until(&s, has_async_send, &s);
    assert_int_equal(stats_of(&s).timeouts, 0);
    assert_int_equal(stats_of(&s).closed, 0);
    hang_up(fd);
    wait_closed(&s, 1);
    unserve(&s);
}

/* ---- the server ------------------------------------------------------------
 */

static void
server_close__resets_connections__without_drain(void **state)
{
    served s;
    int fd = serve_one(&s, &echoing, NULL);
    (void)state;
    have_echoed(fd);
    unserve(&s);
    assert_int_equal(hear_end(fd), ECONNRESET);
    assert_int_equal(peek(&seen.closed), 1);
    assert_int_equal(peek(&seen.last_status), PX_ECANCELED);
    hang_up(fd);
}

static void
server_close__closes_idle_connections_in_order__with_drain(void **state)
{
    served s;
    int fd = serve_one(&s, &echoing, NULL);
    (void)state;
    have_echoed(fd);
    assert_int_equal(px_server_close(s.server, 60000), 0);
    assert_int_equal(hear_end(fd), 0);
    assert_int_equal(px_run(s.rt, NULL), 0);
    assert_int_equal(peek(&seen.closed), 1);
    assert_int_equal(peek(&seen.last_status), 0);
    hang_up(fd);
    assert_int_equal(px_runtime_release(s.rt), 0);
}

/* The client takes its bytes only after the server was closed. */
static void
server_close__lets_sends_finish__with_drain(void **state)
{
    char *heard = malloc(FLOOD);
    served s;
    int fd = flood_one(&s, NULL);
    (void)state;
    assert_int_equal(px_server_close(s.server, 60000), 0);
    assert_int_equal(hear(fd, heard, FLOOD), FLOOD);
    assert_int_equal(hear_end(fd), 0);
    assert_int_equal(px_run(s.rt, NULL), 0);
    assert_int_equal(peek(&seen.last_status), 0);
    hang_up(fd);
    free(heard);
    assert_int_equal(px_runtime_release(s.rt), 0);
}

static void
server_close__resets_who_does_not_finish__at_the_deadline(void **state)
{
    served s;
    int fd = flood_one(&s, NULL);
    (void)state;
    assert_int_equal(px_server_close(s.server, 30), 0);
    assert_int_equal(px_run(s.rt, NULL), 0);
    assert_int_equal(peek(&seen.closed), 1);
    assert_int_equal(peek(&seen.last_status), PX_ECANCELED);
    hang_up(fd);
    assert_int_equal(px_runtime_release(s.rt), 0);
}

/* ---- the runtime ------------------------------------------------------------
 */

/* A connection in some state: just connected, talking, flooded, half closed,
 * reset. */
static int
dial_somehow(const served *s, unsigned kind)
{
    int fd = dial_small(s, kind % 2 ? 4096 : 0);
    if (kind % 8 > 1)
        say_text(fd, "some bytes");
    if (kind % 8 == 3)
        hears(fd, "some");
    if (kind % 8 == 4)
        hush(fd);
    return fd;
}

static int
flood_back(px_context *cx, const char *data, size_t count)
{
    static char zeros[1 << 20];
    int status = px_send(cx, data, count);
    return status ? status : px_send(cx, zeros, sizeof zeros);
}

static void
release_in_the_middle(unsigned seed)
{
    enum { FEW = 6 };
    const px_protocol p = {.connected = note_connected,
                           .received = seed % 2 ? flood_back : echo,
                           .closed = note_closed};
    int fds[FEW];
    served s;
    setup(NULL);
    serve(&s, &p, NULL);
    for (int i = 0; i < FEW; i++)
        fds[i] = dial_somehow(&s, (unsigned)rand_r(&seed));
    for (int i = rand_r(&seed) % FEW; i > 0; i--)
        px_run_once(s.rt, 0, NULL);
    if (seed % 4 == 1)
        reset(fds[0]);
    if (seed % 3 == 0)
        assert_int_equal(px_server_close(s.server, seed % 5), 0);
    assert_int_equal(px_runtime_release(s.rt), 0);
    assert_int_equal(peek(&seen.connected), peek(&seen.closed));
    for (int i = seed % 4 == 1; i < FEW; i++)
        hang_up(fds[i]);
}

static void
runtime_release__ends_all__in_any_state(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++)
        release_in_the_middle(i);
}

static void
runtime_release__of_a_server_nobody_dialled(void **state)
{
    served s;
    (void)state;
    serve(&s, &echoing, NULL);
    assert_int_equal(px_runtime_release(s.rt), 0);
    assert_int_equal(peek(&seen.connected), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(idle_deadline__closes__who_says_nothing),
        TEST(idle_deadline__spares__who_talks),
        TEST(send_deadline__closes__who_takes_nothing),
        TEST(send_deadline__holds__for_synchronous_sends),
        TEST(synchronous_send__is_left_to_the_loop__without_a_deadline),
        TEST(server_close__resets_connections__without_drain),
        TEST(server_close__closes_idle_connections_in_order__with_drain),
        TEST(server_close__lets_sends_finish__with_drain),
        TEST(server_close__resets_who_does_not_finish__at_the_deadline),
        TEST(runtime_release__ends_all__in_any_state),
        TEST(runtime_release__of_a_server_nobody_dialled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
