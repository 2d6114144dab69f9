/* tests/unit/config/value_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include "config/check.h"
#include "config/memory.h"

struct number_row {
    const char *text;
    uint64_t value;
    const char *wrong; /* NULL: well formed */
};

typedef const char *number_parser(const char *text, uint64_t *value);

static void check_numbers(number_parser *parse, const struct number_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 77;
        const char *wrong = parse(rows[i].text, &value);
        if (rows[i].wrong != NULL) {
            assert_non_null(wrong);
            assert_string_equal(wrong, rows[i].wrong);
            continue;
        }
        assert_null(wrong);
        assert_int_equal(value, rows[i].value);
    }
}

static void reads_durations(void **state)
{
    static const struct number_row ROWS[] = {
        {"0s", 0, NULL},
        {"500ms", 500, NULL},
        {"5s", 5000, NULL},
        {"1.5s", 1500, NULL},
        {"0.25h", 900000, NULL},
        {"10m", 600000, NULL},
        {"1h", 3600000, NULL},
        {"365d", 31536000000, NULL},
        {"5", 0, "has no unit"},
        {"5 s", 0, "has an unknown unit"},
        {"5S", 0, "has an unknown unit"},
        {"5sec", 0, "has an unknown unit"},
        {"5KiB", 0, "has an unknown unit"},
        {"-5s", 0, "is not a number with a unit"},
        {"s", 0, "is not a number with a unit"},
        {"", 0, "is not a number with a unit"},
        {".5s", 0, "is not a number with a unit"},
        {"5.s", 0, "is not a number with a unit"},
        {"5.1234s", 0, "has an unknown unit"},
        {"0.5ms", 0, "is finer than can be kept"},
        {"9999999999999999s", 0, "is not a number with a unit"},
        {"999999999999999d", 0, "is too large"},
    };
    (void)state;
    check_numbers(value_duration, ROWS, COUNT(ROWS));
}

static void reads_sizes(void **state)
{
    static const struct number_row ROWS[] = {
        {"512B", 512, NULL},
        {"64KiB", 65536, NULL},
        {"100MiB", 104857600, NULL},
        {"1GiB", 1073741824, NULL},
        {"0.5KiB", 512, NULL},
        {"64", 0, "has no unit"},
        {"64KB", 0, "has an unknown unit"},
        {"64k", 0, "has an unknown unit"},
        {"100M", 0, "has an unknown unit"},
        {"0.3B", 0, "is finer than can be kept"},
        {"999999999999999GiB", 0, "is too large"},
        {"0x10B", 0, "has an unknown unit"},
    };
    (void)state;
    check_numbers(value_size, ROWS, COUNT(ROWS));
}

static void reads_rates(void **state)
{
    static const struct number_row ROWS[] = {
        {"240B/s", 240, NULL},
        {"1KiB/s", 1024, NULL},
        {"240B", 0, "has no /s at its end"},
        {"/s", 0, "is not a number with a unit"},
        {"240/s", 0, "has no unit"},
        {"", 0, "has no /s at its end"},
        {"00000000000000000000000000000000000000000000000000000000000000001B/s", 0,
         "is not a number with a unit"},
    };
    (void)state;
    check_numbers(value_rate, ROWS, COUNT(ROWS));
}

static void reads_whole_numbers(void **state)
{
    static const struct number_row ROWS[] = {
        {"0", 0, NULL},
        {"16384", 16384, NULL},
        {"007", 7, NULL},
        {"", 0, "is not a whole number"},
        {"-1", 0, "is not a whole number"},
        {"+1", 0, "is not a whole number"},
        {"1e3", 0, "is not a whole number"},
        {"1_000", 0, "is not a whole number"},
        {"18446744073709551616", 0, "is not a whole number"},
    };
    (void)state;
    check_numbers(value_number, ROWS, COUNT(ROWS));
}

static void reads_yes_and_no(void **state)
{
    static const char *const YES[] = {"yes", "on", "true"};
    static const char *const NO[] = {"no", "off", "false"};
    static const char *const NEITHER[] = {"", "Yes", "TRUE", "1", "0", "y", "none"};
    bool flag = false;
    (void)state;
    for (size_t i = 0; i < COUNT(YES); i++) {
        assert_null(value_flag(YES[i], &flag));
        assert_true(flag);
        assert_null(value_flag(NO[i], &flag));
        assert_false(flag);
    }
    for (size_t i = 0; i < COUNT(NEITHER); i++) {
        assert_non_null(value_flag(NEITHER[i], &flag));
    }
}

static void reads_addresses(void **state)
{
    static const struct {
        const char *text;
        enum config_address_kind kind;
        uint16_t port;
        const char *wrong;
    } ROWS[] = {
        {"[::]:443", CONFIG_ADDRESS_IP6, 443, NULL},
        {"[::1]:0", CONFIG_ADDRESS_IP6, 0, NULL},
        {"127.0.0.1:5432", CONFIG_ADDRESS_IP4, 5432, NULL},
        {"0.0.0.0:65535", CONFIG_ADDRESS_IP4, 65535, NULL},
        {"unix:/run/x.sock", CONFIG_ADDRESS_UNIX, 0, NULL},
        {"unix:run/x.sock", 0, 0, "has a relative socket path"},
        {"unix:/"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         0, 0, "has a socket path of more than 107 characters"},
        {"127.0.0.1", 0, 0, "has no port"},
        {"[::1]", 0, 0, "has no port"},
        {":443", 0, 0, "has no usable host"},
        {"[]:443", 0, 0, "has no usable host"},
        {"::1:443", 0, 0, "is an IPv6 address without brackets"},
        {"[::1:443", 0, 0, "has no closing bracket"},
        {"127.0.0.1:65536", 0, 0, "has a port that is not a number up to 65535"},
        {"127.0.0.1:", 0, 0, "has a port that is not a number up to 65535"},
        {"127.0.0.1:80x", 0, 0, "has a port that is not a number up to 65535"},
        {"localhost:80", 0, 0, "is not an IP address"},
        {"127.1:80", 0, 0, "is not an IP address"},
        {"[127.0.0.1]:80", 0, 0, "is not an IPv6 address"},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_address address;
        const char *wrong = value_address(memory, ROWS[i].text, &address);
        if (ROWS[i].wrong != NULL) {
            assert_non_null(wrong);
            assert_string_equal(wrong, ROWS[i].wrong);
            continue;
        }
        assert_null(wrong);
        assert_int_equal(address.kind, ROWS[i].kind);
        assert_int_equal(address.port, ROWS[i].port);
        assert_string_equal(address.text, ROWS[i].text);
    }
    memory_free(memory);
}

static void reads_stand_ins(void **state)
{
    static const struct {
        const char *text;
        uint16_t port;
        const char *wrong;
    } ROWS[] = {
        {"127.77.0.2", 0, NULL},
        {"127.77.0.2:7946", 7946, NULL},
        {"127.0.0.2", 0, NULL},
        {"127.255.255.254:1", 1, NULL},
        {"127.0.0.1", 0, "cannot stand for a node"},
        {"127.0.0.0", 0, "cannot stand for a node"},
        {"127.255.255.255:1", 0, "cannot stand for a node"},
        {"10.0.0.2", 0, "is not a loopback address"},
        {"127.77.0.2:0", 0, "has port 0"},
        {"127.77.0.2:", 0, "has a port that is not a number up to 65535"},
        {"127.77.0.2:65536", 0, "has a port that is not a number up to 65535"},
        {"127.77.2", 0, "is not an IPv4 address"},
        {"[::1]:7946", 0, "is not an IPv4 address"},
        {"::1", 0, "is an IPv6 address without brackets"},
        {"localhost", 0, "is not an IPv4 address"},
        {"unix:/x", 0, "has a port that is not a number up to 65535"},
        {"1270000000000000000000000000000000000000000000000000000000000", 0,
         "is not an IPv4 address"},
        {"", 0, "is not an IPv4 address"},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_address address;
        const char *wrong = value_stand_in(memory, ROWS[i].text, &address);
        if (ROWS[i].wrong != NULL) {
            assert_non_null(wrong);
            assert_string_equal(wrong, ROWS[i].wrong);
            continue;
        }
        assert_null(wrong);
        assert_int_equal(address.kind, CONFIG_ADDRESS_IP4);
        assert_int_equal(address.ip[0], 127);
        assert_int_equal(address.port, ROWS[i].port);
        assert_string_equal(address.text, ROWS[i].text);
    }
    memory_free(memory);
}

static void reads_networks(void **state)
{
    static const struct {
        const char *text;
        unsigned bits;
        const char *wrong;
    } ROWS[] = {
        {"10.0.0.0/8", 104, NULL},
        {"192.0.2.7", 128, NULL},
        {"0.0.0.0/0", 96, NULL},
        {"2001:db8::/32", 32, NULL},
        {"::/0", 0, NULL},
        {"::1", 128, NULL},
        {"10.0.0.1/8", 0, "has bits set beyond its prefix"},
        {"10.0.0.0/33", 0, "has a prefix length that does not fit"},
        {"10.0.0.0/", 0, "has a prefix length that does not fit"},
        {"::/129", 0, "has a prefix length that does not fit"},
        {"10.0.0/8", 0, "is not an IP network"},
        {"example.com", 0, "is not an IP network"},
        {"", 0, "is not an IP network"},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_network network;
        const char *wrong = value_network(memory, ROWS[i].text, &network);
        if (ROWS[i].wrong != NULL) {
            assert_non_null(wrong);
            assert_string_equal(wrong, ROWS[i].wrong);
            continue;
        }
        assert_null(wrong);
        assert_int_equal(network.prefix_bits, ROWS[i].bits);
    }
    memory_free(memory);
}

static void reads_days_that_exist(void **state)
{
    static const struct {
        const char *text;
        config_day day;
    } ROWS[] = {
        {"2027-03-31", 20270331}, {"2028-02-29", 20280229}, {"2000-02-29", 20000229},
        {"2100-02-29", 0},        {"2027-02-29", 0},        {"2027-13-01", 0},
        {"2027-00-10", 0},        {"2027-01-00", 0},        {"2027-04-31", 0},
        {"27-03-31", 0},          {"2027/03/31", 0},        {"2027-3-31", 0},
        {"2027-03-31 ", 0},       {"tomorrow", 0},          {"", 0},
        {"0000-01-01", 0},        {"2027-03-3a", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        config_day day = 0;
        const char *wrong = value_day(ROWS[i].text, &day);
        assert_int_equal(wrong == NULL, ROWS[i].day != 0);
        assert_int_equal(day, ROWS[i].day);
    }
}

static void reads_pins(void **state)
{
    uint8_t sha256[32];
    (void)state;
    assert_null(value_pin("sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", sha256));
    assert_int_equal(sha256[0], 0xe3);
    assert_int_equal(sha256[31], 0x55);
    static const char *const WRONG[] = {
        "",
        "sha256/",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha1/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
        "sha256/47DEQpj8HBSa-_TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA",
    };
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        assert_non_null(value_pin(WRONG[i], sha256));
    }
}

static void reads_servers(void **state)
{
    static const struct {
        const char *text;
        enum config_scheme scheme;
        const char *host;
        uint16_t port;
        bool is_ip;
    } ROWS[] = {
        {"http://127.0.0.1:8065", CONFIG_SCHEME_HTTP, "127.0.0.1", 8065, true},
        {"https://mm2.internal:8065", CONFIG_SCHEME_HTTPS, "mm2.internal", 8065, false},
        {"http://APP", CONFIG_SCHEME_HTTP, "app", 80, false},
        {"https://app/", CONFIG_SCHEME_HTTPS, "app", 443, false},
        {"https://[2001:db8::1]", CONFIG_SCHEME_HTTPS, "2001:db8::1", 443, true},
        {"http://[::1]:8080/", CONFIG_SCHEME_HTTP, "::1", 8080, true},
        {"http://my_app:80", CONFIG_SCHEME_HTTP, "my_app", 80, false},
        {"h2://app", CONFIG_SCHEME_H2, "app", 443, false},
        {"h2://app:8443/", CONFIG_SCHEME_H2, "app", 8443, false},
        {"h2c://app", CONFIG_SCHEME_H2C, "app", 80, false},
        {"h2c://[::1]:8080", CONFIG_SCHEME_H2C, "::1", 8080, true},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_server server;
        assert_null(value_server(memory, ROWS[i].text, &server));
        assert_int_equal(server.scheme, ROWS[i].scheme);
        assert_string_equal(server.host, ROWS[i].host);
        assert_int_equal(server.port, ROWS[i].port);
        assert_int_equal(server.host_is_ip, ROWS[i].is_ip);
        assert_null(server.unix_path);
    }
    struct config_server server;
    assert_null(value_server(memory, "unix:/run/app.sock", &server));
    assert_string_equal(server.unix_path, "/run/app.sock");
    assert_null(server.host);
    memory_free(memory);
}

static void refuses_servers(void **state)
{
    static const struct {
        const char *text;
        const char *wrong;
    } ROWS[] = {
        {"", "has no scheme"},
        {"127.0.0.1:80", "has no scheme"},
        {"ftp://x", "has an unknown scheme"},
        {"HTTP://x", "has an unknown scheme"},
        {"h2", "has no scheme"},
        {"h2:x:443", "has no scheme"},
        {"h3://x", "has an unknown scheme"},
        {"h2cc://x", "has an unknown scheme"},
        {"H2://x", "has an unknown scheme"},
        {"h2://", "has no usable host"},
        {"h2://u:p@x", "holds a user name or password"},
        {"h2c://x/app", "has a path or a query, which routes decide"},
        {"udp://x:1", "has a scheme that is not available yet"},
        {"tls://x:1", "has a scheme that is not available yet"},
        {"tcp://x:1", "has a scheme that is not available yet"},
        {"http://", "has no usable host"},
        {"http://:80", "has no usable host"},
        {"http://x:0", "has port 0"},
        {"http://x:", "has a port that is not a number up to 65535"},
        {"http://x:70000", "has a port that is not a number up to 65535"},
        {"http://x/app", "has a path or a query, which routes decide"},
        {"http://x/?q", "has a path or a query, which routes decide"},
        {"http://x#f", "has a path or a query, which routes decide"},
        {"http://u:p@x", "holds a user name or password"},
        {"http://::1", "is an IPv6 address without brackets"},
        {"http://127.1", "has a host that is neither a name nor an IP address"},
        {"http://2130706433", "has a host that is neither a name nor an IP address"},
        {"http://a..b", "has a host that is neither a name nor an IP address"},
        {"http://a b", "has a host that is neither a name nor an IP address"},
        {"http://[example.com]", "has a host that is neither a name nor an IP address"},
        {"unix:run/app.sock", "has a relative socket path"},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config_server server;
        const char *wrong = value_server(memory, ROWS[i].text, &server);
        assert_non_null(wrong);
        assert_string_equal(wrong, ROWS[i].wrong);
    }
    memory_free(memory);
}

static void reads_route_hosts(void **state)
{
    static const struct {
        const char *text;
        enum config_host_kind kind;
        const char *host; /* NULL with ok: any */
        bool ok;
    } ROWS[] = {
        {"*", CONFIG_HOST_ANY, NULL, true},
        {"Chat.Example.COM", CONFIG_HOST_EXACT, "chat.example.com", true},
        {"*.example.com", CONFIG_HOST_WILDCARD, ".example.com", true},
        {"localhost", CONFIG_HOST_EXACT, "localhost", true},
        {"10.0.0.1", CONFIG_HOST_EXACT, "10.0.0.1", true},
        {"[2001:DB8:0::1]", CONFIG_HOST_EXACT, "[2001:db8::1]", true},
        {"", 0, NULL, false},
        {"**", 0, NULL, false},
        {"a.*.b", 0, NULL, false},
        {"*a.b", 0, NULL, false},
        {"*.", 0, NULL, false},
        {"a.b:443", 0, NULL, false},
        {"a/b", 0, NULL, false},
        {"-a.b", 0, NULL, false},
        {"a-.b", 0, NULL, false},
        {"a.b.", 0, NULL, false},
        {"10.0.1", 0, NULL, false},
        {"[::1", 0, NULL, false},
        {"[zz]", 0, NULL, false},
        {"b\xc3\xbc"
         "cher.example",
         0, NULL, false},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        enum config_host_kind kind = CONFIG_HOST_ANY;
        const char *host = NULL;
        const char *wrong = value_host(memory, ROWS[i].text, &kind, &host);
        assert_int_equal(wrong == NULL, ROWS[i].ok);
        if (wrong == NULL) {
            assert_int_equal(kind, ROWS[i].kind);
            assert_true((host == NULL) == (ROWS[i].host == NULL));
            assert_true(host == NULL || strcmp(host, ROWS[i].host) == 0);
        }
    }
    memory_free(memory);
}

static void reads_route_paths(void **state)
{
    static const char *const RIGHT[] = {"/",       "/app",     "/app/",
                                        "/a/b..c", "/%7Euser", "/a.b/.well-known"};
    static const char *const WRONG[] = {"",    "app",  "/a?b",  "/a#b",  "/a b", "/a/../b",
                                        "/..", "/a/.", "/\x01", "/a\\b", "/{x}", "/\xc3\xbc"};
    (void)state;
    struct memory *memory = memory_new();
    const char *path;
    for (size_t i = 0; i < COUNT(RIGHT); i++) {
        assert_null(value_path(memory, RIGHT[i], &path));
        assert_string_equal(path, RIGHT[i]);
    }
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        assert_non_null(value_path(memory, WRONG[i], &path));
    }
    memory_free(memory);
}

static void host_names_have_bounds(void **state)
{
    char name[300];
    (void)state;
    memset(name, 'a', sizeof(name));
    name[63] = '\0';
    assert_true(value_is_host_name(name));
    name[63] = 'a';
    name[64] = '\0';
    assert_false(value_is_host_name(name));
    memset(name, 'a', sizeof(name));
    for (size_t i = 50; i < 253; i += 51) {
        name[i] = '.';
    }
    name[253] = '\0';
    assert_true(value_is_host_name(name));
    name[253] = 'a';
    name[254] = '\0';
    assert_false(value_is_host_name(name));
}

static void names_are_plain(void **state)
{
    static const char *const WRONG[] = {"", "a b", "a/b", "a:b", "\xc3\xbc"};
    (void)state;
    struct memory *memory = memory_new();
    const char *name;
    assert_null(value_name(memory, "web-1_a.B", &name));
    assert_string_equal(name, "web-1_a.B");
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        assert_non_null(value_name(memory, WRONG[i], &name));
    }
    memory_free(memory);
}

static void prints_the_shortest_exact_unit(void **state)
{
    char text[32];
    (void)state;
    value_print_duration(0, text, sizeof(text));
    assert_string_equal(text, "0s");
    value_print_duration(1500, text, sizeof(text));
    assert_string_equal(text, "1500ms");
    value_print_duration(3600000, text, sizeof(text));
    assert_string_equal(text, "1h");
    value_print_size(65536, text, sizeof(text));
    assert_string_equal(text, "64KiB");
    value_print_size(513, text, sizeof(text));
    assert_string_equal(text, "513B");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_rates),
        cmocka_unit_test(reads_whole_numbers),
        cmocka_unit_test(reads_yes_and_no),
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(reads_stand_ins),
        cmocka_unit_test(reads_networks),
        cmocka_unit_test(reads_days_that_exist),
        cmocka_unit_test(reads_pins),
        cmocka_unit_test(reads_servers),
        cmocka_unit_test(refuses_servers),
        cmocka_unit_test(reads_route_hosts),
        cmocka_unit_test(reads_route_paths),
        cmocka_unit_test(host_names_have_bounds),
        cmocka_unit_test(names_are_plain),
        cmocka_unit_test(prints_the_shortest_exact_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
