/* tests/unit/proxy/route/cookie_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/cookie.h"

#include "proxy/route/kit.h"

static const struct {
    const char *in;
    const char *out;
} cases[] = {
    {"a=b", "a=b; Secure"},
    {"a=b; Path=/; HttpOnly", "a=b; Path=/; HttpOnly; Secure"},
    {"a=b; Secure", "a=b; Secure"},
    {"a=b;secure", "a=b;secure"},
    {"a=b; SECURE ; Path=/", "a=b; SECURE ; Path=/"},
    {"a=b; Secure=yes", "a=b; Secure=yes"},
    {"a=b;\tsecure\t= x", "a=b;\tsecure\t= x"},
    {"secure=1", "secure=1; Secure"},
    {"secure", "secure; Secure"},
    {"a=secure; Path=/secure", "a=secure; Path=/secure; Secure"},
    {"a=b; NotSecure", "a=b; NotSecure; Secure"},
    {"a=b; Secured", "a=b; Secured; Secure"},
    {"a=\"x; Secure\"", "a=\"x; Secure\"; Secure"},
    {"a=\"x; Secure; y\"", "a=\"x; Secure; y\""},
    {"a=b; SameSite=None", "a=b; SameSite=None; Secure"},
    {"a=b;", "a=b; Secure"},
    {"a=b; Expires=Wed, 09 Jun 2027 10:18:14 GMT",
     "a=b; Expires=Wed, 09 Jun 2027 10:18:14 GMT; Secure"},
    {"", "; Secure"},
};

static void reads_attributes_as_browsers_do(void **state)
{
    (void)state;
    struct kit kit;
    kit_init(&kit);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kit_expect_slice(cookie_make_secure(slice_of(cases[i].in), &kit.arena), cases[i].out);
    }
    kit_fini(&kit);
}

static void a_secure_cookie_stays_as_it_is(void **state)
{
    (void)state;
    struct kit kit;
    kit_init(&kit);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        slice once = cookie_make_secure(slice_of(cases[i].in), &kit.arena);
        slice twice = cookie_make_secure(once, &kit.arena);
        assert_ptr_equal(once.at, twice.at);
        assert_int_equal(once.len, twice.len);
    }
    kit_fini(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_attributes_as_browsers_do),
        cmocka_unit_test(a_secure_cookie_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
