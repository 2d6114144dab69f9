/* proxy/relay/relay.h
 *
 * The relay is what one worker does: it accepts conns on the listeners of a configuration, turns
 * them into exchanges, and carries those to the backends and back.
 *
 * Owner: the worker's main, which also owns the loop, the log and the key client lent to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/bundle.h"
#include "config/model.h"
#include "crypto/key_client.h"
#include "crypto/key_provider.h"
#include "crypto/tickets.h"
#include "proxy/base/log.h"
#include "proxy/base/status.h"
#include "proxy/net/loop.h"
#include "proxy/relay/counters.h"

struct relay;

/* The name in the bundle of the system's authorities, for backends whose CA is `system`. */
#define RELAY_SYSTEM_CA "system-ca"

/* One generation's beginning. Config, sockets and everything else are borrowed until on_gone; loop,
 * log, counters and keys are the same for all generations and outlive the relay. */
struct relay_start {
    struct loop *loop;
    const struct config *config;
    const struct bundle *bundle;       /* the files that the configuration names, without keys */
    struct key_client *key_client;     /* NULL: no listener or backend of ours needs a key */
    struct key_provider *key_provider; /* makes keys in name. NULL like key_client */
    uint32_t key_base;         /* of the ids of keys: a key's is this and its certificate's index */
    struct tickets *tickets;   /* kept up to date by the owner. NULL like key_client */
    struct log *log;           /* events */
    struct log *access_log;    /* one line an exchange; NULL: off */
    struct counters *counters; /* this worker's own slots in shared memory */
    const int *descriptors; /* listening sockets, all addresses of the first listener, then of the
                               next; then the same again, for as long as there are more */
    size_t descriptor_count;
    /* The generation is gone, its config not needed any more. Called from the loop, or from
     * relay_free. NULL: nobody wants to know. */
    void (*on_gone)(void *self, const struct config *config);
    void *self;
};

/* What went wrong at the start, in one sentence with its place; never a secret. */
/* Room for any two paths and words. */
struct relay_error {
    char text[3 * 4096 + 1024];
};

/* Opens all listeners. On failure nothing stays open and `error` says why. */
MUST_CHECK enum status relay_open(struct relay **out, const struct relay_start *start,
                                  struct relay_error *error);

/* Builds the next generation, all but accepting. REFUSED or NOMEM: nothing has changed, and `error`
 * says why. */
MUST_CHECK enum status relay_prepare(struct relay *relay, const struct relay_start *start,
                                     struct relay_error *error);

/* Puts it to work: it accepts, conns and tunnels go over to it, and what it has no place for
 * drains. Exchanges that run end in the generation in which they began. Without one prepared, no
 * effect. */
void relay_commit(struct relay *relay);

/* Forgets it. Without one prepared, no effect. */
void relay_rollback(struct relay *relay);

/* Stops accepting, lets running exchanges end, closes idle conns at once and everything else when
 * the configuration's drain time is over; then calls on_drained once, from the loop. */
void relay_drain(struct relay *relay, void (*on_drained)(void *self), void *self);

/* The same when others accept in our place: idle conns have some seconds for one more request, so
 * that none is lost that is on its way already. */
void relay_wind_down(struct relay *relay, void (*on_drained)(void *self), void *self);

/* Closes whatever is open. */
void relay_free(struct relay *relay);

/* Replaces the OCSP response stapled with the certificate whose key has this id, in whichever
 * generation that is; DER is copied. An empty slice staples nothing. */
void relay_staple(struct relay *relay, uint32_t key_id, slice der);
