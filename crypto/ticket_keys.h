/* crypto/ticket_keys.h
 *
 * The keys that seal the session tickets of one epoch, and how they follow from the ticket secret.
 *
 * Why it exists: libssl needs ticket keys inside the worker. The worker gets the keys of a few
 * epochs; the secret that all of them follow from stays in the keyholder.
 *
 * Keys of epoch e = HKDF-SHA256 (RFC 5869) of the ticket secret, with the epoch's number and length
 * in its info. Whoever has the same secret (another worker, another node) has the same keys in the
 * same epoch, without a word exchanged.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct secret;

enum {
    TICKET_NAME_BYTES = 16,
    TICKET_AES_BYTES = 32,
    TICKET_HMAC_BYTES = 32,
    TICKET_SECRET_BYTES_MIN = 32,
    TICKET_EPOCH_SECONDS_DEFAULT = 12 * 3600,
};

struct ticket_keys {
    uint64_t epoch; /* seconds since 1970 divided by the epoch's length */
    uint8_t name[TICKET_NAME_BYTES];
    uint8_t aes[TICKET_AES_BYTES];
    uint8_t hmac[TICKET_HMAC_BYTES];
};

uint64_t ticket_epoch(uint64_t unix_seconds, uint32_t epoch_seconds);

/* False when the secret is shorter than TICKET_SECRET_BYTES_MIN or OpenSSL fails; `out` is then
 * wiped. */
bool ticket_keys_derive(struct ticket_keys *out, const struct secret *secret, uint64_t epoch,
                        uint32_t epoch_seconds) __attribute__((warn_unused_result));

void ticket_keys_wipe(struct ticket_keys *keys);
