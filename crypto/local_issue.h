/* crypto/local_issue.h
 *
 * Makes keys and certificates of a local authority, in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <time.h>

struct crypto_error;

enum {
    LOCAL_CA_DAYS = 3650,
    LOCAL_LEAF_DAYS = 397, /* what browsers accept at most */
    LOCAL_CA_NAMES_MAX = 64,
};

enum local_key { LOCAL_KEY_RSA, LOCAL_KEY_EC }; /* RSA-2048, P-256 */

/* A new key. NULL with a sentence. */
EVP_PKEY *local_key_new(enum local_key kind, struct crypto_error *error);

/* A self-signed authority, valid for LOCAL_CA_DAYS, that can sign leaves only. NULL with a
 * sentence. */
X509 *local_ca_certificate(EVP_PKEY *key, time_t now, struct crypto_error *error);

/* A server (and client) certificate for `names` (host names, wildcards, IP addresses as text),
 * valid for LOCAL_LEAF_DAYS but not longer than the authority. NULL with a sentence: a name that is
 * none. */
X509 *local_leaf_certificate(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const char *const *names,
                             size_t name_count, time_t now, struct crypto_error *error);
