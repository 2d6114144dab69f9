/* tests/unit/support/upstream_rig.h
 *
 * The upstream side without a relay: servers on 127.0.0.1 that the test plays.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/upstream/backend.h"
#include "support/fake_driver.h"
#include "support/peer.h"

enum { UPSTREAM_SERVERS_MAX = 4, UPSTREAM_CONNS_MAX = 8 };

struct upstream_rig {
    struct turns turns;
    struct fake fake;
    struct upstream upstream;
    struct config_backend config;
    struct config_server servers[UPSTREAM_SERVERS_MAX];
    int listening[UPSTREAM_SERVERS_MAX];   /* -1: refuses */
    struct peer conns[UPSTREAM_CONNS_MAX]; /* accepted, in order */
    size_t conn_count;
    int conns_open; /* as told by on_conns_changed */
};

static inline void upstream_rig_count(void *self, int change)
{
    struct upstream_rig *rig = self;
    rig->conns_open += change;
    assert_true(rig->conns_open >= 0);
}

static inline void upstream_rig_init(struct upstream_rig *rig, size_t server_count)
{
    *rig = (struct upstream_rig){0};
    turns_init(&rig->turns);
    fake_init(&rig->fake, rig->turns.loop);
    rig->upstream = (struct upstream){
        .loop = rig->turns.loop,
        .settings = {.limits = {.header_bytes = 8192, .header_count = 64, .uri_bytes = 4096}},
        .connect_ms = 5000,
        .resolve_ms = 5000,
        .backend_idle_ms = 60000,
        .dead_peer_ms = 60000,
        .on_conns_changed = upstream_rig_count,
        .self = rig,
    };
    for (size_t i = 0; i < server_count; i++) {
        struct config_server *server = &rig->servers[i];
        *server = (struct config_server){.scheme = CONFIG_SCHEME_HTTP,
                                         .url = "http://s",
                                         .host = "127.0.0.1",
                                         .host_is_ip = true};
        rig->listening[i] = peer_listen(&server->port);
    }
    rig->config = (struct config_backend){
        .name = "b",
        .servers = rig->servers,
        .server_count = server_count,
        .proxy_protocol = CONFIG_PROXY_PROTOCOL_OFF,
        .keepalive = 2,
    };
}

static inline void upstream_rig_refuse(struct upstream_rig *rig, size_t server)
{
    (void)close(rig->listening[server]);
    rig->listening[server] = -1;
}

static inline void upstream_rig_fini(struct upstream_rig *rig)
{
    for (size_t i = 0; i < rig->conn_count; i++) {
        peer_fini(&rig->conns[i]);
    }
    for (size_t i = 0; i < rig->config.server_count; i++) {
        if (rig->listening[i] >= 0) {
            (void)close(rig->listening[i]);
        }
    }
    turns_settle(&rig->turns, NULL, NULL);
    assert_int_equal(rig->conns_open, 0);
    assert_null(rig->fake.last);
    turns_fini(&rig->turns);
}

/* Accepts what has connected and hears everybody. For turns_settle. */
static inline bool upstream_rig_serve(void *self)
{
    struct upstream_rig *rig = self;
    for (size_t i = 0; i < rig->config.server_count; i++) {
        int descriptor = rig->listening[i] < 0
                             ? -1
                             : accept4(rig->listening[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            assert_true(rig->conn_count < UPSTREAM_CONNS_MAX);
            peer_init(&rig->conns[rig->conn_count++], descriptor);
        }
    }
    for (size_t i = 0; i < rig->conn_count; i++) {
        peer_hear(&rig->conns[i]);
    }
    return false;
}

static inline void upstream_rig_settle(struct upstream_rig *rig)
{
    turns_settle(&rig->turns, upstream_rig_serve, rig);
}

static inline struct fake_exchange *upstream_rig_request(struct upstream_rig *rig)
{
    struct fake_exchange *faked = fake_open(&rig->fake);
    *faked->exchange.request = (struct message){
        .method = METHOD_GET,
        .method_name = SLICE("GET"),
        .scheme = SLICE("http"),
        .authority = SLICE("h"),
        .path = SLICE("/"),
    };
    body_end(&faked->exchange.request_body);
    return faked;
}

static inline void upstream_rig_expect(struct upstream_rig *rig, const char *told)
{
    assert_string_equal(rig->fake.told, told);
    rig->fake.told[0] = '\0';
}
