/* crypto/signing_key.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signing_key.h"

#include "crypto/rsa_batch.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>

/* Prepared once per scheme and used again: preparing costs a fetch, a micro-second each time. */
struct operations {
    EVP_PKEY_CTX *sign;
    EVP_PKEY_CTX *verify;
};

struct signing_key {
    EVP_PKEY *key;
    bool is_rsa;
    struct rsa_batch_key *numbers; /* NULL: not for batches */
    struct operations operations[KEY_SCHEME_COUNT];
};

struct signing_key *signing_key_new(EVP_PKEY *key)
{
    struct signing_key *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        EVP_PKEY_free(key);
        return NULL;
    }
    made->key = key;
    made->is_rsa = EVP_PKEY_is_a(key, "RSA") == 1;
    made->numbers = made->is_rsa ? rsa_batch_key_new(key) : NULL;
    ERR_clear_error();
    return made;
}

void signing_key_free(struct signing_key *key)
{
    if (key == NULL) {
        return;
    }
    for (size_t i = 0; i < KEY_SCHEME_COUNT; i++) {
        EVP_PKEY_CTX_free(key->operations[i].sign);
        EVP_PKEY_CTX_free(key->operations[i].verify);
    }
    rsa_batch_key_free(key->numbers);
    EVP_PKEY_free(key->key);
    free(key);
}

bool signing_key_fits(const struct signing_key *key, const struct key_scheme_facts *scheme)
{
    return key->is_rsa == (scheme->family != KEY_FAMILY_ECDSA);
}

const struct rsa_batch_key *signing_key_numbers(const struct signing_key *key)
{
    return key->numbers;
}

static bool set_scheme(EVP_PKEY_CTX *operation, const struct key_scheme_facts *scheme)
{
    EVP_MD *digest = EVP_MD_fetch(NULL, scheme->digest, NULL);
    bool done = digest != NULL && EVP_PKEY_CTX_set_signature_md(operation, digest) == 1;
    EVP_MD_free(digest);
    if (!done || scheme->family == KEY_FAMILY_ECDSA) {
        return done;
    }
    if (scheme->family == KEY_FAMILY_RSA_PKCS1) {
        return EVP_PKEY_CTX_set_rsa_padding(operation, RSA_PKCS1_PADDING) == 1;
    }
    return EVP_PKEY_CTX_set_rsa_padding(operation, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(operation, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static EVP_PKEY_CTX *prepare(EVP_PKEY *key, const struct key_scheme_facts *scheme,
                             int (*start)(EVP_PKEY_CTX *operation))
{
    EVP_PKEY_CTX *operation = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (operation == NULL || start(operation) != 1 || !set_scheme(operation, scheme)) {
        EVP_PKEY_CTX_free(operation);
        return NULL;
    }
    return operation;
}

static struct operations *prepared(struct signing_key *key, const struct key_scheme_facts *scheme)
{
    struct operations *operations = &key->operations[scheme->scheme - KEY_SCHEME_RSA_PSS_SHA256];
    if (operations->sign == NULL) {
        operations->sign = prepare(key->key, scheme, EVP_PKEY_sign_init);
    }
    if (operations->verify == NULL) {
        operations->verify = prepare(key->key, scheme, EVP_PKEY_verify_init);
    }
    return operations->sign != NULL && operations->verify != NULL ? operations : NULL;
}

bool signing_key_sign(struct signing_key *key, const struct key_scheme_facts *scheme,
                      const uint8_t *hash, uint8_t *signature, size_t *signature_len)
{
    struct operations *operations = signing_key_fits(key, scheme) ? prepared(key, scheme) : NULL;
    size_t len = KEY_SIGNATURE_BYTES_MAX;
    bool done = operations != NULL &&
                EVP_PKEY_sign(operations->sign, signature, &len, hash, scheme->hash_bytes) == 1 &&
                EVP_PKEY_verify(operations->verify, signature, len, hash, scheme->hash_bytes) == 1;
    if (!done) {
        OPENSSL_cleanse(signature, KEY_SIGNATURE_BYTES_MAX);
        ERR_clear_error();
    }
    *signature_len = done ? len : 0;
    return done;
}
