/* proxy/relay/relay_shared.h
 *
 * What the parts of one generation share, so that none of them is a global: the loop, the
 * configuration, the logs, the counters, and who must be told when a conn comes or goes.
 *
 * It counts who needs it (conns, exchanges, tunnels): a generation that a newer one has replaced
 * goes with the last of them.
 *
 * Owner: the generation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/net/loop.h"
#include "proxy/relay/access_log.h"
#include "proxy/relay/counters.h"
#include "proxy/route/date.h"
#include "proxy/route/random_source.h"

struct backend;
struct relay_exchange;

struct relay_shared {
    struct loop *loop;
    const struct config *config;
    struct log *log;
    struct access_log access_log;
    struct counters *counters;
    struct backend **backends; /* as many as the configuration has */
    struct random_source random;
    struct date_field date;
    struct relay_exchange *free_exchanges; /* kept for reuse */
    size_t free_exchange_count;
    size_t upload_copies; /* see upload_copy.h */
    void (*on_conn_opened)(void *self); /* a client conn; the counters are kept by these */
    void (*on_conn_closed)(void *self);
    void *self;
    struct list exchanges; /* of struct relay_exchange: all that began in this generation */
    uint64_t users;
    void (*on_unused)(struct relay_shared *shared); /* the last user has left */
};

static inline void relay_shared_use(struct relay_shared *shared)
{
    shared->users++;
}

/* The caller does not touch it afterwards, but in the same turn it is still there. */
static inline void relay_shared_leave(struct relay_shared *shared)
{
    shared->users--;
    if (shared->users == 0 && shared->on_unused != NULL) {
        shared->on_unused(shared);
    }
}
