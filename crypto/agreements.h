/* crypto/agreements.h
 *
 * The X25519 key agreements of this process's TLS handshakes, several computed in one call. A
 * handshake that needs one is parked (parked_job.h) until the loop's turn has run all its events;
 * then all that wait are computed in batches of up to eight. One that waits alone is computed by
 * OpenSSL, and so is what the library must not be given. Nobody waits for company: there is no
 * timer.
 *
 * Why it exists: the private keys are ephemeral, so they need not be kept apart; but at eight at a
 * time an agreement takes a sixth of the time.
 *
 * Owner: the worker. It must outlive its provider (agreement_provider.h) and every handshake.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/x25519.h"

struct agreements;

/* Called when the first one begins to wait, from inside its job, which has little stack: only to
 * see to it that agreements_flush is called in this turn. */
struct agreements_events {
    void (*on_waiting)(void *self);
    void *self;
};

/* `events` may be NULL. NULL: this build or machine has no batches, they compute wrongly
 * (x25519_check.h), or no memory; OpenSSL then does without us. */
struct agreements *agreements_new(const struct agreements_events *events);
/* Nobody may wait any more. NULL is fine. */
void agreements_free(struct agreements *agreements);

/* How many are computed in one call; 0 for NULL. */
unsigned agreements_lanes(const struct agreements *agreements);
/* Handshakes parked here. */
size_t agreements_waiting(const struct agreements *agreements);

/* When a turn has run its events: computes what waits and wakes. */
void agreements_flush(struct agreements *agreements);

/* At the end of a turn: makes key shares for the next one. */
void agreements_refill(struct agreements *agreements);

/* For the provider. A key share that nobody had before; false: no randomness or no memory. */
bool agreements_make_share(struct agreements *agreements, struct x25519_share *share)
    __attribute__((warn_unused_result));

/* For the provider. Pauses the current job, or computes at once when there is none. `share` and
 * `peer` are borrowed until it returns; a share is for one agreement. False: no secret (see
 * x25519_agree). */
bool agreements_agree(struct agreements *agreements, const struct x25519_share *share,
                      const uint8_t peer[X25519_BYTES], uint8_t secret[X25519_BYTES])
    __attribute__((warn_unused_result));
