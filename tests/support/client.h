/*
 * For tests of servers: a runtime with one server, and blocking clients of it.
 *
 * Clients fail the test by themselves when something takes longer than
 * CLIENT_PATIENCE_S. Nothing here sleeps: who waits, waits for a condition.
 */
#ifndef PX_TESTS_CLIENT_H
#define PX_TESTS_CLIENT_H

#include <pxrt.h>

enum { CLIENT_PATIENCE_S = 30 };

typedef struct served {
    px_runtime *rt;
    px_server *server;
    int errors; /* reported while waiting */
    int last_error;
} served;

/* Start a runtime of two workers and a server; @options may be NULL. */
void serve(served *s, const px_protocol *protocol,
           const px_server_options *options);

/* Close the server at once, see all of it freed, and release the runtime. */
void unserve(served *s);

/* The same with one client, whose descriptor is returned. */
int serve_one(served *s, const px_protocol *protocol,
              const px_server_options *options);
void unserve_one(served *s, int fd);

/* Be the main thread until @condition(@arg) holds; count reported errors. */
void wait_until(served *s, bool (*condition)(void *arg), void *arg);

px_server_stats stats_of(const served *s);

/* Wait until so many connections have run their last callback, in all. */
void wait_closed(served *s, uint64_t count);

/* A connected client; with a receive buffer of @receive_bytes if not 0. */
int dial(const served *s);
int dial_small(const served *s, int receive_bytes);

/* The same in two steps. */
int make_client(int receive_bytes);
void connect_client(const served *s, int fd);

/* Send all of it. False: the peer has closed or reset. */
bool say(int fd, const void *bytes, size_t count);
bool say_text(int fd, const char *text);

/* Receive @count bytes: the number that came before the end; -1 for a reset. */
long hear(int fd, void *bytes, size_t count);

/* Whether exactly @text comes next. */
bool hears(int fd, const char *text);

/* For servers that echo: a word there and back. */
void have_echoed(int fd);

/* What ends the stream, with nothing before it: 0 an orderly end, or errno; -1
 * when there are bytes. */
int hear_end(int fd);

/* No more bytes will be said. */
void hush(int fd);

void hang_up(int fd);
void reset(int fd);

/* Bytes that depend upon their place. */
void fill_pattern(char *bytes, size_t count, unsigned seed);

#endif
