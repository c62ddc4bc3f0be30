/*
 * A connection's turn on a worker: which callback runs next, and what becomes
 * of its sends and of its memory.
 *
 * A run is a loop of steps; each step acts upon the stage (picture in conn.h)
 * and answers how to go on. The four ends of a run are those of the dispatcher.
 *
 *   stage   step                                       then
 *   ------  -----------------------------------------  -----------------------
 *   QUIET   next event: call its callback              CALLED
 *           nothing to do                              rest, or close
 *   CALLED  no pieces: roll back, give back the slot   QUIET, or close
 *           pieces: send; all left                     LEFT
 *                         some left                    FLYING (life: SENDING)
 *   FLYING  the loop has written the rest              LEFT
 *   LEFT    sent callback, which may send more         CALLED
 *
 *   bytes and messages wait              the next event is
 *   CLOSE (px_close() from elsewhere)    messages, LAST_MAIL at most; then close
 *   mail_next, a message                 the message
 *   a slot                               received
 *   EOF, no slot                         as for CLOSE, with the peer's status
 *   a message                            the message
 *   DRAIN                                close
 *   nothing                              rest
 *
 * Invariants
 *   T1  a callback runs in QUIET or LEFT only, so all that the one before it sent
 *       has left, or (LEFT) has its memory still
 *   T2  signals are loaded before the queues are looked into (N3): an end that is
 *       seen has everything that came before it in the queues already
 *   T3  the slot given to `received` goes back in be_quiet() or at the end, never
 *       in between: pieces may point into it
 *   T4  status is what `closed` will be told; the first reason stays
 *   T5  after a run's end (end_run) nothing of the record is touched: another
 *       thread may run it, and with CLOSE the baton
 *
 * The first thing of every step are the hard signals: deadline and reset close
 * from any stage. The callback heap is rolled back to the one snapshot that was
 * taken before the first callback; a recorded error keeps everything in place
 * until main has seen it.
 */
#include "net/conn.h"

#include "base/assert.h"
#include "context/life.h"

/* Callbacks of one connection in a row while others may be waiting. */
enum { BUDGET = 32 };

/* How a run goes on after a step. */
typedef enum verdict { GO_ON, REST, YIELD, SEND, CLOSE } verdict;

#define TO(stage) (1u << (stage))

static const uint32_t allowed[] = {
    [PX__QUIET] = TO(PX__CALLED),
    [PX__CALLED] = TO(PX__QUIET) | TO(PX__FLYING) | TO(PX__LEFT),
    [PX__FLYING] = TO(PX__LEFT),
    [PX__LEFT] = TO(PX__CALLED),
};

static void
move(px__conn *conn, enum px__stage to)
{
    PX_INVARIANT(allowed[conn->stage] & TO(to));
    conn->stage = to;
}

static px_context *
context_of(px__conn *conn)
{
    return conn->strand.cx;
}

/* Close with @status; the first reason is the one that is reported. */
static verdict
close_with(px__conn *conn, int status)
{
    if (!conn->status)
        conn->status = status;
    return CLOSE;
}

/* ---- memory -------------------------------------------------------------- */

static void
roll_back(px__conn *conn)
{
    px_heap *heap = px_context_heap(context_of(conn));
    uint64_t dropped = heap->rolled_back_bytes;
    int status;
    if (!conn->server->options.rollback || !conn->before.record)
        return;
    status = px_heap_rollback(heap, &conn->before);
    PX_CHECK(status == 0, "the snapshot before a callback is gone");
    conn->counts.rollbacks++;
    conn->counts.rolled_back_bytes += heap->rolled_back_bytes - dropped;
}

/* What a callback leaves behind goes: its memory, and the bytes it was given.
 * An error keeps the memory, which its payload may lie in. */
static void
drop_leftovers(px__conn *conn)
{
    if (!px_context_error(context_of(conn)))
        roll_back(conn);
    if (conn->slot)
        px__receive_done(conn, conn->slot);
    conn->slot = NULL;
}

/* ---- callbacks ----------------------------------------------------------- */

static int
call_failed(px_context *cx, const px_error *error, void *arg)
{
    px__conn *conn = arg;
    conn->counts.callbacks++;
    return conn->server->protocol.failed(cx, error);
}

/* A callback has returned @rc. */
static verdict
after_callback(px__conn *conn, int rc)
{
    px_context *cx = context_of(conn);
    bool handled = conn->server->protocol.failed != NULL;
    conn->counts.callbacks++;
    move(conn, PX__CALLED);
    if (PX_UNLIKELY(rc < 0 || px_context_error(cx)))
        rc = px__settle(cx, rc, handled ? call_failed : NULL, conn);
    return rc < 0 ? close_with(conn, rc) : GO_ON;
}

/* The first callback. The snapshot serves all others, too: rolling back to it
 * does not use it up. */
static verdict
greet(px__conn *conn)
{
    px_context *cx = context_of(conn);
    int (*connected)(px_context *) = conn->server->protocol.connected;
    if (conn->server->options.rollback) {
        int status = px_heap_snapshot(px_context_heap(cx), &conn->before);
        if (status)
            return close_with(conn, status);
    }
    conn->greeted = true;
    if (!connected)
        return GO_ON;
    return after_callback(conn, connected(cx));
}

/* The slot stays with the connection until QUIET, since its bytes may be sent
 * back without a copy. */
static verdict
hand_over(px__conn *conn, px__slot *slot)
{
    conn->slot = slot;
    conn->mail_next = true;
    conn->counts.received_bytes += slot->count;
    return after_callback(
        conn, conn->server->protocol.received(context_of(conn), slot->bytes,
                                              slot->count));
}

static verdict
deliver(px__conn *conn)
{
    conn->mail_next = false;
    return after_callback(conn, px__mailbox_run_one(context_of(conn)));
}

/* ---- what is next -------------------------------------------------------- */

/* The peer has ended, or px_close() was called from elsewhere: what was posted
 * before still runs, but not for ever, whatever others post. */
static verdict
take_leave(px__conn *conn, int status)
{
    if (!px__mailbox_waiting(context_of(conn)) || !conn->last_mail)
        return close_with(conn, status);
    conn->last_mail--;
    return deliver(conn);
}

/* Bytes and messages take turns, so that neither starves the other. */
static verdict
next_arrival(px__conn *conn, uint32_t signals)
{
    px__slot *slot;
    if (conn->mail_next && px__mailbox_waiting(context_of(conn)))
        return deliver(conn);
    slot = px__receive_take(conn);
    if (slot)
        return hand_over(conn, slot);
    if (signals & PX__SIGNAL_EOF)
        return take_leave(conn, conn->peer_status);
    if (px__mailbox_waiting(context_of(conn)))
        return deliver(conn);
    return signals & PX__SIGNAL_DRAIN ? close_with(conn, 0) : REST;
}

static verdict
next_event(px__conn *conn, uint32_t signals)
{
    if (!conn->greeted)
        return greet(conn);
    if (signals & PX__SIGNAL_CLOSE)
        return take_leave(conn, 0);
    return next_arrival(conn, signals);
}

/* ---- the other stages ---------------------------------------------------- */

/* The callback, and all that it sent, is over. */
static verdict
be_quiet(px__conn *conn)
{
    drop_leftovers(conn);
    move(conn, PX__QUIET);
    return conn->leaving ? close_with(conn, 0) : GO_ON;
}

/* SEND_LOOK: the next step finds the signal that ended the wait. */
static verdict
transmit(px__conn *conn)
{
    int answer = px__send_flush(conn);
    if (answer < 0)
        return close_with(conn, answer);
    if (answer == PX__SEND_ALL)
        move(conn, PX__LEFT);
    return answer == PX__SEND_REST ? SEND : GO_ON;
}

/* The loop has given the connection back: its write is done, or failed. */
static verdict
land(px__conn *conn)
{
    if (conn->write_status)
        return close_with(conn, conn->write_status);
    conn->counts.sent_bytes += conn->piece_bytes;
    px__send_forget(conn);
    move(conn, PX__LEFT);
    return GO_ON;
}

static verdict
tell_sent(px__conn *conn)
{
    int (*sent)(px_context *) = conn->server->protocol.sent;
    if (sent)
        return after_callback(conn, sent(context_of(conn)));
    move(conn, PX__CALLED);
    return GO_ON;
}

/* A deadline is told from a reset by its code only; both drop what was not sent.
 * From any stage, with or without pieces under way (there are none: a write of
 * the loop has been ended by who raised the signal). */
static verdict
cut_off(px__conn *conn, uint32_t signals)
{
    bool late = (signals & PX__SIGNAL_TIMEOUT) != 0;
    return close_with(conn, late ? PX_ETIMEDOUT : PX_ECANCELED);
}

static verdict
step(px__conn *conn)
{
    uint32_t signals = px__load_acquire(&conn->signals); /* N3 */
    bool calls = conn->stage == PX__QUIET || conn->stage == PX__LEFT;
    if (PX_UNLIKELY(signals & PX__SIGNAL_HARD))
        return cut_off(conn, signals);
    if (calls && conn->budget-- == 0)
        return YIELD;
    switch (conn->stage) {
    case PX__QUIET:
        return next_event(conn, signals);
    case PX__CALLED:
        return conn->piece_count ? transmit(conn) : be_quiet(conn);
    case PX__FLYING:
        return land(conn);
    case PX__LEFT:
        return tell_sent(conn);
    }
    return CLOSE;
}

/* ---- the ends of a run --------------------------------------------------- */

/* Once for each run rather than for each callback, and before its end: the
 * counters are up to date for whoever has seen what the run did. */
static void
add_counts(px__conn *conn)
{
    px__counts *total = px__server_counts(conn->server);
    px__counts *mine = &conn->counts;
    px__add_relaxed(&total->callbacks, mine->callbacks);
    px__add_relaxed(&total->received_bytes, mine->received_bytes);
    px__add_relaxed(&total->sent_bytes, mine->sent_bytes);
    px__add_relaxed(&total->rollbacks, mine->rollbacks);
    px__add_relaxed(&total->rolled_back_bytes, mine->rolled_back_bytes);
    *mine = (px__counts){0};
}

/* What a broken-off callback has gathered does not leave: half an answer is
 * worse than none. */
static void
begin_closing(px__conn *conn)
{
    px__send_forget(conn);
    if (conn->stage != PX__QUIET)
        drop_leftovers(conn);
    px__strand_closing(&conn->strand, &conn->close_op);
}

static void
begin_sending(px__conn *conn)
{
    PX__COUNT(conn->server, async_sends);
    move(conn, PX__FLYING);
    px__strand_sending(&conn->strand, &conn->write_op);
}

/* In CLOSING, with the socket closed: the last callback. */
static void
finish(px__conn *conn)
{
    px_context *cx = context_of(conn);
    void (*closed)(px_context *, int) = conn->server->protocol.closed;
    px__receive_discard(conn);
    if (closed && conn->greeted) {
        closed(cx, conn->status);
        conn->counts.callbacks++;
    }
    add_counts(conn);
    PX__COUNT(conn->server, closed);
    px__strand_over(&conn->strand);
}

/* After each of these calls another thread may own the connection. */
static void
end_run(px__conn *conn, verdict answer)
{
    switch (answer) {
    case SEND:
        begin_sending(conn);
        break;
    case CLOSE:
        begin_closing(conn);
        break;
    case YIELD:
        px__strand_wake(&conn->strand); /* it is PENDING: back in the queue */
        px__strand_rest(&conn->strand);
        break;
    default:
        px__strand_rest(&conn->strand);
    }
}

void
px__conn_run(px__strand *strand)
{
    px__conn *conn = PX_CONTAINER(strand, px__conn, strand);
    verdict answer;
    if (px__life_state(context_of(conn)) == PX_CLOSING) {
        finish(conn);
        return;
    }
    conn->budget = BUDGET;
    do
        answer = step(conn);
    while (answer == GO_ON);
    add_counts(conn);
    end_run(conn, answer);
}
