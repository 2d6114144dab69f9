/* tests/fuzz/ocsp_fuzz.c
 *
 * OCSP responses about a certificate made here. Nobody but its issuer can sign a good one, so none
 * may be accepted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/ocsp.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/local_issue.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct certificate *make_certificate(void)
{
    static const char *const NAME = "www.example";
    struct crypto_error error = {{0}};
    EVP_PKEY *key = local_key_new(LOCAL_KEY_EC, &error);
    X509 *ca = local_ca_certificate(key, 1700000000, &error);
    X509 *leaf = local_leaf_certificate(key, ca, key, &NAME, 1, 1700000000, &error);
    BIO *bio = BIO_new(BIO_s_mem());
    assert(PEM_write_bio_X509(bio, leaf) == 1 && PEM_write_bio_X509(bio, ca) == 1);
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    struct certificate *certificate =
        certificate_read((struct bytes){(const uint8_t *)text, (size_t)len}, NULL, &error);
    BIO_free(bio);
    X509_free(leaf);
    X509_free(ca);
    EVP_PKEY_free(key);
    return certificate;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct certificate *certificate;
    if (certificate == NULL) {
        certificate = make_certificate();
        assert(certificate != NULL);
    }
    struct ocsp_facts facts;
    struct crypto_error error = {{0}};
    assert(
        !ocsp_response_verify(certificate, (struct bytes){bytes, len}, 1700000000, &facts, &error));
    assert(error.text[0] != '\0');
    assert(ERR_peek_error() == 0);
    return 0;
}
