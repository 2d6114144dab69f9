/* crypto/tls_facts.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_facts.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/x509_text.h"

struct word {
    long number;
    const char *word;
};

enum {
    OF_OWN_CODE = 0, /* numbers from 1 on mean something, 0 ends a table */
    CLIENT_CERT_DER_MAX = 64 * 1024,
};

static const struct word VERIFY_WORDS[] = {
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "unknown_ca"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "unknown_ca"},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "unknown_ca"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "unknown_ca"},
    {X509_V_ERR_CERT_UNTRUSTED, "unknown_ca"},
    {X509_V_ERR_CERT_REJECTED, "unknown_ca"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self_signed"},
    {X509_V_ERR_CERT_HAS_EXPIRED, "expired"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "not_yet_valid"},
    {X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, "bad_certificate"},
    {X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, "bad_certificate"},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, "bad_signature"},
    {X509_V_ERR_CERT_REVOKED, "revoked"},
    {X509_V_ERR_UNABLE_TO_GET_CRL, "crl_missing"},
    {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, "crl_missing"},
    {X509_V_ERR_CRL_HAS_EXPIRED, "crl_expired"},
    {X509_V_ERR_CRL_NOT_YET_VALID, "crl_not_yet_valid"},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, "crl_bad"},
    {X509_V_ERR_DIFFERENT_CRL_SCOPE, "crl_missing"},
    {X509_V_ERR_HOSTNAME_MISMATCH, "name_mismatch"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "name_mismatch"},
    {X509_V_ERR_APPLICATION_VERIFICATION, "pin_mismatch"},
    {X509_V_ERR_EE_KEY_TOO_SMALL, "weak_key"},
    {X509_V_ERR_CA_KEY_TOO_SMALL, "weak_key"},
    {X509_V_ERR_CA_MD_TOO_WEAK, "weak_signature"},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, "chain_too_long"},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, "chain_too_long"},
    {X509_V_ERR_INVALID_CA, "not_a_ca"},
    {X509_V_ERR_INVALID_PURPOSE, "wrong_purpose"},
    {X509_V_ERR_PERMITTED_VIOLATION, "name_constraint"},
    {X509_V_ERR_EXCLUDED_VIOLATION, "name_constraint"},
    {X509_V_ERR_OUT_OF_MEM, "no_memory"},
    {OF_OWN_CODE, NULL},
};

static const struct word ALERT_WORDS[] = {
    {SSL_AD_UNEXPECTED_MESSAGE, "alert_unexpected_message"},
    {SSL_AD_BAD_RECORD_MAC, "alert_bad_record_mac"},
    {SSL_AD_RECORD_OVERFLOW, "alert_record_overflow"},
    {SSL_AD_HANDSHAKE_FAILURE, "alert_handshake_failure"},
    {SSL_AD_BAD_CERTIFICATE, "alert_bad_certificate"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "alert_unsupported_certificate"},
    {SSL_AD_CERTIFICATE_REVOKED, "alert_certificate_revoked"},
    {SSL_AD_CERTIFICATE_EXPIRED, "alert_certificate_expired"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "alert_certificate_unknown"},
    {SSL_AD_ILLEGAL_PARAMETER, "alert_illegal_parameter"},
    {SSL_AD_UNKNOWN_CA, "alert_unknown_ca"},
    {SSL_AD_ACCESS_DENIED, "alert_access_denied"},
    {SSL_AD_DECODE_ERROR, "alert_decode_error"},
    {SSL_AD_DECRYPT_ERROR, "alert_decrypt_error"},
    {SSL_AD_PROTOCOL_VERSION, "alert_protocol_version"},
    {SSL_AD_INSUFFICIENT_SECURITY, "alert_insufficient_security"},
    {SSL_AD_INTERNAL_ERROR, "alert_internal_error"},
    {SSL_AD_INAPPROPRIATE_FALLBACK, "alert_inappropriate_fallback"},
    {SSL_AD_USER_CANCELLED, "alert_user_canceled"},
    {SSL_AD_MISSING_EXTENSION, "alert_missing_extension"},
    {SSL_AD_UNSUPPORTED_EXTENSION, "alert_unsupported_extension"},
    {SSL_AD_UNRECOGNIZED_NAME, "alert_unrecognized_name"},
    {SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE, "alert_bad_certificate_status"},
    {SSL_AD_CERTIFICATE_REQUIRED, "alert_certificate_required"},
    {SSL_AD_NO_APPLICATION_PROTOCOL, "alert_no_application_protocol"},
    {OF_OWN_CODE, NULL},
};

/* Reasons of libssl's own. */
static const struct word SSL_WORDS[] = {
    {SSL_R_HTTP_REQUEST, "http_request"},
    {SSL_R_HTTPS_PROXY_REQUEST, "http_request"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "unsupported_version"},
    {SSL_R_UNKNOWN_PROTOCOL, "unsupported_version"},
    {SSL_R_VERSION_TOO_LOW, "unsupported_version"},
    {SSL_R_WRONG_SSL_VERSION, "unsupported_version"},
    {SSL_R_WRONG_VERSION_NUMBER, "not_tls"},
    {SSL_R_BAD_PROTOCOL_VERSION_NUMBER, "unsupported_version"},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, "unsupported_version"},
    {SSL_R_INAPPROPRIATE_FALLBACK, "inappropriate_fallback"},
    {SSL_R_NO_SHARED_CIPHER, "no_shared_suite"},
    {SSL_R_NO_CIPHERS_AVAILABLE, "no_shared_suite"},
    {SSL_R_NO_SHARED_GROUPS, "no_shared_group"},
    {SSL_R_NO_SUITABLE_GROUPS, "no_shared_group"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no_shared_group"},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no_shared_signature"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no_shared_signature"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "no_shared_alpn"},
    {SSL_R_NO_CERTIFICATE_SET, "no_certificate"},
    {SSL_R_CALLBACK_FAILED, "unknown_name"},
    {SSL_R_CERT_CB_ERROR, "internal"},
    {SSL_R_CLIENTHELLO_TLSEXT, "unknown_name"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "no_client_certificate"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, "closed"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "bad_record"},
    {SSL_R_BAD_RECORD_TYPE, "bad_record"},
    {SSL_R_DATA_LENGTH_TOO_LONG, "bad_record"},
    {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, "bad_record"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, "bad_record"},
    {SSL_R_UNEXPECTED_MESSAGE, "unexpected_message"},
    {SSL_R_UNEXPECTED_RECORD, "unexpected_message"},
    {SSL_R_NO_RENEGOTIATION, "renegotiation"},
    {SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, "renegotiation"},
    {SSL_R_LENGTH_MISMATCH, "malformed"},
    {SSL_R_LENGTH_TOO_SHORT, "malformed"},
    {SSL_R_LENGTH_TOO_LONG, "malformed"},
    {SSL_R_BAD_LENGTH, "malformed"},
    {SSL_R_BAD_KEY_SHARE, "malformed"},
    {SSL_R_DIGEST_CHECK_FAILED, "malformed"},
    {SSL_R_BAD_CHANGE_CIPHER_SPEC, "unexpected_message"},
    {SSL_R_TOO_MANY_WARN_ALERTS, "unexpected_message"},
    {SSL_R_TOO_MANY_KEY_UPDATES, "unexpected_message"},
    {SSL_R_BAD_EXTENSION, "malformed"},
    {SSL_R_EXCESSIVE_MESSAGE_SIZE, "malformed"},
    {SSL_R_EE_KEY_TOO_SMALL, "weak_key"},
    {SSL_R_DH_KEY_TOO_SMALL, "weak_key"},
    {SSL_R_WRONG_SIGNATURE_TYPE, "bad_signature"},
    {SSL_R_BAD_SIGNATURE, "bad_signature"},
    {SSL_R_WRONG_CERTIFICATE_TYPE, "bad_certificate"},
    {ERR_R_MALLOC_FAILURE, "no_memory"},
    {ERR_R_EVP_LIB, "crypto"}, /* on the server's side most likely: no signature was made */
    {ERR_R_INTERNAL_ERROR, "internal"},
    {OF_OWN_CODE, NULL},
};

static const char *find_word(const struct word *words, long number)
{
    for (const struct word *word = words; word->word != NULL; word++) {
        if (word->number == number) {
            return word->word;
        }
    }
    return NULL;
}

const char *tls_verify_reason(long result)
{
    if (result == X509_V_OK) {
        return "verified";
    }
    const char *word = find_word(VERIFY_WORDS, result);
    return word != NULL ? word : "unverified";
}

const char *tls_alert_reason(int alert)
{
    if (alert == SSL_AD_CLOSE_NOTIFY) {
        return "closed";
    }
    const char *word = find_word(ALERT_WORDS, alert);
    return word != NULL ? word : "alert";
}

static const char *reason_of(unsigned long code, const SSL *ssl)
{
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
        return NULL;
    }
    int reason = ERR_GET_REASON(code);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        return tls_verify_reason(SSL_get_verify_result(ssl));
    }
    if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + UINT8_MAX) {
        return tls_alert_reason(reason - SSL_AD_REASON_OFFSET);
    }
    return find_word(SSL_WORDS, reason);
}

const char *tls_failure_reason(const SSL *ssl)
{
    unsigned long last = ERR_peek_last_error();
    if (last == 0) {
        return "closed";
    }
    /* The last entry is what libssl made of it, the first what it began with. */
    const char *word = reason_of(last, ssl);
    if (word == NULL) {
        word = reason_of(ERR_peek_error(), ssl);
    }
    return word != NULL ? word : "handshake";
}

/* ---- facts ---- */

struct group_name {
    const char *openssl;
    const char *name;
};

/* OpenSSL's versions and layers spell some of them differently. */
static const struct group_name GROUP_NAMES[] = {
    {"x25519", "X25519"},     {"x448", "X448"},       {"prime256v1", "P-256"},
    {"secp256r1", "P-256"},   {"secp384r1", "P-384"}, {"secp521r1", "P-521"},
    {"X25519MLKEM768", NULL},
};

static void read_group(struct tls_facts *facts, SSL *ssl)
{
    int id = (int)SSL_get_negotiated_group(ssl);
    const char *name = id != 0 ? SSL_group_to_name(ssl, id) : NULL;
    if (name == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof(GROUP_NAMES) / sizeof(GROUP_NAMES[0]); i++) {
        if (GROUP_NAMES[i].name != NULL && strcasecmp(name, GROUP_NAMES[i].openssl) == 0) {
            name = GROUP_NAMES[i].name;
            break;
        }
    }
    (void)snprintf(facts->group, sizeof(facts->group), "%s", name);
    facts->is_post_quantum = strstr(name, "MLKEM") != NULL;
}

static void read_alpn(struct tls_facts *facts, const SSL *ssl)
{
    const unsigned char *at = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &at, &len);
    if (len > 0 && len < sizeof(facts->alpn)) {
        memcpy(facts->alpn, at, len);
        facts->alpn[len] = '\0';
    }
}

static void read_server_name(struct tls_facts *facts, const SSL *ssl)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == NULL) {
        return;
    }
    size_t len = 0;
    for (; name[len] != '\0' && len + 1 < sizeof(facts->server_name); len++) {
        facts->server_name[len] = (char)tolower((unsigned char)name[len]);
    }
    facts->server_name[len] = '\0';
}

static void read_peer(struct tls_facts *facts, const SSL *ssl)
{
    X509 *peer = SSL_get0_peer_certificate(ssl);
    if (peer == NULL) {
        return;
    }
    facts->has_peer_certificate = true;
    facts->is_peer_verified = SSL_get_verify_result(ssl) == X509_V_OK;
    x509_name_text(X509_get_subject_name(peer), facts->peer_subject, sizeof(facts->peer_subject));
    x509_sha256_text(peer, facts->peer_sha256);
    EVP_PKEY *key = X509_get0_pubkey(peer);
    const char *kind = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;
    (void)snprintf(facts->peer_key, sizeof(facts->peer_key), "%s %d", kind != NULL ? kind : "?",
                   key != NULL ? EVP_PKEY_get_bits(key) : 0);
    facts->peer_not_after = x509_time(X509_get0_notAfter(peer));
}

void tls_facts_read(struct tls_facts *facts, SSL *ssl)
{
    *facts = (struct tls_facts){.version = SSL_get_version(ssl), .suite = ""};
    const SSL_CIPHER *suite = SSL_get_current_cipher(ssl);
    if (suite != NULL) {
        facts->suite = SSL_CIPHER_get_name(suite);
    }
    facts->is_resumed = SSL_session_reused(ssl) == 1;
    read_group(facts, ssl);
    read_alpn(facts, ssl);
    read_server_name(facts, ssl);
    read_peer(facts, ssl);
}

char *tls_client_cert_value(SSL *ssl, size_t *len)
{
    X509 *peer = SSL_get0_peer_certificate(ssl);
    if (peer == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
        return NULL;
    }
    unsigned char *der = NULL;
    int der_len = i2d_X509(peer, &der);
    char *value = NULL;
    if (der_len > 0 && der_len <= CLIENT_CERT_DER_MAX) {
        value = malloc((size_t)(der_len + 2) / 3 * 4 + 3);
    }
    if (value != NULL) {
        value[0] = ':';
        size_t text_len = (size_t)EVP_EncodeBlock((unsigned char *)value + 1, der, der_len);
        value[text_len + 1] = ':';
        value[text_len + 2] = '\0';
        *len = text_len + 2;
    }
    OPENSSL_free(der);
    return value;
}
