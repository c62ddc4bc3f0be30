/*
 * Connections: birth, the ways to close them, and the public functions that are
 * about one connection.
 *
 *   accept --> px__conn_open --> turns (turn.c) --> px__strand_closing
 *                                                     | baton
 *        gone <-- main <-- px__strand_over <-- closed <-- uv_close
 *                                                     ^ lingering, if the peer
 *                                                       is still talking
 *
 *   the socket      has_handle  closed by
 *   --------------  ----------  ------------------------------------------------
 *   libuv's         yes         uv_close(), or uv_tcp_close_reset()
 *   refused by      yes         start_handle() at once; the handle by uv_close()
 *   uv_tcp_open()
 *   without handle  no          close_socket()
 *
 *   begin_close --> the peer is silent, has ended, or we cut it off --> closed
 *        +--------> it is still talking: LINGERING --its end, LINGER_MS,
 *                                                    LINGER_BYTES--> closed
 *
 * Invariants
 *   O1  a connection that was opened is closed by its own strand, however short
 *       its life: also one whose socket was of no use runs once, and closes. So
 *       there is one way out, and `closed` in the statistics meets `accepted`
 *   O2  close_op is posted once: by the run that answers CLOSE, after which only
 *       finish() runs. So close_socket() is called once for each connection,
 *       by it or by the end of lingering, which clears `lingering` first
 *   O3  nobody sends in CLOSING, so the descriptor may be shut down and closed
 *       on the baton without asking the owner
 *
 * The record lies outside of the context, since the uv handle in it must stay
 * in place until libuv has let go of it; it goes when the context is freed, so
 * whoever holds a reference to the context may call px_close().
 *
 * Rejected: closing the socket from where the reason arises (the owner may be
 * about to send on it, and its descriptor may be another's by then: N1).
 */
#include "net/conn.h"

#include "base/assert.h"
#include "context/life.h"

#include <pxrt/shared.h>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LAST_MAIL = 256 };

static px__conn *
conn_of_strand(px__strand *strand)
{
    return PX_CONTAINER(strand, px__conn, strand);
}

/* ---- the end ------------------------------------------------------------- */

/* The descriptor is gone; nothing of the loop points to the record any more but
 * the strand's last run, which this calls for. */
static void
socket_closed(px__conn *conn)
{
    px__list_remove(&conn->link); /* V3 */
    px__server_conn_closed(conn->server);
    px__strand_return(&conn->strand);
}

static void
on_closed(uv_handle_t *handle)
{
    socket_closed(handle->data);
}

/* A connection that is cut off is reset, so that the peer does not take what it
 * has got for all there was. */
static void
close_socket(px__conn *conn)
{
    conn->server->lingering -= conn->lingering;
    conn->lingering = false;
    if (!conn->has_handle) {
        close(conn->fd);
        socket_closed(conn);
        return;
    }
    if (px__load_relaxed(&conn->signals) & PX__SIGNAL_HARD &&
        uv_tcp_close_reset(&conn->tcp, on_closed) == 0)
        return;
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

void
px__conn_end_linger(px__conn *conn)
{
    if (conn->lingering)
        close_socket(conn);
}

/* Whether the peer is still talking, as far as we know: bytes are read ahead, or
 * wait in the system. Those that are on the way yet are not seen; a peer that is
 * answered before it has said all takes that risk with any server. */
static bool
is_spoken_to(px__conn *conn)
{
    int unread = 0;
    if (px__load_relaxed(&conn->signals) & (PX__SIGNAL_HARD | PX__SIGNAL_EOF))
        return false;
    if (px__load_relaxed(&conn->ahead))
        return true;
    return ioctl(conn->fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* To close a socket with unread bytes resets it, and takes from the peer what
 * it was sent last, such as the reason for closing. So say that we are done,
 * and listen for a while to nothing in particular: bounded in time for a peer
 * that is silent, and in bytes for one that sends as fast as it can. */
static void
linger(px__conn *conn)
{
    conn->lingering = true;
    conn->server->lingering++;
    conn->linger_end_ms = uv_now(conn->tcp.loop) + PX__LINGER_MS;
    conn->linger_bytes = PX__LINGER_BYTES;
    shutdown(conn->fd, SHUT_WR);
    uv_read_stop((uv_stream_t *)&conn->tcp);
    if (px__receive_start(conn))
        close_socket(conn);
    else
        px__deadlines_arm(conn->server);
}

/* On the baton, and after the owner's last send (O3). */
static void
begin_close(px__op *op)
{
    px__conn *conn = PX_CONTAINER(op, px__conn, close_op);
    if (is_spoken_to(conn))
        linger(conn);
    else
        close_socket(conn);
}

static void
gone(px__strand *strand)
{
    px__conn *conn = conn_of_strand(strand);
    px__server_release(conn->server);
    px_shared_free(conn);
}

static const px__strand_kind connection_kind = {px__conn_run, gone};

/* ---- birth --------------------------------------------------------------- */

/* All else of the record is zero, as it was allocated: QUIET, no signals. */
static void
init_record(px__conn *conn, px_server *server, const px__address *address)
{
    conn->server = px__server_retain(server);
    conn->address = *address;
    conn->last_mail = LAST_MAIL;
    conn->pieces = conn->pieces_inline;
    conn->piece_capacity = PX__PIECES_INLINE;
    conn->write_op.fn = px__send_begin_write;
    conn->close_op.fn = begin_close;
    conn->resume_op.fn = px__receive_resume;
}

/* Give the socket to libuv, and begin to read. A handle that is initialised must
 * be closed by libuv, whether it has the socket or not. */
static int
start_handle(px__conn *conn)
{
    int status = uv_tcp_init(px__loop(conn->server->rt), &conn->tcp);
    if (status)
        return status;
    conn->tcp.data = conn;
    conn->has_handle = true;
    status = uv_tcp_open(&conn->tcp, conn->fd);
    if (status) {
        close(conn->fd);
        return status;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
    return px__receive_start(conn);
}

/* If the socket is of no use the connection begins with its end, on the same way
 * as any other. */
static void
open_socket(px__conn *conn, int fd)
{
    conn->fd = fd;
    int status = start_handle(conn);
    if (!status)
        return;
    conn->status = status;
    conn->signals = PX__SIGNAL_RESET;
}

/* Options of size 0 stand for those of the runtime's contexts. */
static int
open_strand(px__conn *conn)
{
    const px_context_options *options = &conn->server->options.context;
    return px__strand_open(conn->server->rt, &conn->strand, &connection_kind,
                           options->size ? options : NULL);
}

/* The strand is collected right away: its first run calls `connected`, or closes
 * what could not be opened. Until then the record is the baton's alone, which is
 * why open_socket() may set status and signals as plain fields. */
int
px__conn_open(px_server *server, int fd, const px__address *address)
{
    px__conn *conn = px_shared_calloc(1, sizeof *conn);
    int status = PX_ENOMEM;
    if (conn) {
        init_record(conn, server, address);
        status = open_strand(conn);
    }
    if (status) {
        close(fd);
        if (conn)
            gone(&conn->strand);
        return status;
    }
    open_socket(conn, fd);
    conn->quiet_since_ms = uv_now(px__loop(server->rt));
    px__list_push_back(&server->conns, &conn->link); /* V3 */
    px__store_relaxed(&server->connections, server->connections + 1);
    PX__COUNT(server, accepted);
    px__deadlines_arm(server);
    px__strand_collect(&conn->strand);
    return 0;
}

/* A hard signal must not wait for what the connection waits for itself: a write
 * of the loop is aborted, lingering ends. */
void
px__conn_raise(px__conn *conn, uint32_t signals)
{
    px__or_acqrel(&conn->signals, signals); /* N3; pairs with turn.c */
    if (signals & PX__SIGNAL_HARD) {
        px__send_abort(conn);
        px__conn_end_linger(conn);
    }
    px__strand_collect(&conn->strand);
}

/* ---- public -------------------------------------------------------------- */

px__conn *
px__conn_of(const px_context *cx)
{
    px__strand *strand = cx ? px__strand_of(cx) : NULL;
    return strand && strand->kind == &connection_kind ? conn_of_strand(strand)
                                                      : NULL;
}

/* A callback that closes is served by a flag of the owner's, which be_quiet()
 * sees when all has left; anyone else by a signal. */
int
px_close(px_context *cx)
{
    px__conn *conn = px__conn_of(cx);
    if (!conn)
        return PX_EINVAL;
    if (px__life_state(cx) >= PX_CLOSING)
        return PX_ECLOSED;
    if (px_current() == cx) {
        bool again = conn->leaving;
        conn->leaving = true;
        return again ? PX_ECLOSED : 0;
    }
    if (px__or_acqrel(&conn->signals, PX__SIGNAL_CLOSE) & PX__SIGNAL_CLOSE)
        return PX_ECLOSED;
    px__strand_wake(&conn->strand);
    return 0;
}

static const char *
format_address(px_heap *heap, const px__address *address)
{
    char host[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET6) {
        if (uv_ip6_name(&address->v6, host, sizeof host))
            return NULL;
        return px_heap_printf(heap, "[%s]:%u", host,
                              (unsigned)ntohs(address->v6.sin6_port));
    }
    if (uv_ip4_name(&address->v4, host, sizeof host))
        return NULL;
    return px_heap_printf(heap, "%s:%u", host,
                          (unsigned)ntohs(address->v4.sin_port));
}

const char *
px_peer_name(px_context *cx)
{
    px__conn *conn = px__conn_of(cx);
    if (!conn || px_current() != cx)
        return NULL;
    if (!conn->peer_name)
        conn->peer_name = format_address(px_context_base(cx), &conn->address);
    return conn->peer_name;
}
