/* A chat server: what one connection says reaches all others, as messages
 * posted to their contexts. Usage: 06_chat_server [PORT]; SIGTERM ends it. */
#define _POSIX_C_SOURCE 200809L /* sigaction() */
#include <pxrt.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GUESTS = 1000 };
static px_mutex room_lock; /* the room is shared by all contexts */
static px_context *guests[MAX_GUESTS];
static int guest_count;
static px_runtime *runtime;

/* Runs in a listener's context. */
static int
hear(px_context *cx, void *bytes, size_t count)
{
    char *copy = px_heap_memdup(px_context_heap(cx), bytes, count);
    if (!copy)
        return px_fail(cx, PX_ENOMEM, "no room for a message");
    return px_send(cx, copy, count);
}

static void
tell_others(px_context *cx, const char *text, size_t count)
{
    px_mutex_lock(&room_lock);
    for (int i = 0; i < guest_count; i++)
        if (guests[i] != cx)
            px_post(guests[i], hear, text, count); /* a guest may be leaving */
    px_mutex_unlock(&room_lock);
}

static int
connected(px_context *cx)
{
    px_mutex_lock(&room_lock);
    bool entered = guest_count < MAX_GUESTS;
    if (entered)
        guests[guest_count++] = px_context_retain(cx);
    px_mutex_unlock(&room_lock);
    return entered ? px_send(cx, "welcome\n", 8) : px_close(cx);
}

static int
received(px_context *cx, const char *data, size_t count)
{
    char *text = px_heap_printf(px_context_heap(cx), "%s> %.*s",
                                px_peer_name(cx), (int)count, data);
    if (!text)
        return px_fail(cx, PX_ENOMEM, "no room for a message");
    tell_others(cx, text, strlen(text));
    return 0;
}

static void
closed(px_context *cx, int status)
{
    (void)status;
    px_mutex_lock(&room_lock);
    for (int i = 0; i < guest_count; i++)
        if (guests[i] == cx) {
            guests[i] = guests[--guest_count];
            px_context_release(cx);
            break;
        }
    px_mutex_unlock(&room_lock);
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
    const px_protocol chat = {
        .connected = connected, .received = received, .closed = closed};
    px_server_options options;
    px_server *server;
    px_server_options_init(&options);
    options.port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8081);
    if (px_runtime_create(NULL, &runtime) ||
        px_server_open(runtime, &chat, &options, &server))
        return 1;
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
    printf("listening on 127.0.0.1:%d\n", px_server_port(server));
    fflush(stdout);
    while (px_run(runtime, NULL) < 0)
        ;
    px_server_close(server, 0);
    px_run(runtime, NULL);
    return px_runtime_release(runtime) != 0;
}
