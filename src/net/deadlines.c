/*
 * Deadlines: one timer for each server, and none for a request.
 *
 * A tick looks at every connection. With a tick of a quarter of the shortest
 * deadline (5 ms to 1 s) a deadline is met late by half its length at most, and
 * never early; that costs a request nothing but the store of a time that the
 * loop has at hand. The timer runs only while there is something to watch.
 *
 * Idle is who rests (the life's IDLE) and neither received nor sent anything.
 * A connection whose callback takes long is not idle, and one whose peer does
 * not take its bytes is late, which has a deadline of its own.
 *
 *   a connection that  has until                        then
 *   -----------------  -------------------------------  ----------------------
 *   rests              quiet_since + idle_timeout       TIMEOUT: it closes
 *   is written for     write_began + send_timeout       TIMEOUT, write aborted
 *   lingers            linger_end                       its socket is closed
 *   runs, is READY     for ever (see stall_ms of the runtime)
 *   (a thread that waits for room in a socket watches send_timeout itself, in
 *   send.c: it is not seen from here while it runs)
 *
 * Invariants
 *   E1  the timer is active while any deadline, a retry or a drain is due:
 *       whoever adds one calls px__deadlines_arm(), and so does each tick
 *   E2  arm brings the timer forward and never puts it off, so that a server
 *       which is always given new deadlines still ticks
 *   E3  quiet_since is written by reads and ends of writes on the baton; a send
 *       on a worker sets `traffic`, which the next tick turns into its own time.
 *       That is why idleness is found late, and never early
 *
 * Threads: the baton; of what it looks at only `traffic`, `signals` and the
 * state of life are written elsewhere, and are atomic.
 *
 * Rejected: a list in the order of the deadlines (a sent answer moves the
 * deadline, and the sender does not have the baton).
 */
#include "net/conn.h"

#include "context/life.h"

enum { TICK_MIN_MS = 5, TICK_MAX_MS = 1000, TICKS_EACH = 4 };

/* The signal may be set already by who waits in send.c, or by a tick whose
 * connection has not had its turn yet: one timeout is counted once. */
static void
expire(px__conn *conn)
{
    if (!(px__load_relaxed(&conn->signals) & PX__SIGNAL_HARD))
        PX__COUNT(conn->server, timeouts);
    px__conn_raise(conn, PX__SIGNAL_TIMEOUT);
}

/* Whether there was traffic since the last tick, or is to be soon. The state is
 * only a hint here: a connection that leaves IDLE right after the look was idle
 * until then, and its run finds the signal behind whatever woke it. */
static bool
is_busy(px__conn *conn)
{
    if (px__life_state(conn->strand.cx) != PX_IDLE)
        return true;
    if (!px__load_relaxed(&conn->traffic))
        return false;
    px__store_relaxed(&conn->traffic, 0);
    return true;
}

static void
check_idle(px__conn *conn, uint64_t now_ms, unsigned timeout_ms)
{
    if (is_busy(conn))
        conn->quiet_since_ms = now_ms;
    else if (now_ms - conn->quiet_since_ms >= timeout_ms)
        expire(conn);
}

/* Three mutually exclusive deadlines: lingering begins when nothing is written
 * any more, and writing is not idling. */
static void
check(px__conn *conn, uint64_t now_ms)
{
    const px_server_options *options = &conn->server->options;
    if (conn->lingering) {
        if (now_ms >= conn->linger_end_ms)
            px__conn_end_linger(conn);
    } else if (conn->writing) {
        if (options->send_timeout_ms &&
            now_ms - conn->write_began_ms >= options->send_timeout_ms)
            expire(conn);
    } else if (options->idle_timeout_ms) {
        check_idle(conn, now_ms, options->idle_timeout_ms);
    }
}

/* No connection leaves the list in here: closing a handle ends in a callback of a
 * later turn. */
static void
check_all(px_server *server, uint64_t now_ms)
{
    px__list *link;
    for (link = server->conns.next; link != &server->conns; link = link->next)
        check(PX_CONTAINER(link, px__conn, link), now_ms);
}

/* One shot, armed anew by what is left to watch: an empty server has no timer
 * that wakes the process. */
static void
on_tick(uv_timer_t *timer)
{
    px_server *server = timer->data;
    uint64_t now_ms = uv_now(timer->loop);
    check_all(server, now_ms);
    if (server->retry_ms && now_ms >= server->retry_ms)
        px__listener_resume(server);
    if (server->drain_end_ms && now_ms >= server->drain_end_ms)
        px__server_cut_off(server);
    px__deadlines_arm(server);
}

/* ---- when the next tick is due ------------------------------------------- */

static uint64_t
smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Until a moment, of which 0 means never. */
static uint64_t
time_until(uint64_t moment_ms, uint64_t now_ms)
{
    if (!moment_ms)
        return UINT64_MAX;
    return moment_ms > now_ms ? moment_ms - now_ms : 0;
}

/* The shortest deadline that a connection may be under; UINT64_MAX: none. */
static uint64_t
shortest_ms(const px_server *server)
{
    uint64_t shortest = UINT64_MAX;
    if (px__list_empty(&server->conns))
        return shortest;
    if (server->options.idle_timeout_ms)
        shortest = smaller(shortest, server->options.idle_timeout_ms);
    if (server->options.send_timeout_ms)
        shortest = smaller(shortest, server->options.send_timeout_ms);
    if (server->lingering)
        shortest = smaller(shortest, PX__LINGER_MS);
    return shortest;
}

static uint64_t
tick_ms(const px_server *server)
{
    uint64_t shortest = shortest_ms(server);
    uint64_t tick = smaller(shortest / TICKS_EACH, TICK_MAX_MS);
    if (shortest == UINT64_MAX)
        return UINT64_MAX;
    return tick > TICK_MIN_MS ? tick : TICK_MIN_MS;
}

/* A running timer is only ever brought forward: were each call to begin its
 * time anew, a busy server would never tick. */
void
px__deadlines_arm(px_server *server)
{
    uint64_t now_ms = uv_now(server->timer.loop);
    uint64_t due = tick_ms(server);
    due = smaller(due, time_until(server->retry_ms, now_ms));
    due = smaller(due, time_until(server->drain_end_ms, now_ms));
    if (due == UINT64_MAX || server->timer_closing)
        return;
    if (!uv_is_active((uv_handle_t *)&server->timer) ||
        uv_timer_get_due_in(&server->timer) > due)
        uv_timer_start(&server->timer, on_tick, due, 0);
}

void
px__deadlines_init(px_server *server)
{
    uv_timer_init(px__loop(server->rt), &server->timer);
    server->timer.data = server;
}
