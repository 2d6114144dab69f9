/* tests/unit/proxy/route/location_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/location.h"

#include "proxy/route/kit.h"

static void rewrites_only_what_names_us(void **state)
{
    (void)state;
    static const struct {
        const char *location;
        const char *client;
        const char *backend;
        const char *out;
    } cases[] = {
        {"http://chat.test/login", "chat.test", "", "https://chat.test/login"},
        {"http://chat.test", "chat.test", "", "https://chat.test"},
        {"http://chat.test?a=b", "chat.test", "", "https://chat.test?a=b"},
        {"http://chat.test#f", "chat.test", "", "https://chat.test#f"},
        {"HTTP://Chat.Test/x", "chat.test", "", "https://chat.test/x"},
        {"http://chat.test:80/x", "chat.test", "", "https://chat.test/x"},
        {"http://chat.test/x", "chat.test:443", "", "https://chat.test:443/x"},
        {"http://chat.test:8443/x", "chat.test:8443", "", "https://chat.test:8443/x"},
        {"http://[::1]:8443/x", "[::1]:8443", "", "https://[::1]:8443/x"},
        {"http://chat.test/x", "chat.test:8443", "", "http://chat.test/x"},
        {"http://chat.test:8080/x", "chat.test", "", "http://chat.test:8080/x"},
        {"http://chat.test:443/x", "chat.test", "", "http://chat.test:443/x"},
        {"http://other.test/x", "chat.test", "", "http://other.test/x"},
        {"http://chat.test.evil/x", "chat.test", "", "http://chat.test.evil/x"},
        {"http://chat.test@evil/x", "chat.test", "", "http://chat.test@evil/x"},
        {"https://chat.test/x", "chat.test", "", "https://chat.test/x"},
        {"/login", "chat.test", "", "/login"},
        {"//chat.test/login", "chat.test", "", "//chat.test/login"},
        {"http:/chat.test/", "chat.test", "", "http:/chat.test/"},
        {"http://", "chat.test", "", "http://"},
        {"", "chat.test", "", ""},
        {"http://chat.test/x", "", "", "http://chat.test/x"},
        {"http://mm2.internal:8065/x", "chat.test", "mm2.internal:8065", "https://chat.test/x"},
        {"https://mm2.internal/x", "chat.test", "mm2.internal", "https://chat.test/x"},
        {"https://mm2.internal:443/x", "chat.test", "mm2.internal", "https://chat.test/x"},
        {"http://mm2.internal:8066/x", "chat.test", "mm2.internal:8065",
         "http://mm2.internal:8066/x"},
        {"http://mm2.internal:8065/x", "chat.test", "", "http://mm2.internal:8065/x"},
    };
    struct kit kit;
    kit_init(&kit);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kit_expect_slice(location_rewrite(slice_of(cases[i].location), slice_of(cases[i].client),
                                          slice_of(cases[i].backend), &kit.arena),
                         cases[i].out);
    }
    kit_fini(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewrites_only_what_names_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
