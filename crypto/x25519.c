/* crypto/x25519.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/x25519.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>

static const char OPENSSL_ONLY[] = "provider=default";

struct x25519 {
    EVP_PKEY_CTX *reader;
};

struct x25519 *x25519_new(void)
{
    struct x25519 *openssl = calloc(1, sizeof(*openssl));
    EVP_PKEY_CTX *reader = EVP_PKEY_CTX_new_from_name(NULL, "X25519", OPENSSL_ONLY);
    if (openssl == NULL || reader == NULL || EVP_PKEY_fromdata_init(reader) != 1) {
        EVP_PKEY_CTX_free(reader);
        free(openssl);
        ERR_clear_error();
        return NULL;
    }
    openssl->reader = reader;
    return openssl;
}

void x25519_free(struct x25519 *openssl)
{
    if (openssl != NULL) {
        EVP_PKEY_CTX_free(openssl->reader);
        free(openssl);
    }
}

/* OpenSSL reads these; its parameters are not const because others are written to. */
static OSSL_PARAM bytes_param(const char *name, const uint8_t *bytes)
{
    return OSSL_PARAM_construct_octet_string(name, (uint8_t *)(uintptr_t)bytes, X25519_BYTES);
}

/* Either may be NULL. Without the point OpenSSL computes it, which takes as long as an agreement.
 */
static EVP_PKEY *read_key(struct x25519 *openssl, const uint8_t *scalar, const uint8_t *point)
{
    OSSL_PARAM params[3];
    size_t count = 0;
    if (scalar != NULL) {
        params[count++] = bytes_param(OSSL_PKEY_PARAM_PRIV_KEY, scalar);
    }
    if (point != NULL) {
        params[count++] = bytes_param(OSSL_PKEY_PARAM_PUB_KEY, point);
    }
    params[count] = OSSL_PARAM_construct_end();
    EVP_PKEY *key = NULL;
    int selection = scalar != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    return EVP_PKEY_fromdata(openssl->reader, &key, selection, params) == 1 ? key : NULL;
}

bool x25519_complete_share(struct x25519 *openssl, struct x25519_share *share)
{
    (void)ERR_set_mark();
    EVP_PKEY *key = read_key(openssl, share->scalar, NULL);
    size_t len = X25519_BYTES;
    bool is_made = key != NULL && EVP_PKEY_get_raw_public_key(key, share->point, &len) == 1 &&
                   len == X25519_BYTES;
    EVP_PKEY_free(key);
    (void)ERR_pop_to_mark();
    return is_made;
}

bool x25519_make_share(struct x25519 *openssl, struct x25519_share *share)
{
    if (RAND_priv_bytes(share->scalar, X25519_BYTES) == 1 &&
        x25519_complete_share(openssl, share)) {
        return true;
    }
    OPENSSL_cleanse(share, sizeof(*share));
    return false;
}

bool x25519_agree(struct x25519 *openssl, const struct x25519_share *share,
                  const uint8_t peer[X25519_BYTES], uint8_t secret[X25519_BYTES])
{
    (void)ERR_set_mark();
    EVP_PKEY *own = read_key(openssl, share->scalar, share->point);
    EVP_PKEY *other = read_key(openssl, NULL, peer);
    EVP_PKEY_CTX *agreeing =
        own == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, own, OPENSSL_ONLY);
    size_t len = X25519_BYTES;
    /* Every point is a valid one, so there is nothing to check about it. */
    bool has_agreed = agreeing != NULL && other != NULL && EVP_PKEY_derive_init(agreeing) == 1 &&
                      EVP_PKEY_derive_set_peer_ex(agreeing, other, 0) == 1 &&
                      EVP_PKEY_derive(agreeing, secret, &len) == 1 && len == X25519_BYTES;
    EVP_PKEY_CTX_free(agreeing);
    EVP_PKEY_free(other);
    EVP_PKEY_free(own);
    (void)ERR_pop_to_mark();
    return has_agreed;
}
