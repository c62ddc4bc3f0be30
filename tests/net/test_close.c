/* The ends of connections: from every callback, from elsewhere, by the peer. */
#include "ends.h"

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

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

/* The client says @said, if anything, hears @heard, and the orderly end. */
static void
assert_ends_after(const px_protocol *p, const char *said, const char *heard)
{
    served s;
    int fd = serve_one(&s, p, NULL);
    if (said)
        say_text(fd, said);
    assert_true(hears(fd, heard));
    assert_int_equal(hear_end(fd), 0);
    assert_one_end(&s, 0);
    unserve_one(&s, fd);
}

static void
close__in_connected__sends_what_was_sent(void **state)
{
    const px_protocol p = {
        .connected = greet_and_close, .received = echo, .closed = note_closed};
    (void)state;
    assert_ends_after(&p, NULL, "bye");
}

static void
close__in_received__sends_what_was_sent(void **state)
{
    const px_protocol p = {.connected = note_connected,
                           .received = answer_and_close,
                           .closed = note_closed};
    (void)state;
    assert_ends_after(&p, "hello", "hello");
}

static void
close__in_sent__ends_the_connection(void **state)
{
    const px_protocol p = {.connected = note_connected,
                           .received = echo,
                           .sent = px_close,
                           .closed = note_closed};
    (void)state;
    assert_ends_after(&p, "once", "once");
}

enum { MORE_THAN_IS_READ = 150000 };

static int said;

static int
listen_and_close(px_context *cx, const char *data, size_t count)
{
    (void)data;
    (void)count;
    while (!peek(&said))
        sched_yield();
    return greet_and_close(cx);
}

/* A server that closes when its client has said more than is read. */
static int
serve_much(served *s, const px_server_options *options)
{
    static const px_protocol p = {.received = listen_and_close,
                                  .closed = note_closed};
    static const char bytes[MORE_THAN_IS_READ];
    px_server_options reading_little = *options;
    said = 0;
    reading_little.max_receive_bytes = 1;
    int fd = serve_one(s, &p, &reading_little);
    assert_true(say(fd, bytes, sizeof bytes));
    count_up(&said);
    return fd;
}

/* One buffer is read, the rest waits in the system when the server closes:
 * that must not reset the connection, which could take the answer with it. */
static void
close__with_unread_bytes__lets_the_peer_hear_the_answer(void **state)
{
    px_server_options options;
    served s;
    (void)state;
    px_server_options_init(&options);
    int fd = serve_much(&s, &options);
    assert_true(hears(fd, "bye"));
    assert_int_equal(hear_end(fd), 0);
    hang_up(fd);
    assert_one_end(&s, 0);
    unserve(&s);
}

/* A peer that never ends is not waited for. */
static void
close__with_unread_bytes__does_not_wait_for_ever(void **state)
{
    px_server_options options;
    served s;
    (void)state;
    px_server_options_init(&options);
    options.send_timeout_ms = 0; /* lingering has a deadline of its own */
    int fd = serve_much(&s, &options);
    assert_one_end(&s, 0);
    unserve_one(&s, fd);
}

/* What a peer can send before it is cut off: what lingering reads, of which its
 * first bytes are a part, and all that the system keeps on the way. Read for its
 * full second it would be far more. */
enum {
    FLOOD_PART = 64 << 10,
    FLOOD_LEAST = (1 << 20) - MORE_THAN_IS_READ,
    FLOOD_MOST = 64 << 20
};

static size_t
send_until_refused(int fd)
{
    static const char part[FLOOD_PART];
    size_t sent = 0;
    ssize_t count;
    while (sent < FLOOD_MOST &&
           (count = send(fd, part, sizeof part, MSG_NOSIGNAL)) > 0)
        sent += (size_t)count;
    return sent;
}

static void
close__with_a_peer_that_never_stops__reads_only_so_much(void **state)
{
    px_server_options options;
    served s;
    (void)state;
    px_server_options_init(&options);
    int fd = serve_much(&s, &options);
    size_t sent = send_until_refused(fd);
    assert_true(sent >= FLOOD_LEAST && sent < FLOOD_MOST);
    assert_one_end(&s, 0);
    unserve_one(&s, fd);
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
    fd = serve_one(&s, &echoing, NULL);
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
    int fd = serve_one(&s, &echoing, NULL);
    (void)state;
    have_echoed(fd);
    reset(fd);
    wait_closed(&s, 1);
    assert_int_equal(peek(&seen.closed), 1);
    assert_true(peek(&seen.last_status) < 0);
    unserve(&s);
}

/* SIGPIPE would end this program. */
static void
peer__resets_while_a_send_is_under_way__its_code(void **state)
{
    served s;
    int fd = flood_one(&s, NULL);
    (void)state;
    reset(fd);
    wait_closed(&s, 1);
    assert_int_equal(peek(&seen.closed), 1);
    assert_true(peek(&seen.last_status) < 0);
    unserve(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(close__in_connected__sends_what_was_sent),
        TEST(close__in_received__sends_what_was_sent),
        TEST(close__in_sent__ends_the_connection),
        TEST(close__with_unread_bytes__lets_the_peer_hear_the_answer),
        TEST(close__with_unread_bytes__does_not_wait_for_ever),
        TEST(close__with_a_peer_that_never_stops__reads_only_so_much),
        TEST(close__from_another_thread__after_what_was_posted),
        TEST(peer__closes_in_order__status_0),
        TEST(peer__resets_an_idle_connection__its_code),
        TEST(peer__resets_while_a_send_is_under_way__its_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
