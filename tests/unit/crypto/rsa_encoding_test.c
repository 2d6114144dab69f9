/* tests/unit/crypto/rsa_encoding_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/rsa_encoding.h"

#include "crypto/rsa_rig.h"

enum { RSA_SCHEMES = 6, BYTES_MAX = 512 };

static const uint8_t HASH[KEY_HASH_BYTES_MAX] =
    "what the handshake was hashed to; sixty-four bytes of it, and 0";

/* The bare private operation. */
static void raise_to_private(EVP_PKEY *key, const uint8_t *number, size_t len, uint8_t *out)
{
    EVP_PKEY_CTX *sign = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    assert_int_equal(EVP_PKEY_sign_init(sign), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(sign, RSA_NO_PADDING), 1);
    size_t out_len = BYTES_MAX;
    assert_int_equal(EVP_PKEY_sign(sign, out, &out_len, number, len), 1);
    assert_int_equal(out_len, len);
    EVP_PKEY_CTX_free(sign);
}

/* Also lengths of no batch: the encoding does not depend on what computes afterwards. */
static void openssl_verifies_what_was_encoded(void **state)
{
    (void)state;
    struct rsa_encoder *encoder = rsa_encoder_new();
    static const size_t bits[] = {1536, 2048, 3072, 4096};
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        EVP_PKEY *key = rsa_rig_key_new(bits[i]);
        for (unsigned number = 1; number <= RSA_SCHEMES; number++) {
            const struct key_scheme_facts *scheme = key_scheme_facts(number);
            uint8_t encoded[BYTES_MAX];
            uint8_t signature[BYTES_MAX];
            assert_true(rsa_encode(encoder, scheme, HASH, encoded, bits[i] / 8));
            raise_to_private(key, encoded, bits[i] / 8, signature);
            assert_true(rsa_rig_verifies(key, scheme, HASH, signature, bits[i] / 8));
            signature[bits[i] / 16] ^= 1;
            assert_false(rsa_rig_verifies(key, scheme, HASH, signature, bits[i] / 8));
        }
        EVP_PKEY_free(key);
    }
    rsa_encoder_free(encoder);
}

/* PKCS#1 has one form, so it can be compared with what OpenSSL itself signs. */
static void pkcs1_is_what_openssl_makes(void **state)
{
    (void)state;
    struct rsa_encoder *encoder = rsa_encoder_new();
    EVP_PKEY *key = rsa_rig_key_new(2048);
    for (unsigned number = KEY_SCHEME_RSA_PKCS1_SHA256; number <= RSA_SCHEMES; number++) {
        const struct key_scheme_facts *scheme = key_scheme_facts(number);
        uint8_t encoded[256];
        uint8_t ours[256];
        uint8_t theirs[256];
        assert_true(rsa_encode(encoder, scheme, HASH, encoded, sizeof(encoded)));
        raise_to_private(key, encoded, sizeof(encoded), ours);
        EVP_PKEY_CTX *sign = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
        assert_int_equal(EVP_PKEY_sign_init(sign), 1);
        rsa_rig_set_scheme(sign, scheme);
        size_t len = sizeof(theirs);
        assert_int_equal(EVP_PKEY_sign(sign, theirs, &len, HASH, scheme->hash_bytes), 1);
        assert_memory_equal(ours, theirs, sizeof(ours));
        EVP_PKEY_CTX_free(sign);
    }
    EVP_PKEY_free(key);
    rsa_encoder_free(encoder);
}

/* RFC 8017 §9.2 for SHA-256 in 64 bytes, written out. */
static void pkcs1_has_the_form_of_the_standard(void **state)
{
    (void)state;
    static const uint8_t expected[64] = {
        0x00, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
        0x02, 0x01, 0x05, 0x00, 0x04, 0x20, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77,
        0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77,
        0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77,
    };
    uint8_t hash[32];
    uint8_t encoded[64];
    memset(hash, 0x77, sizeof(hash));
    struct rsa_encoder *encoder = rsa_encoder_new();
    assert_true(rsa_encode(encoder, key_scheme_facts(KEY_SCHEME_RSA_PKCS1_SHA256), hash, encoded,
                           sizeof(encoded)));
    assert_memory_equal(encoded, expected, sizeof(expected));
    rsa_encoder_free(encoder);
}

static void pss_takes_a_fresh_salt_each_time(void **state)
{
    (void)state;
    struct rsa_encoder *encoder = rsa_encoder_new();
    const struct key_scheme_facts *scheme = key_scheme_facts(KEY_SCHEME_RSA_PSS_SHA256);
    uint8_t first[256];
    uint8_t second[256];
    assert_true(rsa_encode(encoder, scheme, HASH, first, sizeof(first)));
    assert_true(rsa_encode(encoder, scheme, HASH, second, sizeof(second)));
    assert_memory_not_equal(first, second, sizeof(first));
    assert_int_equal(first[0] & 0x80, 0);
    assert_int_equal(first[255], 0xbc);
    rsa_encoder_free(encoder);
}

static void a_modulus_that_is_too_short_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum key_scheme scheme;
        size_t shortest;
    } rows[] = {
        {KEY_SCHEME_RSA_PKCS1_SHA256, 62}, {KEY_SCHEME_RSA_PKCS1_SHA384, 78},
        {KEY_SCHEME_RSA_PKCS1_SHA512, 94}, {KEY_SCHEME_RSA_PSS_SHA256, 66},
        {KEY_SCHEME_RSA_PSS_SHA384, 98},   {KEY_SCHEME_RSA_PSS_SHA512, 130},
    };
    struct rsa_encoder *encoder = rsa_encoder_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct key_scheme_facts *scheme = key_scheme_facts(rows[i].scheme);
        uint8_t encoded[256];
        for (size_t len = 0; len < rows[i].shortest; len++) {
            assert_false(rsa_encode(encoder, scheme, HASH, encoded, len));
        }
        assert_true(rsa_encode(encoder, scheme, HASH, encoded, rows[i].shortest));
    }
    rsa_encoder_free(encoder);
}

static void ecdsa_has_no_encoding(void **state)
{
    (void)state;
    struct rsa_encoder *encoder = rsa_encoder_new();
    uint8_t encoded[256];
    assert_false(rsa_encode(encoder, key_scheme_facts(KEY_SCHEME_ECDSA_SHA256), HASH, encoded,
                            sizeof(encoded)));
    rsa_encoder_free(encoder);
    rsa_encoder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_verifies_what_was_encoded),
        cmocka_unit_test(pkcs1_is_what_openssl_makes),
        cmocka_unit_test(pkcs1_has_the_form_of_the_standard),
        cmocka_unit_test(pss_takes_a_fresh_salt_each_time),
        cmocka_unit_test(a_modulus_that_is_too_short_is_refused),
        cmocka_unit_test(ecdsa_has_no_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
