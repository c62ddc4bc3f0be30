/*
 * Servers while the system refuses memory, descriptors and sends. A failure may
 * cost a connection, and the client sees its end; it must neither hang nor
 * crash anything, and the same server must serve the next client.
 *
 * Each scenario is tortured by itself: opening, the visit, and the end.
 *
 * ctest: slow
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pxrt.h>

#include "base/atomic.h"
#include "fault.h"
#include "fault_range.h"
#include "fault_site.h"

/* Fewer points than this mean that calls have gone past the wrappers. */
enum { FLOOR = 700 };

static site plan;

static void
plan_visit(const px_protocol *protocol, int (*visit)(void))
{
    site_plan(&plan, protocol, visit);
}

static void
torture(const char *what)
{
    const char *wrong = site_torture(&plan, what);
    if (wrong)
        fail_msg("%s: %s", what, wrong);
}

static int
live(void)
{
    return site_live(&plan);
}

/* ---- opening ------------------------------------------------------------- */

static int
echo(px_context *cx, const char *data, size_t count)
{
    return px_send(cx, data, count);
}

static const px_protocol echoing = {
    .connected = site_connected, .received = echo, .closed = site_closed};

static void
open__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&echoing, NULL);
    torture("open and close");
    plan.end = SITE_RELEASE;
    plan.workers = 1;
    torture("open and release");
}

/* ---- echo ---------------------------------------------------------------- */

static int
visit_echo(void)
{
    int fd = site_dial(0), status = 0;
    for (int i = 0; i < 3 && !status; i++)
        status = site_say_and_hear(fd);
    return status;
}

static void
echo__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&echoing, visit_echo);
    torture("echo");
    plan.workers = 1;
    plan.end = SITE_RELEASE;
    plan.options.rollback = false;
    torture("echo, one worker, no rollback, release");
}

/* ---- many pieces --------------------------------------------------------- */

/* Each byte is a piece of its own: more of them than the record has room for,
 * and than one system call takes. */
static int
echo_bytes(px_context *cx, const char *data, size_t count)
{
    int status = 0;
    for (size_t i = 0; i < count && !status; i++)
        status = px_send(cx, data + i, 1);
    return status;
}

static const px_protocol in_pieces = {
    .connected = site_connected, .received = echo_bytes, .closed = site_closed};

/* Lines are said without waiting for the answers. */
static int
visit_pipelined(void)
{
    int fd = site_dial(0), status = 0;
    for (int i = 0; i < 8 && !status; i++)
        status = site_say(fd, site_line, sizeof site_line);
    for (int i = 0; i < 8 && !status; i++)
        status = site_hear(fd, site_line, sizeof site_line);
    return status;
}

static void
pieces__survive_each_failure__when_pipelined(void **state)
{
    (void)state;
    plan_visit(&in_pieces, visit_pipelined);
    torture("pipelined, in pieces");
}

/* ---- posts between connections ------------------------------------------- */

enum { GUESTS = 3 };

static px_mutex room;
static px_context *guests[2 * GUESTS]; /* some may be about to leave */
static int guest_count;

static int
come_in(px_context *cx)
{
    px_mutex_lock(&room);
    bool full = guest_count == 2 * GUESTS;
    if (!full)
        guests[guest_count++] = px_context_retain(cx);
    px_mutex_unlock(&room);
    site_connected(cx);
    return full ? PX_EFULL : 0;
}

/* Who is greeted is in. */
static int
enter(px_context *cx)
{
    int status = come_in(cx);
    return status ? status : px_send(cx, site_line, sizeof site_line);
}

static void
leave(px_context *cx, int status)
{
    px_mutex_lock(&room);
    for (int i = 0; i < guest_count; i++)
        if (guests[i] == cx) {
            guests[i] = guests[--guest_count];
            px_context_release(cx);
        }
    px_mutex_unlock(&room);
    site_closed(cx, status);
}

static int
pass_on(px_context *cx, void *bytes, size_t count)
{
    char *copy = px_heap_memdup(px_context_heap(cx), bytes, count);
    return copy ? px_send(cx, copy, count) : PX_ENOMEM;
}

/* A guest who is leaving need not hear it; all others do. */
static int
tell_all(px_context *cx, const char *data, size_t count)
{
    int status = 0;
    (void)cx;
    px_mutex_lock(&room);
    for (int i = 0; i < guest_count && !status; i++) {
        status = px_post(guests[i], pass_on, data, count);
        if (status == PX_ECLOSED)
            status = 0;
    }
    px_mutex_unlock(&room);
    return status;
}

static const px_protocol chatting = {
    .connected = enter, .received = tell_all, .closed = leave};

static int
chat(const int *fds)
{
    int status = 0;
    for (int i = 0; i < GUESTS && !status; i++) {
        status = site_say(fds[i], site_line, sizeof site_line);
        for (int j = 0; j < GUESTS && !status; j++)
            status = site_hear(fds[j], site_line, sizeof site_line);
    }
    return status;
}

/* Guests of an earlier visit may be in as well, about to leave: to count heads
 * would not do. */
static int
visit_chat(void)
{
    int fds[GUESTS], status = 0;
    for (int i = 0; i < GUESTS; i++)
        fds[i] = site_dial(0);
    for (int i = 0; i < GUESTS && !status; i++)
        status = site_hear(fds[i], site_line, sizeof site_line);
    return status ? status : chat(fds);
}

static void
chat__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&chatting, visit_chat);
    torture("chat");
}

/* ---- closing by the server ----------------------------------------------- */

static int
echo_and_close(px_context *cx, const char *data, size_t count)
{
    int status = px_send(cx, data, count);
    return status ? status : px_close(cx);
}

static const px_protocol one_answer = {
    .connected = come_in, .received = echo_and_close, .closed = leave};

/* All who are in, since one of before may have come late. */
static bool
close_who_is_in(void)
{
    px_mutex_lock(&room);
    for (int i = 0; i < guest_count; i++)
        (void)px_close(guests[i]);
    px_mutex_unlock(&room);
    return false;
}

/* The first is closed by its callback, the second by main. */
static int
visit_to_be_closed(void)
{
    int fd = site_dial(0);
    int status = site_say_and_hear(fd);
    if (!status)
        status = site_hear_end(fd);
    site_hang_up(fd);
    if (status)
        return status;
    (void)site_dial(0);
    status = site_await(close_who_is_in);
    return status == SITE_LOST ? 0 : status; /* as it was to be */
}

static void
close__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&one_answer, visit_to_be_closed);
    torture("closed by callback and by main");
}

/* ---- deadlines ----------------------------------------------------------- */

/* Says something, and nothing more. On a busy machine the deadline may pass
 * before even that. */
static int
visit_and_be_idle(void)
{
    int fd = site_dial(0);
    int status = site_say(fd, site_line, sizeof site_line);
    return status > 0 ? status : site_hear_end(fd);
}

static void
deadline__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&echoing, visit_and_be_idle);
    plan.options.idle_timeout_ms = 15;
    torture("idle deadline");
}

/* ---- callbacks that fail ------------------------------------------------- */

enum { ON_PURPOSE = -77 };

static int
fail_or_echo(px_context *cx, const char *data, size_t count)
{
    if (*data == '!')
        return px_fail(cx, ON_PURPOSE, "told to fail with %zu bytes", count);
    return px_send(cx, data, count);
}

static int
excuse(px_context *cx, const px_error *error)
{
    char *text = px_heap_printf(px_context_heap(cx), "%s", error->message);
    if (error->code != ON_PURPOSE || !text)
        return error->code;
    return px_send(cx, "sorry", 5);
}

static const px_protocol excusing = {.connected = site_connected,
                                     .received = fail_or_echo,
                                     .failed = excuse,
                                     .closed = site_closed};

static const px_protocol failing = {.connected = site_connected,
                                    .received = fail_or_echo,
                                    .closed = site_closed};

static int
visit_to_be_excused(void)
{
    int fd = site_dial(0);
    int status = site_say(fd, "!", 1);
    if (!status)
        status = site_hear(fd, "sorry", 5);
    return status ? status : site_say_and_hear(fd);
}

/* The connection goes with its error to main; the next one is served. */
static int
visit_to_be_failed(void)
{
    int fd = site_dial(0);
    int status = site_say(fd, "!", 1);
    if (!status)
        status = site_hear_end(fd);
    site_hang_up(fd);
    return status ? status : visit_echo();
}

static void
failed_callback__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&excusing, visit_to_be_excused);
    torture("failed callback, dealt with");
    plan_visit(&failing, visit_to_be_failed);
    torture("failed callback, to main");
}

/* ---- the other family ---------------------------------------------------- */

static int
tell_name(px_context *cx, const char *data, size_t count)
{
    const char *name = px_peer_name(cx);
    (void)data;
    (void)count;
    if (!name)
        return PX_ENOMEM;
    return px_send(cx, name, strcspn(name, "]"));
}

static const px_protocol naming = {
    .connected = site_connected, .received = tell_name, .closed = site_closed};

static int
visit_by_name(void)
{
    int fd = site_dial(0);
    int status = site_say(fd, "?", 1);
    return status ? status : site_hear(fd, "[::1", 4);
}

/* Systems without IPv6 refuse the address. */
static void
ipv6__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&naming, NULL);
    plan.options.host = "::1";
    if (live() != 0)
        skip();
    plan.visit = visit_by_name;
    torture("IPv6");
}

/* ---- the whole ----------------------------------------------------------- */

static void
points__are_as_many_as_ever__of_each_function(void **state)
{
    (void)state;
    static const char *const functions[] = {
        "accept4",           "bind",           "calloc",
        "getsockname",       "listen",         "malloc",
        "mprotect",          "pthread_create", "realloc",
        "sendmsg",           "setsockopt",     "socket",
        "uv_read_start",     "uv_poll_init",   "uv_poll_start",
        "uv_tcp_init",       "uv_tcp_open",    "uv_tcp_nodelay",
        "uv_tcp_close_reset"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        size_t points = fault_points_of(functions[i]);
        print_message("fault: %4zu of %s\n", points, functions[i]);
        assert_true(points > 0);
    }
    print_message("fault: %zu points\n", fault_total_points());
    assert_true(fault_total_points() >= FLOOR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open__survives_each_failure),
        cmocka_unit_test(echo__survives_each_failure),
        cmocka_unit_test(pieces__survive_each_failure__when_pipelined),
        cmocka_unit_test(chat__survives_each_failure),
        cmocka_unit_test(close__survives_each_failure),
        cmocka_unit_test(deadline__survives_each_failure),
        cmocka_unit_test(failed_callback__survives_each_failure),
        cmocka_unit_test(ipv6__survives_each_failure),
        cmocka_unit_test(points__are_as_many_as_ever__of_each_function),
    };
    return cmocka_run_group_tests(tests, ask_always, NULL);
}
