/* tests/fuzz/http1_response_fuzz.c
 *
 * The first byte says what was asked, the second where the input is split. The split changes
 * nothing, and what we send is a response that can be read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/http1/response.h"
#include "proxy/http1/serialise.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { ROOM = 1 << 18 };

static const struct message_limits narrow_limits = {
    .header_bytes = 16384, .header_count = 64, .uri_bytes = 4096};

/* For what we wrote: the fields that we add may pass a limit that the original just met. */
static const struct message_limits wide_limits = {
    .header_bytes = 65536, .header_count = 128, .uri_bytes = 8192};

static slice rewrite(slice input, size_t split, const struct http1_asked *asked,
                     const struct message_limits *limits, struct arena *arena, enum fault_code *fault)
{
    struct http1_head_scan scan;
    size_t head_len = 0;
    http1_head_scan_init(&scan, HTTP1_RESPONSE_HEAD);
    enum status status =
        http1_head_scan(&scan, slice_first(input, split), limits, &head_len, fault);
    if (status == STATUS_AGAIN) {
        status = http1_head_scan(&scan, input, limits, &head_len, fault);
    }
    if (status != STATUS_OK) {
        return (slice){NULL, 0};
    }
    struct message message;
    struct http1_wire wire;
    char *head = arena_take(arena, head_len);
    assert_always(head != NULL);
    memcpy(head, input.at, head_len);
    *fault = http1_parse_response(head, head_len, asked, arena, limits, &message, &wire);
    if (*fault != FAULT_NONE) {
        assert_always(fault_http_status(*fault) >= 500);
        return (slice){NULL, 0};
    }
    struct http1_sending sending = {.answers_head = asked->method == METHOD_HEAD};
    char *out = arena_take(arena, ROOM);
    size_t needed = 0;
    assert_always(out != NULL);
    assert_always(http1_write_response(&message, &sending, out, ROOM, &needed) == FAULT_NONE);
    return (slice){out, needed};
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2) {
        return 0;
    }
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 22);
    struct http1_asked asked = {.method = (bytes[0] & 1) != 0 ? METHOD_HEAD : METHOD_GET,
                                .upgrade = (bytes[0] & 2) != 0};
    slice input = {(const char *)bytes + 2, len - 2};
    enum fault_code whole_fault = FAULT_NONE;
    enum fault_code split_fault = FAULT_NONE;
    slice whole = rewrite(input, input.len, &asked, &narrow_limits, &arena, &whole_fault);
    slice split =
        rewrite(input, bytes[1] % (input.len + 1), &asked, &narrow_limits, &arena, &split_fault);
    assert_always(whole_fault == split_fault);
    assert_always(slice_equal(whole, split));
    if (whole.len > 0) {
        enum fault_code fault = FAULT_NONE;
        assert_always(
            slice_equal(rewrite(whole, whole.len, &asked, &wide_limits, &arena, &fault), whole));
    }
    arena_reset(&arena);
    arena_pool_fini(&pool);
    return 0;
}
