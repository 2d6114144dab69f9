/* tests/unit/proxy/base/hex_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void knows_the_digits_of_both_cases_and_no_other_byte(void **state)
{
    (void)state;
    static const char lower[] = "0123456789abcdef";
    static const char upper[] = "0123456789ABCDEF";
    for (int c = -128; c < 128; c++) {
        const char *place = c > 0 ? strchr(lower, c) : NULL;
        const char *base = place != NULL ? lower : upper;
        place = place != NULL || c <= 0 ? place : strchr(upper, c);
        assert_int_equal(hex_digit((char)c), place != NULL ? (int)(place - base) : -1);
    }
}

static void writes_numbers_with_as_many_digits_as_asked_for(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        size_t digits;
        const char *expected;
    } rows[] = {
        {0, 1, "0"},
        {0xa, 2, "0a"},
        {0xfffd, 4, "fffd"},
        {0x1234, 2, "34"},
        {UINT64_MAX, 16, "ffffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[17] = "";
        hex_put_number(out, rows[i].number, rows[i].digits);
        assert_string_equal(out, rows[i].expected);
    }
}

static void writes_two_digits_for_each_byte(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x0f, 0xf0, 0xab};
    char out[2 * sizeof(bytes) + 1] = "";
    hex_put_bytes(out, bytes, sizeof(bytes));
    assert_string_equal(out, "000ff0ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_digits_of_both_cases_and_no_other_byte),
        cmocka_unit_test(writes_numbers_with_as_many_digits_as_asked_for),
        cmocka_unit_test(writes_two_digits_for_each_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
