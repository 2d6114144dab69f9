/* tests/unit/crypto/tls_rig.h
 *
 * What the tests of certificates and TLS share: authorities and certificates made on the spot, in
 * any state of decay, and handshakes over memory between two SSL objects.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/cert_store.h"
#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/identity.h"
#include "crypto/tls_client.h"
#include "crypto/tls_facts.h"
#include "crypto/tls_server.h"
#include "crypto/trust.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { RIG_DAY = 24 * 3600, RIG_STEPS_MAX = 100 };

/* ---- keys and certificates ---- */

static inline EVP_PKEY *rig_rsa_new(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    assert_non_null(key);
    return key;
}

static inline EVP_PKEY *rig_ec_new(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(key);
    return key;
}

struct rig_wish {
    const char *common_name;
    const char *names; /* "DNS:a.example,IP:127.0.0.1"; NULL: none */
    bool is_ca;
    int from_days; /* 0: a day ago */
    int to_days;   /* 0: in thirty days */
    const char *ocsp_url;
    long serial;
    const char *tls_feature; /* "status_request"; NULL: none */
};

static inline void rig_extend(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX scope;
    X509V3_set_ctx(&scope, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &scope, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* Self-signed when `issuer` is NULL. */
static inline X509 *rig_issue(const struct rig_wish *wish, EVP_PKEY *key, X509 *issuer,
                              EVP_PKEY *issuer_key)
{
    static long serial = 1000;
    X509 *certificate = X509_new();
    assert_int_equal(X509_set_version(certificate, 2), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate),
                     wish->serial != 0 ? wish->serial : serial++);
    int from = wish->from_days != 0 ? wish->from_days : -1;
    int to = wish->to_days != 0 ? wish->to_days : 30;
    X509_time_adj_ex(X509_getm_notBefore(certificate), from, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(certificate), to, 0, NULL);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)wish->common_name, -1,
                               -1, 0);
    X509 *signer = issuer != NULL ? issuer : certificate;
    X509_set_issuer_name(certificate, X509_get_subject_name(signer));
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    rig_extend(certificate, signer, NID_basic_constraints, wish->is_ca ? "CA:TRUE" : "CA:FALSE");
    rig_extend(certificate, signer, NID_subject_key_identifier, "hash");
    if (wish->names != NULL) {
        rig_extend(certificate, signer, NID_subject_alt_name, wish->names);
    }
    if (wish->ocsp_url != NULL) {
        rig_extend(certificate, signer, NID_info_access, wish->ocsp_url);
    }
    if (wish->tls_feature != NULL) {
        rig_extend(certificate, signer, NID_tlsfeature, wish->tls_feature);
    }
    EVP_PKEY *signing = issuer != NULL ? issuer_key : key;
    assert_true(X509_sign(certificate, signing, EVP_sha256()) > 0);
    return certificate;
}

/* PEM of any of these; malloc'ed text with a NUL. */
struct rig_pem {
    BIO *bio;
};

static inline struct rig_pem rig_pem_new(void)
{
    return (struct rig_pem){BIO_new(BIO_s_mem())};
}

static inline void rig_pem_add(struct rig_pem *pem, X509 *certificate)
{
    assert_int_equal(PEM_write_bio_X509(pem->bio, certificate), 1);
}

static inline struct bytes rig_pem_bytes(const struct rig_pem *pem)
{
    char *text = NULL;
    long len = BIO_get_mem_data(pem->bio, &text);
    return (struct bytes){(const uint8_t *)text, (size_t)len};
}

static inline void rig_pem_free(struct rig_pem *pem)
{
    BIO_free(pem->bio);
}

/* An authority with a key of each kind to certify; made once a program. */
struct rig_authority {
    EVP_PKEY *key;
    X509 *certificate;
    struct trust *trust;
};

static inline struct trust *rig_trust_with(X509 *certificate, struct bytes revoked)
{
    struct crypto_error error = {{0}};
    struct rig_pem pem = rig_pem_new();
    rig_pem_add(&pem, certificate);
    struct trust *trust = trust_read(rig_pem_bytes(&pem), revoked, &error);
    if (trust == NULL) {
        fail_msg("%s", error.text);
    }
    rig_pem_free(&pem);
    return trust;
}

static inline void rig_authority_init(struct rig_authority *authority, const char *name)
{
    struct rig_wish wish = {.common_name = name, .is_ca = true};
    authority->key = rig_ec_new();
    authority->certificate = rig_issue(&wish, authority->key, NULL, NULL);
    authority->trust = rig_trust_with(authority->certificate, (struct bytes){0});
}

static inline void rig_authority_fini(struct rig_authority *authority)
{
    trust_unref(authority->trust);
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

static inline struct certificate *rig_certificate(X509 *leaf, X509 *issuer)
{
    struct crypto_error error = {{0}};
    struct rig_pem pem = rig_pem_new();
    rig_pem_add(&pem, leaf);
    if (issuer != NULL) {
        rig_pem_add(&pem, issuer);
    }
    struct certificate *certificate = certificate_read(rig_pem_bytes(&pem), NULL, &error);
    if (certificate == NULL) {
        fail_msg("%s", error.text);
    }
    rig_pem_free(&pem);
    return certificate;
}

static inline struct identity *rig_identity_new(const struct rig_authority *authority,
                                                const struct rig_wish *wish, EVP_PKEY *key)
{
    struct crypto_error error = {{0}};
    X509 *leaf = rig_issue(wish, key, authority->certificate, authority->key);
    struct certificate *certificate = rig_certificate(leaf, authority->certificate);
    struct identity *identity = identity_new(certificate, key, &error);
    if (identity == NULL) {
        fail_msg("%s", error.text);
    }
    certificate_unref(certificate);
    X509_free(leaf);
    return identity;
}

/* Gives the identity away to the store. */
static inline void rig_store_take(struct cert_store *store, struct identity *identity)
{
    assert_true(cert_store_add(store, identity));
    identity_unref(identity);
}

/* ---- handshakes ---- */

struct rig_sides {
    SSL *server;
    SSL *client;
    bool server_done;
    bool client_done;
    bool server_failed;
    bool client_failed;
    const char *server_reason;
    const char *client_reason;
};

/* Takes both. */
static inline void rig_sides_init(struct rig_sides *sides, SSL *server, SSL *client)
{
    *sides = (struct rig_sides){
        .server = server, .client = client, .server_reason = "", .client_reason = ""};
    assert_non_null(server);
    assert_non_null(client);
    BIO *server_end = NULL;
    BIO *client_end = NULL;
    assert_int_equal(BIO_new_bio_pair(&server_end, 1 << 17, &client_end, 1 << 17), 1);
    SSL_set_bio(server, server_end, server_end);
    SSL_set_bio(client, client_end, client_end);
}

static inline void rig_sides_fini(struct rig_sides *sides)
{
    SSL_free(sides->server);
    SSL_free(sides->client);
}

static inline void rig_step(SSL *ssl, bool *done, bool *failed, const char **reason)
{
    if (*failed) {
        return;
    }
    char byte;
    ERR_clear_error();
    int result = *done ? SSL_read(ssl, &byte, 1) : SSL_do_handshake(ssl);
    int error = SSL_get_error(ssl, result);
    if (!*done && result == 1) {
        *done = true;
    } else if (result <= 0 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        *failed = true;
        *reason = tls_failure_reason(ssl);
    }
    ERR_clear_error();
}

/* Until both are done or one failed; then the alert or the ticket is read too. True: both are. */
static inline bool rig_handshake(struct rig_sides *sides)
{
    for (int i = 0; i < RIG_STEPS_MAX; i++) {
        rig_step(sides->client, &sides->client_done, &sides->client_failed, &sides->client_reason);
        rig_step(sides->server, &sides->server_done, &sides->server_failed, &sides->server_reason);
        bool both_done = sides->server_done && sides->client_done;
        if ((both_done && i > 4) || (sides->server_failed && sides->client_failed)) {
            break;
        }
    }
    return sides->server_done && sides->client_done && !sides->server_failed &&
           !sides->client_failed;
}

/* ---- the usual ends ---- */

static inline struct tls_server *rig_tls_server(const struct tls_server_settings *settings)
{
    struct crypto_error error = {{0}};
    struct tls_server *server = tls_server_new(settings, &error);
    if (server == NULL) {
        fail_msg("%s", error.text);
    }
    return server;
}

static inline struct tls_client *rig_tls_client(const struct tls_client_settings *settings)
{
    struct crypto_error error = {{0}};
    struct tls_client *client = tls_client_new(settings, &error);
    if (client == NULL) {
        fail_msg("%s", error.text);
    }
    return client;
}

/* A client that is not ours and takes everything, for what ours would not say or accept. */
static inline SSL_CTX *rig_lax_client(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, 0);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    return ctx;
}

static inline SSL *rig_lax_ssl(SSL_CTX *ctx, const char *name)
{
    SSL *ssl = SSL_new(ctx);
    assert_non_null(ssl);
    SSL_set_connect_state(ssl);
    if (name != NULL) {
        SSL_set_tlsext_host_name(ssl, name);
    }
    return ssl;
}
