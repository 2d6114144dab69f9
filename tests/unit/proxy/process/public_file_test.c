/* tests/unit/proxy/process/public_file_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/public_file.h"

#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bytes text(const char *string)
{
    return (struct bytes){(const uint8_t *)string, strlen(string)};
}

static void every_label_of_a_key_is_known(void **state)
{
    (void)state;
    static const char *const KEYS[] = {
        "-----BEGIN PRIVATE KEY-----\nMC4=\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4=\n",
        "-----BEGIN RSA PRIVATE KEY-----\nMC4=\n",
        "-----BEGIN EC PRIVATE KEY-----\r\nMC4=\r\n",
        "-----BEGIN CERTIFICATE-----\nMC4=\n-----END CERTIFICATE-----\n"
        "-----BEGIN OPENSSH PRIVATE KEY-----\n",
        "# a comment\n-----BEGIN ANY OTHER PRIVATE KEY-----",
    };
    static const enum config_file_kind KINDS[] = {CONFIG_FILE_CHAIN, CONFIG_FILE_CA,
                                                  CONFIG_FILE_CRL, CONFIG_FILE_OCSP};
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
        for (size_t j = 0; j < sizeof(KINDS) / sizeof(KINDS[0]); j++) {
            assert_non_null(public_file_fault(KINDS[j], text(KEYS[i])));
        }
    }
}

static void what_is_no_key_passes(void **state)
{
    (void)state;
    assert_null(public_file_fault(CONFIG_FILE_CA, (struct bytes){0}));
    assert_null(public_file_fault(CONFIG_FILE_CA, text("-----BEGIN CERTIFICATE-----\nMC4=\n")));
    assert_null(public_file_fault(CONFIG_FILE_CHAIN, text("-----BEGIN PUBLIC KEY-----\n")));
    assert_null(public_file_fault(CONFIG_FILE_YAML, text("key: private.key")));
    assert_null(public_file_fault(CONFIG_FILE_CRL, text("0\x03\x02\x01\x01")));
}

static void a_key_in_der_is_known(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    unsigned char *der = NULL;
    int len = i2d_PrivateKey(key, &der);
    assert_true(len > 0);
    assert_non_null(public_file_fault(CONFIG_FILE_CRL, (struct bytes){der, (size_t)len}));
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

static void only_a_chain_may_be_an_archive(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    PKCS12 *archive = PKCS12_create("secret", NULL, key, NULL, NULL, 0, 0, 0, 0, 0);
    assert_non_null(archive);
    unsigned char *der = NULL;
    int len = i2d_PKCS12(archive, &der);
    const struct bytes file = {der, (size_t)len};
    assert_null(public_file_fault(CONFIG_FILE_CHAIN, file));
    assert_non_null(public_file_fault(CONFIG_FILE_CA, file));
    assert_non_null(public_file_fault(CONFIG_FILE_OCSP, file));
    OPENSSL_free(der);
    PKCS12_free(archive);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_label_of_a_key_is_known),
        cmocka_unit_test(what_is_no_key_passes),
        cmocka_unit_test(a_key_in_der_is_known),
        cmocka_unit_test(only_a_chain_may_be_an_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
