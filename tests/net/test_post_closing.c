/* Posts to connections that are closing, by every hand at once: threads, other
 * connections and main post, while clients hang up and reset and px_close()
 * comes from elsewhere. Of each poster's messages to a target:
 *
 *   ran ran ran ... | accepted, dropped since the target ended | PX_ECLOSED ...
 *   in order        | none where the target did not end        | from then on
 *
 * Nothing runs twice, nothing that was refused runs, and nothing runs after the
 * target's closed callback.
 *
 * PX_TEST_ROUNDS: rounds, of 16 connections each. */
#include "ends.h"

#include "base/atomic.h"
#include "platform/thread.h"
#include "rounds.h"
#include "sanitized.h"

enum {
    ROUNDS = PX_SANITIZED ? 30 : 60,
    TARGETS = 16,
    THREADS = 3,
    MAIN = THREADS + TARGETS, /* the connections post, too */
    POSTERS,
    SURVIVORS = 4 /* the first ones: nobody closes them */
};

/* What a poster knows of its messages to one target, and the target of them.
 * Each counter has one writer; main reads. */
typedef struct pair {
    uint32_t accepted; /* the poster's */
    uint32_t refused;  /* the poster's */
    uint32_t ran;      /* the target's */
} pair;

typedef struct target {
    px_context *cx; /* atomic; retained until the round is over */
    bool closed;    /* the target's */
    pair from[POSTERS];
} target;

typedef struct message {
    uint32_t poster;
    uint32_t number;
} message;

static target targets[TARGETS];
static uint32_t arrived; /* atomic */
static uint32_t ended;   /* atomic: closed callbacks */
static bool enough;      /* atomic: posters end */
static uint32_t broken;  /* atomic: rules that a callback saw broken */

static void
demand(bool rule)
{
    if (!rule)
        px__add_seqcst(&broken, 1);
}

/* ---- posting ------------------------------------------------------------- */

static int
take_message(px_context *cx, void *bytes, size_t count)
{
    const message *m = bytes;
    target *t = px_context_data(cx);
    demand(count == sizeof *m && !t->closed);
    demand(t->from[m->poster].ran == m->number);
    px__add_relaxed(&t->from[m->poster].ran, 1u);
    return 0;
}

/* Refused once, refused for ever. */
static void
post_to(target *t, uint32_t poster)
{
    pair *p = &t->from[poster];
    message m = {.poster = poster, .number = p->accepted};
    int status = px_post(px__load_seqcst(&t->cx), take_message, &m, sizeof m);
    demand(status == 0 || status == PX_ECLOSED);
    demand(status != 0 || p->refused == 0);
    px__add_relaxed(status ? &p->refused : &p->accepted, 1u);
}

static void
post_to_all(uint32_t poster)
{
    for (int i = 0; i < TARGETS; i++)
        post_to(&targets[i], poster);
}

typedef struct worker {
    px__thread thread;
    uint32_t poster;
} worker;

static void
post_until_enough(void *arg)
{
    worker *w = arg;
    while (!px__load_seqcst(&enough)) {
        post_to_all(w->poster);
        px__thread_yield(); /* mailboxes are not to grow without end */
    }
}

/* ---- the connections ----------------------------------------------------- */

static int
arrive(px_context *cx)
{
    uint32_t i = px__add_seqcst(&arrived, 1);
    px_context_set_data(cx, &targets[i]);
    px__store_seqcst(&targets[i].cx, px_context_retain(cx));
    return 0;
}

/* Before all have arrived there is not always a target. */
static int
post_in_turn(px_context *cx, const char *data, size_t count)
{
    target *self = px_context_data(cx);
    (void)data;
    (void)count;
    post_to_all((uint32_t)(THREADS + (self - targets)));
    return 0;
}

static void
depart(px_context *cx, int status)
{
    (void)status;
    ((target *)px_context_data(cx))->closed = true;
    px__add_seqcst(&ended, 1);
}

static const px_protocol posting = {
    .connected = arrive, .received = post_in_turn, .closed = depart};

static bool
all_have_arrived(void *arg)
{
    (void)arg;
    for (int i = 0; i < TARGETS; i++)
        if (!px__load_seqcst(&targets[i].cx))
            return false;
    return true;
}

static bool
have_ended(void *count)
{
    return px__load_seqcst(&ended) >= *(uint32_t *)count;
}

static void
wait_for_ends(served *s, uint32_t count)
{
    wait_until(s, have_ended, &count);
}

/* ---- a round ------------------------------------------------------------- */

/* One way to end for each number. */
static void
end_target(int i, int fd)
{
    switch (i % 4) {
    case 0:
        hang_up(fd);
        break;
    case 1:
        reset(fd);
        break;
    case 2:
        hush(fd);
        break;
    default:
        (void)px_close(px__load_seqcst(&targets[i].cx));
    }
}

/* The descriptors that end_target() has left open; who still talks is lingered
 * for. */
static void
hang_up_rest(int *fds, int first, int end)
{
    for (int i = first; i < end; i++)
        if (i < SURVIVORS || i % 4 >= 2)
            hang_up(fds[i]);
}

/* In the order of arrival, which is that of dialling: one at a time. */
static void
dial_all(served *s, int *fds)
{
    for (int i = 0; i < TARGETS; i++) {
        fds[i] = dial(s);
        while (px__load_seqcst(&arrived) <= (uint32_t)i)
            (void)px_run_once(s->rt, 0, NULL);
    }
    wait_until(s, all_have_arrived, NULL);
}

static void
start_threads(worker *workers)
{
    px__store_seqcst(&enough, false);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].poster = i;
        assert_int_equal(px__thread_create(&workers[i].thread, "poster",
                                           post_until_enough, &workers[i]),
                         0);
    }
}

static void
join_threads(worker *workers)
{
    px__store_seqcst(&enough, true);
    for (int i = 0; i < THREADS; i++)
        px__thread_join(&workers[i].thread);
}

/* The survivors, and those who are not yet closed, go on posting. */
static void
close_amid_posts(served *s, int *fds, long round)
{
    for (int i = SURVIVORS; i < TARGETS; i++) {
        for (int k = 0; k < TARGETS; k++)
            if (k < SURVIVORS || k >= i)
                say_text(fds[k], "post");
        for (long k = 0; k < (round + i) % 4; k++)
            (void)px_run_once(s->rt, 0, NULL);
        end_target(i, fds[i]);
    }
    hang_up_rest(fds, SURVIVORS, TARGETS);
    wait_for_ends(s, TARGETS - SURVIVORS);
    post_to_all(MAIN); /* so that some run, and some are refused, for certain */
}

typedef struct totals {
    uint64_t ran, dropped, refused;
} totals;

static bool
has_run_all(const target *t)
{
    for (int i = 0; i < POSTERS; i++)
        if (px__load_relaxed(&t->from[i].ran) !=
            px__load_relaxed(&t->from[i].accepted))
            return false;
    return true;
}

static bool
survivors_have_run_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < SURVIVORS; i++)
        if (!has_run_all(&targets[i]))
            return false;
    return true;
}

/* All are closed: nobody posts, and nothing runs. */
static void
add_up(totals *sum)
{
    for (int i = 0; i < TARGETS; i++) {
        for (int k = 0; k < POSTERS; k++) {
            const pair *p = &targets[i].from[k];
            assert_true(p->ran <= p->accepted);
            sum->ran += p->ran;
            sum->dropped += p->accepted - p->ran;
            sum->refused += p->refused;
        }
        assert_true(targets[i].closed);
        px_context_release(targets[i].cx);
    }
}

static void
play(long round, totals *sum)
{
    worker workers[THREADS];
    int fds[TARGETS];
    served s;
    memset(targets, 0, sizeof targets);
    px__store_seqcst(&arrived, 0);
    px__store_seqcst(&ended, 0);
    serve(&s, &posting, NULL);
    dial_all(&s, fds);
    start_threads(workers);
    close_amid_posts(&s, fds, round);
    join_threads(workers);
    wait_until(&s, survivors_have_run_all, NULL);
    hang_up_rest(fds, 0, SURVIVORS);
    wait_for_ends(&s, TARGETS);
    add_up(sum);
    unserve(&s);
}

static void
post__runs_or_is_refused__unless_its_target_ended(void **state)
{
    long rounds = rounds_or(ROUNDS);
    totals sum = {0};
    (void)state;
    for (long round = 0; round < rounds; round++) {
        play(round, &sum);
        assert_int_equal(broken, 0);
    }
    print_message("%llu posts ran, %llu were dropped, %llu refused\n",
                  (unsigned long long)sum.ran, (unsigned long long)sum.dropped,
                  (unsigned long long)sum.refused);
    assert_true(sum.ran > 0 && sum.refused > 0);
}

/* ---- one that is dropped for certain ------------------------------------- */

enum { POSTS = 10, FAILING = 3 };

static px_context *held; /* atomic */
static uint32_t go_on;   /* atomic */
static int taken;        /* the connection's */

static int
hold(px_context *cx)
{
    px__store_seqcst(&held, px_context_retain(cx));
    while (!px__load_seqcst(&go_on))
        px__thread_yield();
    return 0;
}

static bool
is_held(void *arg)
{
    (void)arg;
    return px__load_seqcst(&held) != NULL;
}

static int
fail_some_day(px_context *cx, void *bytes, size_t count)
{
    (void)bytes;
    (void)count;
    return ++taken < FAILING ? 0 : px_fail(cx, PX_EFULL, "enough");
}

/* All were accepted before the first one ran. */
static void
post__is_dropped__when_one_before_it_fails(void **state)
{
    const px_protocol p = {.connected = hold, .received = swallow};
    served s;
    int fd = serve_one(&s, &p, NULL);
    (void)state;
    wait_until(&s, is_held, NULL);
    for (int i = 0; i < POSTS; i++)
        assert_int_equal(px_post(held, fail_some_day, NULL, 0), 0);
    px__store_seqcst(&go_on, 1);
    wait_closed(&s, 1);
    assert_int_equal(px_post(held, fail_some_day, NULL, 0), PX_ECLOSED);
    px_context_release(held);
    unserve_one(&s, fd);
    assert_int_equal(taken, FAILING);
    assert_int_equal(s.last_error, PX_EFULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(post__runs_or_is_refused__unless_its_target_ended),
        cmocka_unit_test(post__is_dropped__when_one_before_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
