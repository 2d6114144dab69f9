/* proxy/upstream/server.h
 *
 * One server of a backend as one worker sees it: its addresses while their time to live lasts, its
 * idle conns, and how it is reached (proxy/upstream/dial.h).
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
    void *self;
};

struct server {
    const struct upstream *upstream;
    const struct config_backend *backend;
    const struct config_server *config;
    struct tls_client *tls; /* NULL for http servers; borrowed */
    struct resolved addresses;
    uint64_t addresses_until_ms;
    struct list idle; /* of struct server_conn, the last used first */
    struct list busy;
    uint64_t idle_count;
};

/* A conn to the server; in one of the server's two lists by what it does. */
struct server_conn {
    struct list_link link;
    struct server *server;
    struct client_codec *codec;
    bool is_idle; /* which list it is in */
    struct deadline idle;
};

void server_init(struct server *server, const struct upstream *upstream,
                 const struct config_backend *backend, const struct config_server *config,
                 struct tls_client *tls);

/* Closes every conn. */
void server_fini(struct server *server);

/* An idle conn, now busy; NULL: there is none, dial. */
struct server_conn *server_take_idle(struct server *server);

/* Makes an open stream a busy conn of this server. NULL: no memory; the stream is closed. */
struct server_conn *server_adopt(struct server *server, struct stream *stream);

/* False when conns of this server serve one client each (it is told their address), so that idle
 * ones are never kept. */
bool server_shares_conns(const struct server *server);
