/*
 * Listening and accepting.
 *
 *   readable --> accept4 ... until it would block, BATCH are taken, or full
 *                  |                        |
 *                  | no descriptor, memory  | max_connections
 *                  v                        v
 *               PAUSED for RETRY_MS      PAUSED until a connection closes
 *
 * While PAUSED the listening socket is not polled: what comes waits in the
 * kernel's queue and costs nothing. So running out of descriptors can neither
 * make the loop spin nor turn away who would have been served a moment later.
 *
 *   accepting  retry_ms  the listener
 *   yes        0         is polled
 *   no         0         PAUSED: full; px__server_conn_closed() resumes it
 *   no         > 0       PAUSED: short of something; the tick resumes it then,
 *                        or a connection that closes before, which frees some
 *   no         0         with `closing`: its handle is being closed
 *
 * Invariants
 *   L1  accepting is true exactly while the poll handle is active, so who pauses
 *       and who resumes need not ask libuv
 *   L2  a pause has an end: it was full, so connections are open, and each one
 *       that closes resumes; or retry_ms is set, and the timer armed for it
 *   L3  an accepted descriptor is px__conn_open()'s, whatever it answers
 *
 * Threads: bind by main, all else on the baton. The words of the table are the
 * baton's alone, so they are plain.
 *
 * Rejected: uv_listen. Out of descriptors it accepts and closes all who wait,
 * and when its reserve descriptor is gone as well it tries for ever, inside one
 * turn of the loop. A plain socket under uv_poll can simply not be polled.
 */
#include "net/conn.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BATCH = 64,    /* accepted in one turn, so that other handles get theirs */
    RETRY_MS = 200 /* the pause when descriptors or memory have run out */
};

/* ---- a socket that listens ----------------------------------------------- */

static int
parse_address(const px_server_options *options, px__address *out,
              socklen_t *size)
{
    memset(out, 0, sizeof *out);
    if (uv_ip4_addr(options->host, options->port, &out->v4) == 0) {
        *size = sizeof out->v4;
        return 0;
    }
    if (uv_ip6_addr(options->host, options->port, &out->v6) == 0) {
        *size = sizeof out->v6;
        return 0;
    }
    return PX_EINVAL;
}

/* What the system chose, if it was left to: a test, or a host that announces its
 * port by other means, asks for 0. */
static int
port_of(int fd)
{
    px__address address = {.v4 = {.sin_family = AF_UNSPEC}};
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size))
        return uv_translate_sys_error(errno);
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port
                                                   : address.v4.sin_port);
}

/* 0, or the system's code. An address whose last owner's connections linger may
 * be used again at once; one that is listened on may not. */
static int
bind_and_listen(int fd, const px__address *address, socklen_t size, int backlog)
{
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        bind(fd, &address->any, size) || listen(fd, backlog))
        return uv_translate_sys_error(errno);
    return 0;
}

int
px__listener_bind(px_server *server, const px_server_options *options)
{
    px__address address;
    socklen_t size;
    int status = parse_address(options, &address, &size);
    server->fd = -1;
    if (status)
        return status;
    server->fd = socket(address.any.sa_family,
                        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->fd < 0)
        return uv_translate_sys_error(errno);
    status = bind_and_listen(server->fd, &address, size, options->backlog);
    if (status)
        return status;
    server->port = port_of(server->fd);
    return server->port < 0 ? server->port : 0;
}

void
px__listener_discard(px_server *server)
{
    if (server->fd >= 0)
        close(server->fd);
    server->fd = -1;
}

/* ---- accepting ----------------------------------------------------------- */

/* The cap is below what descriptors allow (server.c): with the last one taken a
 * callback could open no file, and uv no pipe. */
static bool
is_full(const px_server *server)
{
    return server->connections >= server->max_connections;
}

static void
pause_accepting(px_server *server)
{
    server->accepting = false;
    uv_poll_stop(&server->listener);
    PX__COUNT(server, accept_pauses);
}

/* Something has run out that others, too, may give back. */
static void
pause_for_resources(px_server *server)
{
    pause_accepting(server);
    server->retry_ms = uv_now(server->listener.loop) + RETRY_MS;
    px__deadlines_arm(server);
}

/* Errors of the one connection that was about to be accepted, among them those
 * that Linux passes on from its network. */
static bool
is_of_the_peer(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENETUNREACH:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
        return true;
    default:
        return false;
    }
}

/* False: no more for now. Non-blocking from the start: the owner sends on the
 * descriptor itself, before libuv may have seen it. A connection for which there
 * is no memory is closed at once, and a pause follows: the next would fail, too. */
static bool
accept_one(px_server *server)
{
    px__address address;
    socklen_t size = sizeof address;
    int fd =
        accept4(server->fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && is_of_the_peer(errno))
        return true;
    if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (fd >= 0 && px__conn_open(server, fd, &address) == 0)
        return true;
    pause_for_resources(server);
    return false;
}

/* A batch, since each accept that finds nobody is a system call for nothing, and
 * a poll for each connection is another. An error of the poll itself says nothing
 * about when it will be gone, so it is treated as a shortage. */
static void
on_acceptable(uv_poll_t *handle, int status, int events)
{
    px_server *server = handle->data;
    int taken = 0;
    (void)events;
    if (status < 0) {
        pause_for_resources(server);
        return;
    }
    while (taken < BATCH && !is_full(server) && accept_one(server))
        taken++;
    if (server->accepting && is_full(server))
        pause_accepting(server);
}

/* Short of memory libuv may refuse, which is then tried again. */
static void
poll_listener(px_server *server)
{
    if (uv_poll_start(&server->listener, UV_READABLE, on_acceptable))
        pause_for_resources(server);
    else
        server->accepting = true;
}

int
px__listener_open(px_server *server)
{
    server->listener.data = server;
    return uv_poll_init(px__loop(server->rt), &server->listener, server->fd);
}

void
px__listener_resume(px_server *server)
{
    server->retry_ms = 0;
    if (!server->accepting && !server->closing && !is_full(server))
        poll_listener(server);
}

/* libuv only polled the descriptor, so it is ours to close, after the handle. */
static void
on_listener_closed(uv_handle_t *handle)
{
    px_server *server = handle->data;
    px__listener_discard(server);
    px__server_release(server);
}

void
px__listener_close(px_server *server)
{
    server->accepting = false;
    server->retry_ms = 0;
    uv_close((uv_handle_t *)&server->listener, on_listener_closed);
}
