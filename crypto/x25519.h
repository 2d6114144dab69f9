/* crypto/x25519.h
 *
 * X25519 (RFC 7748) by OpenSSL on bare bytes, one at a time. Always OpenSSL's own, whatever
 * providers are loaded.
 *
 * Owner: agreements.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { X25519_BYTES = 32 };

/* A private key and its public half. */
struct x25519_share {
    uint8_t scalar[X25519_BYTES];
    uint8_t point[X25519_BYTES];
};

/* What OpenSSL needs, looked up once. */
struct x25519;

/* NULL: this OpenSSL has no X25519, or no memory. */
struct x25519 *x25519_new(void);
/* NULL is fine. */
void x25519_free(struct x25519 *openssl);

/* A fresh random one. False: no randomness or no memory; nothing is in `share` then. */
bool x25519_make_share(struct x25519 *openssl, struct x25519_share *share)
    __attribute__((warn_unused_result));

/* The public half of share->scalar. */
bool x25519_complete_share(struct x25519 *openssl, struct x25519_share *share)
    __attribute__((warn_unused_result));

/* The secret that `share` and the peer's point have in common. False: none, since the result would
 * be all zero whatever our scalar is (RFC 8446 §7.4.2), or no memory. Leaves OpenSSL's queue of
 * errors as it was. */
bool x25519_agree(struct x25519 *openssl, const struct x25519_share *share,
                  const uint8_t peer[X25519_BYTES], uint8_t secret[X25519_BYTES])
    __attribute__((warn_unused_result));
