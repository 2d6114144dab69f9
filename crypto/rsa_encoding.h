/* crypto/rsa_encoding.h
 *
 * From a hash to the number that an RSA signature is computed of: EMSA-PSS and EMSA-PKCS1-v1_5
 * (RFC 8017 §9). No key is involved.
 *
 * Why it exists: a library that computes several signatures at once knows numbers only, and workers
 * send hashes only; the encoding in between belongs to the keyholder.
 *
 * Owner: signing_batch.c. No threads: it keeps what it hashes with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_scheme.h"

struct rsa_encoder;

/* NULL: no memory, or OpenSSL lacks one of the digests. */
struct rsa_encoder *rsa_encoder_new(void);
void rsa_encoder_free(struct rsa_encoder *encoder);

/* Writes the encoded hash of an RSA scheme to `out`, `len` bytes: the length of the key's modulus,
 * which has 8 * len bits exactly. PSS takes a fresh salt as long as the hash. False: no scheme for
 * RSA, a modulus too short for it, or OpenSSL failed. */
bool rsa_encode(struct rsa_encoder *encoder, const struct key_scheme_facts *scheme,
                const uint8_t *hash, uint8_t *out, size_t len) __attribute__((warn_unused_result));
