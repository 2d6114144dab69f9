/* crypto/rsa_batch.h
 *
 * RSA as bare arithmetic on several numbers in one call: eight signatures then take the time of
 * two to four. Nothing is encoded here and nothing is verified (signing_batch.h does both).
 *
 * Why it exists: it depends on the machine and on a library that not every system has, so the rest
 * of the keyholder sees one interface. The build chooses the file: rsa_batch_mb.c with
 * libcrypto-mb, rsa_batch_none.c without; the machine decides when the process starts.
 *
 * A *lane* is the place of one number in such a call.
 *
 * Owner: signing_batch.c has the room for computing, signing_key.c each key's numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RSA_BATCH_LANES = 8, RSA_BATCH_BYTES_MAX = 512 };

struct rsa_batch;
struct rsa_batch_key;

/* Big-endian numbers of as many bytes as the key's modulus; `in` is smaller than the modulus. */
struct rsa_batch_lane {
    const struct rsa_batch_key *key;
    const uint8_t *in;
    uint8_t *out;
};

/* NULL: this build or this machine cannot, or no memory. */
struct rsa_batch *rsa_batch_new(void);
void rsa_batch_free(struct rsa_batch *batch);

/* The numbers of an RSA key, read once. NULL: it cannot be used in batches. `key` is borrowed for
 * the call. */
struct rsa_batch_key *rsa_batch_key_new(const EVP_PKEY *key);
/* Wipes. NULL is fine. */
void rsa_batch_key_free(struct rsa_batch_key *key);
/* Length of its modulus; keys of one length may share a call. */
size_t rsa_batch_key_bytes(const struct rsa_batch_key *key);

/* Computes 1 to RSA_BATCH_LANES lanes, whose keys have one length, with the private key or with the
 * public one; what was needed for it is wiped. False: the library refused, and no `out` counts. */
bool rsa_batch_private(struct rsa_batch *batch, const struct rsa_batch_lane *lanes, size_t count)
    __attribute__((warn_unused_result));
bool rsa_batch_public(struct rsa_batch *batch, const struct rsa_batch_lane *lanes, size_t count)
    __attribute__((warn_unused_result));
