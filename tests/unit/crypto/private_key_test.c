/* tests/unit/crypto/private_key_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/private_key.h"

#include "crypto/rig.h"

#include <openssl/pkcs12.h>

enum { FILE_MAX = 16384 };

static struct secret password_of(const char *text)
{
    struct secret password;
    assert_true(secret_init(&password, 64));
    assert_true(secret_set(&password, text, strlen(text)));
    return password;
}

/* Reads, and says whether it is the key that was written. */
static bool reads_as(const uint8_t *bytes, size_t len, const char *password, EVP_PKEY *expected,
                     struct crypto_error *error)
{
    struct secret secret = {0};
    if (password != NULL) {
        secret = password_of(password);
    }
    EVP_PKEY *key = private_key_read(bytes, len, password != NULL ? &secret : NULL, error);
    secret_fini(&secret);
    bool same = key != NULL && EVP_PKEY_eq(key, expected) == 1;
    EVP_PKEY_free(key);
    return same;
}

static size_t pkcs12_of(EVP_PKEY *key, const char *password, uint8_t *out)
{
    X509 *certificate = rig_certificate_new(key);
    PKCS12 *archive = PKCS12_create(password, "name", key, certificate, NULL, 0, 0, 0, 0, 0);
    assert_non_null(archive);
    uint8_t *at = out;
    int len = i2d_PKCS12(archive, &at);
    assert_true(len > 0 && len < FILE_MAX);
    PKCS12_free(archive);
    X509_free(certificate);
    return (size_t)len;
}

static void every_container_of_rsa_and_ec_keys_is_read(void **state)
{
    (void)state;
    uint8_t file[FILE_MAX];
    struct crypto_error error = {{0}};
    for (int is_rsa = 0; is_rsa < 2; is_rsa++) {
        EVP_PKEY *key = rig_key_new(is_rsa == 1);
        size_t len = rig_pem_of(key, NULL, file, sizeof(file));
        assert_true(reads_as(file, len, NULL, key, &error));
        assert_true(reads_as(file, len, "not needed", key, &error));
        len = rig_pem_of(key, "sesame", file, sizeof(file));
        assert_true(reads_as(file, len, "sesame", key, &error));
        len = pkcs12_of(key, "sesame", file);
        assert_true(reads_as(file, len, "sesame", key, &error));
        len = pkcs12_of(key, "", file);
        assert_true(reads_as(file, len, NULL, key, &error));
        EVP_PKEY_free(key);
    }
}

/* Traditional form, with what openssl writes before the key: parameters, a certificate. */
static void a_key_is_found_behind_other_pem_blocks(void **state)
{
    (void)state;
    EVP_PKEY *key = rig_key_new(false);
    X509 *certificate = rig_certificate_new(key);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    assert_int_equal(PEM_write_bio_Parameters(bio, key), 1);
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    struct crypto_error error = {{0}};
    assert_true(reads_as((const uint8_t *)text, (size_t)len, NULL, key, &error));
    BIO_free(bio);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void check_refused(const uint8_t *bytes, size_t len, const char *password,
                          const char *sentence)
{
    struct crypto_error error = {{0}};
    assert_false(reads_as(bytes, len, password, NULL, &error));
    if (strstr(error.text, sentence) == NULL) {
        fail_msg("expected \"%s\", got \"%s\"", sentence, error.text);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

static void refusals_say_why(void **state)
{
    (void)state;
    uint8_t file[FILE_MAX];
    EVP_PKEY *key = rig_key_new(false);
    size_t len = rig_pem_of(key, "sesame", file, sizeof(file));
    check_refused(file, len, NULL, "encrypted and no password");
    check_refused(file, len, "wrong", "does not open");
    len = pkcs12_of(key, "sesame", file);
    check_refused(file, len, "wrong", "does not open");
    check_refused(file, len / 2, "sesame", "neither PEM nor PKCS#12");
    check_refused((const uint8_t *)"hello", 5, NULL, "neither PEM nor PKCS#12");
    check_refused((const uint8_t *)"", 0, NULL, "empty");
    static const char no_key[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check_refused((const uint8_t *)no_key, sizeof(no_key) - 1, NULL, "no private key");
    EVP_PKEY_free(key);
}

static void weak_and_strange_keys_are_refused(void **state)
{
    (void)state;
    uint8_t file[FILE_MAX];
    EVP_PKEY *keys[] = {
        EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024),
        EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"),
        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
    };
    static const char *const sentences[] = {"1024 bits", "kind EC", "kind ED25519"};
    for (size_t i = 0; i < 3; i++) {
        size_t len = rig_pem_of(keys[i], NULL, file, sizeof(file));
        check_refused(file, len, NULL, sentences[i]);
        EVP_PKEY_free(keys[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_container_of_rsa_and_ec_keys_is_read),
        cmocka_unit_test(a_key_is_found_behind_other_pem_blocks),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(weak_and_strange_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
