/* tests/unit/proxy/route/route_table_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/route_table.h"

#include <stdio.h>

#include "proxy/route/kit.h"

enum { NO_ROUTE = 99, DEFAULT = 50 };

static struct config_route routes[] = {
    {.host_kind = CONFIG_HOST_ANY, .path = "/health", .backend = 0},
    {.host_kind = CONFIG_HOST_EXACT, .host = "chat.example.com", .path = "/", .backend = 1},
    {.host_kind = CONFIG_HOST_EXACT, .host = "chat.example.com", .path = "/api", .backend = 2},
    {.host_kind = CONFIG_HOST_EXACT, .host = "chat.example.com", .path = "/api/v4/", .backend = 3},
    {.host_kind = CONFIG_HOST_WILDCARD, .host = ".example.com", .path = "/", .backend = 4},
    {.host_kind = CONFIG_HOST_WILDCARD, .host = ".eu.example.com", .path = "/", .backend = 5},
    {.host_kind = CONFIG_HOST_EXACT, .host = "api.example.com", .path = "/only", .backend = 6},
    {.host_kind = CONFIG_HOST_EXACT, .host = "[::1]", .path = "/", .backend = 7},
    {.host_kind = CONFIG_HOST_EXACT, .host = "10.0.0.1", .path = "/", .backend = 8},
    {.host_kind = CONFIG_HOST_EXACT, .host = "chat.example.com", .path = "/api", .backend = 9},
    {.host_kind = CONFIG_HOST_WILDCARD, .host = ".only.test", .path = "/a", .backend = 10},
};

static struct config_listener listener = {
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
};

static const struct {
    const char *claim;
    const char *host;
    const char *path;
    size_t backend;
} cases[] = {
    {"an exact host", "chat.example.com", "/", 1},
    {"below its root", "chat.example.com", "/channels/town-square", 1},
    {"case does not matter", "CHAT.Example.COM", "/", 1},
    {"a trailing dot does not matter", "chat.example.com.", "/", 1},
    {"a prefix itself", "chat.example.com", "/api", 2},
    {"a prefix with a slash", "chat.example.com", "/api/", 2},
    {"below a prefix", "chat.example.com", "/api/x", 2},
    {"no half segments", "chat.example.com", "/apix", 1},
    {"paths have case", "chat.example.com", "/API", 1},
    {"the longest prefix wins", "chat.example.com", "/api/v4/users", 3},
    {"a configured trailing slash changes nothing", "chat.example.com", "/api/v4", 3},
    {"half of the longest", "chat.example.com", "/api/v44", 2},
    {"repeated slashes are segments", "chat.example.com", "//api", 1},
    {"the asterisk is the root", "chat.example.com", "*", 1},
    {"a wildcard", "files.example.com", "/", 4},
    {"a wildcard at any depth", "a.b.example.com", "/", 4},
    {"the longest wildcard wins", "a.eu.example.com", "/", 5},
    {"a wildcard's own tail is below the wider one", "eu.example.com", "/", 4},
    {"a wildcard does not match its own name", "example.com", "/", NO_ROUTE},
    {"nor a name that only ends alike", "badexample.com", "/", NO_ROUTE},
    {"a leading dot is no label", ".example.com", "/", NO_ROUTE},
    {"an exact host without a path falls to the wildcard", "api.example.com", "/x", 4},
    {"an exact host with its path", "api.example.com", "/only/x", 6},
    {"a wildcard without a path falls through", "x.only.test", "/b", NO_ROUTE},
    {"an IPv6 host", "::1", "/", 7},
    {"an IPv4 host", "10.0.0.1", "/", 8},
    {"any host by path", "elsewhere.test", "/health", 0},
    {"the host goes before the path", "chat.example.com", "/health", 1},
    {"any host, other path", "elsewhere.test", "/healthy", NO_ROUTE},
    {"no host", "", "/health/live", 0},
    {"no path", "chat.example.com", "", 1},
};

static void picks_the_most_specific_route(void **state)
{
    (void)state;
    struct route_table *table = NULL;
    assert_int_equal(route_table_new(&table, &listener), STATUS_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct route_match match = {.backend = NO_ROUTE};
        bool found =
            route_table_match(table, slice_of(cases[i].host), slice_of(cases[i].path), &match);
        size_t backend = found ? match.backend : NO_ROUTE;
        if (backend != cases[i].backend) {
            fail_msg("%s: backend %zu, expected %zu", cases[i].claim, backend, cases[i].backend);
        }
        assert_true(!found || match.route->backend == match.backend);
    }
    route_table_free(table);
}

static void answers_with_the_default_backend(void **state)
{
    (void)state;
    struct config_listener with_default = listener;
    with_default.has_default_backend = true;
    with_default.default_backend = DEFAULT;
    struct route_table *table = NULL;
    struct route_match match;
    assert_int_equal(route_table_new(&table, &with_default), STATUS_OK);
    assert_true(route_table_match(table, SLICE("elsewhere.test"), SLICE("/"), &match));
    assert_int_equal(match.backend, DEFAULT);
    assert_null(match.route);
    assert_true(route_table_match(table, SLICE("chat.example.com"), SLICE("/"), &match));
    assert_int_equal(match.backend, 1);
    route_table_free(table);
}

static void an_empty_table_has_no_route(void **state)
{
    (void)state;
    struct config_listener empty = {0};
    struct route_table *table = NULL;
    struct route_match match;
    assert_int_equal(route_table_new(&table, &empty), STATUS_OK);
    assert_false(route_table_match(table, SLICE("a.test"), SLICE("/"), &match));
    route_table_free(table);
    route_table_free(NULL);
}

static void a_host_beyond_any_name_is_only_any_host(void **state)
{
    (void)state;
    char host[4096];
    for (size_t i = 0; i < sizeof(host); i++) {
        host[i] = i % 2 == 0 ? 'a' : '.';
    }
    struct route_table *table = NULL;
    struct route_match match;
    assert_int_equal(route_table_new(&table, &listener), STATUS_OK);
    assert_false(route_table_match(table, (slice){host, sizeof(host)}, SLICE("/"), &match));
    assert_true(route_table_match(table, (slice){host, sizeof(host)}, SLICE("/health"), &match));
    route_table_free(table);
}

static void finds_every_one_of_many_hosts(void **state)
{
    (void)state;
    enum { MANY = 500 };
    static char names[MANY][32];
    static struct config_route many[MANY];
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "host-%zu.example.test", i * 7919 % MANY);
        many[i] = (struct config_route){
            .host_kind = CONFIG_HOST_EXACT, .host = names[i], .path = "/", .backend = i};
    }
    struct config_listener large = {.routes = many, .route_count = MANY};
    struct route_table *table = NULL;
    assert_int_equal(route_table_new(&table, &large), STATUS_OK);
    for (size_t i = 0; i < MANY; i++) {
        struct route_match match;
        assert_true(route_table_match(table, slice_of(names[i]), SLICE("/x"), &match));
        assert_int_equal(match.backend, i);
    }
    route_table_free(table);
}

static void finds_by_message(void **state)
{
    (void)state;
    static const struct {
        const char *authority;
        const char *path;
        enum fault_code fault;
        size_t backend;
    } messages[] = {
        {"chat.example.com:8443", "/api/v4/users", FAULT_NONE, 3},
        {"[::1]:8443", "/", FAULT_NONE, 7},
        {"chat.example.com", "/x/../api", FAULT_NONE, 2},
        {"chat.example.com", "/%61pi/x", FAULT_NONE, 2},
        {"chat.example.com", "/%61pi%2fx", FAULT_NONE, 1},
        {"chat.example.com", "/../x", FAULT_URI_MALFORMED, 0},
        {"chat.example.com", "*", FAULT_NONE, 1},
        {"", "/health", FAULT_NONE, 0},
        {"", "/", FAULT_NO_ROUTE, 0},
        {"a b", "/", FAULT_HOST_MALFORMED, 0},
    };
    struct kit kit;
    struct route_table *table = NULL;
    kit_init(&kit);
    assert_int_equal(route_table_new(&table, &listener), STATUS_OK);
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct message request = {.authority = slice_of(messages[i].authority),
                                  .path = slice_of(messages[i].path)};
        struct route_match match;
        enum fault_code fault = route_table_find(table, &request, &kit.arena, &match);
        if (fault != messages[i].fault ||
            (fault == FAULT_NONE && match.backend != messages[i].backend)) {
            fail_msg("%s%s: %s", messages[i].authority, messages[i].path, fault_name(fault));
        }
    }
    route_table_free(table);
    kit_fini(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_the_most_specific_route),
        cmocka_unit_test(answers_with_the_default_backend),
        cmocka_unit_test(an_empty_table_has_no_route),
        cmocka_unit_test(a_host_beyond_any_name_is_only_any_host),
        cmocka_unit_test(finds_every_one_of_many_hosts),
        cmocka_unit_test(finds_by_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
