/* Spinning: bounded, slower with each look, and not at all on one CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "in_child.h"
#include "lock/spin.h"
#include "platform/thread.h"

#if defined(__linux__)
#include <sched.h>
#endif

static void
spin__ends__and_doubles_its_pauses(void **state)
{
    (void)state;
    if (px__cpu_count() == 1)
        skip();
    px__spin spin = px__spin_begin();
    unsigned looks = 0, before = 0;
    while (px__spin_more(&spin)) {
        unsigned paused = spin.spent - before;
        assert_true(looks == 0 || paused >= 1);
        assert_true(spin.next >= paused && spin.next <= 2 * paused);
        before = spin.spent;
        assert_true(++looks < 100);
    }
    assert_true(looks >= 5);
    assert_false(px__spin_more(&spin)); /* over is over */
    px__spin_back_off();
}

#if defined(__linux__)
/* The child's only thread is its main thread: the process has one CPU. */
static void
spin_on_one_cpu(void)
{
    cpu_set_t all, one;
    size_t first = 0;
    CHILD_CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHILD_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    px__spin spin = px__spin_begin();
    CHILD_CHECK(!px__spin_more(&spin));
}

static void
spin__is_no_use__on_one_cpu(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(spin_on_one_cpu), 0);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__linux__)
        cmocka_unit_test(spin__is_no_use__on_one_cpu), /* asks first */
#endif
        cmocka_unit_test(spin__ends__and_doubles_its_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
