/* crypto/x25519_batch.h
 *
 * X25519 (RFC 7748) as bare arithmetic on several keys in one call: eight then take less time than
 * one by OpenSSL. Nothing is judged here (agreements.h says what is left to OpenSSL).
 *
 * Why it exists: it depends on the machine and on a library that not every system has. The build
 * chooses the file: x25519_batch_mb.c with libcrypto-mb, x25519_batch_none.c without; the machine
 * decides when the process starts.
 *
 * A *lane* is the place of one computation in such a call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/x25519.h"

enum { X25519_BATCH_LANES = 8 };

/* Each is X25519_BYTES long. */
struct x25519_lane {
    const uint8_t *scalar;
    const uint8_t *point; /* not looked at by x25519_batch_base */
    uint8_t *out;
    bool is_computed; /* result; false: the library refused, and `out` does not count */
};

/* Whether this build and this machine can. The others are not to be called where they cannot. */
bool x25519_batch_is_there(void);

/* Multiplies the base point: public keys from private ones. 1 to X25519_BATCH_LANES lanes. */
void x25519_batch_base(struct x25519_lane *lanes, size_t count);

/* Multiplies each lane's point: shared secrets. */
void x25519_batch_points(struct x25519_lane *lanes, size_t count);
