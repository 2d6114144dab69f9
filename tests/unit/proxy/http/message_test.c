/* tests/unit/proxy/http/message_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void methods_are_known_in_their_own_case_only(void **state)
{
    (void)state;
    assert_int_equal(method_of(SLICE("GET")), METHOD_GET);
    assert_int_equal(method_of(SLICE("PATCH")), METHOD_PATCH);
    assert_int_equal(method_of(SLICE("TRACE")), METHOD_TRACE);
    assert_int_equal(method_of(SLICE("get")), METHOD_OTHER);
    assert_int_equal(method_of(SLICE("GETS")), METHOD_OTHER);
    assert_int_equal(method_of(SLICE("PROPFIND")), METHOD_OTHER);
    assert_int_equal(method_of(SLICE("")), METHOD_OTHER);
}

static void only_what_may_be_repeated_is_idempotent(void **state)
{
    (void)state;
    static const enum method safe[] = {METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_TRACE};
    for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++) {
        assert_true(method_is_safe(safe[i]));
        assert_true(method_is_idempotent(safe[i]));
    }
    assert_true(method_is_idempotent(METHOD_PUT) && !method_is_safe(METHOD_PUT));
    assert_true(method_is_idempotent(METHOD_DELETE) && !method_is_safe(METHOD_DELETE));
    assert_false(method_is_idempotent(METHOD_POST));
    assert_false(method_is_idempotent(METHOD_PATCH));
    assert_false(method_is_idempotent(METHOD_OTHER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_known_in_their_own_case_only),
        cmocka_unit_test(only_what_may_be_repeated_is_idempotent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
