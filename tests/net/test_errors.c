/* What goes wrong: callbacks that fail, in every position, with and without a
 * failed callback; bad input; limits of connections and descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <string.h>
#include <sys/resource.h>

#include "client.h"

/* Which callback fails. */
enum place { CONNECTED, RECEIVED, SENT, MESSAGE, PLACES };

static struct {
    enum place place;
    int closed;
    int failed_calls;
    int last_status;
} seen;

/* The place changes while a connection rests. */
static enum place
place_now(void)
{
    return __atomic_load_n(&seen.place, __ATOMIC_ACQUIRE);
}

static void
set_place(enum place place)
{
    __atomic_store_n(&seen.place, place, __ATOMIC_RELEASE);
}

static int
peek(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static int
setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    return 0;
}

static int
fail_at(px_context *cx, enum place place)
{
    if (place_now() != place)
        return 0;
    return px_fail(cx, -77, "failed at place %d", (int)place);
}

static int
on_message(px_context *cx, void *bytes, size_t count)
{
    (void)bytes;
    (void)count;
    return fail_at(cx, MESSAGE);
}

static int
on_connected(px_context *cx)
{
    return fail_at(cx, CONNECTED);
}

static int
on_received(px_context *cx, const char *data, size_t count)
{
    int status = px_send(cx, data, count);
    if (!status && place_now() == MESSAGE)
        status = px_post(cx, on_message, NULL, 0);
    return status ? status : fail_at(cx, RECEIVED);
}

static int
on_sent(px_context *cx)
{
    return fail_at(cx, SENT);
}

static void
on_closed(px_context *cx, int status)
{
    (void)cx;
    __atomic_store_n(&seen.last_status, status, __ATOMIC_RELEASE);
    __atomic_fetch_add(&seen.closed, 1, __ATOMIC_ACQ_REL);
}

static int
deal_with_it(px_context *cx, const px_error *error)
{
    __atomic_fetch_add(&seen.failed_calls, 1, __ATOMIC_ACQ_REL);
    assert_int_equal(error->code, -77);
    return px_send(cx, "sorry", 5);
}

static int
give_up(px_context *cx, const px_error *error)
{
    __atomic_fetch_add(&seen.failed_calls, 1, __ATOMIC_ACQ_REL);
    return px_fail(cx, -78, "after %s", error->message);
}

static px_protocol
failing(int (*failed)(px_context *, const px_error *))
{
    return (px_protocol){.connected = on_connected,
                         .received = on_received,
                         .sent = on_sent,
                         .closed = on_closed,
                         .failed = failed};
}

static bool
was_reported(void *arg)
{
    return ((served *)arg)->errors > 0;
}

static void
assert_fails(enum place place, int (*failed)(px_context *, const px_error *),
             int code)
{
    const px_protocol p = failing(failed);
    served s;
    int fd;
    setup(NULL);
    set_place(place);
    fd = serve_one(&s, &p, NULL);
    say_text(fd, "x");
    wait_until(&s, was_reported, &s);
    assert_int_equal(s.last_error, code);
    assert_int_equal(peek(&seen.closed), 1);
    assert_int_equal(peek(&seen.last_status), code);
    assert_int_equal(peek(&seen.failed_calls), failed != NULL);
    unserve_one(&s, fd);
    assert_int_equal(s.errors, 1);
}

static void
failure__goes_to_main__and_closes(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++)
        assert_fails(place, NULL, -77);
}

static void
failure__of_failed__replaces_the_error(void **state)
{
    (void)state;
    for (enum place place = 0; place < PLACES; place++)
        assert_fails(place, give_up, -78);
}

/* The connection lives on after each failure; what failed sends, leaves. A
 * failed sent callback is called again when its own answer has left, so there
 * the place is changed. */
static int
deal_with_it_once(px_context *cx, const px_error *error)
{
    if (place_now() == SENT)
        set_place(PLACES);
    return deal_with_it(cx, error);
}

static void
failure__that_is_dealt_with__lets_the_connection_live(void **state)
{
    static const char *const expected[] = {"sorryx", "xsorry", "xsorry",
                                           "xsorry"};
    (void)state;
    for (enum place place = 0; place < PLACES; place++) {
        const px_protocol p = failing(deal_with_it_once);
        served s;
        int fd;
        setup(NULL);
        set_place(place);
        fd = serve_one(&s, &p, NULL);
        say_text(fd, "x");
        assert_true(hears(fd, expected[place]));
        set_place(PLACES);
        say_text(fd, "fine");
        assert_true(hears(fd, "fine"));
        hang_up(fd);
        wait_closed(&s, 1);
        assert_int_equal(peek(&seen.failed_calls), 1);
        assert_int_equal(peek(&seen.last_status), 0);
        unserve(&s);
        assert_int_equal(s.errors, 0);
    }
}

/* The memory that an error points into stays until the host lets go of it. */
static int
fail_with_payload(px_context *cx, const char *data, size_t count)
{
    px_fail(cx, -79, "with a payload");
    px_fail_payload(cx, px_heap_memdup(px_context_heap(cx), data, count));
    return -79;
}

static void
failure__keeps_its_memory__until_it_is_released(void **state)
{
    const px_protocol p = {.received = fail_with_payload};
    const px_error *error = NULL;
    served s;
    int fd, status = 0;
    (void)state;
    fd = serve_one(&s, &p, NULL);
    say_text(fd, "evidence");
    while (status >= 0)
        status = px_run_once(s.rt, 100, &error);
    assert_int_equal(status, -79);
    assert_memory_equal(error->payload, "evidence", 8);
    assert_true(px_owns(error->context, error->payload));
    hang_up(fd);
    assert_int_equal(px_server_close(s.server, 0), 0);
    px_run_once(s.rt, 0, NULL);
    assert_memory_equal(error->payload, "evidence", 8);
    px_error_release(error);
    assert_int_equal(px_run(s.rt, NULL), 0);
    assert_int_equal(px_runtime_release(s.rt), 0);
}

/* ---- bad input --------------------------------------------------------------
 */

static int
echo(px_context *cx, const char *data, size_t count)
{
    assert_int_equal(px_send(cx, NULL, 1), PX_EINVAL);
    assert_int_equal(px_send(cx, data, 0), PX_EINVAL);
    assert_int_equal(px_send(NULL, data, count), PX_EINVAL);
    return px_send(cx, data, count);
}

static const px_protocol echoing = {.received = echo};

static int
open_with(px_runtime *rt, const px_server_options *options)
{
    px_server *server = NULL;
    int status = px_server_open(rt, &echoing, options, &server);
    assert_true(status == 0 || server == NULL);
    if (!status)
        px_server_close(server, 0);
    return status;
}

#define ASSERT_REFUSED(code, assignment)                                       \
    do {                                                                       \
        px_server_options options;                                             \
        px_server_options_init(&options);                                      \
        options.assignment;                                                    \
        assert_int_equal(open_with(rt, &options), code);                       \
    } while (0)

static void
open__refuses_bad_input(void **state)
{
    const px_protocol deaf = {.connected = on_connected};
    px_server *server = NULL;
    px_runtime *rt;
    (void)state;
    assert_int_equal(px_runtime_create(NULL, &rt), 0);
    assert_int_equal(px_server_open(NULL, &echoing, NULL, &server), PX_EINVAL);
    assert_int_equal(px_server_open(rt, NULL, NULL, &server), PX_EINVAL);
    assert_int_equal(px_server_open(rt, &deaf, NULL, &server), PX_EINVAL);
    assert_int_equal(px_server_open(rt, &echoing, NULL, NULL), PX_EINVAL);
    ASSERT_REFUSED(PX_EINVAL, size = 3);
    ASSERT_REFUSED(PX_EINVAL, size = sizeof options + 1);
    ASSERT_REFUSED(PX_EINVAL, host = NULL);
    ASSERT_REFUSED(PX_EINVAL, host = "localhost");
    ASSERT_REFUSED(PX_EINVAL, host = "1.2.3.4.5");
    ASSERT_REFUSED(PX_EINVAL, backlog = 0);
    ASSERT_REFUSED(PX_EINVAL, max_receive_bytes = 0);
    ASSERT_REFUSED(PX_EINVAL, context.size = 3);
    ASSERT_REFUSED(0, max_connections = 1);
    assert_null(server);
    px_server_options_init(NULL);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

static void
functions__refuse_what_is_no_connection(void **state)
{
    px_server_stats stats = {.size = 4};
    px_context *cx;
    served s;
    (void)state;
    serve(&s, &echoing, NULL);
    assert_int_equal(px_context_create(NULL, &cx), 0);
    assert_int_equal(px_enter(cx), 0);
    assert_int_equal(px_send(cx, "x", 1), PX_EINVAL);
    assert_int_equal(px_close(cx), PX_EINVAL);
    assert_null(px_peer_name(cx));
    assert_int_equal(px_server_close(s.server, 0), PX_EWRONGTHREAD);
    assert_int_equal(px_leave(cx), 0);
    px_context_release(cx);
    assert_int_equal(px_close(NULL), PX_EINVAL);
    assert_null(px_peer_name(NULL));
    assert_int_equal(px_server_port(NULL), PX_EINVAL);
    assert_int_equal(px_server_close(NULL, 0), 0);
    assert_int_equal(px_server_get_stats(NULL, &stats), PX_EINVAL);
    assert_int_equal(px_server_get_stats(s.server, NULL), PX_EINVAL);
    assert_int_equal(px_server_get_stats(s.server, &stats), PX_EINVAL);
    stats.size = sizeof stats + 1;
    assert_int_equal(px_server_get_stats(s.server, &stats), PX_EINVAL);
    unserve(&s);
}

/* An older program knows fewer fields. */
static void
stats__fill_no_more__than_the_caller_knows(void **state)
{
    px_server_stats stats;
    served s;
    (void)state;
    serve(&s, &echoing, NULL);
    memset(&stats, 0x5a, sizeof stats);
    stats.size = offsetof(px_server_stats, closed);
    assert_int_equal(px_server_get_stats(s.server, &stats), 0);
    assert_int_equal(stats.accepted, 0);
    assert_int_equal(stats.closed, 0x5a5a5a5a5a5a5a5a);
    unserve(&s);
}

static void
open__tells_when_the_port_is_in_use(void **state)
{
    px_server_options options;
    served s;
    (void)state;
    serve(&s, &echoing, NULL);
    px_server_options_init(&options);
    options.port = (uint16_t)px_server_port(s.server);
    assert_string_equal(px_strerror(open_with(s.rt, &options)),
                        "address already in use");
    unserve(&s);
}

/* ---- limits -----------------------------------------------------------------
 */

static void
max_connections__pauses_accepting__until_one_closes(void **state)
{
    px_server_options options;
    served s;
    int first, second, third;
    (void)state;
    px_server_options_init(&options);
    options.max_connections = 2;
    serve(&s, &echoing, &options);
    first = dial(&s);
    second = dial(&s);
    say_text(first, "1");
    say_text(second, "2");
    assert_true(hears(first, "1"));
    assert_true(hears(second, "2"));
    third = dial(&s); /* in the system's queue */
    say_text(third, "3");
    assert_int_equal(stats_of(&s).accepted, 2);
    assert_true(stats_of(&s).accept_pauses > 0);
    hang_up(first);
    assert_true(hears(third, "3"));
    assert_int_equal(stats_of(&s).connections, 2);
    hang_up(second);
    hang_up(third);
    wait_closed(&s, 3);
    unserve(&s);
}

static bool
accepting_paused(void *arg)
{
    return stats_of(arg).accept_pauses > 0;
}

/* No descriptor is left for the server's side of the connection, which waits,
 * and is served as soon as there is one. */
static void
descriptors__that_run_out__pause_accepting(void **state)
{
    struct rlimit before, tight;
    px_runtime_stats load = {.size = sizeof load};
    uint64_t turns;
    served s;
    int fd = serve_one(&s, &echoing, NULL);
    (void)state;
    have_echoed(fd);
    hang_up(fd);
    wait_closed(&s, 1);
    getrlimit(RLIMIT_NOFILE, &before);
    fd = make_client(0);
    tight = before;
    tight.rlim_cur = (rlim_t)fd + 1; /* the last one below the limit */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    connect_client(&s, fd);
    wait_until(&s, accepting_paused, &s);
    px_runtime_get_stats(s.rt, &load);
    turns = load.loop_turns;
    say_text(fd, "patience");
    setrlimit(RLIMIT_NOFILE, &before);
    assert_true(hears(fd, "patience"));
    px_runtime_get_stats(s.rt, &load);
    assert_true(load.loop_turns - turns < 100); /* it has not spun */
    hang_up(fd);
    wait_closed(&s, 2);
    unserve(&s);
}

/* ---- memory
 * ------------------------------------------------------------------ */

/* Options of a server whose connections share @quota. */
static px_server_options
within(px_quota *quota)
{
    px_server_options options;
    px_server_options_init(&options);
    px_context_options_init(&options.context);
    options.context.quota = quota;
    return options;
}

static size_t
bytes_of_one_connection(void)
{
    px_server_options options;
    px_quota *quota;
    size_t used;
    served s;
    int fd;
    assert_int_equal(px_quota_create((size_t)1 << 40, NULL, &quota), 0);
    options = within(quota);
    fd = serve_one(&s, &echoing, &options);
    have_echoed(fd);
    used = px_quota_used(quota);
    unserve_one(&s, fd);
    assert_int_equal(px_quota_used(quota), 0);
    px_quota_release(quota);
    return used;
}

static bool
is_free(void *quota)
{
    return px_quota_used(quota) == 0;
}

/* A connection that there is no memory for is closed, and the one that there is
 * goes on; afterwards there is room again. */
static void
memory__that_runs_out__turns_away_a_connection(void **state)
{
    px_server_options options;
    px_quota *quota;
    served s;
    int first, second;
    (void)state;
    assert_int_equal(
        px_quota_create(bytes_of_one_connection() + 1000, NULL, &quota), 0);
    options = within(quota);
    serve(&s, &echoing, &options);
    first = dial(&s);
    say_text(first, "x");
    assert_true(hears(first, "x"));
    second = dial(&s);
    assert_true(hear_end(second) != -1);
    hang_up(second);
    wait_until(&s, accepting_paused, &s);
    assert_int_equal(stats_of(&s).accepted, 1);
    say_text(first, "still");
    assert_true(hears(first, "still"));
    hang_up(first);
    wait_until(&s, is_free, quota); /* the context is freed by main */
    second = dial(&s);
    say_text(second, "y");
    assert_true(hears(second, "y"));
    hang_up(second);
    unserve(&s);
    px_quota_release(quota);
}

static void
open__keeps_the_quota__of_its_connections(void **state)
{
    px_server_options options;
    px_quota *quota = NULL;
    served s;
    int fd;
    (void)state;
    assert_int_equal(px_quota_create((size_t)64 << 20, NULL, &quota), 0);
    px_server_options_init(&options);
    px_context_options_init(&options.context);
    options.context.quota = quota;
    serve(&s, &echoing, &options);
    px_quota_release(quota);
    fd = dial(&s);
    assert_true(say_text(fd, "charged"));
    assert_true(hears(fd, "charged"));
    hang_up(fd);
    wait_closed(&s, 1);
    unserve(&s);
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(failure__goes_to_main__and_closes),
        TEST(failure__of_failed__replaces_the_error),
        TEST(failure__that_is_dealt_with__lets_the_connection_live),
        TEST(failure__keeps_its_memory__until_it_is_released),
        TEST(open__refuses_bad_input),
        TEST(functions__refuse_what_is_no_connection),
        TEST(stats__fill_no_more__than_the_caller_knows),
        TEST(open__tells_when_the_port_is_in_use),
        TEST(open__keeps_the_quota__of_its_connections),
        TEST(max_connections__pauses_accepting__until_one_closes),
        TEST(descriptors__that_run_out__pause_accepting),
        TEST(memory__that_runs_out__turns_away_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
