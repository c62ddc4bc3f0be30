/* The error record of a context, and the checks of who may use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <string.h>

#include "context/context.h"

static int
enter_new(void **state)
{
    px_context *cx;
    if (px_context_create(NULL, &cx) || px_enter(cx))
        return -1;
    *state = cx;
    return 0;
}

static int
leave_and_release(void **state)
{
    int status = px_leave(*state);
    px_context_release(*state);
    return status;
}

static void
fail__records_code_message_and_place(void **state)
{
    px_context *cx = *state;
    const px_error *error;
    int payload, line = __LINE__ + 1;
    assert_int_equal(px_fail(cx, PX_ETIMEDOUT, "late by %d ms", 7),
                     PX_ETIMEDOUT);
    assert_int_equal(px_fail_payload(cx, &payload), 0);
    error = px_context_error(cx);
    assert_int_equal(error->code, PX_ETIMEDOUT);
    assert_string_equal(error->message, "late by 7 ms");
    assert_string_equal(error->file, __FILE__);
    assert_int_equal(error->line, line);
    assert_ptr_equal(error->payload, &payload);
    assert_ptr_equal(error->context, cx);
}

static void
fail__keeps_the_first_error(void **state)
{
    px_context *cx = *state;
    px_fail(cx, PX_ENOMEM, "first");
    assert_int_equal(px_fail(cx, PX_EINVAL, "second"), PX_ENOMEM);
    assert_string_equal(px_context_error(cx)->message, "first");
    px_context_clear_error(cx);
    assert_null(px_context_error(cx));
    assert_int_equal(px_fail(cx, PX_EINVAL, "third"), PX_EINVAL);
    assert_null(px_context_error(cx)->payload);
}

static void
fail__makes_an_error_of_a_code_that_is_none(void **state)
{
    px_context *cx = *state;
    assert_int_equal(px_fail(cx, 0, "zero"), PX_EFAILED);
    px_context_clear_error(cx);
    assert_int_equal(px_fail(cx, 5, "positive"), PX_EFAILED);
}

static void
fail__cuts_a_long_message(void **state)
{
    px_context *cx = *state;
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    px_fail(cx, PX_EFAILED, "%s", text);
    assert_int_equal(strlen(px_context_error(cx)->message), 255);
}

static void
fail__without_a_format__uses_the_code_s_text(void **state)
{
    px_context *cx = *state;
    const char *volatile none = NULL;
    px_fail_at(cx, PX_ENOMEM, NULL, 0, none, "not used");
    assert_string_equal(px_context_error(cx)->message, px_strerror(PX_ENOMEM));
    assert_null(px_context_error(cx)->file);
}

static void
fail__is_for_the_current_context_only(void **state)
{
    px_context *other;
    assert_int_equal(px_context_create(NULL, &other), 0);
    assert_int_equal(px_fail(other, PX_EFAILED, "x"), PX_EWRONGTHREAD);
    assert_null(px_context_error(other));
    px_context_release(other);
    assert_int_equal(px_fail(NULL, PX_EFAILED, "x"), PX_EINVAL);
    assert_int_equal(px_fail_payload(NULL, NULL), PX_EINVAL);
    assert_int_equal(px_fail_payload(*state, NULL), PX_ESTATE);
    assert_null(px_context_error(NULL));
    px_context_clear_error(NULL);
}

static void
saved_error__comes_back_whole__and_survives_another(void **state)
{
    px_context *cx = *state;
    px__saved_error saved;
    px_fail(cx, PX_ECANCELED, "the first");
    px__error_save(cx, &saved);
    assert_null(px_context_error(cx));
    px_fail(cx, PX_EINVAL, "another");
    assert_string_equal(saved.error.message, "the first");
    px__error_restore(cx, &saved);
    memset(&saved, 0, sizeof saved);
    assert_int_equal(px_context_error(cx)->code, PX_ECANCELED);
    assert_string_equal(px_context_error(cx)->message, "the first");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, enter_new, leave_and_release)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fail__records_code_message_and_place),
        TEST(fail__keeps_the_first_error),
        TEST(fail__makes_an_error_of_a_code_that_is_none),
        TEST(fail__cuts_a_long_message),
        TEST(fail__without_a_format__uses_the_code_s_text),
        TEST(fail__is_for_the_current_context_only),
        TEST(saved_error__comes_back_whole__and_survives_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
