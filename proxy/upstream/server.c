/* proxy/upstream/server.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/server.h"

#include <stdlib.h>

#include "proxy/upstream/client_codecs.h"

void server_init(struct server *server, const struct upstream *upstream,
                 const struct config_backend *backend, const struct config_server *config,
                 struct tls_client *tls)
{
    *server =
        (struct server){.upstream = upstream, .backend = backend, .config = config, .tls = tls};
    list_init(&server->idle);
    list_init(&server->busy);
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
    close_all(&server->busy);
}

bool server_shares_conns(const struct server *server)
{
    return server->backend->proxy_protocol == CONFIG_PROXY_PROTOCOL_OFF;
}

static void on_idle_deadline(void *self)
{
    struct server_conn *conn = self;
    close_conn(conn);
}

static void on_idle(void *self)
{
    struct server_conn *conn = self;
    struct server *server = conn->server;
    if (!server_shares_conns(server) || server->idle_count >= server->backend->keepalive) {
        close_conn(conn);
        return;
    }
    list_remove(&conn->link);
    list_prepend(&server->idle, &conn->link);
    conn->is_idle = true;
    server->idle_count++;
    deadline_arm(&conn->idle, server->upstream->loop, server->upstream->backend_idle_ms,
                 on_idle_deadline, conn);
}

static void leave_idle(struct server_conn *conn)
{
    deadline_disarm(&conn->idle);
    if (conn->is_idle) {
        conn->is_idle = false;
        conn->server->idle_count--;
    }
}

static void on_closed(void *self)
{
    struct server_conn *conn = self;
    const struct upstream *upstream = conn->server->upstream;
    leave_idle(conn);
    list_remove(&conn->link);
    free(conn);
    upstream->on_conns_changed(upstream->self, -1);
}

struct server_conn *server_take_idle(struct server *server)
{
    struct list_link *link = list_first(&server->idle);
    if (link == NULL) {
        return NULL;
    }
    struct server_conn *conn = LIST_OBJECT(link, struct server_conn, link);
    leave_idle(conn);
    list_remove(link);
    list_append(&server->busy, link);
    return conn;
}

struct server_conn *server_adopt(struct server *server, struct stream *stream)
{
    struct server_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        stream_close(stream);
        return NULL;
    }
    conn->server = server;
    const struct client_codec_start start = {
        .loop = server->upstream->loop,
        .settings = &server->upstream->settings,
        .on_idle = on_idle,
        .on_closed = on_closed,
        .self = conn,
    };
    conn->codec = client_codec_for(stream)(stream, &start);
    if (conn->codec == NULL) {
        free(conn);
        return NULL;
    }
    list_append(&server->busy, &conn->link);
    server->upstream->on_conns_changed(server->upstream->self, 1);
    return conn;
}
