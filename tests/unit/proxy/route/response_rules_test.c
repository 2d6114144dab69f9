/* tests/unit/proxy/route/response_rules_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/response_rules.h"

#include "proxy/route/kit.h"

static const struct config_listener listener = {.hsts_ms = UINT64_C(31536000) * 1000};

static const struct response_facts tls_facts = {
    .is_tls = true,
    .client_authority = SLICE("chat.example.com"),
    .secure_cookies = true,
    .date = SLICE("Sun, 06 Nov 1994 08:49:37 GMT"),
};

static void apply(struct kit *kit, const struct response_rules *rules,
                  const struct response_facts *facts)
{
    assert_int_equal(response_rules_apply(rules, facts, &kit->message, &kit->arena), STATUS_OK);
}

static void hsts_goes_where_it_must_and_nowhere_else(void **state)
{
    (void)state;
    static const struct {
        const char *claim;
        bool is_tls;
        const char *authority;
        unsigned status;
        const char *backends;
        const char *expected;
    } cases[] = {
        {"on success", true, "chat.test", 200, NULL, "max-age=31536000"},
        {"on an error", true, "chat.test", 502, NULL, "max-age=31536000"},
        {"on a redirect", true, "chat.test", 302, NULL, "max-age=31536000"},
        {"on an upgrade", true, "chat.test", 101, NULL, "max-age=31536000"},
        {"without a host", true, "", 400, NULL, "max-age=31536000"},
        {"on an odd port", true, "chat.test:8443", 200, NULL, "max-age=31536000"},
        {"not over plaintext", false, "chat.test", 200, NULL, NULL},
        {"not for localhost", true, "localhost:8443", 200, NULL, NULL},
        {"not for loopback", true, "127.0.0.1", 200, NULL, NULL},
        {"the backend's wins", true, "chat.test", 200, "max-age=5", "max-age=5"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit kit;
        struct response_rules rules;
        struct response_facts facts = tls_facts;
        kit_init(&kit);
        response_rules_init(&rules, &listener);
        facts.is_tls = cases[i].is_tls;
        facts.client_authority = slice_of(cases[i].authority);
        kit.message.status = cases[i].status;
        if (cases[i].backends != NULL) {
            kit_add(&kit, "strict-transport-security", cases[i].backends);
            kit_add(&kit, "strict-transport-security", "max-age=6");
        }
        apply(&kit, &rules, &facts);
        kit_expect(&kit, "strict-transport-security", cases[i].expected);
        kit_fini(&kit);
    }
}

static void hsts_can_be_off_or_wide(void **state)
{
    (void)state;
    struct config_listener changed = listener;
    struct response_rules rules;
    struct kit kit;
    kit_init(&kit);
    changed.hsts_ms = 0;
    response_rules_init(&rules, &changed);
    apply(&kit, &rules, &tls_facts);
    kit_expect(&kit, "strict-transport-security", NULL);
    changed.hsts_ms = 1000;
    changed.hsts_subdomains = true;
    response_rules_init(&rules, &changed);
    apply(&kit, &rules, &tls_facts);
    kit_expect(&kit, "strict-transport-security", "max-age=1; includeSubDomains");
    kit_fini(&kit);
}

static void every_cookie_becomes_secure(void **state)
{
    (void)state;
    struct kit kit;
    struct response_rules rules = {0};
    kit_init(&kit);
    kit_add(&kit, "set-cookie", "a=1");
    kit_add(&kit, "set-cookie", "b=2; Secure");
    kit_add(&kit, "set-cookie", "");
    apply(&kit, &rules, &tls_facts);
    kit_expect_slice(kit.message.fields.at[0].value, "a=1; Secure");
    kit_expect_slice(kit.message.fields.at[1].value, "b=2; Secure");
    kit_fini(&kit);
}

static void cookies_stay_over_plaintext_and_by_option(void **state)
{
    (void)state;
    struct response_rules rules = {0};
    for (int i = 0; i < 2; i++) {
        struct kit kit;
        struct response_facts facts = tls_facts;
        kit_init(&kit);
        facts.is_tls = i == 0;
        facts.secure_cookies = i == 1;
        kit_add(&kit, "set-cookie", "a=1");
        apply(&kit, &rules, &facts);
        kit_expect(&kit, "set-cookie", "a=1");
        kit_fini(&kit);
    }
}

static void redirects_to_our_own_name_go_to_https(void **state)
{
    (void)state;
    struct response_rules rules = {0};
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        struct kit kit;
        struct response_facts facts = tls_facts;
        kit_init(&kit);
        facts.is_tls = is_tls != 0;
        kit.message.status = 302;
        kit_add(&kit, "location", "http://chat.example.com/login");
        apply(&kit, &rules, &facts);
        kit_expect(&kit, "location",
                   is_tls ? "https://chat.example.com/login" : "http://chat.example.com/login");
        kit_fini(&kit);
    }
}

static void date_is_added_once_and_not_to_interim_responses(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *backends;
        const char *expected;
    } cases[] = {
        {200, NULL, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {200, "Mon, 07 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT"},
        {101, NULL, NULL},
    };
    struct response_rules rules = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit kit;
        kit_init(&kit);
        kit.message.status = cases[i].status;
        if (cases[i].backends != NULL) {
            kit_add(&kit, "date", cases[i].backends);
        }
        apply(&kit, &rules, &tls_facts);
        kit_expect(&kit, "date", cases[i].expected);
        kit_fini(&kit);
    }
}

static void server_passes_or_goes(void **state)
{
    (void)state;
    for (int removes = 0; removes < 2; removes++) {
        struct kit kit;
        struct response_rules rules = {.removes_server = removes != 0};
        kit_init(&kit);
        kit_add(&kit, "server", "gunicorn");
        kit_add(&kit, "content-type", "text/plain");
        apply(&kit, &rules, &tls_facts);
        kit_expect(&kit, "server", removes ? NULL : "gunicorn");
        kit_expect(&kit, "content-type", "text/plain");
        kit_fini(&kit);
    }
}

static void reports_a_full_arena_at_every_point(void **state)
{
    (void)state;
    struct response_rules rules;
    struct config_listener strict = listener;
    strict.security_headers = CONFIG_SECURITY_HEADERS_STRICT;
    response_rules_init(&rules, &strict);
    bool has_succeeded = false;
    for (size_t limit = 0; limit <= 4096; limit += 16) {
        struct kit kit;
        kit_init(&kit);
        kit.message.status = 302;
        for (int i = 0; i < 31; i++) {
            kit_add(&kit, "set-cookie", "a=1");
        }
        kit_add(&kit, "location", "http://chat.example.com/");
        kit.arena.limit_bytes = kit.arena.taken_bytes + limit;
        enum status status = response_rules_apply(&rules, &tls_facts, &kit.message, &kit.arena);
        assert_true(status == STATUS_NOMEM || status == STATUS_OK);
        has_succeeded = status == STATUS_OK;
        kit_fini(&kit);
    }
    assert_true(has_succeeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hsts_goes_where_it_must_and_nowhere_else),
        cmocka_unit_test(hsts_can_be_off_or_wide),
        cmocka_unit_test(every_cookie_becomes_secure),
        cmocka_unit_test(cookies_stay_over_plaintext_and_by_option),
        cmocka_unit_test(redirects_to_our_own_name_go_to_https),
        cmocka_unit_test(date_is_added_once_and_not_to_interim_responses),
        cmocka_unit_test(server_passes_or_goes),
        cmocka_unit_test(reports_a_full_arena_at_every_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
