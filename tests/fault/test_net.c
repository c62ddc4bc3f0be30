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
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pxrt.h>

#include "base/atomic.h"
#include "fault.h"
#include "fault_site.h"

/* Fewer points than this mean that calls have gone past the wrappers. */
enum { FLOOR = 600 };

static site plan;

static int
live(void)
{
    return site_live(&plan);
}

/* A plan with the defaults, of which tests change what they are about. */
static void
plan_visit(const px_protocol *protocol, int (*visit)(void))
{
    memset(&plan, 0, sizeof plan);
    px_server_options_init(&plan.options);
    plan.protocol = protocol;
    plan.visit = visit;
    plan.workers = 2;
}

static void
torture(const char *what)
{
    size_t points = 0;
    const char *wrong = fault_torture(live, &points);
    print_message("fault: %s: %zu points\n", what, points);
    if (wrong)
        fail_msg("%s: %s", what, wrong);
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

static const char line[] = "something to be said and heard\n";

static int
say_and_hear(int fd)
{
    int status = site_say(fd, line, sizeof line - 1);
    return status ? status : site_hear(fd, line, sizeof line - 1);
}

static int
visit_echo(void)
{
    int fd = site_dial(0), status = 0;
    for (int i = 0; i < 3 && !status; i++)
        status = say_and_hear(fd);
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
        status = site_say(fd, line, sizeof line - 1);
    for (int i = 0; i < 8 && !status; i++)
        status = site_hear(fd, line, sizeof line - 1);
    return status;
}

static void
pieces__survive_each_failure__when_pipelined(void **state)
{
    (void)state;
    plan_visit(&in_pieces, visit_pipelined);
    torture("pipelined, in pieces");
}

/* ---- slow readers -------------------------------------------------------- */

/* More than the kernel takes for a peer that does not read. */
enum { ANSWER_BYTES = 6 << 20, SMALL_BUFFER = 4096 };

static char answer[ANSWER_BYTES];

static int
send_answer(px_context *cx, const char *data, size_t count)
{
    (void)data;
    (void)count;
    return px_send(cx, answer, sizeof answer);
}

static const px_protocol generous = {.connected = site_connected,
                                     .received = send_answer,
                                     .closed = site_closed};

static bool
has_gone_asynchronous(void)
{
    return site_stats().async_sends > 0;
}

static int
visit_slowly(void)
{
    int fd = site_dial(SMALL_BUFFER);
    int status = site_say(fd, "?", 1);
    if (!status && plan.options.max_sync_send_attempts)
        status = site_await(has_gone_asynchronous);
    return status ? status : site_hear(fd, answer, sizeof answer);
}

/* Never reads: the server is to end it. */
static int
visit_and_leave_unread(void)
{
    int fd = site_dial(SMALL_BUFFER);
    int status = site_say(fd, "?", 1);
    return status ? status : site_await(has_gone_asynchronous);
}

static void
slow_reader__is_served__whatever_fails(void **state)
{
    (void)state;
    plan_visit(&generous, visit_slowly);
    torture("slow reader");
    plan.options.max_sync_send_attempts = 0;
    plan.options.send_timeout_ms = 400; /* of a send that fails for good */
    torture("slow reader, all sends synchronous");
}

static void
unread_answer__is_cut_off__whatever_fails(void **state)
{
    (void)state;
    plan_visit(&generous, visit_and_leave_unread);
    torture("unread answer, close");
    plan.end = SITE_DRAIN;
    plan.drain_ms = 10;
    torture("unread answer, drain");
    plan.end = SITE_RELEASE;
    torture("unread answer, release");
}

/* ---- posts between connections ------------------------------------------- */

enum { GUESTS = 3 };

static px_mutex room;
static px_context *guests[2 * GUESTS]; /* some may be about to leave */
static int guest_count;

static int
enter(px_context *cx)
{
    px_mutex_lock(&room);
    bool full = guest_count == 2 * GUESTS;
    if (!full)
        guests[guest_count++] = px_context_retain(cx);
    px_mutex_unlock(&room);
    site_connected(cx);
    return full ? PX_EFULL : 0;
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

/* A guest who is leaving need not hear it. */
static int
tell_all(px_context *cx, const char *data, size_t count)
{
    int status = 0;
    (void)cx;
    px_mutex_lock(&room);
    for (int i = 0; i < guest_count && !status; i++)
        status = px_post(guests[i], pass_on, data, count);
    px_mutex_unlock(&room);
    return status == PX_ECLOSED ? 0 : status;
}

static const px_protocol chatting = {
    .connected = enter, .received = tell_all, .closed = leave};

static bool
all_are_in(void)
{
    px_mutex_lock(&room);
    int count = guest_count;
    px_mutex_unlock(&room);
    return count == GUESTS && site_stats().connections == GUESTS;
}

static bool
room_is_empty(void)
{
    return site_stats().connections == 0;
}

static int
chat(const int *fds)
{
    int status = 0;
    for (int i = 0; i < GUESTS && !status; i++) {
        status = site_say(fds[i], line, sizeof line - 1);
        for (int j = 0; j < GUESTS && !status; j++)
            status = site_hear(fds[j], line, sizeof line - 1);
    }
    return status;
}

static int
visit_chat(void)
{
    int fds[GUESTS];
    int status = site_await(room_is_empty);
    for (int i = 0; i < GUESTS; i++)
        fds[i] = site_dial(0);
    if (!status)
        status = site_await(all_are_in);
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

static px_context *kept; /* by main, of the last connection */

static int
show_to_main(px_context *cx)
{
    px_mutex_lock(&room);
    px_context_release(kept);
    kept = px_context_retain(cx);
    px_mutex_unlock(&room);
    return site_connected(cx);
}

static px_context *
take_kept(void)
{
    px_mutex_lock(&room);
    px_context *cx = kept;
    kept = NULL;
    px_mutex_unlock(&room);
    return cx;
}

static int
echo_and_close(px_context *cx, const char *data, size_t count)
{
    int status = px_send(cx, data, count);
    return status ? status : px_close(cx);
}

static const px_protocol one_answer = {.connected = show_to_main,
                                       .received = echo_and_close,
                                       .closed = site_closed};

static bool
somebody_is_in(void)
{
    px_mutex_lock(&room);
    bool in = kept != NULL;
    px_mutex_unlock(&room);
    return in;
}

/* The first is closed by its callback, the second by main. */
static int
visit_to_be_closed(void)
{
    int fd = site_dial(0);
    int status = say_and_hear(fd);
    if (!status)
        status = site_hear_end(fd);
    site_hang_up(fd);
    px_context_release(take_kept());
    fd = site_dial(0);
    if (!status)
        status = site_await(somebody_is_in);
    px_context *cx = take_kept();
    if (cx && px_close(cx) == 0 && !status)
        status = site_hear_end(fd);
    px_context_release(cx);
    return status;
}

/* The visit is over, and somebody may still have come in. */
static int
live_and_let_go(void)
{
    int status = live();
    px_context_release(take_kept());
    return status;
}

static void
close__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&one_answer, visit_to_be_closed);
    assert_fault_torture(live_and_let_go);
}

/* ---- deadlines ----------------------------------------------------------- */

static int
visit_and_be_idle(void)
{
    int fd = site_dial(0);
    int status = say_and_hear(fd);
    return status ? status : site_hear_end(fd);
}

static void
deadline__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&echoing, visit_and_be_idle);
    plan.options.idle_timeout_ms = 15;
    torture("idle deadline");
}

/* ---- back-pressure ------------------------------------------------------- */

enum { UPLOAD_BYTES = 1 << 20 };

/* The bytes so far are kept in the base heap, which lives as long as the
 * connection. */
static int
count_upload(px_context *cx, const char *data, size_t count)
{
    size_t *so_far = px_context_data(cx);
    (void)data;
    if (!so_far) {
        so_far = px_base_alloc(cx, sizeof *so_far);
        if (!so_far)
            return PX_ENOMEM;
        *so_far = 0;
        px_context_set_data(cx, so_far);
    }
    *so_far += count;
    return *so_far == UPLOAD_BYTES ? px_send(cx, line, sizeof line - 1) : 0;
}

static const px_protocol uploading = {.connected = site_connected,
                                      .received = count_upload,
                                      .closed = site_closed};

static int
visit_upload(void)
{
    int fd = site_dial(0);
    int status = site_say(fd, answer, UPLOAD_BYTES);
    return status ? status : site_hear(fd, line, sizeof line - 1);
}

static void
upload__survives_each_failure__with_pauses(void **state)
{
    (void)state;
    plan_visit(&uploading, visit_upload);
    plan.options.max_receive_bytes = 1; /* one buffer at a time */
    torture("upload, one buffer");
}

/* ---- a crowd ------------------------------------------------------------- */

enum { CROWD = 8 };

/* All wait in the kernel's queue; two at a time are let in. */
static int
visit_in_a_crowd(void)
{
    int fds[CROWD], status = 0;
    for (int i = 0; i < CROWD; i++)
        fds[i] = site_dial(0);
    for (int i = 0; i < CROWD && !status; i++) {
        status = say_and_hear(fds[i]);
        site_hang_up(fds[i]);
    }
    return status;
}

static void
crowd__survives_each_failure(void **state)
{
    (void)state;
    plan_visit(&echoing, visit_in_a_crowd);
    plan.workers = 4;
    torture("crowd");
    plan.options.max_connections = 2;
    torture("crowd, two at a time");
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
    return status ? status : say_and_hear(fd);
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
points__are_as_many_as_ever(void **state)
{
    (void)state;
    print_message("fault: %zu points\n", fault_total_points());
    assert_true(fault_total_points() >= FLOOR);
}

/* Windows are given back at once, so that each context asks for its own. */
static int
ask_always(void **state)
{
    px_range_options options;
    (void)state;
    for (size_t i = 0; i < sizeof answer; i++)
        answer[i] = (char)(i * 7 + i / 4093);
    px_range_options_init(&options);
    options.cache_bytes = 0;
    return px_range_configure(&options);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open__survives_each_failure),
        cmocka_unit_test(echo__survives_each_failure),
        cmocka_unit_test(pieces__survive_each_failure__when_pipelined),
        cmocka_unit_test(slow_reader__is_served__whatever_fails),
        cmocka_unit_test(unread_answer__is_cut_off__whatever_fails),
        cmocka_unit_test(chat__survives_each_failure),
        cmocka_unit_test(close__survives_each_failure),
        cmocka_unit_test(deadline__survives_each_failure),
        cmocka_unit_test(upload__survives_each_failure__with_pauses),
        cmocka_unit_test(crowd__survives_each_failure),
        cmocka_unit_test(failed_callback__survives_each_failure),
        cmocka_unit_test(ipv6__survives_each_failure),
        cmocka_unit_test(points__are_as_many_as_ever),
    };
    if (getenv("ONLY"))
        cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, ask_always, NULL);
}
