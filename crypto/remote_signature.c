/* crypto/remote_signature.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/remote_signature.h"

#include "crypto/key_client.h"
#include "crypto/remote_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DIGEST_COUNT = 3, PARAM_TEXT_MAX = 64 };

struct remote_signer {
    struct key_client *client;
    EVP_MD *digests[DIGEST_COUNT]; /* by hash length: 32, 48, 64; fetched when first needed */
};

/* One signature being made. The key is kept alive by the EVP_PKEY that OpenSSL holds. */
struct remote_signature {
    struct remote_signer *signer;
    const struct remote_key *key;
    enum key_family family;
    const struct key_scheme_facts *scheme; /* NULL until the digest is known */
};

struct remote_signer *remote_signer_new(void)
{
    return calloc(1, sizeof(struct remote_signer));
}

void remote_signer_free(struct remote_signer *signer)
{
    if (signer != NULL) {
        for (size_t i = 0; i < DIGEST_COUNT; i++) {
            EVP_MD_free(signer->digests[i]);
        }
        free(signer);
    }
}

void remote_signer_attach(struct remote_signer *signer, struct key_client *client)
{
    signer->client = client;
}

static const EVP_MD *digest_of(struct remote_signer *signer, const struct key_scheme_facts *scheme)
{
    EVP_MD **digest = &signer->digests[scheme->hash_bytes / 16 - 2];
    if (*digest == NULL) {
        *digest = EVP_MD_fetch(NULL, scheme->digest, NULL);
    }
    return *digest;
}

/* ---- life ---- */

static void *new_signature(void *provider, enum key_family family)
{
    struct remote_signature *signature = calloc(1, sizeof(*signature));
    if (signature != NULL) {
        signature->signer = provider;
        signature->family = family;
    }
    return signature;
}

static void *new_rsa(void *provider, const char *properties)
{
    (void)properties;
    return new_signature(provider, KEY_FAMILY_RSA_PKCS1);
}

static void *new_ecdsa(void *provider, const char *properties)
{
    (void)properties;
    return new_signature(provider, KEY_FAMILY_ECDSA);
}

static void on_free(void *self)
{
    free(self);
}

static void *on_dup(void *self)
{
    struct remote_signature *copy = malloc(sizeof(*copy));
    if (copy != NULL) {
        *copy = *(const struct remote_signature *)self;
    }
    return copy;
}

/* ---- parameters ---- */

static bool set_family(struct remote_signature *signature, enum key_family family)
{
    signature->family = family;
    if (signature->scheme != NULL) {
        signature->scheme = key_scheme_find(family, signature->scheme->digest);
    }
    return true;
}

/* libssl sends an integer; other callers may send a word. */
static bool set_padding(struct remote_signature *signature, const OSSL_PARAM *param)
{
    char text[PARAM_TEXT_MAX];
    char *text_at = text;
    int number = 0;
    if (param->data_type == OSSL_PARAM_UTF8_STRING) {
        if (OSSL_PARAM_get_utf8_string(param, &text_at, sizeof(text)) != 1) {
            return false;
        }
        number = strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0       ? RSA_PKCS1_PSS_PADDING
                 : strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING
                                                                     : 0;
    } else if (OSSL_PARAM_get_int(param, &number) != 1) {
        return false;
    }
    if (number == RSA_PKCS1_PSS_PADDING) {
        return set_family(signature, KEY_FAMILY_RSA_PSS);
    }
    return number == RSA_PKCS1_PADDING && set_family(signature, KEY_FAMILY_RSA_PKCS1);
}

/* The keyholder makes the salt, as long as the hash; a caller that wants another gets an error. */
static bool salt_is_ours(const struct remote_signature *signature, const OSSL_PARAM *param)
{
    char text[PARAM_TEXT_MAX];
    char *text_at = text;
    if (param->data_type == OSSL_PARAM_UTF8_STRING) {
        return OSSL_PARAM_get_utf8_string(param, &text_at, sizeof(text)) == 1 &&
               strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0;
    }
    int number = 0;
    size_t hash_bytes = signature->scheme != NULL ? signature->scheme->hash_bytes : 0;
    return OSSL_PARAM_get_int(param, &number) == 1 &&
           (number == RSA_PSS_SALTLEN_DIGEST || (number > 0 && (size_t)number == hash_bytes));
}

static bool digest_is_ours(const struct remote_signature *signature, const OSSL_PARAM *param)
{
    char text[PARAM_TEXT_MAX];
    char *text_at = text;
    return signature->scheme != NULL &&
           OSSL_PARAM_get_utf8_string(param, &text_at, sizeof(text)) == 1 &&
           key_scheme_find(signature->family, text) == signature->scheme;
}

static int on_set_params(void *self, const OSSL_PARAM *params)
{
    struct remote_signature *signature = self;
    bool is_rsa = signature->family != KEY_FAMILY_ECDSA;
    for (const OSSL_PARAM *at = params; at != NULL && at->key != NULL; at++) {
        bool taken = true;
        if (is_rsa && strcmp(at->key, OSSL_SIGNATURE_PARAM_PAD_MODE) == 0) {
            taken = set_padding(signature, at);
        } else if (is_rsa && strcmp(at->key, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) == 0) {
            taken = salt_is_ours(signature, at);
        } else if (strcmp(at->key, OSSL_SIGNATURE_PARAM_DIGEST) == 0 ||
                   strcmp(at->key, OSSL_SIGNATURE_PARAM_MGF1_DIGEST) == 0) {
            taken = digest_is_ours(signature, at);
        }
        if (!taken) {
            return 0;
        }
    }
    return 1;
}

static const OSSL_PARAM *on_settable(void *self, void *provider)
{
    (void)self;
    (void)provider;
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_END,
    };
    return params;
}

/* ---- signing ---- */

/* A digest that is not ours makes libssl try the next signature scheme. */
static int on_init(void *self, const char *digest, void *key, const OSSL_PARAM *params)
{
    struct remote_signature *signature = self;
    if (key != NULL) {
        signature->key = key;
    }
    const char *name = digest != NULL && digest[0] != '\0' ? digest : "SHA2-256";
    signature->scheme = key_scheme_find(signature->family, name);
    uint32_t id;
    return signature->key != NULL && signature->scheme != NULL &&
           remote_key_id(signature->key, &id) && on_set_params(signature, params);
}

static int on_digest_sign(void *self, uint8_t *out, size_t *out_len, size_t out_size,
                          const uint8_t *message, size_t len)
{
    struct remote_signature *signature = self;
    if (signature->key == NULL || signature->scheme == NULL) {
        return 0;
    }
    if (out == NULL) {
        *out_len = remote_key_signature_max(signature->key);
        return 1;
    }
    uint8_t hash[KEY_HASH_BYTES_MAX];
    uint8_t made[KEY_SIGNATURE_BYTES_MAX];
    size_t made_len = 0;
    uint32_t id = 0;
    const EVP_MD *digest = digest_of(signature->signer, signature->scheme);
    if (signature->signer->client == NULL || digest == NULL ||
        !remote_key_id(signature->key, &id) ||
        EVP_Digest(message, len, hash, NULL, digest, NULL) != 1 ||
        !key_client_sign(signature->signer->client, id, signature->scheme, hash, made, &made_len) ||
        made_len > out_size) {
        return 0;
    }
    memcpy(out, made, made_len);
    *out_len = made_len;
    return 1;
}

const OSSL_DISPATCH REMOTE_SIGNATURE_RSA[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))new_rsa},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))on_free},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))on_dup},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))on_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))on_digest_sign},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))on_set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))on_settable},
    {0, NULL},
};

const OSSL_DISPATCH REMOTE_SIGNATURE_ECDSA[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))new_ecdsa},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))on_free},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))on_dup},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))on_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))on_digest_sign},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))on_set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))on_settable},
    {0, NULL},
};
