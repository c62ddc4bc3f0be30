/*
 * Moves along the life of a context; the picture and the invariants are in
 * life.h.
 *
 * The table is checked in every build: it costs a shift and a mask beside an
 * atomic operation, and a wrong move means that two threads believe to own one
 * context.
 *
 * Ordering: each move is an acquire-release operation on the word, so whoever
 * takes a context over (begin, wake's caller) sees all that its last owner did.
 * wake() sets PENDING by the same kind of operation even when the context is
 * READY already: the word's one order of changes then decides whether begin()
 * sees the arrival or rest() finds PENDING; nothing falls between.
 */
#include "context/life.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "context/context.h"

#define TO(state) (1u << (state))

const uint32_t px__life_allowed[] = {
    [PX_CREATED] = TO(PX_READY) | TO(PX_RUNNING) | TO(PX_FINISHED),
    [PX_READY] = TO(PX_RUNNING) | TO(PX_CLOSING),
    [PX_RUNNING] = TO(PX_READY) | TO(PX_IDLE) | TO(PX_SENDING) |
                   TO(PX_CLOSING) | TO(PX_DONE) | TO(PX_FAILED),
    [PX_IDLE] =
        TO(PX_READY) | TO(PX_RUNNING) | TO(PX_CLOSING) | TO(PX_FINISHED),
    [PX_SENDING] = TO(PX_READY) | TO(PX_IDLE) | TO(PX_CLOSING),
    [PX_CLOSING] = TO(PX_DONE) | TO(PX_FAILED),
    [PX_DONE] = TO(PX_FINISHED),
    [PX_FAILED] = TO(PX_FINISHED),
    [PX_FINISHED] = TO(PX_RELEASED),
    [PX_RELEASED] = TO(PX_PURGED),
    [PX_PURGED] = TO(PX_FREED),
    [PX_FREED] = 0,
};

/* States in which an arrival is remembered rather than queued (S3). */
static const uint32_t busy = TO(PX_READY) | TO(PX_RUNNING) | TO(PX_SENDING);

px_state_fn px__life_observer;
static void *observer_arg;

void
px_observe_states(px_state_fn fn, void *arg)
{
    px__store_relaxed(&observer_arg, arg);
    px__store_release(&px__life_observer,
                      fn); /* pairs with the load in observe() */
}

static void
observe(const px_context *cx, int from, int to)
{
    px_state_fn fn = px__load_acquire(&px__life_observer);
    if (PX_UNLIKELY(fn != NULL))
        fn(cx, from, to, px__load_relaxed(&observer_arg));
}

static int
state_of(uint32_t word)
{
    return (int)(word & PX__STATE_MASK);
}

static bool
is_busy(int state)
{
    return (busy >> state) & 1;
}

/* Replace @seen by @state, with PENDING as @pending says; S1. */
static bool
try_move(px_context *cx, uint32_t *seen, int state, uint32_t pending)
{
    PX_CHECK((px__life_allowed[state_of(*seen)] >> state) & 1,
             "a context cannot make this move");
    return px__cas_acqrel(&cx->word, seen, (uint32_t)state | pending);
}

/* From CLOSING on the word is the owner's alone (S2, S3): nothing arrives, and
 * nobody runs it. A store is then enough, and a third of the price of a swap;
 * release, as the swap is: it pairs with the loads of the next owner. */
static bool
is_private(int state)
{
    return state >= PX_CLOSING;
}

static void
move_private(px_context *cx, int from, int to)
{
    PX_CHECK(px__load_relaxed(&cx->word) == (uint32_t)from,
             "a context has two owners");
    PX_CHECK((px__life_allowed[from] >> to) & 1,
             "a context cannot make this move");
    px__store_release(&cx->word, (uint32_t)to);
}

void
px__life_retire(px_context *cx)
{
    int from = state_of(px__load_relaxed(&cx->word));
    observe(cx, from, PX_FINISHED);
    move_private(cx, from, PX_FINISHED);
}

/* The observer is told before the move: after it another thread may own the
 * context, move it on, or free it. */
void
px__life_move_watched(px_context *cx, int from, int to)
{
    uint32_t seen = px__load_relaxed(&cx->word);
    observe(cx, from, to);
    if (is_private(from)) {
        move_private(cx, from, to);
        return;
    }
    do {
        PX_CHECK(state_of(seen) == from, "a context has two owners");
    } while (!try_move(cx, &seen, to, is_busy(to) ? seen & PX__PENDING : 0));
}

/* Set PENDING while the context stays in its busy state. */
static bool
try_pend(px_context *cx, uint32_t *seen)
{
    return px__cas_acqrel(&cx->word, seen, *seen | PX__PENDING);
}

bool
px__life_wake(px_context *cx)
{
    uint32_t seen = px__load_relaxed(&cx->word);
    for (;;) {
        if (state_of(seen) == PX_IDLE) {
            if (try_move(cx, &seen, PX_READY, 0)) {
                observe(cx, PX_IDLE, PX_READY); /* READY is ours until queued */
                return true;
            }
        } else if (!is_busy(state_of(seen)) || try_pend(cx, &seen)) {
            return false;
        }
    }
}

void
px__life_begin(px_context *cx)
{
    uint32_t seen = px__load_relaxed(&cx->word);
    do {
        PX_CHECK(state_of(seen) == PX_READY, "a context has two owners");
    } while (!try_move(cx, &seen, PX_RUNNING, 0));
    observe(cx, PX_READY, PX_RUNNING);
}

/* Stores are enough: whoever will know of the context learns of it from this
 * thread. */
void
px__life_start(px_context *cx)
{
    PX_CHECK(px__load_relaxed(&cx->word) == PX_CREATED,
             "a context has two owners");
    observe(cx, PX_CREATED, PX_READY);
    observe(cx, PX_READY, PX_RUNNING);
    px__store_release(&cx->word, PX_RUNNING);
}

bool
px__life_try_run(px_context *cx)
{
    uint32_t seen = px__load_relaxed(&cx->word);
    int from = state_of(seen);
    if ((from != PX_CREATED && from != PX_IDLE) ||
        !try_move(cx, &seen, PX_RUNNING, 0))
        return false;
    observe(cx, from, PX_RUNNING);
    return true;
}

/* To an observer a context always comes to rest first, and then is woken. */
bool
px__life_rest(px_context *cx)
{
    uint32_t seen = px__load_relaxed(&cx->word);
    int to;
    observe(cx, state_of(seen), PX_IDLE);
    do {
        to = seen & PX__PENDING ? PX_READY : PX_IDLE;
    } while (!try_move(cx, &seen, to, 0));
    if (to == PX_READY)
        observe(cx, PX_IDLE, PX_READY);
    return to == PX_READY;
}

int
px__life_state(const px_context *cx)
{
    return state_of(px__load_acquire(&cx->word));
}

const char *
px_state_name(int state)
{
    static const char *const names[] = {
#define NAME(state, text) [state] = text,
        PX_STATE_MAP(NAME)
#undef NAME
    };
    bool known = state >= 0 && state < (int)(sizeof names / sizeof *names);
    return known ? names[state] : "?";
}
