/* tests/unit/crypto/remote_key_test.c
 *
 * What a remote key says of itself must be what OpenSSL says of the real one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/remote_key.h"

#include "crypto/rig.h"

#include <openssl/core_dispatch.h>

struct fixture {
    struct key_client *keys;
    struct key_provider *provider;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.keys = key_client_new(1, NULL, NULL);
    fixture.provider = key_provider_load(fixture.keys, NULL);
    assert_non_null(fixture.provider);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    key_provider_free(fixture->provider);
    key_client_free(fixture->keys);
    return 0;
}

static EVP_PKEY *make(const char *curve)
{
    return curve == NULL ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072)
                         : EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);
}

static const char *const CURVES[] = {NULL, "P-256", "P-384", "P-521", "prime256v1", "secp384r1"};

enum { KEY_COUNT = sizeof(CURVES) / sizeof(CURVES[0]) };

static void facts_are_those_of_the_real_key(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY *real = make(CURVES[i]);
        EVP_PKEY *remote = key_provider_key(fixture->provider, real, 1, NULL);
        assert_non_null(remote);
        assert_int_equal(EVP_PKEY_get_bits(remote), EVP_PKEY_get_bits(real));
        assert_int_equal(EVP_PKEY_get_size(remote), EVP_PKEY_get_size(real));
        assert_int_equal(EVP_PKEY_get_security_bits(remote), EVP_PKEY_get_security_bits(real));
        assert_int_equal(EVP_PKEY_eq(remote, real), 1);
        assert_int_equal(EVP_PKEY_eq(real, remote), 1);
        char ours[32] = {0};
        char theirs[32] = {0};
        assert_int_equal(EVP_PKEY_get_group_name(remote, ours, sizeof(ours), NULL),
                         EVP_PKEY_get_group_name(real, theirs, sizeof(theirs), NULL));
        assert_string_equal(ours, theirs);
        EVP_PKEY_free(real);
        EVP_PKEY_free(remote);
    }
    ERR_clear_error();
}

static void different_keys_do_not_match(void **state)
{
    struct fixture *fixture = *state;
    EVP_PKEY *remotes[KEY_COUNT];
    for (size_t i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY *real = make(CURVES[i]);
        remotes[i] = key_provider_key(fixture->provider, real, 1, NULL);
        EVP_PKEY_free(real);
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        for (size_t j = 0; j < KEY_COUNT; j++) {
            assert_int_equal(EVP_PKEY_eq(remotes[i], remotes[j]) == 1, i == j);
        }
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY_free(remotes[i]);
    }
    ERR_clear_error();
}

static void the_public_half_can_be_written_and_the_private_one_not(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY *real = make(CURVES[i]);
        EVP_PKEY *remote = key_provider_key(fixture->provider, real, 1, NULL);
        uint8_t *ours = NULL;
        uint8_t *theirs = NULL;
        int our_len = i2d_PUBKEY(remote, &ours);
        int their_len = i2d_PUBKEY(real, &theirs);
        assert_true(our_len > 0);
        assert_int_equal(our_len, their_len);
        assert_memory_equal(ours, theirs, (size_t)our_len);
        OPENSSL_free(ours);
        OPENSSL_free(theirs);
        uint8_t *private_half = NULL;
        assert_true(i2d_PrivateKey(remote, &private_half) <= 0);
        EVP_PKEY_free(real);
        EVP_PKEY_free(remote);
    }
    ERR_clear_error();
}

static void other_kinds_and_curves_are_refused(void **state)
{
    struct fixture *fixture = *state;
    EVP_PKEY *keys[] = {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
                        EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1")};
    for (size_t i = 0; i < 2; i++) {
        struct crypto_error error = {{0}};
        assert_null(key_provider_key(fixture->provider, keys[i], 1, &error));
        assert_true(strlen(error.text) > 10);
        EVP_PKEY_free(keys[i]);
    }
}

/* Asked by OpenSSL with no key at all in TLS 1.2. */
static void no_key_has_nothing_and_frees_nothing(void **state)
{
    (void)state;
    for (const OSSL_DISPATCH *at = REMOTE_KEY_RSA; at->function_id != 0; at++) {
        if (at->function_id == OSSL_FUNC_KEYMGMT_HAS) {
            assert_int_equal(((OSSL_FUNC_keymgmt_has_fn *)at->function)(NULL, 0), 0);
        }
        if (at->function_id == OSSL_FUNC_KEYMGMT_FREE) {
            ((OSSL_FUNC_keymgmt_free_fn *)at->function)(NULL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(facts_are_those_of_the_real_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(different_keys_do_not_match, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_public_half_can_be_written_and_the_private_one_not,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_kinds_and_curves_are_refused, set_up, tear_down),
        cmocka_unit_test(no_key_has_nothing_and_frees_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
