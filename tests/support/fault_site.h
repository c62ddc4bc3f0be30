/*
 * For the fault torture of servers: a runtime, a server, and clients that are
 * never at a loss.
 *
 * The calls of clients are spared: they neither count nor fail. A client whose
 * server fails may lose its connection, but not wait in vain: who waits is the
 * main thread meanwhile, and gives up when the time is over (HUNG), when some
 * client has lost its connection, since that may have been the one who was to
 * speak, or when the server cannot accept for as long as the failure lasts
 * (LOST).
 */
#ifndef PX_TESTS_FAULT_SITE_H
#define PX_TESTS_FAULT_SITE_H

#include <pxrt.h>

/* What a visit answers besides 0. LOST may come with a failure, the others are
 * never excused. */
enum {
    SITE_LOST = -1,   /* the connection was closed or reset */
    SITE_HUNG = 1,    /* nothing happened for too long */
    SITE_WRONG_BYTES, /* others than were to come */
    SITE_NO_SERVICE,  /* the server does not serve after the failure */
    SITE_UNEVEN,      /* a connection greeted, and not closed */
    SITE_NO_RELEASE   /* the runtime refuses to be released */
};

/* How a scenario ends. */
enum site_end { SITE_CLOSE, SITE_DRAIN, SITE_RELEASE };

typedef struct site {
    const px_protocol *protocol;
    px_server_options options;
    unsigned workers;
    enum site_end end;
    unsigned drain_ms;
    int send_buffer;    /* of the server's side, in bytes; 0: as it comes */
    int (*visit)(void); /* what the clients do; may be NULL */
} site;

/* Open a runtime and the server, let the clients visit, and once more when
 * something has failed: with the failure gone, the same server must serve. Then
 * end it all, while a failure that has not come yet still may. Returns 0, the
 * code of what could not be opened, LOST, or worse. */
int site_live(const site *plan);

/* A plan with the defaults: two workers, closed at once. */
void site_plan(site *plan, const px_protocol *protocol, int (*visit)(void));

/* Let each call of site_live() fail, and print the number of points under this
 * name. Returns what is wrong, or NULL. */
const char *site_torture(const site *plan, const char *name);

/* While it lives. */
px_server_stats site_stats(void);

/* Callbacks that count, for every protocol. */
int site_connected(px_context *cx);
void site_closed(px_context *cx, int status);

/* A client, with a receive buffer of @receive_bytes if not 0. What is left open
 * is closed when the visit is over. */
int site_dial(int receive_bytes);
void site_hang_up(int fd);

/* End the smallness of a client's receive buffer. */
void site_widen(int fd);

/* A client says a line, and hears it: for servers that echo. */
extern const char site_line[32];
int site_say_and_hear(int fd);

/* Send, or receive what must be these bytes: 0 or as above. */
int site_say(int fd, const void *bytes, size_t count);
int site_hear(int fd, const void *bytes, size_t count);

/* Wait for the end of the connection, whatever comes before it: always 0, or
 * HUNG. */
int site_hear_end(int fd);

/* Be the main thread until @condition holds: 0, LOST or HUNG. */
int site_await(bool (*condition)(void));

#endif
