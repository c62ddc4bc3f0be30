/* The life-cycle table: the allowed moves, the forbidden ones, the wake-ups,
 * and the order in which an observer sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <stdio.h>
#include <string.h>

#include "context/context.h"
#include "death.h"

static char trace[512];

static void
note_move(const px_context *cx, int from, int to, void *arg)
{
    size_t used = strlen(trace);
    (void)cx;
    (void)from;
    (void)arg;
    snprintf(trace + used, sizeof trace - used, " %s", px_state_name(to));
}

static px_context *
create_observed(void)
{
    px_context *cx = NULL;
    trace[0] = '\0';
    px_observe_states(note_move, NULL);
    assert_int_equal(px_context_create(NULL, &cx), 0);
    return cx;
}

/* Take a context that was moved by hand out of the world. */
static void
finish_by_hand(px_context *cx)
{
    px__life_move(cx, PX_FINISHED, PX_RELEASED);
    px__context_purge(cx);
    px__context_free(cx);
    px_observe_states(NULL, NULL);
}

static void
life__of_work__passes_every_station(void **state)
{
    px_context *cx = create_observed();
    (void)state;
    px__life_move(cx, PX_CREATED, PX_READY);
    px__life_begin(cx);
    px__life_move(cx, PX_RUNNING, PX_DONE);
    px__life_move(cx, PX_DONE, PX_FINISHED);
    finish_by_hand(cx);
    assert_string_equal(trace,
                        " ready running done finished released purged freed");
}

static void
life__of_a_connection__rests_and_sends(void **state)
{
    px_context *cx = create_observed();
    (void)state;
    px__life_move(cx, PX_CREATED, PX_READY);
    px__life_begin(cx);
    assert_false(px__life_rest(cx));
    assert_true(px__life_wake(cx));
    px__life_begin(cx);
    px__life_move(cx, PX_RUNNING, PX_SENDING);
    assert_false(px__life_rest(cx));
    px__life_move(cx, PX_IDLE, PX_CLOSING);
    px__life_move(cx, PX_CLOSING, PX_DONE);
    px__life_move(cx, PX_DONE, PX_FINISHED);
    finish_by_hand(cx);
    assert_string_equal(trace, " ready running idle ready running sending idle "
                               "closing done finished released purged freed");
}

static void
life__of_a_plain_context__is_entered_left_and_released(void **state)
{
    px_context *cx = create_observed();
    (void)state;
    assert_int_equal(px_enter(cx), 0);
    assert_int_equal(px_leave(cx), 0);
    px_context_release(cx);
    px_observe_states(NULL, NULL);
    assert_string_equal(trace, " running idle finished released purged freed");
}

/* Whatever arrives while the context is busy is found when it comes to rest. */
static void
wake__of_a_busy_context__is_remembered(void **state)
{
    px_context *cx = create_observed();
    (void)state;
    px__life_move(cx, PX_CREATED, PX_READY);
    assert_false(px__life_wake(cx)); /* queued already */
    px__life_begin(cx);              /* and forgets what came before it */
    assert_false(px__life_rest(cx));
    assert_true(px__life_wake(cx));
    px__life_begin(cx);
    assert_false(px__life_wake(cx));
    assert_true(px__life_rest(cx)); /* READY again, ours to queue */
    px__life_begin(cx);
    px__life_move(cx, PX_RUNNING, PX_SENDING);
    assert_false(px__life_wake(cx));
    assert_true(px__life_rest(cx));
    px__life_begin(cx);
    px__life_move(cx, PX_RUNNING, PX_CLOSING);
    assert_false(px__life_wake(cx)); /* runs no more callbacks */
    px__life_move(cx, PX_CLOSING, PX_FAILED);
    px__life_move(cx, PX_FAILED, PX_FINISHED);
    finish_by_hand(cx);
}

static struct {
    px_context *cx;
    int from;
    int to;
} tried;

static void
try_move(void)
{
    tried.cx->word = (uint32_t)tried.from;
    px__life_move(tried.cx, tried.from, tried.to);
}

static bool
move_aborts(px_context *cx, int from, int to)
{
    tried.cx = cx;
    tried.from = from;
    tried.to = to;
    return aborts(try_move);
}

/* Not every forbidden move is tried: one of each kind, backwards, sideways and
 * skipping a station. */
static void
move__that_the_table_forbids__aborts(void **state)
{
    px_context *cx;
    (void)state;
    assert_int_equal(px_context_create(NULL, &cx), 0);
    assert_true(move_aborts(cx, PX_FREED, PX_CREATED));
    assert_true(move_aborts(cx, PX_FINISHED, PX_RUNNING));
    assert_true(move_aborts(cx, PX_IDLE, PX_SENDING));
    assert_true(move_aborts(cx, PX_SENDING, PX_RUNNING));
    assert_true(move_aborts(cx, PX_CLOSING, PX_IDLE));
    assert_true(move_aborts(cx, PX_READY, PX_DONE));
    assert_true(move_aborts(cx, PX_RELEASED, PX_FREED));
    assert_false(move_aborts(cx, PX_IDLE, PX_READY));
    px_context_release(cx);
}

static void
state_name__answers_for_every_number(void **state)
{
    (void)state;
    assert_string_equal(px_state_name(PX_CREATED), "created");
    assert_string_equal(px_state_name(PX_FREED), "freed");
    assert_string_equal(px_state_name(-1), "?");
    assert_string_equal(px_state_name(PX_FREED + 1), "?");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life__of_work__passes_every_station),
        cmocka_unit_test(life__of_a_connection__rests_and_sends),
        cmocka_unit_test(
            life__of_a_plain_context__is_entered_left_and_released),
        cmocka_unit_test(wake__of_a_busy_context__is_remembered),
        cmocka_unit_test(move__that_the_table_forbids__aborts),
        cmocka_unit_test(state_name__answers_for_every_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
