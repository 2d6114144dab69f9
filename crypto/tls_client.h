/* crypto/tls_client.h
 *
 * The client side of TLS towards one server of a backend: whom to believe, what to show, and the
 * session to resume.
 *
 * The server's chain and name are verified, always, unless `skip_verification` says otherwise by
 * name. Pins come on top: with any, the key of the server's certificate must be one of them, also
 * when chain and name are not verified (a self-signed server is then held to its key).
 *
 * Owner: the server (one for each: the session is kept here). SSL objects made here keep what they
 * need alive.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/tls_policy.h"

struct crypto_error;
struct identity;
struct tls_client;
struct trust;

enum { TLS_PIN_BYTES = 32, TLS_PINS_MAX = 64, TLS_CLIENT_IDENTITIES_MAX = 16 };

/* Borrowed for the call; trust and identities are shared. */
struct tls_client_settings {
    struct tls_policy policy;
    struct trust *servers; /* NULL only with skip_verification */
    bool skip_verification;
    const uint8_t (*pins)[TLS_PIN_BYTES]; /* SHA-256 of SubjectPublicKeyInfo */
    size_t pin_count;
    struct identity *const *identities; /* ours, shown when the server asks; one for each kind of
                                           key, a valid one where several are */
    size_t identity_count;
    const char *const *alpn; /* offered, preferred first; none: no ALPN */
    size_t alpn_count;
};

/* NULL with a sentence in `error`. */
struct tls_client *tls_client_new(const struct tls_client_settings *settings,
                                  struct crypto_error *error);
void tls_client_free(struct tls_client *client);

/* A fresh SSL, in connect state; the caller owns it. `name`: host name or IP address (text) that
 * the certificate must be for; a host name is sent as SNI (RFC 6066 §3). It may be NULL only with
 * skip_verification. NULL: out of memory, or `name` is neither. */
SSL *tls_client_ssl_new(struct tls_client *client, const char *name);
