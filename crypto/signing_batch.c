/* crypto/signing_batch.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signing_batch.h"

#include "crypto/rsa_encoding.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>

struct signing_batch {
    struct rsa_batch *arithmetic;
    struct rsa_encoder *encoder;
    uint8_t encoded[RSA_BATCH_LANES][RSA_BATCH_BYTES_MAX];
    uint8_t recovered[RSA_BATCH_LANES][RSA_BATCH_BYTES_MAX];
};

struct signing_batch *signing_batch_new(void)
{
    struct rsa_batch *arithmetic = rsa_batch_new();
    if (arithmetic == NULL) {
        return NULL;
    }
    struct signing_batch *batch = calloc(1, sizeof(*batch));
    struct rsa_encoder *encoder = rsa_encoder_new();
    if (batch == NULL || encoder == NULL) {
        free(batch);
        rsa_encoder_free(encoder);
        rsa_batch_free(arithmetic);
        return NULL;
    }
    batch->arithmetic = arithmetic;
    batch->encoder = encoder;
    return batch;
}

void signing_batch_free(struct signing_batch *batch)
{
    if (batch != NULL) {
        rsa_batch_free(batch->arithmetic);
        rsa_encoder_free(batch->encoder);
        free(batch);
    }
}

/* Jobs that can be encoded become lanes, whose indexes go to `jobs_of`. Returns how many. */
static size_t encode(struct signing_batch *batch, const struct signing_job *jobs, size_t count,
                     struct rsa_batch_lane *lanes, size_t *jobs_of)
{
    size_t lane_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct signing_job *job = &jobs[i];
        uint8_t *encoded = batch->encoded[lane_count];
        if (rsa_encode(batch->encoder, job->scheme, job->hash, encoded,
                       rsa_batch_key_bytes(job->key))) {
            lanes[lane_count] =
                (struct rsa_batch_lane){.key = job->key, .in = encoded, .out = job->signature};
            jobs_of[lane_count++] = i;
        }
    }
    return lane_count;
}

/* Raises the signatures to the public exponent. */
static bool recover(struct signing_batch *batch, const struct rsa_batch_lane *lanes, size_t count)
{
    struct rsa_batch_lane checks[RSA_BATCH_LANES];
    for (size_t i = 0; i < count; i++) {
        checks[i] = (struct rsa_batch_lane){
            .key = lanes[i].key, .in = lanes[i].out, .out = batch->recovered[i]};
    }
    return rsa_batch_public(batch->arithmetic, checks, count);
}

static void let_out_sound(struct signing_batch *batch, struct signing_job *jobs,
                          const size_t *jobs_of, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct signing_job *job = &jobs[jobs_of[i]];
        size_t len = rsa_batch_key_bytes(job->key);
        if (CRYPTO_memcmp(batch->recovered[i], batch->encoded[i], len) == 0) {
            job->signature_len = len;
        }
    }
}

/* What was computed for a job that failed must not be found anywhere. */
static void wipe(struct signing_batch *batch, const struct signing_job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].signature_len == 0) {
            OPENSSL_cleanse(jobs[i].signature, KEY_SIGNATURE_BYTES_MAX);
        }
    }
    OPENSSL_cleanse(batch->encoded, sizeof(batch->encoded));
    OPENSSL_cleanse(batch->recovered, sizeof(batch->recovered));
    ERR_clear_error();
}

void signing_batch_sign(struct signing_batch *batch, struct signing_job *jobs, size_t count)
{
    struct rsa_batch_lane lanes[RSA_BATCH_LANES];
    size_t jobs_of[RSA_BATCH_LANES];
    for (size_t i = 0; i < count; i++) {
        jobs[i].signature_len = 0;
    }
    size_t lane_count = encode(batch, jobs, count, lanes, jobs_of);
    if (lane_count > 0 && rsa_batch_private(batch->arithmetic, lanes, lane_count) &&
        recover(batch, lanes, lane_count)) {
        let_out_sound(batch, jobs, jobs_of, lane_count);
    }
    wipe(batch, jobs, count);
}
