/* crypto/tls_facts.h
 *
 * What a TLS handshake agreed on, for logs, for the backend and for the posture; and why one
 * failed, as one stable word.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum { TLS_FACTS_NAME_BYTES = 256 };

/* Texts without an owner are constants of OpenSSL's and live for ever. */
struct tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    const char *group;   /* "X25519", "X25519MLKEM768", "P-256"; "" when unknown */
    const char *alpn;    /* "http/1.1", "h2"; "" when none was agreed on */
    bool is_resumed;
    bool has_peer_certificate;              /* and it was verified */
    char server_name[TLS_FACTS_NAME_BYTES]; /* the client's SNI; "" when there was none */
};

/* For a finished handshake. */
void tls_facts_read(struct tls_facts *facts, const SSL *ssl);

/* The verified peer certificate: its subject in one line, and as RFC 9440 §2.1 wants it in
 * Client-Cert (":" base64 of the DER ":"). Each written into `out` if `room` allows, NUL-ended;
 * false: there is none, it was not verified, or the room is too small. */
bool tls_peer_subject(const SSL *ssl, char *out, size_t room);
bool tls_peer_client_cert(const SSL *ssl, char *out, size_t room);

/* Why the last operation on `ssl` failed, from the verify result and OpenSSL's error queue (which
 * is left as it is): "unknown_ca", "expired", "name_mismatch", "no_shared_cipher",
 * "http_request", "wrong_version", ... "tls_error" when nothing better is known. */
const char *tls_failure_reason(const SSL *ssl);
