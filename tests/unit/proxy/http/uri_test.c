/* tests/unit/proxy/http/uri_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct authority_row {
    const char *text;
    const char *host; /* NULL: refused */
    uint16_t port;
};

static const struct authority_row authorities[] = {
    {"a", "a", 0},
    {"chat.example.com", "chat.example.com", 0},
    {"chat.example.com.", "chat.example.com", 0},
    {"chat.example.com.:80", "chat.example.com", 80},
    {"A_b-c.1:65535", "A_b-c.1", 65535},
    {"127.0.0.1:1", "127.0.0.1", 1},
    {"[::1]", "::1", 0},
    {"[2001:db8::1]:443", "2001:db8::1", 443},
    {"[::ffff:10.0.0.1]", "::ffff:10.0.0.1", 0},
    {"", NULL, 0},
    {":80", NULL, 0},
    {".", NULL, 0},
    {".a", NULL, 0},
    {"a..", NULL, 0},
    {"a..b", NULL, 0},
    {"a:", NULL, 0},
    {"a:0", NULL, 0},
    {"a:080", NULL, 0},
    {"a:65536", NULL, 0},
    {"a:100000", NULL, 0},
    {"a:8o", NULL, 0},
    {"a:-1", NULL, 0},
    {"a: 1", NULL, 0},
    {"a:1:2", NULL, 0},
    {"a b", NULL, 0},
    {"a/b", NULL, 0},
    {"a?b", NULL, 0},
    {"a#b", NULL, 0},
    {"a@b", NULL, 0},
    {"a,b", NULL, 0},
    {"a;b", NULL, 0},
    {"a=b", NULL, 0},
    {"a\"b", NULL, 0},
    {"a'b", NULL, 0},
    {"a%41", NULL, 0},
    {"a\\b", NULL, 0},
    {"a<b>", NULL, 0},
    {"*", NULL, 0},
    {"[", NULL, 0},
    {"[]", NULL, 0},
    {"[::1", NULL, 0},
    {"[::1]80", NULL, 0},
    {"[::1]:", NULL, 0},
    {"[:::]", NULL, 0},
    {"[1.2.3.4]", NULL, 0},
    {"[v1.a]", NULL, 0},
    {"[fe80::1%25e]", NULL, 0},
    {"[0000:0000:0000:0000:0000:0000:0000:0000:0000]", NULL, 0},
    {"::1", NULL, 0},
    {"\xc3\xa9", NULL, 0},
};

static void authorities_are_hosts_with_ports(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(authorities) / sizeof(authorities[0]); i++) {
        const struct authority_row *row = &authorities[i];
        struct authority authority;
        bool is_valid = authority_parse(slice_of(row->text), &authority);
        if (is_valid != (row->host != NULL) ||
            (is_valid && (!slice_equal(authority.host, slice_of(row->host)) ||
                          authority.port != row->port || authority.has_port != (row->port > 0) ||
                          authority.is_ipv6 != (row->text[0] == '[')))) {
            fail_msg("%s", row->text);
        }
    }
}

static void hosts_have_an_end(void **state)
{
    (void)state;
    char host[300];
    struct authority authority;
    memset(host, 'a', sizeof(host));
    assert_true(authority_parse((slice){host, 255}, &authority));
    assert_false(authority_parse((slice){host, 256}, &authority));
}

/* Which bytes a path and a query may have, one by one. */
static void every_other_byte_is_refused(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char path[] = {'/', (char)byte};
        char query[] = {'/', '?', (char)byte};
        struct message message = {.method = METHOD_GET, .scheme = SLICE("https")};
        bool is_visible = byte > ' ' && byte < 0x7f;
        bool in_query = is_visible && strchr("\"<>#", (int)byte) == NULL;
        bool in_path = in_query && byte != '%' && byte != '\\';
        assert_int_equal(uri_parse_path((slice){path, 2}, &message),
                         in_path ? FAULT_NONE : FAULT_URI_MALFORMED);
        assert_int_equal(uri_parse_path((slice){query, 3}, &message),
                         in_query ? FAULT_NONE : FAULT_URI_MALFORMED);
    }
}

struct path_row {
    const char *path;
    const char *normal; /* NULL: refused */
};

static const struct path_row paths[] = {
    {"/", "/"},
    {"*", "*"},
    {"/a/b", "/a/b"},
    {"//a//b/", "//a//b/"},
    {"/%41%7e%2D%5f%2e", "/A~-_."},
    {"/a%2fb", "/a%2fb"},
    {"/a%25%32%66", "/a%252f"},
    {"/a/./b", "/a/b"},
    {"/a/../b", "/b"},
    {"/a/b/..", "/a/"},
    {"/a/b/.", "/a/b/"},
    {"/a/b/../..", "/"},
    {"/a/..", "/"},
    {"/.", "/"},
    {"/...", "/..."},
    {"/.a/..b", "/.a/..b"},
    {"/a/%2e%2E/b", "/b"},
    {"/a//../b", "/a/b"},
    {"/..", NULL},
    {"/../a", NULL},
    {"/a/../../b", NULL},
    {"/%2e%2e/b", NULL},
    {"/a%00b", NULL},
    {"", NULL},
    {"a", NULL},
};

static void paths_are_normal_for_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        slice path = slice_of(paths[i].path);
        char *out = malloc(path.len > 0 ? path.len : 1);
        size_t len = 0;
        assert_non_null(out);
        bool is_valid = uri_normalise_path(path, out, &len);
        if (is_valid != (paths[i].normal != NULL) ||
            (is_valid && !slice_equal((slice){out, len}, slice_of(paths[i].normal)))) {
            fail_msg("%s: %.*s", paths[i].path, (int)len, out);
        }
        free(out);
    }
}

static void a_normal_path_stays_as_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char out[64];
        size_t len = 0;
        if (paths[i].normal != NULL && strchr(paths[i].normal, '%') == NULL) {
            slice normal = slice_of(paths[i].normal);
            assert_true(uri_normalise_path(normal, out, &len));
            assert_true(slice_equal((slice){out, len}, normal));
        }
    }
}

static void connect_takes_an_authority_with_its_port(void **state)
{
    (void)state;
    struct message message = {.method = METHOD_CONNECT, .scheme = SLICE("https")};
    assert_int_equal(uri_parse_target(SLICE("a:443"), &message), FAULT_NONE);
    assert_true(slice_equal(message.authority, SLICE("a:443")));
    assert_int_equal(uri_parse_target(SLICE("a"), &message), FAULT_H1_TARGET);
    assert_int_equal(uri_parse_target(SLICE("/"), &message), FAULT_H1_TARGET);
    assert_int_equal(uri_parse_target(SLICE(""), &message), FAULT_H1_TARGET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authorities_are_hosts_with_ports),
        cmocka_unit_test(hosts_have_an_end),
        cmocka_unit_test(every_other_byte_is_refused),
        cmocka_unit_test(paths_are_normal_for_routes),
        cmocka_unit_test(a_normal_path_stays_as_it_is),
        cmocka_unit_test(connect_takes_an_authority_with_its_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
