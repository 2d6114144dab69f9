/* tests/unit/proxy/base/slice_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    bool is_number;
    uint64_t number;
} numbers[] = {
    {"0", true, 0},
    {"007", true, 7},
    {"9223372036854775807", true, INT64_MAX},
    {"9223372036854775808", false, 0},
    {"9999999999999999999", false, 0},
    {"00000000000000000001", false, 0}, /* 20 digits */
    {"", false, 0},
    {"-1", false, 0},
    {"+1", false, 0},
    {" 1", false, 0},
    {"1 ", false, 0},
    {"1a", false, 0},
    {"0x1", false, 0},
};

static void reads_decimal_numbers_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint64_t number = 42;
        bool is_number = slice_to_number(slice_of(numbers[i].text), &number);
        if (is_number != numbers[i].is_number ||
            number != (is_number ? numbers[i].number : (uint64_t)42)) {
            fail_msg("'%s' gave %d %lu", numbers[i].text, is_number, (unsigned long)number);
        }
    }
}

static const struct {
    const char *text;
    size_t count;
    const char *members[4];
} lists[] = {
    {"a, b,c", 3, {"a", "b", "c"}}, {"", 1, {""}},         {",", 2, {"", ""}},
    {"a,", 2, {"a", ""}},           {" \ta\t ", 1, {"a"}}, {"a,,b c", 3, {"a", "", "b c"}},
};

static void walks_every_member_of_a_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        slice rest = slice_of(lists[i].text);
        slice member;
        size_t count = 0;
        while (slice_next_member(&rest, &member)) {
            assert_true(count < lists[i].count);
            assert_true(slice_equal(member, slice_of(lists[i].members[count])));
            count++;
        }
        assert_int_equal(count, lists[i].count);
        assert_false(slice_next_member(&rest, &member));
    }
}

static void compares_trims_and_finds(void **state)
{
    (void)state;
    const slice none = {NULL, 0};
    assert_true(slice_equal(none, SLICE("")));
    assert_false(slice_equal(SLICE("a"), SLICE("A")));
    assert_true(slice_equal_nocase(SLICE("Host-[x]"), SLICE("hOST-[X]")));
    assert_false(slice_equal_nocase(SLICE("@["), SLICE("`{"))); /* only letters fold */
    assert_false(slice_equal_nocase(SLICE("a"), SLICE("ab")));
    assert_true(slice_starts_with(SLICE("abc"), SLICE("ab")));
    assert_true(slice_starts_with(none, none));
    assert_false(slice_starts_with(SLICE("a"), SLICE("ab")));
    assert_true(slice_equal(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
    assert_int_equal(slice_trim(SLICE(" \t ")).len, 0);
    assert_int_equal(slice_trim(SLICE("\r\n")).len, 2); /* OWS is space and tab */
    assert_int_equal(slice_find(SLICE("a,b"), ','), 1);
    assert_int_equal(slice_find(SLICE("ab"), ','), 2);
    assert_int_equal(slice_find(none, ','), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_decimal_numbers_and_nothing_else),
        cmocka_unit_test(walks_every_member_of_a_list),
        cmocka_unit_test(compares_trims_and_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
