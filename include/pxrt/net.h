/** @file
 *  TCP servers whose connections are contexts.
 *
 *  A connection is a px_context with a socket. Its callbacks run in it, one at
 *  a time, on any worker. Before each callback the runtime remembers the
 *  callback heap, and rolls it back when the callback is over and everything it
 *  sent has left: so a request's memory disappears in one step. What must
 *  outlive a callback goes to the base heap (px_base_alloc()).
 *
 *  While a send is under way no further callback of that connection begins:
 *  that is the back-pressure. Bytes and posted messages (px_post()) take turns.
 *
 *  @code
 *      static int echo(px_context *cx, const char *data, size_t count) {
 *          return px_send(cx, data, count);
 *      }
 *      ...
 *      const px_protocol protocol = {.received = echo};
 *      px_server *server;
 *      if (px_server_open(rt, &protocol, NULL, &server) == 0)
 *          printf("listening on port %d\n", px_server_port(server));
 *  @endcode
 */
#ifndef PXRT_NET_H
#define PXRT_NET_H

#include <pxrt/runtime.h>

PX_BEGIN_DECLS

/** A listening server. */
typedef struct px_server px_server;

/** What a server's connections do. Every callback runs in the connection's
 *  context, which is current. A negative result is a failure: it goes through
 *  @c failed, then to the main thread, and the connection is closed; what the
 *  failed callback has sent leaves only if @c failed dealt with it. The code
 *  of a connection's own end (peer, network, deadline) is no failure: it goes
 *  to @c closed and nowhere else. */
typedef struct px_protocol {
    /** A connection was accepted. Default NULL. */
    int (*connected)(px_context *cx);
    /** @p count > 0 bytes arrived; @p data is valid until this returns, and may
     *  be sent back with px_send(). Must be given. */
    int (*received)(px_context *cx, const char *data, size_t count);
    /** All that the callback before it sent has left; its memory is still
     *  there, and is rolled back right after. It may send more, and is then
     *  called again when that has left; until it sends nothing the memory of
     *  all of them stays, so a long stream sends from the base heap. Default
     *  NULL. */
    int (*sent)(px_context *cx);
    /** The connection is over: @p status is 0 (closed by this side, or by the
     *  peer in order) or the code of what went wrong: the failed callback's,
     *  libuv's for the network, PX_ETIMEDOUT for a deadline, PX_ECANCELED when
     *  server or runtime cut it off. The last callback, exactly one for each
     *  connection that was told connected; it cannot send. Default NULL. */
    void (*closed)(px_context *cx, int status);
    /** A callback failed; >= 0: dealt with, the connection goes on. Default
     *  NULL: the error goes to main and the connection is closed. */
    int (*failed)(px_context *cx, const px_error *error);
} px_protocol;

/** Options of px_server_open(). Call px_server_options_init() first. */
typedef struct px_server_options {
    /** sizeof(px_server_options), set by px_server_options_init(). */
    size_t size;
    /** Address to listen on, numeric IPv4 or IPv6; default "127.0.0.1". */
    const char *host;
    /** TCP port; 0 (default): the system picks one, see px_server_port(). */
    uint16_t port;
    /** Length of the queue of connections not yet accepted; default 511. */
    int backlog;
    /** Connections at most; above it accepting pauses. Default 0: as many as
     *  RLIMIT_NOFILE allows, less 64. */
    unsigned max_connections;
    /** Connections without traffic for so long are closed with PX_ETIMEDOUT,
     *  late by up to half of it, and at least 5 ms; while a callback runs or a
     *  send is under way they are not idle. In ms, default 0: never. */
    unsigned idle_timeout_ms;
    /** A send that has not left after so long closes the connection with
     *  PX_ETIMEDOUT; in ms, default 30000, 0: never. */
    unsigned send_timeout_ms;
    /** Bytes that may be read ahead while a connection is busy; above it
     *  reading pauses. Counted in buffers of 64 KB, of which there is always
     *  one; default 256 KB, 0 is refused. */
    size_t max_receive_bytes;
    /** Synchronous tries before a send goes asynchronous; default 1, 0: without
     *  bound (the thread stays with this connection until its peer has taken
     *  all, or send_timeout_ms is over; with a send_timeout_ms of 0 the rest
     *  goes asynchronous after a second). */
    unsigned max_sync_send_attempts;
    /** Roll the callback heap back after each callback; default true. */
    bool rollback;
    /** Options of the connections' contexts; size 0 (default): those of the
     *  runtime's contexts. Its data field is the host's own pointer:
     *  every connection begins with it. */
    px_context_options context;
} px_server_options;

/** Counters of a server. */
typedef struct px_server_stats {
    /** sizeof(px_server_stats), set by the caller. */
    size_t size;
    /** Connections open now. */
    size_t connections;
    /** Connections accepted since the start. */
    uint64_t accepted;
    /** Connections closed, for whatever reason. */
    uint64_t closed;
    /** Callbacks run. */
    uint64_t callbacks;
    /** Bytes received. */
    uint64_t received_bytes;
    /** Bytes that have left. */
    uint64_t sent_bytes;
    /** Rollbacks after a callback. */
    uint64_t rollbacks;
    /** Bytes that these rollbacks dropped. */
    uint64_t rolled_back_bytes;
    /** Sends that had to go asynchronous. */
    uint64_t async_sends;
    /** Pauses of reading, by back-pressure. */
    uint64_t read_pauses;
    /** Pauses of accepting, by the cap or for lack of descriptors. */
    uint64_t accept_pauses;
    /** Connections closed by a deadline. */
    uint64_t timeouts;
} px_server_stats;

/** Set every option to its default. @thread caller */
PX_API void px_server_options_init(px_server_options *options);

/** Open a server: it listens when this returns. px_runtime_release() closes it
 *  if the caller has not, and the handle is gone then, too.
 *  @param protocol  copied.
 *  @param options   NULL for the defaults.
 *  @return 0; PX_EINVAL; PX_ENOMEM; PX_ECLOSED (the runtime is being released);
 *          a code of libuv, such as for an address in use.
 *  @thread main */
PX_API PX_MUST_CHECK int px_server_open(px_runtime *rt,
                                        const px_protocol *protocol,
                                        const px_server_options *options,
                                        px_server **out);

/** Close a server: it accepts no more; with @p drain_ms > 0 its connections get
 *  that long to finish (idle ones are closed at once), then they are reset;
 *  with 0 at once. The handle is gone when this returns; the runtime is idle
 * when the last connection has closed. NULL is ignored.
 *  @return 0; PX_EWRONGTHREAD. @thread main */
PX_API int px_server_close(px_server *server, unsigned drain_ms);

/** The port that a server listens on, or PX_EINVAL for NULL. @thread any */
PX_API int px_server_port(const px_server *server);

/** Fill @p stats, of which the caller has set the size field.
 *  @return 0; PX_EINVAL. @thread any; the numbers are a snapshot */
PX_API int px_server_get_stats(const px_server *server, px_server_stats *stats);

/** Send @p count bytes over the connection @p cx. The bytes are borrowed until
 *  they have left: memory of the context's heaps, static memory, or the data of
 *  the received callback. Several sends of one callback leave together, in
 *  order, when it returns.
 *  @return 0; PX_EINVAL (NULL, count 0, not a connection); PX_EWRONGTHREAD (not
 *          the current context: post to it instead); PX_ECLOSED (closing, or
 *          px_close() was called); PX_ENOMEM.
 *  @thread owner
 *  @cost   a few stores; the system call comes after the callback. */
PX_API int px_send(px_context *cx, const void *bytes, size_t count);

/** Close the connection @p cx once what it has sent has left. If the peer is
 *  still talking, its bytes are dropped for a second, and up to 1 MB of them,
 *  so that it can read what it was sent; @c closed runs after that. In its own callback: no
 *  further one but @c sent and @c closed. From elsewhere: messages that this
 *  thread posted to it before are still handled.
 *  @return 0; PX_EINVAL (not a connection); PX_ECLOSED (closing already).
 *  @thread any that holds a reference */
PX_API int px_close(px_context *cx);

/** The peer's address as text "host:port" in the connection's base heap; NULL
 *  when @p cx is not a connection, or on failure. @thread owner */
PX_API const char *px_peer_name(px_context *cx);

PX_END_DECLS

#endif
