/* tests/unit/proxy/gossip/endpoint_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/un.h>

#include <cmocka.h>

static const struct {
    const char *ip;
    uint16_t port;
    const char *text;
} SHOWN[] = {
    {"10.0.0.6", 7946, "10.0.0.6:7946"},
    {"0.0.0.0", 0, "0.0.0.0:0"},
    {"255.255.255.255", 65535, "255.255.255.255:65535"},
    {"fd00::6", 7946, "[fd00::6]:7946"},
    {"::", 0, "[::]:0"},
    {"::1", 1, "[::1]:1"},
    {"fd00:1111:2222:3333:4444:5555:6666:7777", 65535,
     "[fd00:1111:2222:3333:4444:5555:6666:7777]:65535"},
    {"::ffff:10.0.0.6", 7946, "10.0.0.6:7946"}, /* mapped: one and the same address */
    {"::fffe:a00:6", 1, "[::fffe:a00:6]:1"},
};

static struct endpoint read_endpoint(const char *ip, uint16_t port)
{
    uint8_t bytes[16];
    struct endpoint endpoint;
    bool is_ip6 = strchr(ip, ':') != NULL;
    assert_int_equal(inet_pton(is_ip6 ? AF_INET6 : AF_INET, ip, bytes), 1);
    assert_true(endpoint_from_ip(&endpoint, bytes, is_ip6 ? 16 : 4, port));
    return endpoint;
}

static void is_shown_as_people_write_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SHOWN) / sizeof(SHOWN[0]); i++) {
        char text[ENDPOINT_TEXT_BYTES];
        struct endpoint endpoint = read_endpoint(SHOWN[i].ip, SHOWN[i].port);
        endpoint_format(&endpoint, text);
        assert_string_equal(text, SHOWN[i].text);
    }
}

static void outlives_the_way_through_a_socket_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(SHOWN) / sizeof(SHOWN[0]); i++) {
        struct sockaddr_storage address;
        struct endpoint back;
        struct endpoint endpoint = read_endpoint(SHOWN[i].ip, SHOWN[i].port);
        socklen_t len = endpoint_to_sockaddr(&endpoint, &address);
        bool is_ip4 = endpoint_is_ip4(&endpoint);
        assert_int_equal(address.ss_family, is_ip4 ? AF_INET : AF_INET6);
        assert_int_equal(len, is_ip4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        assert_true(endpoint_from_sockaddr(&back, (const struct sockaddr *)&address));
        assert_true(endpoint_equal(&endpoint, &back));
    }
}

static void another_family_or_length_is_none(void **state)
{
    (void)state;
    static const struct endpoint NONE;
    const struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
    struct endpoint endpoint = read_endpoint("10.0.0.6", 1);
    assert_false(endpoint_from_sockaddr(&endpoint, (const struct sockaddr *)&local));
    assert_true(endpoint_equal(&endpoint, &NONE));
    for (size_t len = 0; len < 16; len++) {
        assert_int_equal(endpoint_from_ip(&endpoint, "0123456789abcdef", len, 1), len == 4);
    }
}

static void the_port_makes_another_endpoint_of_the_same_ip(void **state)
{
    (void)state;
    struct endpoint one = read_endpoint("10.0.0.6", 1);
    struct endpoint other = read_endpoint("10.0.0.6", 2);
    struct endpoint third = read_endpoint("::a00:6", 1);
    assert_false(endpoint_equal(&one, &other));
    assert_true(endpoint_same_ip(&one, &other));
    assert_false(endpoint_same_ip(&one, &third));
}

static void comes_from_an_address_of_the_configuration(void **state)
{
    (void)state;
    struct config_address ip4 = {.kind = CONFIG_ADDRESS_IP4, .port = 7946};
    struct config_address ip6 = {.kind = CONFIG_ADDRESS_IP6, .port = 7947};
    struct endpoint endpoint;
    assert_int_equal(inet_pton(AF_INET, "10.0.0.6", ip4.ip), 1);
    assert_int_equal(inet_pton(AF_INET6, "fd00::6", ip6.ip), 1);
    struct endpoint expected = read_endpoint("10.0.0.6", 7946);
    endpoint_from_config(&endpoint, &ip4);
    assert_true(endpoint_equal(&endpoint, &expected));
    expected = read_endpoint("fd00::6", 7947);
    endpoint_from_config(&endpoint, &ip6);
    assert_true(endpoint_equal(&endpoint, &expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_shown_as_people_write_it),
        cmocka_unit_test(outlives_the_way_through_a_socket_address),
        cmocka_unit_test(another_family_or_length_is_none),
        cmocka_unit_test(the_port_makes_another_endpoint_of_the_same_ip),
        cmocka_unit_test(comes_from_an_address_of_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
