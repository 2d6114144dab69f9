/* crypto/rsa_batch_none.c: no library for it in this build · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/rsa_batch.h"

struct rsa_batch *rsa_batch_new(void)
{
    return NULL;
}

void rsa_batch_free(struct rsa_batch *batch)
{
    (void)batch;
}

struct rsa_batch_key *rsa_batch_key_new(const EVP_PKEY *key)
{
    (void)key;
    return NULL;
}

void rsa_batch_key_free(struct rsa_batch_key *key)
{
    (void)key;
}

size_t rsa_batch_key_bytes(const struct rsa_batch_key *key)
{
    (void)key;
    return 0;
}

bool rsa_batch_private(struct rsa_batch *batch, const struct rsa_batch_lane *lanes, size_t count)
{
    (void)batch;
    (void)lanes;
    (void)count;
    return false;
}

bool rsa_batch_public(struct rsa_batch *batch, const struct rsa_batch_lane *lanes, size_t count)
{
    (void)batch;
    (void)lanes;
    (void)count;
    return false;
}
