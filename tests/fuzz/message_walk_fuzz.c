/* tests/fuzz/message_walk_fuzz.c
 *
 * The answer is the same whether the bytes come at once or one by one, and the end that is told is
 * inside of what came and of the limit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>

#include "proxy/base/assert.h"
#include "proxy/gossip/message_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { INPUT_BYTES_MAX = 4096 };

static void check(slice message, size_t limit)
{
    struct message_walk whole;
    struct message_walk grown;
    size_t whole_len = 0;
    size_t grown_len = 0;
    message_walk_init(&whole, limit);
    message_walk_init(&grown, limit);
    enum status expected = message_walk(&whole, message, &whole_len);
    enum status status = STATUS_AGAIN;
    for (size_t come = 0; come <= message.len && status == STATUS_AGAIN; come++) {
        status = message_walk(&grown, slice_first(message, come), &grown_len);
        assert_always(status != STATUS_END || grown_len == come);
    }
    assert_always(status == expected && grown_len == whole_len && grown.fault == whole.fault);
    assert_always((status == STATUS_PEER) == (whole.fault != MESSAGE_FINE));
    assert_always(whole_len <= message.len && whole_len <= limit);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len > INPUT_BYTES_MAX) {
        return 0;
    }
    slice message = {(const char *)bytes, len};
    check(message, 1 << 20);
    check(message, 64);
    check(message, len);
    return 0;
}
