/* tests/fuzz/gossip_packet_fuzz.c
 *
 * Packets with the label header that they may have: what is refused is left as it was, what opens
 * opens again when it is sealed anew. So that something opens at all, the rest of an input whose
 * first byte is odd is sealed first, and the version byte then taken from it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/gossip_cipher.h"
#include "proxy/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { ROOM = GOSSIP_PACKET_BYTES_MAX + GOSSIP_HEAD_BYTES + GOSSIP_TAIL_BYTES_MAX };

static const char RING[] = "Y3qgfuHq8j3HOW0NpngWgA==\n"
                           "Z/PRmPCMiNOQND8U0ar/ckgnNfneNE6wShDY1YN+EKQ=\n";

static struct gossip_cipher *cipher(void)
{
    static struct gossip_cipher *made;
    if (made == NULL) {
        struct keyring *ring =
            keyring_parse((struct bytes){(const uint8_t *)RING, sizeof(RING) - 1}, NULL);
        assert_always(ring != NULL);
        made = gossip_cipher_new(ring, NULL);
        assert_always(made != NULL);
        keyring_free(ring);
    }
    return made;
}

static enum gossip_refusal open_packet(struct bytes label, uint8_t *packet, size_t len)
{
    static uint8_t before[ROOM];
    size_t key = 0;
    struct bytes plain = {0};
    memcpy(before, packet, len < ROOM ? len : ROOM);
    enum gossip_refusal refusal = gossip_packet_open(cipher(), label, packet, len, &plain, &key);
    if (refusal != GOSSIP_FINE) {
        assert_always(memcmp(before, packet, len < ROOM ? len : ROOM) == 0);
        return refusal;
    }
    assert_always(plain.len > 0 && plain.at == packet + GOSSIP_HEAD_BYTES && key < 2);
    assert_always(plain.len + GOSSIP_HEAD_BYTES + GOSSIP_TAG_BYTES <= len);
    return refusal;
}

/* The version byte is the only one that may be changed without being refused. */
static void seal_and_open(struct bytes plain, unsigned version)
{
    static uint8_t room[ROOM];
    size_t len = 0;
    struct bytes label = {(const uint8_t *)"prod", 4};
    if (plain.len > ROOM - GOSSIP_HEAD_BYTES - GOSSIP_TAIL_BYTES_MAX) {
        return;
    }
    memcpy(room + GOSSIP_HEAD_BYTES, plain.at, plain.len);
    enum gossip_refusal refusal =
        gossip_packet_seal(cipher(), version & 1U, label, room, plain.len, &len);
    if (refusal != GOSSIP_FINE) {
        assert_always(refusal == (plain.len == 0 ? GOSSIP_EMPTY : GOSSIP_LONG));
        return;
    }
    assert_always(len == gossip_packet_bytes(version & 1U, plain.len));
    if ((version & 2U) != 0) {
        room[0] ^= 1U;
        (void)open_packet(label, room, len);
        return;
    }
    assert_always(open_packet(label, room, len) == GOSSIP_FINE);
    assert_always(memcmp(room + GOSSIP_HEAD_BYTES, plain.at, plain.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len > 0 && (bytes[0] & 1U) != 0) {
        seal_and_open((struct bytes){bytes + 1, len - 1}, bytes[0] >> 1);
    }
    uint8_t *packet = malloc(len + 1);
    if (packet == NULL) {
        return 0;
    }
    if (len > 0) {
        memcpy(packet, bytes, len);
    }
    struct bytes rest = {packet, len};
    struct bytes label;
    if (gossip_label_take(&rest, &label) == GOSSIP_FINE) {
        assert_always(label.len == 0 || label.len + GOSSIP_LABEL_HEAD_BYTES + rest.len == len);
        (void)open_packet(label, packet + (len - rest.len), rest.len);
    }
    free(packet);
    return 0;
}
