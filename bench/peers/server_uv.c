/*
 * A plain libuv server: callbacks on the loop, one receive buffer for each
 * loop, the request copied and the response made by malloc, sent by
 * uv_try_write() (with uv_write() for the rest, which loopback never needs).
 * With several loops, each has a thread and a listening socket of its own
 * (SO_REUSEPORT).
 */
#include "../server_peer.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { RECEIVE_BYTES = 64 << 10, BACKLOG = 511 };

struct loop {
    uv_loop_t loop;
    uv_tcp_t listener;
    char receive[RECEIVE_BYTES];
};

struct connection {
    uv_tcp_t tcp;
    struct server_scan scan;
};

struct rest {
    uv_write_t request;
    char bytes[SERVER_RESPONSE_BYTES];
};

static void
give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct loop *loop = handle->loop->data;
    (void)suggested;
    *buffer = uv_buf_init(loop->receive, sizeof loop->receive);
}

static void
free_connection(uv_handle_t *handle)
{
    free(handle->data);
}

static void
rest_sent(uv_write_t *request, int status)
{
    (void)status;
    free(request->data);
}

static void
send_rest(struct connection *connection, const char *bytes, size_t count)
{
    struct rest *rest = malloc(sizeof *rest);
    if (!rest)
        abort();
    rest->request.data = rest;
    memcpy(rest->bytes, bytes, count);
    uv_buf_t buffer = uv_buf_init(rest->bytes, (unsigned)count);
    uv_write(&rest->request, (uv_stream_t *)&connection->tcp, &buffer, 1,
             rest_sent);
}

/* malloc and free twice, as a program on libuv would, where ours takes from its
 * context's heap. Trying to write at once saves the request and the wait for
 * the loop: the quickest way that libuv has. */
static void
respond(struct connection *connection, const char *request, size_t count)
{
    char *copy = malloc(count);
    char *response = malloc(SERVER_RESPONSE_BYTES);
    if (!copy || !response)
        abort();
    memcpy(copy, request, count);
    bench_use((uintptr_t)copy);
    memcpy(response, SERVER_RESPONSE, SERVER_RESPONSE_BYTES);
    uv_buf_t buffer = uv_buf_init(response, SERVER_RESPONSE_BYTES);
    int sent = uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done < SERVER_RESPONSE_BYTES)
        send_rest(connection, response + done, SERVER_RESPONSE_BYTES - done);
    free(response);
    free(copy);
}

static void
received(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    if (count < 0) {
        uv_close((uv_handle_t *)stream, free_connection);
        return;
    }
    size_t bytes = (size_t)count;
    size_t requests = server_scan(&connection->scan, buffer->base, bytes);
    server_block_if_asked(buffer->base, bytes);
    while (requests--)
        respond(connection, buffer->base, bytes);
}

static void
accepted(uv_stream_t *listener, int status)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (status != 0 || !connection)
        abort();
    uv_tcp_init(listener->loop, &connection->tcp);
    connection->tcp.data = connection;
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) == 0) {
        uv_tcp_nodelay(&connection->tcp, 1);
        uv_read_start((uv_stream_t *)&connection->tcp, give_buffer, received);
    } else {
        uv_close((uv_handle_t *)&connection->tcp, free_connection);
    }
}

/* A socket bound to @p port; 0: any, and @p port is then what it got. */
static int
bind_socket(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(*port)};
    socklen_t bytes = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0)
        return -1;
    *port = ntohs(address.sin_port);
    return fd;
}

static bool
open_loop(struct loop *loop, uint16_t *port)
{
    int fd = bind_socket(port);
    if (fd < 0 || uv_loop_init(&loop->loop) != 0)
        return false;
    loop->loop.data = loop;
    uv_tcp_init(&loop->loop, &loop->listener);
    return uv_tcp_open(&loop->listener, fd) == 0 &&
           uv_listen((uv_stream_t *)&loop->listener, BACKLOG, accepted) == 0;
}

static void
run_loop(void *arg)
{
    struct loop *loop = arg;
    uv_run(&loop->loop, UV_RUN_DEFAULT);
}

static void
serve(const struct server_options *options)
{
    uint16_t port = 0;
    struct loop *loops = calloc(options->loops, sizeof *loops);
    for (unsigned i = 0; i < options->loops; i++)
        if (!loops || !open_loop(&loops[i], &port))
            return;
    int number = port;
    if (write(options->port_fd, &number, sizeof number) != sizeof number)
        return;
    for (unsigned i = 1; i < options->loops; i++) {
        uv_thread_t thread;
        if (uv_thread_create(&thread, run_loop, &loops[i]) != 0)
            return;
    }
    run_loop(&loops[0]);
}

const struct server_peer server_peer_uv = {.end_signal = SIGKILL,
                                           .serve = serve};
