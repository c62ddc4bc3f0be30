/* A question that another thread answers, such as whether a lock is free for
 * it. */
#ifndef PX_TESTS_ASK_H
#define PX_TESTS_ASK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "platform/thread.h"

struct question {
    bool (*fn)(void *arg);
    void *arg;
    bool answer;
};

static inline void
answer_it(void *question)
{
    struct question *q = question;
    q->answer = q->fn(q->arg);
}

static inline bool
ask(bool (*fn)(void *arg), void *arg)
{
    struct question q = {.fn = fn, .arg = arg};
    px__thread t;
    assert_int_equal(px__thread_create(&t, "asker", answer_it, &q), 0);
    px__thread_join(&t);
    return q.answer;
}

#endif
