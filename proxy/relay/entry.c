/* proxy/relay/entry.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/entry.h"

#include <stdlib.h>

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

enum status entry_open(struct entry *entry, const int *descriptors, size_t count)
{
    entry->listeners = calloc(count, sizeof(*entry->listeners));
    if (entry->listeners == NULL) {
        return STATUS_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        enum status status = listener_open(&entry->listeners[i], entry->shared->loop,
                                           descriptors[i], &listener_events, entry);
        if (status != STATUS_OK) {
            return status;
        }
        entry->listener_count++;
    }
    return STATUS_OK;
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

static void close_listeners(struct entry *entry)
{
    for (size_t i = 0; i < entry->listener_count; i++) {
        listener_close(&entry->listeners[i]);
    }
    entry->listener_count = 0;
}

void entry_drain(struct entry *entry)
{
    close_listeners(entry);
    struct list_link *link = entry->conns.head.next;
    while (link != &entry->conns.head) {
        struct list_link *next = link->next; /* draining an idle conn takes it off the list */
        client_conn_drain(LIST_OBJECT(link, struct client_conn, link));
        link = next;
    }
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
    close_listeners(entry);
    entry_close_conns(entry, FAULT_DRAIN_DEADLINE);
    free(entry->listeners);
    route_table_free(entry->routes);
}
