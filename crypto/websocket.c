/* crypto/websocket.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/websocket.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

enum { NONCE_BYTES = 16, SHA1_BYTES = 20, KEY_BYTES_MAX = 64 };

/* RFC 6455 §1.3 */
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* EVP_EncodeBlock ends its text with NUL. */
static void encode(const unsigned char *from, int len, char *out, size_t out_len)
{
    unsigned char text[WEBSOCKET_ACCEPT_BYTES + 1];
    (void)EVP_EncodeBlock(text, from, len);
    memcpy(out, text, out_len);
}

bool websocket_key_make(char out[WEBSOCKET_KEY_BYTES])
{
    unsigned char nonce[NONCE_BYTES];
    if (RAND_bytes(nonce, sizeof(nonce)) != 1) {
        return false;
    }
    encode(nonce, sizeof(nonce), out, WEBSOCKET_KEY_BYTES);
    return true;
}

bool websocket_accept_of(const char *key, size_t key_len, char out[WEBSOCKET_ACCEPT_BYTES])
{
    unsigned char text[KEY_BYTES_MAX + sizeof(guid)];
    unsigned char hash[SHA1_BYTES];
    if (key_len > KEY_BYTES_MAX) {
        return false;
    }
    memcpy(text, key, key_len);
    memcpy(text + key_len, guid, sizeof(guid) - 1);
    if (EVP_Digest(text, key_len + sizeof(guid) - 1, hash, NULL, EVP_sha1(), NULL) != 1) {
        return false;
    }
    encode(hash, sizeof(hash), out, WEBSOCKET_ACCEPT_BYTES);
    return true;
}
