/*
 * What a server gives to server.c, and what all of them do alike: the request,
 * the response, and how a request is found in the bytes that arrive.
 */
#ifndef PX_BENCH_SERVER_PEER_H
#define PX_BENCH_SERVER_PEER_H

#include "harness.h"

#include <string.h>
#include <time.h>

#define SERVER_REQUEST "GET /item HTTP/1.1\r\nHost: bench\r\n\r\n"
/* The callback of this one blocks for 5 ms. */
#define SERVER_BLOCKING "GET /block HTTP/1.1\r\nHost: bench\r\n\r\n"
enum { SERVER_BLOCK_MS = 5 };

/* 128 bytes of body: small, as most answers of an API are, so that the copying
 * in the kernel does not drown what is measured. */
#define SERVER_BODY_64                                                         \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SERVER_RESPONSE                                                        \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"                          \
    "Content-Length: 128\r\nConnection: keep-alive\r\n\r\n" SERVER_BODY_64     \
        SERVER_BODY_64
enum { SERVER_RESPONSE_BYTES = sizeof SERVER_RESPONSE - 1 };

/* Written by the server's process, read by the one that measures it. */
struct server_shared {
    uint64_t rollbacks;
    uint64_t rolled_back_bytes;
};

struct server_options {
    /* Event loops of a libuv server, worker processes of nginx. */
    unsigned loops;
    /* pxrt: neither allocate nor roll back, and send static bytes. */
    bool no_rollback;
    struct server_shared *shared;
    /* The server writes its port here, as an int, once it listens. */
    int port_fd;
};

struct server_peer {
    const char *missing;
    /* The signal that ends it. */
    int end_signal;
    /* The whole life of the server's process; returns only on failure. */
    void (*serve)(const struct server_options *options);
};

extern const struct server_peer server_peer_px, server_peer_uv,
    server_peer_nginx;

/* How many bytes of the blank line that ends a request have been seen. */
struct server_scan {
    unsigned seen;
};

/* The requests that end in these bytes. All our servers look for the blank line
 * and no further: parsing would be the same code in each and hide the rest. A
 * request may come in pieces, so what was seen of its end is kept. */
static inline size_t
server_scan(struct server_scan *scan, const char *bytes, size_t count)
{
    static const char end[] = "\r\n\r\n";
    size_t requests = 0;
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == end[scan->seen])
            scan->seen++;
        else
            scan->seen = bytes[i] == end[0];
        if (scan->seen == 4) {
            scan->seen = 0;
            requests++;
        }
    }
    return requests;
}

/* Wait, where the request asks for it. The load generator sends one request at
 * a time, so it stands at the beginning of what arrives. */
static inline void
server_block_if_asked(const char *bytes, size_t count)
{
    const struct timespec time = {.tv_nsec = SERVER_BLOCK_MS * 1000000};
    if (count > 6 && memcmp(bytes, "GET /b", 6) == 0)
        nanosleep(&time, NULL);
}

#endif
