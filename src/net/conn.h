/*
 * What a connection is made of, for the files of this room.
 *
 *      baton                     words of both                owner (run)
 *   uv_tcp, reading  --slots-->  [ arrived, ahead ]  --slots-->  received
 *   EOF, deadline,   --------->  [ signals ]         ----------> closes
 *   close requests
 *   uv_write         <-- px__strand_sending(), px__strand_return() --> pieces
 *   uv_close         <-- px__strand_closing(), px__strand_return() --> closed
 *
 * Callbacks of one connection go round in stages, which the owner moves:
 *
 *              event                 sends, all taken
 *     QUIET ----------> CALLED ---------------------------> LEFT
 *       ^                |  ^ |                           ^  |
 *       |   no sends:    |  | | some left  +--------+ ok  |  | sent callback
 *       +--- rollback ---+  | +----------> | FLYING |-----+  |
 *                           |              +--------+        |
 *                           +--------------------------------+
 *
 * FLYING is the life's SENDING, until the next run. Every stage may end in the
 * life's CLOSING: a callback fails, a send fails, the peer or this side closes.
 * Open, paused and half-closed are not stages but bits that the baton sets and
 * the owner looks at in QUIET, behind what arrived before them.
 *
 * Invariants
 *   N1  the socket is open while the context is not CLOSING; so the owner may
 *       send on its descriptor
 *   N2  no uv_write is under way but in FLYING; so direct sends keep the order
 *   N3  signals are set after what they follow (bytes, messages) was queued,
 *       and read before the queues are found empty
 *   N4  pieces point into memory that is not rolled back before QUIET
 *   N5  reading is paused exactly while PX__AHEAD_PAUSED is set; who clears it
 *       resumes
 */
#ifndef PX_NET_CONN_H
#define PX_NET_CONN_H

#include <netinet/in.h>

#include "net/server.h"

enum px__stage { PX__QUIET, PX__CALLED, PX__FLYING, PX__LEFT };

/* Bits of px__conn.signals; set by anyone, never cleared. */
enum {
    PX__SIGNAL_EOF = 1u << 0,     /* nothing more arrives; see peer_status */
    PX__SIGNAL_CLOSE = 1u << 1,   /* px_close() from elsewhere */
    PX__SIGNAL_DRAIN = 1u << 2,   /* the server drains: close when quiet */
    PX__SIGNAL_TIMEOUT = 1u << 3, /* a deadline has passed */
    PX__SIGNAL_RESET = 1u << 4,   /* the server or the runtime goes */
    PX__SIGNAL_HARD = PX__SIGNAL_TIMEOUT | PX__SIGNAL_RESET
};

/* The word px__conn.ahead: bit 0 PAUSED, bits 1.. slots read ahead. */
enum { PX__AHEAD_PAUSED = 1, PX__AHEAD_ONE = 2 };

enum { PX__PIECES_INLINE = 8 };

typedef union px__address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} px__address;

struct px__conn {
    px__strand strand;
    px_server *server;   /* constant, as are the next two */
    int fd;              /* of tcp */
    px__address address; /* the peer's */

    /* The baton's. */
    uv_tcp_t tcp;
    uv_write_t write;
    px__list link; /* in server->conns */
    uint64_t quiet_since_ms;
    uint64_t write_began_ms;
    uint64_t linger_end_ms;
    size_t linger_bytes; /* that may still be dropped */
    bool has_handle;     /* tcp is initialised, and closes fd */
    bool writing;
    bool lingering; /* CLOSING: what arrives is dropped until the peer ends */
    px__op write_op;
    px__op close_op;
    px__op resume_op;

    /* Words of both. */
    uint32_t signals; /* atomic */
    uint32_t ahead;   /* atomic */
    uint32_t traffic; /* atomic: something was sent since the last tick */
    px_ilist arrived; /* slots, newest first */
    int peer_status;  /* written before PX__SIGNAL_EOF is set */
    int write_status; /* handed back with px__strand_return() */

    /* The owner's. */
    enum px__stage stage;
    bool greeted; /* connected was called */
    bool leaving; /* px_close() by a callback */
    bool mail_next;
    int status; /* for the closed callback */
    unsigned budget;
    unsigned last_mail; /* messages still run when the end is due */
    px_ilink *queue;    /* flushed slots, oldest first */
    px__slot *slot;     /* that the callback was given */
    px_snapshot before;
    const char *peer_name;
    px__counts counts; /* not yet added to the server's */
    uv_buf_t *pieces;
    unsigned piece_count;
    unsigned piece_first; /* that has not left completely */
    unsigned piece_capacity;
    size_t piece_bytes;
    uv_buf_t pieces_inline[PX__PIECES_INLINE];
};

/* conn.c. Make a connection of the accepted socket @fd, which it closes in any
 * case. 0 or a code. On the baton. */
int px__conn_open(px_server *server, int fd, const px__address *address);

/* Close the socket of a connection that lingers, if it does. On the baton. */
enum { PX__LINGER_MS = 1000, PX__LINGER_BYTES = 1 << 20 };
void px__conn_end_linger(px__conn *conn);

/* Set signals and have the connection look. On the baton. */
void px__conn_raise(px__conn *conn, uint32_t signals);

/* The connection that @cx is, or NULL. */
px__conn *px__conn_of(const px_context *cx);

/* turn.c: what a connection's strand runs. */
void px__conn_run(px__strand *strand);

/* receive.c. Reading: on the baton; taking and dropping: owner. */
int px__receive_start(px__conn *conn);
void px__receive_resume(px__op *op);
px__slot *px__receive_take(px__conn *conn);
void px__receive_done(px__conn *conn, px__slot *slot);
void px__receive_discard(px__conn *conn);

/* send.c. What px__send_flush() found: all pieces have left; the rest must go
 * by px__strand_sending(); look at the signals first; or a negative code. */
enum { PX__SEND_REST = 0, PX__SEND_ALL = 1, PX__SEND_LOOK = 2 };
int px__send_flush(px__conn *conn);
void px__send_forget(px__conn *conn);
void px__send_begin_write(px__op *op);
void px__send_abort(px__conn *conn);

#endif
