/* crypto/tls_identity.h
 *
 * Giving identities to OpenSSL: one for each kind of key, and OpenSSL picks by what the peer can
 * verify. Shared by both sides of TLS.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

#include "crypto/cert_store.h"

struct crypto_error;

bool tls_identity_load(SSL_CTX *ctx, const struct cert_choice *choice, struct crypto_error *error);

/* In place of what the SSL has. False: OpenSSL does not take it. */
bool tls_identity_replace(SSL *ssl, const struct cert_choice *choice);

bool tls_identity_is_same(const struct cert_choice *a, const struct cert_choice *b);

/* Protocol ids as they stand in the ALPN extension (RFC 7301 §3.1): each behind its length. */
struct alpn_list {
    unsigned char wire[256];
    unsigned len;
};

/* False with a sentence: an id that is empty or too long, or too many. */
bool alpn_list_init(struct alpn_list *list, const char *const *ids, size_t count,
                    struct crypto_error *error);
