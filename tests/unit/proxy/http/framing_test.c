/* tests/unit/proxy/http/framing_test.c
 *
 * What HTTP/1 says is tested with its codec (tests/unit/proxy/http1); here is what codecs with
 * streams of their own say, and what no wire can show.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http/framing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
    const char *claim;
    const char *authority;
    const char *fields[6]; /* name, value, ... */
    enum fault_code fault;
    enum framing_kind kind;
    uint64_t length;
};

/* clang-format off */
static const struct row stream_rows[] = {
    {"a stream ends by itself", "a", {NULL}, FAULT_NONE, FRAMING_STREAMED, 0},
    {"a declared length is kept", "a", {"content-length", "5"}, FAULT_NONE, FRAMING_LENGTH, 5},
    {"Host alone", "", {"host", "a:1"}, FAULT_NONE, FRAMING_STREAMED, 0},
    {"Host and authority agree", "A", {"host", "a"}, FAULT_NONE, FRAMING_STREAMED, 0},
    {"TE: trailers", "a", {"te", "trailers"}, FAULT_NONE, FRAMING_STREAMED, 0},
    {"neither Host nor authority", "", {NULL}, FAULT_HOST_MISSING, FRAMING_NONE, 0},
    {"Host and authority differ", "a", {"host", "b"}, FAULT_HOST_CLASH, FRAMING_NONE, 0},
    {"a malformed authority", "u@a", {NULL}, FAULT_HOST_MALFORMED, FRAMING_NONE, 0},
    {"H2.TE", "a", {"transfer-encoding", "chunked"}, FAULT_CODING_MALFORMED, FRAMING_NONE, 0},
    {"H2.CL twice", "a", {"content-length", "5", "content-length", "5"}, FAULT_LENGTH_REPEATED, FRAMING_NONE, 0},
    {"H2.CL and TE", "a", {"content-length", "5", "transfer-encoding", "chunked"}, FAULT_LENGTH_AND_CODING, FRAMING_NONE, 0},
    {"Connection", "a", {"connection", "close"}, FAULT_CONNECTION_MALFORMED, FRAMING_NONE, 0},
    {"Keep-Alive", "a", {"keep-alive", "5"}, FAULT_CONNECTION_MALFORMED, FRAMING_NONE, 0},
    {"Proxy-Connection", "a", {"proxy-connection", "x"}, FAULT_CONNECTION_MALFORMED, FRAMING_NONE, 0},
    {"Upgrade", "a", {"upgrade", "websocket"}, FAULT_CONNECTION_MALFORMED, FRAMING_NONE, 0},
};
/* clang-format on */

static void fill(struct fields *fields, struct arena *arena, const char *const *pairs)
{
    for (size_t i = 0; i < 6 && pairs[i] != NULL; i += 2) {
        assert_int_equal(
            fields_add_named(fields, arena, slice_of(pairs[i]), slice_of(pairs[i + 1])), STATUS_OK);
    }
}

static void requests_in_streams_know_no_hop(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stream_rows) / sizeof(stream_rows[0]); i++) {
        const struct row *row = &stream_rows[i];
        struct arena_pool pool = {0};
        struct arena arena;
        arena_init(&arena, &pool, 1 << 16);
        struct message request = {.method = METHOD_GET, .authority = slice_of(row->authority)};
        fill(&request.fields, &arena, row->fields);
        struct framing_facts facts = {.has_stream_ends = true};
        struct framing_verdict verdict = {0};
        enum fault_code fault = framing_decide_request(&request, &arena, &facts, &verdict);
        if (fault != row->fault) {
            fail_msg("%s: %s", row->claim, fault_name(fault));
        }
        if (fault == FAULT_NONE) {
            assert_int_equal(request.framing.kind, row->kind);
            assert_int_equal(request.framing.length, row->length);
            assert_int_equal(request.fields.count, 0);
            assert_int_equal(request.authority.at[0], 'a');
            assert_false(verdict.close_after);
        }
        arena_reset(&arena);
        arena_pool_fini(&pool);
    }
}

static void connection_cannot_make_us_search_for_ever(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 16);
    static const char names[] = "b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b,b";
    for (size_t count = 32; count <= 33; count++) {
        struct message request = {.method = METHOD_GET};
        struct framing_facts facts = {.is_http10 = true};
        struct framing_verdict verdict = {0};
        slice value = {names, count * 2 - 1};
        assert_int_equal(fields_add(&request.fields, &arena, FIELD_CONNECTION, value), STATUS_OK);
        assert_int_equal(framing_decide_request(&request, &arena, &facts, &verdict),
                         count == 32 ? FAULT_NONE : FAULT_CONNECTION_MALFORMED);
    }
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

static void an_answer_to_connect_is_a_tunnel(void **state)
{
    (void)state;
    struct message response = {.status = 200};
    struct framing_facts facts = {.request_method = METHOD_CONNECT};
    struct framing_verdict verdict = {0};
    assert_int_equal(framing_decide_response(&response, &facts, &verdict), FAULT_NONE);
    assert_int_equal(response.framing.kind, FRAMING_TUNNEL);
    assert_true(verdict.close_after);
    response = (struct message){.status = 403};
    assert_int_equal(framing_decide_response(&response, &facts, &verdict), FAULT_NONE);
    assert_int_equal(response.framing.kind, FRAMING_UNTIL_CLOSE);
}

static void trailers_decide_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_allowed;
    } rows[] = {
        {"grpc-status", true},
        {"server-timing", true},
        {"x-sum", true},
        {"content-length", false},
        {"host", false},
        {"trailer", false},
        {"te", false},
        {"cookie", false},
        {"content-encoding", false},
        {"content-range", false},
        {"range", false},
        {"www-authenticate", false},
        {"x_real_ip", false},
        {"vary", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        slice name = slice_of(rows[i].name);
        struct field field = {.name = name, .token = field_token_of(name)};
        assert_int_equal(framing_allows_trailer(&field), rows[i].is_allowed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_in_streams_know_no_hop),
        cmocka_unit_test(connection_cannot_make_us_search_for_ever),
        cmocka_unit_test(an_answer_to_connect_is_a_tunnel),
        cmocka_unit_test(trailers_decide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
