/* tests/unit/proxy/relay/server_codecs_test.c
 *
 * Which codec speaks with a client; and that it makes no difference to what a request means.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/tls_facts.h"
#include "proxy/net/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http1/request.h"
#include "proxy/http1/serialise.h"
#include "proxy/http2/block.h"
#include "proxy/http2/head.h"
#include "support/arena_rig.h"

/* What the handshake has agreed on, without one. */
static const char *agreed;

static void agreed_facts(const struct stream *stream, struct tls_facts *facts)
{
    (void)stream;
    *facts = (struct tls_facts){0};
    (void)snprintf(facts->alpn, sizeof(facts->alpn), "%s", agreed);
}

#define stream_tls_facts agreed_facts
#include "proxy/relay/server_codecs.c"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void over_tls_the_codec_is_what_was_agreed_on(void **state)
{
    (void)state;
    agreed = "h2";
    assert_true(server_codec_of_tls(NULL) == http2_server_open);
    agreed = "http/1.1";
    assert_true(server_codec_of_tls(NULL) == http1_server_open);
    agreed = "";
    assert_true(server_codec_of_tls(NULL) == http1_server_open);
}

static void in_plaintext_the_preface_tells(void **state)
{
    (void)state;
    slice preface = SLICE(HTTP2_PREFACE);
    for (size_t len = 0; len < preface.len; len++) {
        assert_true(server_codec_of_bytes(slice_first(preface, len)) == NULL);
    }
    assert_int_equal(preface.len, SERVER_CODEC_BYTES);
    assert_true(server_codec_of_bytes(preface) == http2_server_open);
    assert_true(server_codec_of_bytes(SLICE(HTTP2_PREFACE "more")) == http2_server_open);
    assert_true(server_codec_of_bytes(SLICE("G")) == http1_server_open);
    assert_true(server_codec_of_bytes(SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\rx")) ==
                http1_server_open);
    assert_true(server_codec_of_bytes(SLICE("PRI * HTTP/1.1\r\n")) == http1_server_open);
}

/* ---- from HTTP/1.1 to HTTP/2 and back ---- */

enum { HEAD_ROOM = 8192 };

static const struct message_limits limits = {
    .header_bytes = 8192, .header_count = 64, .uri_bytes = 4096};

static struct message read_http1(const char *text)
{
    struct message message;
    struct http1_wire wire;
    slice head = arena_copy(&arena, slice_of(text));
    assert_int_equal(http1_parse_request((char *)(uintptr_t)head.at, head.len, SLICE("https"),
                                         &arena, &limits, &message, &wire),
                     FAULT_NONE);
    return message;
}

static struct message carry_over_http2(const struct message *request)
{
    struct head head;
    struct block block;
    struct message message;
    const struct block_facts facts = {
        .is_last = request->framing.kind == FRAMING_NONE && request->upgrade.len == 0,
        .takes_tunnels = true,
        .scheme = SLICE("https"),
    };
    assert_int_equal(head_of_request(request, &arena, &head), FAULT_NONE);
    block_begin(&block, &arena, &limits, false);
    for (size_t i = 0; i < head.count; i++) {
        assert_true(block_add(&block, (slice){(char *)head.at[i].name, head.at[i].namelen},
                              (slice){(char *)head.at[i].value, head.at[i].valuelen}));
    }
    assert_int_equal(block_to_request(&block, &facts, &message), FAULT_NONE);
    return message;
}

static void write_http1(const struct message *request, char *out)
{
    const struct http1_sending sending = {0};
    size_t needed = 0;
    assert_int_equal(http1_write_request(request, &sending, out, HEAD_ROOM - 1, &needed),
                     FAULT_NONE);
    out[needed] = '\0';
}

/* As we write them, so that what comes out can be compared with what went in. */
static const char *const requests[] = {
    "GET /a?b=c HTTP/1.1\r\nhost: example.org:8443\r\naccept: */*\r\nx-a: 1\r\nx-a: 2\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: h\r\nx-a: 1\r\ncontent-length: 5\r\n\r\n",
    "PUT /%2e%2e/ HTTP/1.1\r\nhost: [::1]\r\ntransfer-encoding: chunked\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
    "HEAD / HTTP/1.1\r\nhost: h\r\ncookie: a=b; c=d\r\nauthorization: Basic x\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: h\r\nx-empty: \r\nx-tab: a\tb\r\nx-high: \xc3\xa4\r\n\r\n",
};

static void a_request_is_the_same_over_either_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) {
        char before[HEAD_ROOM];
        char after[HEAD_ROOM];
        struct message request = read_http1(requests[i]);
        struct message carried = carry_over_http2(&request);
        write_http1(&request, before);
        write_http1(&carried, after);
        assert_string_equal(after, before);
        assert_int_equal(carried.method, request.method);
        assert_int_equal(carried.framing.kind, request.framing.kind);
        assert_int_equal(carried.framing.length, request.framing.length);
    }
}

/* The key is one hop's own; all the rest is the client's. */
static void a_websocket_is_the_same_over_either_version(void **state)
{
    (void)state;
    struct message request =
        read_http1("GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                   "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "sec-websocket-version: 13\r\n\r\n");
    struct message carried = carry_over_http2(&request);
    assert_true(slice_equal(carried.upgrade, SLICE("websocket")));
    assert_true(slice_equal(carried.path, SLICE("/ws")));
    assert_int_equal(carried.method, METHOD_GET);
    fields_remove(&request.fields, FIELD_SEC_WEBSOCKET_KEY);
    fields_remove(&carried.fields, FIELD_SEC_WEBSOCKET_KEY);
    char before[HEAD_ROOM];
    char after[HEAD_ROOM];
    write_http1(&request, before);
    write_http1(&carried, after);
    assert_string_equal(after, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_tls_the_codec_is_what_was_agreed_on),
        cmocka_unit_test(in_plaintext_the_preface_tells),
        cmocka_unit_test(a_request_is_the_same_over_either_version),
        cmocka_unit_test(a_websocket_is_the_same_over_either_version),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
