/* tests/unit/proxy/base/fault_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_fault_has_a_name_of_its_own_and_a_sentence(void **state)
{
    (void)state;
    for (unsigned code = 0; code < FAULT_CODES; code++) {
        const char *name = fault_name((enum fault_code)code);
        assert_int_equal(name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")], '\0');
        assert_true(strlen(name) > 0);
        assert_true(strlen(fault_sentence((enum fault_code)code)) > 3);
        for (unsigned other = 0; other < code; other++) {
            assert_string_not_equal(name, fault_name((enum fault_code)other));
        }
    }
}

static void every_status_is_an_error_or_none(void **state)
{
    (void)state;
    for (unsigned code = 0; code < FAULT_CODES; code++) {
        unsigned status = fault_http_status((enum fault_code)code);
        assert_true(status == 0 || (status >= 400 && status <= 599));
    }
    assert_int_equal(fault_http_status(FAULT_LENGTH_AND_CODING), 400);
    assert_int_equal(fault_http_status(FAULT_TIMEOUT_RESPONSE), 504);
}

static void a_code_out_of_range_is_our_own_fault(void **state)
{
    (void)state;
    assert_string_equal(fault_name(FAULT_CODES), "internal");
    assert_int_equal(fault_http_status((enum fault_code)9999), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_has_a_name_of_its_own_and_a_sentence),
        cmocka_unit_test(every_status_is_an_error_or_none),
        cmocka_unit_test(a_code_out_of_range_is_our_own_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
