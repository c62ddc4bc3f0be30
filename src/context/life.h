/*
 * The life of a context: one atomic word, one table of allowed moves.
 *
 *   CREATED ---> READY ---> RUNNING ---> IDLE ---> READY
 *      |           |  ^      | | |        |          (connection, timer)
 *      |           |  |      | | +--> SENDING ---> READY, IDLE
 *      |           |  +------+ |          |
 *      |           +--------> CLOSING <---+---- IDLE
 *      |                       | |
 *      |   RUNNING ---> DONE <-+ +-> FAILED <--- RUNNING
 *      |                 |             |
 *      +-------------> FINISHED <------+
 *                        |
 *                        +--> RELEASED --> PURGED --> FREED
 *
 * A context without a scheduler is entered and left: CREATED or IDLE to RUNNING
 * and back to IDLE, and from CREATED or IDLE to FINISHED when it is released.
 *
 * The word: bits 0..7 the state, bit 8 PENDING - something arrived for the
 * context while it could not be queued (it was READY, RUNNING or SENDING), so
 * whoever ends that state must queue it again.
 *
 * Invariants
 *   S1  every change of state is in the table of life.c (checked always: a
 *       wrong move means two owners, and that is memory unsafety)
 *   S2  exactly one thread owns a context in RUNNING, SENDING, CLOSING, DONE,
 *       FAILED; IDLE and READY are owned by the scheduler
 *   S3  PENDING is only ever set together with one of READY, RUNNING, SENDING
 *   S4  a thread that turns IDLE to READY, and only it, queues the context
 */
#ifndef PX_CONTEXT_LIFE_H
#define PX_CONTEXT_LIFE_H

#include <pxrt/context.h>

enum { PX__STATE_MASK = 0xff, PX__PENDING = 0x100 };

/* Move @cx from @from to @to; PENDING is kept. The caller owns the context. Call
 * px__life_move(), which is inline in context.h for what an owner does alone. */
void px__life_move_watched(px_context *cx, int from, int to);

/* For that inline function only: by state, a bit for each state that may follow
 * (S1), and who wants to be told. */
extern const uint32_t px__life_allowed[];
extern px_state_fn px__life_observer;

/* From CREATED or IDLE to FINISHED, by who has dropped the last reference to a
 * context without scheduler: nobody else can reach it. */
void px__life_retire(px_context *cx);

/* Something arrived for @cx. True: the context was at rest, is READY now, and
 * the caller must queue it. False: it is busy (PENDING is set, its owner sees
 * to it) or runs no more callbacks. Any thread. */
bool px__life_wake(px_context *cx);

/* The owner takes @cx from READY to RUNNING and clears PENDING: from here on it
 * looks at everything that arrived before. */
void px__life_begin(px_context *cx);

/* CREATED to READY to RUNNING, for a context that only this thread knows. */
void px__life_start(px_context *cx);

/* For a context without scheduler: CREATED or IDLE to RUNNING. False: another
 * thread has entered it. Any thread. */
bool px__life_try_run(px_context *cx);

/* The owner, RUNNING or SENDING, wants to go to IDLE. False: done, the context
 * is no longer the caller's. True: something had arrived, the context is READY
 * instead and the caller must queue it (or run it at once). */
bool px__life_rest(px_context *cx);

/* The current state. */
int px__life_state(const px_context *cx);

#endif
