/*
 * The load generator: see load.h. It runs in the process that measures, and
 * the server in another one, so that the server's CPU time and memory are its
 * own.
 *
 *     all idle --ask--> one request under way on each active connection
 *                         | answered: count it, ask again, until the time is up
 *     all idle <----------+ then wait for the rest
 *
 * A response is checked for its status line and its length, which the first
 * response of the server told. Every connection is asked again at once, so the
 * load is closed: a server that is slow is asked less, and percentiles are
 * those of the requests that were made. They are for comparing servers, not
 * for telling what a user of a busy one sees.
 */
#include "load.h"

#include "server_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_LATENCIES = 1 << 20, EVENTS = 64, LATE_MS = 5000 };

struct client {
    int fd;
    bool blocking;
    bool waiting;
    size_t received;
    uint64_t asked_ns;
};

struct load {
    struct load_options options;
    int epoll;
    size_t response_bytes;
    /* Active ones first, then idle ones. */
    struct client *clients;
    unsigned open;
    unsigned waiting;
    uint64_t requests;
    uint64_t answered;
    uint64_t until_ns;
    uint32_t *latency;
};

/* ---- connections ---- */

/* Blocking, but for the reads: a connection has one small request under way,
 * which its socket always takes. */
static int
connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static const char *
open_clients(struct load *load)
{
    const struct load_options *options = &load->options;
    unsigned count = options->active + options->idle;
    for (; load->open < count; load->open++) {
        struct client *client = &load->clients[load->open];
        client->fd = connect_to(options->port);
        if (client->fd < 0)
            return "cannot connect";
        client->blocking = load->open < options->blocking;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        if (load->open < options->active)
            epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event);
    }
    return NULL;
}

/* The length of a response: all that arrives until nothing has for a while. */
static size_t
probe(int port)
{
    char bytes[4096];
    const struct timeval patience = {.tv_usec = 200000};
    size_t total = 0;
    ssize_t got;
    int fd = connect_to(port);
    if (fd < 0)
        return 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)!send(fd, SERVER_REQUEST, sizeof SERVER_REQUEST - 1, MSG_NOSIGNAL);
    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0)
        total += (size_t)got;
    close(fd);
    return total;
}

const char *
load_open(const struct load_options *options, struct load **out)
{
    struct load *load = calloc(1, sizeof *load);
    if (!load)
        return "no memory";
    *out = load;
    load->options = *options;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->clients =
        calloc(options->active + options->idle, sizeof *load->clients);
    load->latency = malloc(MOST_LATENCIES * sizeof *load->latency);
    if (load->epoll < 0 || !load->clients || !load->latency)
        return "no memory";
    load->response_bytes = probe(options->port);
    return load->response_bytes ? open_clients(load) : "no response";
}

void
load_close(struct load *load)
{
    for (unsigned i = 0; i < load->open; i++)
        close(load->clients[i].fd);
    close(load->epoll);
    free(load->clients);
    free(load->latency);
    free(load);
}

/* ---- requests ---- */

/* The clock starts before the request is sent: the way into the kernel is part
 * of what a client waits for. */
static const char *
ask(struct load *load, struct client *client)
{
    const char *request = client->blocking ? SERVER_BLOCKING : SERVER_REQUEST;
    size_t bytes = client->blocking ? sizeof SERVER_BLOCKING - 1
                                    : sizeof SERVER_REQUEST - 1;
    client->asked_ns = bench_now_ns();
    client->received = 0;
    client->waiting = true;
    load->waiting++;
    return send(client->fd, request, bytes, MSG_NOSIGNAL) == (ssize_t)bytes
               ? NULL
               : "cannot send a request";
}

/* Above a million answers in a round the oldest are forgotten; a round here has
 * some tens of thousands. */
static void
note_latency(struct load *load, uint64_t spent_ns)
{
    uint32_t latency = spent_ns < UINT32_MAX ? (uint32_t)spent_ns : UINT32_MAX;
    load->latency[load->answered++ % MOST_LATENCIES] = latency;
}

/* A complete response: count it if it came in time, and then ask again. */
static const char *
answered(struct load *load, struct client *client)
{
    uint64_t now = bench_now_ns();
    client->waiting = false;
    load->waiting--;
    if (!client->blocking)
        note_latency(load, now - client->asked_ns);
    if (now >= load->until_ns)
        return NULL;
    load->requests += !client->blocking;
    return ask(load, client);
}

static const char *
receive(struct load *load, struct client *client)
{
    static const char status_line[] = "HTTP/1.1 200";
    char bytes[4096];
    ssize_t got = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return NULL;
    if (got <= 0)
        return "the server closed a connection";
    if (!client->waiting)
        return "bytes that nobody asked for";
    if (client->received == 0 && (size_t)got >= sizeof status_line - 1 &&
        memcmp(bytes, status_line, sizeof status_line - 1) != 0)
        return "a wrong response";
    client->received += (size_t)got;
    if (client->received > load->response_bytes)
        return "a response that is too long";
    return client->received == load->response_bytes ? answered(load, client)
                                                    : NULL;
}

static const char *
serve_events(struct load *load)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(load->epoll, events, EVENTS, LATE_MS);
    if (count == 0)
        return "a response is missing";
    for (int i = 0; i < count; i++) {
        const char *failed = receive(load, events[i].data.ptr);
        if (failed)
            return failed;
    }
    return NULL;
}

static int
by_latency(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double
percentile(struct load *load, double fraction)
{
    size_t count =
        load->answered < MOST_LATENCIES ? load->answered : MOST_LATENCIES;
    if (count == 0)
        return 0;
    qsort(load->latency, count, sizeof *load->latency, by_latency);
    return load->latency[(size_t)(fraction * (double)(count - 1))];
}

/* Ends when the last response is in, so that the next round begins with nobody
 * waiting; what came after the time counts as answered, not as a request. */
const char *
load_run(struct load *load, uint64_t time_ns, struct load_result *result)
{
    const char *failed = NULL;
    uint64_t begin = bench_now_ns();
    load->requests = load->answered = 0;
    load->until_ns = begin + time_ns;
    for (unsigned i = 0; i < load->options.active && !failed; i++)
        failed = ask(load, &load->clients[i]);
    while (load->waiting > 0 && !failed)
        failed = serve_events(load);
    *result = (struct load_result){.requests = load->requests,
                                   .answered = load->answered,
                                   .spent_ns = time_ns,
                                   .p99_ns = percentile(load, 0.99),
                                   .longest_ns = percentile(load, 1)};
    return failed;
}
