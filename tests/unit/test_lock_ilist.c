/* The interlocked list, alone and with many pushers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/ilist.h>

#include "base/atomic.h"
#include "base/list.h"
#include "platform/thread.h"

enum { PUSHERS = 4, EACH = 5000 };

typedef struct item {
    px_ilink link;
    int pusher;
    int number; /* plain: push and flush must publish it */
} item;

static void
push__says_whether_it_was_empty__once(void **state)
{
    (void)state;
    px_ilist list = {0};
    px_ilink a, b;
    assert_true(px_ilist_empty(&list));
    assert_true(px_ilist_push(&list, &a));
    assert_false(px_ilist_push(&list, &b));
    assert_false(px_ilist_empty(&list));
    assert_ptr_equal(px_ilist_flush(&list), &b);
    assert_true(px_ilist_push(&list, &a));
}

static void
flush__gives_last_first__and_empties(void **state)
{
    (void)state;
    px_ilist list = {0};
    px_ilink n[3];
    assert_null(px_ilist_flush(&list));
    for (int i = 0; i < 3; i++)
        px_ilist_push(&list, &n[i]);
    px_ilink *chain = px_ilist_flush(&list);
    assert_ptr_equal(chain, &n[2]);
    assert_ptr_equal(chain->next, &n[1]);
    assert_ptr_equal(chain->next->next, &n[0]);
    assert_null(n[0].next);
    assert_null(px_ilist_flush(&list));
}

static void
reverse__gives_first_first__and_takes_any_length(void **state)
{
    (void)state;
    px_ilist list = {0};
    px_ilink n[3];
    assert_null(px_ilist_reverse(NULL));
    px_ilist_push(&list, &n[0]);
    assert_ptr_equal(px_ilist_reverse(px_ilist_flush(&list)), &n[0]);
    for (int i = 0; i < 3; i++)
        px_ilist_push(&list, &n[i]);
    px_ilink *chain = px_ilist_reverse(px_ilist_flush(&list));
    assert_ptr_equal(chain, &n[0]);
    assert_ptr_equal(chain->next, &n[1]);
    assert_ptr_equal(chain->next->next, &n[2]);
    assert_null(n[2].next);
}

static px_ilist shared_list;
static item items[PUSHERS][EACH];
static uint32_t were_empty;

static void
push_all(void *arg)
{
    int pusher = *(int *)arg;
    for (int i = 0; i < EACH; i++) {
        items[pusher][i].pusher = pusher;
        items[pusher][i].number = i;
        if (px_ilist_push(&shared_list, &items[pusher][i].link))
            px__add_relaxed(&were_empty, 1);
    }
}

/* Take what is there; each pusher's items must come in its order. */
static int
drain(int next[PUSHERS])
{
    int count = 0;
    px_ilink *chain = px_ilist_reverse(px_ilist_flush(&shared_list));
    for (; chain; chain = chain->next, count++) {
        item *it = PX_CONTAINER(chain, item, link);
        assert_int_equal(it->number, next[it->pusher]++);
    }
    return count;
}

static void
push__loses_nothing__with_many_pushers(void **state)
{
    (void)state;
    px__thread t[PUSHERS];
    int who[PUSHERS], next[PUSHERS] = {0}, total = 0;
    uint32_t flushes = 0;
    for (int i = 0; i < PUSHERS; i++) {
        who[i] = i;
        assert_int_equal(px__thread_create(&t[i], "pusher", push_all, &who[i]),
                         0);
    }
    while (total < PUSHERS * EACH) {
        int count = drain(next);
        flushes += count > 0;
        total += count;
        px__thread_yield();
    }
    for (int i = 0; i < PUSHERS; i++)
        px__thread_join(&t[i]);
    assert_int_equal(total, PUSHERS * EACH);
    assert_int_equal(were_empty, flushes); /* one wake per flush with content */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push__says_whether_it_was_empty__once),
        cmocka_unit_test(flush__gives_last_first__and_empties),
        cmocka_unit_test(reverse__gives_first_first__and_takes_any_length),
        cmocka_unit_test(push__loses_nothing__with_many_pushers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
