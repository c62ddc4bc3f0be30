/*
 * What a server is made of, for the files of this room.
 *
 *      px_server_open                                  px_server_close, or the
 *           |                                          runtime's release
 *           v           full, short of resources           |
 *       LISTENING  <----------------------------> PAUSED   |
 *           |            room again, 200 ms         |      |
 *           +-----------------------+---------------+ <----+
 *                                   v
 *                               DRAINING -- all connections closed --> SHUT
 *
 * PAUSED and LISTENING differ in one bit (`accepting`); DRAINING is `closing`:
 * its connections are asked to finish, and reset at `drain_end_ms`.
 *
 * Invariants
 *   V1  the record lives as long as someone holds one of its references: the
 *       user's handle, its two uv handles, each connection's record
 *   V2  the ward is in place from px_server_open() until the timer is closing,
 *       so that a release finds a server that drains, too
 *   V3  a connection is in `conns` from accept until its socket is closed
 */
#ifndef PX_NET_SERVER_H
#define PX_NET_SERVER_H

#include <pxrt/net.h>
#include <uv.h>

#include "base/atomic.h"
#include "base/list.h"
#include "net/slots.h"
#include "runtime/dispatch.h"

typedef struct px__conn px__conn;

/* Counters; those of a server have one line for each few workers, so that
 * counting costs no traffic between cores. */
typedef struct px__counts {
    uint64_t accepted;
    uint64_t closed;
    uint64_t callbacks;
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t rollbacks;
    uint64_t rolled_back_bytes;
    uint64_t async_sends;
    uint64_t read_pauses;
    uint64_t accept_pauses;
    uint64_t timeouts;
} px__counts;

enum { PX__COUNT_SHARDS = 16, PX__COUNT_SHARD_BYTES = 128 };

typedef union px__count_shard {
    px__counts counts; /* atomic, relaxed */
    char line[PX__COUNT_SHARD_BYTES];
} px__count_shard;

_Static_assert(sizeof(px__counts) <= PX__COUNT_SHARD_BYTES,
               "a shard has cache lines of its own");

struct px_server {
    px_runtime *rt; /* constant, as are the next four */
    px_protocol protocol;
    px_server_options options; /* host is NULL */
    unsigned max_connections;
    int port;
    uint32_t references; /* atomic; V1 */

    /* The baton's. */
    px__ward ward;
    uv_poll_t listener;
    uv_timer_t timer;
    int fd;
    bool accepting;
    bool closing;
    bool timer_closing;
    bool handle_held;      /* the user has not closed it */
    uint64_t retry_ms;     /* when to accept again; 0: no need to */
    uint64_t drain_end_ms; /* when to reset what is left; 0: never */
    px__list conns;        /* V3 */
    size_t lingering;      /* how many of them do */

    size_t connections; /* written by the baton; atomic */
    px__slots slots;
    px__count_shard shards[PX__COUNT_SHARDS];
};

/* The counters of the calling thread: add relaxed. */
px__counts *px__server_counts(px_server *server);
#define PX__COUNT(server, counter)                                             \
    ((void)px__add_relaxed(&px__server_counts(server)->counter, 1))

px_server *px__server_retain(px_server *server);
void px__server_release(px_server *server);

/* accept.c. The first two by main, the others on the baton. Bind makes a socket
 * that listens; discard closes one that no handle was opened for. */
int px__listener_bind(px_server *server, const px_server_options *options);
void px__listener_discard(px_server *server);
int px__listener_open(px_server *server);
void px__listener_resume(px_server *server);
void px__listener_close(px_server *server);

/* deadlines.c, on the baton. Arm has the timer run for whatever must be watched
 * now; called whenever that is more than before. */
void px__deadlines_init(px_server *server);
void px__deadlines_arm(px_server *server);

/* server.c, on the baton. The socket of a connection is closed, which is out of
 * `conns`; and: reset whoever is left. */
void px__server_conn_closed(px_server *server);
void px__server_cut_off(px_server *server);

#endif
