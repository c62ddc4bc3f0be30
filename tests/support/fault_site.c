/* See fault_site.h. Thread rule: the test's thread, but for the callbacks. */
#include "fault_site.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "fault.h"
#include "net/server.h"

enum { PATIENCE_S = 20, SLICE_MS = 2, MOST_CLIENTS = 64 };

static struct {
    px_runtime *rt;
    px_server *server;
    bool v6;
    unsigned greetings; /* atomic, as is the next */
    unsigned goodbyes;
    unsigned dialed;
    int clients[MOST_CLIENTS];
    int client_count;
} now;

px_server_stats
site_stats(void)
{
    px_server_stats stats = {.size = sizeof stats};
    (void)px_server_get_stats(now.server, &stats);
    return stats;
}

int
site_connected(px_context *cx)
{
    (void)cx;
    px__add_relaxed(&now.greetings, 1u);
    return 0;
}

void
site_closed(px_context *cx, int status)
{
    (void)cx;
    (void)status;
    px__add_relaxed(&now.goodbyes, 1u);
}

/* ---- waiting ------------------------------------------------------------- */

/* Be the main thread for a moment. Errors are none of the clients' business. */
static void
be_main(int timeout_ms)
{
    (void)px_run_once(now.rt, timeout_ms, NULL);
}

/* Somebody waits to be accepted, and that is what fails for good. */
static bool
is_hopeless(void)
{
    px_server_stats stats = site_stats();
    return fault_lasts() && stats.accept_pauses > 0 &&
           stats.accepted < now.dialed;
}

static bool
is_ready(int fd, short events, int timeout_ms)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    fault_spare();
    int count = poll(&wanted, 1, timeout_ms);
    fault_unspare();
    return count > 0;
}

/* A client whose connection has ended, which the others may wait for. */
static bool
somebody_is_lost(void)
{
    bool lost = false;
    for (int i = 0; i < now.client_count; i++)
        lost |= is_ready(now.clients[i], POLLRDHUP, 0);
    return lost;
}

/* A step of waiting: 0 when it may go on. */
static int
wait_a_bit(time_t end, int timeout_ms)
{
    be_main(timeout_ms);
    if (is_hopeless() || somebody_is_lost())
        return SITE_LOST;
    return time(NULL) > end ? SITE_HUNG : 0;
}

static int
await_ready(int fd, short events)
{
    time_t end = time(NULL) + PATIENCE_S;
    int status = 0;
    while (!status && !is_ready(fd, events, SLICE_MS))
        status = wait_a_bit(end, 0);
    return is_ready(fd, events, 0) ? 0 : status;
}

int
site_await(bool (*condition)(void))
{
    time_t end = time(NULL) + PATIENCE_S;
    int status = 0;
    while (!status && !condition())
        status = wait_a_bit(end, SLICE_MS);
    return condition() ? 0 : status;
}

/* ---- clients ------------------------------------------------------------- */

static int
make_socket(int receive_bytes)
{
    int fd = socket(now.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
                   sizeof receive_bytes);
    return fd;
}

/* The kernel connects; that the server accepts is not waited for. */
static int
connect_socket(int fd)
{
    uint16_t port = htons((uint16_t)px_server_port(now.server));
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    return now.v6 ? connect(fd, (struct sockaddr *)&v6, sizeof v6)
                  : connect(fd, (struct sockaddr *)&v4, sizeof v4);
}

int
site_dial(int receive_bytes)
{
    fault_spare();
    int fd = make_socket(receive_bytes);
    if (fd >= 0 && (now.client_count == MOST_CLIENTS || connect_socket(fd))) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        now.clients[now.client_count++] = fd;
        now.dialed++;
    }
    fault_unspare();
    return fd;
}

static void
forget_client(int fd)
{
    for (int i = 0; i < now.client_count; i++)
        if (now.clients[i] == fd)
            now.clients[i] = now.clients[--now.client_count];
}

void
site_hang_up(int fd)
{
    forget_client(fd);
    close(fd);
}

void
site_widen(int fd)
{
    int bytes = 1 << 20;
    fault_spare();
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    fault_unspare();
}

static void
all_hang_up(void)
{
    while (now.client_count)
        close(now.clients[--now.client_count]);
}

/* A code for a result of send() or recv() that is not positive. */
static int
code_of(ssize_t result)
{
    bool again = result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return again ? 0 : SITE_LOST;
}

int
site_say(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count) {
        int status = await_ready(fd, POLLOUT);
        if (status)
            return status;
        ssize_t said = send(fd, at, count, MSG_NOSIGNAL);
        if (said <= 0 && code_of(said))
            return SITE_LOST;
        at += said > 0 ? said : 0;
        count -= said > 0 ? (size_t)said : 0;
    }
    return 0;
}

int
site_hear(int fd, const void *bytes, size_t count)
{
    static char heard[64 * 1024];
    const char *expected = bytes;
    while (count) {
        int status = await_ready(fd, POLLIN);
        if (status)
            return status;
        ssize_t got =
            recv(fd, heard, count < sizeof heard ? count : sizeof heard, 0);
        if (got <= 0 && code_of(got))
            return SITE_LOST;
        if (got > 0 && memcmp(heard, expected, (size_t)got) != 0)
            return SITE_WRONG_BYTES;
        expected += got > 0 ? got : 0;
        count -= got > 0 ? (size_t)got : 0;
    }
    return 0;
}

const char site_line[32] = "something to be said and heard\n";

int
site_say_and_hear(int fd)
{
    int status = site_say(fd, site_line, sizeof site_line);
    return status ? status : site_hear(fd, site_line, sizeof site_line);
}

int
site_hear_end(int fd)
{
    char bytes[4096];
    ssize_t got;
    do {
        int status = await_ready(fd, POLLIN);
        if (status)
            return status == SITE_LOST ? 0 : status;
        got = recv(fd, bytes, sizeof bytes, 0);
    } while (got > 0 || code_of(got) == 0);
    return 0;
}

/* ---- the life of a site -------------------------------------------------- */

/* How much the system takes for a peer that does not read differs widely from
 * machine to machine. What is accepted inherits the listener's buffer. */
static void
limit_send_buffer(int bytes)
{
    fault_spare();
    setsockopt(now.server->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    fault_unspare();
}

static int
open_site(const site *plan)
{
    px_runtime_options options;
    memset(&now, 0, sizeof now);
    now.v6 = strchr(plan->options.host, ':') != NULL;
    px_runtime_options_init(&options);
    options.workers = plan->workers;
    options.all_workers = true; /* nobody asks the system how they do */
    int status = px_runtime_create(&options, &now.rt);
    if (status)
        return status;
    status =
        px_server_open(now.rt, plan->protocol, &plan->options, &now.server);
    if (status && px_runtime_release(now.rt))
        return SITE_NO_RELEASE;
    if (!status && plan->send_buffer)
        limit_send_buffer(plan->send_buffer);
    return status;
}

/* Let the clients come, and come again to see whether the server is well. */
static int
let_visit(const site *plan)
{
    int status = plan->visit ? plan->visit() : 0;
    if (status > 0 || !fault_fired())
        return status;
    fault_disarm();
    all_hang_up();
    if (plan->visit && plan->visit())
        return SITE_NO_SERVICE;
    return status;
}

static bool
is_idle(void)
{
    px_runtime_stats stats = {.size = sizeof stats};
    (void)px_runtime_get_stats(now.rt, &stats);
    return stats.active == 0 && stats.finished == 0 &&
           stats.errors_waiting == 0;
}

/* Not site_await(): the server is gone. */
static int
await_idle(void)
{
    time_t end = time(NULL) + PATIENCE_S;
    while (!is_idle()) {
        be_main(SLICE_MS);
        if (time(NULL) > end)
            return SITE_HUNG;
    }
    return 0;
}

/* Clients stay, so that it is the server that closes their connections. */
static int
close_site(const site *plan)
{
    int status = 0;
    if (plan->end != SITE_RELEASE) {
        unsigned drain_ms = plan->end == SITE_DRAIN ? plan->drain_ms : 0;
        status = px_server_close(now.server, drain_ms);
        if (!status)
            status = await_idle();
    }
    if (px_runtime_release(now.rt))
        status = SITE_NO_RELEASE;
    all_hang_up();
    return now.greetings == now.goodbyes ? status : SITE_UNEVEN;
}

int
site_live(const site *plan)
{
    int status = open_site(plan);
    if (status)
        return status;
    status = let_visit(plan);
    int end = close_site(plan);
    return end > 0 || !status ? end : status;
}

/* ---- torture ------------------------------------------------------------- */

void
site_plan(site *plan, const px_protocol *protocol, int (*visit)(void))
{
    memset(plan, 0, sizeof *plan);
    px_server_options_init(&plan->options);
    plan->protocol = protocol;
    plan->visit = visit;
    plan->workers = 2;
}

static const site *tortured;

static int
live_tortured(void)
{
    return site_live(tortured);
}

const char *
site_torture(const site *plan, const char *name)
{
    size_t points = 0;
    tortured = plan;
    const char *wrong = fault_torture(live_tortured, &points);
    printf("fault: %s: %zu points\n", name, points);
    return wrong;
}
