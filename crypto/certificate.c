/* crypto/certificate.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/certificate.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/tls1.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_file.h"
#include "crypto/error.h"
#include "crypto/x509_text.h"

enum {
    DNS_NAME_MAX = 253,
    SERIAL_TEXT = 2 * 20 + 2, /* RFC 5280 §4.1.2.2: at most 20 octets */
    URL_MAX = 1024,
    CURVE_TEXT = 32,
};

struct certificate {
    unsigned references;
    X509 *leaf;
    STACK_OF(X509) * chain; /* sent after the leaf */
    X509 *root;             /* the file's, or NULL; not sent */
    struct certificate_facts facts;
    char **names;
    char subject[CERTIFICATE_TEXT_BYTES];
    char issuer[CERTIFICATE_TEXT_BYTES];
    char serial[SERIAL_TEXT];
    char curve[CURVE_TEXT];
    char ocsp_url[URL_MAX];
};

const char *certificate_key_name(enum certificate_key key)
{
    static const char *const NAMES[CERTIFICATE_KEYS] = {"RSA", "EC", "Ed25519"};
    return NAMES[key];
}

/* ---- the chain ---- */

static bool is_authority(X509 *certificate)
{
    return (X509_get_extension_flags(certificate) & EXFLAG_CA) != 0;
}

static bool is_self_signed(X509 *certificate)
{
    return (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
}

/* Takes the certificate that signed `below` out of `rest`; NULL: it is not there. */
static X509 *take_issuer(STACK_OF(X509) * rest, X509 *below)
{
    for (int i = 0; i < sk_X509_num(rest); i++) {
        X509 *candidate = sk_X509_value(rest, i);
        if (X509_check_issued(candidate, below) == X509_V_OK) {
            return sk_X509_delete(rest, i);
        }
    }
    return NULL;
}

static bool refuse_leftover(STACK_OF(X509) * rest, struct crypto_error *error)
{
    char name[CERTIFICATE_TEXT_BYTES];
    if (sk_X509_num(rest) == 0) {
        return true;
    }
    x509_name_text(X509_get_subject_name(sk_X509_value(rest, 0)), name, sizeof(name));
    crypto_error_set(error, "the certificate of %.200s does not belong to the chain of the first",
                     name);
    return false;
}

/* Moves everything from `rest` into the chain, each behind what it signed. */
static bool order_chain(struct certificate *certificate, STACK_OF(X509) * rest,
                        struct crypto_error *error)
{
    certificate->leaf = sk_X509_shift(rest);
    if (is_authority(certificate->leaf) && sk_X509_num(rest) > 0 &&
        !is_authority(sk_X509_value(rest, 0))) {
        crypto_error_set(error, "the first certificate is an authority's; expected the leaf first");
        return false;
    }
    X509 *below = certificate->leaf;
    while (!is_self_signed(below)) {
        X509 *issuer = take_issuer(rest, below);
        if (issuer == NULL) {
            break;
        }
        if (is_self_signed(issuer)) {
            certificate->root = issuer;
        } else if (sk_X509_push(certificate->chain, issuer) <= 0) {
            X509_free(issuer);
            crypto_error_set(error, "out of memory");
            return false;
        }
        below = issuer;
    }
    return refuse_leftover(rest, error);
}

/* ---- names ---- */

/* Host names as they may stand in SNI; whatever else a certificate holds is of no use here. */
static bool is_host_text(const unsigned char *text, int len)
{
    for (int i = 0; i < len; i++) {
        if (!isalnum(text[i]) && strchr("-._*", text[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= DNS_NAME_MAX;
}

static char *dns_name(const GENERAL_NAME *name)
{
    const unsigned char *text = ASN1_STRING_get0_data(name->d.dNSName);
    int len = ASN1_STRING_length(name->d.dNSName);
    if (!is_host_text(text, len)) {
        return NULL;
    }
    char *copy = strndup((const char *)text, (size_t)len);
    for (char *at = copy; at != NULL && *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    return copy;
}

static char *ip_name(const GENERAL_NAME *name)
{
    char text[INET6_ADDRSTRLEN];
    const unsigned char *at = ASN1_STRING_get0_data(name->d.iPAddress);
    int len = ASN1_STRING_length(name->d.iPAddress);
    if (len != 4 && len != 16) {
        return NULL;
    }
    return inet_ntop(len == 4 ? AF_INET : AF_INET6, at, text, sizeof(text)) != NULL ? strdup(text)
                                                                                    : NULL;
}

static void read_names_of(struct certificate *certificate, const GENERAL_NAMES *all, int type)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type != type || certificate->facts.name_count >= CERTIFICATE_NAMES_MAX) {
            continue;
        }
        char *text = type == GEN_DNS ? dns_name(name) : ip_name(name);
        if (text != NULL) {
            certificate->names[certificate->facts.name_count++] = text;
        }
    }
}

static bool read_names(struct certificate *certificate)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
    size_t count = all != NULL ? (size_t)sk_GENERAL_NAME_num(all) : 0;
    certificate->names = calloc(count + 1, sizeof(char *));
    if (certificate->names != NULL && all != NULL) {
        read_names_of(certificate, all, GEN_DNS);
        certificate->facts.dns_name_count = certificate->facts.name_count;
        read_names_of(certificate, all, GEN_IPADD);
    }
    GENERAL_NAMES_free(all);
    certificate->facts.names = (const char *const *)certificate->names;
    return certificate->names != NULL;
}

/* ---- facts ---- */

static const char *curve_name(const char *openssl_name)
{
    static const char *const CURVES[][2] = {
        {"prime256v1", "P-256"}, {"secp384r1", "P-384"}, {"secp521r1", "P-521"}};
    for (size_t i = 0; i < sizeof(CURVES) / sizeof(CURVES[0]); i++) {
        if (strcmp(openssl_name, CURVES[i][0]) == 0) {
            return CURVES[i][1];
        }
    }
    return openssl_name;
}

static bool read_key(struct certificate *certificate, struct crypto_error *error)
{
    struct certificate_facts *facts = &certificate->facts;
    EVP_PKEY *key = X509_get0_pubkey(certificate->leaf);
    if (key == NULL) {
        crypto_error_set_openssl(error, "the certificate's public key cannot be read");
        return false;
    }
    facts->key_bits = (unsigned)EVP_PKEY_get_bits(key);
    facts->security_bits = (unsigned)EVP_PKEY_get_security_bits(key);
    if (EVP_PKEY_is_a(key, "RSA")) {
        facts->key = CERTIFICATE_RSA;
    } else if (EVP_PKEY_is_a(key, "EC")) {
        char group[CURVE_TEXT] = "";
        facts->key = CERTIFICATE_EC;
        (void)EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
        (void)snprintf(certificate->curve, sizeof(certificate->curve), "%s", curve_name(group));
    } else if (EVP_PKEY_is_a(key, "ED25519")) {
        facts->key = CERTIFICATE_ED25519;
    } else {
        const char *kind = EVP_PKEY_get0_type_name(key);
        crypto_error_set(error, "a certificate with a key of kind %s; expected RSA, EC or Ed25519",
                         kind != NULL ? kind : "unknown");
        return false;
    }
    return true;
}

static unsigned smaller_rsa(unsigned smallest, X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    if (key == NULL || !EVP_PKEY_is_a(key, "RSA")) {
        return smallest;
    }
    unsigned bits = (unsigned)EVP_PKEY_get_bits(key);
    return smallest == 0 || bits < smallest ? bits : smallest;
}

static unsigned smallest_rsa(const struct certificate *certificate)
{
    unsigned smallest = smaller_rsa(0, certificate->leaf);
    for (int i = 0; i < sk_X509_num(certificate->chain); i++) {
        smallest = smaller_rsa(smallest, sk_X509_value(certificate->chain, i));
    }
    return certificate->root != NULL ? smaller_rsa(smallest, certificate->root) : smallest;
}

static void read_serial(struct certificate *certificate)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate->leaf);
    size_t used = 0;
    for (int i = 0; i < serial->length && used + 2 < sizeof(certificate->serial); i++) {
        used += (size_t)snprintf(certificate->serial + used, 3, "%02x", serial->data[i]);
    }
}

static bool is_plain_url(const char *url)
{
    for (const char *at = url; *at != '\0'; at++) {
        if (!isgraph((unsigned char)*at)) {
            return false;
        }
    }
    return strncmp(url, "http://", 7) == 0 && strlen(url) < URL_MAX;
}

static void read_ocsp_url(struct certificate *certificate)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(certificate->leaf);
    for (int i = 0; i < sk_OPENSSL_STRING_num(urls); i++) {
        const char *url = sk_OPENSSL_STRING_value(urls, i);
        if (is_plain_url(url)) {
            (void)snprintf(certificate->ocsp_url, sizeof(certificate->ocsp_url), "%s", url);
            break;
        }
    }
    X509_email_free(urls);
}

/* A TLS feature is named by the number of its extension: 5 is status_request. */
static bool has_status_request(X509 *leaf)
{
    TLS_FEATURE *features = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
    bool has_it = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++) {
        has_it = has_it ||
                 ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == TLSEXT_TYPE_status_request;
    }
    TLS_FEATURE_free(features);
    return has_it;
}

static void read_pin(struct certificate *certificate)
{
    uint8_t sha256[X509_SHA256_BYTES];
    if (x509_key_sha256(certificate->leaf, sha256)) {
        char *text = certificate->facts.pin;
        size_t start = (size_t)snprintf(text, sizeof(certificate->facts.pin), "sha256/");
        (void)EVP_EncodeBlock((unsigned char *)text + start, sha256, sizeof(sha256));
    }
}

static bool read_facts(struct certificate *certificate, struct crypto_error *error)
{
    struct certificate_facts *facts = &certificate->facts;
    X509 *leaf = certificate->leaf;
    x509_name_text(X509_get_subject_name(leaf), certificate->subject, CERTIFICATE_TEXT_BYTES);
    x509_name_text(X509_get_issuer_name(leaf), certificate->issuer, CERTIFICATE_TEXT_BYTES);
    facts->not_before = x509_time(X509_get0_notBefore(leaf));
    facts->not_after = x509_time(X509_get0_notAfter(leaf));
    facts->is_self_signed = is_self_signed(leaf);
    facts->is_ca = is_authority(leaf);
    facts->chain_len = (size_t)sk_X509_num(certificate->chain) + 1;
    facts->smallest_rsa_bits = smallest_rsa(certificate);
    x509_sha256(leaf, facts->sha256);
    x509_sha256_text(leaf, facts->sha256_text);
    read_serial(certificate);
    read_ocsp_url(certificate);
    facts->must_staple = has_status_request(leaf);
    read_pin(certificate);
    facts->subject = certificate->subject;
    facts->issuer = certificate->issuer;
    facts->serial = certificate->serial;
    facts->curve = certificate->curve;
    facts->ocsp_url = certificate->ocsp_url;
    if (!read_names(certificate)) {
        crypto_error_set(error, "out of memory");
        return false;
    }
    return read_key(certificate, error);
}

/* ---- life ---- */

struct certificate *certificate_read(struct bytes file, const struct secret *password,
                                     struct crypto_error *error)
{
    STACK_OF(X509) *all = certificate_file_read(file, password, error);
    if (all == NULL) {
        return NULL;
    }
    struct certificate *certificate = calloc(1, sizeof(*certificate));
    bool is_read = false;
    if (certificate != NULL) {
        certificate->references = 1;
        certificate->chain = sk_X509_new_null();
        is_read = certificate->chain != NULL && order_chain(certificate, all, error) &&
                  read_facts(certificate, error);
    } else {
        crypto_error_set(error, "out of memory");
    }
    sk_X509_pop_free(all, X509_free);
    ERR_clear_error();
    if (!is_read) {
        certificate_unref(certificate);
        return NULL;
    }
    return certificate;
}

struct certificate *certificate_ref(struct certificate *certificate)
{
    certificate->references++;
    return certificate;
}

void certificate_unref(struct certificate *certificate)
{
    if (certificate == NULL || --certificate->references > 0) {
        return;
    }
    for (size_t i = 0; i < certificate->facts.name_count; i++) {
        free(certificate->names[i]);
    }
    free(certificate->names);
    X509_free(certificate->leaf);
    X509_free(certificate->root);
    sk_X509_pop_free(certificate->chain, X509_free);
    free(certificate);
}

/* ---- questions ---- */

const struct certificate_facts *certificate_facts(const struct certificate *certificate)
{
    return &certificate->facts;
}

X509 *certificate_leaf(const struct certificate *certificate)
{
    return certificate->leaf;
}

STACK_OF(X509) * certificate_chain(const struct certificate *certificate)
{
    return certificate->chain;
}

X509 *certificate_issuer(const struct certificate *certificate)
{
    if (certificate->facts.is_self_signed) {
        return certificate->leaf;
    }
    X509 *next = sk_X509_value(certificate->chain, 0);
    return next != NULL ? next : certificate->root;
}

static bool write_pem(const struct certificate *certificate, BIO *bio)
{
    bool is_written = PEM_write_bio_X509(bio, certificate->leaf) == 1;
    for (int i = 0; is_written && i < sk_X509_num(certificate->chain); i++) {
        is_written = PEM_write_bio_X509(bio, sk_X509_value(certificate->chain, i)) == 1;
    }
    return is_written &&
           (certificate->root == NULL || PEM_write_bio_X509(bio, certificate->root) == 1);
}

char *certificate_pem(const struct certificate *certificate, size_t *len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *copy = NULL;
    if (bio != NULL && write_pem(certificate, bio)) {
        char *text = NULL;
        long text_len = BIO_get_mem_data(bio, &text);
        copy = malloc((size_t)text_len + 1);
        if (copy != NULL) {
            memcpy(copy, text, (size_t)text_len);
            copy[text_len] = '\0';
        }
        *len = (size_t)text_len;
    }
    BIO_free(bio);
    return copy;
}

bool certificate_is_valid_at(const struct certificate *certificate, time_t now)
{
    return certificate->facts.not_before <= now && now <= certificate->facts.not_after;
}

bool certificate_covers(const struct certificate *certificate, const char *name)
{
    unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    bool covers = X509_check_ip_asc(certificate->leaf, name, flags) == 1 ||
                  X509_check_host(certificate->leaf, name, strlen(name), flags, NULL) == 1;
    ERR_clear_error();
    return covers;
}

bool certificate_fits_key(const struct certificate *certificate, EVP_PKEY *key)
{
    bool fits = EVP_PKEY_eq(X509_get0_pubkey(certificate->leaf), key) == 1;
    ERR_clear_error();
    return fits;
}
