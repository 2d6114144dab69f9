/* tests/bench/frame.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/frame.h"

#include <openssl/evp.h>
#include <string.h>

static void mask_bytes(uint8_t *bytes, size_t len, const uint8_t *mask)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= mask[i & 3];
    }
}

enum frame_result frame_read(uint8_t *bytes, size_t len, bool masked, struct frame *frame)
{
    if (len < 2) {
        return FRAME_PARTIAL;
    }
    bool has_mask = (bytes[1] & 0x80) != 0;
    size_t payload_len = bytes[1] & 0x7f;
    size_t head_len = 2;
    if ((bytes[0] & 0xf0) != 0x80 || has_mask != masked || payload_len == 127) {
        return FRAME_WRONG;
    }
    if (payload_len == 126) {
        if (len < 4) {
            return FRAME_PARTIAL;
        }
        payload_len = (size_t)bytes[2] << 8 | bytes[3];
        head_len = 4;
    }
    const uint8_t *mask = bytes + head_len;
    head_len += masked ? 4 : 0;
    if (len < head_len + payload_len) {
        return FRAME_PARTIAL;
    }
    if (masked) {
        mask_bytes(bytes + head_len, payload_len, mask);
    }
    *frame = (struct frame){.opcode = bytes[0] & 0x0f,
                            .payload = bytes + head_len,
                            .payload_len = payload_len,
                            .frame_len = head_len + payload_len};
    return FRAME_WHOLE;
}

size_t frame_write(uint8_t *out, int opcode, const uint8_t *mask, const uint8_t *payload,
                   size_t payload_len)
{
    uint8_t mask_bit = mask == NULL ? 0 : 0x80;
    size_t head_len = 2;
    out[0] = (uint8_t)(0x80 | opcode);
    if (payload_len < 126) {
        out[1] = (uint8_t)(mask_bit | payload_len);
    } else {
        out[1] = (uint8_t)(mask_bit | 126);
        out[2] = (uint8_t)(payload_len >> 8);
        out[3] = (uint8_t)payload_len;
        head_len = 4;
    }
    if (mask != NULL) {
        memcpy(out + head_len, mask, 4);
        head_len += 4;
    }
    memmove(out + head_len, payload, payload_len);
    if (mask != NULL) {
        mask_bytes(out + head_len, payload_len, mask);
    }
    return head_len + payload_len;
}

bool frame_accept(const char *key, size_t key_len, char out[FRAME_ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[128];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int digest_len = 0;
    if (key_len + sizeof(guid) > sizeof(text)) {
        return false;
    }
    memcpy(text, key, key_len);
    memcpy(text + key_len, guid, sizeof(guid) - 1);
    size_t text_len = key_len + sizeof(guid) - 1;
    if (EVP_Digest(text, text_len, digest, &digest_len, EVP_sha1(), NULL) != 1) {
        return false;
    }
    return EVP_EncodeBlock((unsigned char *)out, digest, (int)digest_len) == FRAME_ACCEPT_LEN;
}
