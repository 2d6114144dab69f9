/* tests/unit/proxy/process/bind_address_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/bind_address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct config_address LOOPBACK = {.kind = CONFIG_ADDRESS_IP4, .ip = {127, 0, 0, 1}};

static void writes_addresses_as_a_configuration_does(void **state)
{
    (void)state;
    static const struct {
        struct config_address address;
        const char *text;
    } ROWS[] = {
        {{.kind = CONFIG_ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = 8443}, "127.0.0.1:8443"},
        {{.kind = CONFIG_ADDRESS_IP4, .port = 65535}, "0.0.0.0:65535"},
        {{.kind = CONFIG_ADDRESS_IP6, .port = 443}, "[::]:443"},
        {{.kind = CONFIG_ADDRESS_IP6, .ip = {0x20, 1, [15] = 7}, .port = 1}, "[2001::7]:1"},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        char text[64];
        const struct bind_address at = bind_address_of(&ROWS[i].address);
        bind_address_format(&at, text, sizeof(text));
        assert_string_equal(text, ROWS[i].text);
    }
}

static void a_probe_finds_a_port_and_who_has_it(void **state)
{
    (void)state;
    struct bind_address at = bind_address_of(&LOOPBACK);
    assert_int_equal(bind_address_probe(&at), STATUS_OK);
    assert_int_not_equal(at.ip4.sin_port, 0);
    int first = bind_address_listen(&at, 1000);
    assert_true(first >= 0);
    assert_int_equal(bind_address_probe(&at), STATUS_SYS);
    assert_int_equal(errno, EADDRINUSE);
    int second = bind_address_listen(&at, 1000);
    assert_true(second >= 0);
    (void)close(first);
    (void)close(second);
    assert_int_equal(bind_address_probe(&at), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_addresses_as_a_configuration_does),
        cmocka_unit_test(a_probe_finds_a_port_and_who_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
