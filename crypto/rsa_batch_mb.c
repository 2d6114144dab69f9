/* crypto/rsa_batch_mb.c
 *
 * With libcrypto-mb (Intel Cryptography Primitives, multi-buffer), on processors with the
 * instructions that it needs (AVX-512 IFMA). A call computes eight lanes whatever it is given.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/rsa_batch.h"

#include <crypto_mb/cpu_features.h>
#include <crypto_mb/rsa.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <stdlib.h>

enum {
    LIMBS_MAX = RSA_BATCH_BYTES_MAX / 8,
    FACTOR_LIMBS_MAX = LIMBS_MAX / 2,
    EXPONENT = 65537, /* the only one that the library has a public operation for */
};

static const int SIZES[] = {2048, 3072, 4096};
enum { SIZE_COUNT = sizeof(SIZES) / sizeof(SIZES[0]) };

/* `room` is where the library computes, key and all. */
struct rsa_batch {
    uint8_t *room;
    size_t room_bytes;
    uint8_t spare[RSA_BATCH_BYTES_MAX]; /* where lanes that nobody asked for end */
};

/* Little-endian limbs, as the library wants them. */
struct rsa_batch_key {
    int bits;
    uint64_t modulus[LIMBS_MAX];
    uint64_t p[FACTOR_LIMBS_MAX];
    uint64_t q[FACTOR_LIMBS_MAX];
    uint64_t dp[FACTOR_LIMBS_MAX];
    uint64_t dq[FACTOR_LIMBS_MAX];
    uint64_t inverse[FACTOR_LIMBS_MAX]; /* of q, modulo p */
};

static bool machine_can(void)
{
    return mbx_is_crypto_mb_applicable(0) != 0;
}

/* 0: the library lacks an operation of this size. */
static size_t room_for(int bits)
{
    const mbx_RSA_Method *private_method = mbx_RSA_private_crt_Method(bits);
    const mbx_RSA_Method *public_method = mbx_RSA_pub65537_Method(bits);
    if (private_method == NULL || public_method == NULL) {
        return 0;
    }
    int most = mbx_RSA_Method_BufSize(private_method);
    int other = mbx_RSA_Method_BufSize(public_method);
    most = other > most ? other : most;
    return most > 0 ? (size_t)most : 0;
}

struct rsa_batch *rsa_batch_new(void)
{
    struct rsa_batch *batch = machine_can() ? calloc(1, sizeof(*batch)) : NULL;
    if (batch == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        size_t bytes = room_for(SIZES[i]);
        batch->room_bytes = bytes > batch->room_bytes ? bytes : batch->room_bytes;
    }
    batch->room = batch->room_bytes > 0 ? calloc(1, batch->room_bytes) : NULL;
    if (batch->room == NULL) {
        free(batch);
        return NULL;
    }
    return batch;
}

void rsa_batch_free(struct rsa_batch *batch)
{
    if (batch != NULL) {
        free(batch->room);
        free(batch);
    }
}

/* ---- keys ---- */

/* A number of the key, of at most `bits`, as limbs. */
static bool read_limbs(const EVP_PKEY *key, const char *name, int bits, uint64_t *limbs)
{
    BIGNUM *number = NULL;
    bool is_read = EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_num_bits(number) <= bits &&
                   BN_bn2lebinpad(number, (uint8_t *)limbs, bits / 8) == bits / 8;
    BN_clear_free(number);
    return is_read;
}

static bool has_our_exponent(const EVP_PKEY *key)
{
    BIGNUM *number = NULL;
    bool is_ours = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &number) == 1 &&
                   BN_is_word(number, EXPONENT);
    BN_free(number);
    return is_ours;
}

/* More than two primes would need another formula. */
static bool has_third_prime(const EVP_PKEY *key)
{
    BIGNUM *number = NULL;
    bool has = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR3, &number) == 1;
    BN_clear_free(number);
    return has;
}

static bool top_bit_is_set(const uint64_t *limbs, int bits)
{
    return limbs[bits / 64 - 1] >> 63 == 1;
}

/* Both primes have half of the bits exactly, as in any key that is made today. */
static bool read_key(struct rsa_batch_key *read, const EVP_PKEY *key)
{
    int half = read->bits / 2;
    return read_limbs(key, OSSL_PKEY_PARAM_RSA_N, read->bits, read->modulus) &&
           read_limbs(key, OSSL_PKEY_PARAM_RSA_FACTOR1, half, read->p) &&
           read_limbs(key, OSSL_PKEY_PARAM_RSA_FACTOR2, half, read->q) &&
           read_limbs(key, OSSL_PKEY_PARAM_RSA_EXPONENT1, half, read->dp) &&
           read_limbs(key, OSSL_PKEY_PARAM_RSA_EXPONENT2, half, read->dq) &&
           read_limbs(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, half, read->inverse) &&
           top_bit_is_set(read->modulus, read->bits) && top_bit_is_set(read->p, half) &&
           top_bit_is_set(read->q, half);
}

static bool is_size(int bits)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        if (SIZES[i] == bits) {
            return room_for(bits) > 0;
        }
    }
    return false;
}

struct rsa_batch_key *rsa_batch_key_new(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);
    if (!machine_can() || !is_size(bits) || !has_our_exponent(key) || has_third_prime(key)) {
        return NULL;
    }
    struct rsa_batch_key *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return NULL;
    }
    made->bits = bits;
    if (!read_key(made, key)) {
        rsa_batch_key_free(made);
        return NULL;
    }
    return made;
}

void rsa_batch_key_free(struct rsa_batch_key *key)
{
    if (key != NULL) {
        OPENSSL_cleanse(key, sizeof(*key));
        free(key);
    }
}

size_t rsa_batch_key_bytes(const struct rsa_batch_key *key)
{
    return (size_t)key->bits / 8;
}

/* ---- computing ---- */

/* The lanes as the library wants them: a row of pointers a number. */
struct rows {
    const uint8_t *in[RSA_BATCH_LANES];
    uint8_t *out[RSA_BATCH_LANES];
    const int64u *modulus[RSA_BATCH_LANES];
    const int64u *p[RSA_BATCH_LANES];
    const int64u *q[RSA_BATCH_LANES];
    const int64u *dp[RSA_BATCH_LANES];
    const int64u *dq[RSA_BATCH_LANES];
    const int64u *inverse[RSA_BATCH_LANES];
};

static void set_row(struct rows *rows, size_t i, const struct rsa_batch_lane *lane, uint8_t *out)
{
    const struct rsa_batch_key *key = lane->key;
    rows->in[i] = lane->in;
    rows->out[i] = out;
    rows->modulus[i] = (const int64u *)key->modulus;
    rows->p[i] = (const int64u *)key->p;
    rows->q[i] = (const int64u *)key->q;
    rows->dp[i] = (const int64u *)key->dp;
    rows->dq[i] = (const int64u *)key->dq;
    rows->inverse[i] = (const int64u *)key->inverse;
}

/* Lanes left over compute the first one again, which costs nothing and has no special case. */
static void fill_rows(struct rows *rows, struct rsa_batch *batch,
                      const struct rsa_batch_lane *lanes, size_t count)
{
    for (size_t i = 0; i < RSA_BATCH_LANES; i++) {
        if (i < count) {
            set_row(rows, i, &lanes[i], lanes[i].out);
        } else {
            set_row(rows, i, &lanes[0], batch->spare);
        }
    }
}

static void wipe(struct rsa_batch *batch)
{
    OPENSSL_cleanse(batch->room, batch->room_bytes);
    OPENSSL_cleanse(batch->spare, sizeof(batch->spare));
}

bool rsa_batch_private(struct rsa_batch *batch, const struct rsa_batch_lane *lanes, size_t count)
{
    struct rows rows;
    int bits = lanes[0].key->bits;
    fill_rows(&rows, batch, lanes, count);
    mbx_status status =
        mbx_rsa_private_crt_mb8(rows.in, rows.out, rows.p, rows.q, rows.dp, rows.dq, rows.inverse,
                                bits, mbx_RSA_private_crt_Method(bits), batch->room);
    wipe(batch);
    return status == MBX_STATUS_OK;
}

bool rsa_batch_public(struct rsa_batch *batch, const struct rsa_batch_lane *lanes, size_t count)
{
    struct rows rows;
    int bits = lanes[0].key->bits;
    fill_rows(&rows, batch, lanes, count);
    mbx_status status = mbx_rsa_public_mb8(rows.in, rows.out, rows.modulus, bits,
                                           mbx_RSA_pub65537_Method(bits), batch->room);
    wipe(batch);
    return status == MBX_STATUS_OK;
}
