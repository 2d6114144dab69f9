/* tests/unit/proxy/http2/block_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http2/limits.h"
#include "support/arena_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FIELDS_MAX = 16 };

struct pair {
    slice name;
    slice value;
};

/* Both are literals, and may hold NUL. */
#define F(name, value)                                                                             \
    {                                                                                              \
        {name, sizeof(name) - 1},                                                                  \
        {                                                                                          \
            value, sizeof(value) - 1                                                               \
        }                                                                                          \
    }

static const struct message_limits limits = {
    .header_bytes = 2000, .header_count = 12, .uri_bytes = 100, .trailer_bytes = 500};

/* The library's memory is not ours: what is added must have been copied. */
static bool add(struct block *block, const struct pair *pair)
{
    char *name = malloc(pair->name.len + 1);
    char *value = malloc(pair->value.len + 1);
    memcpy(name, pair->name.at, pair->name.len);
    memcpy(value, pair->value.at, pair->value.len);
    bool goes_on = block_add(block, (slice){name, pair->name.len}, (slice){value, pair->value.len});
    free(name);
    free(value);
    return goes_on;
}

static void add_all(struct block *block, const struct pair *pairs)
{
    for (size_t i = 0; i < FIELDS_MAX && pairs[i].name.at != NULL; i++) {
        assert_true(add(block, &pairs[i]));
    }
}

/* ---- requests ---- */

static enum fault_code make_request(const struct pair *pairs, bool is_last, struct message *out)
{
    struct block block;
    const struct block_facts facts = {
        .is_last = is_last, .takes_tunnels = true, .scheme = SLICE("https")};
    block_begin(&block, &arena, &limits, false);
    add_all(&block, pairs);
    return block_to_request(&block, &facts, out);
}

#define METHOD    F(":method", "GET")
#define SCHEME    F(":scheme", "https")
#define AUTHORITY F(":authority", "h")
#define PATH      F(":path", "/")
#define GET       METHOD, SCHEME, AUTHORITY, PATH
#define POST      F(":method", "POST"), SCHEME, AUTHORITY, PATH
#define CONNECT   F(":method", "CONNECT"), SCHEME, AUTHORITY, PATH

/* The stream ends with the block, unless it goes on. */
static const struct refused {
    const char *name;
    enum fault_code fault;
    struct pair pairs[FIELDS_MAX];
    bool goes_on;
} refused[] = {
    /* RFC 9113 §8.2 */
    {"upper case", FAULT_H2_FIELD_NAME, {GET, F("X-a", "1")}, 0},
    {"upper case in the middle", FAULT_H2_FIELD_NAME, {GET, F("x-A", "1")}, 0},
    {"no name", FAULT_H2_FIELD_NAME, {GET, F("", "1")}, 0},
    {"a name with a space", FAULT_H2_FIELD_NAME, {GET, F("x a", "1")}, 0},
    {"a name with a colon", FAULT_H2_FIELD_NAME, {GET, F("x:a", "1")}, 0},
    {"a name with NUL", FAULT_H2_FIELD_NAME, {GET, F("x\0a", "1")}, 0},
    {"a name with a line end", FAULT_H2_FIELD_NAME, {GET, F("x\r\na", "1")}, 0},
    {"a name with DEL", FAULT_H2_FIELD_NAME, {GET, F("x\x7f", "1")}, 0},
    {"a name above ASCII", FAULT_H2_FIELD_NAME, {GET, F("x\xe4", "1")}, 0},
    {"a value with NUL", FAULT_H2_FIELD_VALUE, {GET, F("x-a", "1\0002")}, 0},
    {"a value with CR", FAULT_H2_FIELD_VALUE, {GET, F("x-a", "1\r2")}, 0},
    {"a value with LF", FAULT_H2_FIELD_VALUE, {GET, F("x-a", "1\n2")}, 0},
    {"a value with a line end", FAULT_H2_FIELD_VALUE, {GET, F("x-a", "1\r\nhost: evil")}, 0},
    {"a value with DEL", FAULT_H2_FIELD_VALUE, {GET, F("x-a", "1\x7f")}, 0},
    {"a value with a control character", FAULT_H2_FIELD_VALUE, {GET, F("x-a", "1\x01")}, 0},
    {"a space first", FAULT_H2_FIELD_VALUE, {GET, F("x-a", " 1")}, 0},
    {"a space last", FAULT_H2_FIELD_VALUE, {GET, F("x-a", "1 ")}, 0},
    {"a tab first", FAULT_H2_FIELD_VALUE, {GET, F("x-a", "\t1")}, 0},
    {"a tab last", FAULT_H2_FIELD_VALUE, {GET, F("x-a", "1\t")}, 0},
    {"nothing but a space", FAULT_H2_FIELD_VALUE, {GET, F("x-a", " ")}, 0},
    {"a space around the method",
     FAULT_H2_FIELD_VALUE,
     {F(":method", " GET"), SCHEME, AUTHORITY, PATH},
     0},
    {"NUL in the path", FAULT_H2_FIELD_VALUE, {METHOD, SCHEME, AUTHORITY, F(":path", "/\0")}, 0},
    /* RFC 9113 §8.2.2 */
    {"connection", FAULT_CONNECTION_MALFORMED, {GET, F("connection", "close")}, 0},
    {"keep-alive", FAULT_CONNECTION_MALFORMED, {GET, F("keep-alive", "1")}, 0},
    {"proxy-connection", FAULT_CONNECTION_MALFORMED, {GET, F("proxy-connection", "close")}, 0},
    {"upgrade", FAULT_CONNECTION_MALFORMED, {GET, F("upgrade", "websocket")}, 0},
    {"transfer-encoding", FAULT_CODING_MALFORMED, {POST, F("transfer-encoding", "chunked")}, 1},
    {"transfer-encoding of nothing",
     FAULT_CODING_MALFORMED,
     {POST, F("transfer-encoding", "identity")},
     1},
    {"both lengths",
     FAULT_LENGTH_AND_CODING,
     {POST, F("content-length", "1"), F("transfer-encoding", "chunked")},
     1},
    {"te of a coding", FAULT_CONNECTION_MALFORMED, {GET, F("te", "gzip")}, 0},
    {"te of a coding besides", FAULT_CONNECTION_MALFORMED, {GET, F("te", "trailers, gzip")}, 0},
    {"te of nothing", FAULT_CONNECTION_MALFORMED, {GET, F("te", "")}, 0},
    {"the second te", FAULT_CONNECTION_MALFORMED, {GET, F("te", "trailers"), F("te", "gzip")}, 0},
    /* RFC 9113 §8.3 */
    {"a pseudo-header field behind another",
     FAULT_H2_PSEUDO_FIELD,
     {METHOD, SCHEME, F("x-a", "1"), PATH, AUTHORITY},
     0},
    {"an unknown one", FAULT_H2_PSEUDO_FIELD, {GET, F(":x", "1")}, 0},
    {"one of upper case", FAULT_H2_PSEUDO_FIELD, {F(":Method", "GET"), SCHEME, AUTHORITY, PATH}, 0},
    {"one of no name", FAULT_H2_PSEUDO_FIELD, {GET, F(":", "1")}, 0},
    {"one of responses", FAULT_H2_PSEUDO_FIELD, {GET, F(":status", "200")}, 0},
    {"two methods", FAULT_H2_PSEUDO_FIELD, {GET, METHOD}, 0},
    {"two schemes", FAULT_H2_PSEUDO_FIELD, {GET, SCHEME}, 0},
    {"two authorities", FAULT_H2_PSEUDO_FIELD, {GET, AUTHORITY}, 0},
    {"two paths", FAULT_H2_PSEUDO_FIELD, {GET, PATH}, 0},
    {"two empty paths",
     FAULT_H2_PSEUDO_FIELD,
     {METHOD, SCHEME, AUTHORITY, F(":path", ""), F(":path", "")},
     0},
    {"no method", FAULT_H2_PSEUDO_FIELD, {SCHEME, AUTHORITY, PATH}, 0},
    {"no scheme", FAULT_H2_PSEUDO_FIELD, {METHOD, AUTHORITY, PATH}, 0},
    {"no path", FAULT_H2_PSEUDO_FIELD, {METHOD, SCHEME, AUTHORITY}, 0},
    {"nothing", FAULT_H2_PSEUDO_FIELD, {{{NULL, 0}, {NULL, 0}}}, 0},
    {"an empty method", FAULT_H2_PSEUDO_FIELD, {F(":method", ""), SCHEME, AUTHORITY, PATH}, 0},
    {"a method with a space",
     FAULT_H2_PSEUDO_FIELD,
     {F(":method", "GET / HTTP/1.1"), SCHEME, AUTHORITY, PATH},
     0},
    {"a method that is too long",
     FAULT_H2_PSEUDO_FIELD,
     {F(":method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG"), SCHEME, AUTHORITY, PATH},
     0},
    {"a scheme that we do not serve",
     FAULT_H2_PSEUDO_FIELD,
     {METHOD, F(":scheme", "ftp"), AUTHORITY, PATH},
     0},
    {"a scheme with an end",
     FAULT_H2_PSEUDO_FIELD,
     {METHOD, F(":scheme", "https://x"), AUTHORITY, PATH},
     0},
    /* :path */
    {"an empty path", FAULT_URI_MALFORMED, {METHOD, SCHEME, AUTHORITY, F(":path", "")}, 0},
    {"a path with a space",
     FAULT_URI_MALFORMED,
     {METHOD, SCHEME, AUTHORITY, F(":path", "/a b")},
     0},
    {"a fragment", FAULT_URI_MALFORMED, {METHOD, SCHEME, AUTHORITY, F(":path", "/a#b")}, 0},
    {"a fragment in the query",
     FAULT_URI_MALFORMED,
     {METHOD, SCHEME, AUTHORITY, F(":path", "/a?b#c")},
     0},
    {"a path without its slash",
     FAULT_URI_MALFORMED,
     {METHOD, SCHEME, AUTHORITY, F(":path", "a")},
     0},
    {"a path that is a URL",
     FAULT_URI_MALFORMED,
     {METHOD, SCHEME, AUTHORITY, F(":path", "https://h/")},
     0},
    {"a path that is a query",
     FAULT_URI_MALFORMED,
     {METHOD, SCHEME, AUTHORITY, F(":path", "?a")},
     0},
    {"an asterisk for GET", FAULT_URI_MALFORMED, {METHOD, SCHEME, AUTHORITY, F(":path", "*")}, 0},
    {"a backslash", FAULT_URI_MALFORMED, {METHOD, SCHEME, AUTHORITY, F(":path", "/a\\b")}, 0},
    {"a path above ASCII",
     FAULT_URI_MALFORMED,
     {METHOD, SCHEME, AUTHORITY, F(":path", "/\xc3\xa4")},
     0},
    /* :authority and Host */
    {"nobody is asked", FAULT_HOST_MISSING, {METHOD, SCHEME, PATH}, 0},
    {"an empty authority", FAULT_HOST_MISSING, {METHOD, SCHEME, F(":authority", ""), PATH}, 0},
    {"user info", FAULT_HOST_MALFORMED, {METHOD, SCHEME, F(":authority", "u@h"), PATH}, 0},
    {"a port that is none",
     FAULT_HOST_MALFORMED,
     {METHOD, SCHEME, F(":authority", "h:x"), PATH},
     0},
    {"a port that is too large",
     FAULT_HOST_MALFORMED,
     {METHOD, SCHEME, F(":authority", "h:65536"), PATH},
     0},
    {"a port of 0", FAULT_HOST_MALFORMED, {METHOD, SCHEME, F(":authority", "h:0"), PATH}, 0},
    {"an authority with a path",
     FAULT_HOST_MALFORMED,
     {METHOD, SCHEME, F(":authority", "h/a"), PATH},
     0},
    {"two hosts in one", FAULT_HOST_MALFORMED, {METHOD, SCHEME, F(":authority", "h, i"), PATH}, 0},
    {"Host against the authority", FAULT_HOST_CLASH, {GET, F("host", "i")}, 0},
    {"Host with a port against it", FAULT_HOST_CLASH, {GET, F("host", "h:1")}, 0},
    {"two Hosts", FAULT_HOST_REPEATED, {GET, F("host", "h"), F("host", "h")}, 0},
    {"a Host that is malformed", FAULT_HOST_MALFORMED, {METHOD, SCHEME, PATH, F("host", "u@h")}, 0},
    {"an empty Host", FAULT_HOST_MALFORMED, {GET, F("host", "")}, 0},
    /* Content-Length */
    {"two lengths",
     FAULT_LENGTH_REPEATED,
     {POST, F("content-length", "5"), F("content-length", "5")},
     1},
    {"two lengths in one", FAULT_LENGTH_REPEATED, {POST, F("content-length", "5, 5")}, 1},
    {"a length with a sign", FAULT_LENGTH_MALFORMED, {POST, F("content-length", "+5")}, 1},
    {"a length below zero", FAULT_LENGTH_MALFORMED, {POST, F("content-length", "-5")}, 1},
    {"a length in hex", FAULT_LENGTH_MALFORMED, {POST, F("content-length", "0x5")}, 1},
    {"an empty length", FAULT_LENGTH_MALFORMED, {POST, F("content-length", "")}, 1},
    {"a length above all numbers",
     FAULT_LENGTH_MALFORMED,
     {POST, F("content-length", "99999999999999999999")},
     1},
    {"a length, and no content", FAULT_H2_LENGTH, {POST, F("content-length", "5")}, 0},
    /* what can be answered */
    {"plain CONNECT", FAULT_METHOD_REFUSED, {F(":method", "CONNECT"), F(":authority", "h:443")}, 1},
    {"TRACE", FAULT_METHOD_REFUSED, {F(":method", "TRACE"), SCHEME, AUTHORITY, PATH}, 0},
    {"another expectation", FAULT_EXPECT_UNKNOWN, {POST, F("expect", "more")}, 1},
    {"a tunnel to something else",
     FAULT_METHOD_REFUSED,
     {CONNECT, F(":protocol", "connect-udp")},
     1},
    /* CONNECT (RFC 9113 §8.5, RFC 8441 §4) */
    {"CONNECT with a path",
     FAULT_H2_PSEUDO_FIELD,
     {F(":method", "CONNECT"), F(":authority", "h:443"), PATH},
     1},
    {"CONNECT with a scheme",
     FAULT_H2_PSEUDO_FIELD,
     {F(":method", "CONNECT"), F(":authority", "h:443"), SCHEME},
     1},
    {"CONNECT to nobody", FAULT_H2_PSEUDO_FIELD, {F(":method", "CONNECT")}, 1},
    {"a tunnel without a path",
     FAULT_H2_PSEUDO_FIELD,
     {F(":method", "CONNECT"), F(":protocol", "websocket"), SCHEME, AUTHORITY},
     1},
    {"a tunnel without a scheme",
     FAULT_H2_PSEUDO_FIELD,
     {F(":method", "CONNECT"), F(":protocol", "websocket"), PATH, AUTHORITY},
     1},
    {"a tunnel to nobody",
     FAULT_HOST_MISSING,
     {F(":method", "CONNECT"), F(":protocol", "websocket"), PATH, SCHEME},
     1},
    {"a protocol for GET", FAULT_H2_PSEUDO_FIELD, {GET, F(":protocol", "websocket")}, 1},
    {"a protocol of nothing for GET", FAULT_H2_PSEUDO_FIELD, {GET, F(":protocol", "")}, 1},
    {"two protocols",
     FAULT_H2_PSEUDO_FIELD,
     {CONNECT, F(":protocol", "websocket"), F(":protocol", "websocket")},
     1},
    /* limits */
    {"a path that is too long",
     FAULT_LIMIT_URI_BYTES,
     {METHOD, SCHEME, AUTHORITY,
      F(":path", "/0123456789012345678901234567890123456789012345678901234567890123456789"
                 "0123456789012345678901234567890123456789")},
     0},
    {"too many fields",
     FAULT_LIMIT_HEADER_COUNT,
     {GET, F("a", ""), F("b", ""), F("c", ""), F("d", ""), F("e", ""), F("f", ""), F("g", ""),
      F("h", ""), F("i", "")},
     0},
};

static void what_breaks_a_rule_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct message request;
        enum fault_code fault = make_request(refused[i].pairs, !refused[i].goes_on, &request);
        if (fault != refused[i].fault) {
            fail_msg("%s: %s", refused[i].name, fault_name(fault));
        }
    }
}

/* A page is for those who asked for something, and not for what may mean two things. */
static void what_cannot_be_understood_has_no_answer(void **state)
{
    (void)state;
    for (int fault = 0; fault < FAULT_CODES; fault++) {
        enum fault_code code = (enum fault_code)fault;
        bool has_answer = block_fault_has_answer(code);
        if (has_answer) {
            assert_true(fault_http_status(code) >= 400);
        }
        bool is_h2 = code >= FAULT_H2_PROTOCOL && code <= FAULT_H2_TRAILER;
        assert_false(has_answer && is_h2);
    }
    assert_true(block_fault_has_answer(FAULT_LIMIT_HEADER_BYTES));
    assert_true(block_fault_has_answer(FAULT_METHOD_REFUSED));
    assert_false(block_fault_has_answer(FAULT_HOST_CLASH));
    assert_false(block_fault_has_answer(FAULT_LENGTH_REPEATED));
    assert_false(block_fault_has_answer(FAULT_URI_MALFORMED));
}

/* What was understood, as one line. */
static void describe(const struct message *message, char *out, size_t room)
{
    static const char *const kinds[] = {
        [FRAMING_NONE] = "none",         [FRAMING_LENGTH] = "length",
        [FRAMING_STREAMED] = "streamed", [FRAMING_UNTIL_CLOSE] = "close",
        [FRAMING_TUNNEL] = "tunnel",
    };
    int len = snprintf(
        out, room, "%u %.*s %.*s %.*s %.*s%.*s %s:%llu%s%s%s%s%.*s", message->status,
        SLICE_FORMAT(message->method_name), SLICE_FORMAT(message->scheme),
        SLICE_FORMAT(message->authority), SLICE_FORMAT(message->path), SLICE_FORMAT(message->query),
        kinds[message->framing.kind], (unsigned long long)message->framing.length,
        message->framing.tells_length ? " told" : "", message->expects_continue ? " continue" : "",
        message->accepts_trailers ? " trailers" : "", message->upgrade.len > 0 ? " upgrade=" : "",
        SLICE_FORMAT(message->upgrade));
    for (size_t i = 0; i < message->fields.count; i++) {
        const struct field *field = &message->fields.at[i];
        bool is_key = field->token == FIELD_SEC_WEBSOCKET_KEY;
        assert_int_equal(field->token, field_token_of(field->name));
        len += snprintf(out + len, room - (size_t)len, " %.*s=%.*s", SLICE_FORMAT(field->name),
                        is_key ? 3 : (int)field->value.len, is_key ? "key" : field->value.at);
    }
}

static const struct understood {
    const char *name;
    const char *message;
    struct pair pairs[FIELDS_MAX];
    bool goes_on;
} understood[] = {
    {"GET", "0 GET https h / none:0", {GET}, 0},
    {"in any order", "0 GET https h / none:0", {PATH, AUTHORITY, METHOD, SCHEME}, 0},
    {"a query", "0 GET https h /a?b none:0", {METHOD, SCHEME, AUTHORITY, F(":path", "/a?b")}, 0},
    {"the scheme is what the client uses with us",
     "0 GET https h / none:0",
     {METHOD, F(":scheme", "http"), AUTHORITY, PATH},
     0},
    {"OPTIONS of the server",
     "0 OPTIONS https h * none:0",
     {F(":method", "OPTIONS"), SCHEME, AUTHORITY, F(":path", "*")},
     0},
    {"a method of its own",
     "0 PROPFIND https h / none:0",
     {F(":method", "PROPFIND"), SCHEME, AUTHORITY, PATH},
     0},
    {"an authority in upper case",
     "0 GET https example.org:8443 / none:0",
     {METHOD, SCHEME, F(":authority", "Example.ORG:8443"), PATH},
     0},
    {"Host instead of an authority",
     "0 GET https h / none:0",
     {METHOD, SCHEME, PATH, F("host", "H")},
     0},
    {"Host beside an authority", "0 GET https h / none:0", {GET, F("host", "H")}, 0},
    {"an address of IPv6",
     "0 GET https [::1]:443 / none:0",
     {METHOD, SCHEME, F(":authority", "[::1]:443"), PATH},
     0},
    {"fields in their order",
     "0 GET https h / none:0 b=1 a=2 b=3",
     {GET, F("b", "1"), F("a", "2"), F("b", "3")},
     0},
    {"an empty value", "0 GET https h / none:0 a=", {GET, F("a", "")}, 0},
    {"a value above ASCII", "0 GET https h / none:0 a=\xc3\xa4", {GET, F("a", "\xc3\xa4")}, 0},
    {"a tab within a value", "0 GET https h / none:0 a=1\t2", {GET, F("a", "1\t2")}, 0},
    {"cookies in crumbs",
     "0 GET https h / none:0 a=1 cookie=x=1; y=2; z=3 b=2",
     {GET, F("a", "1"), F("cookie", "x=1"), F("b", "2"), F("cookie", "y=2; z=3")},
     0},
    {"one crumb", "0 GET https h / none:0 cookie=x=1", {GET, F("cookie", "x=1")}, 0},
    {"an empty crumb",
     "0 GET https h / none:0 cookie=x=1; y=2",
     {GET, F("cookie", "x=1"), F("cookie", ""), F("cookie", "y=2")},
     0},
    {"an empty crumb at the end",
     "0 GET https h / none:0 cookie=x=1",
     {GET, F("cookie", "x=1"), F("cookie", "")},
     0},
    {"an empty crumb at the beginning",
     "0 GET https h / none:0 cookie=x=1",
     {GET, F("cookie", ""), F("cookie", "x=1")},
     0},
    {"nothing but empty crumbs",
     "0 GET https h / none:0 cookie=",
     {GET, F("cookie", ""), F("cookie", "")},
     0},
    {"trailers are welcome", "0 GET https h / none:0 trailers", {GET, F("te", "trailers")}, 0},
    {"and in any case", "0 GET https h / none:0 trailers", {GET, F("te", "Trailers")}, 0},
    {"content to its end", "0 POST https h / streamed:0", {POST}, 1},
    {"content with a length", "0 POST https h / length:5", {POST, F("content-length", "5")}, 1},
    {"content of none", "0 POST https h / none:0", {POST, F("content-length", "0")}, 0},
    {"content of none that goes on",
     "0 POST https h / length:0",
     {POST, F("content-length", "0")},
     1},
    {"content of GET", "0 GET https h / streamed:0", {GET}, 1},
    {"an expectation",
     "0 POST https h / streamed:0 continue",
     {POST, F("expect", "100-continue")},
     1},
    {"an expectation of nothing",
     "0 POST https h / none:0",
     {POST, F("expect", "100-continue")},
     0},
    {"fields that CGI would take for ours",
     "0 GET https h / none:0 x=1",
     {GET, F("proxy", "http://evil"), F("x", "1"), F("x_forwarded_for", "1.2.3.4")},
     0},
    {"a WebSocket",
     "0 GET https h / none:0 upgrade=websocket sec-websocket-version=13 sec-websocket-key=key",
     {CONNECT, F(":protocol", "websocket"), F("sec-websocket-version", "13")},
     1},
    {"a WebSocket whose client chose a key",
     "0 GET https h / none:0 upgrade=websocket sec-websocket-key=key",
     {CONNECT, F(":protocol", "WebSocket"), F("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")},
     1},
    {"as many fields as are allowed",
     "0 GET https h / none:0 a= b= c= d= e= f= g= h=",
     {GET, F("a", ""), F("b", ""), F("c", ""), F("d", ""), F("e", ""), F("f", ""), F("g", ""),
      F("h", "")},
     0},
};

static void what_breaks_none_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(understood); i++) {
        char text[1024];
        struct message request;
        enum fault_code fault = make_request(understood[i].pairs, !understood[i].goes_on, &request);
        if (fault != FAULT_NONE) {
            fail_msg("%s: %s", understood[i].name, fault_name(fault));
        }
        describe(&request, text, sizeof(text));
        if (strcmp(text, understood[i].message) != 0) {
            fail_msg("%s: %s", understood[i].name, text);
        }
    }
}

/* What a client may choose must not choose what the backend's answer is checked against. */
static void the_key_of_a_websocket_is_ours(void **state)
{
    (void)state;
    const struct pair pairs[FIELDS_MAX] = {CONNECT, F(":protocol", "websocket"),
                                           F("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")};
    struct message request;
    assert_int_equal(make_request(pairs, false, &request), FAULT_NONE);
    const struct field *key = fields_find(&request.fields, FIELD_SEC_WEBSOCKET_KEY);
    assert_int_equal(fields_count(&request.fields, FIELD_SEC_WEBSOCKET_KEY), 1);
    assert_false(slice_equal(key->value, SLICE("dGhlIHNhbXBsZSBub25jZQ==")));
}

static void a_tunnel_is_refused_where_none_was_offered(void **state)
{
    (void)state;
    struct block block;
    struct message request;
    const struct pair pairs[FIELDS_MAX] = {CONNECT, F(":protocol", "websocket")};
    const struct block_facts facts = {.scheme = SLICE("https")};
    block_begin(&block, &arena, &limits, false);
    add_all(&block, pairs);
    assert_int_equal(block_to_request(&block, &facts, &request), FAULT_H2_PSEUDO_FIELD);
}

static void the_first_fault_counts(void **state)
{
    (void)state;
    const struct pair pairs[FIELDS_MAX] = {METHOD, F("x-a", "1\n"), F("X-b", "1"), F(":path", "/")};
    struct message request;
    assert_int_equal(make_request(pairs, true, &request), FAULT_H2_FIELD_VALUE);
}

/* ---- size ---- */

static void a_block_that_is_too_large_is_dropped_and_then_ends_the_conn(void **state)
{
    (void)state;
    static char value[1000];
    memset(value, 'v', sizeof(value));
    const struct pair large = {{"x-a", 3}, {value, sizeof(value)}};
    const struct pair pairs[FIELDS_MAX] = {GET};
    struct block block;
    struct message request;
    const struct block_facts facts = {.is_last = true, .scheme = SLICE("https")};
    block_begin(&block, &arena, &limits, false);
    add_all(&block, pairs);
    assert_true(add(&block, &large));
    assert_int_equal(block.fault, FAULT_NONE);
    assert_true(add(&block, &large));
    size_t kept = arena.taken_bytes;
    size_t bytes = block.bytes;
    for (; add(&block, &large); bytes = block.bytes) {
        assert_true(bytes < 2 * limits.header_bytes * H2_BLOCK_FACTOR);
    }
    assert_true(bytes <= limits.header_bytes * H2_BLOCK_FACTOR);
    assert_int_equal(arena.taken_bytes, kept); /* nothing of it was kept */
    assert_int_equal(block_to_request(&block, &facts, &request), FAULT_LIMIT_HEADER_BYTES);
    assert_int_equal(request.method, METHOD_GET); /* for the log */
    assert_true(slice_equal(request.authority, SLICE("h")));
}

/* RFC 9113 §6.5.2: each field counts for 32 bytes more than it has. */
static void small_fields_count_too(void **state)
{
    (void)state;
    const struct message_limits many = {.header_bytes = 340, .header_count = 1000};
    const struct pair empty = F("a", "");
    struct block block;
    block_begin(&block, &arena, &many, false);
    for (int i = 0; i < 10; i++) {
        assert_true(add(&block, &empty));
    }
    assert_int_equal(block.fault, FAULT_NONE);
    assert_true(add(&block, &empty));
    assert_int_equal(block.fault, FAULT_LIMIT_HEADER_BYTES);
}

/* For the state of the compression it must be decoded all the same. */
static void a_block_that_nobody_wants_is_counted_only(void **state)
{
    (void)state;
    const struct pair pairs[FIELDS_MAX] = {GET, F("X-A", "\n")};
    struct block block;
    size_t kept = arena.taken_bytes;
    block_begin(&block, NULL, &limits, false);
    add_all(&block, pairs);
    assert_int_equal(block.fault, FAULT_NONE);
    assert_int_equal(block.fields.count, 0);
    assert_int_equal(arena.taken_bytes, kept);
}

static void an_arena_that_is_full_is_a_fault_of_ours(void **state)
{
    (void)state;
    for (size_t room = 0; room < 20000; room += ARENA_BLOCK_BYTES / 4) {
        const struct pair pairs[FIELDS_MAX] = {CONNECT, F(":protocol", "websocket"),
                                               F("cookie", "a=b"), F("cookie", "c=d")};
        struct arena small;
        struct block block;
        struct message request;
        const struct block_facts facts = {.takes_tunnels = true, .scheme = SLICE("https")};
        arena_init(&small, &pool, room);
        block_begin(&block, &small, &limits, false);
        add_all(&block, pairs);
        enum fault_code fault = block_to_request(&block, &facts, &request);
        assert_true(fault == FAULT_NONE || fault == FAULT_LIMIT_MEMORY);
        arena_reset(&small);
    }
}

/* ---- responses ---- */

static enum fault_code make_response(const struct pair *pairs, const struct block_facts *facts,
                                     struct message *out)
{
    struct block block;
    block_begin(&block, &arena, &limits, false);
    add_all(&block, pairs);
    return block_to_response(&block, facts, out);
}

static const struct response {
    const char *name;
    const char *message; /* NULL: refused */
    struct pair pairs[FIELDS_MAX];
    struct block_facts facts;
} responses[] = {
    {"content to its end", "200     streamed:0 a=b", {F(":status", "200"), F("a", "b")}, {0}},
    {"content with a length",
     "200     length:5",
     {F(":status", "200"), F("content-length", "5")},
     {0}},
    {"no content", "200     none:0", {F(":status", "200")}, {.is_last = true}},
    {"204", "204     none:0", {F(":status", "204")}, {.is_last = true}},
    {"204 that goes on", "204     none:0", {F(":status", "204")}, {0}},
    {"304 with a length",
     "304     none:5 told",
     {F(":status", "304"), F("content-length", "5")},
     {.is_last = true}},
    {"HEAD with a length",
     "200     none:5 told",
     {F(":status", "200"), F("content-length", "5")},
     {.is_last = true, .method = METHOD_HEAD}},
    {"interim", "103     none:0 link=x", {F(":status", "103"), F("link", "x")}, {0}},
    {"a tunnel",
     "101     tunnel:0 upgrade=websocket",
     {F(":status", "200")},
     {.upgrade_was_asked = true, .method = METHOD_GET}},
    {"a tunnel that ends with its head",
     "200     none:0",
     {F(":status", "200")},
     {.upgrade_was_asked = true, .is_last = true, .method = METHOD_GET}},
    {"a tunnel that is refused",
     "403     streamed:0",
     {F(":status", "403")},
     {.upgrade_was_asked = true, .method = METHOD_GET}},
    {"cookies stay apart",
     "200     none:0 set-cookie=a set-cookie=b",
     {F(":status", "200"), F("set-cookie", "a"), F("set-cookie", "b")},
     {.is_last = true}},
    {"no status", NULL, {F("a", "b")}, {0}},
    {"a status of two digits", NULL, {F(":status", "20")}, {0}},
    {"a status of four", NULL, {F(":status", "2000")}, {0}},
    {"a status with a sign", NULL, {F(":status", "+20")}, {0}},
    {"a status of letters", NULL, {F(":status", "abc")}, {0}},
    {"an empty status", NULL, {F(":status", "")}, {0}},
    {"a status below all", NULL, {F(":status", "099")}, {0}},
    {"a status above all", NULL, {F(":status", "600")}, {0}},
    {"101", NULL, {F(":status", "101")}, {.upgrade_was_asked = true}},
    {"two", NULL, {F(":status", "200"), F(":status", "200")}, {0}},
    {"one behind another", NULL, {F("a", "b"), F(":status", "200")}, {0}},
    {"one of requests", NULL, {F(":status", "200"), F(":path", "/")}, {0}},
    {"an interim response that ends", NULL, {F(":status", "100")}, {.is_last = true}},
    {"a length, and no content",
     NULL,
     {F(":status", "200"), F("content-length", "5")},
     {.is_last = true}},
    {"204 with a length", NULL, {F(":status", "204"), F("content-length", "5")}, {0}},
    {"two lengths",
     NULL,
     {F(":status", "200"), F("content-length", "5"), F("content-length", "5")},
     {0}},
    {"a coding", NULL, {F(":status", "200"), F("transfer-encoding", "chunked")}, {0}},
    {"connection", NULL, {F(":status", "200"), F("connection", "close")}, {0}},
    {"upgrade", NULL, {F(":status", "200"), F("upgrade", "h2c")}, {0}},
    {"upper case", NULL, {F(":status", "200"), F("A", "b")}, {0}},
    {"a line end", NULL, {F(":status", "200"), F("a", "b\r\nc: d")}, {0}},
};

static void responses_are_understood_or_are_the_backends_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        char text[1024];
        struct message response;
        enum fault_code fault = make_response(responses[i].pairs, &responses[i].facts, &response);
        enum fault_code expected =
            responses[i].message == NULL ? FAULT_BACKEND_RESPONSE : FAULT_NONE;
        if (fault != expected) {
            fail_msg("%s: %s", responses[i].name, fault_name(fault));
        }
        if (fault == FAULT_NONE) {
            describe(&response, text, sizeof(text));
        }
        if (fault == FAULT_NONE && strcmp(text, responses[i].message) != 0) {
            fail_msg("%s: %s", responses[i].name, text);
        }
    }
}

static void a_response_that_is_too_large_is_the_backends_fault(void **state)
{
    (void)state;
    const struct pair pairs[FIELDS_MAX] = {
        F(":status", "200"), F("a", ""), F("b", ""), F("c", ""), F("d", ""), F("e", ""), F("f", ""),
        F("g", ""),          F("h", ""), F("i", ""), F("j", ""), F("k", ""), F("l", "")};
    struct message response;
    const struct block_facts facts = {0};
    assert_int_equal(make_response(pairs, &facts, &response), FAULT_BACKEND_HEADER_BYTES);
}

/* ---- trailers ---- */

static const struct trailer {
    const char *name;
    enum fault_code fault;
    size_t count;
    struct pair pairs[FIELDS_MAX];
} trailers[] = {
    {"some", FAULT_NONE, 2, {F("grpc-status", "0"), F("x-sum", "1")}},
    {"none", FAULT_NONE, 0, {{{NULL, 0}, {NULL, 0}}}},
    {"a pseudo-header field", FAULT_H2_PSEUDO_FIELD, 0, {F(":path", "/")}},
    {"a status", FAULT_H2_PSEUDO_FIELD, 0, {F(":status", "200")}},
    {"a length", FAULT_H2_TRAILER, 0, {F("content-length", "5")}},
    {"a coding", FAULT_H2_TRAILER, 0, {F("transfer-encoding", "chunked")}},
    {"Host", FAULT_H2_TRAILER, 0, {F("host", "h")}},
    {"an address", FAULT_H2_TRAILER, 0, {F("x-forwarded-for", "1.2.3.4")}},
    {"an address as CGI would read it", FAULT_H2_TRAILER, 0, {F("x_forwarded_for", "1.2.3.4")}},
    {"a cookie", FAULT_H2_TRAILER, 0, {F("x-sum", "1"), F("set-cookie", "a=b")}},
    {"upper case", FAULT_H2_FIELD_NAME, 0, {F("X-sum", "1")}},
    {"a line end", FAULT_H2_FIELD_VALUE, 0, {F("x-sum", "1\r\n")}},
    {"too many",
     FAULT_LIMIT_HEADER_COUNT,
     0,
     {F("a", ""), F("b", ""), F("c", ""), F("d", ""), F("e", ""), F("f", ""), F("g", ""),
      F("h", ""), F("i", ""), F("j", ""), F("k", ""), F("l", ""), F("m", "")}},
};

static void trailers_are_kept_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(trailers); i++) {
        struct block block;
        struct fields *out;
        block_begin(&block, &arena, &limits, true);
        add_all(&block, trailers[i].pairs);
        enum fault_code fault = block_to_trailers(&block, &out);
        size_t count = out != NULL ? out->count : 0;
        if (fault != trailers[i].fault || count != trailers[i].count) {
            fail_msg("%s: %s, %zu", trailers[i].name, fault_name(fault), count);
        }
        assert_true(out == NULL || count > 0);
    }
}

static void trailers_have_a_limit_of_their_own(void **state)
{
    (void)state;
    static char value[600];
    memset(value, 'v', sizeof(value));
    const struct pair large = {{"x-a", 3}, {value, sizeof(value)}};
    struct block block;
    struct fields *out;
    block_begin(&block, &arena, &limits, true);
    assert_true(add(&block, &large));
    assert_int_equal(block_to_trailers(&block, &out), FAULT_LIMIT_HEADER_BYTES);
    block_begin(&block, &arena, &limits, false);
    assert_true(add(&block, &large));
    assert_int_equal(block.fault, FAULT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_breaks_a_rule_is_refused),
        cmocka_unit_test(what_cannot_be_understood_has_no_answer),
        cmocka_unit_test(what_breaks_none_is_understood),
        cmocka_unit_test(the_key_of_a_websocket_is_ours),
        cmocka_unit_test(a_tunnel_is_refused_where_none_was_offered),
        cmocka_unit_test(the_first_fault_counts),
        cmocka_unit_test(a_block_that_is_too_large_is_dropped_and_then_ends_the_conn),
        cmocka_unit_test(small_fields_count_too),
        cmocka_unit_test(a_block_that_nobody_wants_is_counted_only),
        cmocka_unit_test(an_arena_that_is_full_is_a_fault_of_ours),
        cmocka_unit_test(responses_are_understood_or_are_the_backends_fault),
        cmocka_unit_test(a_response_that_is_too_large_is_the_backends_fault),
        cmocka_unit_test(trailers_are_kept_or_refused),
        cmocka_unit_test(trailers_have_a_limit_of_their_own),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
