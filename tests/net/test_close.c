/* The ends of connections and servers: from every callback, from elsewhere, by
 * the peer, by deadlines, by the server, by the runtime. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

/* What the callbacks saw; atomic, since they run anywhere. */
static struct {
    int connected;
    int closed;
    int last_status;
    px_context *cx; /* retained when keep is set */
    bool keep;
} seen;

static void
count_up(int *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_ACQ_REL);
}

static int
note_connected(px_context *cx)
{
    count_up(&seen.connected);
    if (seen.keep)
        __atomic_store_n(&seen.cx, px_context_retain(cx), __ATOMIC_RELEASE);
    return 0;
}

static void
note_closed(px_context *cx, int status)
{
    assert_ptr_equal(px_current(), cx);
    assert_int_equal(px_context_state(cx), PX_CLOSING);
    assert_int_equal(px_send(cx, "late", 4), PX_ECLOSED);
    assert_int_equal(px_close(cx), PX_ECLOSED);
    assert_non_null(px_peer_name(cx));
    __atomic_store_n(&seen.last_status, status, __ATOMIC_RELEASE);
    count_up(&seen.closed);
}

static int
echo(px_context *cx, const char *data, size_t count)
{
    return px_send(cx, data, count);
}

static int
swallow(px_context *cx, const char *data, size_t count)
{
    (void)cx;
    (void)data;
    (void)count;
    return 0;
}

static const px_protocol echoing = {
    .connected = note_connected, .received = echo, .closed = note_closed};

static int
setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    return 0;
}

/* Exactly one connection, which ended with @status. */
static void
assert_one_end(served *s, int status)
{
    wait_closed(s, 1);
    assert_int_equal(seen.connected, 1);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.last_status, status);
}

static bool
is_kept(void *arg)
{
    (void)arg;
    return __atomic_load_n(&seen.cx, __ATOMIC_ACQUIRE) != NULL;
}

/* ---- px_close --------------------------------------------------------------
 */

static int
greet_and_close(px_context *cx)
{
    note_connected(cx);
    assert_int_equal(px_send(cx, "bye", 3), 0);
    assert_int_equal(px_close(cx), 0);
    assert_int_equal(px_close(cx), PX_ECLOSED);
    assert_int_equal(px_send(cx, "more", 4), PX_ECLOSED);
    return 0;
}

static int
answer_and_close(px_context *cx, const char *data, size_t count)
{
    int status = px_send(cx, data, count);
    return status ? status : px_close(cx);
}

static void
close__in_connected__sends_what_was_sent(void **state)
{
    const px_protocol p = {
        .connected = greet_and_close, .received = echo, .closed = note_closed};
    served s;
    int fd;
    (void)state;
    serve(&s, &p, NULL);
    fd = dial(&s);
    assert_true(hears(fd, "bye"));
    assert_int_equal(hear_end(fd), 0);
    assert_one_end(&s, 0);
    hang_up(fd);
    unserve(&s);
}

static void
close__in_received__sends_what_was_sent(void **state)
{
    const px_protocol p = {.connected = note_connected,
                           .received = answer_and_close,
                           .closed = note_closed};
    served s;
    int fd;
    (void)state;
    serve(&s, &p, NULL);
    fd = dial(&s);
    say_text(fd, "hello");
    assert_true(hears(fd, "hello"));
    assert_int_equal(hear_end(fd), 0);
    assert_one_end(&s, 0);
    hang_up(fd);
    unserve(&s);
}

static void
close__in_sent__ends_the_connection(void **state)
{
    const px_protocol p = {.connected = note_connected,
                           .received = echo,
                           .sent = px_close,
                           .closed = note_closed};
    served s;
    int fd;
    (void)state;
    serve(&s, &p, NULL);
    fd = dial(&s);
    say_text(fd, "once");
    assert_true(hears(fd, "once"));
    assert_int_equal(hear_end(fd), 0);
    assert_one_end(&s, 0);
    hang_up(fd);
    unserve(&s);
}

static int
say_bytes(px_context *cx, void *bytes, size_t count)
{
    char *copy = px_heap_memdup(px_context_heap(cx), bytes, count);
    return copy ? px_send(cx, copy, count) : PX_ENOMEM;
}

static void *
post_and_close(void *arg)
{
    px_context *cx = arg;
    assert_int_equal(px_post(cx, say_bytes, "one ", 4), 0);
    assert_int_equal(px_post(cx, say_bytes, "two", 3), 0);
    assert_int_equal(px_close(cx), 0);
    assert_int_equal(px_close(cx), PX_ECLOSED);
    return NULL;
}

/* What was posted before still leaves; the handle outlives connection, server
 * and runtime. */
static void
close__from_another_thread__after_what_was_posted(void **state)
{
    pthread_t thread;
    served s;
    int fd;
    (void)state;
    seen.keep = true;
    serve(&s, &echoing, NULL);
    fd = dial(&s);
    wait_until(&s, is_kept, NULL);
    pthread_create(&thread, NULL, post_and_close, seen.cx);
    pthread_join(thread, NULL);
    assert_true(hears(fd, "one two"));
    assert_int_equal(hear_end(fd), 0);
    assert_one_end(&s, 0);
    assert_int_equal(px_post(seen.cx, say_bytes, "x", 1), PX_ECLOSED);
    assert_int_equal(px_close(seen.cx), PX_ECLOSED);
    assert_int_equal(px_send(seen.cx, "x", 1), PX_EWRONGTHREAD);
    hang_up(fd);
    assert_int_equal(px_server_close(s.server, 0), 0);
    assert_int_equal(px_runtime_release(s.rt), 0);
    assert_int_equal(px_post(seen.cx, say_bytes, "x", 1), PX_ECLOSED);
    px_context_release(seen.cx);
}

/* ---- the peer --------------------------------------------------------------
 */

static void
peer__closes_in_order__status_0(void **state)
{
    served s;
    (void)state;
    serve(&s, &echoing, NULL);
    hang_up(dial(&s));
    assert_one_end(&s, 0);
    unserve(&s);
}

static void
peer__resets_an_idle_connection__its_code(void **state)
{
    served s;
    int fd;
    (void)state;
    serve(&s, &echoing, NULL);
    fd = dial(&s);
    say_text(fd, "x");
    assert_true(hears(fd, "x"));
    reset(fd);
    wait_closed(&s, 1);
    assert_int_equal(seen.closed, 1);
    assert_true(seen.last_status < 0);
    unserve(&s);
}

static bool
has_async_send(void *arg)
{
    return stats_of(arg).async_sends > 0;
}

enum { FLOOD = 64 << 20 };

static int
flood(px_context *cx)
{
    static char zeros[FLOOD];
    note_connected(cx);
    return px_send(cx, zeros, sizeof zeros);
}

static const px_protocol flooding = {
    .connected = flood, .received = swallow, .closed = note_closed};

/* SIGPIPE would end this program. */
static void
peer__resets_while_a_send_is_under_way__its_code(void **state)
{
    served s;
    int fd;
    (void)state;
    serve(&s, &flooding, NULL);
    fd = dial_small(&s, 4096);
    wait_until(&s, has_async_send, &s);
    reset(fd);
    wait_closed(&s, 1);
    assert_int_equal(seen.closed, 1);
    assert_true(seen.last_status < 0);
    unserve(&s);
}

static bool
all_closed(void *arg)
{
    px_server_stats stats = stats_of(arg);
    return stats.connections == 0 && stats.closed == stats.accepted;
}

/* The system itself forgets some that are reset before they were accepted. The
 * queue is in order: who is answered comes after all of them. */
static void
peer__resets_in_a_storm__all_are_closed_once(void **state)
{
    enum { STORM = 3000 };
    served s;
    int last;
    (void)state;
    serve(&s, &echoing, NULL);
    for (int i = 0; i < STORM; i++) {
        int fd = dial(&s);
        if (i % 3)
            say_text(fd, "to be echoed");
        if (i % 5)
            reset(fd);
        else
            hang_up(fd);
        if (i % 64 == 0)
            px_run_once(s.rt, 0, NULL);
    }
    last = dial(&s);
    say_text(last, "x");
    assert_true(hears(last, "x"));
    hang_up(last);
    wait_until(&s, all_closed, &s);
    assert_true(stats_of(&s).accepted > STORM / 2);
    assert_int_equal(seen.connected, seen.closed);
    unserve(&s);
}

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
    serve(&s, &echoing, &options);
    fd = dial(&s);
    assert_true(hear_end(fd) != -1);
    assert_one_end(&s, PX_ETIMEDOUT);
    assert_int_equal(stats_of(&s).timeouts, 1);
    hang_up(fd);
    unserve(&s);
}

/* Each round takes less than the deadline, all of them much longer. */
static void
idle_deadline__spares__who_talks(void **state)
{
    px_server_options options;
    served s;
    int talker, idler;
    (void)state;
    px_server_options_init(&options);
    options.idle_timeout_ms = 200;
    serve(&s, &echoing, &options);
    talker = dial(&s);
    idler = dial(&s);
    while (stats_of(&s).timeouts == 0) {
        assert_true(say_text(talker, "still here"));
        assert_true(hears(talker, "still here"));
        px_run_once(s.rt, 1, NULL);
    }
    assert_true(say_text(talker, "still here"));
    assert_true(hears(talker, "still here"));
    assert_true(hear_end(idler) != -1);
    hang_up(talker);
    hang_up(idler);
    wait_closed(&s, 2);
    unserve(&s);
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
    hang_up(fd);
    unserve(&s);
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

/* ---- the server ------------------------------------------------------------
 */

static void
server_close__resets_connections__without_drain(void **state)
{
    served s;
    int fd;
    (void)state;
    serve(&s, &echoing, NULL);
    fd = dial(&s);
    say_text(fd, "x");
    assert_true(hears(fd, "x"));
    unserve(&s);
    assert_int_equal(hear_end(fd), ECONNRESET);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.last_status, PX_ECANCELED);
    hang_up(fd);
}

static void
server_close__closes_idle_connections_in_order__with_drain(void **state)
{
    served s;
    int fd;
    (void)state;
    serve(&s, &echoing, NULL);
    fd = dial(&s);
    say_text(fd, "x");
    assert_true(hears(fd, "x"));
    assert_int_equal(px_server_close(s.server, 60000), 0);
    assert_int_equal(hear_end(fd), 0);
    assert_int_equal(px_run(s.rt, NULL), 0);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.last_status, 0);
    hang_up(fd);
    assert_int_equal(px_runtime_release(s.rt), 0);
}

/* The client takes its bytes only after the server was closed. */
static void
server_close__lets_sends_finish__with_drain(void **state)
{
    char *heard = malloc(FLOOD);
    served s;
    int fd;
    (void)state;
    serve(&s, &flooding, NULL);
    fd = dial_small(&s, 4096);
    wait_until(&s, has_async_send, &s);
    assert_int_equal(px_server_close(s.server, 60000), 0);
    assert_int_equal(hear(fd, heard, FLOOD), FLOOD);
    assert_int_equal(hear_end(fd), 0);
    assert_int_equal(px_run(s.rt, NULL), 0);
    assert_int_equal(seen.last_status, 0);
    hang_up(fd);
    free(heard);
    assert_int_equal(px_runtime_release(s.rt), 0);
}

static void
server_close__resets_who_does_not_finish__at_the_deadline(void **state)
{
    served s;
    int fd;
    (void)state;
    serve(&s, &flooding, NULL);
    fd = dial_small(&s, 4096);
    wait_until(&s, has_async_send, &s);
    assert_int_equal(px_server_close(s.server, 30), 0);
    assert_int_equal(px_run(s.rt, NULL), 0);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.last_status, PX_ECANCELED);
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
    assert_int_equal(seen.connected, seen.closed);
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
    assert_int_equal(seen.connected, 0);
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(close__in_connected__sends_what_was_sent),
        TEST(close__in_received__sends_what_was_sent),
        TEST(close__in_sent__ends_the_connection),
        TEST(close__from_another_thread__after_what_was_posted),
        TEST(peer__closes_in_order__status_0),
        TEST(peer__resets_an_idle_connection__its_code),
        TEST(peer__resets_while_a_send_is_under_way__its_code),
        TEST(peer__resets_in_a_storm__all_are_closed_once),
        TEST(idle_deadline__closes__who_says_nothing),
        TEST(idle_deadline__spares__who_talks),
        TEST(send_deadline__closes__who_takes_nothing),
        TEST(send_deadline__holds__for_synchronous_sends),
        TEST(server_close__resets_connections__without_drain),
        TEST(server_close__closes_idle_connections_in_order__with_drain),
        TEST(server_close__lets_sends_finish__with_drain),
        TEST(server_close__resets_who_does_not_finish__at_the_deadline),
        TEST(runtime_release__ends_all__in_any_state),
        TEST(runtime_release__of_a_server_nobody_dialled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
