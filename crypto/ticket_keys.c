/* crypto/ticket_keys.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ticket_keys.h"

#include "crypto/secret.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

static const char LABEL[] = "sallyport session tickets 1";

/* Label, epoch and epoch length, big-endian: two nodes with different epoch lengths must not share
 * a key by accident. */
enum { INFO_BYTES = sizeof(LABEL) - 1 + 8 + 4 };

static void put_big_endian(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
}

static bool hkdf(uint8_t *out, size_t out_len, const struct secret *secret, uint8_t *info)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *derivation = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    char digest[] = "SHA2-256";
    /* OSSL_PARAM has no const; OpenSSL only reads here. */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret_bytes(secret), secret_len(secret)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, INFO_BYTES),
        OSSL_PARAM_construct_end(),
    };
    bool done = derivation != NULL && EVP_KDF_derive(derivation, out, out_len, params) == 1;
    EVP_KDF_CTX_free(derivation);
    EVP_KDF_free(kdf);
    return done;
}

uint64_t ticket_epoch(uint64_t unix_seconds, uint32_t epoch_seconds)
{
    return epoch_seconds != 0 ? unix_seconds / epoch_seconds : 0;
}

bool ticket_keys_derive(struct ticket_keys *out, const struct secret *secret, uint64_t epoch,
                        uint32_t epoch_seconds)
{
    ticket_keys_wipe(out);
    if (secret_len(secret) < TICKET_SECRET_BYTES_MIN) {
        return false;
    }
    uint8_t info[INFO_BYTES];
    memcpy(info, LABEL, sizeof(LABEL) - 1);
    put_big_endian(info + sizeof(LABEL) - 1, epoch, 8);
    put_big_endian(info + sizeof(LABEL) - 1 + 8, epoch_seconds, 4);
    uint8_t okm[TICKET_NAME_BYTES + TICKET_AES_BYTES + TICKET_HMAC_BYTES];
    bool done = hkdf(okm, sizeof(okm), secret, info);
    if (done) {
        out->epoch = epoch;
        memcpy(out->name, okm, TICKET_NAME_BYTES);
        memcpy(out->aes, okm + TICKET_NAME_BYTES, TICKET_AES_BYTES);
        memcpy(out->hmac, okm + TICKET_NAME_BYTES + TICKET_AES_BYTES, TICKET_HMAC_BYTES);
    }
    OPENSSL_cleanse(okm, sizeof(okm));
    return done;
}

void ticket_keys_wipe(struct ticket_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}
