/* crypto/key_provider.c
 *
 * What libssl asks of a key's provider (the same on OpenSSL 3.0 and 3.5): import for the key itself
 * and for the certificate's key it is compared with, get_params once, has, match, an export that
 * must fail, and digest_sign twice a signature (size first). Nothing else is offered.
 *
 * Nothing in here puts an error into OpenSSL's queue: the queue is the thread's, and an error
 * raised before a pause would make another conn's handshake fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/key_provider.h"

#include "crypto/error.h"
#include "crypto/key_client.h"
#include "crypto/remote_key.h"
#include "crypto/remote_signature.h"

#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

static const char NAME[] = "keyholder";
static const char PREFER_DEFAULT[] = "?provider=default";

struct key_provider {
    OSSL_PROVIDER *openssl;
    OSSL_PROVIDER *ours;
    struct remote_signer *signer; /* lives as long as OpenSSL keeps the provider */
    bool is_async;
};

/* ---- what OpenSSL calls ---- */

/* The names are OpenSSL's own for these algorithms, so that EVP_PKEY_is_a and libssl know them. */
static const OSSL_ALGORITHM KEY_MANAGEMENT[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=keyholder", REMOTE_KEY_RSA, "RSA by id"},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=keyholder", REMOTE_KEY_EC, "EC by id"},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM SIGNATURES[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=keyholder", REMOTE_SIGNATURE_RSA, NULL},
    {"ECDSA", "provider=keyholder", REMOTE_SIGNATURE_ECDSA, NULL},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *on_query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT) {
        return KEY_MANAGEMENT;
    }
    return operation == OSSL_OP_SIGNATURE ? SIGNATURES : NULL;
}

static void on_teardown(void *provider)
{
    remote_signer_free(provider);
}

static const OSSL_DISPATCH PROVIDER[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))on_query},
    {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))on_teardown},
    {0, NULL},
};

/* Fetches nothing: the default provider may not be there yet. */
static int on_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *offered,
                   const OSSL_DISPATCH **ours, void **provider)
{
    (void)core;
    (void)offered;
    *provider = remote_signer_new();
    *ours = PROVIDER;
    return *provider != NULL;
}

/* ---- loading ---- */

static bool comes_from_default(const char *algorithm)
{
    EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(NULL, algorithm, NULL);
    EVP_KEYMGMT *keys =
        EVP_KEYMGMT_fetch(NULL, strcmp(algorithm, "ECDSA") == 0 ? "EC" : algorithm, NULL);
    bool ok = signature != NULL && keys != NULL &&
              strcmp(OSSL_PROVIDER_get0_name(EVP_SIGNATURE_get0_provider(signature)), NAME) != 0 &&
              strcmp(OSSL_PROVIDER_get0_name(EVP_KEYMGMT_get0_provider(keys)), NAME) != 0;
    EVP_SIGNATURE_free(signature);
    EVP_KEYMGMT_free(keys);
    return ok;
}

/* Order matters: loading any provider by hand ends the automatic loading of the default one, and
 * the first loaded wins where nothing else decides. */
static bool load_both(struct key_provider *provider, struct crypto_error *error)
{
    if (EVP_default_properties_is_fips_enabled(NULL)) {
        crypto_error_set(error, "OpenSSL is set to FIPS algorithms only; the keyholder's keys "
                                "cannot be used then");
        return false;
    }
    /* Any fetch brings the default provider in by OpenSSL's own means. Loaded by hand only, it
     * would go with key_provider_free and leave the process without any. */
    EVP_MD_free(EVP_MD_fetch(NULL, "SHA2-256", NULL));
    provider->openssl = OSSL_PROVIDER_load(NULL, "default");
    if (provider->openssl == NULL || OSSL_PROVIDER_add_builtin(NULL, NAME, on_init) != 1) {
        crypto_error_set_openssl(error, "OpenSSL's default provider cannot be loaded");
        return false;
    }
    provider->ours = OSSL_PROVIDER_load(NULL, NAME);
    if (provider->ours == NULL || EVP_set_default_properties(NULL, PREFER_DEFAULT) != 1) {
        crypto_error_set_openssl(error, "the keyholder provider cannot be loaded");
        return false;
    }
    if (!comes_from_default("RSA") || !comes_from_default("ECDSA")) {
        ERR_clear_error();
        crypto_error_set(error, "ordinary signatures would go to the keyholder provider; OpenSSL's "
                                "configuration file interferes");
        return false;
    }
    return true;
}

struct key_provider *key_provider_load(struct key_client *client, struct crypto_error *error)
{
    struct key_provider *provider = calloc(1, sizeof(*provider));
    if (provider == NULL) {
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    if (!load_both(provider, error)) {
        key_provider_free(provider);
        return NULL;
    }
    provider->signer = OSSL_PROVIDER_get0_provider_ctx(provider->ours);
    remote_signer_attach(provider->signer, client);
    /* The pool never shrinks, so its size is what the worst moment leaves behind. */
    provider->is_async =
        ASYNC_is_capable() == 1 && ASYNC_init_thread(key_client_parked_max(client), 0) == 1;
    return provider;
}

void key_provider_free(struct key_provider *provider)
{
    if (provider == NULL) {
        return;
    }
    if (provider->signer != NULL) {
        remote_signer_attach(provider->signer, NULL);
    }
    if (provider->is_async) {
        ASYNC_cleanup_thread();
    }
    if (provider->ours != NULL) {
        (void)OSSL_PROVIDER_unload(provider->ours);
    }
    if (provider->openssl != NULL) {
        (void)OSSL_PROVIDER_unload(provider->openssl);
    }
    free(provider);
}

bool key_provider_is_async(const struct key_provider *provider)
{
    return provider->is_async;
}

EVP_PKEY *key_provider_key(struct key_provider *provider, EVP_PKEY *public_key, uint32_t key_id,
                           struct crypto_error *error)
{
    (void)provider; /* says that it is loaded */
    bool is_rsa = EVP_PKEY_is_a(public_key, "RSA") == 1;
    if (!is_rsa && EVP_PKEY_is_a(public_key, "EC") != 1) {
        const char *kind = EVP_PKEY_get0_type_name(public_key);
        crypto_error_set(error, "a certificate with a key of kind %s; expected RSA or EC",
                         kind != NULL ? kind : "unknown");
        return NULL;
    }
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = remote_key_params(public_key, is_rsa, key_id);
    EVP_PKEY_CTX *import =
        EVP_PKEY_CTX_new_from_name(NULL, is_rsa ? "RSA" : "EC", "provider=keyholder");
    if (params == NULL || import == NULL || EVP_PKEY_fromdata_init(import) != 1 ||
        EVP_PKEY_fromdata(import, &key, EVP_PKEY_KEYPAIR, params) != 1) {
        crypto_error_set_openssl(error, "the public key of a certificate cannot be used");
    }
    EVP_PKEY_CTX_free(import);
    OSSL_PARAM_free(params);
    return key;
}
