/* The end of a runtime against threads that still hold something of it: a
 * reference to a context, a handle of a timer. What they do with it meets the
 * release at every phase. ctest: slow */
#include "runtime_support.h"

#include "sanitized.h"

enum { ROUNDS = PX_SANITIZED ? 300 : 1000 };

/* --- the thread that holds something ---------------------------------------
 */

static px_context *held_context; /* atomic */
static px_timer *held_timer;
static px_work *held_work;
static void (*use)(void);
static uint32_t turn; /* atomic: even main's, odd the holder's */
static bool ended;    /* atomic */

static void
hold(void *arg)
{
    (void)arg;
    for (;;) {
        while (px__load_seqcst(&turn) % 2 == 0)
            if (px__load_seqcst(&ended))
                return;
        use();
        px__add_seqcst(&turn, 1);
    }
}

static void
wait_a_little(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++)
        px__pause();
}

/* Let the holder use what it holds, and release the runtime meanwhile. */
static void
meet(px_runtime *rt, unsigned round)
{
    px__add_seqcst(&turn, 1);
    wait_a_little(round * 7 % 3000);
    assert_int_equal(px_runtime_release(rt), 0);
    while (px__load_seqcst(&turn) % 2)
        px__thread_yield();
}

static void
meet_often(void (*prepare)(px_runtime *rt), void (*what)(void))
{
    px__thread holder;
    use = what;
    px__store_seqcst(&ended, false);
    assert_int_equal(px__thread_create(&holder, "holder", hold, NULL), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        px_runtime *rt = crowded_runtime_of(2);
        px__store_seqcst(&held_context, NULL);
        prepare(rt);
        meet(rt, round);
    }
    px__store_seqcst(&ended, true);
    px__thread_join(&holder);
}

/* --- contexts --------------------------------------------------------------
 */

static int
keep(px_context *cx, void *arg)
{
    (void)arg;
    if (!px__load_seqcst(&held_context))
        px__store_seqcst(&held_context, px_context_retain(cx));
    return 0;
}

static void
wait_for_context(void)
{
    while (!px__load_seqcst(&held_context))
        px__thread_yield();
}

static void
keep_context_of_work(px_runtime *rt)
{
    assert_int_equal(px_submit_work(rt, keep, NULL, NULL), 0);
    wait_for_context();
}

static void
drop_context(void)
{
    px_context_release(px__load_seqcst(&held_context));
}

static void
last_reference__is_dropped__while_the_runtime_goes(void **state)
{
    (void)state;
    meet_often(keep_context_of_work, drop_context);
}

static void
keep_context_of_timer(px_runtime *rt)
{
    assert_int_equal(px_submit_timer(rt, 0, 1, keep, NULL, NULL, NULL), 0);
    wait_for_context();
}

static int
hear(px_context *cx, void *bytes, size_t count)
{
    (void)bytes;
    return count == 3 && px_alloc(cx, count) ? 0 : PX_EINVAL;
}

static void
post_until_closed(void)
{
    int status = 0;
    while (status == 0)
        status = px_post(px__load_seqcst(&held_context), hear, "abc", 3);
    assert_int_equal(status, PX_ECLOSED);
    drop_context();
}

static void
posts__end_with_eclosed__while_the_runtime_goes(void **state)
{
    (void)state;
    meet_often(keep_context_of_timer, post_until_closed);
}

/* --- handles ---------------------------------------------------------------
 */

static void
keep_handles(px_runtime *rt)
{
    px_work_options o;
    px_work_options_init(&o);
    o.handle = &held_work;
    assert_int_equal(
        px_submit_timer(rt, 0, 0, do_nothing, NULL, NULL, &held_timer), 0);
    assert_int_equal(px_submit_work(rt, do_nothing, NULL, &o), 0);
}

static void
cancel_both(void)
{
    int status = px_work_cancel(held_work);
    assert_true(status == 0 || status == PX_EBUSY);
    px_work_release(held_work);
    assert_int_equal(px_timer_cancel(held_timer), 0);
    px_timer_release(held_timer);
}

static void
handles__are_used__while_the_runtime_goes(void **state)
{
    (void)state;
    meet_often(keep_handles, cancel_both);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_reference__is_dropped__while_the_runtime_goes),
        cmocka_unit_test(posts__end_with_eclosed__while_the_runtime_goes),
        cmocka_unit_test(handles__are_used__while_the_runtime_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
