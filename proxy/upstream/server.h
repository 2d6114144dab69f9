/* proxy/upstream/server.h
 *
 * One server of a backend as one worker sees it: its addresses while their time to live lasts, its
 * conns, and how it is reached (proxy/upstream/dial.h).
 *
 *   conn:   IDLE (no exchange) ──► SHARED (room for more) ⇄ BUSY ──► IDLE
 *             └──────────────────────────────────────────────►┘
 *
 * Each state is a list, and place() alone moves a conn from one to another.
 *
 * Owner: its backend.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/base/list.h"
#include "proxy/http/codec.h"
#include "proxy/net/resolver.h"
#include "proxy/net/timer.h"

struct server;
struct tls_client;

/* What all servers of a worker share; owned by the relay and outliving them. */
struct upstream {
    struct loop *loop;
    struct resolver *resolver;
    struct client_settings settings;
    uint64_t connect_ms;
    uint64_t resolve_ms;
    uint64_t backend_idle_ms;
    uint64_t dead_peer_ms;
    void (*on_conns_changed)(void *self, int change); /* conns to servers: +1, -1 */
    /* When the certificate ends (seconds since 1970) that the server has shown: at the first conn,
     * and then once a day. NULL: nobody asks. */
    void (*on_certificate)(void *self, const struct server *server, int64_t not_after);
    void *self;
};

struct server {
    const struct upstream *upstream;
    const struct config_backend *backend;
    const struct config_server *config;
    struct tls_client *tls;        /* NULL for servers without TLS; borrowed */
    struct tls_client *tls_tunnel; /* the same for conns that become tunnels; NULL: no other */
    struct resolved addresses;
    uint64_t addresses_until_ms;
    struct list idle; /* of struct server_conn, the last used first */
    struct list shared;
    struct list busy;
    struct list gatherings; /* of struct gathering: dials that exchanges wait for */
    uint64_t idle_count;
    uint64_t certificate_told_ms; /* when on_certificate was called; 0: never */
    bool is_multiplexed; /* its conns carry many exchanges: the last one did; at first, they may */
};

enum server_conn_state { SERVER_CONN_IDLE, SERVER_CONN_SHARED, SERVER_CONN_BUSY };

/* A conn to the server. */
struct server_conn {
    struct list_link link;
    struct server *server;
    struct client_codec *codec;
    enum server_conn_state state;
    struct deadline idle;
};

void server_init(struct server *server, const struct upstream *upstream,
                 const struct config_backend *backend, const struct config_server *config,
                 struct tls_client *tls, struct tls_client *tls_tunnel);

/* Closes every conn. */
void server_fini(struct server *server);

/* What an exchange calls, on a conn that has room for it. `is_tunnel`: the conn must be able to
 * become a tunnel, or to carry one. NULL: there is none, dial. */
struct requester *server_take(struct server *server, bool is_tunnel);

/* Makes an open stream an idle conn of this server. `is_tunnel`: it was dialled for a tunnel, and
 * may speak what no other conn of the server does. FAULT_NONE, or why not; then the stream is
 * closed. */
MUST_CHECK enum fault_code server_adopt(struct server *server, struct stream *stream,
                                        bool is_tunnel);

/* False when conns of this server serve one client each (it is told their address), so that idle
 * ones are never kept. */
bool server_shares_conns(const struct server *server);
