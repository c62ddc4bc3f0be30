/*
 * Sending: pieces are gathered while a callback runs and leave when it is over.
 *
 *   px_send --> pieces --sendmsg, on this thread--> kernel    (nearly always)
 *                  \--uv_write of the rest, on the baton-->   (slow peers)
 *
 * A full count from the kernel means that it has its own copy: nothing has to
 * be waited for, and the callback's memory can be rolled back at once. Only
 * what the socket's buffer does not take goes to the loop.
 *
 *   pieces   [ first ..... whole: sent | partly sent | not sent yet ..... count ]
 *                                        ^ piece_first
 *
 * Invariants
 *   P1  piece_bytes is what the callback has sent, not what is left: it goes to
 *       the counters in one step, when all has left
 *   P2  the array is inline until a callback sends more than a few pieces, and
 *       inline again when they have left: a resting connection owns no memory
 *       for sending
 *   P3  while a piece is not sent, nothing that it points into is rolled back
 *       (N4): a send that fails leaves the pieces to who closes, which forgets
 *       them before it rolls back
 *   P4  the loop's write begins in an operation, so it may find the connection
 *       cut off meanwhile; it then fails without asking libuv
 *
 *   attempts  the socket is full: after so many tries
 *   1, 2, ..  SEND_REST: the loop writes the rest (the life's SENDING)
 *   0         the thread waits in slices of WAIT_SLICE_MS, since nobody can wake
 *             a poll(2) but the socket: a signal is seen after one slice. It ends
 *             with room, a signal, the deadline, or after WAIT_MOST_MS
 *
 * Threads: pieces belong to the owner; from px__strand_sending() until
 * px__strand_return() to the baton (D5). SIGPIPE: MSG_NOSIGNAL here; the loop's
 * own writes happen on workers, which block the signal.
 *
 * Rejected: uv_try_write (not safe off the baton), MSG_ZEROCOPY (its completion
 * costs more than the copy below some 10 KB), and pieces in the callback heap
 * (a callback that rolls back a snapshot of its own would cut the list).
 */
#include "net/conn.h"

#include "base/assert.h"
#include "context/life.h"
#include "platform/clock.h"

#include <pxrt/shared.h>

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Pieces are handed to both libuv and the system. */
_Static_assert(sizeof(uv_buf_t) == sizeof(struct iovec) &&
                   offsetof(uv_buf_t, base) ==
                       offsetof(struct iovec, iov_base) &&
                   offsetof(uv_buf_t, len) == offsetof(struct iovec, iov_len),
               "uv_buf_t is laid out as struct iovec");

enum {
    GATHERED = 64,      /* pieces for one system call */
    WAIT_SLICE_MS = 5,  /* how soon a waiting sender sees a signal */
    WAIT_MOST_MS = 1000 /* without a deadline: then the loop may wait instead */
};

/* Beside what px__send_flush() answers: not done, go on. */
enum { STAY = PX__SEND_LOOK + 1 };

/* ---- gathering ----------------------------------------------------------- */

/* Twice the size each time. The inline array is part of the record and must not
 * be handed to realloc(). */
static bool
grow_pieces(px__conn *conn)
{
    unsigned capacity = conn->piece_capacity * 2;
    bool inlined = conn->pieces == conn->pieces_inline;
    uv_buf_t *pieces;
    if (capacity < conn->piece_capacity)
        return false;
    pieces = px_shared_realloc(inlined ? NULL : conn->pieces,
                               capacity * sizeof *pieces);
    if (!pieces)
        return false;
    if (inlined)
        memcpy(pieces, conn->pieces_inline, sizeof conn->pieces_inline);
    conn->pieces = pieces;
    conn->piece_capacity = capacity;
    return true;
}

/* The checks are in the order of what they protect: that @cx is a connection,
 * that its record is ours to write, that its stage may still send. */
int
px_send(px_context *cx, const void *bytes, size_t count)
{
    px__conn *conn = px__conn_of(cx);
    if (!conn || !bytes || !count)
        return PX_EINVAL;
    if (px_current() != cx)
        return PX_EWRONGTHREAD;
    if (conn->leaving || px__life_state(cx) != PX_RUNNING)
        return PX_ECLOSED;
    if (conn->piece_count == conn->piece_capacity && !grow_pieces(conn))
        return PX_ENOMEM;
    conn->pieces[conn->piece_count++] =
        (uv_buf_t){.base = (char *)(uintptr_t)bytes, .len = count};
    conn->piece_bytes += count;
    return 0;
}

/* Drop all pieces, and the array of a callback that sent very many. */
void
px__send_forget(px__conn *conn)
{
    if (conn->pieces != conn->pieces_inline)
        px_shared_free(conn->pieces);
    conn->pieces = conn->pieces_inline;
    conn->piece_capacity = PX__PIECES_INLINE;
    conn->piece_count = conn->piece_first = 0;
    conn->piece_bytes = 0;
}

/* ---- at once, on the owner's thread -------------------------------------- */

/* Take @count sent bytes off the front. */
static void
advance(px__conn *conn, size_t count)
{
    while (count) {
        uv_buf_t *piece = &conn->pieces[conn->piece_first];
        size_t part = count < piece->len ? count : piece->len;
        PX_ASSERT(conn->piece_first < conn->piece_count);
        piece->base += part;
        piece->len -= part;
        conn->piece_first += piece->len == 0;
        count -= part;
    }
}

/* One system call: bytes sent, 0 when the socket's buffer is full, or a
 * negative code. */
static ssize_t
send_once(px__conn *conn)
{
    unsigned left = conn->piece_count - conn->piece_first;
    struct msghdr message = {
        .msg_iov = (struct iovec *)(void *)(conn->pieces + conn->piece_first),
        .msg_iovlen = left < GATHERED ? left : GATHERED,
    };
    ssize_t count;
    do
        count = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (count < 0 && errno == EINTR);
    if (count >= 0)
        return count;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    return uv_translate_sys_error(errno);
}

/* This deadline, unlike those of SENDING, is ours to watch: a thread that stays
 * here does not let the tick see the connection as writing. */
static void
note_timeout(px__conn *conn)
{
    uint32_t before = px__or_acqrel(&conn->signals, PX__SIGNAL_TIMEOUT);
    if (!(before & PX__SIGNAL_TIMEOUT))
        PX__COUNT(conn->server, timeouts);
}

/* No room so far. With a deadline it decides; without one, a thread is too dear
 * to wait for a peer that may never read. */
static int
after_wait(px__conn *conn, int64_t waited_ns)
{
    int64_t timeout_ms = conn->server->options.send_timeout_ms;
    bool bounded = timeout_ms != 0;
    int64_t most_ms = bounded ? timeout_ms : WAIT_MOST_MS;
    if (waited_ns < most_ms * PX_NS_PER_MS)
        return STAY;
    if (!bounded)
        return PX__SEND_REST;
    note_timeout(conn);
    return PX__SEND_LOOK;
}

/* With unlimited attempts the thread stays: wait until the socket takes more. A
 * poll that fails would make this a busy loop; what the socket itself has to
 * report (POLLERR, POLLHUP) is said by the send that follows. */
static int
wait_for_room(px__conn *conn, int64_t start_ns)
{
    struct pollfd wanted = {.fd = conn->fd, .events = POLLOUT};
    int answer = after_wait(conn, px__now_ns() - start_ns);
    if (answer == STAY && poll(&wanted, 1, WAIT_SLICE_MS) < 0 && errno != EINTR)
        return uv_translate_sys_error(errno);
    if (px__load_acquire(&conn->signals) & PX__SIGNAL_HARD)
        return PX__SEND_LOOK;
    return answer;
}

/* After a short count: what px__send_flush() answers, or STAY. */
static int
after_short_count(px__conn *conn, unsigned tried, int64_t start_ns)
{
    unsigned attempts = conn->server->options.max_sync_send_attempts;
    if (attempts)
        return tried < attempts ? STAY : PX__SEND_REST;
    return wait_for_room(conn, start_ns);
}

/* `traffic` tells the tick that this connection was not idle; the time itself is
 * the baton's to write. */
static void
all_left(px__conn *conn)
{
    conn->counts.sent_bytes += conn->piece_bytes;
    px__store_relaxed(&conn->traffic, 1);
    px__send_forget(conn);
}

/* As long as the socket takes all that one call offers there is no reason to ask
 * for the time: the clock starts with the first short count. */
int
px__send_flush(px__conn *conn)
{
    int64_t start_ns = 0;
    unsigned tried = 0;
    for (;;) {
        unsigned whole = conn->piece_first + GATHERED;
        ssize_t count = send_once(conn);
        int answer;
        if (count < 0)
            return (int)count;
        advance(conn, (size_t)count);
        if (conn->piece_first == conn->piece_count) {
            all_left(conn);
            return PX__SEND_ALL;
        }
        if (conn->piece_first == whole)
            continue; /* the socket took all it was offered */
        if (!start_ns)
            start_ns = px__now_ns();
        answer = after_short_count(conn, ++tried, start_ns);
        if (answer != STAY)
            return answer;
    }
}

/* ---- later, by the loop -------------------------------------------------- */

/* write_status is handed over by px__strand_return(), after which it is the
 * owner's. */
static void
end_write(px__conn *conn, int status)
{
    conn->writing = false;
    conn->write_status = status;
    conn->quiet_since_ms = uv_now(conn->tcp.loop);
    px__strand_return(&conn->strand);
}

static void
on_written(uv_write_t *write, int status)
{
    end_write(write->data, status);
}

void
px__send_begin_write(px__op *op)
{
    px__conn *conn = PX_CONTAINER(op, px__conn, write_op);
    int status = UV_ECANCELED;
    conn->write.data = conn;
    if (!(px__load_acquire(&conn->signals) & PX__SIGNAL_HARD))
        status = uv_write(&conn->write, (uv_stream_t *)&conn->tcp,
                          conn->pieces + conn->piece_first,
                          conn->piece_count - conn->piece_first, on_written);
    if (status) {
        end_write(conn, status);
        return;
    }
    conn->writing = true;
    conn->write_began_ms = uv_now(conn->tcp.loop);
}

/* End the write that is under way, if any: shut down, the socket fails it, and
 * its callback comes as for any other error. libuv cannot cancel a write but by
 * closing the handle, which is for the owner to begin (D4). */
void
px__send_abort(px__conn *conn)
{
    if (conn->writing)
        shutdown(conn->fd, SHUT_RDWR);
}
