/*
 * The pxrt server: the request is copied and the response made in the
 * connection's callback heap, which the runtime rolls back.
 */
#include "../server_peer.h"

#include <pxrt/net.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int
connected(px_context *cx)
{
    struct server_scan *scan = px_base_alloc(cx, sizeof *scan);
    if (!scan)
        return px_fail(cx, PX_ENOMEM, "no memory for a connection");
    *scan = (struct server_scan){0};
    return px_context_set_data(cx, scan);
}

static int
respond(px_context *cx, const char *request, size_t count)
{
    char *copy = px_heap_memdup(px_context_heap(cx), request, count);
    char *response = px_alloc(cx, SERVER_RESPONSE_BYTES);
    if (!copy || !response)
        return px_fail(cx, PX_ENOMEM, "no memory for a request");
    bench_use((uintptr_t)copy);
    memcpy(response, SERVER_RESPONSE, SERVER_RESPONSE_BYTES);
    return px_send(cx, response, SERVER_RESPONSE_BYTES);
}

static int
received(px_context *cx, const char *data, size_t count)
{
    int status = 0;
    size_t requests = server_scan(px_context_data(cx), data, count);
    server_block_if_asked(data, count);
    while (requests-- && status == 0)
        status = respond(cx, data, count);
    return status;
}

/* The same server without the heap: what the bytes need, and no more. */
static int
received_static(px_context *cx, const char *data, size_t count)
{
    int status = 0;
    size_t requests = server_scan(px_context_data(cx), data, count);
    while (requests-- && status == 0)
        status = px_send(cx, SERVER_RESPONSE, SERVER_RESPONSE_BYTES);
    return status;
}

static void
publish(const px_server *server, struct server_shared *shared)
{
    px_server_stats stats = {.size = sizeof stats};
    if (px_server_get_stats(server, &stats) != 0)
        return;
    shared->rollbacks = stats.rollbacks;
    shared->rolled_back_bytes = stats.rolled_back_bytes;
}

/* Until the process is killed: main has nothing to do but to look after errors
 * and to publish the counters. */
static void
serve(const struct server_options *bench)
{
    px_runtime *runtime;
    px_server *server;
    px_server_options options;
    const px_protocol protocol = {
        .connected = connected,
        .received = bench->no_rollback ? received_static : received};
    px_server_options_init(&options);
    options.rollback = !bench->no_rollback;
    if (px_runtime_create(NULL, &runtime) != 0 ||
        px_server_open(runtime, &protocol, &options, &server) != 0)
        return;
    int port = px_server_port(server);
    if (write(bench->port_fd, &port, sizeof port) != sizeof port)
        return;
    for (;;) {
        px_run_once(runtime, 100, NULL);
        publish(server, bench->shared);
    }
}

const struct server_peer server_peer_px = {.end_signal = SIGKILL,
                                           .serve = serve};
