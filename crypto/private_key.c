/* crypto/private_key.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/private_key.h"

#include "crypto/error.h"
#include "crypto/secret.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <string.h>

static const char PEM_START[] = "-----BEGIN ";

/* What the password callback needs, and whether it was asked at all (for a better sentence). */
struct password_wish {
    const struct secret *password;
    bool asked;
};

static int on_password(char *out, int size, int writing, void *argument)
{
    (void)writing;
    struct password_wish *wish = argument;
    wish->asked = true;
    size_t len = wish->password != NULL ? secret_len(wish->password) : 0;
    if (len == 0 || size < 0 || len > (size_t)size) {
        return -1;
    }
    memcpy(out, secret_bytes(wish->password), len);
    return (int)len;
}

static EVP_PKEY *read_pem(BIO *bio, const struct secret *password, struct crypto_error *error)
{
    struct password_wish wish = {.password = password};
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_password, &wish);
    if (key != NULL) {
        return key;
    }
    if (!wish.asked) {
        crypto_error_set_openssl(error, "no private key in the PEM text");
    } else if (password == NULL || secret_len(password) == 0) {
        ERR_clear_error();
        crypto_error_set(error, "the private key is encrypted and no password is given");
    } else {
        crypto_error_set_openssl(error, "the password does not open the private key");
    }
    return NULL;
}

/* PKCS12_parse wants a string: a copy with a NUL behind, in memory of the same quality. */
static bool password_string(struct secret *out, const struct secret *password)
{
    size_t len = password != NULL ? secret_len(password) : 0;
    if (!secret_init(out, len + 1)) {
        return false;
    }
    if (len > 0) {
        memcpy(secret_room(out), secret_bytes(password), len);
    }
    return true;
}

static EVP_PKEY *read_pkcs12(BIO *bio, const struct secret *password, struct crypto_error *error)
{
    PKCS12 *archive = d2i_PKCS12_bio(bio, NULL);
    if (archive == NULL) {
        ERR_clear_error();
        crypto_error_set(error, "neither PEM nor PKCS#12");
        return NULL;
    }
    struct secret text;
    if (!password_string(&text, password)) {
        PKCS12_free(archive);
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    EVP_PKEY *key = NULL;
    bool parsed = PKCS12_parse(archive, secret_room(&text), &key, NULL, NULL) == 1;
    secret_fini(&text);
    PKCS12_free(archive);
    if (!parsed) {
        crypto_error_set_openssl(error, "the PKCS#12 file does not open with this password");
    } else if (key == NULL) {
        crypto_error_set(error, "no private key in the PKCS#12 file");
    }
    return key;
}

static bool curve_is_known(const EVP_PKEY *key)
{
    char group[64];
    size_t len = 0;
    if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1) {
        return false;
    }
    return strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0 ||
           strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0 ||
           strcmp(group, "secp521r1") == 0 || strcmp(group, "P-521") == 0;
}

static bool key_is_usable(const EVP_PKEY *key, struct crypto_error *error)
{
    if (EVP_PKEY_is_a(key, "RSA")) {
        int bits = EVP_PKEY_get_bits(key);
        if (bits < PRIVATE_KEY_RSA_BITS_MIN || bits > PRIVATE_KEY_RSA_BITS_MAX) {
            crypto_error_set(error, "an RSA key of %d bits; expected %d to %d", bits,
                             PRIVATE_KEY_RSA_BITS_MIN, PRIVATE_KEY_RSA_BITS_MAX);
            return false;
        }
        return true;
    }
    if (EVP_PKEY_is_a(key, "EC") && curve_is_known(key)) {
        return true;
    }
    const char *kind = EVP_PKEY_get0_type_name(key);
    crypto_error_set(error,
                     "a private key of kind %s; expected RSA, or EC on P-256, P-384 or P-521",
                     kind != NULL ? kind : "unknown");
    return false;
}

EVP_PKEY *private_key_read(const uint8_t *bytes, size_t len, const struct secret *password,
                           struct crypto_error *error)
{
    if (len == 0 || len > INT_MAX) {
        crypto_error_set(error, "an empty or far too large private key");
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(bytes, (int)len);
    if (bio == NULL) {
        crypto_error_set_openssl(error, "out of memory");
        return NULL;
    }
    bool is_pem = memmem(bytes, len, PEM_START, sizeof(PEM_START) - 1) != NULL;
    EVP_PKEY *key = is_pem ? read_pem(bio, password, error) : read_pkcs12(bio, password, error);
    BIO_free(bio);
    if (key != NULL && !key_is_usable(key, error)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}
