/* tests/unit/proxy/process/generation_number_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/generation_number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_failure_is_about_one_generation_and_one_certificate(void **state)
{
    (void)state;
    static const uint32_t NUMBERS[] = {GENERATION_FIRST,      2,
                                       GENERATIONS_APART - 1, GENERATIONS_APART,
                                       GENERATIONS_APART + 7, UINT32_MAX};
    static const uint32_t CERTIFICATES[] = {0, 1, 77, GENERATION_NO_CERTIFICATE};
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        for (size_t j = 0; j < sizeof(CERTIFICATES) / sizeof(CERTIFICATES[0]); j++) {
            uint32_t failure = generation_failure(NUMBERS[i], CERTIFICATES[j]);
            assert_true(generation_has_failed(NUMBERS[i], failure));
            assert_false(generation_has_failed(NUMBERS[i] - 1, failure));
            assert_false(generation_has_failed(NUMBERS[i] + 1, failure));
            assert_int_equal(generation_failed_certificate(failure), CERTIFICATES[j]);
        }
    }
}

static void what_is_no_generations_failure_fails_none(void **state)
{
    (void)state;
    uint32_t failure = generation_failure(0, GENERATION_NO_CERTIFICATE);
    assert_false(generation_has_failed(GENERATION_FIRST, failure));
    assert_false(generation_has_failed(2, failure));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_about_one_generation_and_one_certificate),
        cmocka_unit_test(what_is_no_generations_failure_fails_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
