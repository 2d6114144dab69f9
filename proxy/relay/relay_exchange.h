/* proxy/relay/relay_exchange.h
 *
 * Drives one exchange from the request's head to the line in the access log: route, rules,
 * backend, response; or the error page; or the tunnel that a WebSocket becomes.
 *
 *      ROUTING ──► CONNECTING ──► WAITING ──► RESPONDING ──► over
 *         │            │            │  └────► TUNNEL ──────► over
 *         └────────────┴────────────┴──► RESPONDING (our own answer)
 *
 * Owner: itself. It is over when both codecs have let go, and is freed or kept for reuse by the
 * loop's reaper.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/exchange.h"
#include "proxy/relay/client_conn.h"
#include "proxy/relay/relay_shared.h"

/* A new exchange on this conn, which this responder will answer. NULL: no memory. */
struct exchange *relay_exchange_open(struct client_conn *conn, const struct responder *responder);

/* Asks where its request would go in the present generation: an exchange whose route is gone ends
 * at `drain_at_ms`, if it has not by then. True: it has such a time. The link is the one in
 * relay_shared's list. */
bool relay_exchange_follow(struct list_link *link, uint64_t drain_at_ms);

/* Ends it if that time has come. When it will come; 0: it will not. */
uint64_t relay_exchange_drain(struct list_link *link, uint64_t now_ms);

/* Frees what is kept for reuse. */
void relay_exchange_free_all(struct relay_shared *shared);
