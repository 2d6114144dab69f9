/* tests/unit/proxy/route/hsts_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/hsts.h"

#include "proxy/route/kit.h"

static void writes_its_value(void **state)
{
    (void)state;
    struct hsts hsts;
    hsts_init(&hsts, 31536000, false);
    kit_expect_slice(hsts_value(&hsts), "max-age=31536000");
    hsts_init(&hsts, 63072000, true);
    kit_expect_slice(hsts_value(&hsts), "max-age=63072000; includeSubDomains");
    hsts_init(&hsts, UINT64_MAX, true);
    kit_expect_slice(hsts_value(&hsts), "max-age=18446744073709551615; includeSubDomains");
    hsts_init(&hsts, 0, true);
    kit_expect_slice(hsts_value(&hsts), "");
}

static void knows_loopback_names(void **state)
{
    (void)state;
    static const struct {
        const char *authority;
        bool is_loopback;
    } cases[] = {
        {"localhost", true},
        {"localhost:8443", true},
        {"LocalHost", true},
        {"localhost.", true},
        {"app.localhost:1", true},
        {"127.0.0.1", true},
        {"127.1.2.3:8443", true},
        {"[::1]", true},
        {"[::1]:8443", true},
        {"[0:0:0:0:0:0:0:1]", true},
        {"chat.test", false},
        {"notlocalhost", false},
        {"localhost.example", false},
        {"128.0.0.1", false},
        {"[::2]", false},
        {"", false},
        {"a b", false},
        {"127.0.0.1.example", false},
        {"chat.example.com", false},
        {"[::ffff:127.0.0.1]", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (hsts_is_loopback_name(slice_of(cases[i].authority)) != cases[i].is_loopback) {
            fail_msg("%s", cases[i].authority);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_its_value),
        cmocka_unit_test(knows_loopback_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
