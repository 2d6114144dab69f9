/* crypto/remote_key.h
 *
 * A key of the keyholder provider: a public key and perhaps the id of its private half. The tables
 * are OpenSSL's "key management" for it.
 *
 * Owner: OpenSSL (it lives in an EVP_PKEY).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/core.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct remote_key;

extern const OSSL_DISPATCH REMOTE_KEY_RSA[];
extern const OSSL_DISPATCH REMOTE_KEY_EC[];

/* What EVP_PKEY_fromdata needs to make one. OSSL_PARAM_free; NULL on failure. */
OSSL_PARAM *remote_key_params(EVP_PKEY *public_key, bool is_rsa, uint32_t key_id);

/* False: the key came from a certificate and has no private half here. */
bool remote_key_id(const struct remote_key *key, uint32_t *key_id);

/* The longest signature in bytes. */
size_t remote_key_signature_max(const struct remote_key *key);
