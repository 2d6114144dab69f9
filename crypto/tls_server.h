/* crypto/tls_server.h
 *
 * How one listener speaks TLS: its certificates by server name (crypto/cert_store.h), the client
 * certificates that it wants, ALPN, tickets, stapled OCSP responses.
 *
 * Owner: the relay; it must outlive every SSL made from it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "crypto/error.h"
#include "crypto/tls_policy.h"

struct tls_server;
struct tickets;

/* One chain and its key; several may serve the same names (RSA and ECDSA). */
struct tls_server_certificate {
    X509 *const *chain; /* leaf first; references are taken */
    size_t chain_count;
    EVP_PKEY *key;   /* may be the keyholder's; a reference is taken */
    size_t identity; /* the caller's own number, for tls_server_staple */
};

enum tls_client_auth { TLS_CLIENT_AUTH_NONE, TLS_CLIENT_AUTH_OPTIONAL, TLS_CLIENT_AUTH_REQUIRED };

struct tls_server_settings {
    const struct tls_policy *policy;
    const struct tls_server_certificate *certificates; /* the first is for unknown names */
    size_t certificate_count;
    const char *name;          /* of the listener: sessions of another one are not resumed */
    const char *client_ca_pem; /* NULL: none */
    size_t client_ca_pem_len;
    const char *client_crl_pem; /* NULL: none */
    size_t client_crl_pem_len;
    enum tls_client_auth client_auth;
    const char *const *alpn; /* preferred first */
    size_t alpn_count;
    struct tickets *tickets; /* NULL: no session tickets; borrowed */
};

/* NULL with a sentence. */
struct tls_server *tls_server_new(const struct tls_server_settings *settings,
                                  struct crypto_error *error);
void tls_server_free(struct tls_server *server);

/* A server-side SSL for a new conn. NULL: no memory. */
SSL *tls_server_ssl_new(struct tls_server *server);

/* Staples this DER response (copied; none: len 0) with every certificate of that identity. A
 * response is never sent after its nextUpdate. */
void tls_server_staple(struct tls_server *server, size_t identity, const unsigned char *der,
                       size_t len);
