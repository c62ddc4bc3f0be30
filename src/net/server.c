/*
 * Servers: opening, closing, and what the connections of one share. The picture
 * and the invariants are in server.h.
 *
 * Opening and closing happen on the main thread with the baton in hand, so that
 * a code can be returned and a port is known; everything after that happens in
 * uv callbacks. Both ends of a server, px_server_close() and the release of the
 * runtime, are one function: begin_end().
 *
 *   reference          taken by                  dropped by
 *   the user's handle  px_server_open()          px_server_close(), release
 *   the listener       start()                   its close callback
 *   the timer          start()                   its close callback
 *   a connection       its record, at accept     its record, when it is gone
 *
 *   written by            read by
 *   main, before start()  anyone: protocol, options, port, limits: constant
 *   the baton             the baton: ward, listener, timer, conns, closing, ...
 *   the baton             anyone, as an estimate: connections (atomic)
 *   everyone              px_server_get_stats(): shards (atomic, relaxed)
 *
 *   px_server_close(drain)    on_release()         the drain's deadline
 *            |                     |                      |
 *            v                     v                      v
 *        begin_end: listener closed, DRAIN or RESET     RESET to all
 *            |
 *            +--> connections end one by one --> end_if_empty: ward out, timer
 *                 closed --> on_timer_closed: the activity of the server ends
 *
 * Invariants (those of the record are in server.h)
 *   E1  `closing` is set once, with the listener's close; begin_end() may come
 *       again (a release during a drain), and then only hurries the connections
 *   E2  the server's activity is the last thing to end: while it counts, the loop
 *       is open and the main thread does not leave px_run()
 *   E3  whoever clears handle_held drops the handle's reference: the user's close
 *       and the release meet on the baton, so it happens once
 *
 * So the record may outlive the runtime, in the hands of a context that the
 * host has retained; from then on nothing of it but the reference is touched.
 *
 * Threads: as said for each function; on_* and what they call have the baton.
 *
 * Rejected: a lock around the connections for px_server_close() (the baton
 * is that lock), and statistics gathered by visiting connections (that needs
 * the baton, and px_server_get_stats() is for any thread).
 */
#include "net/conn.h"

#include "base/assert.h"

#include <pxrt/shared.h>

#include <string.h>
#include <sys/resource.h>

/* ---- options ------------------------------------------------------------- */

enum {
    DEFAULT_BACKLOG = 511,
    DEFAULT_SEND_TIMEOUT_MS = 30000,
    DEFAULT_RECEIVE_BYTES = 256 * 1024,
    SPARE_FILES = 64 /* for everything else the process opens */
};

void
px_server_options_init(px_server_options *options)
{
    if (!options)
        return;
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->host = "127.0.0.1";
    options->backlog = DEFAULT_BACKLOG;
    options->send_timeout_ms = DEFAULT_SEND_TIMEOUT_MS;
    options->max_receive_bytes = DEFAULT_RECEIVE_BYTES;
    options->max_sync_send_attempts = 1;
    options->rollback = true;
}

/* The contexts' options are tried out, so that bad ones are told now rather
 * than at each connection. */
static int
try_context_options(const px_context_options *options)
{
    px_context *cx;
    int status = px_context_create(options->size ? options : NULL, &cx);
    if (!status)
        px_context_release(cx);
    return status;
}

/* The defaults, overlaid with as much as the caller's struct has. */
static int
options_complete(px_server_options *full, const px_server_options *options)
{
    px_server_options_init(full);
    if (options) {
        if (options->size < sizeof options->size ||
            options->size > sizeof *full)
            return PX_EINVAL;
        memcpy(full, options, options->size);
    }
    if (!full->host || full->backlog <= 0 || !full->max_receive_bytes)
        return PX_EINVAL;
    return try_context_options(&full->context);
}

/* Connections that the process has descriptors for. Asked once: a host that raises
 * its limit does so before it serves, or sets max_connections. */
static unsigned
connections_allowed(void)
{
    const rlim_t most = 1u << 20;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return 1024 - SPARE_FILES;
    if (files.rlim_cur > most)
        return (unsigned)most;
    return files.rlim_cur > SPARE_FILES
               ? (unsigned)(files.rlim_cur - SPARE_FILES)
               : 1;
}

/* ---- references ---------------------------------------------------------- */

px_server *
px__server_retain(px_server *server)
{
    px__add_relaxed(&server->references, 1);
    return server;
}

void
px__server_release(px_server *server)
{
    if (px__sub_acqrel(&server->references, 1) != 1)
        return;
    px__slots_destroy(&server->slots);
    px_quota_release(server->options.context.quota);
    px_shared_free(server);
}

/* Workers beyond the number of shards share one, which costs them speed only;
 * main and the monitor share that of id 0. */
px__counts *
px__server_counts(px_server *server)
{
    return &server->shards[px_worker_id() % PX__COUNT_SHARDS].counts;
}

/* ---- the end, on the baton ----------------------------------------------- */

/* The activity first: the reference may be the last, and `rt` lies in the record.
 */
static void
on_timer_closed(uv_handle_t *handle)
{
    px_server *server = handle->data;
    px__activity_end(server->rt);
    px__server_release(server);
}

/* The last thing that the loop has of a server: V2. */
static void
end_if_empty(px_server *server)
{
    if (!server->closing || server->timer_closing ||
        !px__list_empty(&server->conns))
        return;
    server->timer_closing = true;
    px__ward_remove(&server->ward);
    uv_close((uv_handle_t *)&server->timer, on_timer_closed);
}

/* Raising collects a strand or aborts a write; neither takes a connection off the
 * list before this turn of the loop is over. */
static void
raise_all(px_server *server, uint32_t signal)
{
    px__list *link;
    for (link = server->conns.next; link != &server->conns; link = link->next)
        px__conn_raise(PX_CONTAINER(link, px__conn, link), signal);
}

/* Accept no more, and have the connections finish; again, with 0, to have no
 * more patience with them. */
static void
begin_end(px_server *server, unsigned drain_ms)
{
    if (!server->closing) {
        server->closing = true;
        px__listener_close(server);
    }
    if (drain_ms) {
        uv_update_time(px__loop(server->rt));
        server->drain_end_ms = uv_now(px__loop(server->rt)) + drain_ms;
    }
    raise_all(server, drain_ms ? PX__SIGNAL_DRAIN : PX__SIGNAL_RESET);
    px__deadlines_arm(server);
    end_if_empty(server);
}

void
px__server_cut_off(px_server *server)
{
    server->drain_end_ms = 0;
    raise_all(server, PX__SIGNAL_RESET);
}

/* The runtime is being released, and the user's handle goes with it. */
static void
on_release(px__ward *ward)
{
    px_server *server = PX_CONTAINER(ward, px_server, ward);
    bool held = server->handle_held;
    server->handle_held = false;
    server->drain_end_ms = 0;
    begin_end(server, 0);
    if (held)
        px__server_release(server);
}

/* A descriptor and a place below the cap are free: whoever waits in the
 * system's queue may have them. */
void
px__server_conn_closed(px_server *server)
{
    px__store_relaxed(&server->connections, server->connections - 1);
    px__listener_resume(server);
    end_if_empty(server);
}

/* ---- the beginning ------------------------------------------------------- */

/* Everything but sockets and handles. The caller's host string is not kept:
 * it is needed for binding only. */
static px_server *
create_record(px_runtime *rt, const px_protocol *protocol,
              const px_server_options *options)
{
    px_server *server = px_shared_calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->rt = rt;
    server->protocol = *protocol;
    server->options = *options;
    server->options.host = NULL;
    px_quota_retain(server->options.context.quota);
    server->max_connections = options->max_connections
                                  ? options->max_connections
                                  : connections_allowed();
    server->references = 1;
    server->handle_held = true;
    server->ward.close = on_release;
    px__list_init(&server->conns);
    return server;
}

/* With the baton: the ward first, since without it nothing may be opened. Both
 * handles hold a reference each (V1). */
static int
start(px_server *server)
{
    int status;
    if (!px__ward_add(server->rt, &server->ward))
        return PX_ECLOSED;
    status = px__listener_open(server);
    if (status) {
        px__ward_remove(&server->ward);
        return status;
    }
    px__server_retain(server);
    px__deadlines_init(server);
    px__server_retain(server);
    px__listener_resume(server); /* or the timer tries again */
    return 0;
}

/* The server counts as active by itself, so that px_run() waits for those who
 * may still dial. */
static int
start_with_baton(px_server *server)
{
    int status;
    if (!px__activity_begin(server->rt))
        return PX_ECLOSED;
    px__loop_enter(server->rt);
    status = start(server);
    px__loop_leave(server->rt);
    if (status)
        px__activity_end(server->rt);
    return status;
}

int
px_server_open(px_runtime *rt, const px_protocol *protocol,
               const px_server_options *options, px_server **out)
{
    px_server_options full;
    px_server *server;
    int status = px__runtime_check_main(rt);
    if (status)
        return status;
    if (!protocol || !protocol->received || !out)
        return PX_EINVAL;
    status = options_complete(&full, options);
    if (status)
        return status;
    server = create_record(rt, protocol, &full);
    if (!server)
        return PX_ENOMEM;
    status = px__listener_bind(server, &full);
    if (!status)
        status = start_with_baton(server);
    if (status) {
        px__listener_discard(server);
        px__server_release(server);
        return status;
    }
    *out = server;
    return 0;
}

/* ---- public -------------------------------------------------------------- */

int
px_server_close(px_server *server, unsigned drain_ms)
{
    px_runtime *rt;
    int status;
    if (!server)
        return 0;
    rt = server->rt;
    status = px__runtime_check_main(rt);
    if (status)
        return status;
    px__loop_enter(rt);
    server->handle_held = false;
    begin_end(server, drain_ms);
    px__loop_leave(rt);
    px__server_release(server);
    return 0;
}

int
px_server_port(const px_server *server)
{
    return server ? server->port : PX_EINVAL;
}

/* Counters are read one by one while others count: each is exact, and all of them
 * together are of no single moment. */
static void
add_shard(px_server_stats *total, const px__counts *counts)
{
    total->accepted += px__load_relaxed(&counts->accepted);
    total->closed += px__load_relaxed(&counts->closed);
    total->callbacks += px__load_relaxed(&counts->callbacks);
    total->received_bytes += px__load_relaxed(&counts->received_bytes);
    total->sent_bytes += px__load_relaxed(&counts->sent_bytes);
    total->rollbacks += px__load_relaxed(&counts->rollbacks);
    total->rolled_back_bytes += px__load_relaxed(&counts->rolled_back_bytes);
    total->async_sends += px__load_relaxed(&counts->async_sends);
    total->read_pauses += px__load_relaxed(&counts->read_pauses);
    total->accept_pauses += px__load_relaxed(&counts->accept_pauses);
    total->timeouts += px__load_relaxed(&counts->timeouts);
}

int
px_server_get_stats(const px_server *server, px_server_stats *stats)
{
    px_server_stats total = {0};
    size_t size;
    if (!server || !stats || stats->size < sizeof stats->size ||
        stats->size > sizeof total)
        return PX_EINVAL;
    size = stats->size;
    for (int i = 0; i < PX__COUNT_SHARDS; i++)
        add_shard(&total, &server->shards[i].counts);
    total.connections = px__load_relaxed(&server->connections);
    total.size = size;
    memcpy(stats, &total, size);
    return 0;
}
