/* crypto/trust.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/trust.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/pem.h"
#include "crypto/x509_text.h"

struct trust {
    unsigned references;
    X509_STORE *store;
    STACK_OF(X509_NAME) * names;
    size_t authority_count;
    time_t revoked_until;
    uint8_t sha256[X509_SHA256_BYTES];
};

/* ---- authorities ---- */

static bool add_authority(struct trust *trust, X509 *certificate)
{
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));
    if (name == NULL || sk_X509_NAME_push(trust->names, name) <= 0) {
        X509_NAME_free(name);
        return false;
    }
    trust->authority_count++;
    return X509_STORE_add_cert(trust->store, certificate) == 1;
}

static bool read_authorities(struct trust *trust, BIO *bio, struct crypto_error *error)
{
    ERR_clear_error();
    X509 *certificate = PEM_read_bio_X509(bio, NULL, pem_no_password, NULL);
    while (certificate != NULL) {
        bool is_added = add_authority(trust, certificate);
        X509_free(certificate);
        if (!is_added) {
            crypto_error_set_openssl(error, "out of memory");
            return false;
        }
        certificate = PEM_read_bio_X509(bio, NULL, pem_no_password, NULL);
    }
    if (!pem_is_end()) {
        crypto_error_set_openssl(error, "certificate %zu of the file is malformed",
                                 trust->authority_count + 1);
        return false;
    }
    ERR_clear_error();
    if (trust->authority_count == 0) {
        crypto_error_set(error, "no certificate in the file; expected authorities in PEM");
        return false;
    }
    return true;
}

/* ---- revocation lists ---- */

static bool add_list(struct trust *trust, X509_CRL *list, struct crypto_error *error)
{
    ERR_clear_error(); /* of a list with a malformed extension: it was read, and complained about */
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
    time_t until = next != NULL ? x509_time(next) : 0;
    if (until <= 0) {
        crypto_error_set(error, "a revocation list without a next update (RFC 5280 §5.1.2.5)");
        return false;
    }
    if (X509_STORE_add_crl(trust->store, list) != 1) {
        crypto_error_set_openssl(error, "a revocation list cannot be used");
        return false;
    }
    if (trust->revoked_until == 0 || until < trust->revoked_until) {
        trust->revoked_until = until;
    }
    return true;
}

static bool read_pem_lists(struct trust *trust, BIO *bio, struct crypto_error *error)
{
    ERR_clear_error();
    X509_CRL *list = PEM_read_bio_X509_CRL(bio, NULL, pem_no_password, NULL);
    while (list != NULL) {
        bool is_added = add_list(trust, list, error);
        X509_CRL_free(list);
        if (!is_added) {
            return false;
        }
        list = PEM_read_bio_X509_CRL(bio, NULL, pem_no_password, NULL);
    }
    if (!pem_is_end()) {
        crypto_error_set_openssl(error, "a revocation list in the file is malformed");
        return false;
    }
    ERR_clear_error();
    if (trust->revoked_until == 0) {
        crypto_error_set(error, "no revocation list in the file");
        return false;
    }
    return true;
}

static bool read_der_list(struct trust *trust, BIO *bio, struct crypto_error *error)
{
    X509_CRL *list = d2i_X509_CRL_bio(bio, NULL);
    if (list == NULL) {
        ERR_clear_error();
        crypto_error_set(error, "not a revocation list in PEM or DER");
        return false;
    }
    bool is_added = add_list(trust, list, error);
    X509_CRL_free(list);
    return is_added;
}

static bool read_revoked(struct trust *trust, struct bytes file, BIO *bio,
                         struct crypto_error *error)
{
    static const char BEGIN[] = "-----BEGIN ";
    bool is_pem = memmem(file.at, file.len, BEGIN, sizeof(BEGIN) - 1) != NULL;
    bool is_read = is_pem ? read_pem_lists(trust, bio, error) : read_der_list(trust, bio, error);
    return is_read && X509_STORE_set_flags(trust->store,
                                           X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

/* ---- all ---- */

static bool hash_all(struct trust *trust, struct bytes authorities, struct bytes revoked)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool hashed = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                  EVP_DigestUpdate(hash, &authorities.len, sizeof(authorities.len)) == 1 &&
                  EVP_DigestUpdate(hash, authorities.at, authorities.len) == 1 &&
                  (revoked.len == 0 || EVP_DigestUpdate(hash, revoked.at, revoked.len) == 1) &&
                  EVP_DigestFinal_ex(hash, trust->sha256, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return hashed;
}

static bool is_size_fine(struct bytes file, struct crypto_error *error)
{
    if (file.len > TRUST_FILE_BYTES_MAX) {
        crypto_error_set(error, "the file is larger than %d bytes", TRUST_FILE_BYTES_MAX);
        return false;
    }
    return true;
}

static bool read_all(struct trust *trust, struct bytes authorities, struct bytes revoked,
                     struct crypto_error *error)
{
    if (!is_size_fine(authorities, error) || !is_size_fine(revoked, error)) {
        return false;
    }
    BIO *authorities_bio = BIO_new_mem_buf(authorities.len > 0 ? (const void *)authorities.at : "",
                                           (int)authorities.len);
    BIO *revoked_bio = revoked.len > 0 ? BIO_new_mem_buf(revoked.at, (int)revoked.len) : NULL;
    bool is_read = false;
    if (authorities_bio == NULL || (revoked.len > 0 && revoked_bio == NULL) ||
        !hash_all(trust, authorities, revoked)) {
        crypto_error_set_openssl(error, "out of memory");
    } else {
        is_read = read_authorities(trust, authorities_bio, error) &&
                  (revoked_bio == NULL || read_revoked(trust, revoked, revoked_bio, error));
    }
    BIO_free(authorities_bio);
    BIO_free(revoked_bio);
    return is_read;
}

struct trust *trust_read(struct bytes authorities, struct bytes revoked, struct crypto_error *error)
{
    struct trust *trust = calloc(1, sizeof(*trust));
    if (trust == NULL) {
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    trust->references = 1;
    trust->store = X509_STORE_new();
    trust->names = sk_X509_NAME_new_null();
    bool is_made = trust->store != NULL && trust->names != NULL &&
                   X509_STORE_set_flags(trust->store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
                   X509_STORE_set_depth(trust->store, TRUST_DEPTH_MAX) == 1;
    if (!is_made) {
        crypto_error_set_openssl(error, "out of memory");
    }
    if (!is_made || !read_all(trust, authorities, revoked, error)) {
        trust_unref(trust);
        return NULL;
    }
    return trust;
}

struct trust *trust_ref(struct trust *trust)
{
    trust->references++;
    return trust;
}

void trust_unref(struct trust *trust)
{
    if (trust == NULL || --trust->references > 0) {
        return;
    }
    X509_STORE_free(trust->store);
    sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
    free(trust);
}

X509_STORE *trust_store(const struct trust *trust)
{
    return trust->store;
}

size_t trust_authority_count(const struct trust *trust)
{
    return trust->authority_count;
}

bool trust_authority_at(const struct trust *trust, size_t index, char *name, size_t size,
                        time_t *not_after)
{
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(trust->store);
    size_t seen = 0;
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        const X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (certificate != NULL && seen++ == index) {
            x509_name_text(X509_get_subject_name(certificate), name, size);
            *not_after = x509_time(X509_get0_notAfter(certificate));
            return true;
        }
    }
    return false;
}

const STACK_OF(X509_NAME) * trust_names(const struct trust *trust)
{
    return trust->names;
}

time_t trust_revoked_until(const struct trust *trust)
{
    return trust->revoked_until;
}

const uint8_t *trust_sha256(const struct trust *trust)
{
    return trust->sha256;
}

const char *trust_system_path(void)
{
    static const char *const PATHS[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",
    };
    for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
        if (access(PATHS[i], R_OK) == 0) {
            return PATHS[i];
        }
    }
    return NULL;
}
