/* tests/fuzz/gossip_frame_fuzz.c
 *
 * Frames: no length that a head names lets anything but a whole frame be opened, what is refused is
 * left as it was, and what was sealed opens.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/gossip_cipher.h"
#include "proxy/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { OVERHEAD = GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES + GOSSIP_TAIL_BYTES_MAX };

static const char RING[] = "Y3qgfuHq8j3HOW0NpngWgA==\n"
                           "Z/PRmPCMiNOQND8U0ar/ckgnNfneNE6wShDY1YN+EKQ=\n";
static const struct bytes NO_LABEL;

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

static void open_as_it_is(const uint8_t *bytes, size_t len, uint8_t *room)
{
    size_t key = 0;
    size_t whole = 0;
    struct bytes plain = {0};
    if (len > 0) {
        memcpy(room, bytes, len);
    }
    enum gossip_refusal refusal = gossip_frame_open(cipher(), NO_LABEL, room, len, &plain, &key);
    if (refusal != GOSSIP_FINE) {
        assert_always(len == 0 || memcmp(room, bytes, len) == 0);
        return;
    }
    assert_always(gossip_frame_length(bytes, &whole) == GOSSIP_FINE && whole == len);
    assert_always(plain.len > 0 && plain.len < len);
}

static void seal_and_open(const uint8_t *bytes, size_t len, uint8_t *room)
{
    size_t sealed = 0;
    size_t named = 0;
    size_t key = 9;
    struct bytes plain = {0};
    struct bytes label = {bytes, bytes[0]};
    unsigned version = bytes[len - 1] & 1U;
    label.len = label.len < len ? label.len : len;
    memcpy(room + GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES, bytes, len);
    assert_always(gossip_frame_seal(cipher(), version, label, room, len, &sealed) == GOSSIP_FINE);
    assert_always(sealed == gossip_frame_bytes(version, len) && sealed <= len + OVERHEAD);
    assert_always(gossip_frame_length(room, &named) == GOSSIP_FINE && named == sealed);
    assert_always(gossip_frame_open(cipher(), label, room, sealed, &plain, &key) == GOSSIP_FINE);
    assert_always(key == 0 && plain.len == len && memcmp(plain.at, bytes, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    uint8_t *room = malloc(len + OVERHEAD);
    if (room == NULL) {
        return 0;
    }
    open_as_it_is(bytes, len, room);
    if (len > 0) {
        seal_and_open(bytes, len, room);
    }
    free(room);
    return 0;
}
