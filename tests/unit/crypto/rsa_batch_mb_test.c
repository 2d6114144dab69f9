/* tests/unit/crypto/rsa_batch_mb_test.c
 *
 * Built where libcrypto-mb is; skipped by machines without the instructions that it needs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/rsa_batch_mb.c"

#include "crypto/rsa_rig.h"
#include "crypto/signing_batch.h"

#include <openssl/param_build.h>

enum { RSA_SCHEMES = 6, KEYS = 3 };

static void skip_if_the_machine_cannot(void)
{
    if (!machine_can()) {
        skip();
    }
}

/* The same key with its primes the other way round, as some programs write them. */
static EVP_PKEY *swap_primes(const EVP_PKEY *key)
{
    BIGNUM *n = NULL, *e = NULL, *d = NULL, *p = NULL, *q = NULL, *dp = NULL, *dq = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_D, &d), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR1, &p), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR2, &q), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_EXPONENT1, &dp), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_EXPONENT2, &dq), 1);
    BN_CTX *numbers = BN_CTX_new();
    BIGNUM *inverse = BN_mod_inverse(NULL, p, q, numbers);
    assert_non_null(inverse);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_D, d);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR1, q);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR2, p);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT1, dq);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT2, dp);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, inverse);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY *swapped = NULL;
    EVP_PKEY_CTX *reader = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(reader), 1);
    assert_int_equal(EVP_PKEY_fromdata(reader, &swapped, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(reader);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_CTX_free(numbers);
    BIGNUM *all[] = {n, e, d, p, q, dp, dq, inverse};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        BN_clear_free(all[i]);
    }
    return swapped;
}

/* `count` jobs over the keys, every scheme among them; OpenSSL verifies what came out. */
static void sign_and_verify(EVP_PKEY *const *keys, size_t key_count, size_t count)
{
    struct signing_batch *batch = signing_batch_new();
    struct rsa_batch_key *numbers[KEYS];
    for (size_t i = 0; i < key_count; i++) {
        numbers[i] = rsa_batch_key_new(keys[i]);
        assert_non_null(numbers[i]);
    }
    static uint8_t signatures[RSA_BATCH_LANES][KEY_SIGNATURE_BYTES_MAX];
    static uint8_t hashes[RSA_BATCH_LANES][KEY_HASH_BYTES_MAX];
    struct signing_job jobs[RSA_BATCH_LANES];
    for (size_t i = 0; i < count; i++) {
        memset(hashes[i], (int)(i + count), KEY_HASH_BYTES_MAX);
        jobs[i] = (struct signing_job){.key = numbers[i % key_count],
                                       .scheme = key_scheme_facts((unsigned)(1 + i % RSA_SCHEMES)),
                                       .hash = hashes[i],
                                       .signature = signatures[i]};
    }
    signing_batch_sign(batch, jobs, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(jobs[i].signature_len, rsa_batch_key_bytes(numbers[0]));
        assert_true(rsa_rig_verifies(keys[i % key_count], jobs[i].scheme, hashes[i], signatures[i],
                                     jobs[i].signature_len));
    }
    for (size_t i = 0; i < key_count; i++) {
        rsa_batch_key_free(numbers[i]);
    }
    signing_batch_free(batch);
}

static void openssl_verifies_batches_of_every_length_and_size(void **state)
{
    (void)state;
    skip_if_the_machine_cannot();
    for (size_t size = 0; size < SIZE_COUNT; size++) {
        EVP_PKEY *keys[KEYS];
        keys[0] = rsa_rig_key_new((size_t)SIZES[size]);
        keys[1] = rsa_rig_key_new((size_t)SIZES[size]);
        keys[2] = swap_primes(keys[0]);
        for (size_t count = 1; count <= RSA_BATCH_LANES; count++) {
            sign_and_verify(keys, KEYS, count);
        }
        for (size_t i = 0; i < KEYS; i++) {
            EVP_PKEY_free(keys[i]);
        }
    }
}

static bool is_wiped(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void what_it_computed_with_is_wiped(void **state)
{
    (void)state;
    skip_if_the_machine_cannot();
    EVP_PKEY *key = rsa_rig_key_new(2048);
    struct rsa_batch_key *numbers = rsa_batch_key_new(key);
    struct rsa_batch *batch = rsa_batch_new();
    const uint8_t in[256] = {[255] = 2};
    uint8_t raised[256];
    uint8_t back[256];
    memset(batch->room, 0xee, batch->room_bytes);
    struct rsa_batch_lane lane = {.key = numbers, .in = in, .out = raised};
    assert_true(rsa_batch_private(batch, &lane, 1));
    assert_true(is_wiped(batch->room, batch->room_bytes));
    assert_true(is_wiped(batch->spare, sizeof(batch->spare)));
    lane = (struct rsa_batch_lane){.key = numbers, .in = raised, .out = back};
    assert_true(rsa_batch_public(batch, &lane, 1));
    assert_memory_equal(in, back, sizeof(in));
    rsa_batch_free(batch);
    rsa_batch_key_free(numbers);
    EVP_PKEY_free(key);
}

static EVP_PKEY *special_key_new(unsigned bits, unsigned exponent, unsigned primes)
{
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *e = BN_new();
    EVP_PKEY *key = NULL;
    assert_int_equal(BN_set_word(e, exponent), 1);
    assert_int_equal(EVP_PKEY_keygen_init(maker), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(maker, (int)bits), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(maker, e), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_primes(maker, (int)primes), 1);
    assert_int_equal(EVP_PKEY_generate(maker, &key), 1);
    BN_free(e);
    EVP_PKEY_CTX_free(maker);
    return key;
}

static void keys_that_it_cannot_compute_with_are_refused(void **state)
{
    (void)state;
    skip_if_the_machine_cannot();
    static const struct {
        unsigned bits;
        unsigned exponent;
        unsigned primes;
    } rows[] = {{1024, 65537, 2}, {2056, 65537, 2}, {2048, 3, 2}, {2048, 65537, 3}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EVP_PKEY *key = special_key_new(rows[i].bits, rows[i].exponent, rows[i].primes);
        assert_null(rsa_batch_key_new(key));
        EVP_PKEY_free(key);
    }
    EVP_PKEY *key = rig_key_new(false);
    assert_null(rsa_batch_key_new(key));
    EVP_PKEY_free(key);
    rsa_batch_key_free(NULL);
    rsa_batch_free(NULL);
}

/* A fault in one half of the key: the signature is wrong, and is found so. */
static void a_fault_in_the_key_is_found(void **state)
{
    (void)state;
    skip_if_the_machine_cannot();
    EVP_PKEY *key = rsa_rig_key_new(2048);
    struct signing_batch *batch = signing_batch_new();
    for (int part = 0; part < 4; part++) {
        struct rsa_batch_key *sound = rsa_batch_key_new(key);
        struct rsa_batch_key *faulty = rsa_batch_key_new(key);
        uint64_t *const parts[] = {faulty->dp, faulty->dq, faulty->inverse, faulty->modulus};
        parts[part][3] ^= 1;
        const uint8_t hash[KEY_HASH_BYTES_MAX] = {1};
        uint8_t signatures[2][KEY_SIGNATURE_BYTES_MAX];
        struct signing_job jobs[2];
        for (int i = 0; i < 2; i++) {
            jobs[i] = (struct signing_job){.key = i == 0 ? faulty : sound,
                                           .scheme = key_scheme_facts(KEY_SCHEME_RSA_PSS_SHA256),
                                           .hash = hash,
                                           .signature = signatures[i]};
        }
        signing_batch_sign(batch, jobs, 2);
        assert_int_equal(jobs[0].signature_len, 0);
        assert_true(is_wiped(signatures[0], sizeof(signatures[0])));
        assert_int_equal(jobs[1].signature_len, 256);
        rsa_batch_key_free(sound);
        rsa_batch_key_free(faulty);
    }
    signing_batch_free(batch);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_verifies_batches_of_every_length_and_size),
        cmocka_unit_test(what_it_computed_with_is_wiped),
        cmocka_unit_test(keys_that_it_cannot_compute_with_are_refused),
        cmocka_unit_test(a_fault_in_the_key_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
