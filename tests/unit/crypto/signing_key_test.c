/* tests/unit/crypto/signing_key_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signing_key.c"

#include "crypto/rig.h"

static void fits_its_own_family_only(void **state)
{
    (void)state;
    for (int is_rsa = 0; is_rsa < 2; is_rsa++) {
        struct signing_key *key = signing_key_new(rig_key_new(is_rsa == 1));
        uint8_t hash[KEY_HASH_BYTES_MAX] = {0};
        uint8_t signature[KEY_SIGNATURE_BYTES_MAX];
        for (unsigned number = 1; number <= KEY_SCHEME_COUNT; number++) {
            const struct key_scheme_facts *scheme = key_scheme_facts(number);
            bool fits = (scheme->family != KEY_FAMILY_ECDSA) == (is_rsa == 1);
            size_t len = 1;
            assert_int_equal(signing_key_fits(key, scheme), fits);
            assert_int_equal(signing_key_sign(key, scheme, hash, signature, &len), fits);
            assert_int_equal(len > 0, fits);
        }
        signing_key_free(key);
    }
}

/* A fault is played by verifying with another key: nothing of the signature may be left. */
static void a_signature_that_does_not_verify_is_not_let_out(void **state)
{
    (void)state;
    const struct key_scheme_facts *scheme = key_scheme_facts(KEY_SCHEME_RSA_PKCS1_SHA256);
    struct signing_key *key = signing_key_new(rig_key_new(true));
    EVP_PKEY *other = rig_key_new(true);
    struct operations *operations = prepared(key, scheme);
    EVP_PKEY_CTX_free(operations->verify);
    operations->verify = prepare(other, scheme, EVP_PKEY_verify_init);
    uint8_t hash[KEY_HASH_BYTES_MAX] = {0};
    uint8_t signature[KEY_SIGNATURE_BYTES_MAX];
    memset(signature, 0xee, sizeof(signature));
    size_t len = 1;
    assert_false(signing_key_sign(key, scheme, hash, signature, &len));
    assert_int_equal(len, 0);
    for (size_t i = 0; i < sizeof(signature); i++) {
        assert_int_equal(signature[i], 0);
    }
    assert_int_equal(ERR_peek_error(), 0);
    EVP_PKEY_free(other);
    signing_key_free(key);
    signing_key_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_its_own_family_only),
        cmocka_unit_test(a_signature_that_does_not_verify_is_not_let_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
