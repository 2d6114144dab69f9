/* proxy/relay/entry.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/entry.h"

#include <stdlib.h>
#include <string.h>

#include "config/address.h"
#include "crypto/tls_server.h"
#include "proxy/relay/client_conn.h"
#include "proxy/relay/relay_tunnel.h"

static void on_accept(void *self, int descriptor)
{
    client_conn_accept(self, descriptor);
}

static void on_exhausted(void *self)
{
    struct entry *entry = self;
    counter_add(entry->shared->counters, COUNTER_ACCEPT_PAUSES, 1);
    LOG_EVENT(entry->shared->log, LOG_WARN, "accept_paused",
              log_text("listener", entry->config->name),
              log_text("fault", fault_name(FAULT_LIMIT_CONNECTIONS)),
              log_text("reason", "no descriptors are left"));
}

static const struct listener_events listener_events = {
    .on_accept = on_accept,
    .on_exhausted = on_exhausted,
};

static void fill_settings(struct server_settings *settings, const struct config *config,
                          const struct config_listener *listener)
{
    *settings = (struct server_settings){
        .limits = {.header_bytes = config->limits.header_bytes,
                   .header_count = config->limits.header_count,
                   .uri_bytes = config->limits.uri_bytes,
                   .trailer_bytes = config->limits.trailer_bytes,
                   .overhead_bytes = config->limits.chunk_overhead_bytes},
        .body_bytes = config->limits.body_bytes,
        .requests_per_conn = config->limits.requests_per_connection,
        .header_ms = config->timeouts.header_ms,
        .idle_ms = config->timeouts.idle_ms,
        .minimum_rate = config->timeouts.minimum_rate,
        .rate_grace_ms = config->timeouts.rate_grace_ms,
        .streams = (uint32_t)config->limits.streams,
        .connection_buffer_bytes = config->limits.connection_buffer_bytes,
        .takes_tunnels = listener->mode == CONFIG_LISTENER_HTTP,
    };
}

enum status entry_init(struct entry *entry, struct relay_shared *shared,
                       const struct config_listener *config, struct tls_server *tls)
{
    *entry = (struct entry){
        .shared = shared,
        .config = config,
        .tls = tls,
        .scheme = tls != NULL ? SLICE("https") : SLICE("http"),
        .request_rules = {.forwarded = config->forwarded,
                          .session_header = config->session_header,
                          .trusted_proxies = config->trusted_proxies,
                          .trusted_proxy_count = config->trusted_proxy_count},
    };
    list_init(&entry->conns);
    list_init(&entry->tunnels);
    fill_settings(&entry->settings, shared->config, config);
    response_rules_init(&entry->response_rules, config);
    redirect_init(&entry->redirect, config);
    if (config->mode == CONFIG_LISTENER_REDIRECT) {
        return STATUS_OK;
    }
    return route_table_new(&entry->routes, config);
}

enum status entry_lend(struct entry *entry, const int *descriptors, size_t count)
{
    size_t all = entry->listener_count + count;
    struct listener *listeners = reallocarray(entry->listeners, all + 1, sizeof(*listeners));
    if (listeners == NULL) {
        return STATUS_NOMEM;
    }
    entry->listeners = listeners; /* they are paused: nobody has their address yet */
    for (size_t i = 0; i < count; i++) {
        listener_init(&listeners[entry->listener_count++], entry->shared->loop, descriptors[i],
                      &listener_events, entry);
    }
    return STATUS_OK;
}

bool entry_open(struct entry *entry)
{
    bool is_open = true;
    for (size_t i = 0; i < entry->listener_count; i++) {
        listener_resume(&entry->listeners[i]);
        is_open = is_open && !entry->listeners[i].is_paused;
    }
    return is_open;
}

void entry_pause(struct entry *entry)
{
    for (size_t i = 0; i < entry->listener_count; i++) {
        listener_pause(&entry->listeners[i]);
    }
}

void entry_resume(struct entry *entry)
{
    for (size_t i = 0; i < entry->listener_count; i++) {
        listener_resume(&entry->listeners[i]);
    }
}

void entry_stop(struct entry *entry)
{
    for (size_t i = 0; i < entry->listener_count; i++) {
        listener_close(&entry->listeners[i]);
    }
    entry->listener_count = 0;
}

/* ---- one generation after the other ---- */

static bool has_address(const struct config_listener *listener,
                        const struct config_address *address)
{
    for (size_t i = 0; i < listener->address_count; i++) {
        if (address_is_same(&listener->addresses[i], address)) {
            return true;
        }
    }
    return false;
}

static bool is_same_network(const struct config_network *left, const struct config_network *right)
{
    return left->prefix_bits == right->prefix_bits &&
           memcmp(left->ip, right->ip, sizeof(left->ip)) == 0;
}

/* Whom a conn is from was believed because of who said it. */
static bool believes_the_same(const struct config_listener *listener,
                              const struct config_listener *later)
{
    if (listener->proxy_protocol != later->proxy_protocol) {
        return false;
    }
    bool is_said = listener->proxy_protocol == CONFIG_PROXY_PROTOCOL_ACCEPT;
    bool is_same = !is_said || listener->trusted_proxy_count == later->trusted_proxy_count;
    for (size_t i = 0; is_said && is_same && i < listener->trusted_proxy_count; i++) {
        is_same = is_same_network(&listener->trusted_proxies[i], &later->trusted_proxies[i]);
    }
    return is_same;
}

bool entry_is_continued_by(const struct entry *entry, const struct entry *later)
{
    if ((entry->tls == NULL) != (later->tls == NULL) ||
        !believes_the_same(entry->config, later->config) ||
        (entry->tls != NULL && !tls_server_asks_the_same(entry->tls, later->tls))) {
        return false;
    }
    for (size_t i = 0; i < entry->config->address_count; i++) {
        if (!has_address(later->config, &entry->config->addresses[i])) {
            return false;
        }
    }
    return true;
}

static void each_link(struct list *list, void (*run)(struct list_link *link))
{
    struct list_link *link = list->head.next;
    while (link != &list->head) {
        struct list_link *next = link->next; /* it may leave the list */
        run(link);
        link = next;
    }
}

static void follow_conn(struct list_link *link)
{
    client_conn_follow(LIST_OBJECT(link, struct client_conn, link));
}

static void drain_conn(struct list_link *link)
{
    client_conn_drain(LIST_OBJECT(link, struct client_conn, link));
}

void entry_follow(struct entry *entry, struct entry *later)
{
    entry->successor = later;
    if (later == NULL) {
        entry->is_draining = true;
        each_link(&entry->conns, drain_conn);
        return;
    }
    each_link(&entry->conns, follow_conn);
    each_link(&entry->tunnels, relay_tunnel_follow);
}

static bool has_server(const struct config_backend *backend, slice url)
{
    for (size_t i = 0; i < backend->server_count; i++) {
        if (slice_equal(slice_of(backend->servers[i].url), url)) {
            return true;
        }
    }
    return url.len == 0;
}

bool entry_leads_to(const struct entry *entry, slice authority, slice path, slice server_url,
                    size_t *backend)
{
    if (entry->routes == NULL) {
        return false;
    }
    const struct message request = {.authority = authority, .path = path};
    struct route_match match = {0};
    struct arena arena;
    arena_init(&arena, loop_arena_pool(entry->shared->loop), path.len + ARENA_BLOCK_BYTES);
    enum fault_code fault = route_table_find(entry->routes, &request, &arena, &match);
    arena_reset(&arena);
    *backend = match.backend;
    return fault == FAULT_NONE &&
           has_server(&entry->shared->config->backends[match.backend], server_url);
}

static void close_left(struct list_link *link)
{
    struct client_conn *conn = LIST_OBJECT(link, struct client_conn, link);
    /* One in its handshake has a deadline of its own, and follows after it. */
    if (conn->entry->is_draining || conn->codec != NULL) {
        client_conn_close(conn, FAULT_DRAIN_DEADLINE);
    }
}

static void close_tunnel(struct list_link *link)
{
    relay_tunnel_close(link, FAULT_DRAIN_DEADLINE);
}

void entry_close_left(struct entry *entry)
{
    each_link(&entry->conns, close_left);
    each_link(&entry->tunnels, close_tunnel);
}

/* ---- the end ---- */

void entry_drain(struct entry *entry)
{
    entry->is_draining = true;
    entry_stop(entry);
    each_link(&entry->conns, drain_conn);
}

static void wind_down_conn(struct list_link *link)
{
    client_conn_wind_down(LIST_OBJECT(link, struct client_conn, link));
}

void entry_wind_down(struct entry *entry)
{
    entry->is_winding_down = true;
    entry_stop(entry);
    each_link(&entry->conns, wind_down_conn);
}

void entry_close_conns(struct entry *entry, enum fault_code fault)
{
    for (struct list_link *link = list_first(&entry->conns); link != NULL;
         link = list_first(&entry->conns)) {
        client_conn_close(LIST_OBJECT(link, struct client_conn, link), fault);
    }
    for (struct list_link *link = list_first(&entry->tunnels); link != NULL;
         link = list_first(&entry->tunnels)) {
        relay_tunnel_close(link, fault);
    }
}

void entry_fini(struct entry *entry)
{
    entry_stop(entry);
    entry_close_conns(entry, FAULT_DRAIN_DEADLINE);
    free(entry->listeners);
    route_table_free(entry->routes);
}
