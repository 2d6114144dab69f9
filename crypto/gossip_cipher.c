/* crypto/gossip_cipher.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/gossip_cipher.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/nonce_pool.h"

enum {
    OVERHEAD_BYTES = GOSSIP_HEAD_BYTES + GOSSIP_TAG_BYTES,
    BLOCK_BYTES = 16,
    VERSION_PADDED = 0,
    VERSION_LAST = 1,
};

struct gossip_cipher {
    EVP_CIPHER_CTX *seal; /* of the primary */
    EVP_CIPHER_CTX *open[KEYRING_KEYS_MAX];
    size_t count;
    struct nonce_pool nonces;
};

/* What is authenticated beside the message: one after the other. */
struct beside {
    struct bytes head; /* of a frame; none for packets */
    struct bytes label;
};

#define GOSSIP_REFUSAL_ROW(code, name, sentence) {name, sentence},
static const struct {
    const char *name;
    const char *sentence;
} REFUSALS[GOSSIP_REFUSALS] = {GOSSIP_REFUSAL_TABLE(GOSSIP_REFUSAL_ROW)};
#undef GOSSIP_REFUSAL_ROW

const char *gossip_refusal_name(enum gossip_refusal refusal)
{
    return refusal < GOSSIP_REFUSALS ? REFUSALS[refusal].name : "?";
}

const char *gossip_refusal_sentence(enum gossip_refusal refusal)
{
    return refusal < GOSSIP_REFUSALS ? REFUSALS[refusal].sentence : "?";
}

/* ---- the cipher ---- */

static const EVP_CIPHER *cipher_of(size_t key_len)
{
    return key_len == 16   ? EVP_aes_128_gcm()
           : key_len == 24 ? EVP_aes_192_gcm()
                           : EVP_aes_256_gcm();
}

static EVP_CIPHER_CTX *schedule(struct bytes key, bool is_sealing)
{
    EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();
    if (made == NULL ||
        EVP_CipherInit_ex2(made, cipher_of(key.len), key.at, NULL, is_sealing, NULL) != 1) {
        EVP_CIPHER_CTX_free(made);
        return NULL;
    }
    return made;
}

static bool schedule_all(struct gossip_cipher *cipher, const struct keyring *ring)
{
    cipher->seal = schedule(keyring_key(ring, 0), true);
    if (cipher->seal == NULL) {
        return false;
    }
    for (; cipher->count < keyring_count(ring); cipher->count++) {
        cipher->open[cipher->count] = schedule(keyring_key(ring, cipher->count), false);
        if (cipher->open[cipher->count] == NULL) {
            return false;
        }
    }
    return true;
}

struct gossip_cipher *gossip_cipher_new(const struct keyring *ring, struct crypto_error *error)
{
    struct gossip_cipher *cipher = calloc(1, sizeof(*cipher));
    if (cipher == NULL || !nonce_pool_init(&cipher->nonces)) {
        crypto_error_set(error, "there is no memory for a cipher");
        free(cipher);
        return NULL;
    }
    if (!schedule_all(cipher, ring)) {
        crypto_error_set_openssl(error, "AES-GCM cannot be set up");
        gossip_cipher_free(cipher);
        return NULL;
    }
    return cipher;
}

void gossip_cipher_free(struct gossip_cipher *cipher)
{
    if (cipher == NULL) {
        return;
    }
    /* OpenSSL wipes the schedules of keys. */
    EVP_CIPHER_CTX_free(cipher->seal);
    for (size_t i = 0; i < cipher->count; i++) {
        EVP_CIPHER_CTX_free(cipher->open[i]);
    }
    nonce_pool_fini(&cipher->nonces);
    free(cipher);
}

/* ---- one message: vsn nonce ciphertext tag ---- */

static size_t sealed_bytes(unsigned version, size_t plain_len)
{
    size_t pad = version == VERSION_PADDED ? BLOCK_BYTES - plain_len % BLOCK_BYTES : 0;
    return OVERHEAD_BYTES + plain_len + pad;
}

static bool authenticate(EVP_CIPHER_CTX *keyed, struct bytes what)
{
    int ignored;
    return what.len == 0 || EVP_CipherUpdate(keyed, NULL, &ignored, what.at, (int)what.len) == 1;
}

/* The keystream over `len` bytes, either way. */
static bool turn(EVP_CIPHER_CTX *keyed, uint8_t *at, size_t len)
{
    int ignored;
    return len == 0 || EVP_CipherUpdate(keyed, at, &ignored, at, (int)len) == 1;
}

/* Seals what stands behind the nonce, which stands there too. */
static bool seal_with_nonce(struct gossip_cipher *cipher, unsigned version,
                            const struct beside *beside, uint8_t *message, size_t plain_len)
{
    uint8_t *text = message + GOSSIP_HEAD_BYTES;
    size_t len = sealed_bytes(version, plain_len) - OVERHEAD_BYTES;
    EVP_CIPHER_CTX *keyed = cipher->seal;
    message[0] = (uint8_t)version;
    memset(text + plain_len, (int)(len - plain_len), len - plain_len);
    int ignored;
    OSSL_PARAM tag[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, text + len, GOSSIP_TAG_BYTES),
        OSSL_PARAM_construct_end()};
    return EVP_CipherInit_ex2(keyed, NULL, NULL, message + 1, 1, NULL) == 1 &&
           authenticate(keyed, beside->head) && authenticate(keyed, beside->label) &&
           turn(keyed, text, len) && EVP_CipherFinal_ex(keyed, text + len, &ignored) == 1 &&
           EVP_CIPHER_CTX_get_params(keyed, tag) == 1;
}

static enum gossip_refusal seal(struct gossip_cipher *cipher, unsigned version,
                                const struct beside *beside, uint8_t *message, size_t plain_len)
{
    if (!nonce_pool_take(&cipher->nonces, message + 1)) {
        return GOSSIP_FAILED;
    }
    return seal_with_nonce(cipher, version, beside, message, plain_len) ? GOSSIP_FINE
                                                                        : GOSSIP_FAILED;
}

/* Decrypts in place. False: the key does not fit, and the bytes are changed. */
static bool open_with_key(EVP_CIPHER_CTX *keyed, const struct beside *beside, uint8_t *message,
                          size_t len)
{
    uint8_t *text = message + GOSSIP_HEAD_BYTES;
    size_t text_len = len - OVERHEAD_BYTES;
    int ignored;
    OSSL_PARAM tag[] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
                                                          text + text_len, GOSSIP_TAG_BYTES),
                        OSSL_PARAM_construct_end()};
    return EVP_CipherInit_ex2(keyed, NULL, NULL, message + 1, 0, tag) == 1 &&
           authenticate(keyed, beside->head) && authenticate(keyed, beside->label) &&
           turn(keyed, text, text_len) && EVP_CipherFinal_ex(keyed, text + text_len, &ignored) == 1;
}

/* Takes back what open_with_key has done: the same keystream a second time. This costs something
 * only where a key does not fit, and needs no second room of up to 20 MiB. */
static bool restore(EVP_CIPHER_CTX *keyed, uint8_t *message, size_t len)
{
    return EVP_CipherInit_ex2(keyed, NULL, NULL, message + 1, 0, NULL) == 1 &&
           turn(keyed, message + GOSSIP_HEAD_BYTES, len - OVERHEAD_BYTES);
}

/* Takes the padding off `plain`. It is authenticated, so no timing of this tells a stranger
 * anything. */
static bool strip_padding(struct bytes *plain)
{
    if (plain->len == 0 || plain->len % BLOCK_BYTES != 0) {
        return false;
    }
    uint8_t pad = plain->at[plain->len - 1];
    if (pad == 0 || pad > GOSSIP_PAD_BYTES_MAX) {
        return false;
    }
    for (size_t i = plain->len - pad; i < plain->len; i++) {
        if (plain->at[i] != pad) {
            return false;
        }
    }
    plain->len -= pad;
    return true;
}

/* What a message of this length and version may already be refused for. */
static enum gossip_refusal judge(const uint8_t *message, size_t len, size_t len_max)
{
    if (len == 0) {
        return GOSSIP_EMPTY;
    }
    if (message[0] > VERSION_LAST) {
        return GOSSIP_VERSION;
    }
    if (len > len_max) {
        return GOSSIP_LONG;
    }
    size_t least = OVERHEAD_BYTES + (message[0] == VERSION_PADDED ? BLOCK_BYTES : 0);
    return len < least ? GOSSIP_SHORT : GOSSIP_FINE;
}

static enum gossip_refusal judge_plain(unsigned version, struct bytes *plain)
{
    if (version == VERSION_PADDED && !strip_padding(plain)) {
        return GOSSIP_PADDING;
    }
    return plain->len == 0 ? GOSSIP_EMPTY : GOSSIP_FINE;
}

static enum gossip_refusal open_judged(struct gossip_cipher *cipher, const struct beside *beside,
                                       uint8_t *message, size_t len, struct bytes *plain,
                                       size_t *key)
{
    for (size_t i = 0; i < cipher->count; i++) {
        enum gossip_refusal refusal = GOSSIP_NO_KEY;
        if (open_with_key(cipher->open[i], beside, message, len)) {
            *key = i;
            *plain = (struct bytes){message + GOSSIP_HEAD_BYTES, len - OVERHEAD_BYTES};
            refusal = judge_plain(message[0], plain);
        }
        if (refusal == GOSSIP_FINE) {
            return GOSSIP_FINE;
        }
        if (!restore(cipher->open[i], message, len)) {
            return GOSSIP_FAILED;
        }
        if (refusal != GOSSIP_NO_KEY) {
            return refusal;
        }
    }
    return GOSSIP_NO_KEY;
}

/* ---- packets ---- */

size_t gossip_packet_bytes(unsigned version, size_t plain_len)
{
    return sealed_bytes(version, plain_len);
}

static enum gossip_refusal judge_sealing(unsigned version, struct bytes label, size_t plain_len,
                                         size_t len_max)
{
    if (version > VERSION_LAST) {
        return GOSSIP_VERSION;
    }
    if (label.len > GOSSIP_LABEL_BYTES_MAX) {
        return GOSSIP_LABEL;
    }
    if (plain_len == 0) {
        return GOSSIP_EMPTY;
    }
    /* The first comparison keeps the sum from going round. */
    bool is_long = plain_len > len_max || sealed_bytes(version, plain_len) > len_max;
    return is_long ? GOSSIP_LONG : GOSSIP_FINE;
}

enum gossip_refusal gossip_packet_seal(struct gossip_cipher *cipher, unsigned version,
                                       struct bytes label, uint8_t *room, size_t plain_len,
                                       size_t *sealed_len)
{
    enum gossip_refusal refusal = judge_sealing(version, label, plain_len, GOSSIP_PACKET_BYTES_MAX);
    if (refusal != GOSSIP_FINE) {
        return refusal;
    }
    *sealed_len = sealed_bytes(version, plain_len);
    return seal(cipher, version, &(struct beside){.label = label}, room, plain_len);
}

enum gossip_refusal gossip_packet_open(struct gossip_cipher *cipher, struct bytes label,
                                       uint8_t *packet, size_t len, struct bytes *plain,
                                       size_t *key)
{
    if (len > 0 && label.len > GOSSIP_LABEL_BYTES_MAX) {
        return GOSSIP_LABEL;
    }
    enum gossip_refusal refusal = judge(packet, len, GOSSIP_PACKET_BYTES_MAX);
    if (refusal != GOSSIP_FINE) {
        return refusal;
    }
    return open_judged(cipher, &(struct beside){.label = label}, packet, len, plain, key);
}

/* ---- frames ---- */

size_t gossip_frame_bytes(unsigned version, size_t plain_len)
{
    return GOSSIP_FRAME_HEAD_BYTES + sealed_bytes(version, plain_len);
}

static void put_head(uint8_t *head, size_t len)
{
    head[0] = GOSSIP_FRAME_TYPE;
    for (size_t i = 1; i < GOSSIP_FRAME_HEAD_BYTES; i++) {
        head[i] = (uint8_t)(len >> 8 * (GOSSIP_FRAME_HEAD_BYTES - 1 - i));
    }
}

enum gossip_refusal gossip_frame_seal(struct gossip_cipher *cipher, unsigned version,
                                      struct bytes label, uint8_t *room, size_t plain_len,
                                      size_t *sealed_len)
{
    enum gossip_refusal refusal = judge_sealing(version, label, plain_len, GOSSIP_FRAME_BYTES_MAX);
    if (refusal != GOSSIP_FINE) {
        return refusal;
    }
    size_t len = sealed_bytes(version, plain_len);
    put_head(room, len);
    *sealed_len = GOSSIP_FRAME_HEAD_BYTES + len;
    struct beside beside = {.head = {room, GOSSIP_FRAME_HEAD_BYTES}, .label = label};
    return seal(cipher, version, &beside, room + GOSSIP_FRAME_HEAD_BYTES, plain_len);
}

enum gossip_refusal gossip_frame_length(const uint8_t *head, size_t *len)
{
    if (head[0] != GOSSIP_FRAME_TYPE) {
        return GOSSIP_FRAME;
    }
    size_t named = 0;
    for (size_t i = 1; i < GOSSIP_FRAME_HEAD_BYTES; i++) {
        named = named << 8 | head[i];
    }
    if (named < OVERHEAD_BYTES) {
        return GOSSIP_SHORT;
    }
    if (named > GOSSIP_FRAME_BYTES_MAX) {
        return GOSSIP_LONG;
    }
    *len = GOSSIP_FRAME_HEAD_BYTES + named;
    return GOSSIP_FINE;
}

static enum gossip_refusal judge_frame(const uint8_t *frame, size_t len)
{
    size_t whole = 0;
    if (len == 0) {
        return GOSSIP_EMPTY;
    }
    if (len < GOSSIP_FRAME_HEAD_BYTES) {
        return frame[0] == GOSSIP_FRAME_TYPE ? GOSSIP_SHORT : GOSSIP_FRAME;
    }
    enum gossip_refusal refusal = gossip_frame_length(frame, &whole);
    if (refusal != GOSSIP_FINE) {
        return refusal;
    }
    if (len != whole) {
        return len < whole ? GOSSIP_SHORT : GOSSIP_LONG;
    }
    return judge(frame + GOSSIP_FRAME_HEAD_BYTES, len - GOSSIP_FRAME_HEAD_BYTES,
                 GOSSIP_FRAME_BYTES_MAX);
}

enum gossip_refusal gossip_frame_open(struct gossip_cipher *cipher, struct bytes label,
                                      uint8_t *frame, size_t len, struct bytes *plain, size_t *key)
{
    if (len > 0 && label.len > GOSSIP_LABEL_BYTES_MAX) {
        return GOSSIP_LABEL;
    }
    enum gossip_refusal refusal = judge_frame(frame, len);
    if (refusal != GOSSIP_FINE) {
        return refusal;
    }
    struct beside beside = {.head = {frame, GOSSIP_FRAME_HEAD_BYTES}, .label = label};
    return open_judged(cipher, &beside, frame + GOSSIP_FRAME_HEAD_BYTES,
                       len - GOSSIP_FRAME_HEAD_BYTES, plain, key);
}
