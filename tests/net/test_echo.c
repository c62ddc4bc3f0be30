/* What arrives and what is sent: every byte, in order, whatever the sizes, with
 * memory that does not grow. ctest: serial */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"
#include "process.h"
#include "rounds.h"
#include "sanitized.h"

enum { MB = 1 << 20 };

static int
echo(px_context *cx, const char *data, size_t count)
{
    return px_send(cx, data, count);
}

static const px_protocol echoing = {.received = echo};

/* ---- a client that talks and listens at the same time ---------------------
 */

typedef struct talk {
    int fd;
    const char *bytes;
    size_t count;
} talk;

static void *
talk_all(void *arg)
{
    talk *t = arg;
    return say(t->fd, t->bytes, t->count) ? t : NULL;
}

static void
assert_echoed(int fd, const char *bytes, size_t count)
{
    talk t = {fd, bytes, count};
    char *back = malloc(count);
    pthread_t thread;
    void *said;
    assert_int_equal(pthread_create(&thread, NULL, talk_all, &t), 0);
    assert_int_equal(hear(fd, back, count), count);
    pthread_join(thread, &said);
    assert_non_null(said);
    assert_memory_equal(back, bytes, count);
    free(back);
}

static void
echo__is_exact__for_all_sizes(void **state)
{
    static const size_t sizes[] = {1,     2,      3,      100,        4095,
                                   4096,  16384,  65535,  65536,      65537,
                                   99999, 262143, 262144, 3 * MB / 4, MB};
    char *bytes = malloc(MB);
    served s;
    int fd = serve_one(&s, &echoing, NULL);
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fill_pattern(bytes, sizes[i], (unsigned)i);
        assert_echoed(fd, bytes, sizes[i]);
    }
    hang_up(fd);
    wait_closed(&s, 1);
    free(bytes);
    unserve(&s);
}

static void
echo__is_exact__on_many_connections(void **state)
{
    enum { CLIENTS = 20, EACH = 100000 };
    char *bytes = malloc(EACH);
    int fds[CLIENTS];
    served s;
    (void)state;
    serve(&s, &echoing, NULL);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = dial(&s);
    for (int i = 0; i < CLIENTS; i++) {
        fill_pattern(bytes, EACH, (unsigned)i);
        assert_echoed(fds[i], bytes, EACH);
    }
    assert_int_equal(stats_of(&s).connections, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        hang_up(fds[i]);
    wait_closed(&s, CLIENTS);
    free(bytes);
    unserve(&s);
}

/* ---- lines: an answer for each, from the callback heap --------------------
 */

typedef struct line {
    size_t used;
    char bytes[256];
} line;

static int
line_connected(px_context *cx)
{
    line *l = px_base_alloc(cx, sizeof *l);
    if (!l)
        return PX_ENOMEM;
    l->used = 0;
    return px_context_set_data(cx, l);
}

static int
line_answer(px_context *cx, const line *l)
{
    char *text =
        px_heap_printf(px_context_heap(cx), "<%.*s>\n", (int)l->used, l->bytes);
    return text ? px_send(cx, text, strlen(text)) : PX_ENOMEM;
}

static int
line_received(px_context *cx, const char *data, size_t count)
{
    line *l = px_context_data(cx);
    for (size_t i = 0; i < count; i++) {
        int status = 0;
        if (data[i] != '\n') {
            l->bytes[l->used++ % sizeof l->bytes] = data[i];
            continue;
        }
        status = line_answer(cx, l);
        l->used = 0;
        if (status)
            return status;
    }
    return 0;
}

static const px_protocol lines = {.connected = line_connected,
                                  .received = line_received};

static void
ask_and_check(int fd, int number)
{
    char text[32];
    snprintf(text, sizeof text, "%d\n", number);
    assert_true(say_text(fd, text));
    snprintf(text, sizeof text, "<%d>\n", number);
    assert_true(hears(fd, text));
}

static void
lines__are_answered__one_after_the_other(void **state)
{
    served s;
    int fd = serve_one(&s, &lines, NULL);
    (void)state;
    for (int i = 0; i < 1000; i++)
        ask_and_check(fd, i);
    hang_up(fd);
    wait_closed(&s, 1);
    assert_true(stats_of(&s).rolled_back_bytes >= 1000 * 16);
    assert_true(stats_of(&s).rollbacks >= 1000);
    unserve(&s);
}

/* More answers in one callback than fit into a record, or into one call of the
 * system. */
static void
lines__are_answered_in_order__when_pipelined(void **state)
{
    enum { COUNT = 5000 };
    char *all = malloc(COUNT * 8), *end = all;
    served s;
    int fd = serve_one(&s, &lines, NULL);
    (void)state;
    for (int i = 0; i < COUNT; i++)
        end += sprintf(end, "%d\n", i);
    assert_true(say(fd, all, (size_t)(end - all)));
    for (int i = 0; i < COUNT; i++) {
        char text[32];
        snprintf(text, sizeof text, "<%d>\n", i);
        assert_true(hears(fd, text));
    }
    hang_up(fd);
    free(all);
    unserve(&s);
}

static void
half_close__gets_the_answers__then_the_end(void **state)
{
    served s;
    int fd = serve_one(&s, &lines, NULL);
    (void)state;
    assert_true(say_text(fd, "a\nb\nc\nrest"));
    hush(fd);
    assert_true(hears(fd, "<a>\n<b>\n<c>\n"));
    assert_int_equal(hear_end(fd), 0);
    hang_up(fd);
    wait_closed(&s, 1);
    unserve(&s);
}

/* ---- sent ------------------------------------------------------------------
 */

enum { STREAM_PARTS = 200, STREAM_PART = 30000 };

typedef struct stream {
    unsigned parts;
    char bytes[STREAM_PART];
} stream;

static int
stream_next(px_context *cx)
{
    stream *st = px_context_data(cx);
    if (st->parts == STREAM_PARTS)
        return px_close(cx);
    fill_pattern(st->bytes, sizeof st->bytes, st->parts++);
    return px_send(cx, st->bytes, sizeof st->bytes);
}

static int
stream_connected(px_context *cx)
{
    stream *st = px_base_alloc(cx, sizeof *st);
    if (!st)
        return PX_ENOMEM;
    st->parts = 0;
    px_context_set_data(cx, st);
    return stream_next(cx);
}

/* One buffer for all parts: each must have left before sent is called. */
static void
sent__comes_when_all_has_left__and_may_send_more(void **state)
{
    const px_protocol p = {
        .connected = stream_connected, .received = echo, .sent = stream_next};
    char *expected = malloc(STREAM_PART), *heard = malloc(STREAM_PART);
    served s;
    int fd;
    (void)state;
    serve(&s, &p, NULL);
    fd = dial_small(&s, 4096);
    for (unsigned i = 0; i < STREAM_PARTS; i++) {
        fill_pattern(expected, STREAM_PART, i);
        assert_int_equal(hear(fd, heard, STREAM_PART), STREAM_PART);
        assert_memory_equal(heard, expected, STREAM_PART);
    }
    assert_int_equal(hear_end(fd), 0);
    hang_up(fd);
    wait_closed(&s, 1);
    assert_int_equal(stats_of(&s).sent_bytes, STREAM_PARTS * STREAM_PART);
    free(expected);
    free(heard);
    unserve(&s);
}

/* ---- back-pressure ---------------------------------------------------------
 */

static bool
is_stuck(void *arg)
{
    px_server_stats stats = stats_of(arg);
    return stats.read_pauses > 0 && stats.async_sends > 0;
}

/* The client listens to nothing until the server has come to wait with a send
 * and stopped reading; then what the server holds is bounded by what it may
 * read ahead. */
static void
backpressure__pauses_reading__and_goes_on(void **state)
{
    enum { COUNT = 32 * MB };
    char *bytes = malloc(COUNT), *back = malloc(COUNT);
    talk t = {.bytes = bytes, .count = COUNT};
    pthread_t thread;
    void *said;
    served s;
    (void)state;
    fill_pattern(bytes, COUNT, 7);
    serve(&s, &echoing, NULL);
    t.fd = dial_small(&s, 4096);
    assert_int_equal(pthread_create(&thread, NULL, talk_all, &t), 0);
    wait_until(&s, is_stuck, &s);
    assert_int_equal(hear(t.fd, back, COUNT), COUNT);
    pthread_join(thread, &said);
    assert_non_null(said);
    assert_memory_equal(back, bytes, COUNT);
    hang_up(t.fd);
    wait_closed(&s, 1);
    free(bytes);
    free(back);
    unserve(&s);
}

/* ---- options ---------------------------------------------------------------
 */

static void
echo__works__with_each_number_of_attempts(void **state)
{
    static const unsigned attempts[] = {0, 1, 2, 100};
    char *bytes = malloc(MB);
    (void)state;
    fill_pattern(bytes, MB, 3);
    for (int i = 0; i < 4; i++) {
        px_server_options options;
        served s;
        int fd;
        px_server_options_init(&options);
        options.max_sync_send_attempts = attempts[i];
        serve(&s, &echoing, &options);
        fd = dial_small(&s, 4096);
        assert_echoed(fd, bytes, MB);
        if (attempts[i] == 0)
            assert_int_equal(stats_of(&s).async_sends, 0);
        unserve_one(&s, fd);
    }
    free(bytes);
}

static int
keep_block(px_context *cx, const char *data, size_t count)
{
    char **last = px_context_data(cx);
    char *block = px_alloc(cx, 64);
    if (!last) {
        last = px_base_alloc(cx, sizeof *last);
        px_context_set_data(cx, last);
        *last = block;
    }
    return *last == block ? px_send(cx, "same", 4 + 0 * count)
                          : px_send(cx, "diff", 4 + 0 * (data != NULL));
}

static void
rollback__gives_each_callback_the_same_memory__unless_switched_off(void **state)
{
    const px_protocol p = {.received = keep_block};
    (void)state;
    for (int on = 0; on < 2; on++) {
        px_server_options options;
        served s;
        int fd;
        px_server_options_init(&options);
        options.rollback = on;
        fd = serve_one(&s, &p, &options);
        say_text(fd, "1");
        assert_true(hears(fd, "same"));
        say_text(fd, "2");
        assert_true(hears(fd, on ? "same" : "diff"));
        hang_up(fd);
        wait_closed(&s, 1);
        assert_int_equal(stats_of(&s).rollbacks > 0, on);
        unserve(&s);
    }
}

static int
send_name(px_context *cx)
{
    const char *name = px_peer_name(cx);
    assert_ptr_equal(px_peer_name(cx), name);
    return name ? px_send(cx, name, strlen(name)) : PX_EFAILED;
}

static void
assert_named(int family)
{
    const px_protocol p = {.connected = send_name, .received = echo};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6,
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET,
                               .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr *to =
        family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    socklen_t size = family == AF_INET6 ? sizeof six : sizeof four;
    px_server_options options;
    char expected[64];
    served s;
    int fd = socket(family, SOCK_STREAM, 0);
    px_server_options_init(&options);
    options.host = family == AF_INET6 ? "::1" : "127.0.0.1";
    serve(&s, &p, &options);
    six.sin6_port = four.sin_port = htons((uint16_t)px_server_port(s.server));
    assert_int_equal(connect(fd, to, size), 0);
    assert_int_equal(getsockname(fd, to, &size), 0);
    snprintf(
        expected, sizeof expected,
        family == AF_INET6 ? "[::1]:%u" : "127.0.0.1:%u",
        (unsigned)ntohs(family == AF_INET6 ? six.sin6_port : four.sin_port));
    assert_true(hears(fd, expected));
    unserve_one(&s, fd);
}

static void
peer_name__is_the_address_of_the_client(void **state)
{
    (void)state;
    assert_named(AF_INET);
}

static void
peer_name__has_brackets__for_ipv6(void **state)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6,
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool possible =
        fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
    (void)state;
    if (fd >= 0)
        close(fd);
    if (!possible)
        skip(); /* a machine without IPv6 */
    assert_named(AF_INET6);
}

static void
stats__add_up__when_all_is_over(void **state)
{
    served s;
    px_server_stats stats;
    int fd;
    (void)state;
    fd = serve_one(&s, &lines, NULL);
    for (int i = 0; i < 10; i++)
        ask_and_check(fd, 5);
    hang_up(fd);
    wait_closed(&s, 1);
    stats = stats_of(&s);
    assert_int_equal(stats.accepted, 1);
    assert_int_equal(stats.closed, 1);
    assert_int_equal(stats.callbacks, 11); /* connected and ten lines */
    assert_int_equal(stats.received_bytes, 20);
    assert_int_equal(stats.sent_bytes, 40);
    assert_int_equal(stats.rollbacks, 11);
    assert_int_equal(stats.timeouts, 0);
    unserve(&s);
}

/* ---- memory ----------------------------------------------------------------
 */

static int
use_memory(px_context *cx, const char *data, size_t count)
{
    char *copy = px_heap_memdup(px_context_heap(cx), data, count);
    char *more = px_alloc(cx, 3000);
    if (!copy || !more)
        return PX_ENOMEM;
    memset(more, 1, 3000);
    return px_send(cx, copy, count);
}

/* PX_TEST_ROUNDS=1000000 for the long run. */
static void
memory__stays_flat__over_many_rounds(void **state)
{
    const px_protocol p = {.received = use_memory};
    long rounds = rounds_or(20000);
    size_t before = 0;
    served s;
    int fd = serve_one(&s, &p, NULL);
    (void)state;
    for (long i = 0; i < rounds; i++) {
        char number[32];
        snprintf(number, sizeof number, "%ld", i);
        assert_true(say_text(fd, number));
        assert_true(hears(fd, number));
        if (i == rounds / 10)
            before = resident_bytes();
    }
    assert_true(PX_SANITIZED || resident_bytes() < before + MB);
    hang_up(fd);
    wait_closed(&s, 1);
    assert_true(stats_of(&s).rolled_back_bytes > (uint64_t)rounds * 3000);
    unserve(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo__is_exact__for_all_sizes),
        cmocka_unit_test(echo__is_exact__on_many_connections),
        cmocka_unit_test(lines__are_answered__one_after_the_other),
        cmocka_unit_test(lines__are_answered_in_order__when_pipelined),
        cmocka_unit_test(half_close__gets_the_answers__then_the_end),
        cmocka_unit_test(sent__comes_when_all_has_left__and_may_send_more),
        cmocka_unit_test(backpressure__pauses_reading__and_goes_on),
        cmocka_unit_test(echo__works__with_each_number_of_attempts),
        cmocka_unit_test(
            rollback__gives_each_callback_the_same_memory__unless_switched_off),
        cmocka_unit_test(peer_name__is_the_address_of_the_client),
        cmocka_unit_test(peer_name__has_brackets__for_ipv6),
        cmocka_unit_test(stats__add_up__when_all_is_over),
        cmocka_unit_test(memory__stays_flat__over_many_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
