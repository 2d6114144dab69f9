/* tests/unit/proxy/process/processors_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/processors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct quota_row {
    const char *text;
    size_t processors;
};

static const struct quota_row ROWS[] = {
    {"max 100000\n", 0},    {"50000 100000\n", 1}, {"100000 100000\n", 1},
    {"150000 100000\n", 2}, {"400000 100000", 4},  {"", 0},
    {"0 100000", 0},        {"100000 0", 0},       {"nonsense", 0},
};

static void rounds_a_quota_up_to_whole_processors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        assert_int_equal(processors_of_quota(ROWS[i].text), ROWS[i].processors);
    }
}

static void finds_at_least_one(void **state)
{
    (void)state;
    assert_true(processors_usable() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_a_quota_up_to_whole_processors),
        cmocka_unit_test(finds_at_least_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
