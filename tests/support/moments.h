/*
 * Moments in the life of a connection: each can be reached for certain, and the
 * connection stays there until the test lets it go on, or its runtime is
 * released. For tests of what a reset or a release finds.
 *
 * Callbacks stop at a gate; what only the loop knows is asked with the baton.
 * Main does not turn while a moment is being reached.
 */
#ifndef PX_TESTS_MOMENTS_H
#define PX_TESTS_MOMENTS_H

#include "client.h"

/* Constant. What is NULL, 0 or false is not asked for. */
typedef struct moment {
    const char *name;
    px_protocol protocol;
    void (*choose)(px_server_options *options);
    int receive_bytes; /* of the client's buffer */
    size_t says;       /* bytes that the client says... */
    bool hushes;       /* ...and then no more */
    bool hears;        /* a byte comes before the moment is reached */
    void (*then)(served *s);
    bool (*is_reached)(void *served);
    bool notices; /* the loop sees a reset, though a callback runs */
    bool fails;   /* a reset at this moment ends the connection with a code */
} moment;

extern const moment moments[];
extern const unsigned moment_count;

/* Serve, and have a client whose connection has got to @m: its descriptor. In
 * draining moments s->server is NULL then. */
int moment_reach(served *s, const moment *m);

/* Wait until the server has noticed that the client has reset, where it can. */
void moment_await_notice(const moment *m);

/* Let the connection go on: the gate is open from now on. */
void moment_pass(void);

/* Drop the reference that reaching needs. Not later than the next reach. */
void moment_forget(void);

/* Connections since moment_reach() that were told connected, and closed; and
 * the status of the last one. */
int moment_connected(void);
int moment_closed(void);
int moment_status(void);

#endif
