/* tests/unit/proxy/route/security_headers_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/security_headers.h"

#include "proxy/route/kit.h"

static void each_preset_has_its_fields(void **state)
{
    (void)state;
    static const struct {
        enum config_security_headers preset;
        size_t count;
        const char *frame_options;
        const char *opener;
    } cases[] = {
        {CONFIG_SECURITY_HEADERS_OFF, 0, NULL, NULL},
        {CONFIG_SECURITY_HEADERS_BASIC, 3, "SAMEORIGIN", NULL},
        {CONFIG_SECURITY_HEADERS_STRICT, 6, "SAMEORIGIN", "same-origin-allow-popups"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit kit;
        kit_init(&kit);
        assert_int_equal(security_headers_add(cases[i].preset, &kit.message.fields, &kit.arena),
                         STATUS_OK);
        assert_int_equal(kit.message.fields.count, cases[i].count);
        kit_expect(&kit, "x-frame-options", cases[i].frame_options);
        kit_expect(&kit, "cross-origin-opener-policy", cases[i].opener);
        kit_fini(&kit);
    }
}

static void the_backends_own_value_wins(void **state)
{
    (void)state;
    struct kit kit;
    kit_init(&kit);
    kit_add(&kit, "x-frame-options", "DENY");
    assert_int_equal(
        security_headers_add(CONFIG_SECURITY_HEADERS_STRICT, &kit.message.fields, &kit.arena),
        STATUS_OK);
    kit_expect(&kit, "x-frame-options", "DENY");
    kit_expect(&kit, "x-content-type-options", "nosniff");
    assert_int_equal(kit.message.fields.count, 6);
    kit_fini(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_preset_has_its_fields),
        cmocka_unit_test(the_backends_own_value_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
