/* tests/fuzz/channel_fuzz.c
 *
 * One packet of the channel between master and child: first byte the direction, second the number
 * of descriptors that came with it, the rest the packet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/channel.c"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2) {
        return 0;
    }
    struct channel_message message;
    enum channel_end from = bytes[0] % 2 == 0 ? CHANNEL_MASTER : CHANNEL_CHILD;
    if (!channel_decode(&message, from, bytes + 2, len - 2, bytes[1])) {
        return 0;
    }
    const struct channel_rule *rule = &RULES[message.kind];
    assert_always(rule->from == from);
    assert_always(fits(rule, message.payload.len, message.descriptor_count));
    assert_always(message.payload.len == len - 2 - CHANNEL_HEAD_BYTES);
    uint8_t head[CHANNEL_HEAD_BYTES];
    encode_head(head, &message);
    assert_always(memcmp(head, bytes + 2, sizeof(head)) == 0);
    return 0;
}
