/* tests/fuzz/http1_chunked_fuzz.c
 *
 * The first byte is the length of the pieces, the second the room for content. Neither changes
 * the content, the end or the fault.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/http1/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct message_limits limits = {
    .header_bytes = 1024, .header_count = 16, .uri_bytes = 16};

struct result {
    enum status status;
    enum fault_code fault;
    size_t consumed;
    size_t content_len;
    size_t trailer_count;
    char *content;
};

static struct result decode(slice input, size_t step, size_t room, struct arena *arena)
{
    struct result result = {.status = STATUS_AGAIN, .content = arena_take(arena, input.len + 1)};
    struct chunked chunked;
    chunked_init(&chunked, arena, &limits);
    assert_always(result.content != NULL);
    for (size_t shown = 0; result.status == STATUS_AGAIN && shown < input.len;) {
        shown = input.len - shown < step ? input.len : shown + step;
        size_t produced = 1;
        while (result.status == STATUS_AGAIN && produced > 0) {
            size_t consumed;
            slice in = slice_from(slice_first(input, shown), result.consumed);
            result.status =
                chunked_decode(&chunked, in, &consumed, result.content + result.content_len, room,
                               &produced, &result.fault);
            result.consumed += consumed;
            result.content_len += produced;
        }
    }
    result.trailer_count = chunked.trailers.count;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2) {
        return 0;
    }
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 24);
    slice input = {(const char *)bytes + 2, len - 2};
    struct result whole = decode(input, input.len + 1, input.len + 1, &arena);
    struct result pieces = decode(input, bytes[0] % 16 + 1U, bytes[1] % 16 + 1U, &arena);
    assert_always(whole.status == pieces.status);
    assert_always(whole.fault == pieces.fault);
    assert_always(whole.content_len == pieces.content_len);
    assert_always(memcmp(whole.content, pieces.content, whole.content_len) == 0);
    if (whole.status == STATUS_END || whole.status == STATUS_AGAIN) {
        assert_always(whole.consumed == pieces.consumed);
        assert_always(whole.trailer_count == pieces.trailer_count);
    }
    arena_reset(&arena);
    arena_pool_fini(&pool);
    return 0;
}
