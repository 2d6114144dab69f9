/* crypto/agreement_provider.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/agreement_provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/agreement_exchange.h"
#include "crypto/agreement_key.h"
#include "crypto/error.h"

static const char NAME[] = "sallyport-agreements";

/* Two properties, because one alone would only weigh as much as the "?provider=default" that
 * key_provider.c sets for the process; both are optional, so all else is found as ever. With dots,
 * or OpenSSL refuses the names. */
const char AGREEMENT_PROPERTIES[] = "?sallyport.batches=yes,?sallyport.agreements=yes";
static const char OURS[] =
    "provider=sallyport-agreements,sallyport.batches=yes,sallyport.agreements=yes";

struct agreement_provider {
    OSSL_PROVIDER *openssl;
    struct agreement_room *room; /* lives as long as OpenSSL keeps the provider */
};

/* ---- what OpenSSL calls ---- */

static const OSSL_ALGORITHM KEY_MANAGEMENT[] = {
    {"X25519:1.3.101.110", OURS, AGREEMENT_KEY, "X25519 in batches"},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM KEY_EXCHANGE[] = {
    {"X25519:1.3.101.110", OURS, AGREEMENT_EXCHANGE, "X25519 in batches"},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *on_query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT) {
        return KEY_MANAGEMENT;
    }
    return operation == OSSL_OP_KEYEXCH ? KEY_EXCHANGE : NULL;
}

/* OpenSSL 3.0 keeps a group for an SSL_CTX only if the provider that names it is the one whose key
 * management is found for it, so we name it as well (RFC 8446 §4.2.7). */
static int on_capabilities(void *provider, const char *capability, OSSL_CALLBACK *take,
                           void *argument)
{
    (void)provider;
    static char name[] = "x25519";
    static char algorithm[] = "X25519";
    unsigned id = 29;
    unsigned security_bits = 128;
    int from = TLS1_VERSION;
    int never = -1;
    int no_end = 0;
    const OSSL_PARAM group[] = {
        OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_NAME, name, sizeof(name)),
        OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_NAME_INTERNAL, algorithm,
                               sizeof(algorithm)),
        OSSL_PARAM_utf8_string(OSSL_CAPABILITY_TLS_GROUP_ALG, algorithm, sizeof(algorithm)),
        OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_ID, &id),
        OSSL_PARAM_uint(OSSL_CAPABILITY_TLS_GROUP_SECURITY_BITS, &security_bits),
        OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_TLS, &from),
        OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_TLS, &no_end),
        OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MIN_DTLS, &never),
        OSSL_PARAM_int(OSSL_CAPABILITY_TLS_GROUP_MAX_DTLS, &never),
        OSSL_PARAM_END,
    };
    return strcmp(capability, "TLS-GROUP") != 0 || take(group, argument) == 1;
}

static void on_teardown(void *provider)
{
    free(provider);
}

static const OSSL_DISPATCH PROVIDER[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))on_query},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))on_capabilities},
    {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))on_teardown},
    {0, NULL},
};

static int on_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *offered,
                   const OSSL_DISPATCH **ours, void **provider)
{
    (void)core;
    (void)offered;
    *provider = calloc(1, sizeof(struct agreement_room));
    *ours = PROVIDER;
    return *provider != NULL;
}

/* ---- loading ---- */

/* Whether both of what an agreement needs come from us for this query. */
static bool comes_from_us(const char *properties)
{
    EVP_KEYMGMT *keys = EVP_KEYMGMT_fetch(NULL, "X25519", properties);
    EVP_KEYEXCH *exchange = EVP_KEYEXCH_fetch(NULL, "X25519", properties);
    bool is_ours = keys != NULL && exchange != NULL &&
                   strcmp(OSSL_PROVIDER_get0_name(EVP_KEYMGMT_get0_provider(keys)), NAME) == 0 &&
                   strcmp(OSSL_PROVIDER_get0_name(EVP_KEYEXCH_get0_provider(exchange)), NAME) == 0;
    EVP_KEYMGMT_free(keys);
    EVP_KEYEXCH_free(exchange);
    ERR_clear_error();
    return is_ours;
}

struct agreement_provider *agreement_provider_load(struct agreements *agreements,
                                                   struct crypto_error *error)
{
    struct agreement_provider *provider = calloc(1, sizeof(*provider));
    if (provider == NULL) {
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    if (OSSL_PROVIDER_add_builtin(NULL, NAME, on_init) == 1) {
        provider->openssl = OSSL_PROVIDER_load(NULL, NAME);
    }
    if (provider->openssl == NULL) {
        crypto_error_set_openssl(error, "the provider of key agreements cannot be loaded");
        agreement_provider_free(provider);
        return NULL;
    }
    provider->room = OSSL_PROVIDER_get0_provider_ctx(provider->openssl);
    provider->room->agreements = agreements;
    if (!comes_from_us(AGREEMENT_PROPERTIES) || comes_from_us(NULL)) {
        crypto_error_set(error, "key agreements would not go where they should; OpenSSL's "
                                "configuration file interferes");
        agreement_provider_free(provider);
        return NULL;
    }
    return provider;
}

void agreement_provider_free(struct agreement_provider *provider)
{
    if (provider == NULL) {
        return;
    }
    if (provider->room != NULL) {
        provider->room->agreements = NULL;
    }
    if (provider->openssl != NULL) {
        (void)OSSL_PROVIDER_unload(provider->openssl);
    }
    free(provider);
}
