/* tests/unit/proxy/route/forwarded_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/forwarded.h"

#include "proxy/route/kit.h"

static void joins_fields_in_order(void **state)
{
    (void)state;
    struct kit kit;
    kit_init(&kit);
    kit_expect_slice(forwarded_join(&kit.message.fields, FIELD_X_FORWARDED_FOR, &kit.arena), "");
    kit_add(&kit, "x-forwarded-for", "192.0.2.1");
    kit_expect_slice(forwarded_join(&kit.message.fields, FIELD_X_FORWARDED_FOR, &kit.arena),
                     "192.0.2.1");
    kit_add(&kit, "accept", "*/*");
    kit_add(&kit, "x-forwarded-for", "");
    kit_add(&kit, "x-forwarded-for", "192.0.2.2, 192.0.2.3");
    kit_expect_slice(forwarded_join(&kit.message.fields, FIELD_X_FORWARDED_FOR, &kit.arena),
                     "192.0.2.1, 192.0.2.2, 192.0.2.3");
    kit_fini(&kit);
}

static void quotes_what_is_no_token(void **state)
{
    (void)state;
    static const struct {
        const char *client;
        const char *host;
        const char *element;
    } cases[] = {
        {"192.0.2.1", "example.com", "for=192.0.2.1;host=example.com;proto=https"},
        {"192.0.2.1", "example.com:8443", "for=192.0.2.1;host=\"example.com:8443\";proto=https"},
        {"2001:db8::1", "[::1]:8443", "for=\"[2001:db8::1]\";host=\"[::1]:8443\";proto=https"},
        {"", "", "for=unknown;proto=https"},
        {"192.0.2.1", "a\"b", "for=192.0.2.1;proto=https"},
    };
    struct kit kit;
    kit_init(&kit);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kit_expect_slice(forwarded_element(slice_of(cases[i].client), slice_of(cases[i].host),
                                           SLICE("https"), &kit.arena),
                         cases[i].element);
    }
    kit_fini(&kit);
}

static void the_client_is_the_last_one_we_do_not_trust(void **state)
{
    (void)state;
    struct config_network trusted[2] = {{.prefix_bits = 96 + 8}, {.prefix_bits = 32}};
    memcpy(trusted[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a", 13);
    memcpy(trusted[1].ip, "\x20\x01\x0d\xb8", 4);
    static const struct {
        const char *list;
        const char *client;
    } cases[] = {
        {"", "10.0.0.1"},
        {"192.0.2.1", "192.0.2.1"},
        {"203.0.113.9, 192.0.2.1", "192.0.2.1"},
        {"203.0.113.9, 192.0.2.1, 10.0.0.7", "192.0.2.1"},
        {"192.0.2.1,2001:db8::7 ,\t10.0.0.7", "192.0.2.1"},
        {"10.0.0.8, 10.0.0.7", "10.0.0.8"},
        {"192.0.2.1:4711", "192.0.2.1"},
        {"[2a00::5]:4711, [2001:db8::7]", "2a00::5"},
        {"192.0.2.1, evil, 10.0.0.7", "10.0.0.7"},
        {"evil", "10.0.0.1"},
        {"192.0.2.1, ", "10.0.0.1"},
        {"[::1", "::1"},
        {",,,", "10.0.0.1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kit_expect_slice(forwarded_client(slice_of(cases[i].list), trusted, 2, SLICE("10.0.0.1")),
                         cases[i].client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_fields_in_order),
        cmocka_unit_test(quotes_what_is_no_token),
        cmocka_unit_test(the_client_is_the_last_one_we_do_not_trust),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
