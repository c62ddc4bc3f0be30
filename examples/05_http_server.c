/* An HTTP/1.1 keep-alive server. Each request's memory is rolled back when its
 * answer has left. Usage: 05_http_server [PORT]; SIGTERM ends it. */
#define _POSIX_C_SOURCE 200809L /* sigaction() */
#include <pxrt.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request may arrive in pieces: what is not complete yet waits here, in the
 * connection's base heap. */
typedef struct state {
    size_t used;
    char bytes[8192];
} state;

static px_runtime *runtime;

static int
connected(px_context *cx)
{
    state *s = px_base_alloc(cx, sizeof *s);
    if (!s)
        return px_fail(cx, PX_ENOMEM, "no room for a connection");
    s->used = 0;
    return px_context_set_data(cx, s);
}

static int
answer(px_context *cx, const char *request, size_t count)
{
    px_heap *heap = px_context_heap(cx);
    int path = (int)strcspn(request, "\r") - 13; /* "GET " and " HTTP/1.1" */
    char *body = px_heap_printf(heap, "You asked for %.*s in %zu bytes\n",
                                path > 0 ? path : 0, request + 4, count);
    char *reply = px_heap_printf(heap,
                                 "HTTP/1.1 200 OK\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "Content-Length: %zu\r\n\r\n%s",
                                 body ? strlen(body) : 0, body ? body : "");
    if (!body || !reply)
        return px_fail(cx, PX_ENOMEM, "no room for an answer");
    return px_send(cx, reply, strlen(reply));
}

/* Answer every complete request and keep the rest. */
static int
received(px_context *cx, const char *data, size_t count)
{
    state *s = px_context_data(cx);
    char *start = s->bytes, *end;
    if (count >= sizeof s->bytes - s->used)
        return px_close(cx); /* too long for this example */
    memcpy(s->bytes + s->used, data, count);
    s->used += count;
    s->bytes[s->used] = '\0';
    while ((end = strstr(start, "\r\n\r\n"))) {
        if (answer(cx, start, (size_t)(end + 4 - start)) < 0)
            return PX_EFAILED;
        start = end + 4;
    }
    s->used -= (size_t)(start - s->bytes);
    memmove(s->bytes, start, s->used);
    return 0;
}

static void
stop(int signal_number)
{
    (void)signal_number;
    px_stop(runtime);
}

int
main(int argc, char **argv)
{
    const px_protocol http = {.connected = connected, .received = received};
    px_server_stats s = {.size = sizeof s};
    px_server_options options;
    px_server *server;
    px_server_options_init(&options);
    options.port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8080);
    if (px_runtime_create(NULL, &runtime) ||
        px_server_open(runtime, &http, &options, &server))
        return 1;
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
    printf("listening on 127.0.0.1:%d\n", px_server_port(server));
    fflush(stdout);
    while (px_run(runtime, NULL) < 0)
        fputs("a connection failed\n", stderr);
    px_server_get_stats(server, &s);
    printf("{\"connections\": %llu, \"requests\": %llu, "
           "\"bytes_rolled_back\": %llu}\n",
           (unsigned long long)s.accepted, (unsigned long long)s.callbacks,
           (unsigned long long)s.rolled_back_bytes);
    px_server_close(server, 1000);
    px_run(runtime, NULL);
    return px_runtime_release(runtime) != 0;
}
