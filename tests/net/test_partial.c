/*
 * Sends that the socket takes in bits: the library's sendmsg is replaced by one
 * that says EAGAIN four times in five, or takes a few bytes. Each answer is
 * made in the callback heap, and memory that was rolled back too early would
 * show: debug builds overwrite it, and the next callback does in any case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"

static struct {
    unsigned again_percent;
    unsigned most_bytes;
    bool broken;
    bool poll_broken;
} shim;

static uint32_t
draw(void)
{
    static _Thread_local uint32_t x;
    if (!x)
        x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

static ssize_t
send_few(int fd, const struct msghdr *message, int flags, size_t most)
{
    struct iovec first = message->msg_iov[0];
    struct msghdr few = {.msg_iov = &first, .msg_iovlen = 1};
    if (first.iov_len > most)
        first.iov_len = most;
    return __real_sendmsg(fd, &few, flags);
}

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    assert_true(flags & MSG_NOSIGNAL);
    if (shim.broken) {
        errno = EPIPE;
        return -1;
    }
    if (draw() % 100 < shim.again_percent) {
        errno = EAGAIN;
        return -1;
    }
    return send_few(fd, message, flags, 1 + draw() % shim.most_bytes);
}

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

int
__wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    if (!shim.poll_broken)
        return __real_poll(fds, count, timeout_ms);
    errno = ENOMEM;
    return -1;
}

/* The answer to "n\n": three pieces, of which two lie in the callback heap. */
static int
answer(px_context *cx, unsigned number)
{
    px_heap *heap = px_context_heap(cx);
    size_t count = number % 700 + 1;
    char *body = px_alloc(cx, count);
    char *head = px_heap_printf(heap, "%u %zu", number, count);
    if (!body || !head)
        return px_fail(cx, PX_ENOMEM, "no room for an answer");
    fill_pattern(body, count, number);
    int status = px_send(cx, head, strlen(head));
    if (!status)
        status = px_send(cx, "\n", 1);
    return status ? status : px_send(cx, body, count);
}

static int
connected(px_context *cx)
{
    unsigned *number = px_base_alloc(cx, sizeof *number);
    if (!number)
        return PX_ENOMEM;
    *number = 0;
    return px_context_set_data(cx, number);
}

static int
received(px_context *cx, const char *data, size_t count)
{
    unsigned *number = px_context_data(cx);
    int status = 0;
    for (size_t i = 0; i < count && !status; i++) {
        if (data[i] == '\n') {
            status = answer(cx, *number);
            *number = 0;
        } else {
            *number = *number * 10 + (unsigned)(data[i] - '0');
        }
    }
    return status;
}

static void
expect_answer(int fd, unsigned number)
{
    size_t count = number % 700 + 1;
    char head[32], body[700], expected[700];
    snprintf(head, sizeof head, "%u %zu\n", number, count);
    assert_true(hears(fd, head));
    assert_int_equal(hear(fd, body, count), count);
    fill_pattern(expected, count, number);
    assert_memory_equal(body, expected, count);
}

/* Requests go out in groups, so that answers are pipelined. */
static void
run_requests(unsigned total, unsigned group, unsigned attempts)
{
    const px_protocol p = {.connected = connected, .received = received};
    px_server_options options;
    served s;
    int fd;
    px_server_options_init(&options);
    options.max_sync_send_attempts = attempts;
    serve(&s, &p, &options);
    fd = dial(&s);
    for (unsigned sent = 0; sent < total; sent += group) {
        for (unsigned i = 0; i < group; i++) {
            char text[16];
            snprintf(text, sizeof text, "%u\n", sent + i);
            assert_true(say_text(fd, text));
        }
        for (unsigned i = 0; i < group; i++)
            expect_answer(fd, sent + i);
    }
    hang_up(fd);
    wait_closed(&s, 1);
    assert_true(attempts == 0 || stats_of(&s).async_sends > 0);
    unserve(&s);
}

static void
requests__are_answered_exactly__when_sends_are_refused(void **state)
{
    (void)state;
    memset(&shim, 0, sizeof shim);
    shim.again_percent = 80;
    shim.most_bytes = 1000;
    run_requests(10000, 1, 1);
}

static void
requests__are_answered_exactly__when_sends_take_few_bytes(void **state)
{
    (void)state;
    memset(&shim, 0, sizeof shim);
    shim.again_percent = 10;
    shim.most_bytes = 40;
    run_requests(10000, 20, 3);
}

static void
requests__are_answered_exactly__when_the_thread_stays(void **state)
{
    (void)state;
    memset(&shim, 0, sizeof shim);
    shim.again_percent = 50;
    shim.most_bytes = 90;
    run_requests(3000, 5, 0);
}

static int closed_status;

static void
note_closed(px_context *cx, int status)
{
    (void)cx;
    __atomic_store_n(&closed_status, status, __ATOMIC_RELEASE);
}

/* With the shim as it is: an answer that cannot leave closes the connection with
 * an error that reads so, and does nothing else. */
static void
assert_end_of_send(const px_server_options *options, const char *reason)
{
    const px_protocol p = {
        .connected = connected, .received = received, .closed = note_closed};
    served s;
    serve(&s, &p, options);
    int fd = dial(&s);
    say_text(fd, "600\n");
    wait_closed(&s, 1);
    int status = __atomic_load_n(&closed_status, __ATOMIC_ACQUIRE);
    assert_string_equal(px_strerror(status), reason);
    hang_up(fd);
    unserve(&s);
    assert_int_equal(s.errors, 0);
}

static void
sends__that_fail__close_with_the_code(void **state)
{
    (void)state;
    memset(&shim, 0, sizeof shim);
    shim.broken = true;
    assert_end_of_send(NULL, "broken pipe");
}

/* The thread stays with a full socket, and cannot wait for room: no deadline is
 * to be waited for. */
static void
sends__that_cannot_wait__close_with_the_code(void **state)
{
    px_server_options options;
    (void)state;
    memset(&shim, 0, sizeof shim);
    shim.again_percent = 100;
    shim.poll_broken = true;
    px_server_options_init(&options);
    options.max_sync_send_attempts = 0;
    options.send_timeout_ms = 0;
    assert_end_of_send(&options, "not enough memory");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            requests__are_answered_exactly__when_sends_are_refused),
        cmocka_unit_test(
            requests__are_answered_exactly__when_sends_take_few_bytes),
        cmocka_unit_test(requests__are_answered_exactly__when_the_thread_stays),
        cmocka_unit_test(sends__that_fail__close_with_the_code),
        cmocka_unit_test(sends__that_cannot_wait__close_with_the_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
