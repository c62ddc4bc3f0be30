/*
 * Receiving: the thread with the baton reads into slots, the owner takes them.
 *
 *   read callback --push--> arrived --flush, reverse--> queue --> slot
 *                  ahead + 1                              ahead - 1
 *
 * The two sides share a list and a word. Reading is paused when the word says
 * that enough slots are ahead, and resumed by who takes it back to half:
 *
 *   baton                               owner
 *   add ONE, then, at the limit,        subtract ONE; at half the limit with
 *   stop reading and set PAUSED;        PAUSED set: clear it, and who cleared
 *   if the owner has got to half        it posts resume_op
 *   meanwhile: clear it, go on
 *
 * Both only change the word by atomic operations, so one of them sees what the
 * other did (N5), and at most one resume_op is under way.
 *
 *   who writes   arrived      queue, slot    ahead        reading
 *   baton        push         -              + ONE, PAUSED   start, stop
 *   owner        flush        pop            - ONE, PAUSED   by resume_op only
 *
 * Invariants
 *   I1  ahead counts the slots in arrived and queue and the one being used; it
 *       is raised before the push and lowered after the use, so it may be too
 *       high for a moment, which pauses early, and never too low
 *   I2  uv calls on the handle happen on the baton only: the owner who finds
 *       that reading may go on posts an operation
 *   I3  the end of input is a signal that is set after the last push (N3 of
 *       conn.h): the owner that sees it has all bytes in its hands, or in arrived
 *
 * The limit counts slots rather than bytes: a peer that sends single bytes
 * fills a slot with each.
 *
 * Rejected: recv() by the owner (the loop would poll a socket that a worker is
 * about to empty, and each EAGAIN is a system call); one slot for each connection
 * (nothing could arrive while a callback runs, and idle ones would hold 64 KB).
 */
#include "net/conn.h"

#include "base/assert.h"

static unsigned
limit_of(const px__conn *conn)
{
    size_t slots = conn->server->options.max_receive_bytes / PX__SLOT_BYTES;
    return slots > 1 ? (unsigned)(slots < 1u << 20 ? slots : 1u << 20) : 1;
}

static bool
is_low(const px__conn *conn, uint32_t ahead)
{
    return ahead / PX__AHEAD_ONE <= limit_of(conn) / 2;
}

/* ---- the baton's side ---------------------------------------------------- */

/* The buffer of a read; a failure is reported to the read callback. */
static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    px__conn *conn = handle->data;
    px__slot *slot = px__slots_take(&conn->server->slots);
    (void)suggested;
    if (slot)
        slot->count = 0;
    *buf =
        slot ? uv_buf_init(slot->bytes, PX__SLOT_BYTES) : uv_buf_init(NULL, 0);
}

/* True when PAUSED was set and is now the caller's to act upon. */
static bool
clear_pause(px__conn *conn)
{
    return px__and_acqrel(&conn->ahead, ~(uint32_t)PX__AHEAD_PAUSED) &
           PX__AHEAD_PAUSED;
}

static void
pause_if_far_ahead(px__conn *conn)
{
    uint32_t ahead;
    if (px__load_relaxed(&conn->ahead) / PX__AHEAD_ONE < limit_of(conn))
        return;
    uv_read_stop((uv_stream_t *)&conn->tcp);
    PX__COUNT(conn->server, read_pauses);
    ahead = px__or_acqrel(&conn->ahead, PX__AHEAD_PAUSED);
    if (is_low(conn, ahead) && clear_pause(conn)) /* N5 */
        px__receive_resume(&conn->resume_op);
}

/* The count goes up before the slot can be taken: the owner must not lower what
 * has not been raised yet (I1). */
static void
take_bytes(px__conn *conn, px__slot *slot, size_t count)
{
    slot->count = count;
    px__add_relaxed(&conn->ahead, PX__AHEAD_ONE);
    px_ilist_push(&conn->arrived, &slot->link);
    conn->quiet_since_ms = uv_now(conn->tcp.loop);
    pause_if_far_ahead(conn);
    px__strand_collect(&conn->strand);
}

/* The peer has ended, or the network did. What had arrived is still handled; then
 * the connection closes with @status. If it lingers there is nothing left to
 * wait for. */
static void
end_of_input(px__conn *conn, int status)
{
    uv_read_stop((uv_stream_t *)&conn->tcp);
    conn->peer_status = status == UV_EOF ? 0 : status;
    px__conn_raise(conn, PX__SIGNAL_EOF);
    px__conn_end_linger(conn);
}

/* While the connection lingers: a peer that goes on and on is left. */
static void
drop_bytes(px__conn *conn, size_t count)
{
    if (count < conn->linger_bytes)
        conn->linger_bytes -= count;
    else
        px__conn_end_linger(conn);
}

/* A count of 0 is libuv's EAGAIN; a failure may come with a slot or, when there
 * was none to be had, without. */
static void
on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    px__conn *conn = stream->data;
    px__slot *slot =
        buf->base ? PX_CONTAINER(buf->base, px__slot, bytes) : NULL;
    if (count > 0 && slot && !conn->lingering) {
        take_bytes(conn, slot, (size_t)count);
        return;
    }
    if (slot)
        px__slots_give(&conn->server->slots, slot);
    if (count < 0)
        end_of_input(conn, count == UV_ENOBUFS ? PX_ENOMEM : (int)count);
    else if (conn->lingering)
        drop_bytes(conn, (size_t)count);
}

int
px__receive_start(px__conn *conn)
{
    return uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
}

void
px__receive_resume(px__op *op)
{
    px__conn *conn = PX_CONTAINER(op, px__conn, resume_op);
    int status = px__receive_start(conn);
    if (status)
        end_of_input(conn, status);
}

/* ---- the owner's side ---------------------------------------------------- */

/* Flushing takes all that arrived in one operation; the rest of the chain stays
 * in `queue`, which needs none. */
px__slot *
px__receive_take(px__conn *conn)
{
    px_ilink *link = conn->queue;
    if (!link && !px_ilist_empty(&conn->arrived))
        link = px_ilist_reverse(px_ilist_flush(&conn->arrived));
    if (!link)
        return NULL;
    conn->queue = link->next;
    return PX_CONTAINER(link, px__slot, link);
}

/* The slot goes back before the count goes down: else the baton could read ahead
 * while more slots than the limit are out. */
void
px__receive_done(px__conn *conn, px__slot *slot)
{
    uint32_t ahead;
    px__slots_give(&conn->server->slots, slot);
    ahead = px__sub_acqrel(&conn->ahead, PX__AHEAD_ONE) - PX__AHEAD_ONE;
    if (ahead & PX__AHEAD_PAUSED && is_low(conn, ahead) && clear_pause(conn))
        px__loop_call(conn->strand.rt, &conn->resume_op);
}

/* The socket is closed: nothing arrives, and nothing is to be resumed. */
void
px__receive_discard(px__conn *conn)
{
    px__slot *slot;
    while ((slot = px__receive_take(conn)))
        px__slots_give(&conn->server->slots, slot);
}
