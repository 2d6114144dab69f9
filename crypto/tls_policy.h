/* crypto/tls_policy.h
 *
 * Which versions, suites, groups and key sizes are good enough, for both sides of TLS. TLS 1.2
 * with ECDHE and AEAD is the least; nothing here can allow less.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "crypto/error.h"

enum tls_cipher_policy {
    TLS_CIPHERS_AES256, /* TLS_AES_256_GCM_SHA384; ECDHE with AES256-GCM */
    TLS_CIPHERS_MODERN, /* every AEAD with ECDHE, AES-256 first */
    TLS_CIPHERS_LIST,   /* `names` */
};

struct tls_policy {
    enum tls_cipher_policy ciphers;
    const char *const *names; /* OpenSSL's names, TLS 1.2 and 1.3 mixed */
    size_t name_count;
    bool minimum_is_1_3;
    unsigned minimum_rsa_bits; /* of every certificate, ours and verified ones */
};

/* Is `name` a suite that the policy can ever allow? False with a sentence: unknown, or without
 * forward secrecy or AEAD. */
bool tls_policy_allows_suite(const char *name, struct crypto_error *error);

/* Sets versions, suites, groups (X25519MLKEM768 first where OpenSSL has it, X25519, P-256, P-384),
 * security level; renegotiation, compression and early data off; buffers released when idle. */
bool tls_policy_apply(const struct tls_policy *policy, SSL_CTX *ssl_ctx, struct crypto_error *error)
    __attribute__((warn_unused_result));

/* Does this OpenSSL have the hybrid post-quantum group? False: say so in a notice. */
bool tls_policy_has_hybrid_group(void);
