/*
 * The torture loop itself: it must count every call, see a scenario that
 * leaks, one that breaks for good, and one that swallows a failure's trace.
 * These scenarios call the wrapped functions themselves, as the library would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"
#include <pxrt/status.h>

/* Two blocks and a resize, each of which may fail; 3 points. The blocks are
 * volatile so that the compiler cannot see through the pairs. */
static int
careful(void)
{
    int status = PX_ENOMEM;
    void *volatile first = malloc(10);
    void *volatile second = first ? calloc(2, 10) : NULL;
    if (second) {
        void *volatile larger = realloc(second, 1000);
        second = larger ? larger : second;
        status = larger ? 0 : PX_ENOMEM;
    }
    free(second);
    free(first);
    return status;
}

static int
leaky(void)
{
    static void *lost;
    void *volatile first = malloc(10);
    void *volatile second = first ? malloc(10) : NULL;
    free(second);
    if (second || !first) {
        free(first);
        free(lost);
        lost = NULL;
        return first ? 0 : PX_ENOMEM;
    }
    lost = first;
    return PX_ENOMEM;
}

/* Remembers a failure and is of no use from then on. */
static int
sulking(void)
{
    static bool hurt;
    void *volatile block = malloc(10);
    hurt = hurt || !block;
    free(block);
    return hurt ? PX_ENOMEM : 0;
}

static int
always_failing(void)
{
    return PX_EINVAL;
}

static int
endless_count(void)
{
    return 1;
}

static void
torture__passes__for_a_careful_scenario(void **state)
{
    size_t points = 0;
    (void)state;
    assert_null(fault_torture(careful, &points));
    assert_int_equal(points, 6 + 3); /* malloc, calloc, realloc */
    assert_fault_torture(careful);
}

static void
assert_complaint(fault_scenario *scenario, const char *about)
{
    size_t points;
    const char *wrong = fault_torture(scenario, &points);
    assert_non_null(wrong);
    if (!strstr(wrong, about))
        fail_msg("\"%s\" does not say \"%s\"", wrong, about);
}

static void
torture__complains__for_each_kind_of_fault(void **state)
{
    (void)state;
    assert_complaint(leaky, "blocks leaked (1) after call 2, of malloc");
    assert_int_equal(leaky(), 0); /* it frees what it lost */
    assert_complaint(sulking, "not usable any more");
    assert_complaint(always_failing, "fails without a fault");
    assert_complaint(endless_count, "fails without a fault");
}

static void
arm__fails_one_call__when_transient(void **state)
{
    (void)state;
    fault_arm(2, false);
    for (int i = 1; i <= 3; i++) {
        void *volatile block = malloc(1);
        assert_int_equal(block == NULL, i == 2);
        free(block);
    }
    fault_disarm();
    assert_int_equal(fault_count(), 3);
    assert_string_equal(fault_fired(), "malloc");
}

static void
arm__fails_all_from_there__when_permanent(void **state)
{
    void *volatile block = NULL;
    void *aligned = NULL;
    (void)state;
    fault_arm(1, true);
    block = malloc(1);
    assert_null(block);
    assert_int_not_equal(posix_memalign(&aligned, 64, 64), 0);
    assert_null(aligned);
    fault_disarm();
    block = malloc(1);
    assert_non_null(block);
    free(block);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torture__passes__for_a_careful_scenario),
        cmocka_unit_test(torture__complains__for_each_kind_of_fault),
        cmocka_unit_test(arm__fails_one_call__when_transient),
        cmocka_unit_test(arm__fails_all_from_there__when_permanent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
