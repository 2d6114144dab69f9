/* tests/unit/config/address_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/address.h"

#include "config/check.h"
#include "config/memory.h"
#include "config/value.h"

static void knows_what_stays_on_the_machine(void **state)
{
    static const struct {
        const char *address;
        bool loopback;
    } ROWS[] = {
        {"127.0.0.1:1", true},
        {"127.255.0.9:1", true},
        {"128.0.0.1:1", false},
        {"0.0.0.0:1", false},
        {"[::1]:1", true},
        {"[::]:1", false},
        {"[::ffff:127.0.0.1]:1", true},
        {"[::ffff:10.0.0.1]:1", false},
        {"unix:/x", true},
        {"[::2]:1", false},
        {"[1::1]:1", false},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_address address;
        assert_null(value_address(memory, ROWS[i].address, &address));
        assert_int_equal(address_is_loopback(&address), ROWS[i].loopback);
    }
    memory_free(memory);
}

static void knows_which_servers_stay_on_the_machine(void **state)
{
    static const struct {
        const char *url;
        bool loopback;
    } ROWS[] = {
        {"http://127.0.0.1:1", true},
        {"http://[::1]:1", true},
        {"http://localhost", true},
        {"http://LOCALHOST", true},
        {"unix:/run/x", true},
        {"http://app", false},
        {"http://127.example.com", false},
        {"http://localhost.example.com", false},
        {"http://app.localhost", false},
        {"http://10.0.0.1", false},
        {"http://[::ffff:127.0.0.1]", true},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_server server;
        assert_null(value_server(memory, ROWS[i].url, &server));
        assert_int_equal(server_is_loopback(&server), ROWS[i].loopback);
    }
    memory_free(memory);
}

static void knows_which_addresses_clash(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool clash;
    } ROWS[] = {
        {"[::]:443", "[::]:443", true},
        {"[::]:443", "[::]:444", false},
        {"[::]:443", "0.0.0.0:443", true},
        {"[::]:443", "10.0.0.1:443", true},
        {"[::]:443", "[::1]:443", true},
        {"0.0.0.0:443", "10.0.0.1:443", true},
        {"0.0.0.0:443", "[::1]:443", false},
        {"10.0.0.1:443", "10.0.0.2:443", false},
        {"[::ffff:10.0.0.1]:443", "10.0.0.1:443", true},
        {"127.0.0.1:0", "127.0.0.1:0", false},
        {"unix:/a", "unix:/a", true},
        {"unix:/a", "unix:/b", false},
        {"unix:/a", "[::]:443", false},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_address a;
        struct config_address b;
        assert_null(value_address(memory, ROWS[i].a, &a));
        assert_null(value_address(memory, ROWS[i].b, &b));
        assert_int_equal(address_clashes(&a, &b), ROWS[i].clash);
        assert_int_equal(address_clashes(&b, &a), ROWS[i].clash);
    }
    memory_free(memory);
}

static void a_network_contains_what_shares_its_prefix(void **state)
{
    static const struct {
        const char *network;
        const char *ip;
        bool inside;
    } ROWS[] = {
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"192.0.2.128/25", "192.0.2.129", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"0.0.0.0/0", "1.2.3.4", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "1.2.3.4", true},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_network network;
        struct config_network single;
        assert_null(value_network(memory, ROWS[i].network, &network));
        assert_null(value_network(memory, ROWS[i].ip, &single));
        assert_int_equal(network_contains(&network, single.ip), ROWS[i].inside);
    }
    memory_free(memory);
}

static void the_same_place_is_the_same_however_it_is_written(void **state)
{
    static const struct {
        const char *left;
        const char *right;
        bool is_same;
    } ROWS[] = {
        {"127.0.0.1:1", "127.0.0.1:1", true},  {"127.0.0.1:1", "127.0.0.1:2", false},
        {"127.0.0.1:1", "127.0.0.2:1", false}, {"[::1]:1", "[0:0::1]:1", true},
        {"[::]:1", "0.0.0.0:1", false},        {"unix:/a", "unix:/a", true},
        {"unix:/a", "unix:/b", false},         {"unix:/a", "127.0.0.1:1", false},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_address left;
        struct config_address right;
        assert_null(value_address(memory, ROWS[i].left, &left));
        assert_null(value_address(memory, ROWS[i].right, &right));
        assert_int_equal(address_is_same(&left, &right), ROWS[i].is_same);
    }
    memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_stays_on_the_machine),
        cmocka_unit_test(knows_which_servers_stay_on_the_machine),
        cmocka_unit_test(knows_which_addresses_clash),
        cmocka_unit_test(a_network_contains_what_shares_its_prefix),
        cmocka_unit_test(the_same_place_is_the_same_however_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
