/* crypto/signing_key.h
 *
 * One private key in the keyholder, ready to sign: OpenSSL's prepared operations are kept per
 * scheme, and every signature is verified with the public key before it is let out.
 *
 * Why it exists: a fault while computing (a bit flip, a provoked glitch) can turn a signature into
 * the private key; such a signature must not leave the process.
 *
 * A key that this machine can sign with in batches also keeps its numbers for that (rsa_batch.h).
 *
 * Owner: the keyholder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_scheme.h"

struct rsa_batch_key;
struct signing_key;

/* Takes `key`, also when it fails. NULL: no memory. */
struct signing_key *signing_key_new(EVP_PKEY *key);
void signing_key_free(struct signing_key *key);

/* Whether this kind of key can sign with the scheme. */
bool signing_key_fits(const struct signing_key *key, const struct key_scheme_facts *scheme);

/* What signing_batch.h signs with, borrowed; NULL: this key signs one at a time only. */
const struct rsa_batch_key *signing_key_numbers(const struct signing_key *key);

/* Signs `hash` (the scheme's hash_bytes). `signature` has room for KEY_SIGNATURE_BYTES_MAX. False:
 * OpenSSL failed, or the result did not verify; nothing is in `signature` then. */
bool signing_key_sign(struct signing_key *key, const struct key_scheme_facts *scheme,
                      const uint8_t *hash, uint8_t *signature, size_t *signature_len)
    __attribute__((warn_unused_result));
