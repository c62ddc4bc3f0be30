/*
 * Servers under pressure while the system fails them: peers that do not read,
 * peers that write faster than they are read, more peers than are let in. See
 * test_net.c for what must hold.
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
echo(px_context *cx, const char *data, size_t count)
{
    return px_send(cx, data, count);
}

static const px_protocol echoing = {
    .connected = site_connected, .received = echo, .closed = site_closed};

/* ---- slow readers -------------------------------------------------------- */

/* Together the buffers take far less than the answer. */
enum { ANSWER_BYTES = 1 << 20, SOME_BUFFER = 64 * 1024, SMALL_BUFFER = 4096 };

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

static bool
has_come_to_wait(void)
{
    return fault_watched() > 0;
}

/* Reads nothing until the server has found that it must wait: on its own
 * thread, or by way of the loop. */
static int
visit_slowly(void)
{
    bool stays = !plan.options.max_sync_send_attempts;
    int fd = site_dial(SMALL_BUFFER);
    fault_watch("poll");
    int status = site_say(fd, "?", 1);
    if (!status)
        status = site_await(stays ? has_come_to_wait : has_gone_asynchronous);
    site_widen(fd);
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
    plan.send_buffer = SOME_BUFFER;
    torture("slow reader");
    plan.options.max_sync_send_attempts = 0;
    torture("slow reader, all sends synchronous");
}

static void
unread_answer__is_cut_off__whatever_fails(void **state)
{
    (void)state;
    plan_visit(&generous, visit_and_leave_unread);
    plan.send_buffer = SOME_BUFFER;
    torture("unread answer, close");
    plan.end = SITE_DRAIN;
    plan.drain_ms = 10;
    torture("unread answer, drain");
    plan.end = SITE_RELEASE;
    torture("unread answer, release");
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
    return *so_far == UPLOAD_BYTES ? px_send(cx, site_line, sizeof site_line)
                                   : 0;
}

static const px_protocol uploading = {.connected = site_connected,
                                      .received = count_upload,
                                      .closed = site_closed};

static int
visit_upload(void)
{
    int fd = site_dial(0);
    int status = site_say(fd, answer, UPLOAD_BYTES);
    return status ? status : site_hear(fd, site_line, sizeof site_line);
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
        status = site_say_and_hear(fds[i]);
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

/* ---- the whole ----------------------------------------------------------- */

static void
points__are_as_many_as_ever(void **state)
{
    (void)state;
    print_message("fault: %zu points\n", fault_total_points());
    assert_true(fault_points_of("poll") > 0);
    assert_true(fault_points_of("uv_write") > 0);
    assert_true(fault_total_points() >= FLOOR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_reader__is_served__whatever_fails),
        cmocka_unit_test(unread_answer__is_cut_off__whatever_fails),
        cmocka_unit_test(upload__survives_each_failure__with_pauses),
        cmocka_unit_test(crowd__survives_each_failure),
        cmocka_unit_test(points__are_as_many_as_ever),
    };
    return cmocka_run_group_tests(tests, ask_always, NULL);
}
