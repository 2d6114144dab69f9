/* crypto/local_issue.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/local_issue.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/x509_text.h"

enum {
    DAY_SECONDS = 24 * 3600,
    BACKDATE_SECONDS = 3600, /* for clients whose clock is behind ours */
    SERIAL_BYTES = 16,       /* RFC 5280 §4.1.2.2: unique, at most 20 octets */
    HOST_NAME_MAX_BYTES = 253,
    COMMON_NAME_MAX = 64, /* RFC 5280, upper bound of CommonName */
    RSA_BITS = 2048,
};

EVP_PKEY *local_key_new(enum local_key kind, struct crypto_error *error)
{
    EVP_PKEY *key = kind == LOCAL_KEY_RSA ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS)
                                          : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    if (key == NULL) {
        crypto_error_set_openssl(error, "a key cannot be made");
    }
    return key;
}

/* ---- parts of a certificate ---- */

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return false;
    }
    bytes[0] = (unsigned char)((bytes[0] & 0x7F) | 0x40); /* positive, and of full length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool is_set =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return is_set;
}

static bool set_common_name(X509 *certificate, const char *text)
{
    int len = (int)strnlen(text, COMMON_NAME_MAX);
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                      (const unsigned char *)text, len, -1, 0) == 1;
}

static bool set_dates(X509 *certificate, time_t from, time_t to)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), from) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), to) != NULL;
}

static bool extend(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX scope;
    X509V3_set_ctx(&scope, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &scope, kind, value);
    bool is_added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

/* Everything but names and extensions. */
static X509 *begin(EVP_PKEY *key, time_t from, time_t to)
{
    X509 *certificate = X509_new();
    if (certificate == NULL || X509_set_version(certificate, X509_VERSION_3) != 1 ||
        !set_serial(certificate) || !set_dates(certificate, from, to) ||
        X509_set_pubkey(certificate, key) != 1) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

/* ---- authority ---- */

static bool fill_authority(X509 *certificate)
{
    char host[64] = "localhost";
    char name[128];
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(name, sizeof(name), "Sallyport local CA on %s", host);
    return set_common_name(certificate, name) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
           extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           extend(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           extend(certificate, certificate, NID_subject_key_identifier, "hash");
}

X509 *local_ca_certificate(EVP_PKEY *key, time_t now, struct crypto_error *error)
{
    time_t to = now + (time_t)LOCAL_CA_DAYS * DAY_SECONDS;
    X509 *certificate = begin(key, now - BACKDATE_SECONDS, to);
    if (certificate == NULL || !fill_authority(certificate) ||
        X509_sign(certificate, key, EVP_sha256()) <= 0) {
        X509_free(certificate);
        crypto_error_set_openssl(error, "the authority's certificate cannot be made");
        return NULL;
    }
    return certificate;
}

/* ---- leaf ---- */

static bool is_label_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-._", text[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && text[0] != '.' && text[len - 1] != '.';
}

static GENERAL_NAME *ip_general_name(const unsigned char *ip, int len)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *bytes = ASN1_OCTET_STRING_new();
    if (name == NULL || bytes == NULL || ASN1_OCTET_STRING_set(bytes, ip, len) != 1) {
        GENERAL_NAME_free(name);
        ASN1_OCTET_STRING_free(bytes);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, GEN_IPADD, bytes);
    return name;
}

static GENERAL_NAME *host_general_name(const char *text, size_t len)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *string = ASN1_IA5STRING_new();
    if (name == NULL || string == NULL || ASN1_STRING_set(string, text, (int)len) != 1) {
        GENERAL_NAME_free(name);
        ASN1_IA5STRING_free(string);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, GEN_DNS, string);
    return name;
}

/* NULL with a sentence. */
static GENERAL_NAME *general_name(const char *text, struct crypto_error *error)
{
    unsigned char ip[16];
    GENERAL_NAME *name = NULL;
    if (inet_pton(AF_INET, text, ip) == 1) {
        name = ip_general_name(ip, 4);
    } else if (inet_pton(AF_INET6, text, ip) == 1) {
        name = ip_general_name(ip, 16);
    } else {
        size_t len = strnlen(text, HOST_NAME_MAX_BYTES + 1);
        size_t wildcard = strncmp(text, "*.", 2) == 0 ? 2 : 0;
        if (len > HOST_NAME_MAX_BYTES || !is_label_text(text + wildcard, len - wildcard)) {
            crypto_error_set(error,
                             "\"%.100s\" is no name for a certificate; expected a host name, "
                             "*.DOMAIN or an IP address",
                             text);
            return NULL;
        }
        name = host_general_name(text, len);
    }
    if (name == NULL) {
        crypto_error_set(error, "out of memory");
    }
    return name;
}

static bool push_names(GENERAL_NAMES *all, const char *const *names, size_t count,
                       struct crypto_error *error)
{
    if (count == 0 || count > LOCAL_CA_NAMES_MAX) {
        crypto_error_set(error, "%zu names for a certificate; expected 1 to %d", count,
                         LOCAL_CA_NAMES_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        GENERAL_NAME *name = general_name(names[i], error);
        if (name == NULL) {
            return false;
        }
        if (sk_GENERAL_NAME_push(all, name) <= 0) {
            GENERAL_NAME_free(name);
            crypto_error_set(error, "out of memory");
            return false;
        }
    }
    return true;
}

static bool add_names(X509 *certificate, const char *const *names, size_t count,
                      struct crypto_error *error)
{
    GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
    bool is_pushed = false;
    if (all == NULL) {
        crypto_error_set(error, "out of memory");
    } else {
        is_pushed = push_names(all, names, count, error);
    }
    if (is_pushed && X509_add1_ext_i2d(certificate, NID_subject_alt_name, all, 0, 0) != 1) {
        crypto_error_set_openssl(error, "the names cannot be written");
        is_pushed = false;
    }
    GENERAL_NAMES_free(all);
    return is_pushed;
}

static bool fill_leaf(X509 *certificate, X509 *ca, const char *first_name)
{
    return set_common_name(certificate, first_name) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(ca)) == 1 &&
           extend(certificate, ca, NID_basic_constraints, "critical,CA:FALSE") &&
           extend(certificate, ca, NID_key_usage, "critical,digitalSignature") &&
           extend(certificate, ca, NID_ext_key_usage, "serverAuth,clientAuth") &&
           extend(certificate, ca, NID_subject_key_identifier, "hash") &&
           extend(certificate, ca, NID_authority_key_identifier, "keyid");
}

X509 *local_leaf_certificate(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const char *const *names,
                             size_t name_count, time_t now, struct crypto_error *error)
{
    time_t to = now + (time_t)LOCAL_LEAF_DAYS * DAY_SECONDS;
    time_t ca_to = x509_time(X509_get0_notAfter(ca));
    X509 *certificate = begin(key, now - BACKDATE_SECONDS, to < ca_to ? to : ca_to);
    if (certificate == NULL) {
        crypto_error_set_openssl(error, "the certificate cannot be made");
        return NULL;
    }
    if (!add_names(certificate, names, name_count, error)) {
        X509_free(certificate);
        return NULL;
    }
    if (!fill_leaf(certificate, ca, names[0]) ||
        X509_sign(certificate, ca_key, EVP_sha256()) <= 0) {
        X509_free(certificate);
        crypto_error_set_openssl(error, "the certificate cannot be made");
        return NULL;
    }
    return certificate;
}
