/* tests/unit/proxy/net/proxy_protocol_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include <cmocka.h>

struct row {
    const char *claim;
    slice input;
    slice expected;
};

#define ROW(claim, input, expected)                                                                \
    {                                                                                              \
        claim, {input, sizeof(input) - 1},                                                         \
        {                                                                                          \
            expected, sizeof(expected) - 1                                                         \
        }                                                                                          \
    }
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_TCP4   SIGNATURE "\x21\x11"
#define TCP4      "\x0a\0\0\1\x0a\0\0\2\x04\xd2\x01\xbb" /* 10.0.0.1:1234 10.0.0.2:443 */
#define TCP4_TEXT "10.0.0.1:1234 10.0.0.2:443"
#define SIXTEEN   "0123456789abcdef"

/* clang-format off */
static const struct row rows[] = {
    ROW("v1 TCP4", "PROXY TCP4 10.0.0.1 10.0.0.2 1234 443\r\nrest", "v1 " TCP4_TEXT "|rest"),
    ROW("v1 TCP6", "PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", "v1 [2001:db8::1]:65535 [::1]:0|"),
    ROW("v1 UNKNOWN", "PROXY UNKNOWN\r\nrest", "v1 local|rest"),
    ROW("v1 UNKNOWN and anything", "PROXY UNKNOWN ffff::1 x 1 2 3\r\n", "v1 local|"),
    ROW("v1 of no length", "PROXY\r\n", "peer"),
    ROW("v1 lower case", "proxy TCP4 10.0.0.1 10.0.0.2 1234 443\r\n", "peer"),
    ROW("v1 of another protocol", "PROXY UDP4 10.0.0.1 10.0.0.2 1234 443\r\n", "peer"),
    ROW("v1 of the other family", "PROXY TCP4 ::1 ::1 1 2\r\n", "peer"),
    ROW("v1 with two spaces", "PROXY TCP4  10.0.0.1 10.0.0.2 1234 443\r\n", "peer"),
    ROW("v1 with a space at the end", "PROXY TCP4 10.0.0.1 10.0.0.2 1234 443 \r\n", "peer"),
    ROW("v1 with more at the end", "PROXY TCP4 10.0.0.1 10.0.0.2 1234 443 1\r\n", "peer"),
    ROW("v1 with less", "PROXY TCP4 10.0.0.1 10.0.0.2 1234\r\n", "peer"),
    ROW("v1 with too large a port", "PROXY TCP4 10.0.0.1 10.0.0.2 65536 443\r\n", "peer"),
    ROW("v1 with zeros before a port", "PROXY TCP4 10.0.0.1 10.0.0.2 01 443\r\n", "peer"),
    ROW("v1 with an empty port", "PROXY TCP4 10.0.0.1 10.0.0.2  443\r\n", "peer"),
    ROW("v1 with a sign", "PROXY TCP4 10.0.0.1 10.0.0.2 +1 443\r\n", "peer"),
    ROW("v1 with an octal address", "PROXY TCP4 010.0.0.1 10.0.0.2 1 443\r\n", "peer"),
    ROW("v1 with a tab", "PROXY\tTCP4 10.0.0.1 10.0.0.2 1 443\r\n", "peer"),
    ROW("v1 with NUL", "PROXY TCP4 10.0.0.1\0 10.0.0.2 1 443\r\n", "peer"),
    ROW("v1 with bare LF", "PROXY TCP4 10.0.0.1 10.0.0.2 1 443\n", "peer"),
    ROW("v1 with bare CR", "PROXY TCP4 10.0.0.1\r10.0.0.2 1 443\r\n", "peer"),
    ROW("v1 without an end", "PROXY UNKNOWN " SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN "\r\n", "peer"),
    ROW("v1 of 107 bytes", "PROXY UNKNOWN " SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN "0123456789a\r\n", "v1 local|"),
    ROW("v1 of 108 bytes", "PROXY UNKNOWN " SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN "0123456789ab\r\n", "peer"),
    ROW("v1 unfinished", "PROXY TCP4 10.0.0.1 10.0.0.2 1234 443\r", "again"),
    ROW("no header but TLS", "\x16\x03\x01", "peer"),
    ROW("no header but HTTP", "POST / HTTP/1.1\r\n", "peer"),
    ROW("v2 TCP4", V2_TCP4 "\0\x0c" TCP4 "rest", "v2 " TCP4_TEXT "|rest"),
    ROW("v2 UDP4", SIGNATURE "\x21\x12\0\x0c" TCP4, "v2 datagram " TCP4_TEXT "|"),
    ROW("v2 TCP6", SIGNATURE "\x21\x21\0\x24" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" "\0\1\0\2", "v2 [2001:db8::1]:1 [::1]:2|"),
    ROW("v2 LOCAL", SIGNATURE "\x20\0\0\0rest", "v2 local|rest"),
    ROW("v2 LOCAL with addresses", SIGNATURE "\x20\x11\0\x0c" TCP4 "rest", "v2 local|rest"),
    ROW("v2 of a family not told", SIGNATURE "\x21\0\0\3abcrest", "v2 local|rest"),
    ROW("v2 with TLVs", V2_TCP4 "\0\x37" TCP4 "\1\0\2h2" "\2\0\1a" "\4\0\1\0" "\x20\0\x1b\5\0\0\0\0" "\x21\0\3" "1.3" "\x23\0\4suit" "\x22\0\6client", "v2 " TCP4_TEXT " alpn=h2 authority=a tls verified version=1.3 cipher=suit cn=client|"),
    ROW("v2 with an unverified certificate", V2_TCP4 "\0\x14" TCP4 "\x20\0\5\3\0\0\0\1", "v2 " TCP4_TEXT " tls|"),
    ROW("v2 with a checksum", V2_TCP4 "\0\x13" TCP4 "\3\0\4\xbe\xd2\x9a\x65", "v2 " TCP4_TEXT "|"),
    ROW("v2 with a wrong checksum", V2_TCP4 "\0\x13" TCP4 "\3\0\4\1\2\3\4", "peer"),
    ROW("v2 with a short checksum", V2_TCP4 "\0\x12" TCP4 "\3\0\3\1\2\3", "peer"),
    ROW("v2 of another version", SIGNATURE "\x31\x11\0\x0c" TCP4, "peer"),
    ROW("v2 of another command", SIGNATURE "\x22\x11\0\x0c" TCP4, "peer"),
    ROW("v2 of another family", SIGNATURE "\x21\x41\0\x0c" TCP4, "peer"),
    ROW("v2 of another transport", SIGNATURE "\x21\x13\0\x0c" TCP4, "peer"),
    ROW("v2 shorter than its addresses", V2_TCP4 "\0\x0b" TCP4, "peer"),
    ROW("v2 longer than we take", V2_TCP4 "\x08\x01" TCP4, "peer"),
    ROW("v2 with half a TLV", V2_TCP4 "\0\x0e" TCP4 "\4\0", "peer"),
    ROW("v2 with a TLV beyond the end", V2_TCP4 "\0\x10" TCP4 "\4\0\2a", "peer"),
    ROW("v2 with two authorities", V2_TCP4 "\0\x14" TCP4 "\2\0\1a\2\0\1b", "peer"),
    ROW("v2 with a line end in the authority", V2_TCP4 "\0\x11" TCP4 "\2\0\2\r\n", "peer"),
    ROW("v2 with too little of TLS", V2_TCP4 "\0\x13" TCP4 "\x20\0\4\1\0\0\0", "peer"),
    ROW("v2 with a TLV of TLS beyond it", V2_TCP4 "\0\x18" TCP4 "\x20\0\x09\1\0\0\0\0\x21\0\2a", "peer"),
    ROW("v2 unfinished", V2_TCP4 "\0\x0c" "\x0a\0\0", "again"),
};
/* clang-format on */

struct text {
    char at[512];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text->at + text->len, sizeof(text->at) - text->len, format, arguments);
    va_end(arguments);
    assert_true(len >= 0 && (size_t)len < sizeof(text->at) - text->len);
    text->len += (size_t)len;
}

static void add_address(struct text *text, const struct sockaddr_storage *address)
{
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        assert_non_null(inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host)));
        add(text, " %s:%u", host, ntohs(in->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        assert_non_null(inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host)));
        add(text, " [%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        add(text, " %s", ((const struct sockaddr_un *)address)->sun_path);
    }
}

static void add_slice(struct text *text, const char *name, slice value)
{
    if (value.len > 0) {
        add(text, " %s=%.*s", name, SLICE_FORMAT(value));
    }
}

static struct text describe(const struct proxy_protocol *header)
{
    struct text text = {.len = 0};
    add(&text, "v%u", header->version);
    if (header->is_local) {
        add(&text, " local");
        return text;
    }
    add(&text, "%s", header->is_datagram ? " datagram" : "");
    add_address(&text, &header->source);
    add_address(&text, &header->destination);
    add_slice(&text, "alpn", header->alpn);
    add_slice(&text, "authority", header->authority);
    add(&text, "%s%s", header->client_used_tls ? " tls" : "",
        header->client_verified ? " verified" : "");
    add_slice(&text, "version", header->tls_version);
    add_slice(&text, "cipher", header->tls_cipher);
    add_slice(&text, "cn", header->tls_common_name);
    return text;
}

static struct text parse(slice input, size_t first, size_t step)
{
    for (size_t len = first;; len = len + step < input.len ? len + step : input.len) {
        struct proxy_protocol header;
        struct text text = {.len = 0};
        size_t consumed = 0;
        char *shown = malloc(len > 0 ? len : 1);
        assert_non_null(shown);
        memcpy(shown, input.at, len);
        enum status status = proxy_protocol_parse((slice){shown, len}, &header, &consumed);
        if (status == STATUS_OK) {
            text = describe(&header);
            add(&text, "|%.*s", (int)(input.len - consumed), input.at + consumed);
        } else if (status == STATUS_PEER || len == input.len) {
            add(&text, status == STATUS_PEER ? "peer" : "again");
        }
        free(shown);
        if (text.len > 0) {
            return text;
        }
    }
}

static void headers_parse_the_same_in_all_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t first = 0; first <= rows[i].input.len; first++) {
            size_t step = first == 0 ? 1 : rows[i].input.len;
            struct text got = parse(rows[i].input, first, step);
            if (!slice_equal((slice){got.at, got.len}, rows[i].expected)) {
                fail_msg("%s (first %zu): got %s", rows[i].claim, first, got.at);
            }
        }
    }
}

static void every_changed_byte_breaks_the_checksum(void **state)
{
    (void)state;
    char bytes[] = V2_TCP4 "\0\x13" TCP4 "\3\0\4\xbe\xd2\x9a\x65";
    struct proxy_protocol header;
    size_t consumed;
    for (size_t i = 16; i < 28; i++) {
        bytes[i] ^= 1;
        assert_int_equal(
            proxy_protocol_parse((slice){bytes, sizeof(bytes) - 1}, &header, &consumed),
            STATUS_PEER);
        bytes[i] ^= 1;
    }
}

static void what_is_written_parses_to_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct proxy_protocol header;
        struct proxy_protocol again;
        size_t consumed;
        char out[PROXY_PROTOCOL_V2_BYTES];
        if (proxy_protocol_parse(rows[i].input, &header, &consumed) != STATUS_OK) {
            continue;
        }
        size_t len = header.version == 1 ? proxy_protocol_write_v1(&header, out, sizeof(out))
                                         : proxy_protocol_write_v2(&header, out, sizeof(out));
        assert_true(len > 0);
        assert_int_equal(proxy_protocol_parse((slice){out, len}, &again, &consumed), STATUS_OK);
        assert_int_equal(consumed, len);
        assert_string_equal(describe(&header).at, describe(&again).at);
        size_t less = header.version == 1 ? proxy_protocol_write_v1(&header, out, len - 1)
                                          : proxy_protocol_write_v2(&header, out, len - 1);
        assert_int_equal(less, 0);
    }
}

static void unix_paths_travel_in_v2_and_are_unknown_in_v1(void **state)
{
    (void)state;
    struct proxy_protocol header = {.version = 2};
    struct proxy_protocol again;
    size_t consumed;
    char out[512];
    struct sockaddr_un *source = (struct sockaddr_un *)&header.source;
    struct sockaddr_un *destination = (struct sockaddr_un *)&header.destination;
    source->sun_family = AF_UNIX;
    destination->sun_family = AF_UNIX;
    memcpy(source->sun_path, "/a", 3);
    memcpy(destination->sun_path, "/b", 3);
    size_t len = proxy_protocol_write_v2(&header, out, sizeof(out));
    assert_int_equal(len, 16 + 216);
    assert_int_equal(proxy_protocol_parse((slice){out, len}, &again, &consumed), STATUS_OK);
    assert_string_equal(describe(&again).at, "v2 /a /b");
    len = proxy_protocol_write_v1(&header, out, sizeof(out));
    assert_true(slice_equal((slice){out, len}, SLICE("PROXY UNKNOWN\r\n")));
}

static void mixed_families_are_told_as_ipv6(void **state)
{
    (void)state;
    struct proxy_protocol header = {.version = 2};
    struct proxy_protocol again;
    size_t consumed;
    char out[512];
    struct sockaddr_in6 *source = (struct sockaddr_in6 *)&header.source;
    struct sockaddr_in *destination = (struct sockaddr_in *)&header.destination;
    *source = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(1)};
    *destination = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(2)};
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &source->sin6_addr), 1);
    assert_int_equal(inet_pton(AF_INET, "10.0.0.1", &destination->sin_addr), 1);
    size_t len = proxy_protocol_write_v1(&header, out, sizeof(out));
    assert_true(
        slice_equal((slice){out, len}, SLICE("PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 1 2\r\n")));
    len = proxy_protocol_write_v2(&header, out, sizeof(out));
    assert_int_equal(proxy_protocol_parse((slice){out, len}, &again, &consumed), STATUS_OK);
    assert_string_equal(describe(&again).at, "v2 [2001:db8::1]:1 [::ffff:10.0.0.1]:2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_parse_the_same_in_all_pieces),
        cmocka_unit_test(every_changed_byte_breaks_the_checksum),
        cmocka_unit_test(what_is_written_parses_to_itself),
        cmocka_unit_test(unix_paths_travel_in_v2_and_are_unknown_in_v1),
        cmocka_unit_test(mixed_families_are_told_as_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
