/* proxy/process/chain_file.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/chain_file.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Copies each certificate of a PEM text; what else stands there is left out. Returns how many. */
static size_t copy_pem(BIO *in, BIO *out)
{
    size_t count = 0;
    for (X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL); certificate != NULL;
         certificate = PEM_read_bio_X509(in, NULL, NULL, NULL)) {
        count += PEM_write_bio_X509(out, certificate) == 1;
        X509_free(certificate);
    }
    ERR_clear_error();
    return count;
}

static size_t write_chain(BIO *out, X509 *leaf, STACK_OF(X509) * issuers)
{
    size_t count = leaf != NULL && PEM_write_bio_X509(out, leaf) == 1;
    for (int i = 0; i < sk_X509_num(issuers); i++) {
        count += PEM_write_bio_X509(out, sk_X509_value(issuers, i)) == 1;
    }
    return count;
}

static size_t copy_pkcs12(BIO *in, const char *password, BIO *out)
{
    PKCS12 *file = d2i_PKCS12_bio(in, NULL);
    EVP_PKEY *key = NULL;
    X509 *leaf = NULL;
    STACK_OF(X509) *issuers = NULL;
    size_t count = 0;
    if (file != NULL && PKCS12_parse(file, password, &key, &leaf, &issuers) == 1) {
        count = write_chain(out, leaf, issuers);
    }
    PKCS12_free(file);
    EVP_PKEY_free(key);
    X509_free(leaf);
    sk_X509_pop_free(issuers, X509_free);
    ERR_clear_error();
    return count;
}

static char *take_text(BIO *out, size_t *len)
{
    char *at = NULL;
    long bytes = BIO_get_mem_data(out, &at);
    char *text = bytes > 0 ? malloc((size_t)bytes) : NULL;
    if (text != NULL) {
        memcpy(text, at, (size_t)bytes);
        *len = (size_t)bytes;
    }
    return text;
}

/* A bundle's entry ends in a NUL that does not count. */
static const char *password_text(const struct bundle_entry *password)
{
    return password == NULL ? "" : (const char *)password->bytes;
}

char *chain_file_without_key(const char *bytes, size_t len, const struct bundle_entry *password,
                             size_t *pem_len, struct process_error *error)
{
    if (len == 0 || len > INT_MAX) {
        process_error_set(error, "the file is empty or too large");
        return NULL;
    }
    bool is_pem = memmem(bytes, len, "-----BEGIN ", strlen("-----BEGIN ")) != NULL;
    BIO *in = BIO_new_mem_buf(bytes, (int)len);
    BIO *out = BIO_new(BIO_s_mem());
    size_t count = 0;
    if (in != NULL && out != NULL) {
        count = is_pem ? copy_pem(in, out) : copy_pkcs12(in, password_text(password), out);
    }
    char *text = count > 0 ? take_text(out, pem_len) : NULL;
    if (text == NULL) {
        process_error_set(error, is_pem ? "there is no certificate in it"
                                        : "it is not PKCS#12 with a certificate, or its password "
                                          "is another one");
    }
    BIO_free(in);
    BIO_free(out);
    return text;
}
