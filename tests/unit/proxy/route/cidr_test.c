/* tests/unit/proxy/route/cidr_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proxy/route/kit.h"

static struct config_network network(const char *ip, unsigned prefix_bits)
{
    struct config_network made = {.prefix_bits = prefix_bits};
    struct cidr_address address;
    assert_true(cidr_parse(slice_of(ip), &address));
    memcpy(made.ip, address.ip, sizeof(made.ip));
    if (strchr(ip, ':') == NULL) {
        made.prefix_bits += 96;
    }
    return made;
}

static void an_address_is_in_its_networks_only(void **state)
{
    (void)state;
    static const struct {
        const char *ip;
        unsigned bits;
        const char *address;
        bool has;
    } cases[] = {
        {"10.0.0.0", 8, "10.255.255.255", true},
        {"10.0.0.0", 8, "11.0.0.0", false},
        {"192.168.4.0", 23, "192.168.5.9", true},
        {"192.168.4.0", 23, "192.168.6.0", false},
        {"192.0.2.7", 32, "192.0.2.7", true},
        {"192.0.2.7", 32, "192.0.2.6", false},
        {"0.0.0.0", 0, "203.0.113.1", true},
        {"0.0.0.0", 0, "2001:db8::1", false},
        {"::", 0, "203.0.113.1", true},
        {"2001:db8::", 32, "2001:db8:ffff::1", true},
        {"2001:db8::", 33, "2001:db8:8000::1", false},
        {"::1", 128, "::1", true},
        {"::1", 128, "::2", false},
        {"10.0.0.0", 8, "::ffff:10.1.2.3", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_network made = network(cases[i].ip, cases[i].bits);
        struct cidr_address address;
        assert_true(cidr_parse(slice_of(cases[i].address), &address));
        if (cidr_has(&made, &address) != cases[i].has) {
            fail_msg("%s/%u %s", cases[i].ip, cases[i].bits, cases[i].address);
        }
    }
}

static void any_network_of_a_list_is_enough(void **state)
{
    (void)state;
    struct config_network list[] = {network("10.0.0.0", 8), network("2001:db8::", 32)};
    struct cidr_address address;
    assert_true(cidr_parse(SLICE("2001:db8::5"), &address));
    assert_true(cidr_any_has(list, 2, &address));
    assert_false(cidr_any_has(list, 1, &address));
    assert_false(cidr_any_has(NULL, 0, &address));
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    static const slice refused[] = {SLICE(""),           SLICE("localhost"),  SLICE("1.2.3"),
                                    SLICE("1.2.3.4:80"), SLICE("[::1]"),      SLICE("01.2.3.4"),
                                    SLICE("1.2.3.4\0x"), SLICE("fe80::1%lo"), SLICE(" 1.2.3.4")};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct cidr_address address;
        assert_false(cidr_parse(refused[i], &address));
    }
    char long_text[64];
    memset(long_text, '1', sizeof(long_text));
    struct cidr_address address;
    assert_false(cidr_parse((slice){long_text, sizeof(long_text)}, &address));
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {{"192.0.2.1", "192.0.2.1"},
                 {"::ffff:192.0.2.1", "192.0.2.1"},
                 {"2001:DB8:0::1", "2001:db8::1"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cidr_address address;
        char text[CIDR_TEXT_BYTES];
        assert_true(cidr_parse(slice_of(cases[i].in), &address));
        kit_expect_slice(cidr_write(&address, text), cases[i].out);
    }
}

static void takes_socket_addresses(void **state)
{
    (void)state;
    char text[CIDR_TEXT_BYTES];
    struct cidr_address address;
    struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
    assert_true(cidr_address_of((const struct sockaddr *)&ip4, &address));
    kit_expect_slice(cidr_write(&address, text), "192.0.2.1");
    struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    assert_true(cidr_address_of((const struct sockaddr *)&ip6, &address));
    assert_true(cidr_is_loopback(&address));
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    assert_false(cidr_address_of((const struct sockaddr *)&path, &address));
}

static void gives_socket_addresses_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"192.0.2.1", "2001:db8::1"};
    for (size_t i = 0; i < 2; i++) {
        struct cidr_address address;
        struct cidr_address again;
        struct sockaddr_storage made;
        assert_true(cidr_parse(slice_of(texts[i]), &address));
        cidr_address_to(&address, 4711, &made);
        assert_true(cidr_address_of((const struct sockaddr *)&made, &again));
        assert_memory_equal(&address, &again, sizeof(address));
        assert_int_equal(made.ss_family, i == 0 ? AF_INET : AF_INET6);
    }
}

static void knows_loopback(void **state)
{
    (void)state;
    struct cidr_address address;
    assert_true(cidr_parse(SLICE("127.9.9.9"), &address) && cidr_is_loopback(&address));
    assert_true(cidr_parse(SLICE("::ffff:127.0.0.1"), &address) && cidr_is_loopback(&address));
    assert_true(cidr_parse(SLICE("128.0.0.1"), &address) && !cidr_is_loopback(&address));
    assert_true(cidr_parse(SLICE("::2"), &address) && !cidr_is_loopback(&address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_in_its_networks_only),
        cmocka_unit_test(any_network_of_a_list_is_enough),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(takes_socket_addresses),
        cmocka_unit_test(gives_socket_addresses_back),
        cmocka_unit_test(knows_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
