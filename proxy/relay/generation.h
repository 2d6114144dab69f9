/* proxy/relay/generation.h
 *
 * One configuration at work in a worker: its TLS settings, backends and entries. A reload puts the
 * next generation beside the present one and lets it take over; the former one goes when the last
 * exchange that began in it has ended.
 *
 *      prepared ──► present ──► former ──► gone
 *
 * Owner: the relay.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/relay/entry.h"
#include "proxy/relay/relay.h"
#include "proxy/relay/relay_shared.h"
#include "proxy/relay/relay_tls.h"
#include "proxy/upstream/server.h"

struct generation {
    struct list_link link; /* among the former ones */
    struct relay_shared shared;
    struct upstream upstream;
    uint32_t key_base;
    struct relay_tls *tls;
    struct entry *entries;
    size_t entry_count;
    struct deadline drain; /* of what later generations have no place for */
    struct loop_post post_empty;
    struct loop_post post_free;
    void (*on_gone)(void *self, const struct config *config);
    void *on_gone_self;
};

/* What all generations of a relay have in common. Borrowed. */
struct generation_host {
    struct resolver *resolver;
    struct random_source random;
    void (*on_conn_opened)(void *self);
    void (*on_conn_closed)(void *self);
    void (*on_server_conns_changed)(void *self, int change);
    void (*on_server_certificate)(void *self, const struct server *server, int64_t not_after);
    void *self;
};

/* Builds all but accepting. It is used by its maker until generation_retire. On failure nothing
 * stays (on_gone is not called), and `error` may say why. */
MUST_CHECK enum status generation_new(struct generation **out, const struct generation_host *host,
                                      const struct relay_start *start, struct relay_error *error);

/* Starts accepting. False: some listener could not, and tries again each second. */
bool generation_open(struct generation *generation);

/* Its conns and tunnels go over to `later`; what finds no place there ends within `drain_ms`. */
void generation_follow(struct generation *generation, struct generation *later, uint64_t drain_ms);

/* It is not the present one any more: it accepts nothing, and frees itself with its last user. */
void generation_retire(struct generation *generation);

void generation_pause(struct generation *generation);
void generation_resume(struct generation *generation);
void generation_drain(struct generation *generation);
void generation_wind_down(struct generation *generation);
void generation_close_conns(struct generation *generation, enum fault_code fault);

/* For the end of all: every generation's conns are closed first, then all backends, then what waits
 * in the loop is reaped, then they are freed. */
void generation_close_backends(struct generation *generation);
void generation_free(struct generation *generation);
