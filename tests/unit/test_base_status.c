/*
 * Names, messages and versions of src/base/status.c: the table in
 * <pxrt/status.h> is the only source, so each test walks that table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"

/* One row of PX_STATUS_MAP. */
struct row {
    const char *name;
    int value;
    const char *text;
};

static const struct row rows[] = {
#define ROW(name, value, text) {#name, value, text},
    PX_STATUS_MAP(ROW)
#undef ROW
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static void
status__names_itself__for_every_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_string_equal(px_status_name(rows[i].value), rows[i].name);
        assert_string_equal(px_strerror(rows[i].value), rows[i].text);
    }
    assert_string_equal(px_status_name(PX_OK), "PX_OK");
    assert_string_equal(px_strerror(PX_OK), "success");
}

/* Codes are written to logs and compared by users: they must be negative,
 * distinct, and below -10000, where neither errno nor libuv has any. */
static void
status__keeps_its_range__for_every_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_true(-rows[i].value >= 10001 && -rows[i].value <= 10999);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(rows[i].value, rows[j].value);
    }
}

static void
status__is_unknown__for_a_code_of_nobody(void **state)
{
    static const int codes[] = {1, -1, -9999, -10999, INT32_MAX, INT32_MIN};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_string_equal(px_status_name(codes[i]), "PX_EUNKNOWN");
        assert_string_equal(px_strerror(codes[i]), "unknown status");
    }
}

/* A translator that knows one code only. */
static const char *
translate_minus_seven(int status)
{
    return status == -7 ? "seven" : NULL;
}

static void
status__asks_the_translator__for_foreign_codes_only(void **state)
{
    (void)state;
    px__status_set_foreign(translate_minus_seven);
    assert_string_equal(px_strerror(-7), "seven");
    assert_string_equal(px_strerror(-8), "unknown status");
    assert_string_equal(px_strerror(7), "unknown status");
    assert_string_equal(px_strerror(PX_ENOMEM), rows[1].text);
    px__status_set_foreign(NULL);
    assert_string_equal(px_strerror(-7), "unknown status");
}

static void
version__agrees__between_headers_number_and_text(void **state)
{
    char text[32];
    (void)state;
    snprintf(text, sizeof text, "%d.%d.%d", PX_VERSION_MAJOR, PX_VERSION_MINOR,
             PX_VERSION_PATCH);
    assert_string_equal(px_version_string(), text);
    assert_int_equal(px_version(), PX_VERSION);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status__names_itself__for_every_code),
        cmocka_unit_test(status__keeps_its_range__for_every_code),
        cmocka_unit_test(status__is_unknown__for_a_code_of_nobody),
        cmocka_unit_test(status__asks_the_translator__for_foreign_codes_only),
        cmocka_unit_test(version__agrees__between_headers_number_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
