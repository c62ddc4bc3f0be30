/* Many timers, armed and cancelled: by main, by their own shots, by other
 * callbacks and by two threads at once, so that the cancel meets the expiry at
 * every phase. What must hold of each timer:
 *
 *   not cancelled     shoots exactly once
 *   cancelled         at most once, and `failed` is not called
 *   by its own shot   nothing after that shot
 *   before its time   never
 *
 * PX_TEST_ROUNDS: timers of each test. */
#include "runtime_support.h"

#include "rounds.h"
#include "sanitized.h"

#include <string.h>

enum {
    TIMERS = PX_SANITIZED ? 10000 : 100000,
    BATCH = 500, /* live at a time */
    SHOTS = 3,   /* after which a timer cancels itself */
    HOUR_MS = 3600 * 1000
};

/* How a timer of a batch is to end, by its number. */
enum fate { LEFT_ALONE, CANCELLED_AT_ONCE, CANCELLED_LATER, FAR_AWAY, FATES };

typedef struct entry {
    px_timer *timer;
    uint32_t shots;  /* atomic */
    uint32_t failed; /* atomic */
    uint32_t set;    /* atomic: `timer` is */
    uint32_t late;   /* atomic: shots after its own cancel */
    bool cancelled;  /* its own shots' */
} entry;

static px_runtime *runtime;
static entry entries[BATCH];

static int
begin(void **state)
{
    (void)state;
    runtime = crowded_runtime_of(2);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    return px_runtime_release(runtime);
}

static int
shoot(px_context *cx, void *arg)
{
    entry *e = arg;
    px__add_seqcst(&e->shots, 1);
    return px_alloc(cx, 100) ? 0 : PX_ENOMEM;
}

static int
note_failed(px_context *cx, const px_error *error, void *arg)
{
    (void)cx;
    (void)error;
    px__add_seqcst(&((entry *)arg)->failed, 1);
    return 0;
}

/* Before a batch, while no timer is left. */
static void
clear_entries(void)
{
    memset(entries, 0, sizeof entries);
}

static void
arm(entry *e, uint64_t first_ms, uint64_t period_ms, px_run_fn shot)
{
    assert_int_equal(px_submit_timer(runtime, first_ms, period_ms, shot,
                                     note_failed, e, &e->timer),
                     0);
    px__store_seqcst(&e->set, 1);
}

static void
cancel(entry *e)
{
    assert_int_equal(px_timer_cancel(e->timer), 0);
}

static void
wait_for_all(void)
{
    assert_int_equal(px_run(runtime, NULL), 0);
    assert_int_equal(px_active_count(runtime), 0);
    for (int i = 0; i < BATCH; i++) {
        px_timer_release(entries[i].timer);
        assert_int_equal(entries[i].failed, 0);
    }
}

/* ---- by main ------------------------------------------------------------- */

static void
arm_by_fate(int i, long batch)
{
    enum fate fate = (enum fate)(i % FATES);
    uint64_t first_ms = fate == FAR_AWAY ? HOUR_MS : (uint64_t)(i + batch) % 3;
    arm(&entries[i], first_ms, 0, shoot);
    if (fate == CANCELLED_AT_ONCE)
        cancel(&entries[i]);
}

static void
assert_fate(int i)
{
    uint32_t shots = entries[i].shots;
    if (i % FATES == LEFT_ALONE)
        assert_int_equal(shots, 1);
    else if (i % FATES == FAR_AWAY)
        assert_int_equal(shots, 0);
    else
        assert_true(shots <= 1);
}

/* Returns how many were cancelled later, and shot nevertheless or not. */
static void
live_through(long batch, uint32_t *shot, uint32_t *spared)
{
    clear_entries();
    for (int i = 0; i < BATCH; i++)
        arm_by_fate(i, batch);
    for (long k = 0; k < batch % 5; k++)
        (void)px_run_once(runtime, k % 2, NULL);
    if (batch % 5 == 0) /* for certain, one has shot */
        while (!px__load_seqcst(&entries[CANCELLED_LATER].shots))
            (void)px_run_once(runtime, 1, NULL);
    for (int i = 0; i < BATCH; i++)
        if (i % FATES == CANCELLED_LATER || i % FATES == FAR_AWAY)
            cancel(&entries[i]);
    wait_for_all();
    for (int i = 0; i < BATCH; i++)
        assert_fate(i);
    for (int i = CANCELLED_LATER; i < BATCH; i += FATES) {
        *shot += entries[i].shots;
        *spared += !entries[i].shots;
    }
}

static void
timer__shoots_once_or_is_cancelled__when_main_races(void **state)
{
    uint32_t shot = 0, spared = 0;
    long batches = rounds_or(TIMERS) / BATCH;
    (void)state;
    for (long batch = 0; batch < batches; batch++)
        live_through(batch, &shot, &spared);
    print_message("cancelled after some turns: %u had shot, %u not\n",
                  (unsigned)shot, (unsigned)spared);
    assert_true(shot > 0);
}

/* ---- by its own shots ---------------------------------------------------- */

static int
shoot_some_times(px_context *cx, void *arg)
{
    entry *e = arg;
    if (e->cancelled)
        px__add_seqcst(&e->late, 1);
    if (px__add_seqcst(&e->shots, 1) + 1 >= SHOTS && px__load_seqcst(&e->set)) {
        e->cancelled = true;
        return px_timer_cancel(e->timer);
    }
    return px_alloc(cx, 100) ? 0 : PX_ENOMEM;
}

static void
timer__does_not_shoot_again__after_its_own_cancel(void **state)
{
    long batches = rounds_or(TIMERS) / BATCH;
    (void)state;
    for (long batch = 0; batch < batches; batch++) {
        clear_entries();
        for (int i = 0; i < BATCH; i++)
            arm(&entries[i], (uint64_t)i % 2, 1, shoot_some_times);
        wait_for_all();
        for (int i = 0; i < BATCH; i++) {
            assert_int_equal(entries[i].late, 0);
            assert_true(entries[i].shots >= SHOTS);
        }
    }
}

/* ---- by others ----------------------------------------------------------- */

/* A piece of work, and main, cancel the same timers: each through the one
 * handle, at the same time, and as it shoots. */
static int
cancel_all(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    for (int i = 0; i < BATCH; i++)
        if (px_timer_cancel(entries[i].timer))
            return PX_EFAILED;
    return 0;
}

/* It ends with the last timer, so that it meets the shots of all. */
static int
cancel_neighbours(px_context *cx, void *arg)
{
    entry *e = arg;
    int i = (int)(e - entries);
    (void)cx;
    px__add_seqcst(&e->shots, 1);
    for (int k = i - 3; k <= i + 3; k += 2)
        if (k >= 0 && k < BATCH && px__load_seqcst(&entries[k].set) &&
            px_timer_cancel(entries[k].timer))
            return PX_EFAILED;
    return 0;
}

static void
timer__is_cancelled_once__when_callbacks_and_main_do(void **state)
{
    long batches = rounds_or(TIMERS) / BATCH;
    (void)state;
    for (long batch = 0; batch < batches; batch++) {
        clear_entries();
        for (int i = 0; i < BATCH; i++)
            arm(&entries[i], (uint64_t)(i + batch) % 2, (uint64_t)i % 3,
                batch % 2 ? cancel_neighbours : shoot);
        assert_int_equal(px_submit_work(runtime, cancel_all, NULL, NULL), 0);
        for (int i = BATCH - 1; i >= 0; i--)
            cancel(&entries[i]);
        wait_for_all();
        for (int i = 0; i < BATCH; i++)
            assert_true(i % 3 || entries[i].shots <= 1);
    }
}

/* ---- at the end ---------------------------------------------------------- */

/* A release finds them armed, due, shooting and cancelled; the handles outlive
 * it. */
static void
release_in_the_middle(int round)
{
    clear_entries();
    for (int i = 0; i < BATCH; i++)
        arm(&entries[i], i % 4 ? (uint64_t)i % 4 : HOUR_MS, (uint64_t)i % 2,
            shoot);
    for (int i = 0; i < BATCH; i += 5)
        cancel(&entries[i]);
    for (int k = 0; k < round % 4; k++)
        (void)px_run_once(runtime, 1, NULL);
    assert_int_equal(px_runtime_release(runtime), 0);
    for (int i = 0; i < BATCH; i++) {
        cancel(&entries[i]);
        px_timer_release(entries[i].timer);
        assert_true(i % 4 || entries[i].shots == 0);
    }
}

static void
timers__end_with_the_runtime__armed_or_not(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        runtime = crowded_runtime_of(2);
        release_in_the_middle(round);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            timer__shoots_once_or_is_cancelled__when_main_races, begin, end),
        cmocka_unit_test_setup_teardown(
            timer__does_not_shoot_again__after_its_own_cancel, begin, end),
        cmocka_unit_test_setup_teardown(
            timer__is_cancelled_once__when_callbacks_and_main_do, begin, end),
        cmocka_unit_test(timers__end_with_the_runtime__armed_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
