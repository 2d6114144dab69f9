/* proxy/process/worker_keys.h
 *
 * What the handshakes of a worker wait for, on its loop. Its side of the keyholder: the channel
 * watched, requests flushed, tickets kept up to date, and a new channel asked for when the old one
 * ends. And key agreements, which are computed here, together, where there are batches.
 *
 * Owner: the worker's main. It outlives the relay.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "crypto/agreement_provider.h"
#include "crypto/agreements.h"
#include "crypto/error.h"
#include "crypto/key_client.h"
#include "crypto/key_provider.h"
#include "crypto/tickets.h"
#include "proxy/base/log.h"
#include "proxy/net/loop.h"

struct worker_keys;

/* Starts without a channel. `spent` is what tickets_spend asks; NULL: nothing. `on_detached` is
 * called when the channel has ended. NULL with a sentence. Loop and log are borrowed. */
struct worker_keys *worker_keys_new(struct loop *loop, struct log *log, struct spent_tickets *spent,
                                    void (*on_detached)(void *self), void *self,
                                    struct crypto_error *error);
/* NULL is fine. */
void worker_keys_free(struct worker_keys *keys);

/* Takes the descriptor: a channel to the (new) keyholder. */
void worker_keys_attach(struct worker_keys *keys, int descriptor);

/* At the end of each turn, and about once a second. */
void worker_keys_flush(struct worker_keys *keys);
void worker_keys_tick(struct worker_keys *keys);

/* How many key agreements are computed in one call; 0: one. */
unsigned worker_keys_agreement_lanes(const struct worker_keys *keys);

struct key_client *worker_keys_client(struct worker_keys *keys);
struct key_provider *worker_keys_provider(struct worker_keys *keys);
struct tickets *worker_keys_tickets(struct worker_keys *keys);
