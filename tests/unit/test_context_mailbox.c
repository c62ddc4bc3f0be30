/* The mailbox: copies, order, failure of a handler, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <string.h>

#include "platform/thread.h"

enum { LOG_MAX = 64 };

typedef struct journal {
    int entries[LOG_MAX];
    int count;
} journal;

static int
note(px_context *cx, void *bytes, size_t count)
{
    journal *log = px_context_data(cx);
    int value;
    assert_int_equal(count, sizeof value);
    memcpy(&value, bytes, sizeof value);
    log->entries[log->count++] = value;
    return value < 0 ? px_fail(cx, PX_EFAILED, "message %d", value) : 0;
}

static int
note_and_post_again(px_context *cx, void *bytes, size_t count)
{
    assert_int_equal(px_post(cx, note_and_post_again, bytes, count), 0);
    return note(cx, bytes, count);
}

static int
note_nothing(px_context *cx, void *bytes, size_t count)
{
    journal *log = px_context_data(cx);
    assert_non_null(bytes);
    assert_int_equal(count, 0);
    log->count++;
    return 0;
}

static px_context *
create_with(journal *log)
{
    px_context_options options;
    px_context *cx = NULL;
    memset(log, 0, sizeof *log);
    px_context_options_init(&options);
    options.data = log;
    assert_int_equal(px_context_create(&options, &cx), 0);
    assert_int_equal(px_enter(cx), 0);
    return cx;
}

static void
destroy(px_context *cx)
{
    assert_int_equal(px_leave(cx), 0);
    px_context_release(cx);
}

static void
post_int(px_context *cx, int value)
{
    assert_int_equal(px_post(cx, note, &value, sizeof value), 0);
}

static void
mailbox__keeps_the_order__of_one_poster(void **state)
{
    journal log;
    px_context *cx = create_with(&log);
    (void)state;
    for (int i = 1; i <= 10; i++)
        post_int(cx, i);
    assert_int_equal(px_deliver(cx), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(log.entries[i], i + 1);
    assert_int_equal(px_deliver(cx), 0);
    destroy(cx);
}

static void
mailbox__stops_at_a_failure__and_goes_on_later(void **state)
{
    journal log;
    px_context *cx = create_with(&log);
    (void)state;
    post_int(cx, 1);
    post_int(cx, -5);
    post_int(cx, 2);
    assert_int_equal(px_deliver(cx), PX_EFAILED);
    assert_string_equal(px_context_error(cx)->message, "message -5");
    px_context_clear_error(cx);
    post_int(cx, 3);
    assert_int_equal(px_deliver(cx), 2);
    assert_int_equal(log.count, 4);
    assert_int_equal(log.entries[2], 2);
    assert_int_equal(log.entries[3], 3);
    destroy(cx);
}

static void
mailbox__delivers_what_waits__not_what_handlers_post(void **state)
{
    journal log;
    px_context *cx = create_with(&log);
    int value = 7;
    (void)state;
    px_post(cx, note_and_post_again, &value, sizeof value);
    assert_int_equal(px_deliver(cx), 1);
    assert_int_equal(px_deliver(cx), 1);
    assert_int_equal(log.count, 2);
    destroy(cx);
}

static int
deliver_the_rest(px_context *cx, void *bytes, size_t count)
{
    (void)bytes;
    assert_int_equal(count, 0);
    assert_int_equal(px_deliver(cx), 2);
    return 0;
}

static void
deliver__counts_each_message_once__when_a_handler_delivers(void **state)
{
    journal log;
    px_context *cx = create_with(&log);
    (void)state;
    assert_int_equal(px_post(cx, deliver_the_rest, NULL, 0), 0);
    post_int(cx, 1);
    post_int(cx, 2);
    assert_int_equal(px_deliver(cx), 1);
    assert_int_equal(log.count, 2);
    destroy(cx);
}

static void
mailbox__carries_an_empty_message(void **state)
{
    journal log;
    px_context *cx = create_with(&log);
    (void)state;
    assert_int_equal(px_post(cx, note_nothing, NULL, 0), 0);
    assert_int_equal(px_deliver(cx), 1);
    assert_int_equal(log.count, 1);
    destroy(cx);
}

static void
mailbox__drops_unread_messages__with_the_context(void **state)
{
    journal log;
    px_context *cx = create_with(&log);
    (void)state;
    post_int(cx, 1);
    post_int(cx, 2);
    destroy(cx); /* LeakSanitizer is the judge */
    assert_int_equal(log.count, 0);
}

static void
post__refuses_bad_input(void **state)
{
    journal log;
    px_context *cx = create_with(&log);
    int value = 1;
    (void)state;
    assert_int_equal(px_post(NULL, note, &value, sizeof value), PX_EINVAL);
    assert_int_equal(px_post(cx, NULL, &value, sizeof value), PX_EINVAL);
    assert_int_equal(px_post(cx, note, NULL, 1), PX_EINVAL);
    assert_int_equal(px_post(cx, note, &value, SIZE_MAX), PX_ENOMEM);
    assert_int_equal(px_post(cx, note, &value, SIZE_MAX / 2), PX_ENOMEM);
    assert_int_equal(px_deliver(NULL), PX_EINVAL);
    assert_int_equal(px_deliver(cx), 0);
    destroy(cx);
}

static void
deliver__wants_the_context_entered(void **state)
{
    px_context *cx;
    (void)state;
    assert_int_equal(px_context_create(NULL, &cx), 0);
    assert_int_equal(px_deliver(cx), PX_EWRONGTHREAD);
    px_context_release(cx);
}

enum { POSTERS = 4, POSTS_EACH = 5000 };

typedef struct tally {
    int next[POSTERS];
    int total;
    bool in_order;
} tally;

typedef struct poster {
    px__thread thread;
    px_context *cx;
    int id;
} poster;

static int
tally_one(px_context *cx, void *bytes, size_t count)
{
    tally *t = px_context_data(cx);
    int pair[2];
    memcpy(pair, bytes, count);
    t->in_order = t->in_order && t->next[pair[0]] == pair[1];
    t->next[pair[0]] = pair[1] + 1;
    t->total++;
    return 0;
}

static void
post_many(void *arg)
{
    poster *p = arg;
    for (int i = 0; i < POSTS_EACH; i++) {
        int pair[2] = {p->id, i};
        if (px_post(p->cx, tally_one, pair, sizeof pair))
            break;
    }
    px_context_release(p->cx);
}

static void
mailbox__takes_posts_of_many_threads__each_in_order(void **state)
{
    px_context_options options;
    tally t = {.in_order = true};
    poster posters[POSTERS];
    px_context *cx;
    (void)state;
    px_context_options_init(&options);
    options.data = &t;
    assert_int_equal(px_context_create(&options, &cx), 0);
    assert_int_equal(px_enter(cx), 0);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (poster){.cx = px_context_retain(cx), .id = i};
        assert_int_equal(px__thread_create(&posters[i].thread, "poster",
                                           post_many, &posters[i]),
                         0);
    }
    while (t.total < POSTERS * POSTS_EACH)
        if (px_deliver(cx) == 0)
            px__thread_yield();
    for (int i = 0; i < POSTERS; i++)
        px__thread_join(&posters[i].thread);
    assert_true(t.in_order);
    destroy(cx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mailbox__keeps_the_order__of_one_poster),
        cmocka_unit_test(mailbox__stops_at_a_failure__and_goes_on_later),
        cmocka_unit_test(mailbox__delivers_what_waits__not_what_handlers_post),
        cmocka_unit_test(
            deliver__counts_each_message_once__when_a_handler_delivers),
        cmocka_unit_test(mailbox__carries_an_empty_message),
        cmocka_unit_test(mailbox__drops_unread_messages__with_the_context),
        cmocka_unit_test(post__refuses_bad_input),
        cmocka_unit_test(deliver__wants_the_context_entered),
        cmocka_unit_test(mailbox__takes_posts_of_many_threads__each_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
