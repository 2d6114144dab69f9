/* crypto/gossip_label.c
 *
 * The label header of gossip_cipher.h: all that is in clear.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "crypto/gossip_cipher.h"

enum gossip_refusal gossip_label_take(struct bytes *packet, struct bytes *label)
{
    *label = (struct bytes){0};
    if (packet->len == 0 || packet->at[0] != GOSSIP_LABEL_TYPE) {
        return GOSSIP_FINE;
    }
    if (packet->len < GOSSIP_LABEL_HEAD_BYTES) {
        return GOSSIP_LABEL;
    }
    size_t len = packet->at[1];
    size_t whole = GOSSIP_LABEL_HEAD_BYTES + len;
    if (len == 0 || packet->len < whole ||
        (packet->len > whole && packet->at[whole] == GOSSIP_LABEL_TYPE)) {
        return GOSSIP_LABEL;
    }
    *label = (struct bytes){packet->at + GOSSIP_LABEL_HEAD_BYTES, len};
    *packet = (struct bytes){packet->at + whole, packet->len - whole};
    return GOSSIP_FINE;
}

size_t gossip_label_put(uint8_t *room, struct bytes label)
{
    if (label.len == 0 || label.len > GOSSIP_LABEL_BYTES_MAX) {
        return 0;
    }
    room[0] = GOSSIP_LABEL_TYPE;
    room[1] = (uint8_t)label.len;
    memcpy(room + GOSSIP_LABEL_HEAD_BYTES, label.at, label.len);
    return GOSSIP_LABEL_HEAD_BYTES + label.len;
}
