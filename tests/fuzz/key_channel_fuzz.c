/* tests/fuzz/key_channel_fuzz.c
 *
 * Packets of the keyholder's channel, from both ends: the first byte says who sends. What is
 * accepted must come out of the encoder byte for byte the same, so there is one form only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/key_channel.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    static struct key_message message;
    static uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    if (!key_message_decode(&message, bytes + 1, len - 1, (bytes[0] & 1) != 0)) {
        return 0;
    }
    size_t again = key_message_encode(&message, packet);
    if (again != len - 1 || memcmp(packet, bytes + 1, again) != 0) {
        abort();
    }
    return 0;
}
