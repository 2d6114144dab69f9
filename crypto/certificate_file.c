/* crypto/certificate_file.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/certificate_file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdbool.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/pem.h"
#include "crypto/secret.h"

static bool has_text(struct bytes file, const char *text)
{
    return memmem(file.at, file.len, text, strlen(text)) != NULL;
}

static bool push(STACK_OF(X509) * all, X509 *certificate, struct crypto_error *error)
{
    if (sk_X509_num(all) >= CERTIFICATE_CHAIN_MAX) {
        crypto_error_set(error, "more than %d certificates in one file", CERTIFICATE_CHAIN_MAX);
    } else if (sk_X509_push(all, certificate) > 0) {
        return true;
    } else {
        crypto_error_set(error, "out of memory");
    }
    X509_free(certificate);
    return false;
}

/* ---- PEM ---- */

static void say_what_pem_it_is(struct bytes file, struct crypto_error *error)
{
    if (has_text(file, "PRIVATE KEY-----")) {
        crypto_error_set(error, "this is a private key, not a certificate");
    } else if (has_text(file, "CERTIFICATE REQUEST-----")) {
        crypto_error_set(error, "this is a certificate request, not a certificate: an authority "
                                "has to sign it first");
    } else if (has_text(file, "X509 CRL-----")) {
        crypto_error_set(error, "this is a revocation list, not a certificate");
    } else if (has_text(file, "PUBLIC KEY-----")) {
        crypto_error_set(error, "this is a public key, not a certificate");
    } else {
        crypto_error_set(error, "no certificate in the PEM text");
    }
}

static bool read_pem(BIO *bio, struct bytes file, STACK_OF(X509) * all, struct crypto_error *error)
{
    ERR_clear_error();
    X509 *certificate = PEM_read_bio_X509(bio, NULL, pem_no_password, NULL);
    while (certificate != NULL) {
        if (!push(all, certificate, error)) {
            return false;
        }
        certificate = PEM_read_bio_X509(bio, NULL, pem_no_password, NULL);
    }
    if (!pem_is_end()) {
        crypto_error_set_openssl(error, "certificate %d of the file is malformed",
                                 sk_X509_num(all) + 1);
        return false;
    }
    ERR_clear_error();
    if (sk_X509_num(all) == 0) {
        say_what_pem_it_is(file, error);
        return false;
    }
    return true;
}

/* ---- PKCS#12 ---- */

static bool is_der_certificate(struct bytes file)
{
    const unsigned char *at = file.at;
    X509 *certificate = d2i_X509(NULL, &at, (long)file.len);
    X509_free(certificate);
    ERR_clear_error();
    return certificate != NULL;
}

static bool opens(PKCS12 *archive, const char *password)
{
    bool is_empty = password[0] == '\0';
    return PKCS12_mac_present(archive) == 0 || PKCS12_verify_mac(archive, password, -1) == 1 ||
           (is_empty && PKCS12_verify_mac(archive, NULL, 0) == 1);
}

static bool take_all(STACK_OF(X509) * all, X509 *leaf, STACK_OF(X509) * others,
                     struct crypto_error *error)
{
    bool taken = leaf == NULL || push(all, leaf, error);
    while (taken && sk_X509_num(others) > 0) {
        taken = push(all, sk_X509_shift(others), error);
    }
    if (taken && sk_X509_num(all) == 0) {
        crypto_error_set(error, "no certificate in the PKCS#12 file");
        return false;
    }
    return taken;
}

static bool unpack(PKCS12 *archive, const char *password, STACK_OF(X509) * all,
                   struct crypto_error *error)
{
    if (!opens(archive, password)) {
        ERR_clear_error();
        crypto_error_set(error, password[0] == '\0'
                                    ? "the PKCS#12 file needs a password, and none is given"
                                    : "the password does not open the PKCS#12 file");
        return false;
    }
    EVP_PKEY *key = NULL;
    X509 *leaf = NULL;
    STACK_OF(X509) *others = NULL;
    if (PKCS12_parse(archive, password, &key, &leaf, &others) != 1) {
        crypto_error_set_openssl(error, "the PKCS#12 file cannot be read (old algorithms are not "
                                        "supported: export it again with AES)");
        return false;
    }
    EVP_PKEY_free(key);
    bool taken = take_all(all, leaf, others, error);
    sk_X509_pop_free(others, X509_free);
    return taken;
}

static bool read_pkcs12(BIO *bio, struct bytes file, const struct secret *password,
                        STACK_OF(X509) * all, struct crypto_error *error)
{
    PKCS12 *archive = d2i_PKCS12_bio(bio, NULL);
    if (archive == NULL) {
        ERR_clear_error();
        crypto_error_set(error, is_der_certificate(file)
                                    ? "a certificate in DER; expected PEM (openssl x509 -inform "
                                      "DER -in FILE -out FILE.pem) or PKCS#12"
                                    : "neither PEM nor PKCS#12");
        return false;
    }
    /* OpenSSL wants a string: a copy with a NUL behind, in memory of the same quality. */
    struct secret text = {0};
    size_t len = password != NULL ? secret_len(password) : 0;
    bool unpacked = false;
    if (secret_init(&text, len + 1)) {
        if (len > 0) {
            memcpy(secret_room(&text), secret_bytes(password), len);
        }
        unpacked = unpack(archive, secret_room(&text), all, error);
    } else {
        crypto_error_set(error, "out of memory");
    }
    secret_fini(&text);
    PKCS12_free(archive);
    return unpacked;
}

STACK_OF(X509) * certificate_file_read(struct bytes file, const struct secret *password,
                                       struct crypto_error *error)
{
    if (file.len == 0) {
        crypto_error_set(error, "the file is empty");
        return NULL;
    }
    if (file.len > CERTIFICATE_FILE_BYTES_MAX) {
        crypto_error_set(error, "the file is larger than %d bytes", CERTIFICATE_FILE_BYTES_MAX);
        return NULL;
    }
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(file.at, (int)file.len);
    bool is_read = false;
    if (all == NULL || bio == NULL) {
        crypto_error_set(error, "out of memory");
    } else if (has_text(file, "-----BEGIN ")) {
        is_read = read_pem(bio, file, all, error);
    } else {
        is_read = read_pkcs12(bio, file, password, all, error);
    }
    BIO_free(bio);
    if (!is_read) {
        sk_X509_pop_free(all, X509_free);
        return NULL;
    }
    return all;
}
