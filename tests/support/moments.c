/* See moments.h. */
#include "moments.h"

#include "ends.h"

#include "net/conn.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

enum { MORE_THAN_IS_READ = 150000, LONG_MS = 60000, LETTERS = 3 };

static struct {
    int held; /* callbacks at the gate; atomic, as are the others */
    int open;
    int said; /* the client has said all */
} gate;

/* ---- waiting ------------------------------------------------------------- */

static void
await(bool (*condition)(void *arg), void *arg)
{
    time_t end = time(NULL) + CLIENT_PATIENCE_S;
    while (!condition(arg)) {
        sched_yield();
        if (time(NULL) > end)
            fail_msg("a moment was not reached");
    }
}

/* Whoever asks in a callback keeps the runtime from going away meanwhile. */
static bool
is_being_released(px_context *cx)
{
    px_runtime *rt = px__conn_of(cx)->server->rt;
    if (!px__activity_begin(rt))
        return true;
    px__activity_end(rt);
    return false;
}

static void
stand_at_the_gate(px_context *cx)
{
    count_up(&gate.held);
    while (!peek(&gate.open) && !is_being_released(cx))
        sched_yield();
}

/* ---- callbacks that hold ------------------------------------------------- */

static int
hold_in_connected(px_context *cx)
{
    note_connected(cx);
    stand_at_the_gate(cx);
    return 0;
}

static int
hold_in_received(px_context *cx, const char *data, size_t count)
{
    (void)data;
    (void)count;
    stand_at_the_gate(cx);
    return 0;
}

static int
answer_and_hold(px_context *cx, const char *data, size_t count)
{
    int status = px_send(cx, data, count);
    stand_at_the_gate(cx);
    return status;
}

static int
hold_in_sent(px_context *cx)
{
    stand_at_the_gate(cx);
    return 0;
}

static void
hold_in_closed(px_context *cx, int status)
{
    stand_at_the_gate(cx);
    note_closed(cx, status);
}

static int
flood_and_close(px_context *cx)
{
    int status = flood(cx);
    return status ? status : px_close(cx);
}

/* Not before there are bytes that nobody will read. */
static int
close_when_all_is_said(px_context *cx, const char *data, size_t count)
{
    (void)data;
    (void)count;
    while (!peek(&gate.said))
        sched_yield();
    return px_close(cx);
}

static int
close_in_received(px_context *cx, const char *data, size_t count)
{
    (void)data;
    (void)count;
    return px_close(cx);
}

static int
fail_in_received(px_context *cx, const char *data, size_t count)
{
    (void)data;
    return px_fail(cx, PX_EFULL, "%zu bytes are too many", count);
}

/* ---- what the server is like, and what happens to it --------------------- */

static void
read_little(px_server_options *options)
{
    options->max_receive_bytes = 1;
}

static void
watch_the_idle(px_server_options *options)
{
    options->idle_timeout_ms = LONG_MS;
}

static void
never_write_later(px_server_options *options)
{
    options->max_sync_send_attempts = 0;
}

static bool
is_held(void *arg)
{
    (void)arg;
    return peek(&gate.held) > 0;
}

static int
swallow_letter(px_context *cx, void *bytes, size_t count)
{
    (void)cx;
    (void)bytes;
    return count == LETTERS ? 0 : PX_EFAILED;
}

static void
post_letters(served *s)
{
    await(is_held, s);
    for (int i = 0; i < LETTERS; i++)
        assert_int_equal(px_post(seen.cx, swallow_letter, "abc", LETTERS), 0);
}

static void
drain(served *s)
{
    assert_int_equal(px_server_close(s->server, LONG_MS), 0);
    s->server = NULL;
}

static void
drain_when_held(served *s)
{
    await(is_held, s);
    drain(s);
}

/* ---- what is waited for -------------------------------------------------- */

static px__conn *
connection(void)
{
    return px__conn_of(__atomic_load_n(&seen.cx, __ATOMIC_ACQUIRE));
}

static bool
is_at_rest(void *arg)
{
    return is_kept(arg) && px_context_state(seen.cx) == PX_IDLE;
}

static bool
has_ended_input(void *arg)
{
    return is_held(arg) &&
           px__load_seqcst(&connection()->signals) & PX__SIGNAL_EOF;
}

static bool
is_paused(void *arg)
{
    return is_held(arg) && stats_of(arg).read_pauses > 0;
}

static bool
is_writing(void *arg)
{
    served *s = arg;
    bool writing;
    if (!is_kept(arg))
        return false;
    px__loop_enter(s->rt);
    writing = connection()->writing;
    px__loop_leave(s->rt);
    return writing;
}

static void
drain_when_writing(served *s)
{
    await(is_writing, s);
    drain(s);
}

/* A connection lingers for a second at most: a slow test may come too late. */
static bool
lingers(void *arg)
{
    served *s = arg;
    bool lingering;
    if (!is_kept(arg))
        return false;
    px__loop_enter(s->rt);
    lingering = connection()->lingering;
    px__loop_leave(s->rt);
    return lingering || peek(&seen.closed);
}

static bool
is_closed(void *arg)
{
    (void)arg;
    return peek(&seen.closed) > 0;
}

/* ---- the moments --------------------------------------------------------- */

#define RECEIVES(fn)                                                           \
    {                                                                          \
        .connected = note_connected, .received = (fn), .closed = note_closed   \
    }

#define BEGINS(fn)                                                             \
    {                                                                          \
        .connected = (fn), .received = swallow, .closed = note_closed          \
    }

const moment moments[] = {
    /* QUIET */
    {"silent", RECEIVES(echo), .is_reached = is_at_rest, .fails = true},
    {"silent, with a deadline", RECEIVES(echo), watch_the_idle,
     .is_reached = is_at_rest, .fails = true},
    {"after an answer", RECEIVES(echo), .says = 1, .hears = true,
     .is_reached = is_at_rest, .fails = true},
    /* CALLED */
    {"in connected", BEGINS(hold_in_connected), .is_reached = is_held,
     .notices = true, .fails = true},
    {"in received", RECEIVES(hold_in_received), .says = 1,
     .is_reached = is_held, .notices = true, .fails = true},
    {"in received, with an answer", RECEIVES(answer_and_hold), .says = 1,
     .is_reached = is_held, .notices = true, .fails = true},
    {"in received, with mail", RECEIVES(hold_in_received), .says = 1,
     .then = post_letters, .is_reached = is_held, .notices = true,
     .fails = true},
    {"reading is paused", RECEIVES(hold_in_received), read_little,
     .says = MORE_THAN_IS_READ, .is_reached = is_paused, .fails = true},
    {"half closed", RECEIVES(hold_in_received), .says = 1, .hushes = true,
     .is_reached = has_ended_input},
    {"half closed, with an answer", RECEIVES(answer_and_hold), .says = 1,
     .hushes = true, .is_reached = has_ended_input, .fails = true},
    {"in a long synchronous send", BEGINS(flood), never_write_later, 4096,
     .hears = true, .is_reached = is_kept, .fails = true},
    /* FLYING */
    {"sending", BEGINS(flood), NULL, 4096, .is_reached = is_writing,
     .fails = true},
    {"sending, closed after that", BEGINS(flood_and_close), NULL, 4096,
     .is_reached = is_writing, .fails = true},
    /* LEFT */
    {"in sent",
     {.connected = note_connected,
      .received = echo,
      .sent = hold_in_sent,
      .closed = note_closed},
     .says = 1,
     .is_reached = is_held,
     .notices = true,
     .fails = true},
    /* the server drains */
    {"draining, in received", RECEIVES(hold_in_received), .says = 1,
     .then = drain_when_held, .is_reached = is_held, .notices = true,
     .fails = true},
    {"draining, sending", BEGINS(flood), NULL, 4096, .then = drain_when_writing,
     .is_reached = is_kept, .fails = true},
    /* CLOSING */
    {"lingering", RECEIVES(close_when_all_is_said), read_little,
     .says = MORE_THAN_IS_READ, .is_reached = lingers},
    {"in closed",
     {.connected = note_connected,
      .received = close_in_received,
      .closed = hold_in_closed},
     .says = 1,
     .is_reached = is_held},
    {"failed, the error waits", RECEIVES(fail_in_received), .says = 1,
     .is_reached = is_closed, .fails = true},
};

const unsigned moment_count = sizeof moments / sizeof *moments;

/* ---- reaching ------------------------------------------------------------ */

static void
say_much(int fd, const moment *m)
{
    char *bytes = calloc(1, m->says + 1);
    assert_true(say(fd, bytes, m->says));
    free(bytes);
    count_up(&gate.said);
    if (m->hushes)
        hush(fd);
}

static void
begin(served *s, const moment *m)
{
    px_server_options options;
    setup(NULL);
    memset(&gate, 0, sizeof gate);
    seen.keep = true;
    px_server_options_init(&options);
    if (m->choose)
        m->choose(&options);
    serve(s, &m->protocol, &options);
}

int
moment_reach(served *s, const moment *m)
{
    char byte;
    int fd;
    begin(s, m);
    fd = dial_small(s, m->receive_bytes);
    say_much(fd, m);
    if (m->hears)
        assert_int_equal(hear(fd, &byte, 1), 1);
    await(is_kept, s);
    if (m->then)
        m->then(s);
    await(m->is_reached, s);
    seen.keep = false; /* who comes after is not kept */
    return fd;
}

void
moment_await_notice(const moment *m)
{
    if (m->notices)
        await(has_ended_input, NULL);
}

void
moment_pass(void)
{
    count_up(&gate.open);
}

void
moment_forget(void)
{
    px_context_release(seen.cx);
    seen.cx = NULL;
}

int
moment_connected(void)
{
    return peek(&seen.connected);
}

int
moment_closed(void)
{
    return peek(&seen.closed);
}

int
moment_status(void)
{
    return peek(&seen.last_status);
}
