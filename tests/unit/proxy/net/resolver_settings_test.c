/* tests/unit/proxy/net/resolver_settings_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/resolver_settings.h"

#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_zone_is_the_number_of_its_interface(void **state)
{
    (void)state;
    struct sockaddr_storage address;
    assert_true(resolver_parse_address(SLICE("fe80::1%lo"), &address));
    assert_int_equal(address.ss_family, AF_INET6);
    assert_int_not_equal(if_nametoindex("lo"), 0);
    assert_int_equal(((struct sockaddr_in6 *)&address)->sin6_scope_id, if_nametoindex("lo"));
}

static void a_zone_that_is_no_interface_is_refused(void **state)
{
    (void)state;
    struct sockaddr_storage address;
    assert_false(resolver_parse_address(SLICE("fe80::1%none0"), &address));
    assert_false(resolver_parse_address(SLICE("fe80::1%"), &address));
    assert_false(resolver_parse_address(SLICE("fe80::1%a-name-that-no-interface-has"), &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zone_is_the_number_of_its_interface),
        cmocka_unit_test(a_zone_that_is_no_interface_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
