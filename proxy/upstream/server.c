/* proxy/upstream/server.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/server.h"

#include <stdlib.h>

#include "crypto/tls_facts.h"
#include "proxy/upstream/client_codecs.h"

void server_init(struct server *server, const struct upstream *upstream,
                 const struct config_backend *backend, const struct config_server *config,
                 struct tls_client *tls, struct tls_client *tls_tunnel)
{
    *server = (struct server){.upstream = upstream,
                              .backend = backend,
                              .config = config,
                              .tls = tls,
                              .tls_tunnel = tls_tunnel,
                              .is_multiplexed = client_codec_may_multiplex(config->scheme)};
    list_init(&server->idle);
    list_init(&server->shared);
    list_init(&server->busy);
    list_init(&server->gatherings);
}

static void close_conn(struct server_conn *conn)
{
    conn->codec->calls->close(conn->codec);
}

static void close_all(struct list *conns)
{
    for (struct list_link *link = list_first(conns); link != NULL; link = list_first(conns)) {
        close_conn(LIST_OBJECT(link, struct server_conn, link));
    }
}

void server_fini(struct server *server)
{
    close_all(&server->idle);
    close_all(&server->shared);
    close_all(&server->busy);
}

bool server_shares_conns(const struct server *server)
{
    return server->backend->proxy_protocol == CONFIG_PROXY_PROTOCOL_OFF;
}

/* ---- where a conn is ---- */

static void on_idle_deadline(void *self)
{
    struct server_conn *conn = self;
    close_conn(conn);
}

static struct list *list_of(struct server *server, enum server_conn_state state)
{
    switch (state) {
    case SERVER_CONN_IDLE:
        return &server->idle;
    case SERVER_CONN_SHARED:
        return &server->shared;
    case SERVER_CONN_BUSY:
        break;
    }
    return &server->busy;
}

/* The only one that changes state, list, count and deadline. */
static void place(struct server_conn *conn, enum server_conn_state state)
{
    struct server *server = conn->server;
    server->idle_count -= conn->state == SERVER_CONN_IDLE ? 1 : 0;
    server->idle_count += state == SERVER_CONN_IDLE ? 1 : 0;
    conn->state = state;
    list_remove(&conn->link);
    list_prepend(list_of(server, state), &conn->link);
    deadline_arm(&conn->idle, server->upstream->loop,
                 state == SERVER_CONN_IDLE ? server->upstream->backend_idle_ms : 0,
                 on_idle_deadline, conn);
}

static void on_room(void *self, bool is_idle)
{
    struct server_conn *conn = self;
    struct server *server = conn->server;
    bool is_one_too_many = is_idle && server->idle_count >= server->backend->keepalive;
    if (!server_shares_conns(server) || is_one_too_many) {
        if (is_idle) {
            close_conn(conn);
        }
        return;
    }
    place(conn, is_idle ? SERVER_CONN_IDLE : SERVER_CONN_SHARED);
}

static void on_closed(void *self)
{
    struct server_conn *conn = self;
    const struct upstream *upstream = conn->server->upstream;
    conn->server->idle_count -= conn->state == SERVER_CONN_IDLE ? 1 : 0;
    deadline_disarm(&conn->idle);
    list_remove(&conn->link);
    free(conn);
    upstream->on_conns_changed(upstream->self, -1);
}

/* ---- taking ---- */

/* A conn that many exchanges share never becomes a tunnel; to a server that speaks nothing else
 * the tunnel is one of its exchanges. */
static bool is_fit(const struct server_conn *conn, bool is_tunnel)
{
    bool is_wrong =
        is_tunnel && conn->codec->calls->is_multiplexed && conn->server->tls_tunnel != NULL;
    return !is_wrong && conn->codec->calls->has_room(conn->codec);
}

static struct server_conn *find_in(struct list *conns, bool is_tunnel)
{
    for (struct list_link *link = conns->head.next; link != &conns->head; link = link->next) {
        struct server_conn *conn = LIST_OBJECT(link, struct server_conn, link);
        if (is_fit(conn, is_tunnel)) {
            return conn;
        }
    }
    return NULL;
}

struct requester *server_take(struct server *server, bool is_tunnel)
{
    struct server_conn *conn = find_in(&server->shared, is_tunnel);
    if (conn == NULL) {
        conn = find_in(&server->idle, is_tunnel);
    }
    if (conn == NULL) {
        return NULL;
    }
    struct requester *requester = conn->codec->calls->requester(conn->codec);
    if (requester == NULL) {
        return NULL;
    }
    const struct client_codec_calls *calls = conn->codec->calls;
    bool has_more =
        calls->is_multiplexed && server_shares_conns(server) && calls->has_room(conn->codec);
    place(conn, has_more ? SERVER_CONN_SHARED : SERVER_CONN_BUSY);
    return requester;
}

/* Once a day is enough, and costs nothing. */
static void tell_certificate(struct server *server, const struct stream *stream)
{
    enum { AGAIN_MS = 24 * 3600 * 1000 };
    const struct upstream *upstream = server->upstream;
    uint64_t now_ms = loop_now_ms(upstream->loop);
    if (upstream->on_certificate == NULL || !stream_is_tls(stream) ||
        (server->certificate_told_ms != 0 && now_ms - server->certificate_told_ms < AGAIN_MS)) {
        return;
    }
    struct tls_facts facts;
    stream_tls_facts(stream, &facts);
    if (facts.has_peer_certificate) {
        server->certificate_told_ms = now_ms;
        upstream->on_certificate(upstream->self, server, (int64_t)facts.peer_not_after);
    }
}

enum fault_code server_adopt(struct server *server, struct stream *stream, bool is_tunnel)
{
    tell_certificate(server, stream);
    client_codec_open *open = client_codec_for(stream, server->config->scheme);
    if (open == NULL) {
        stream_close(stream);
        return FAULT_BACKEND_TLS; /* it has not agreed to speak what its scheme says */
    }
    struct server_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        stream_close(stream);
        return FAULT_LIMIT_MEMORY;
    }
    conn->server = server;
    conn->state = SERVER_CONN_BUSY;
    const struct client_codec_start start = {
        .loop = server->upstream->loop,
        .settings = &server->upstream->settings,
        .on_room = on_room,
        .on_closed = on_closed,
        .self = conn,
    };
    conn->codec = open(stream, &start);
    if (conn->codec == NULL) {
        free(conn);
        return FAULT_LIMIT_MEMORY;
    }
    /* A dial for a tunnel may have offered less than the server speaks. */
    if (!is_tunnel || server->tls_tunnel == NULL) {
        server->is_multiplexed = conn->codec->calls->is_multiplexed;
    }
    place(conn, SERVER_CONN_IDLE);
    server->upstream->on_conns_changed(server->upstream->self, 1);
    return FAULT_NONE;
}
