/* crypto/tls_server.h
 *
 * The server side of TLS of one listener: which certificate for which name, which clients.
 *
 * Owner: the listener. SSL objects made here keep what they need alive; `tickets` must outlive
 * them all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/tls_policy.h"

struct cert_store;
struct crypto_error;
struct tickets;
struct tls_server;
struct trust;

enum tls_client_auth { TLS_CLIENT_AUTH_NONE, TLS_CLIENT_AUTH_OPTIONAL, TLS_CLIENT_AUTH_REQUIRED };

enum { TLS_ALPN_BYTES_MAX = 255 };

/* Borrowed for the call; the store and the trust are shared. */
struct tls_server_settings {
    const char *name; /* of the listener: a session is resumed on the listener that it began on */
    struct tls_policy policy;
    struct cert_store *certificates; /* not empty */
    struct tickets *tickets;         /* NULL: sessions are not resumed */
    bool single_use_tickets;         /* of TLS 1.3: each resumes one session (tickets_spend) */
    uint64_t session_seconds; /* until a session must begin anew; 0: as the ticket keys last */
    const char *const *alpn;  /* protocol ids, preferred first; a client that offers ALPN
                                 without any of them is refused (RFC 7301 §3.2) */
    size_t alpn_count;
    enum tls_client_auth client_auth;
    struct trust *clients;     /* whose certificates we accept; NULL with TLS_CLIENT_AUTH_NONE */
    bool refuse_unknown_names; /* alert unrecognized_name for a name that no certificate is for;
                                  clients that name none get the default */
};

/* NULL with a sentence in `error`. */
struct tls_server *tls_server_new(const struct tls_server_settings *settings,
                                  struct crypto_error *error);
void tls_server_free(struct tls_server *server);

/* Whether a conn that one has let in would have been let in by the other as well: the same
 * listener, policy, authorities and revocation lists. */
bool tls_server_asks_the_same(const struct tls_server *left, const struct tls_server *right);

/* A fresh SSL, in accept state; the caller owns it. NULL: out of memory. */
SSL *tls_server_ssl_new(struct tls_server *server);
