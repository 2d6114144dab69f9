/* proxy/upstream/dial.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/dial.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/un.h>

#include "proxy/upstream/gathering.h"

enum { ADDRESS_SHARE = 4 }; /* of the time for connecting, for an address that is not the last */

struct dial {
    struct server *server;
    struct dial_events events;
    struct conn_need need;
    struct lookup *lookup; /* RESOLVING */
    struct stream *stream; /* CONNECTING, HANDSHAKE */
    size_t next_address;
    bool is_handshaking;
    enum fault_code last_fault;
    struct deadline deadline;         /* of the whole dial */
    struct deadline address_deadline; /* of this address, when others are left */
    struct loop_post post_next; /* to the next address, outside any callback of the old stream */
};

static void try_next(struct dial *dial);

static void release(struct dial *dial)
{
    deadline_disarm(&dial->deadline);
    deadline_disarm(&dial->address_deadline);
    loop_unpost(&dial->post_next);
    lookup_cancel(dial->lookup);
    if (dial->stream != NULL) {
        stream_close(dial->stream);
    }
    free(dial);
}

static void end(struct dial *dial, enum fault_code fault)
{
    struct dial_events events = dial->events;
    struct stream *stream = dial->stream;
    if (fault == FAULT_NONE) {
        dial->stream = NULL;
    }
    release(dial);
    events.on_done(events.self, fault == FAULT_NONE ? stream : NULL, fault);
}

static void on_deadline(void *self)
{
    end(self, FAULT_TIMEOUT_CONNECT);
}

/* ---- PROXY header and TLS ---- */

static bool send_proxy_header(struct dial *dial)
{
    char header[PROXY_PROTOCOL_V2_BYTES];
    size_t len = 0;
    switch (dial->server->backend->proxy_protocol) {
    case CONFIG_PROXY_PROTOCOL_V1:
        len = proxy_protocol_write_v1(dial->need.client, header, sizeof(header));
        break;
    case CONFIG_PROXY_PROTOCOL_V2:
        len = proxy_protocol_write_v2(dial->need.client, header, sizeof(header));
        break;
    case CONFIG_PROXY_PROTOCOL_OFF:
    case CONFIG_PROXY_PROTOCOL_ACCEPT:
        return true;
    }
    size_t taken = 0;
    return len > 0 && stream_write(dial->stream, (slice){header, len}, &taken) == STATUS_OK;
}

static void start_tls(struct dial *dial)
{
    const struct config_backend_tls *settings = &dial->server->backend->tls;
    const struct config_server *server = dial->server->config;
    const char *name = settings->server_name != NULL ? settings->server_name : server->host;
    struct tls_client *tunnel = dial->server->tls_tunnel;
    struct tls_client *client = dial->need.is_tunnel && tunnel != NULL ? tunnel : dial->server->tls;
    dial->is_handshaking = true;
    if (stream_start_tls_client(dial->stream, client, name) != STATUS_OK) {
        end(dial, FAULT_LIMIT_MEMORY);
    }
}

static void on_open(void *self)
{
    struct dial *dial = self;
    deadline_disarm(&dial->address_deadline);
    if (dial->is_handshaking || !config_scheme_is_tls(dial->server->config->scheme)) {
        if (!dial->is_handshaking && !send_proxy_header(dial)) {
            end(dial, FAULT_INTERNAL);
            return;
        }
        end(dial, FAULT_NONE);
        return;
    }
    if (!send_proxy_header(dial)) {
        end(dial, FAULT_INTERNAL);
        return;
    }
    start_tls(dial);
}

static enum fault_code fault_of(const struct dial *dial, enum stream_failure failure)
{
    switch (failure) {
    case STREAM_REFUSED:
        return FAULT_BACKEND_REFUSED;
    case STREAM_UNREACHABLE:
        return FAULT_BACKEND_UNREACHABLE;
    case STREAM_UNVERIFIED:
        return FAULT_BACKEND_UNVERIFIED;
    case STREAM_NO_MEMORY:
        return FAULT_LIMIT_MEMORY;
    case STREAM_FINE:
    case STREAM_RESET:
    case STREAM_NOT_TLS:
    case STREAM_HANDSHAKE_FAILED:
    case STREAM_RECORD_REFUSED:
    case STREAM_TRUNCATED:
        break;
    }
    return dial->is_handshaking ? FAULT_BACKEND_TLS : FAULT_BACKEND_RESET;
}

static void on_failed(void *self, enum stream_failure failure)
{
    struct dial *dial = self;
    deadline_disarm(&dial->address_deadline);
    dial->last_fault = fault_of(dial, failure);
    bool may_differ = failure == STREAM_REFUSED || failure == STREAM_UNREACHABLE;
    stream_close(dial->stream);
    dial->stream = NULL;
    if (may_differ) {
        loop_post(dial->server->upstream->loop, &dial->post_next);
        return;
    }
    end(dial, dial->last_fault);
}

/* A server says nothing before its handshake has ended; what it says before is not read. */
static void on_early_bytes(void *self)
{
    (void)self;
}

static const struct stream_events stream_events = {
    .on_open = on_open,
    .on_readable = on_early_bytes,
    .on_writable = on_early_bytes,
    .on_failed = on_failed,
};

/* ---- addresses ---- */

static void connect_to(struct dial *dial, const struct sockaddr *address, socklen_t len)
{
    const struct upstream *upstream = dial->server->upstream;
    if (stream_connect(&dial->stream, upstream->loop, address, len, upstream->dead_peer_ms,
                       &stream_events, dial) != STATUS_OK) {
        end(dial, FAULT_LIMIT_MEMORY);
    }
}

static void connect_unix(struct dial *dial, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (dial->next_address++ > 0 || strlen(path) >= sizeof(address.sun_path)) {
        end(dial, FAULT_BACKEND_REFUSED);
        return;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    connect_to(dial, (struct sockaddr *)&address, sizeof(address));
}

static socklen_t set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
        return sizeof(struct sockaddr_in6);
    }
    ((struct sockaddr_in *)address)->sin_port = htons(port);
    return sizeof(struct sockaddr_in);
}

/* An address that does not answer must not use up the time of those after it. */
static void on_address_deadline(void *self)
{
    struct dial *dial = self;
    dial->last_fault = FAULT_TIMEOUT_CONNECT;
    stream_close(dial->stream);
    dial->stream = NULL;
    try_next(dial);
}

static void try_next(struct dial *dial)
{
    struct server *server = dial->server;
    if (server->config->unix_path != NULL) {
        connect_unix(dial, server->config->unix_path);
        return;
    }
    if (dial->next_address >= server->addresses.count) {
        end(dial, dial->last_fault);
        return;
    }
    struct sockaddr_storage address = server->addresses.at[dial->next_address++];
    socklen_t len = set_port(&address, server->config->port);
    if (dial->next_address < server->addresses.count) {
        deadline_arm(&dial->address_deadline, server->upstream->loop,
                     server->upstream->connect_ms / ADDRESS_SHARE, on_address_deadline, dial);
    }
    connect_to(dial, (struct sockaddr *)&address, len);
}

static void run_next(void *self)
{
    try_next(self);
}

static void on_resolved(void *self, const struct resolved *resolved)
{
    struct dial *dial = self;
    struct server *server = dial->server;
    dial->lookup = NULL;
    if (resolved->count > 0) {
        server->addresses = *resolved;
        server->addresses_until_ms = loop_now_ms(server->upstream->loop) + resolved->ttl_ms;
    } else if (server->addresses.count == 0) {
        end(dial, FAULT_BACKEND_NAME);
        return;
    }
    /* Nobody answered, but there were addresses before: an old one may be wrong, and for https
     * servers the certificate tells; better than none. */
    try_next(dial);
}

/* An address that is written in the configuration needs no resolver and never ages. */
static bool take_literal(struct server *server)
{
    struct sockaddr_in *ip4 = (struct sockaddr_in *)&server->addresses.at[0];
    struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)&server->addresses.at[0];
    memset(&server->addresses.at[0], 0, sizeof(server->addresses.at[0]));
    if (inet_pton(AF_INET, server->config->host, &ip4->sin_addr) == 1) {
        ip4->sin_family = AF_INET;
    } else if (inet_pton(AF_INET6, server->config->host, &ip6->sin6_addr) == 1) {
        ip6->sin6_family = AF_INET6;
    } else {
        return false;
    }
    server->addresses.count = 1;
    server->addresses_until_ms = UINT64_MAX;
    return true;
}

static bool has_addresses(struct server *server)
{
    if (server->config->unix_path != NULL) {
        return true;
    }
    if (server->addresses.count > 0 &&
        loop_now_ms(server->upstream->loop) < server->addresses_until_ms) {
        return true;
    }
    return server->config->host_is_ip && take_literal(server);
}

struct dial *dial_begin(struct server *server, const struct conn_need *need,
                        const struct dial_events *events)
{
    const struct upstream *upstream = server->upstream;
    struct dial *dial = calloc(1, sizeof(*dial));
    if (dial == NULL) {
        return NULL;
    }
    dial->server = server;
    dial->need = *need;
    dial->events = *events;
    dial->last_fault = FAULT_BACKEND_UNREACHABLE;
    dial->post_next = (struct loop_post){.run = run_next, .self = dial};
    deadline_arm(&dial->deadline, upstream->loop, upstream->connect_ms, on_deadline, dial);
    if (has_addresses(server)) {
        loop_post(upstream->loop, &dial->post_next);
        return dial;
    }
    dial->lookup = resolver_lookup(upstream->resolver, server->config->host, upstream->resolve_ms,
                                   on_resolved, dial);
    if (dial->lookup == NULL) {
        dial->events = (struct dial_events){0};
        release(dial);
        return NULL;
    }
    return dial;
}

void dial_cancel(struct dial *dial)
{
    if (dial != NULL) {
        release(dial);
    }
}
