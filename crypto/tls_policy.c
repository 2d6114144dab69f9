/* crypto/tls_policy.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_policy.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypto/error.h"

enum {
    SECURITY_LEVEL = 2, /* 112 bits: RSA of 2048 bits, no SHA-1 signatures */
    RSA_BITS_FLOOR = 2048,
    LIST_TEXT = 1024,
    NAMES_MAX = 32,
};

/* Preferred first. ECDSA before RSA: a signature costs us a tenth. */
struct suite {
    const char *name;
    const char *standard_name;
    bool is_1_3;
    bool is_aes256;
};

static const struct suite SUITES[] = {
    {"TLS_AES_256_GCM_SHA384", "", true, true},
    {"TLS_CHACHA20_POLY1305_SHA256", "", true, false},
    {"TLS_AES_128_GCM_SHA256", "", true, false},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", false, true},
    {"ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", false, true},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", false,
     false},
    {"ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", false, false},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", false, false},
    {"ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", false, false},
};

enum { SUITE_COUNT = sizeof(SUITES) / sizeof(SUITES[0]) };

/* What OpenSSL takes, the first that it takes. A star (3.5 and later): as a client, send a key
 * share for this one. With both, a server without the hybrid does not have to ask again. */
static const struct {
    const char *for_openssl;
    const char *names;
    bool is_post_quantum;
} GROUPS[] = {
    {"*X25519MLKEM768:*X25519:P-256:P-384", "X25519MLKEM768:X25519:P-256:P-384", true},
    {"X25519MLKEM768:X25519:P-256:P-384", "X25519MLKEM768:X25519:P-256:P-384", true},
    {"X25519:P-256:P-384", "X25519:P-256:P-384", false},
};

enum { GROUPS_COUNT = sizeof(GROUPS) / sizeof(GROUPS[0]) };

static const char SIGNATURES[] =
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:"
    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512";

/* ---- suites ---- */

/* What is left of a policy: OpenSSL's two lists. Empty: that version is not spoken. */
struct suite_lists {
    char tls12[LIST_TEXT];
    char tls13[LIST_TEXT];
};

static void append(char list[LIST_TEXT], const char *name)
{
    size_t len = strlen(list);
    (void)snprintf(list + len, LIST_TEXT - len, "%s%s", len > 0 ? ":" : "", name);
}

static const struct suite *find_suite(const char *name)
{
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (strcmp(name, SUITES[i].name) == 0) {
            return &SUITES[i];
        }
    }
    return NULL;
}

static const char *find_near_miss(const char *name)
{
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (strcasecmp(name, SUITES[i].name) == 0 ||
            strcasecmp(name, SUITES[i].standard_name) == 0) {
            return SUITES[i].name;
        }
    }
    return NULL;
}

struct weakness {
    const char *part;
    const char *why;
};

/* Looked for in the name, the first that is found is told. */
static const struct weakness WEAKNESSES[] = {
    {"NULL", "does not encrypt"},
    {"eNULL", "does not encrypt"},
    {"ADH", "does not authenticate the server"},
    {"AECDH", "does not authenticate the server"},
    {"aNULL", "does not authenticate the server"},
    {"EXP", "has keys of export strength"},
    {"RC4", "uses RC4, which is broken (RFC 7465)"},
    {"DES", "uses DES or 3DES (RFC 9325 §4.2)"},
    {"MD5", "uses MD5"},
    {"PSK", "needs a key shared beforehand, which is not supported"},
    {"SRP", "needs SRP, which is not supported"},
    {"CCM", "is not offered: AES-CCM is slower than AES-GCM and not stronger"},
    {"DHE-DSS", "needs DSA, which is out of use"},
};

static const char *weakness_of(const char *name)
{
    for (size_t i = 0; i < sizeof(WEAKNESSES) / sizeof(WEAKNESSES[0]); i++) {
        if (strstr(name, WEAKNESSES[i].part) != NULL) {
            return WEAKNESSES[i].why;
        }
    }
    if (strncmp(name, "ECDHE-", 6) == 0) {
        return "is no AEAD suite (CBC; RFC 9325 §4.2)";
    }
    if (strncmp(name, "DHE-", 4) == 0 || strncmp(name, "EDH-", 4) == 0) {
        return "uses finite-field DHE (RFC 9325 §4.2); expected ECDHE";
    }
    return "has no forward secrecy (static RSA; RFC 9325 §4.1)";
}

/* Whether OpenSSL knows a suite of that name, strong or not. */
static bool is_known_to_openssl(const char *name)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    bool is_known = false;
    if (ctx != NULL) {
        SSL_CTX_set_security_level(ctx, 0);
        (void)SSL_CTX_set_cipher_list(ctx, "ALL:COMPLEMENTOFALL");
        const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
        for (int i = 0; i < sk_SSL_CIPHER_num(all) && !is_known; i++) {
            is_known = strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)), name) == 0;
        }
    }
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return is_known;
}

static void refuse(const char *name, struct crypto_error *error)
{
    const char *meant = find_near_miss(name);
    if (meant != NULL) {
        crypto_error_set(error, "unknown cipher suite \"%.64s\"; did you mean \"%s\"?", name,
                         meant);
    } else if (is_known_to_openssl(name)) {
        crypto_error_set(error, "cipher suite \"%.64s\" is refused: it %s", name,
                         weakness_of(name));
    } else {
        crypto_error_set(error,
                         "unknown cipher suite \"%.64s\"; expected OpenSSL's name of a suite, such "
                         "as TLS_AES_256_GCM_SHA384 or ECDHE-RSA-AES256-GCM-SHA384",
                         name);
    }
}

static bool list_named(const struct tls_policy *policy, struct suite_lists *lists,
                       struct crypto_error *error)
{
    if (policy->name_count == 0 || policy->name_count > NAMES_MAX) {
        crypto_error_set(error, "%zu cipher suites; expected 1 to %d", policy->name_count,
                         NAMES_MAX);
        return false;
    }
    for (size_t i = 0; i < policy->name_count; i++) {
        const struct suite *suite = find_suite(policy->names[i]);
        if (suite == NULL) {
            refuse(policy->names[i], error);
            return false;
        }
        append(suite->is_1_3 ? lists->tls13 : lists->tls12, suite->name);
    }
    return true;
}

static bool list_suites(const struct tls_policy *policy, struct suite_lists *lists,
                        struct crypto_error *error)
{
    *lists = (struct suite_lists){"", ""};
    if (policy->suites == TLS_SUITES_LIST) {
        if (!list_named(policy, lists, error)) {
            return false;
        }
    } else {
        for (size_t i = 0; i < SUITE_COUNT; i++) {
            if (SUITES[i].is_aes256 || policy->suites == TLS_SUITES_MODERN) {
                append(SUITES[i].is_1_3 ? lists->tls13 : lists->tls12, SUITES[i].name);
            }
        }
    }
    if (policy->minimum == TLS_VERSION_1_3 && lists->tls13[0] == '\0') {
        crypto_error_set(error, "the cipher suites are all of TLS 1.2, and the minimum is TLS 1.3");
        return false;
    }
    return true;
}

bool tls_policy_check(const struct tls_policy *policy, struct crypto_error *error)
{
    struct suite_lists lists;
    return list_suites(policy, &lists, error);
}

/* ---- groups ---- */

/* Sets the best list; the index of it, or GROUPS_COUNT when none is taken. */
static size_t set_groups(SSL_CTX *ctx)
{
    size_t i = 0;
    while (i < GROUPS_COUNT && SSL_CTX_set1_groups_list(ctx, GROUPS[i].for_openssl) != 1) {
        i++;
    }
    ERR_clear_error();
    return i;
}

static size_t find_groups(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    size_t i = ctx != NULL ? set_groups(ctx) : GROUPS_COUNT;
    SSL_CTX_free(ctx);
    return i < GROUPS_COUNT ? i : GROUPS_COUNT - 1;
}

bool tls_policy_is_post_quantum(void)
{
    return GROUPS[find_groups()].is_post_quantum;
}

const char *tls_policy_groups(void)
{
    return GROUPS[find_groups()].names;
}

/* ---- applying ---- */

static bool set_versions(const struct tls_policy *policy, const struct suite_lists *lists,
                         SSL_CTX *ctx)
{
    bool speaks_1_2 = policy->minimum == TLS_VERSION_1_2 && lists->tls12[0] != '\0';
    bool speaks_1_3 = lists->tls13[0] != '\0';
    return SSL_CTX_set_min_proto_version(ctx, speaks_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, speaks_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1;
}

static bool set_suites(const struct suite_lists *lists, SSL_CTX *ctx)
{
    /* An empty TLS 1.2 list is an error to OpenSSL; the version is out of range then anyway. */
    return (lists->tls12[0] == '\0' || SSL_CTX_set_cipher_list(ctx, lists->tls12) == 1) &&
           SSL_CTX_set_ciphersuites(ctx, lists->tls13) == 1;
}

bool tls_policy_apply(const struct tls_policy *policy, SSL_CTX *ctx, struct crypto_error *error)
{
    struct suite_lists lists;
    if (!list_suites(policy, &lists, error)) {
        return false;
    }
    (void)SSL_CTX_clear_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT |
                                         SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    bool is_set =
        set_versions(policy, &lists, ctx) && set_suites(&lists, ctx) &&
        set_groups(ctx) < GROUPS_COUNT && SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) == 1 &&
        SSL_CTX_set_max_early_data(ctx, 0) == 1 && SSL_CTX_set_recv_max_early_data(ctx, 0) == 1;
    if (!is_set) {
        crypto_error_set_openssl(error, "OpenSSL does not take the TLS settings");
    }
    return is_set;
}

/* ---- chains ---- */

static bool is_strong_enough(X509 *certificate, unsigned minimum_rsa_bits)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    return key != NULL &&
           (!EVP_PKEY_is_a(key, "RSA") || (unsigned)EVP_PKEY_get_bits(key) >= minimum_rsa_bits);
}

bool tls_policy_verify_chain(X509_STORE_CTX *chain, unsigned minimum_rsa_bits)
{
    if (X509_verify_cert(chain) != 1) {
        return false;
    }
    unsigned minimum = minimum_rsa_bits > RSA_BITS_FLOOR ? minimum_rsa_bits : RSA_BITS_FLOOR;
    const STACK_OF(X509) *verified = X509_STORE_CTX_get0_chain(chain);
    for (int i = 0; i < sk_X509_num(verified); i++) {
        if (!is_strong_enough(sk_X509_value(verified, i), minimum)) {
            X509_STORE_CTX_set_error(chain, i == 0 ? X509_V_ERR_EE_KEY_TOO_SMALL
                                                   : X509_V_ERR_CA_KEY_TOO_SMALL);
            return false;
        }
    }
    return true;
}
