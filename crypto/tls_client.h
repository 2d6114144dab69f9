/* crypto/tls_client.h
 *
 * How we speak TLS to the servers of a backend: which authorities we believe, which name we
 * expect, which key is pinned, which certificate we show. Verification is on; it is off only when
 * told so, which enforcement judges.
 *
 * Everything comes as bytes: workers have no file system.
 *
 * Owner: the relay; it must outlive every SSL made from it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/error.h"
#include "crypto/tls_policy.h"

struct tls_client;

struct tls_client_settings {
    const struct tls_policy *policy;
    bool verifies;      /* chain and name */
    const char *ca_pem; /* bundle; NULL: the system's authorities */
    size_t ca_pem_len;
    const char *crl_pem; /* NULL: none; when given, the whole chain is checked against it */
    size_t crl_pem_len;
    const uint8_t (
        *pins)[32]; /* SHA-256 of SubjectPublicKeyInfo; one must match when there are any;
                       chain and name are checked as well, unless `verifies` is off */
    size_t pin_count;
    X509 *const *chain; /* ours, leaf first; NULL: we show none. References are taken. */
    size_t chain_count;
    EVP_PKEY *key;           /* of chain[0]; may be the keyholder's. A reference is taken. */
    const char *const *alpn; /* protocols that we offer; none: no ALPN */
    size_t alpn_count;
};

/* NULL with a sentence. */
struct tls_client *tls_client_new(const struct tls_client_settings *settings,
                                  struct crypto_error *error);
void tls_client_free(struct tls_client *client);

/* A client-side SSL that will verify `name` (a DNS name, also sent as SNI, or an IP address, not
 * sent), and resumes the last session that a server of that name gave. NULL: no memory. */
SSL *tls_client_ssl_new(struct tls_client *client, const char *name);
