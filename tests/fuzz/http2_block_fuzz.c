/* tests/fuzz/http2_block_fuzz.c
 *
 * Fields become a message, and the message becomes fields again: what we send for it means the
 * same, over HTTP/2 and over HTTP/1.1.
 *
 *   input:  request, response or trailers, and what is known beside them (1 byte), then fields
 *   field:  the name's length, the value's length (1 byte each), and both
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http2/block.h"

#include <stdint.h>
#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/http1/request.h"
#include "proxy/http1/serialise.h"
#include "proxy/http2/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { ROOM = 1 << 16 };

static const struct message_limits narrow_limits = {
    .header_bytes = 4096, .header_count = 32, .uri_bytes = 1024};

/* For what we wrote: the fields that we add may pass a limit that the original just met. */
static const struct message_limits wide_limits = {
    .header_bytes = 65536, .header_count = 128, .uri_bytes = 8192};

enum { IS_RESPONSE = 1, IS_TRAILERS = 2, IS_LAST = 4, IS_HEAD = 8, IS_UPGRADE = 16 };

static bool same_framing(const struct framing *a, const struct framing *b)
{
    return a->kind == b->kind && a->length == b->length && a->tells_length == b->tells_length;
}

static bool same_fields(const struct fields *a, const struct fields *b)
{
    bool is_same = a->count == b->count;
    for (size_t i = 0; is_same && i < a->count; i++) {
        bool is_key = a->at[i].token == FIELD_SEC_WEBSOCKET_KEY; /* a fresh one each time */
        is_same = a->at[i].token == b->at[i].token && slice_equal(a->at[i].name, b->at[i].name) &&
                  (is_key || slice_equal(a->at[i].value, b->at[i].value));
    }
    return is_same;
}

static bool same(const struct message *a, const struct message *b)
{
    return a->method == b->method && slice_equal(a->method_name, b->method_name) &&
           slice_equal(a->scheme, b->scheme) && slice_equal(a->authority, b->authority) &&
           slice_equal(a->path, b->path) && slice_equal(a->query, b->query) &&
           a->status == b->status && same_framing(&a->framing, &b->framing) &&
           slice_equal(a->upgrade, b->upgrade) && a->expects_continue == b->expects_continue &&
           a->accepts_trailers == b->accepts_trailers && same_fields(&a->fields, &b->fields);
}

static void add_input(struct block *block, const uint8_t *in, size_t len)
{
    while (len >= 2) {
        size_t name = in[0] < len - 2 ? in[0] : len - 2;
        size_t value = in[1] < len - 2 - name ? in[1] : len - 2 - name;
        const char *at = (const char *)in + 2;
        if (!block_add(block, (slice){at, name}, (slice){at + name, value})) {
            return;
        }
        in += 2 + name + value;
        len -= 2 + name + value;
    }
}

static void add_head(struct block *block, const struct head *head)
{
    for (size_t i = 0; i < head->count; i++) {
        const nghttp2_nv *field = &head->at[i];
        assert_always(block_add(block, (slice){(const char *)field->name, field->namelen},
                                (slice){(const char *)field->value, field->valuelen}));
    }
}

/* The same request over HTTP/1.1: what its reader takes the head for, and where it ends. */
static void check_http1(const struct message *request, struct arena *arena)
{
    const struct http1_sending sending = {0};
    char *out = arena_take(arena, ROOM);
    size_t needed = 0;
    struct message read;
    struct http1_wire wire;
    struct http1_head_scan scan;
    size_t head_len = 0;
    enum fault_code fault = FAULT_NONE;
    assert_always(out != NULL);
    assert_always(http1_write_request(request, &sending, out, ROOM, &needed) == FAULT_NONE);
    http1_head_scan_init(&scan, HTTP1_REQUEST_HEAD);
    assert_always(http1_head_scan(&scan, (slice){out, needed}, &wide_limits, &head_len, &fault) ==
                  STATUS_OK);
    assert_always(head_len == needed);
    assert_always(http1_parse_request(out, needed, request->scheme, arena, &wide_limits, &read,
                                      &wire) == FAULT_NONE);
    if (request->framing.kind == FRAMING_NONE && read.framing.length == 0 &&
        read.framing.kind == FRAMING_LENGTH) {
        read.framing.kind = FRAMING_NONE; /* PUT and the like say that there is nothing */
    }
    assert_always(same(request, &read));
}

static void check_request(struct block *block, const struct block_facts *facts, struct arena *arena)
{
    struct message request;
    struct message again;
    struct head head;
    if (block_to_request(block, facts, &request) != FAULT_NONE) {
        return;
    }
    assert_always(head_of_request(&request, arena, &head) == FAULT_NONE);
    block_begin(block, arena, &wide_limits, false);
    add_head(block, &head);
    assert_always(block_to_request(block, facts, &again) == FAULT_NONE);
    assert_always(same(&request, &again));
    check_http1(&request, arena);
}

static void check_response(struct block *block, const struct block_facts *facts,
                           struct arena *arena)
{
    struct message response;
    struct message again;
    struct head head;
    if (block_to_response(block, facts, &response) != FAULT_NONE) {
        return;
    }
    fields_remove(&response.fields, FIELD_SEC_WEBSOCKET_KEY); /* of the handshake in HTTP/1.1 */
    fields_remove(&response.fields, FIELD_SEC_WEBSOCKET_ACCEPT);
    assert_always(head_of_response(&response, arena, &head) == FAULT_NONE);
    block_begin(block, arena, &wide_limits, false);
    add_head(block, &head);
    assert_always(block_to_response(block, facts, &again) == FAULT_NONE);
    assert_always(same(&response, &again));
}

static void check_trailers(struct block *block, struct arena *arena)
{
    struct fields *trailers;
    struct fields *again;
    struct head head;
    if (block_to_trailers(block, &trailers) != FAULT_NONE || trailers == NULL) {
        return;
    }
    assert_always(head_of_trailers(trailers, arena, &head) == FAULT_NONE);
    block_begin(block, arena, &wide_limits, true);
    add_head(block, &head);
    assert_always(block_to_trailers(block, &again) == FAULT_NONE);
    assert_always(same_fields(trailers, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    struct arena_pool pool = {0};
    struct arena arena;
    struct block block;
    unsigned kind = bytes[0];
    const struct block_facts facts = {
        .is_last = (kind & IS_LAST) != 0,
        .takes_tunnels = (kind & IS_UPGRADE) != 0,
        .scheme = SLICE("https"),
        .method = (kind & IS_HEAD) != 0 ? METHOD_HEAD : METHOD_GET,
        .upgrade_was_asked = (kind & IS_UPGRADE) != 0 && (kind & IS_HEAD) == 0,
    };
    arena_init(&arena, &pool, 1 << 22);
    block_begin(&block, &arena, &narrow_limits, (kind & IS_TRAILERS) != 0);
    add_input(&block, bytes + 1, len - 1);
    if ((kind & IS_TRAILERS) != 0) {
        check_trailers(&block, &arena);
    } else if ((kind & IS_RESPONSE) != 0) {
        check_response(&block, &facts, &arena);
    } else {
        check_request(&block, &facts, &arena);
    }
    arena_reset(&arena);
    arena_pool_fini(&pool);
    return 0;
}
