/* crypto/rsa_encoding.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/rsa_encoding.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_COUNT = 3, PREFIX_BYTES = 19 };

/* By hash length: 32, 48, 64. */
static const char *const DIGEST_NAMES[DIGEST_COUNT] = {"SHA2-256", "SHA2-384", "SHA2-512"};

/* DigestInfo up to the hash, RFC 8017 §9.2 note 1. */
static const uint8_t PREFIXES[DIGEST_COUNT][PREFIX_BYTES] = {
    {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
     0x00, 0x04, 0x20},
    {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05,
     0x00, 0x04, 0x30},
    {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05,
     0x00, 0x04, 0x40},
};

struct rsa_encoder {
    EVP_MD *digests[DIGEST_COUNT];
    EVP_MD_CTX *hashing;
};

struct rsa_encoder *rsa_encoder_new(void)
{
    struct rsa_encoder *encoder = calloc(1, sizeof(*encoder));
    if (encoder == NULL) {
        return NULL;
    }
    encoder->hashing = EVP_MD_CTX_new();
    bool is_whole = encoder->hashing != NULL;
    for (size_t i = 0; i < DIGEST_COUNT; i++) {
        encoder->digests[i] = EVP_MD_fetch(NULL, DIGEST_NAMES[i], NULL);
        is_whole = is_whole && encoder->digests[i] != NULL;
    }
    if (!is_whole) {
        rsa_encoder_free(encoder);
        return NULL;
    }
    return encoder;
}

void rsa_encoder_free(struct rsa_encoder *encoder)
{
    if (encoder != NULL) {
        for (size_t i = 0; i < DIGEST_COUNT; i++) {
            EVP_MD_free(encoder->digests[i]);
        }
        EVP_MD_CTX_free(encoder->hashing);
        free(encoder);
    }
}

static size_t digest_index(const struct key_scheme_facts *scheme)
{
    return scheme->hash_bytes / 16 - 2;
}

/* 00 01 FF .. FF 00 DigestInfo; at least eight FF. */
static bool encode_pkcs1(const struct key_scheme_facts *scheme, const uint8_t *hash, uint8_t *out,
                         size_t len)
{
    size_t tail = PREFIX_BYTES + scheme->hash_bytes;
    if (len < tail + 11) {
        return false;
    }
    out[0] = 0;
    out[1] = 1;
    memset(out + 2, 0xff, len - tail - 3);
    out[len - tail - 1] = 0;
    memcpy(out + len - tail, PREFIXES[digest_index(scheme)], PREFIX_BYTES);
    memcpy(out + len - scheme->hash_bytes, hash, scheme->hash_bytes);
    return true;
}

/* The hash of two strings after each other. */
static bool hash_two(struct rsa_encoder *encoder, const EVP_MD *digest, const uint8_t *first,
                     size_t first_len, const uint8_t *second, size_t second_len, uint8_t *out)
{
    return EVP_DigestInit_ex2(encoder->hashing, digest, NULL) == 1 &&
           EVP_DigestUpdate(encoder->hashing, first, first_len) == 1 &&
           EVP_DigestUpdate(encoder->hashing, second, second_len) == 1 &&
           EVP_DigestFinal_ex(encoder->hashing, out, NULL) == 1;
}

/* M' = eight zeros, hash, salt. */
static bool hash_salted(struct rsa_encoder *encoder, const EVP_MD *digest, const uint8_t *hash,
                        const uint8_t *salt, size_t hash_bytes, uint8_t *out)
{
    uint8_t head[8 + KEY_HASH_BYTES_MAX] = {0};
    memcpy(head + 8, hash, hash_bytes);
    return hash_two(encoder, digest, head, 8 + hash_bytes, salt, hash_bytes, out);
}

/* MGF1, RFC 8017 §B.2.1, added (exclusive or) to what is there. */
static bool mask(struct rsa_encoder *encoder, const EVP_MD *digest, const uint8_t *seed,
                 size_t seed_len, uint8_t *out, size_t len)
{
    uint8_t block[KEY_HASH_BYTES_MAX];
    for (size_t at = 0, number = 0; at < len; at += seed_len, number++) {
        const uint8_t counter[4] = {0, 0, 0, (uint8_t)number};
        if (!hash_two(encoder, digest, seed, seed_len, counter, sizeof(counter), block)) {
            return false;
        }
        for (size_t i = 0; i < seed_len && at + i < len; i++) {
            out[at + i] ^= block[i];
        }
    }
    return true;
}

/* maskedDB, H, BC; DB = 00 .. 00 01 salt. */
static bool encode_pss(struct rsa_encoder *encoder, const struct key_scheme_facts *scheme,
                       const uint8_t *hash, uint8_t *out, size_t len)
{
    size_t bytes = scheme->hash_bytes;
    const EVP_MD *digest = encoder->digests[digest_index(scheme)];
    if (len < 2 * bytes + 2 || len / bytes > UINT8_MAX) {
        return false;
    }
    size_t masked = len - bytes - 1;
    uint8_t *salt = out + masked - bytes;
    memset(out, 0, masked - bytes - 1);
    out[masked - bytes - 1] = 1;
    if (RAND_bytes(salt, (int)bytes) != 1 ||
        !hash_salted(encoder, digest, hash, salt, bytes, out + masked) ||
        !mask(encoder, digest, out + masked, bytes, out, masked)) {
        return false;
    }
    out[0] &= 0x7f; /* emBits is one less than the modulus has */
    out[len - 1] = 0xbc;
    return true;
}

bool rsa_encode(struct rsa_encoder *encoder, const struct key_scheme_facts *scheme,
                const uint8_t *hash, uint8_t *out, size_t len)
{
    if (scheme->family == KEY_FAMILY_RSA_PKCS1) {
        return encode_pkcs1(scheme, hash, out, len);
    }
    return scheme->family == KEY_FAMILY_RSA_PSS && encode_pss(encoder, scheme, hash, out, len);
}
