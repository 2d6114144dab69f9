/* proxy/relay/relay_shared.h
 *
 * What the parts of one relay share, so that none of them is a global: the loop, the
 * configuration, the logs, the counters, and who must be told when a conn comes or goes.
 *
 * Owner: the relay.
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
    uint64_t conns_open; /* of clients */
    uint64_t conns_max;
    bool is_draining;
    void (*on_conn_opened)(void *self); /* a client conn; the counters are kept by these */
    void (*on_conn_closed)(void *self);
    void *self;
};
