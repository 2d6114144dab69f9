/* crypto/tls_facts.h
 *
 * What a handshake agreed on, and why one failed, in words that logs, posture and headers can use.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    TLS_GROUP_TEXT = 32,
    TLS_ALPN_TEXT = 32,
    TLS_NAME_TEXT = 256,
    TLS_SUBJECT_TEXT = 256,
    TLS_SHA256_TEXT = 65,
};

/* Empty strings for what there is not. */
struct tls_facts {
    const char *version;        /* "TLSv1.2", "TLSv1.3"; valid for ever */
    const char *suite;          /* OpenSSL's name, "TLS_AES_256_GCM_SHA384"; valid for ever */
    char group[TLS_GROUP_TEXT]; /* "X25519", "P-256", "X25519MLKEM768" */
    char alpn[TLS_ALPN_TEXT];
    char server_name[TLS_NAME_TEXT]; /* SNI, lower case */
    bool is_resumed;
    bool is_post_quantum;
    bool has_peer_certificate;
    bool is_peer_verified;               /* a certificate was shown and its chain accepted */
    char peer_subject[TLS_SUBJECT_TEXT]; /* RFC 4514, escaped; cut when longer */
    char peer_sha256[TLS_SHA256_TEXT];   /* of the certificate, hexadecimal */
    char peer_key[16];                   /* "RSA 2048", "EC 256" */
    time_t peer_not_after;
};

/* For an SSL whose handshake is done. */
void tls_facts_read(struct tls_facts *facts, SSL *ssl);

/* The peer's certificate as a Client-Cert field value (RFC 9440 §2.2): base64 of the DER between
 * colons, malloc'ed and NUL-terminated. NULL: there is no verified certificate, or no memory. */
char *tls_client_cert_value(SSL *ssl, size_t *len);

/* Right after a call failed, before the error queue is emptied: why, as a stable word for logs and
 * metrics, such as "unknown_ca", "expired", "name_mismatch", "no_shared_suite", "http_request".
 * Valid for ever, never NULL. */
const char *tls_failure_reason(const SSL *ssl);

/* The word for a result of chain verification (X509_V_ERR_...). */
const char *tls_verify_reason(long result);

/* The word for an alert (RFC 8446 §6.2) that the peer sent, "alert_..." where nothing better is
 * known. */
const char *tls_alert_reason(int alert);
