/* See client.h. */
#include "client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

void
serve(served *s, const px_protocol *protocol, const px_server_options *options)
{
    px_runtime_options runtime;
    memset(s, 0, sizeof *s);
    px_runtime_options_init(&runtime);
    runtime.workers = 2;
    assert_int_equal(px_runtime_create(&runtime, &s->rt), 0);
    assert_int_equal(px_server_open(s->rt, protocol, options, &s->server), 0);
}

static void
turn(served *s)
{
    const px_error *error = NULL;
    int status = px_run_once(s->rt, 2, &error);
    if (status >= 0)
        return;
    s->errors++;
    s->last_error = status;
    px_error_release(error);
}

static bool
is_idle(void *arg)
{
    served *s = arg;
    px_runtime_stats stats = {.size = sizeof stats};
    assert_int_equal(px_runtime_get_stats(s->rt, &stats), 0);
    return stats.active == 0 && stats.finished == 0 &&
           stats.errors_waiting == 0;
}

void
unserve(served *s)
{
    assert_int_equal(px_server_close(s->server, 0), 0);
    wait_until(s, is_idle, s);
    assert_int_equal(px_runtime_release(s->rt), 0);
}

void
wait_until(served *s, bool (*condition)(void *arg), void *arg)
{
    time_t end = time(NULL) + CLIENT_PATIENCE_S;
    while (!condition(arg)) {
        turn(s);
        if (time(NULL) > end)
            fail_msg("waited for too long");
    }
}

px_server_stats
stats_of(const served *s)
{
    px_server_stats stats = {.size = sizeof stats};
    assert_int_equal(px_server_get_stats(s->server, &stats), 0);
    return stats;
}

typedef struct count_wait {
    const served *s;
    uint64_t count;
} count_wait;

static bool
has_closed(void *arg)
{
    count_wait *wait = arg;
    px_server_stats stats = stats_of(wait->s);
    return stats.closed >= wait->count && stats.connections == 0;
}

void
wait_closed(served *s, uint64_t count)
{
    count_wait wait = {s, count};
    wait_until(s, has_closed, &wait);
}

int
make_client(int receive_bytes)
{
    struct timeval patience = {.tv_sec = CLIENT_PATIENCE_S};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
                   sizeof receive_bytes);
    return fd;
}

void
connect_client(const served *s, int fd)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_port = htons((uint16_t)px_server_port(s->server));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
}

int
dial_small(const served *s, int receive_bytes)
{
    int fd = make_client(receive_bytes);
    connect_client(s, fd);
    return fd;
}

int
dial(const served *s)
{
    return dial_small(s, 0);
}

int
serve_one(served *s, const px_protocol *protocol,
          const px_server_options *options)
{
    serve(s, protocol, options);
    return dial(s);
}

void
unserve_one(served *s, int fd)
{
    hang_up(fd);
    unserve(s);
}

static void
check_patience(ssize_t count)
{
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        fail_msg("a client waited for too long");
}

bool
say(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count) {
        ssize_t said = send(fd, at, count, MSG_NOSIGNAL);
        check_patience(said);
        if (said <= 0)
            return false;
        at += said;
        count -= (size_t)said;
    }
    return true;
}

bool
say_text(int fd, const char *text)
{
    return say(fd, text, strlen(text));
}

long
hear(int fd, void *bytes, size_t count)
{
    size_t heard = 0;
    while (heard < count) {
        ssize_t part = recv(fd, (char *)bytes + heard, count - heard, 0);
        check_patience(part);
        if (part < 0)
            return -1;
        if (part == 0)
            break;
        heard += (size_t)part;
    }
    return (long)heard;
}

bool
hears(int fd, const char *text)
{
    char heard[256];
    size_t count = strlen(text);
    assert_true(count <= sizeof heard);
    return hear(fd, heard, count) == (long)count &&
           memcmp(heard, text, count) == 0;
}

void
have_echoed(int fd)
{
    assert_true(say_text(fd, "x"));
    assert_true(hears(fd, "x"));
}

int
hear_end(int fd)
{
    char byte;
    ssize_t count = recv(fd, &byte, 1, 0);
    check_patience(count);
    if (count < 0)
        return errno;
    return count == 0 ? 0 : -1;
}

void
hush(int fd)
{
    shutdown(fd, SHUT_WR);
}

void
hang_up(int fd)
{
    close(fd);
}

void
reset(int fd)
{
    struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

void
fill_pattern(char *bytes, size_t count, unsigned seed)
{
    uint32_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < count; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[i] = (char)x;
    }
}
