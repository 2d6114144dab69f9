/* proxy/relay/exchange_state.h
 *
 * The inside of a driven exchange, shared by relay_exchange.c (what happens) and
 * exchange_account.c (what is counted and logged of it). Nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/relay/relay_exchange.h"
#include "proxy/upstream/backend.h"

enum { EXCHANGE_ID_BYTES = 16 }; /* hex digits */

enum phase {
    PHASE_ROUTING,
    PHASE_CONNECTING,
    PHASE_WAITING, /* for the response */
    PHASE_RESPONDING,
    PHASE_TUNNEL,
};

struct relay_exchange {
    struct exchange exchange;
    struct relay_shared *shared;
    struct list_link link; /* in its generation */
    struct entry *entry;   /* where it began: the conn may have gone over to a later one */
    struct client_conn *conn;
    struct relay_exchange *next_free;
    uint64_t drain_at_ms; /* when it ends, because its route is gone; 0: it is there */
    enum phase phase;
    enum fault_code fault;
    unsigned status; /* of the response; 0: none */
    struct checkout checkout;
    struct conn_need need; /* of the conn to a server; what it points at is in the arena */
    size_t backend;        /* index; SIZE_MAX: none */
    const struct config_route *route;
    struct request_identity identity;
    slice protocol; /* the codec's own name; a literal */
    char id[EXCHANGE_ID_BYTES];
    bool is_first; /* of its conn: the handshake's time is logged with it */
    bool is_logged;
    bool has_upload_copy; /* or may make one (upload_copy.h) */
    uint64_t head_us; /* when the head was complete */
    uint64_t sent_us; /* when the request was handed to a conn; 0: not yet */
    uint64_t first_byte_us;
    uint64_t tunnel_moved; /* bytes at the last look */
    struct deadline tunnel_idle;
    struct loop_post post_reap;
};

static inline slice exchange_text(const char *text)
{
    return text != NULL ? slice_of(text) : (slice){"", 0};
}
