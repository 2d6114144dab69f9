/* tests/unit/proxy/http1/response_test.c
 *
 * A response goes in as bytes and comes out as the bytes that we would send to an HTTP/1.1 client,
 * or as the fault's name with the exact rule behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http1/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/http1/serialise.h"

struct row {
    const char *claim;
    struct http1_asked asked;
    slice input;
    slice expected;
};

#define ROW(claim, method, upgrade, input, expected)                                               \
    {                                                                                              \
        claim, {METHOD_##method, upgrade}, {input, sizeof(input) - 1},                             \
        {                                                                                          \
            expected, sizeof(expected) - 1                                                         \
        }                                                                                          \
    }
#define OK    "HTTP/1.1 200 OK\r\n"
#define END   "\r\n"
#define EMPTY "content-length: 0\r\n\r\n"

/* clang-format off */
static const struct row rows[] = {
    ROW("a length", GET, false, OK "Content-Length: 5\r\nServer: x\r\n" END, OK "server: x\r\ncontent-length: 5\r\n" END),
    ROW("chunked", GET, false, OK "Transfer-Encoding: chunked\r\n" END, OK "transfer-encoding: chunked\r\n" END),
    ROW("until close becomes chunked, and that conn ends", GET, false, OK END, OK "transfer-encoding: chunked\r\n\r\nclose_after"),
    ROW("our own reason phrase", GET, false, "HTTP/1.1 200 <script>\r\nContent-Length: 0\r\n" END, OK EMPTY),
    ROW("no reason phrase", GET, false, "HTTP/1.1 200 \r\nContent-Length: 0\r\n" END, OK EMPTY),
    ROW("no space behind the status", GET, false, "HTTP/1.1 200\r\nContent-Length: 0\r\n" END, OK EMPTY),
    ROW("a status of no name", GET, false, "HTTP/1.1 299 x\r\nContent-Length: 0\r\n" END, "HTTP/1.1 299 Unknown\r\n" EMPTY),
    ROW("HTTP/1.0", GET, false, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n" END, OK EMPTY "close_after"),
    ROW("HTTP/1.0 keep-alive", GET, false, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n" END, OK EMPTY),
    ROW("close", GET, false, OK "Connection: close\r\nContent-Length: 0\r\n" END, OK EMPTY "close_after"),
    ROW("HEAD tells the length", HEAD, false, OK "Content-Length: 99\r\n" END, OK "content-length: 99\r\n" END),
    ROW("HEAD of a chunked resource", HEAD, false, OK "Transfer-Encoding: chunked\r\n" END, OK END),
    ROW("HEAD without framing", HEAD, false, OK END, OK END),
    ROW("204", GET, false, "HTTP/1.1 204 No Content\r\n" END, "HTTP/1.1 204 No Content\r\n" END),
    ROW("204 with a length of zero", GET, false, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n" END, "HTTP/1.1 204 No Content\r\n" END),
    ROW("304 tells the length", GET, false, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n" END, "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n" END),
    ROW("103 is interim", GET, false, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n" END, "HTTP/1.1 103 Early Hints\r\nlink: x\r\n" END),
    ROW("100 is interim", POST, false, "HTTP/1.1 100 Continue\r\n" END, "HTTP/1.1 100 Continue\r\n" END),
    ROW("several cookies stay apart, in order", GET, false, OK "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n" END, OK "set-cookie: a=1\r\nset-cookie: b=2\r\n" EMPTY),
    ROW("hop-by-hop fields are removed", GET, false, OK "Keep-Alive: 5\r\nX: 1\r\nConnection: keep-alive, x\r\nUpgrade: h2\r\nContent-Length: 0\r\n" END, OK EMPTY),
    ROW("websocket", GET, true, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n" END, "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nclose_after"),
    ROW("an upgrade refused is an ordinary response", GET, true, "HTTP/1.1 426 x\r\nUpgrade: websocket\r\nContent-Length: 0\r\n" END, "HTTP/1.1 426 Upgrade Required\r\n" EMPTY),
    /* attacks and breakage */
    ROW("101 unasked", GET, false, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" END, "backend_upgrade backend_upgrade"),
    ROW("101 to another protocol", GET, true, "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n" END, "backend_upgrade backend_upgrade"),
    ROW("101 to two protocols", GET, true, "HTTP/1.1 101 x\r\nUpgrade: websocket, h2c\r\nConnection: upgrade\r\n" END, "backend_upgrade backend_upgrade"),
    ROW("101 without Upgrade", GET, true, "HTTP/1.1 101 x\r\nConnection: upgrade\r\n" END, "backend_upgrade backend_upgrade"),
    ROW("101 without Connection", GET, true, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" END, "backend_upgrade backend_upgrade"),
    ROW("no status line", GET, false, "<html>hello", "h1_status_line h1_status_line"),
    ROW("an empty line first", GET, false, "\r\n" OK END, "h1_status_line h1_status_line"),
    ROW("HTTP/2 spoken", GET, false, "HTTP/2 200 \r\n" END, "h1_status_line h1_status_line"),
    ROW("HTTP/1.2", GET, false, "HTTP/1.2 200 OK\r\n" END, "h1_status_line h1_status_line"),
    ROW("status of two digits", GET, false, "HTTP/1.1 20 OK\r\n" END, "h1_status_line h1_status_line"),
    ROW("status of four digits", GET, false, "HTTP/1.1 2000 OK\r\n" END, "h1_status_line h1_status_line"),
    ROW("status with a sign", GET, false, "HTTP/1.1 +20 OK\r\n" END, "h1_status_line h1_status_line"),
    ROW("two spaces", GET, false, "HTTP/1.1  200 OK\r\n" END, "h1_status_line h1_status_line"),
    ROW("control character in the reason", GET, false, "HTTP/1.1 200 O\x01K\r\n" END, "h1_status_line h1_status_line"),
    ROW("status 099", GET, false, "HTTP/1.1 099 OK\r\n" END, "backend_response backend_response"),
    ROW("status 600", GET, false, "HTTP/1.1 600 OK\r\n" END, "backend_response backend_response"),
    ROW("status 000", GET, false, "HTTP/1.1 000 OK\r\n" END, "backend_response backend_response"),
    ROW("interim in HTTP/1.0", GET, false, "HTTP/1.0 100 Continue\r\n" END, "backend_response backend_response"),
    ROW("CL.TE", GET, false, OK "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" END, "backend_response length_and_coding"),
    ROW("CL.CL", GET, false, OK "Content-Length: 3\r\nContent-Length: 3\r\n" END, "backend_response length_repeated"),
    ROW("a bad length", GET, false, OK "Content-Length: 3a\r\n" END, "backend_response length_malformed"),
    ROW("a bad length of HEAD", HEAD, false, OK "Content-Length: -1\r\n" END, "backend_response length_malformed"),
    ROW("coding in HTTP/1.0", GET, false, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" END, "backend_response coding_in_http10"),
    ROW("coding in 204", GET, false, "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n" END, "backend_response coding_malformed"),
    ROW("length in 204", GET, false, "HTTP/1.1 204 x\r\nContent-Length: 4\r\n" END, "backend_response length_malformed"),
    ROW("length in 100", GET, false, "HTTP/1.1 100 x\r\nContent-Length: 4\r\n" END, "backend_response length_malformed"),
    ROW("gzip, chunked", GET, false, OK "Transfer-Encoding: gzip, chunked\r\n" END, "backend_response coding_unknown"),
    ROW("obs-fold", GET, false, OK "A: b\r\n c\r\n" END, "backend_response h1_obs_fold"),
    ROW("NUL in a value", GET, false, OK "A: b\0c\r\n" END, "backend_response h1_field_value"),
    ROW("bare LF", GET, false, OK "A: b\n" END, "backend_response h1_bare_lf"),
    ROW("bare CR", GET, false, OK "A: b\rc\r\n" END, "backend_response h1_bare_cr"),
    ROW("space before the colon", GET, false, OK "A : b\r\n" END, "backend_response h1_space_before_colon"),
    ROW("Connection names Set-Cookie", GET, false, OK "Connection: Set-Cookie\r\n" END, "backend_response connection_malformed"),
    ROW("too many fields", GET, false, OK "a:\r\na:\r\na:\r\na:\r\na:\r\na:\r\n" END, "backend_header_bytes limit_header_count"),
};
/* clang-format on */

static const struct message_limits limits = {.header_bytes = 500, .header_count = 5, .uri_bytes = 10};

static slice print_fault(struct arena *arena, enum fault_code fault, enum fault_code detail)
{
    slice parts[] = {slice_of(fault_name(fault)), SLICE(" "), slice_of(fault_name(detail))};
    return arena_join(arena, parts, 3);
}

static slice parse_and_write(const struct row *row, slice head, struct arena *arena)
{
    enum { ROOM = 1024 };
    struct message message;
    struct http1_wire wire;
    slice copy = arena_copy(arena, head);
    enum fault_code fault = http1_parse_response((char *)(uintptr_t)copy.at, copy.len, &row->asked,
                                                 arena, &limits, &message, &wire);
    if (fault != FAULT_NONE) {
        return print_fault(arena, fault, wire.detail);
    }
    struct http1_sending sending = {.answers_head = row->asked.method == METHOD_HEAD};
    size_t needed = 0;
    char *out = arena_take(arena, ROOM);
    assert_non_null(out);
    fault = http1_write_response(&message, &sending, out, ROOM, &needed);
    assert_int_equal(fault, FAULT_NONE);
    slice parts[] = {{out, needed}, wire.close_after ? SLICE("close_after") : SLICE("")};
    return arena_join(arena, parts, 2);
}

static slice outcome(const struct row *row, size_t first, size_t step, struct arena *arena)
{
    struct http1_head_scan scan;
    http1_head_scan_init(&scan, HTTP1_RESPONSE_HEAD);
    for (size_t len = first;; len = len + step < row->input.len ? len + step : row->input.len) {
        size_t head_len = 0;
        enum fault_code fault = FAULT_NONE;
        char *shown = malloc(len > 0 ? len : 1);
        assert_non_null(shown);
        memcpy(shown, row->input.at, len);
        enum status status =
            http1_head_scan(&scan, (slice){shown, len}, &limits, &head_len, &fault);
        free(shown);
        if (status == STATUS_OK) {
            return parse_and_write(row, slice_first(row->input, head_len), arena);
        }
        if (status != STATUS_AGAIN) {
            return print_fault(arena, fault, scan.detail);
        }
        if (len == row->input.len) {
            return SLICE("again");
        }
    }
}

static void check(const struct row *row, size_t first, size_t step)
{
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 20);
    slice got = outcome(row, first, step, &arena);
    if (!slice_equal(got, row->expected)) {
        fail_msg("%s (first %zu, step %zu): got\n%.*s\nexpected\n%.*s", row->claim, first, step,
                 SLICE_FORMAT(got), SLICE_FORMAT(row->expected));
    }
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

static void responses_mean_what_they_say_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(&rows[i], rows[i].input.len, 1);
    }
}

static void responses_mean_the_same_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(&rows[i], 0, 1);
    }
}

static void responses_mean_the_same_split_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t first = 0; first < rows[i].input.len; first++) {
            check(&rows[i], first, rows[i].input.len);
        }
    }
}

static void faults_of_responses_are_never_the_clients(void **state)
{
    (void)state;
    for (unsigned code = FAULT_NONE + 1; code < FAULT_CODES; code++) {
        unsigned status = fault_http_status(http1_response_fault((enum fault_code)code));
        assert_true(status >= 500);
    }
    assert_int_equal(http1_response_fault(FAULT_NONE), FAULT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_mean_what_they_say_whole),
        cmocka_unit_test(responses_mean_the_same_byte_by_byte),
        cmocka_unit_test(responses_mean_the_same_split_anywhere),
        cmocka_unit_test(faults_of_responses_are_never_the_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
