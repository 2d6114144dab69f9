/* tests/unit/proxy/route/claims_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/claims.h"

#include "proxy/route/kit.h"

enum fate { GONE, TRUSTED_ONLY, STAYS };

static void each_field_has_its_fate(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum fate fate;
    } cases[] = {
        {"x-forwarded-for", GONE}, /* said anew */
        {"x-forwarded-proto", GONE},
        {"x-forwarded-host", GONE},
        {"x-forwarded-port", GONE},
        {"x-real-ip", GONE},
        {"forwarded", GONE},
        {"client-cert", GONE},
        {"client-cert-chain", GONE},
        {"sallyport-session", GONE},
        {"early-data", GONE},
        {"proxy", GONE},
        {"traceparent", GONE},
        {"x-request-id", GONE},
        {"x_forwarded_for", GONE},
        {"x-forwarded_for", GONE},
        {"x_forwarded-proto", GONE},
        {"x_real_ip", GONE},
        {"client_cert", GONE},
        {"sallyport_session", GONE},
        {"true_client_ip", GONE},
        {"content_length", GONE},
        {"transfer_encoding", GONE},
        {"x_forwarded_for_with_a_name_so_long_that_no_table_has_room_for_it_at_all", GONE},
        {"x-forwarded-ssl", TRUSTED_ONLY},
        {"x-forwarded-client-cert", TRUSTED_ONLY},
        {"x-forwarded-user", TRUSTED_ONLY},
        {"x-client-ip", TRUSTED_ONLY},
        {"x-cluster-client-ip", TRUSTED_ONLY},
        {"true-client-ip", TRUSTED_ONLY},
        {"front-end-https", TRUSTED_ONLY},
        {"x-url-scheme", TRUSTED_ONLY},
        {"x-forwarded", STAYS},
        {"x-forward", STAYS},
        {"accept", STAYS},
        {"cookie", STAYS},
        {"authorization", STAYS},
        {"tracestate", STAYS},
        {"my_own_field", STAYS},
        {"_", STAYS},
        {"x-csrf-token", STAYS},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int is_trusted = 0; is_trusted < 2; is_trusted++) {
            struct kit kit;
            struct claims claims = {0};
            kit_init(&kit);
            kit_add(&kit, "accept-language", "en");
            kit_add(&kit, cases[i].name, "value");
            kit_add(&kit, "accept-encoding", "br");
            assert_int_equal(claims_take(&kit.message.fields, is_trusted != 0, &kit.arena, &claims),
                             STATUS_OK);
            bool stays = cases[i].fate == STAYS || (cases[i].fate == TRUSTED_ONLY && is_trusted);
            if ((kit_value(&kit, cases[i].name) != NULL) != stays) {
                fail_msg("%s, trusted: %d", cases[i].name, is_trusted);
            }
            kit_expect(&kit, "accept-language", "en");
            kit_expect(&kit, "accept-encoding", "br");
            kit_fini(&kit);
        }
    }
}

static void believes_only_a_trusted_proxy(void **state)
{
    (void)state;
    for (int is_trusted = 0; is_trusted < 2; is_trusted++) {
        struct kit kit;
        struct claims claims = {0};
        kit_init(&kit);
        kit_add(&kit, "x-forwarded-for", "192.0.2.1");
        kit_add(&kit, "x-forwarded-for", "192.0.2.2");
        kit_add(&kit, "x-forwarded-proto", "https, http");
        kit_add(&kit, "x-forwarded-host", "one.test");
        kit_add(&kit, "x-forwarded-host", "two.test");
        kit_add(&kit, "x-forwarded-port", "8443");
        kit_add(&kit, "x-real-ip", "192.0.2.1");
        kit_add(&kit, "forwarded", "for=192.0.2.1");
        assert_int_equal(claims_take(&kit.message.fields, is_trusted != 0, &kit.arena, &claims),
                         STATUS_OK);
        kit_expect_slice(claims.forwarded_for, is_trusted ? "192.0.2.1, 192.0.2.2" : "");
        kit_expect_slice(claims.proto, is_trusted ? "https" : "");
        kit_expect_slice(claims.host, is_trusted ? "one.test" : "");
        kit_expect_slice(claims.port, is_trusted ? "8443" : "");
        kit_expect_slice(claims.real_ip, is_trusted ? "192.0.2.1" : "");
        kit_expect_slice(claims.forwarded, is_trusted ? "for=192.0.2.1" : "");
        kit_fini(&kit);
    }
}

static void an_id_must_be_harmless(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool taken;
    } cases[] = {{"9f0c-A_z.~+/=:@", true}, {"", false},   {"two words", false},
                 {"quo\"te", false},        {"{}", false}, {"semi;colon", false},
                 {"\xc3\xa9", false},       {"a,b", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit kit;
        struct claims claims = {0};
        kit_init(&kit);
        kit_add(&kit, "x-request-id", cases[i].value);
        assert_int_equal(claims_take(&kit.message.fields, false, &kit.arena, &claims), STATUS_OK);
        kit_expect_slice(claims.id, cases[i].taken ? cases[i].value : "");
        kit_fini(&kit);
    }
}

static void an_id_must_be_short(void **state)
{
    (void)state;
    char text[130];
    memset(text, 'a', sizeof(text));
    for (size_t len = 127; len < sizeof(text); len++) {
        struct kit kit;
        struct claims claims = {0};
        kit_init(&kit);
        assert_int_equal(
            fields_add(&kit.message.fields, &kit.arena, FIELD_X_REQUEST_ID, (slice){text, len}),
            STATUS_OK);
        assert_int_equal(claims_take(&kit.message.fields, false, &kit.arena, &claims), STATUS_OK);
        assert_int_equal(claims.id.len, len <= 128 ? len : 0);
        kit_fini(&kit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_has_its_fate),
        cmocka_unit_test(believes_only_a_trusted_proxy),
        cmocka_unit_test(an_id_must_be_harmless),
        cmocka_unit_test(an_id_must_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
