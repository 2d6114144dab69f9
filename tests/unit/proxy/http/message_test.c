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

static void a_call_of_grpc_is_known_by_its_content_type(void **state)
{
    (void)state;
    static const struct {
        const char *type; /* NULL: no such field */
        bool is_grpc;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"application/json", false},
        {"application/grp", false},
        {"application/grpc", true},
        {"Application/GRPC", true},
        {"application/grpc+proto", true},
        {"application/grpc;charset=utf-8", true},
        {"application/grpc ; charset=utf-8", true},
        {"application/grpc-web", false}, /* which is plain HTTP */
        {"application/grpc-web+proto", false},
        {"application/grpcx", false},
        {"text/plain; x=application/grpc", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct field field = {SLICE("content-type"), {"", 0}, FIELD_CONTENT_TYPE};
        struct message request = {.fields = {.at = &field, .count = rows[i].type != NULL}};
        if (rows[i].type != NULL) {
            field.value = slice_of(rows[i].type);
        }
        if (message_is_grpc(&request) != rows[i].is_grpc) {
            fail_msg("%s", rows[i].type);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_known_in_their_own_case_only),
        cmocka_unit_test(only_what_may_be_repeated_is_idempotent),
        cmocka_unit_test(a_call_of_grpc_is_known_by_its_content_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
