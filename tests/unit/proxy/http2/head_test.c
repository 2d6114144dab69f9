/* tests/unit/proxy/http2/head_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http2/block.h"
#include "support/arena_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FIELDS_MAX = 6, ROOM = 64 * 1024 };

static const struct message_limits limits = {
    .header_bytes = 65536, .header_count = 100, .uri_bytes = 8192};

struct pair {
    const char *name;
    const char *value;
};

static void add_pairs(struct fields *fields, const struct pair *pairs)
{
    for (size_t i = 0; i < FIELDS_MAX && pairs[i].name != NULL; i++) {
        enum field_token token = field_token_of(slice_of(pairs[i].name));
        enum status status = token != FIELD_OTHER
                                 ? fields_add(fields, &arena, token, slice_of(pairs[i].value))
                                 : fields_add_named(fields, &arena, slice_of(pairs[i].name),
                                                    slice_of(pairs[i].value));
        assert_int_equal(status, STATUS_OK);
    }
}

/* As text: `name=value` each. */
static void describe(const struct head *head, char *out, size_t room)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < head->count; i++) {
        const nghttp2_nv *field = &head->at[i];
        bool is_hidden = (field->flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0;
        len +=
            (size_t)snprintf(out + len, room - len, "%s%.*s=%.*s%s", i > 0 ? " " : "",
                             (int)field->namelen, (const char *)field->name, (int)field->valuelen,
                             (const char *)field->value, is_hidden ? "!" : "");
    }
}

/* Through the compression and back, into a block. */
static void carry(const struct head *head, struct block *block)
{
    static uint8_t bytes[ROOM];
    nghttp2_hd_deflater *deflater;
    nghttp2_hd_inflater *inflater;
    assert_int_equal(nghttp2_hd_deflate_new(&deflater, 4096), 0);
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    ssize_t len = nghttp2_hd_deflate_hd(deflater, bytes, sizeof(bytes), head->at, head->count);
    assert_true(len > 0);
    size_t at = 0;
    int flags = 0;
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv field;
        ssize_t used =
            nghttp2_hd_inflate_hd2(inflater, &field, &flags, bytes + at, (size_t)len - at, 1);
        assert_true(used >= 0);
        at += (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            assert_true(block_add(block, (slice){(const char *)field.name, field.namelen},
                                  (slice){(const char *)field.value, field.valuelen}));
        }
    }
    nghttp2_hd_deflate_del(deflater);
    nghttp2_hd_inflate_del(inflater);
}

static void expect_same(const char *name, const struct message *a, const struct message *b)
{
    bool is_same = a->method == b->method && slice_equal(a->method_name, b->method_name) &&
                   slice_equal(a->scheme, b->scheme) && slice_equal(a->authority, b->authority) &&
                   slice_equal(a->path, b->path) && slice_equal(a->query, b->query) &&
                   a->status == b->status && a->framing.kind == b->framing.kind &&
                   a->framing.length == b->framing.length &&
                   a->framing.tells_length == b->framing.tells_length &&
                   slice_equal(a->upgrade, b->upgrade) &&
                   a->expects_continue == b->expects_continue &&
                   a->accepts_trailers == b->accepts_trailers && a->fields.count == b->fields.count;
    for (size_t i = 0; is_same && i < a->fields.count; i++) {
        const struct field *one = &a->fields.at[i];
        const struct field *other = &b->fields.at[i];
        bool is_key = one->token == FIELD_SEC_WEBSOCKET_KEY; /* a fresh one */
        is_same = one->token == other->token && slice_equal(one->name, other->name) &&
                  (is_key || slice_equal(one->value, other->value));
    }
    if (!is_same) {
        fail_msg("%s is another message afterwards", name);
    }
}

/* ---- requests ---- */

static struct message request_of(const char *method, const char *path, const char *query)
{
    return (struct message){
        .method = method_of(slice_of(method)),
        .method_name = slice_of(method),
        .scheme = SLICE("https"),
        .authority = SLICE("example.org:8443"),
        .path = slice_of(path),
        .query = slice_of(query),
    };
}

static const struct request_row {
    const char *method;
    const char *path;
    const char *query;
    struct framing framing;
    bool expects_continue;
    bool accepts_trailers;
    const char *upgrade;
    struct pair pairs[FIELDS_MAX];
    const char *head;
} requests[] = {
    {"GET",
     "/",
     "",
     {.kind = FRAMING_NONE},
     false,
     false,
     "",
     {{0}},
     ":method=GET :scheme=https :authority=example.org:8443 :path=/"},
    {"GET",
     "/a",
     "?b=c",
     {.kind = FRAMING_NONE},
     false,
     true,
     "",
     {{"accept", "*/*"}, {"x-a", "1"}, {"x-a", ""}},
     ":method=GET :scheme=https :authority=example.org:8443 :path=/a?b=c accept=*/* x-a=1 x-a= "
     "te=trailers"},
    {"OPTIONS",
     "*",
     "",
     {.kind = FRAMING_NONE},
     false,
     false,
     "",
     {{0}},
     ":method=OPTIONS :scheme=https :authority=example.org:8443 :path=*"},
    {"POST",
     "/",
     "",
     {.kind = FRAMING_LENGTH, .length = 5},
     true,
     false,
     "",
     {{0}},
     ":method=POST :scheme=https :authority=example.org:8443 :path=/ content-length=5! "
     "expect=100-continue"},
    {"PUT",
     "/",
     "",
     {.kind = FRAMING_STREAMED},
     false,
     false,
     "",
     {{0}},
     ":method=PUT :scheme=https :authority=example.org:8443 :path=/"},
    {"PROPFIND",
     "/",
     "",
     {.kind = FRAMING_LENGTH},
     false,
     false,
     "",
     {{0}},
     ":method=PROPFIND :scheme=https :authority=example.org:8443 :path=/ content-length=0!"},
    /* secrets, and what is new each time, stay out of the tables */
    {"GET",
     "/",
     "",
     {.kind = FRAMING_NONE},
     false,
     false,
     "",
     {{"authorization", "s"}, {"cookie", "a=b; c=d"}, {"x-request-id", "i"}, {"user-agent", "u"}},
     ":method=GET :scheme=https :authority=example.org:8443 :path=/ authorization=s! "
     "cookie=a=b; c=d! x-request-id=i! user-agent=u"},
    {"GET",
     "/ws",
     "",
     {.kind = FRAMING_NONE},
     false,
     false,
     "websocket",
     {{"sec-websocket-version", "13"}, {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="}},
     ":method=CONNECT :protocol=websocket :scheme=https :authority=example.org:8443 :path=/ws "
     "sec-websocket-version=13"},
};

static struct message make_request(const struct request_row *row)
{
    struct message request = request_of(row->method, row->path, row->query);
    request.framing = row->framing;
    request.expects_continue = row->expects_continue;
    request.accepts_trailers = row->accepts_trailers;
    request.upgrade = slice_of(row->upgrade);
    add_pairs(&request.fields, row->pairs);
    return request;
}

static void a_request_has_one_spelling(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) {
        char text[1024];
        struct head head;
        struct message request = make_request(&requests[i]);
        assert_int_equal(head_of_request(&request, &arena, &head), FAULT_NONE);
        describe(&head, text, sizeof(text));
        assert_string_equal(text, requests[i].head);
    }
}

static void a_request_that_was_sent_is_the_same_when_it_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) {
        struct head head;
        struct block block;
        struct message again;
        struct message request = make_request(&requests[i]);
        const struct block_facts facts = {
            .is_last = request.framing.kind == FRAMING_NONE && request.upgrade.len == 0,
            .takes_tunnels = true,
            .scheme = SLICE("https"),
        };
        assert_int_equal(head_of_request(&request, &arena, &head), FAULT_NONE);
        block_begin(&block, &arena, &limits, false);
        carry(&head, &block);
        assert_int_equal(block_to_request(&block, &facts, &again), FAULT_NONE);
        expect_same(requests[i].head, &request, &again);
    }
}

/* What no parser of ours lets through, but a rule or a bug might make. */
static const struct unsendable {
    const char *name;
    const char *method;
    slice authority;
    slice path;
    slice query;
    struct field field;
} unsendables[] = {
    {.name = "connection", .field = {{"connection", 10}, {"close", 5}, FIELD_CONNECTION}},
    {.name = "a length", .field = {{"content-length", 14}, {"5", 1}, FIELD_CONTENT_LENGTH}},
    {.name = "a coding", .field = {{"transfer-encoding", 17}, {"x", 1}, FIELD_TRANSFER_ENCODING}},
    {.name = "upgrade", .field = {{"upgrade", 7}, {"h2c", 3}, FIELD_UPGRADE}},
    {.name = "keep-alive", .field = {{"keep-alive", 10}, {"1", 1}, FIELD_KEEP_ALIVE}},
    {.name = "te", .field = {{"te", 2}, {"gzip", 4}, FIELD_TE}},
    {.name = "Host", .field = {{"host", 4}, {"h", 1}, FIELD_HOST}},
    {.name = "Proxy", .field = {{"proxy", 5}, {"p", 1}, FIELD_PROXY}},
    {.name = "a line end", .field = {{"x-a", 3}, {"1\r\n2", 4}, FIELD_OTHER}},
    {.name = "NUL", .field = {{"x-a", 3}, {"1\0", 2}, FIELD_OTHER}},
    {.name = "upper case", .field = {{"X-a", 3}, {"1", 1}, FIELD_OTHER}},
    {.name = "no name", .field = {{"", 0}, {"1", 1}, FIELD_OTHER}},
    {.name = "a pseudo-header field", .field = {{":path", 5}, {"/", 1}, FIELD_OTHER}},
    {.name = "a path with a space", .path = {"/a b", 4}},
    {.name = "a path with a line end", .path = {"/\r\n", 3}},
    {.name = "a path that is none", .path = {"a", 1}},
    {.name = "a query with a space", .query = {"?a b", 4}},
    {.name = "an authority with a space", .authority = {"h h", 3}},
    {.name = "an authority with a line end", .authority = {"h\n", 2}},
    {.name = "a method with a space", .method = "GET /"},
};

static void what_cannot_be_said_in_http2_is_not_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(unsendables); i++) {
        const struct unsendable *row = &unsendables[i];
        struct head head;
        struct field field = row->field;
        struct message request = request_of(row->method != NULL ? row->method : "GET", "/", "");
        request.path = row->path.len > 0 ? row->path : request.path;
        request.query = row->query.len > 0 ? row->query : request.query;
        request.authority = row->authority.len > 0 ? row->authority : request.authority;
        request.fields = (struct fields){.at = &field, .count = field.value.len > 0, .room = 1};
        if (head_of_request(&request, &arena, &head) != FAULT_INTERNAL) {
            fail_msg("%s was sent", row->name);
        }
    }
}

/* ---- responses ---- */

static const struct response_row {
    unsigned status;
    struct framing framing;
    const char *upgrade;
    struct pair pairs[FIELDS_MAX];
    struct block_facts facts;
    const char *head;
} responses[] = {
    {200,
     {.kind = FRAMING_STREAMED},
     "",
     {{"server", "x"}, {"set-cookie", "a"}, {"set-cookie", "b"}},
     {0},
     ":status=200 server=x set-cookie=a! set-cookie=b!"},
    {200, {.kind = FRAMING_LENGTH, .length = 7}, "", {{0}}, {0}, ":status=200 content-length=7!"},
    {204, {.kind = FRAMING_NONE}, "", {{0}}, {.is_last = true}, ":status=204"},
    {304,
     {.kind = FRAMING_NONE, .length = 7, .tells_length = true},
     "",
     {{0}},
     {.is_last = true},
     ":status=304 content-length=7!"},
    {200,
     {.kind = FRAMING_NONE, .length = 7, .tells_length = true},
     "",
     {{0}},
     {.is_last = true, .method = METHOD_HEAD},
     ":status=200 content-length=7!"},
    {103, {.kind = FRAMING_NONE}, "", {{"link", "x"}}, {0}, ":status=103 link=x"},
    {101,
     {.kind = FRAMING_TUNNEL},
     "websocket",
     {{"sec-websocket-protocol", "p"}},
     {.upgrade_was_asked = true},
     ":status=200 sec-websocket-protocol=p"},
};

static void a_response_that_was_sent_is_the_same_when_it_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        char text[1024];
        struct head head;
        struct block block;
        struct message again;
        struct message response = {.status = responses[i].status,
                                   .framing = responses[i].framing,
                                   .upgrade = slice_of(responses[i].upgrade)};
        add_pairs(&response.fields, responses[i].pairs);
        assert_int_equal(head_of_response(&response, &arena, &head), FAULT_NONE);
        describe(&head, text, sizeof(text));
        assert_string_equal(text, responses[i].head);
        block_begin(&block, &arena, &limits, false);
        carry(&head, &block);
        assert_int_equal(block_to_response(&block, &responses[i].facts, &again), FAULT_NONE);
        expect_same(responses[i].head, &response, &again);
    }
}

static void the_answer_of_a_handshake_stays_in_http1(void **state)
{
    (void)state;
    static const struct pair pairs[FIELDS_MAX] = {{"sec-websocket-accept", "x"}};
    char text[256];
    struct head head;
    struct message response = {.status = 101, .framing = {.kind = FRAMING_TUNNEL}};
    add_pairs(&response.fields, pairs);
    assert_int_equal(head_of_response(&response, &arena, &head), FAULT_NONE);
    describe(&head, text, sizeof(text));
    assert_string_equal(text, ":status=200");
}

static void a_response_with_a_field_of_the_hop_is_not_sent(void **state)
{
    (void)state;
    static const struct pair rows[][FIELDS_MAX] = {
        {{"connection", "close"}}, {{"transfer-encoding", "chunked"}},
        {{"content-length", "1"}}, {{"keep-alive", "1"}},
        {{"upgrade", "h2c"}},      {{"x-a", "1\n"}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct head head;
        struct message response = {.status = 200};
        add_pairs(&response.fields, rows[i]);
        assert_int_equal(head_of_response(&response, &arena, &head), FAULT_INTERNAL);
    }
}

/* ---- trailers ---- */

static void trailers_that_were_sent_are_the_same_when_they_are_read(void **state)
{
    (void)state;
    static const struct pair pairs[FIELDS_MAX] = {{"grpc-status", "0"}, {"x-sum", "1"}};
    struct fields trailers = {0};
    struct fields *again;
    struct head head;
    struct block block;
    add_pairs(&trailers, pairs);
    assert_int_equal(head_of_trailers(&trailers, &arena, &head), FAULT_NONE);
    block_begin(&block, &arena, &limits, true);
    carry(&head, &block);
    assert_int_equal(block_to_trailers(&block, &again), FAULT_NONE);
    assert_int_equal(again->count, 2);
    assert_true(slice_equal(again->at[1].name, SLICE("x-sum")));
}

static void trailers_of_the_hop_are_not_sent(void **state)
{
    (void)state;
    static const struct pair pairs[FIELDS_MAX] = {{"content-length", "1"}};
    struct fields trailers = {0};
    struct head head;
    add_pairs(&trailers, pairs);
    assert_int_equal(head_of_trailers(&trailers, &arena, &head), FAULT_INTERNAL);
}

static void an_arena_that_is_full_is_told_of(void **state)
{
    (void)state;
    struct arena small;
    struct head head;
    struct fields none = {0};
    struct message request = request_of("GET", "/", "?a");
    struct message response = {.status = 200, .framing = {.kind = FRAMING_LENGTH}};
    arena_init(&small, &pool, 0);
    assert_int_equal(head_of_request(&request, &small, &head), FAULT_LIMIT_MEMORY);
    assert_int_equal(head_of_response(&response, &small, &head), FAULT_LIMIT_MEMORY);
    assert_int_equal(head_of_trailers(&none, &small, &head), FAULT_LIMIT_MEMORY);
    arena_reset(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_has_one_spelling),
        cmocka_unit_test(a_request_that_was_sent_is_the_same_when_it_is_read),
        cmocka_unit_test(what_cannot_be_said_in_http2_is_not_sent),
        cmocka_unit_test(a_response_that_was_sent_is_the_same_when_it_is_read),
        cmocka_unit_test(the_answer_of_a_handshake_stays_in_http1),
        cmocka_unit_test(a_response_with_a_field_of_the_hop_is_not_sent),
        cmocka_unit_test(trailers_that_were_sent_are_the_same_when_they_are_read),
        cmocka_unit_test(trailers_of_the_hop_are_not_sent),
        cmocka_unit_test(an_arena_that_is_full_is_told_of),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
