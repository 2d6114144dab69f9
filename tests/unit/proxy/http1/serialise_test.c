/* tests/unit/proxy/http1/serialise_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1/serialise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct message a_request(void)
{
    return (struct message){.method = METHOD_GET,
                            .method_name = SLICE("GET"),
                            .authority = SLICE("a"),
                            .path = SLICE("/p"),
                            .query = SLICE("?q")};
}

static enum fault_code write_request(const struct message *request, char out[512], size_t *len)
{
    struct http1_sending sending = {.close = false};
    return http1_write_request(request, &sending, out, 512, len);
}

static void needed_room_is_told_and_never_passed(void **state)
{
    (void)state;
    struct message request = a_request();
    struct http1_sending sending = {.close = true};
    char whole[512];
    size_t len = 0;
    assert_int_equal(http1_write_request(&request, &sending, whole, sizeof(whole), &len),
                     FAULT_NONE);
    slice expected = SLICE("GET /p?q HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert_true(slice_equal((slice){whole, len}, expected));
    for (size_t room = 0; room <= len; room++) {
        char *out = malloc(room > 0 ? room : 1);
        size_t needed = 0;
        assert_non_null(out);
        assert_int_equal(http1_write_request(&request, &sending, out, room, &needed), FAULT_NONE);
        assert_int_equal(needed, len);
        free(out);
    }
}

static void nothing_splits_a_request(void **state)
{
    (void)state;
    char out[512];
    size_t len;
    static const slice bad[] = {{"/a b", 4}, {"/a\r\nx: y", 8}, {"/\0", 2}, {"/\t", 2}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct message request = a_request();
        request.path = bad[i];
        assert_int_equal(write_request(&request, out, &len), FAULT_INTERNAL);
        request = a_request();
        request.query = bad[i];
        assert_int_equal(write_request(&request, out, &len), FAULT_INTERNAL);
        request = a_request();
        request.authority = bad[i];
        assert_int_equal(write_request(&request, out, &len), FAULT_INTERNAL);
        request = a_request();
        request.method_name = bad[i];
        assert_int_equal(write_request(&request, out, &len), FAULT_INTERNAL);
    }
    struct message request = a_request();
    request.path = SLICE("p");
    assert_int_equal(write_request(&request, out, &len), FAULT_INTERNAL);
    request.path = SLICE("");
    assert_int_equal(write_request(&request, out, &len), FAULT_INTERNAL);
}

struct field_row {
    slice name;
    slice value;
    bool to_client;  /* may be sent in a response */
    bool to_backend; /* may be sent in a request */
};

/* clang-format off */
static const struct field_row field_rows[] = {
    {{"x", 1}, {"y", 1}, true, true},
    {{"server", 6}, {"y", 1}, true, true},
    {{"x", 1}, {"", 0}, true, true},
    {{"x", 1}, {"a\tb\xff", 4}, true, true},
    {{"X", 1}, {"y", 1}, false, false},
    {{"x y", 3}, {"y", 1}, false, false},
    {{"x:", 2}, {"y", 1}, false, false},
    {{"", 0}, {"y", 1}, false, false},
    {{"x\0", 2}, {"y", 1}, false, false},
    {{"x\r\ny", 4}, {"y", 1}, false, false},
    {{"x", 1}, {"y\r\nset-cookie: z", 16}, false, false},
    {{"x", 1}, {"y\r", 2}, false, false},
    {{"x", 1}, {"y\n", 2}, false, false},
    {{"x", 1}, {"\0", 1}, false, false},
    {{"location", 8}, {"/\r\n\r\n<script>", 13}, false, false},
    {{"content-length", 14}, {"1", 1}, false, false},
    {{"transfer-encoding", 17}, {"chunked", 7}, false, false},
    {{"connection", 10}, {"close", 5}, false, false},
    {{"upgrade", 7}, {"h2c", 3}, false, false},
    {{"keep-alive", 10}, {"5", 1}, false, false},
    {{"host", 4}, {"b", 1}, true, false},
    {{"expect", 6}, {"100-continue", 12}, true, false},
};
/* clang-format on */

static void only_sound_fields_that_are_not_ours_are_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(field_rows) / sizeof(field_rows[0]); i++) {
        const struct field_row *row = &field_rows[i];
        struct field field = {row->name, row->value, field_token_of(row->name)};
        struct fields fields = {&field, 1, 1};
        struct message request = a_request();
        struct message response = {.status = 200, .fields = fields};
        struct http1_sending sending = {.close = false};
        char out[512];
        size_t len;
        request.fields = fields;
        bool sent = write_request(&request, out, &len) == FAULT_NONE;
        bool answered =
            http1_write_response(&response, &sending, out, sizeof(out), &len) == FAULT_NONE;
        if (sent != row->to_backend || answered != row->to_client) {
            fail_msg("row %zu", i);
        }
    }
}

struct response_row {
    const char *claim;
    unsigned status;
    struct framing framing;
    struct http1_sending sending;
    const char *expected; /* NULL: cannot be sent */
    bool ends_conn;
};

#define OK "HTTP/1.1 200 OK\r\n"
/* clang-format off */
static const struct response_row response_rows[] = {
    {"a length", 200, {.kind = FRAMING_LENGTH, .length = 7}, {0}, OK "content-length: 7\r\n\r\n", false},
    {"a large length", 200, {.kind = FRAMING_LENGTH, .length = UINT64_MAX}, {0}, OK "content-length: 18446744073709551615\r\n\r\n", false},
    {"nothing is a length of zero", 200, {.kind = FRAMING_NONE}, {0}, OK "content-length: 0\r\n\r\n", false},
    {"a stream is chunked", 200, {.kind = FRAMING_STREAMED}, {0}, OK "transfer-encoding: chunked\r\n\r\n", false},
    {"to HTTP/1.0 it ends the conn", 200, {.kind = FRAMING_STREAMED}, {.to_http10 = true}, OK "connection: close\r\n\r\n", true},
    {"until close is chunked", 200, {.kind = FRAMING_UNTIL_CLOSE}, {0}, OK "transfer-encoding: chunked\r\n\r\n", false},
    {"to HTTP/1.0 it ends the conn too", 200, {.kind = FRAMING_UNTIL_CLOSE}, {.to_http10 = true}, OK "connection: close\r\n\r\n", true},
    {"keep-alive is said to HTTP/1.0", 200, {.kind = FRAMING_LENGTH, .length = 1}, {.to_http10 = true}, OK "content-length: 1\r\nconnection: keep-alive\r\n\r\n", false},
    {"close", 200, {.kind = FRAMING_LENGTH, .length = 1}, {.close = true}, OK "content-length: 1\r\nconnection: close\r\n\r\n", true},
    {"HEAD tells a length", 200, {.kind = FRAMING_NONE, .length = 5, .tells_length = true}, {.answers_head = true}, OK "content-length: 5\r\n\r\n", false},
    {"HEAD tells none", 200, {.kind = FRAMING_NONE}, {.answers_head = true}, OK "\r\n", false},
    {"HEAD of a stream", 200, {.kind = FRAMING_STREAMED}, {.answers_head = true, .to_http10 = true}, OK "connection: keep-alive\r\n\r\n", false},
    {"204", 204, {.kind = FRAMING_NONE}, {0}, "HTTP/1.1 204 No Content\r\n\r\n", false},
    {"204 with a length of zero", 204, {.kind = FRAMING_LENGTH}, {0}, "HTTP/1.1 204 No Content\r\n\r\n", false},
    {"204 with content", 204, {.kind = FRAMING_LENGTH, .length = 1}, {0}, NULL, false},
    {"304", 304, {.kind = FRAMING_NONE}, {0}, "HTTP/1.1 304 Not Modified\r\n\r\n", false},
    {"interim says nothing of the conn", 103, {.kind = FRAMING_NONE}, {.close = true}, "HTTP/1.1 103 Early Hints\r\n\r\n", false},
    {"interim to HTTP/1.0", 100, {.kind = FRAMING_NONE}, {.to_http10 = true}, NULL, false},
    {"101 without a tunnel", 101, {.kind = FRAMING_NONE}, {0}, NULL, false},
    {"a tunnel without 101", 200, {.kind = FRAMING_TUNNEL}, {0}, NULL, false},
    {"status 99", 99, {.kind = FRAMING_NONE}, {0}, NULL, false},
    {"status 600", 600, {.kind = FRAMING_NONE}, {0}, NULL, false},
};
/* clang-format on */

static void responses_are_framed_for_who_gets_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(response_rows) / sizeof(response_rows[0]); i++) {
        const struct response_row *row = &response_rows[i];
        struct message response = {.status = row->status, .framing = row->framing};
        char out[512];
        size_t len = 0;
        enum fault_code fault =
            http1_write_response(&response, &row->sending, out, sizeof(out), &len);
        if ((fault == FAULT_NONE) != (row->expected != NULL) ||
            (fault == FAULT_NONE && !slice_equal((slice){out, len}, slice_of(row->expected)))) {
            fail_msg("%s: %.*s", row->claim, (int)len, out);
        }
        if (row->expected != NULL) {
            assert_int_equal(http1_response_ends_conn(&response, &row->sending), row->ends_conn);
            assert_int_equal(http1_response_is_chunked(&response, &row->sending),
                             strstr(row->expected, "chunked") != NULL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needed_room_is_told_and_never_passed),
        cmocka_unit_test(nothing_splits_a_request),
        cmocka_unit_test(only_sound_fields_that_are_not_ours_are_sent),
        cmocka_unit_test(responses_are_framed_for_who_gets_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
