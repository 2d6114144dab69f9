/* tests/unit/proxy/route/redirect_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/redirect.h"

#include "proxy/route/kit.h"

static const struct {
    const char *claim;
    unsigned configured;
    uint16_t port;
    enum method method;
    const char *authority;
    const char *path;
    const char *query;
    enum fault_code fault;
    unsigned status;
    const char *location;
} cases[] = {
    {"308 by default", 308, 443, METHOD_GET, "a.test", "/", "", FAULT_NONE, 308, "https://a.test/"},
    {"the port of http is dropped", 308, 443, METHOD_GET, "a.test:80", "/x", "", FAULT_NONE, 308,
     "https://a.test/x"},
    {"path and query byte for byte", 308, 443, METHOD_GET, "a.test", "/a%2Fb/../c//d", "?q=%20&r=?",
     FAULT_NONE, 308, "https://a.test/a%2Fb/../c//d?q=%20&r=?"},
    {"an empty query stays", 308, 443, METHOD_GET, "a.test", "/", "?", FAULT_NONE, 308,
     "https://a.test/?"},
    {"an odd port", 308, 8443, METHOD_GET, "a.test:8080", "/", "", FAULT_NONE, 308,
     "https://a.test:8443/"},
    {"the largest port", 308, 65535, METHOD_GET, "a.test", "/", "", FAULT_NONE, 308,
     "https://a.test:65535/"},
    {"an IPv6 host", 308, 8443, METHOD_GET, "[::1]:8080", "/", "", FAULT_NONE, 308,
     "https://[::1]:8443/"},
    {"301 for GET", 301, 443, METHOD_GET, "a.test", "/", "", FAULT_NONE, 301, "https://a.test/"},
    {"301 for HEAD", 301, 443, METHOD_HEAD, "a.test", "/sub/path", "", FAULT_NONE, 301,
     "https://a.test/sub/path"},
    {"308 for POST", 301, 443, METHOD_POST, "a.test", "/", "", FAULT_NONE, 308, "https://a.test/"},
    {"a path of two slashes stays on our host", 308, 443, METHOD_GET, "a.test", "//evil.test/", "",
     FAULT_NONE, 308, "https://a.test//evil.test/"},
    {"an ACME challenge", 308, 443, METHOD_GET, "a.test", "/.well-known/acme-challenge/tok", "",
     FAULT_NO_ROUTE, 0, NULL},
    {"only that path", 308, 443, METHOD_GET, "a.test", "/.well-known/acme-challengex", "",
     FAULT_NONE, 308, "https://a.test/.well-known/acme-challengex"},
    {"no host", 308, 443, METHOD_GET, "", "/", "", FAULT_HOST_MISSING, 0, NULL},
    {"an invalid host", 308, 443, METHOD_GET, "a test", "/", "", FAULT_HOST_MALFORMED, 0, NULL},
    {"user info", 308, 443, METHOD_GET, "u@a.test", "/", "", FAULT_HOST_MALFORMED, 0, NULL},
    {"CONNECT", 308, 443, METHOD_CONNECT, "a.test:443", "", "", FAULT_METHOD_REFUSED, 0, NULL},
    {"OPTIONS *", 308, 443, METHOD_OPTIONS, "a.test", "*", "", FAULT_METHOD_REFUSED, 0, NULL},
};

static void answers_each_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit kit;
        struct redirect redirect;
        struct config_listener listener = {.redirect_status = cases[i].configured,
                                           .redirect_port = cases[i].port};
        struct message request = {.method = cases[i].method,
                                  .authority = slice_of(cases[i].authority),
                                  .path = slice_of(cases[i].path),
                                  .query = slice_of(cases[i].query)};
        kit_init(&kit);
        redirect_init(&redirect, &listener);
        enum fault_code fault = redirect_answer(&redirect, &request, &kit.message, &kit.arena);
        if (fault != cases[i].fault) {
            fail_msg("%s: %s", cases[i].claim, fault_name(fault));
        }
        if (fault == FAULT_NONE) {
            assert_int_equal(kit.message.status, cases[i].status);
            assert_int_equal(kit.message.framing.kind, FRAMING_LENGTH);
            assert_int_equal(kit.message.framing.length, 0);
            kit_expect(&kit, "location", cases[i].location);
            kit_expect(&kit, "strict-transport-security", NULL);
        }
        kit_fini(&kit);
    }
}

static void reports_a_full_arena(void **state)
{
    (void)state;
    struct kit kit;
    struct redirect redirect = {.status = 308, .port = 443};
    struct message request = {.authority = SLICE("a.test"), .path = SLICE("/")};
    kit_init(&kit);
    kit.arena.limit_bytes = 0;
    assert_int_equal(redirect_answer(&redirect, &request, &kit.message, &kit.arena),
                     FAULT_LIMIT_MEMORY);
    kit_fini(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_each_request),
        cmocka_unit_test(reports_a_full_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
