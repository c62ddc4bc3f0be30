/* The ends of connections: from every callback, from elsewhere, by the peer. */
#include "ends.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

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

/* One buffer is read, the rest waits in the system when the server closes:
 * that must not reset the connection, which could take the answer with it. */
static void
close__with_unread_bytes__lets_the_peer_hear_the_answer(void **state)
{
    const px_protocol p = {.received = listen_and_close, .closed = note_closed};
    char *bytes = calloc(1, MORE_THAN_IS_READ);
    px_server_options options;
    served s;
    int fd;
    (void)state;
    said = 0;
    px_server_options_init(&options);
    options.max_receive_bytes = 1;
    serve(&s, &p, &options);
    fd = dial(&s);
    assert_true(say(fd, bytes, MORE_THAN_IS_READ));
    count_up(&said);
    assert_true(hears(fd, "bye"));
    assert_int_equal(hear_end(fd), 0);
    hang_up(fd);
    assert_one_end(&s, 0);
    free(bytes);
    unserve(&s);
}

/* A peer that never ends is not waited for. */
static void
close__with_unread_bytes__does_not_wait_for_ever(void **state)
{
    const px_protocol p = {.received = listen_and_close, .closed = note_closed};
    char *bytes = calloc(1, MORE_THAN_IS_READ);
    px_server_options options;
    served s;
    int fd;
    (void)state;
    said = 0;
    px_server_options_init(&options);
    options.max_receive_bytes = 1;
    options.send_timeout_ms = 0; /* lingering has a deadline of its own */
    serve(&s, &p, &options);
    fd = dial(&s);
    assert_true(say(fd, bytes, MORE_THAN_IS_READ));
    count_up(&said);
    assert_one_end(&s, 0);
    hang_up(fd);
    free(bytes);
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
    assert_int_equal(peek(&seen.closed), 1);
    assert_true(peek(&seen.last_status) < 0);
    unserve(&s);
}

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
        TEST(close__from_another_thread__after_what_was_posted),
        TEST(peer__closes_in_order__status_0),
        TEST(peer__resets_an_idle_connection__its_code),
        TEST(peer__resets_while_a_send_is_under_way__its_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
