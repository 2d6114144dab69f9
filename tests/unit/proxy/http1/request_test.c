/* tests/unit/proxy/http1/request_test.c
 *
 * A request goes in as bytes and comes out as the bytes that we would send, or as the name of the
 * fault. Each row whole, byte by byte and split at every place must give the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http1/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/http1/serialise.h"

struct row {
    const char *claim;
    slice input;
    slice expected;
};

#define GET      "GET / HTTP/1.1\r\n"
#define POST     "POST / HTTP/1.1\r\nHost: a\r\n"
#define HOST     "Host: a\r\n"
#define END      "\r\n"
#define SENT_GET "GET / HTTP/1.1\r\nhost: a\r\n"
#define ROW(claim, input, expected)                                                                \
    {                                                                                              \
        claim, {input, sizeof(input) - 1},                                                         \
        {                                                                                          \
            expected, sizeof(expected) - 1                                                         \
        }                                                                                          \
    }
#define LINE(line)  line "\r\n" HOST END
#define FIELD(line) GET HOST line "\r\n" END

/* clang-format off */
static const struct row rows[] = {
    /* ordinary */
    ROW("a plain GET", GET HOST END, SENT_GET END),
    ROW("names become lower case, values stay", GET HOST "X-Thing:  A b \t\r\n" END, SENT_GET "x-thing: A b\r\n" END),
    ROW("an empty value", GET HOST "x:\r\n" END, SENT_GET "x: \r\n" END),
    ROW("bytes above 0x7f in a value", GET HOST "x: \xc3\xa9\r\n" END, SENT_GET "x: \xc3\xa9\r\n" END),
    ROW("query kept as it is", "GET /a%2Fb?c[]=1&d=%zz HTTP/1.1\r\n" HOST END, "GET /a%2Fb?c[]=1&d=%zz HTTP/1.1\r\nhost: a\r\n" END),
    ROW("one empty line before", "\r\n" GET HOST END, SENT_GET END),
    ROW("host in lower case", GET "Host: ExAmple.COM:8080\r\n" END, "GET / HTTP/1.1\r\nhost: example.com:8080\r\n" END),
    ROW("host of IPv6", GET "Host: [2001:DB8::1]:443\r\n" END, "GET / HTTP/1.1\r\nhost: [2001:db8::1]:443\r\n" END),
    ROW("another method", "get / HTTP/1.1\r\n" HOST END, "get / HTTP/1.1\r\nhost: a\r\n" END),
    ROW("OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HOST END, "OPTIONS * HTTP/1.1\r\nhost: a\r\n" END),
    ROW("absolute form", "GET https://a/b?c HTTP/1.1\r\n" HOST END, "GET /b?c HTTP/1.1\r\nhost: a\r\n" END),
    ROW("absolute form without path", "GET HTTPS://A HTTP/1.1\r\n" HOST END, SENT_GET END),
    ROW("absolute form with query only", "GET https://a?b HTTP/1.1\r\n" HOST END, "GET /?b HTTP/1.1\r\nhost: a\r\n" END),
    ROW("OPTIONS of an absolute form asks the server", "OPTIONS https://a HTTP/1.1\r\n" HOST END, "OPTIONS * HTTP/1.1\r\nhost: a\r\n" END),
    ROW("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n" END, "GET / HTTP/1.1\r\nhost: \r\nconnection: close\r\n" END),
    ROW("HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\nKeep-Alive: 5\r\n" END, SENT_GET END),
    ROW("close", GET HOST "Connection: foo, close\r\n" END, SENT_GET "connection: close\r\n" END),
    /* bodies */
    ROW("a length", POST "Content-Length: 10\r\n" END, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n" END),
    ROW("a length with zeros before", POST "Content-Length: 0010\r\n" END, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n" END),
    ROW("a length of zero", GET HOST "Content-Length: 0\r\n" END, SENT_GET "content-length: 0\r\n" END),
    ROW("POST without a body says so", POST END, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n" END),
    ROW("chunked", POST "Transfer-Encoding: \tChunked \r\n" END, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n" END),
    ROW("100-continue", POST "Content-Length: 1\r\nExpect: 100-Continue\r\n" END, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\nexpect: 100-continue\r\n" END),
    ROW("100-continue without a body", FIELD("Expect: 100-continue"), SENT_GET END),
    ROW("100-continue in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n" END, "POST / HTTP/1.1\r\nhost: \r\ncontent-length: 1\r\nconnection: close\r\n" END),
    ROW("trailers accepted", GET HOST "TE: trailers, deflate;q=0.5\r\nConnection: TE\r\n" END, SENT_GET "connection: te\r\nte: trailers\r\n" END),
    ROW("TE that Connection does not name", FIELD("TE: trailers"), SENT_GET END),
    /* hop by hop */
    ROW("what Connection names is removed", GET HOST "A: 1\r\nB: 2\r\nConnection: a, , keep-alive,A\r\n" END, SENT_GET "b: 2\r\n" END),
    ROW("fields of the hop are removed", GET HOST "Keep-Alive: 1\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nb: 2\r\n" END, SENT_GET "b: 2\r\n" END),
    ROW("httpoxy", GET HOST "Proxy: http://evil/\r\n" END, SENT_GET END),
    ROW("underscores that would forge our fields", GET HOST "X_Forwarded_For: 1\r\nx-forwarded_proto: 2\r\ncontent_length: 3\r\nmy_own: 4\r\n" END, SENT_GET "my_own: 4\r\n" END),
    /* upgrades */
    ROW("websocket", GET HOST "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: k\r\n" END, SENT_GET "sec-websocket-key: k\r\nconnection: upgrade\r\nupgrade: websocket\r\n" END),
    ROW("Upgrade that Connection does not name", FIELD("Upgrade: websocket"), SENT_GET END),
    ROW("h2c smuggling", GET HOST "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n" END, SENT_GET END),
    ROW("websocket among others", GET HOST "Upgrade: h2c, websocket\r\nConnection: upgrade\r\n" END, SENT_GET "connection: upgrade\r\nupgrade: websocket\r\n" END),
    ROW("websocket by POST is no upgrade", POST "Upgrade: websocket\r\nConnection: upgrade\r\n" END, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n" END),
    ROW("websocket with a body is no upgrade", GET HOST "Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 3\r\n" END, SENT_GET "content-length: 3\r\n" END),
    ROW("websocket in HTTP/1.0 is no upgrade", "GET / HTTP/1.0\r\n" HOST "Upgrade: websocket\r\nConnection: upgrade\r\n" END, SENT_GET "connection: close\r\n" END),
    ROW("Upgrade that is no list of protocols", GET HOST "Upgrade: web socket\r\nConnection: upgrade\r\n" END, "upgrade_malformed"),
    ROW("Upgrade without a version", GET HOST "Upgrade: a/\r\nConnection: upgrade\r\n" END, "upgrade_malformed"),
    /* request line */
    ROW("HTTP/0.9", "GET /\r\n", "h1_request_line"),
    ROW("two spaces", LINE("GET  / HTTP/1.1"), "h1_request_line"),
    ROW("space in the target", LINE("GET /a b HTTP/1.1"), "h1_request_line"),
    ROW("tab for a space", LINE("GET\t/ HTTP/1.1"), "h1_request_line"),
    ROW("space at the end", LINE("GET / HTTP/1.1 "), "h1_request_line"),
    ROW("space at the start", LINE(" GET / HTTP/1.1"), "h1_method"),
    ROW("no target", LINE("GET HTTP/1.1"), "h1_request_line"),
    ROW("nothing before the version", LINE(" HTTP/1.1"), "h1_request_line"),
    ROW("two empty lines before", "\r\n\r\n" GET HOST END, "h1_request_line"),
    ROW("bare LF before", "\n" GET HOST END, "h1_bare_lf"),
    ROW("method is no token", LINE("G@T / HTTP/1.1"), "h1_method"),
    ROW("method too long", LINE("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1"), "h1_method"),
    ROW("CONNECT", LINE("CONNECT a:443 HTTP/1.1"), "method_refused"),
    ROW("TRACE", LINE("TRACE / HTTP/1.1"), "method_refused"),
    ROW("HTTP/2.0", LINE("GET / HTTP/2.0"), "h1_version"),
    ROW("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "h1_version"),
    ROW("HTTP/1.2", LINE("GET / HTTP/1.2"), "h1_version"),
    ROW("HTTP/1.10", LINE("GET / HTTP/1.10"), "h1_request_line"),
    ROW("HTTP/01.1", LINE("GET / HTTP/01.1"), "h1_request_line"),
    ROW("http/1.1", LINE("GET / http/1.1"), "h1_request_line"),
    ROW("HTTP/1,1", LINE("GET / HTTP/1,1"), "h1_request_line"),
    ROW("NUL in the request line", LINE("GET /\0 HTTP/1.1"), "h1_request_line"),
    ROW("CR in the request line", "GET /\ra HTTP/1.1\r\n" HOST END, "h1_bare_cr"),
    ROW("fragment", LINE("GET /a#b HTTP/1.1"), "uri_malformed"),
    ROW("non-ASCII target", LINE("GET /\xc3\xa9 HTTP/1.1"), "uri_malformed"),
    ROW("quote in the query", LINE("GET /?a=\"b\" HTTP/1.1"), "uri_malformed"),
    ROW("backslash in the path", LINE("GET /a\\..\\b HTTP/1.1"), "uri_malformed"),
    ROW("half a percent-encoding", LINE("GET /a%2 HTTP/1.1"), "uri_malformed"),
    ROW("no slash", LINE("GET a HTTP/1.1"), "h1_target"),
    ROW("* with another method", LINE("GET * HTTP/1.1"), "h1_target"),
    ROW("another scheme", LINE("GET ftp://a/ HTTP/1.1"), "h1_target"),
    ROW("http: where the client used https", LINE("GET http://a/ HTTP/1.1"), "h1_target"),
    ROW("user info", LINE("GET https://u@a/ HTTP/1.1"), "h1_target"),
    ROW("empty authority", LINE("GET https:/// HTTP/1.1"), "h1_target"),
    ROW("absolute form differs from Host", LINE("GET https://b/ HTTP/1.1"), "host_clash"),
    ROW("absolute form differs in port", LINE("GET https://a:443/ HTTP/1.1"), "host_clash"),
    /* Host */
    ROW("no Host", GET END, "host_missing"),
    ROW("two Hosts", GET HOST HOST END, "host_repeated"),
    ROW("empty Host", GET "Host:\r\n" END, "host_malformed"),
    ROW("two Hosts in one", GET "Host: a, b\r\n" END, "host_malformed"),
    ROW("Host with user", GET "Host: u@a\r\n" END, "host_malformed"),
    ROW("Host with path", GET "Host: a/b\r\n" END, "host_malformed"),
    ROW("Host with space", GET "Host: a b\r\n" END, "host_malformed"),
    ROW("Host with an empty port", GET "Host: a:\r\n" END, "host_malformed"),
    ROW("Host with a sign", GET "Host: a:+80\r\n" END, "host_malformed"),
    ROW("Host with too large a port", GET "Host: a:65536\r\n" END, "host_malformed"),
    ROW("Host with port 0", GET "Host: a:0\r\n" END, "host_malformed"),
    ROW("Host with two ports", GET "Host: a:80:80\r\n" END, "host_malformed"),
    ROW("Host of IPv6 unclosed", GET "Host: [::1\r\n" END, "host_malformed"),
    ROW("Host of IPv6 with zone", GET "Host: [fe80::1%25eth0]\r\n" END, "host_malformed"),
    ROW("Host of IPv6 and more", GET "Host: [::1]a\r\n" END, "host_malformed"),
    ROW("Host of IPv6 without brackets", GET "Host: ::1\r\n" END, "host_malformed"),
    ROW("Host with percent", GET "Host: a%41\r\n" END, "host_malformed"),
    ROW("Host with empty label", GET "Host: a..b\r\n" END, "host_malformed"),
    ROW("Host with a dot only", GET "Host: .\r\n" END, "host_malformed"),
    ROW("Host of non-ASCII", GET "Host: \xc3\xa9\r\n" END, "host_malformed"),
    /* framing */
    ROW("CL.TE", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" END, "length_and_coding"),
    ROW("TE.CL", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n" END, "length_and_coding"),
    ROW("CL.CL equal", POST "Content-Length: 3\r\nContent-Length: 3\r\n" END, "length_repeated"),
    ROW("CL.CL in one", POST "Content-Length: 3, 3\r\n" END, "length_repeated"),
    ROW("length with a sign", POST "Content-Length: +3\r\n" END, "length_malformed"),
    ROW("negative length", POST "Content-Length: -3\r\n" END, "length_malformed"),
    ROW("hex length", POST "Content-Length: 0x3\r\n" END, "length_malformed"),
    ROW("empty length", POST "Content-Length: \r\n" END, "length_malformed"),
    ROW("length with a space", POST "Content-Length: 3 3\r\n" END, "length_malformed"),
    ROW("length above 63 bits", POST "Content-Length: 9223372036854775808\r\n" END, "length_malformed"),
    ROW("length above 64 bits", POST "Content-Length: 18446744073709551617\r\n" END, "length_malformed"),
    ROW("coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END, "coding_in_http10"),
    ROW("chunked,", POST "Transfer-Encoding: chunked,\r\n" END, "coding_malformed"),
    ROW(",chunked", POST "Transfer-Encoding: ,chunked\r\n" END, "coding_malformed"),
    ROW("chunked twice", POST "Transfer-Encoding: chunked, chunked\r\n" END, "coding_malformed"),
    ROW("chunked in two fields", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, "coding_malformed"),
    ROW("TE.TE", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n" END, "coding_malformed"),
    ROW("empty coding", POST "Transfer-Encoding:\r\n" END, "coding_malformed"),
    ROW("coding in quotes", POST "Transfer-Encoding: \"chunked\"\r\n" END, "coding_malformed"),
    ROW("gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n" END, "coding_unknown"),
    ROW("identity", POST "Transfer-Encoding: identity\r\n" END, "coding_unknown"),
    ROW("xchunked", POST "Transfer-Encoding: xchunked\r\n" END, "coding_unknown"),
    ROW("chunked with a parameter", POST "Transfer-Encoding: chunked;q=1\r\n" END, "coding_unknown"),
    ROW("VT before chunked", POST "Transfer-Encoding: \x0b" "chunked\r\n" END, "h1_field_value"),
    ROW("another expectation", POST "Content-Length: 3\r\nExpect: 200-ok\r\n" END, "expect_unknown"),
    /* fields */
    ROW("space before the colon", FIELD("Content-Length : 3"), "h1_space_before_colon"),
    ROW("tab before the colon", FIELD("X\t: 3"), "h1_space_before_colon"),
    ROW("obs-fold", GET HOST "X: a\r\n b\r\n" END, "h1_obs_fold"),
    ROW("a fold before the first field", GET " X: a\r\n" HOST END, "h1_obs_fold"),
    ROW("empty name", FIELD(": x"), "h1_field_name"),
    ROW("no colon", FIELD("abc"), "h1_field_name"),
    ROW("space in a name", FIELD("a b: c"), "h1_field_name"),
    ROW("name of non-ASCII", FIELD("\xc3\xa9: c"), "h1_field_name"),
    ROW("parenthesis in a name", FIELD("a(b): c"), "h1_field_name"),
    ROW("NUL in a name", FIELD("a\0b: c"), "h1_field_name"),
    ROW("NUL in a value", FIELD("a: b\0c"), "h1_field_value"),
    ROW("DEL in a value", FIELD("a: b\x7f"), "h1_field_value"),
    ROW("escape in a value", FIELD("a: \x1b[0m"), "h1_field_value"),
    ROW("bare LF at a line end", GET "Host: a\n" END, "h1_bare_lf"),
    ROW("bare CR in a value", FIELD("a: b\rc: d"), "h1_bare_cr"),
    ROW("CR CR LF", FIELD("a: b\r"), "h1_bare_cr"),
    ROW("bare LF at the end", GET HOST "\n", "h1_bare_lf"),
    ROW("Connection names Host", FIELD("Connection: host"), "connection_malformed"),
    ROW("Connection names Content-Length", POST "Content-Length: 1\r\nConnection: content-length\r\n" END, "connection_malformed"),
    ROW("Connection names X-Forwarded-For", FIELD("Connection: close, X-Forwarded-For"), "connection_malformed"),
    ROW("Connection names Authorization", FIELD("Connection: Authorization"), "connection_malformed"),
    ROW("Connection names Cookie", FIELD("Connection: Cookie"), "connection_malformed"),
    ROW("Connection names Client-Cert", FIELD("Connection: Client-Cert"), "connection_malformed"),
    ROW("Connection holds no tokens", FIELD("Connection: a b"), "connection_malformed"),
    /* limits of these tests: 2000 bytes of header, 20 fields, 100 bytes of target */
    ROW("20 fields", GET HOST "a:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\nConnection: a\r\n" END, SENT_GET END),
    ROW("21 fields", GET HOST "a:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\n" END, "limit_header_count"),
};
/* clang-format on */

static const struct message_limits limits = {
    .header_bytes = 2000, .header_count = 20, .uri_bytes = 100};

static slice text_of(const char *text)
{
    return slice_of(text);
}

/* Parses and writes again; the caller's arena holds the answer. */
static slice parse_and_write(slice head, struct arena *arena)
{
    struct message message;
    struct http1_wire wire;
    slice copy = arena_copy(arena, head);
    enum fault_code fault = http1_parse_request((char *)(uintptr_t)copy.at, copy.len,
                                                SLICE("https"), arena, &limits, &message, &wire);
    if (fault != FAULT_NONE) {
        return text_of(fault_name(fault));
    }
    struct http1_sending sending = {.close = wire.close_after};
    size_t needed = 0;
    fault = http1_write_request(&message, &sending, NULL, 0, &needed);
    char *out = arena_take(arena, needed + 1);
    assert_non_null(out);
    if (fault == FAULT_NONE) {
        fault = http1_write_request(&message, &sending, out, needed, &needed);
    }
    return fault == FAULT_NONE ? (slice){out, needed} : text_of(fault_name(fault));
}

/* Shows the scan the first `first` bytes, then `step` more each time. */
static slice outcome(slice input, size_t first, size_t step, struct arena *arena)
{
    struct http1_head_scan scan;
    http1_head_scan_init(&scan, HTTP1_REQUEST_HEAD);
    for (size_t len = first;; len = len + step < input.len ? len + step : input.len) {
        /* a block of its own: a read behind the bytes in hand is then found */
        char *shown = malloc(len > 0 ? len : 1);
        assert_non_null(shown);
        memcpy(shown, input.at, len);
        size_t head_len = 0;
        enum fault_code fault = FAULT_NONE;
        enum status status =
            http1_head_scan(&scan, (slice){shown, len}, &limits, &head_len, &fault);
        free(shown);
        if (status == STATUS_OK) {
            return parse_and_write(slice_first(input, head_len), arena);
        }
        if (status != STATUS_AGAIN) {
            return text_of(fault_name(fault));
        }
        if (len == input.len) {
            return text_of("again");
        }
    }
}

static void check(const struct row *row, size_t first, size_t step)
{
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 20);
    slice got = outcome(row->input, first, step, &arena);
    if (!slice_equal(got, row->expected)) {
        fail_msg("%s (first %zu, step %zu): got\n%.*s\nexpected\n%.*s", row->claim, first, step,
                 SLICE_FORMAT(got), SLICE_FORMAT(row->expected));
    }
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

static void requests_mean_what_they_say_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(&rows[i], rows[i].input.len, 1);
    }
}

static void requests_mean_the_same_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(&rows[i], 0, 1);
    }
}

static void requests_mean_the_same_split_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t first = 0; first < rows[i].input.len; first++) {
            check(&rows[i], first, rows[i].input.len);
        }
    }
}

static void what_we_send_parses_to_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct row again = {rows[i].claim, rows[i].expected, rows[i].expected};
        /* an answer of HTTP/1.0 without Host is for the route to complete */
        if (memmem(again.input.at, again.input.len, "\r\n\r\n", 4) != NULL &&
            memmem(again.input.at, again.input.len, "host: \r\n", 8) == NULL) {
            check(&again, again.input.len, 1);
        }
    }
}

static void long_targets_are_refused_at_the_limit(void **state)
{
    (void)state;
    static const char version[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    for (size_t len = 95; len < 300; len++) {
        char bytes[512] = "GET /";
        memset(bytes + 5, 'a', len - 1);
        memcpy(bytes + 4 + len, version, sizeof(version) - 1);
        struct arena_pool pool = {0};
        struct arena arena;
        arena_init(&arena, &pool, 1 << 20);
        slice input = {bytes, 4 + len + sizeof(version) - 1};
        slice whole = outcome(input, input.len, 1, &arena);
        slice trickled = outcome(input, 0, 1, &arena);
        assert_true(slice_equal(whole, trickled));
        assert_int_equal(slice_equal(whole, SLICE("limit_uri_bytes")), len > limits.uri_bytes);
        arena_reset(&arena);
        arena_pool_fini(&pool);
    }
}

static void endless_lines_are_refused_at_the_limit(void **state)
{
    (void)state;
    char bytes[4096];
    for (size_t in_target = 0; in_target < 2; in_target++) {
        const char *start = in_target == 1 ? "GET /" : "GET / HTTP/1.1\r\nA: ";
        memset(bytes, 'a', sizeof(bytes));
        memcpy(bytes, start, strlen(start));
        struct arena_pool pool = {0};
        struct arena arena;
        arena_init(&arena, &pool, 1 << 20);
        slice input = {bytes, sizeof(bytes)};
        const char *expected = in_target == 1 ? "limit_uri_bytes" : "limit_header_bytes";
        assert_true(slice_equal(outcome(input, 0, 1, &arena), text_of(expected)));
        assert_true(slice_equal(outcome(input, input.len, 1, &arena), text_of(expected)));
        arena_pool_fini(&pool);
    }
}

static void out_of_memory_is_a_fault(void **state)
{
    (void)state;
    char head[] = GET "Host: A\r\nx: y\r\n" END;
    for (size_t limit = 0; limit < 4096; limit += 16) {
        char copy[sizeof(head)];
        memcpy(copy, head, sizeof(head));
        struct arena_pool pool = {0};
        struct arena arena;
        arena_init(&arena, &pool, limit);
        struct message message;
        struct http1_wire wire;
        enum fault_code fault = http1_parse_request(copy, sizeof(copy) - 1, SLICE("https"), &arena,
                                                    &limits, &message, &wire);
        assert_true(fault == FAULT_NONE || fault == FAULT_LIMIT_MEMORY);
        assert_true(fault == FAULT_LIMIT_MEMORY || limit > 0);
        arena_reset(&arena);
        arena_pool_fini(&pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_mean_what_they_say_whole),
        cmocka_unit_test(requests_mean_the_same_byte_by_byte),
        cmocka_unit_test(requests_mean_the_same_split_anywhere),
        cmocka_unit_test(what_we_send_parses_to_itself),
        cmocka_unit_test(long_targets_are_refused_at_the_limit),
        cmocka_unit_test(endless_lines_are_refused_at_the_limit),
        cmocka_unit_test(out_of_memory_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
