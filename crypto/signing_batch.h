/* crypto/signing_batch.h
 *
 * Signing several hashes with RSA in one call: encode each, compute all together, raise all results
 * to the public exponent, and let out only those that give the encoded hash again.
 *
 * Why it exists: the arithmetic of rsa_batch.h neither encodes nor checks itself, and a signature
 * with a fault in one of the two halves that it is computed of gives the key away.
 *
 * Owner: the keyholder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_scheme.h"
#include "crypto/rsa_batch.h"

struct signing_batch;

/* One signature to be made. Keys, schemes and hashes may differ; the length of the keys may not. */
struct signing_job {
    const struct rsa_batch_key *key;
    const struct key_scheme_facts *scheme;
    const uint8_t *hash;
    uint8_t *signature;   /* room for KEY_SIGNATURE_BYTES_MAX */
    size_t signature_len; /* result; 0: not signed, and nothing is in `signature` */
};

/* NULL: signatures are made one at a time here (rsa_batch_new), or no memory. */
struct signing_batch *signing_batch_new(void);
void signing_batch_free(struct signing_batch *batch);

/* Signs 1 to RSA_BATCH_LANES jobs. A job that fails leaves the others as they are. */
void signing_batch_sign(struct signing_batch *batch, struct signing_job *jobs, size_t count);
