/* tests/unit/crypto/rsa_batch_fake.h
 *
 * crypto/rsa_batch.h by OpenSSL's big numbers, so that what is built on it is tested on machines
 * that cannot compute in batches too; it can be told to fail, or to compute wrongly. A test that
 * includes it is linked with it instead of the file that the build chose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "crypto/rsa_batch.h"

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <stdlib.h>

static struct {
    bool is_missing;    /* the machine cannot */
    bool private_fails; /* the library refuses */
    bool public_fails;
    unsigned faulty_lane; /* 1 ..: this lane's signature has a bit flipped; 0: none */
    unsigned calls;       /* of the private operation */
    size_t last_count;
    unsigned wrong_mixes; /* calls whose keys were of several lengths */
} fake_batch;

struct rsa_batch {
    BN_CTX *numbers;
};

struct rsa_batch_key {
    size_t bytes;
    BIGNUM *modulus;
    BIGNUM *secret;
    BIGNUM *exponent;
};

struct rsa_batch *rsa_batch_new(void)
{
    if (fake_batch.is_missing) {
        return NULL;
    }
    struct rsa_batch *batch = calloc(1, sizeof(*batch));
    assert(batch != NULL);
    batch->numbers = BN_CTX_new();
    return batch;
}

void rsa_batch_free(struct rsa_batch *batch)
{
    if (batch != NULL) {
        BN_CTX_free(batch->numbers);
        free(batch);
    }
}

struct rsa_batch_key *rsa_batch_key_new(const EVP_PKEY *key)
{
    if (fake_batch.is_missing || EVP_PKEY_get_bits(key) / 8 > RSA_BATCH_BYTES_MAX) {
        return NULL;
    }
    struct rsa_batch_key *made = calloc(1, sizeof(*made));
    assert(made != NULL);
    made->bytes = (size_t)EVP_PKEY_get_bits(key) / 8;
    int done = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &made->modulus) +
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_D, &made->secret) +
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &made->exponent);
    assert(done == 3);
    return made;
}

void rsa_batch_key_free(struct rsa_batch_key *key)
{
    if (key != NULL) {
        BN_free(key->modulus);
        BN_clear_free(key->secret);
        BN_free(key->exponent);
        free(key);
    }
}

size_t rsa_batch_key_bytes(const struct rsa_batch_key *key)
{
    return key->bytes;
}

static void fake_raise(struct rsa_batch *batch, const struct rsa_batch_lane *lane,
                       const BIGNUM *exponent)
{
    BIGNUM *number = BN_bin2bn(lane->in, (int)lane->key->bytes, NULL);
    int raised = BN_mod_exp(number, number, exponent, lane->key->modulus, batch->numbers);
    int written = BN_bn2binpad(number, lane->out, (int)lane->key->bytes);
    assert(raised == 1 && written == (int)lane->key->bytes);
    BN_free(number);
}

bool rsa_batch_private(struct rsa_batch *batch, const struct rsa_batch_lane *lanes, size_t count)
{
    assert(count >= 1 && count <= RSA_BATCH_LANES);
    fake_batch.calls++;
    fake_batch.last_count = count;
    for (size_t i = 0; i < count; i++) {
        fake_batch.wrong_mixes += lanes[i].key->bytes != lanes[0].key->bytes ? 1 : 0;
        fake_raise(batch, &lanes[i], lanes[i].key->secret);
    }
    if (fake_batch.faulty_lane != 0 && fake_batch.faulty_lane <= count) {
        lanes[fake_batch.faulty_lane - 1].out[100] ^= 0x10;
    }
    return !fake_batch.private_fails;
}

bool rsa_batch_public(struct rsa_batch *batch, const struct rsa_batch_lane *lanes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fake_raise(batch, &lanes[i], lanes[i].key->exponent);
    }
    return !fake_batch.public_fails;
}
