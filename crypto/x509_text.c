/* crypto/x509_text.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/x509_text.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

void x509_name_text(const X509_NAME *name, char *out, size_t size)
{
    out[0] = '\0';
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL) {
        return;
    }
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        size_t len = 0;
        (void)BIO_read_ex(bio, out, size - 1, &len);
        out[len] = '\0';
    }
    BIO_free(bio);
}

time_t x509_time(const ASN1_TIME *time)
{
    struct tm parts = {0};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : -1;
}

void x509_sha256(const X509 *certificate, uint8_t out[X509_SHA256_BYTES])
{
    memset(out, 0, X509_SHA256_BYTES);
    unsigned len = 0;
    (void)X509_digest(certificate, EVP_sha256(), out, &len);
}

void x509_sha256_text(const X509 *certificate, char out[X509_SHA256_TEXT])
{
    uint8_t sha256[X509_SHA256_BYTES];
    x509_sha256(certificate, sha256);
    for (size_t i = 0; i < sizeof(sha256); i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", sha256[i]);
    }
}

bool x509_key_sha256(const X509 *certificate, uint8_t out[X509_SHA256_BYTES])
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (len <= 0) {
        return false;
    }
    bool hashed = EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return hashed;
}
