/* A thread is held up while it interrupts the poll of the loop, until the
 * runtime has been released, or long enough that it would have been. The
 * library's calls of libuv go through the wrappers here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/runtime.h>
#include <uv.h>

#include "base/atomic.h"
#include "platform/clock.h"
#include "platform/thread.h"

enum { ROUNDS = 20, LONG_ENOUGH_NS = 10 * PX_NS_PER_MS };

static _Thread_local bool is_slow;
static bool releasing;    /* atomic */
static bool loop_closed;  /* atomic */
static uint32_t held_up;  /* atomic: kicks */
static uint32_t too_late; /* atomic: kicks of a loop that was gone */

int __real_uv_async_send(uv_async_t *handle);
int __wrap_uv_async_send(uv_async_t *handle);
int __real_uv_loop_close(uv_loop_t *loop);
int __wrap_uv_loop_close(uv_loop_t *loop);

int
__wrap_uv_async_send(uv_async_t *handle)
{
    if (!is_slow)
        return __real_uv_async_send(handle);
    px__add_seqcst(&held_up, 1);
    while (!px__load_seqcst(&releasing))
        px__thread_yield();
    int64_t start_ns = px__now_ns();
    while (!px__load_seqcst(&loop_closed) &&
           px__now_ns() - start_ns < LONG_ENOUGH_NS)
        px__thread_yield();
    if (!px__load_seqcst(&loop_closed))
        return __real_uv_async_send(handle);
    px__add_seqcst(&too_late, 1);
    return 0;
}

int
__wrap_uv_loop_close(uv_loop_t *loop)
{
    px__store_seqcst(&loop_closed, true);
    return __real_uv_loop_close(loop);
}

static px_context *kept; /* atomic */

static int
keep(px_context *cx, void *arg)
{
    (void)arg;
    if (!px__load_seqcst(&kept))
        px__store_seqcst(&kept, px_context_retain(cx));
    return 0;
}

static int
hear(px_context *cx, void *bytes, size_t count)
{
    (void)cx;
    (void)bytes;
    return (int)count;
}

/* Until one of the posts meets a poll, and is held up there. */
static void
post_slowly(void *arg)
{
    px_context *cx = arg;
    is_slow = true;
    while (px_post(cx, hear, "x", 1) == 0)
        px__thread_yield();
    px_context_release(cx);
}

static void
kick__finds_its_loop__when_the_runtime_is_released_meanwhile(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        px_runtime *rt;
        px__thread poster;
        px_runtime_options o;
        px_runtime_options_init(&o);
        o.workers = 1;
        px__store_seqcst(&releasing, false);
        px__store_seqcst(&loop_closed, false);
        px__store_seqcst(&held_up, 0);
        px__store_seqcst(&kept, NULL);
        assert_int_equal(px_runtime_create(&o, &rt), 0);
        assert_int_equal(px_submit_timer(rt, 0, 1, keep, NULL, NULL, NULL), 0);
        while (!px__load_seqcst(&kept))
            px__thread_yield();
        assert_int_equal(
            px__thread_create(&poster, "poster", post_slowly, kept), 0);
        while (!px__load_seqcst(&held_up))
            px__thread_yield();
        px__store_seqcst(&releasing, true);
        assert_int_equal(px_runtime_release(rt), 0);
        px__thread_join(&poster);
        assert_int_equal(too_late, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            kick__finds_its_loop__when_the_runtime_is_released_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
