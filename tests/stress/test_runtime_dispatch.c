/* The dispatcher under load, against oracles: one owner at a time, no item
 * waits while a worker is idle, nothing is lost, memory stays flat.
 * ctest: serial, since the wake oracle measures time. */
#include "runtime_support.h"

#include <time.h>

#include "platform/clock.h"
#include "process.h"
#include "runtime/dispatch.h"
#include "sanitized.h"

/* Sanitizers are slow, and keep memory of their own. */

enum {
    WORKERS = 4,
    STRANDS = 32,
    TURNS = 2000,
    SUBMITS = PX_SANITIZED ? 30000 : 100000,
    WAKE_ROUNDS = 2000,
    RUNTIMES = PX_SANITIZED ? 60 : 200,
    LATE_NS = 50 * PX_NS_PER_MS,
    LOST_NS = 2000 * PX_NS_PER_MS
};

#define PATIENCE_NS ((int64_t)60 * 1000 * PX_NS_PER_MS)

/* --- ownership: strands woken from everywhere ----------------------------- */

/* A strand that only counts. `inside` catches a second owner; `plain` is not
 * atomic on purpose: ThreadSanitizer checks that runs are ordered. */
typedef struct counter {
    px__strand strand;
    uint32_t inside;  /* atomic */
    uint32_t wanted;  /* atomic: wake-ups */
    uint32_t seen;    /* the owner's: wake-ups seen */
    uint64_t plain;   /* the owner's */
    uint64_t workers; /* atomic: a bit for each worker it ran on */
    bool ending;      /* atomic */
    bool gone;
} counter;

static void
run_counter(px__strand *s)
{
    counter *c = PX_CONTAINER(s, counter, strand);
    assert_int_equal(px__add_seqcst(&c->inside, 1), 0);
    assert_ptr_equal(px_current(), s->cx);
    bool ending = px__load_seqcst(&c->ending); /* before wanted: it is final */
    c->seen = px__load_seqcst(&c->wanted);
    c->plain++;
    px__or_relaxed(&c->workers, (uint64_t)1 << px_worker_id());
    px__sub_seqcst(&c->inside, 1);
    if (ending)
        px__strand_over(s);
    else
        px__strand_rest(s);
}

static void
counter_gone(px__strand *s)
{
    PX_CONTAINER(s, counter, strand)->gone = true;
}

static const px__strand_kind counter_kind = {run_counter, counter_gone};

static counter counters[STRANDS];

static void
wake_all(void)
{
    for (int k = 0; k < STRANDS; k++) {
        px__add_seqcst(&counters[k].wanted, 1);
        px__strand_wake(&counters[k].strand);
    }
}

static void
wake_all_in_turn(void *arg)
{
    (void)arg;
    for (int i = 0; i < TURNS; i++)
        wake_all();
}

static int
count_workers(uint64_t bits)
{
    int count = 0;
    for (; bits; bits &= bits - 1)
        count++;
    return count;
}

/* How many strands have been seen on two workers at least. */
static int
count_travelled(void)
{
    int travelled = 0;
    for (int i = 0; i < STRANDS; i++)
        travelled += count_workers(px__load_relaxed(&counters[i].workers)) >= 2;
    return travelled;
}

static void
open_counters(px_runtime *rt)
{
    for (int i = 0; i < STRANDS; i++) {
        counters[i] = (counter){.wanted = 0};
        assert_int_equal(
            px__strand_open(rt, &counters[i].strand, &counter_kind, NULL), 0);
        px__strand_wake(&counters[i].strand); /* the first one: the opener's */
    }
}

static void
end_counters(void)
{
    for (int i = 0; i < STRANDS; i++) {
        px__store_seqcst(&counters[i].ending, true);
        px__strand_wake(&counters[i].strand);
    }
}

static void
strand__has_one_owner_and_many_workers__when_two_threads_wake(void **state)
{
    (void)state;
    px__thread wakers[2];
    px_runtime *rt = crowded_runtime_of(WORKERS);
    open_counters(rt);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            px__thread_create(&wakers[i], "waker", wake_all_in_turn, NULL), 0);
    for (int i = 0; i < 2; i++)
        px__thread_join(&wakers[i]);
    int64_t start_ns = px__now_ns();
    while (count_travelled() < STRANDS && px__now_ns() - start_ns < PATIENCE_NS)
        wake_all();
    assert_int_equal(count_travelled(), STRANDS);
    end_counters(); /* who wakes a strand must know that it lives */
    assert_int_equal(px_run(rt, NULL), 0);
    for (int i = 0; i < STRANDS; i++) {
        assert_true(counters[i].gone);
        assert_int_equal(counters[i].seen, counters[i].wanted);
    }
    assert_int_equal(px_runtime_release(rt), 0);
}

/* --- the wake oracle ------------------------------------------------------ */

static int
note_begin(px_context *cx, void *arg)
{
    (void)cx;
    px__store_seqcst((uint32_t *)arg, 1);
    return 0;
}

/* What this thread has had of a CPU. */
static int64_t
used_ns(void)
{
    struct timespec used = {0};
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
    return used.tv_sec * PX_NS_PER_SEC + used.tv_nsec;
}

typedef struct waits {
    int64_t worst_ns;
    int late;
} waits;

static void
submit_and_measure(px_runtime *rt, int spin, waits *w)
{
    uint32_t begun = 0;
    int64_t start_ns = used_ns();
    assert_int_equal(px_submit_work(rt, note_begin, &begun, NULL), 0);
    while (!px__load_seqcst(&begun))
        px__thread_yield();
    int64_t took_ns = used_ns() - start_ns;
    if (took_ns > w->worst_ns)
        w->worst_ns = took_ns;
    w->late += took_ns > LATE_NS;
    for (int i = 0; i < spin; i++) /* hit every phase of going to sleep */
        px__pause();
}

static int
spin_for_long(px_context *cx, void *arg)
{
    (void)cx;
    while (!px__load_seqcst((uint32_t *)arg))
        px__thread_yield();
    return 0;
}

/* A wake-up that is lost waits for ever, or until something else wakes the
 * worker. Time is what the waiting thread has had of a CPU, while it gave way to
 * all others: what a busy machine does meanwhile does not count. Few of many
 * thousand items may be late all the same. */
static void
item__begins_soon__whatever_the_idle_worker_is_doing(void **state)
{
    (void)state;
    waits w = {0};
    uint32_t enough = 0;
    px_timer *t = NULL;
    px_runtime *rt = crowded_runtime_of(2);
    for (int phase = 0; phase < 3; phase++) {
        if (phase == 1) /* the loop is alive: the idle worker polls */
            assert_int_equal(
                px_submit_timer(rt, 3600 * 1000, 0, note_begin, NULL, NULL, &t),
                0);
        if (phase == 2) /* and the other one is busy */
            px_submit_work(rt, spin_for_long, &enough, NULL);
        for (int i = 0; i < WAKE_ROUNDS; i++) {
            submit_and_measure(rt, i, &w);
            if (i % 64 == 0)
                (void)px_run_once(rt, 0, NULL);
        }
    }
    px__store_seqcst(&enough, 1);
    px_timer_release(t);
    print_message("worst wait %.3f ms, %d over 50 ms\n",
                  (double)w.worst_ns / PX_NS_PER_MS, w.late);
    assert_true(w.worst_ns < LOST_NS);
    assert_true(w.late <= 3 * WAKE_ROUNDS / 1000);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* --- a strand that waits behind the one the loop has brought -------------- */

/* One strand has itself run again and again; now and then the loop brings its
 * worker another one, which blocks until the first has run once more. The loop
 * is not alive then, so the monitor sees no reason to wake anybody. */
enum { BEHIND_ROUNDS = 200 };

static struct {
    px__strand busy, blocker;
    px__op bring;
    uint32_t runs;    /* atomic: of busy */
    uint32_t brought; /* atomic: operations posted */
    uint32_t blocked; /* atomic: runs of blocker */
    uint32_t late;    /* atomic */
} behind;

static void
run_busy(px__strand *s)
{
    uint32_t blocked = px__load_seqcst(&behind.blocked);
    px__add_seqcst(&behind.runs, 1);
    if (blocked >= BEHIND_ROUNDS) {
        px__strand_over(s);
        return;
    }
    if (px__load_seqcst(&behind.brought) == blocked) {
        px__add_seqcst(&behind.brought, 1);
        px__loop_call(s->rt, &behind.bring);
    }
    px__strand_wake(s);
    px__strand_rest(s);
}

static void
bring_blocker(px__op *op)
{
    (void)op;
    px__strand_collect(&behind.blocker);
}

static void
run_blocker(px__strand *s)
{
    uint32_t seen = px__load_seqcst(&behind.runs);
    int64_t start_ns = px__now_ns();
    while (px__load_seqcst(&behind.runs) == seen &&
           !px__load_seqcst(&behind.late)) {
        px__thread_yield();
        if (px__now_ns() - start_ns > PATIENCE_NS)
            px__store_seqcst(&behind.late, 1);
    }
    if (px__add_seqcst(&behind.blocked, 1) + 1 < BEHIND_ROUNDS)
        px__strand_rest(s);
    else
        px__strand_over(s);
}

static void
nothing_gone(px__strand *s)
{
    (void)s;
}

static void
strand__does_not_wait__behind_the_one_that_the_loop_brought(void **state)
{
    static const px__strand_kind busy = {run_busy, nothing_gone};
    static const px__strand_kind blocker = {run_blocker, nothing_gone};
    (void)state;
    px_runtime *rt = crowded_runtime_of(2);
    behind.bring.fn = bring_blocker;
    assert_int_equal(px__strand_open(rt, &behind.blocker, &blocker, NULL), 0);
    assert_int_equal(px__strand_open(rt, &behind.busy, &busy, NULL), 0);
    px__strand_wake(&behind.busy);
    assert_int_equal(px_run(rt, NULL), 0);
    assert_int_equal(behind.late, 0);
    assert_int_equal(px_runtime_release(rt), 0);
}

/* --- many submits --------------------------------------------------------- */

static px_runtime *shared_runtime;
static uint32_t done_count;
static uint32_t failed_count;

static int
nested_or_failing(px_context *cx, void *arg)
{
    uintptr_t n = (uintptr_t)arg;
    char *scratch = px_alloc(cx, 1 + n % 3000);
    assert_non_null(scratch);
    scratch[0] = scratch[n % 3000] = 1;
    px__add_seqcst(&done_count, 1);
    if (n % 10 == 3)
        return px_fail(cx, PX_EFAILED, "item %u", (unsigned)n);
    if (n % 10 == 4) /* a leaf: its number ends in 0 */
        return px_submit_work(shared_runtime, nested_or_failing, (void *)10,
                              NULL);
    return 0;
}

static int
count_failed(px_context *cx, const px_error *error, void *arg)
{
    (void)cx;
    (void)arg;
    px__add_seqcst(&failed_count, 1);
    return error->code;
}

static int
drain_with_errors(px_runtime *rt)
{
    int errors = 0;
    const px_error *error;
    while (px_run(rt, &error) < 0) {
        assert_int_equal(error->code, PX_EFAILED);
        px_error_release(error);
        errors++;
    }
    return errors;
}

static void
submit__loses_nothing__with_errors_and_nesting(void **state)
{
    (void)state;
    px_work_options o;
    px_work_options_init(&o);
    o.failed = count_failed;
    shared_runtime = crowded_runtime_of(WORKERS);
    for (uintptr_t i = 0; i < SUBMITS; i++)
        assert_int_equal(px_submit_work(shared_runtime, nested_or_failing,
                                        (void *)i, i % 2 ? &o : NULL),
                         0);
    int errors = drain_with_errors(shared_runtime);
    assert_int_equal(errors, SUBMITS / 10);
    assert_int_equal(failed_count, SUBMITS / 10); /* 3, 13, ...: all odd */
    assert_int_equal(done_count, SUBMITS + SUBMITS / 10);
    assert_int_equal(px_runtime_release(shared_runtime), 0);
}

/* --- beginnings and ends -------------------------------------------------- */

static int
do_little(px_context *cx, void *arg)
{
    (void)arg;
    return px_alloc(cx, 100) ? 0 : PX_ENOMEM;
}

static void
submit_from_thread(void *arg)
{
    for (int i = 0; i < 2000 && !px__load_seqcst((uint32_t *)arg); i++)
        assert_int_equal(px_submit_work(shared_runtime, do_little, NULL, NULL),
                         0);
}

static void
mix(px_runtime *rt, unsigned round)
{
    for (unsigned i = 0; i < round % 23; i++)
        assert_int_equal(px_submit_work(rt, do_little, NULL, NULL), 0);
    for (unsigned i = 0; i < round % 5; i++)
        assert_int_equal(
            px_submit_timer(rt, i, i % 2, do_little, NULL, NULL, NULL), 0);
    for (unsigned i = 0; i < round % 7; i++)
        (void)px_run_once(rt, i % 2, NULL);
}

static void
runtime__comes_and_goes__at_random_moments(void **state)
{
    (void)state;
    for (unsigned round = 0; round < RUNTIMES; round++) {
        px_runtime *rt = crowded_runtime_of(1 + round % 3);
        mix(rt, round);
        assert_int_equal(px_runtime_release(rt), 0);
    }
}

/* Main stops looking at random moments, while two threads submit; when they
 * have ended it releases what is under way. */
static void
runtime__is_released__with_much_under_way(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        uint32_t enough = 0;
        px__thread threads[2];
        shared_runtime = crowded_runtime_of(2);
        for (int i = 0; i < 2; i++)
            assert_int_equal(px__thread_create(&threads[i], "submitter",
                                               submit_from_thread, &enough),
                             0);
        for (int i = 0; i < round; i++)
            (void)px_run_once(shared_runtime, 0, NULL);
        px__store_seqcst(&enough, 1);
        for (int i = 0; i < 2; i++)
            px__thread_join(&threads[i]);
        assert_int_equal(px_runtime_release(shared_runtime), 0);
    }
}

/* --- memory --------------------------------------------------------------- */

static void
submit_in_portions(px_runtime *rt, int portions)
{
    for (int i = 0; i < portions; i++) {
        for (int k = 0; k < 1000; k++)
            assert_int_equal(px_submit_work(rt, do_little, NULL, NULL), 0);
        assert_int_equal(px_run(rt, NULL), 0);
    }
}

static void
memory__stays_flat__over_many_items(void **state)
{
    (void)state;
    px_runtime *rt = crowded_runtime_of(2);
    submit_in_portions(rt, 20);
    size_t before = resident_bytes();
    submit_in_portions(rt, 100);
    size_t after = resident_bytes();
    print_message("resident: %zu KB, then %zu KB\n", before / 1024,
                  after / 1024);
    assert_true(PX_SANITIZED || after < before + (8u << 20));
    assert_int_equal(px_runtime_release(rt), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            strand__has_one_owner_and_many_workers__when_two_threads_wake),
        cmocka_unit_test(item__begins_soon__whatever_the_idle_worker_is_doing),
        cmocka_unit_test(
            strand__does_not_wait__behind_the_one_that_the_loop_brought),
        cmocka_unit_test(submit__loses_nothing__with_errors_and_nesting),
        cmocka_unit_test(runtime__comes_and_goes__at_random_moments),
        cmocka_unit_test(runtime__is_released__with_much_under_way),
        cmocka_unit_test(memory__stays_flat__over_many_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
