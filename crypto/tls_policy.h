/* crypto/tls_policy.h
 *
 * What every handshake is held to, whichever side we are: versions, suites, groups, signature
 * algorithms, key sizes.
 *
 * Always: TLS 1.2 or 1.3, forward secrecy (ECDHE), AEAD; no compression, no renegotiation, no early
 * bytes (0-RTT); RSA of 2048 bits and up, no SHA-1.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

struct crypto_error;

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

enum tls_suites {
    TLS_SUITES_AES256, /* AES-256-GCM only */
    TLS_SUITES_MODERN, /* and ChaCha20-Poly1305, AES-128-GCM */
    TLS_SUITES_LIST,   /* `names` */
};

/* `= {0}` is the default policy. Strings are borrowed for the calls below. */
struct tls_policy {
    enum tls_version minimum;
    enum tls_suites suites;
    const char *const *names; /* OpenSSL's names, of TLS 1.2 and 1.3, preferred first. Without one
                                 of a version, that version is not spoken. */
    size_t name_count;
    unsigned minimum_rsa_bits; /* below 2048 (and 0): 2048 */
};

/* False with a sentence about the first suite that is refused, or when nothing is left to speak. */
bool tls_policy_check(const struct tls_policy *policy, struct crypto_error *error);

/* Sets all of the above in a fresh SSL_CTX. False with a sentence. */
bool tls_policy_apply(const struct tls_policy *policy, SSL_CTX *ctx, struct crypto_error *error);

/* Whether this OpenSSL offers X25519MLKEM768 (post-quantum key exchange); it comes first then. When
 * it does not, the start says so. */
bool tls_policy_is_post_quantum(void);

/* "X25519MLKEM768:X25519:P-256:P-384", or what of it this OpenSSL has. */
const char *tls_policy_groups(void);

/* The verification of a chain, with the policy's key size on top: for
 * SSL_CTX_set_cert_verify_callback. On failure the error in `chain` says why. */
bool tls_policy_verify_chain(X509_STORE_CTX *chain, unsigned minimum_rsa_bits);
