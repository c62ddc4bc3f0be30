/* The ownership oracle: eight workers, contexts that get messages from one
 * another, and in each callback the question whether anybody else is in there.
 *
 *   token --post--> context --its handler posts it on--> context --> ...
 *
 * Tokens hop until their hops are used up, so that the number of callbacks is
 * known: none may be lost, and none run twice. Eight workers share few
 * processors here, so a handler steps aside now and then, which lets contexts
 * travel. Each must have been on every worker.
 *
 * PX_TEST_ROUNDS: hops of all tokens together. */
#include "runtime_support.h"

#include "platform/clock.h"
#include "rounds.h"
#include "sanitized.h"

enum {
    WORKERS = 8,
    EVERY_WORKER = ((1 << WORKERS) - 1) << 1, /* a bit for each px_worker_id */
    CONTEXTS = 32,
    TOKENS = 24,
    HOPS = PX_SANITIZED ? 100000 : 1000000,
    STEP_ASIDE = 61, /* each so many hops */
    HOUR_MS = 3600 * 1000
};

#define PATIENCE_NS ((int64_t)120 * 1000 * PX_NS_PER_MS)

/* A context, and what its callbacks know. But for `inside` the fields are the
 * owner's and not atomic on purpose: ThreadSanitizer checks that one owner's
 * stores are seen by the next. */
typedef struct resident {
    px_context *cx;
    px_timer *timer; /* main's */
    uint32_t inside; /* atomic */
    unsigned workers;
    uint64_t runs;
    unsigned char *mark; /* in the base heap */
} resident;

typedef struct token {
    uint32_t hops_left;
    uint32_t random;
} token;

static resident residents[CONTEXTS];
static uint32_t moved_in;    /* atomic */
static uint32_t tokens_left; /* atomic */
static uint32_t broken;      /* atomic: rules that a callback saw broken */

static void
demand(bool rule)
{
    if (!rule)
        px__add_seqcst(&broken, 1);
}

/* ---- what a callback asks ------------------------------------------------ */

static void
begin_owning(resident *r, px_context *cx)
{
    demand(px__add_seqcst(&r->inside, 1) == 0);
    demand(px_current() == cx && r->cx == cx);
    demand(*r->mark == (unsigned char)r->runs);
}

static void
end_owning(resident *r, px_context *cx)
{
    r->runs++;
    r->workers |= 1u << px_worker_id();
    *r->mark = (unsigned char)r->runs;
    demand(px_current() == cx);
    demand(px__sub_seqcst(&r->inside, 1) == 1);
}

/* The callback heap is this owner's alone, and is rolled back for the next. */
static void
use_heap(px_context *cx, const token *t)
{
    token *copy = px_heap_memdup(px_context_heap(cx), t, sizeof *t);
    demand(copy != NULL);
    if (t->hops_left % STEP_ASIDE == 0)
        px__thread_yield();
    demand(copy && copy->hops_left == t->hops_left);
}

/* ---- hops ---------------------------------------------------------------- */

static uint32_t
next_random(uint32_t x)
{
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

static int
hop(px_context *cx, void *bytes, size_t count)
{
    resident *r = px_context_data(cx);
    token t = *(token *)bytes;
    demand(count == sizeof t);
    begin_owning(r, cx);
    use_heap(cx, &t);
    end_owning(r, cx);
    t.random = next_random(t.random);
    if (--t.hops_left == 0) {
        px__sub_seqcst(&tokens_left, 1);
        return 0;
    }
    return px_post(residents[t.random % CONTEXTS].cx, hop, &t, sizeof t);
}

static void
send_tokens(uint32_t hops_each)
{
    px__store_seqcst(&tokens_left, TOKENS);
    for (uint32_t i = 0; i < TOKENS; i++) {
        token t = {.hops_left = hops_each, .random = i + 1};
        assert_int_equal(px_post(residents[i].cx, hop, &t, sizeof t), 0);
    }
}

static void
await_tokens(px_runtime *rt)
{
    while (px__load_seqcst(&tokens_left) > 0)
        assert_true(px_run_once(rt, 1, NULL) >= 0);
}

/* ---- contexts that stay -------------------------------------------------- */

/* The context of a timer whose next shot is far. */
static int
move_in(px_context *cx, void *arg)
{
    resident *r = arg;
    r->cx = px_context_retain(cx);
    r->mark = px_base_alloc(cx, 1);
    if (!r->mark)
        return PX_ENOMEM;
    *r->mark = 0;
    px_context_set_data(cx, r);
    px__add_seqcst(&moved_in, 1);
    return 0;
}

static void
all_move_in(px_runtime *rt)
{
    for (int i = 0; i < CONTEXTS; i++)
        assert_int_equal(px_submit_timer(rt, 0, HOUR_MS, move_in, NULL,
                                         &residents[i], &residents[i].timer),
                         0);
    while (px__load_seqcst(&moved_in) < CONTEXTS)
        assert_true(px_run_once(rt, 1, NULL) >= 0);
}

static void
all_move_out(px_runtime *rt)
{
    for (int i = 0; i < CONTEXTS; i++) {
        assert_int_equal(px_timer_cancel(residents[i].timer), 0);
        px_timer_release(residents[i].timer);
        px_context_release(residents[i].cx);
    }
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* No token is under way, so no one owns them. */
static int
count_travelled(void)
{
    int count = 0;
    for (int i = 0; i < CONTEXTS; i++)
        count += residents[i].workers == EVERY_WORKER;
    return count;
}

static uint64_t
count_runs(void)
{
    uint64_t runs = 0;
    for (int i = 0; i < CONTEXTS; i++)
        runs += residents[i].runs;
    return runs;
}

static void
context__is_on_every_worker__and_on_one_at_a_time(void **state)
{
    uint32_t hops_each = (uint32_t)(rounds_or(HOPS) / TOKENS);
    int64_t start_ns = px__now_ns();
    uint64_t laps = 0;
    px_runtime *rt = crowded_runtime_of(WORKERS);
    (void)state;
    all_move_in(rt);
    do {
        send_tokens(hops_each);
        await_tokens(rt);
        laps++;
    } while (count_travelled() < CONTEXTS &&
             px__now_ns() - start_ns < PATIENCE_NS);
    print_message("%llu callbacks in %.1f s\n",
                  (unsigned long long)count_runs(),
                  (double)(px__now_ns() - start_ns) / PX_NS_PER_SEC);
    assert_int_equal(broken, 0);
    assert_int_equal(count_runs(), laps * hops_each * TOKENS);
    assert_int_equal(count_travelled(), CONTEXTS);
    all_move_out(rt);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context__is_on_every_worker__and_on_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
