/* crypto/agreement_key.h
 *
 * An X25519 key of the agreement provider: our share of a handshake, or the peer's. The table is
 * OpenSSL's "key management" for it, of which libssl uses: make one (with a private half, or only
 * the kind), read its public half, write the peer's.
 *
 * Its private half is used once, and wiped then (agreement_exchange.c).
 *
 * Owner: OpenSSL (it lives in an EVP_PKEY).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/core.h>
#include <stdbool.h>

#include "crypto/x25519.h"

struct agreements;

/* OpenSSL's provider context. */
struct agreement_room {
    struct agreements *agreements; /* NULL: gone; nothing is made any more */
};

struct agreement_key {
    struct agreement_room *room;
    struct x25519_share share;
    bool has_scalar;
    bool has_point;
};

extern const OSSL_DISPATCH AGREEMENT_KEY[];
