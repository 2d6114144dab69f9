/* proxy/relay/relay.c
 *
 * Puts one worker's relay together from its configuration, keeps the limit of conns, drains.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/relay.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "proxy/net/resolver.h"
#include "proxy/relay/entry.h"
#include "proxy/relay/expiry_event.h"
#include "proxy/relay/random_pool.h"
#include "proxy/relay/relay_exchange.h"
#include "proxy/relay/relay_shared.h"
#include "proxy/relay/relay_tls.h"
#include "proxy/upstream/backend.h"

enum {
    DESCRIPTORS_RESERVED = 64, /* for logs, channels, DNS, and what libraries open */
    CONNS_LEAST = 16,
    SETTLE_MS = 100,
};

struct relay {
    struct relay_shared shared;
    struct upstream upstream;
    struct random_pool random;
    struct relay_tls *tls;
    struct entry *entries;
    size_t entry_count;
    bool is_paused;
    struct deadline drain;
    struct loop_post post_settle;
    struct deadline settle; /* looks again whether the last responses have left */
    bool is_overdue;        /* the drain's time is over */
    struct loop_post post_drained;
    void (*on_drained)(void *self);
    void *on_drained_self;
};

/* ---- the limit of conns ---- */

/* Each client conn may need a second descriptor for its backend; the reserve is for the rest. */
static uint64_t conns_max(const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < DESCRIPTORS_RESERVED) {
        return CONNS_LEAST;
    }
    uint64_t most = (limit.rlim_cur - DESCRIPTORS_RESERVED) / 2;
    uint64_t wanted = config->limits.connections;
    if (wanted == 0 || wanted > limit.rlim_cur - DESCRIPTORS_RESERVED) {
        wanted = most;
    }
    return wanted < CONNS_LEAST ? CONNS_LEAST : wanted;
}

static void pause_entries(struct relay *relay)
{
    relay->is_paused = true;
    counter_add(relay->shared.counters, COUNTER_ACCEPT_PAUSES, 1);
    LOG_EVENT(relay->shared.log, LOG_WARN, "accept_paused",
              log_text("fault", fault_name(FAULT_LIMIT_CONNECTIONS)),
              log_number("conns", (int64_t)relay->shared.conns_open));
    for (size_t i = 0; i < relay->entry_count; i++) {
        entry_pause(&relay->entries[i]);
    }
}

static void resume_entries(struct relay *relay)
{
    relay->is_paused = false;
    for (size_t i = 0; i < relay->entry_count; i++) {
        entry_resume(&relay->entries[i]);
    }
}

static void settle_drain(void *self);

static void on_conn_opened(void *self)
{
    struct relay *relay = self;
    struct relay_shared *shared = &relay->shared;
    shared->conns_open++;
    counter_add(shared->counters, COUNTER_CONNS_ACCEPTED, 1);
    counter_add(shared->counters, COUNTER_CONNS_OPEN, 1);
    if (shared->conns_open >= shared->conns_max && !relay->is_paused) {
        pause_entries(relay);
    }
}

static void on_conn_closed(void *self)
{
    struct relay *relay = self;
    struct relay_shared *shared = &relay->shared;
    shared->conns_open--;
    counter_sub(shared->counters, COUNTER_CONNS_OPEN, 1);
    if (shared->is_draining) {
        /* What this turn has still to say leaves at its end. */
        loop_post_next_turn(shared->loop, &relay->post_settle);
        return;
    }
    /* Some room first, so that the two do not alternate with every conn. */
    if (relay->is_paused && shared->conns_open < shared->conns_max - shared->conns_max / 64) {
        resume_entries(relay);
    }
}

static void on_server_conns_changed(void *self, int change)
{
    struct relay *relay = self;
    if (change > 0) {
        counter_add(relay->shared.counters, COUNTER_BACKEND_CONNS_OPEN, 1);
    } else {
        counter_sub(relay->shared.counters, COUNTER_BACKEND_CONNS_OPEN, 1);
    }
}

static void on_server_certificate(void *self, const struct server *server, int64_t not_after)
{
    const struct relay *relay = self;
    expiry_note_server(&relay->shared, server, not_after, (int64_t)time(NULL));
}

/* ---- opening ---- */

static void set_access_log(struct relay *relay, const struct relay_start *start)
{
    const struct config_log *log = &start->config->log;
    bool is_text =
        log->access == CONFIG_LOG_ACCESS_TEXT ||
        (log->access == CONFIG_LOG_ACCESS_ERRORS_ONLY && log->format == CONFIG_LOG_FORMAT_TEXT);
    relay->shared.access_log = (struct access_log){
        .log = start->access_log,
        .format = is_text ? LOG_TEXT : LOG_JSON,
        .errors_only = log->access == CONFIG_LOG_ACCESS_ERRORS_ONLY,
    };
}

static void set_shared(struct relay *relay, const struct relay_start *start)
{
    relay->shared.loop = start->loop;
    relay->shared.config = start->config;
    relay->shared.log = start->log;
    relay->shared.counters = start->counters;
    relay->shared.random = random_pool_source(&relay->random);
    relay->shared.conns_max = conns_max(start->config);
    relay->shared.on_conn_opened = on_conn_opened;
    relay->shared.on_conn_closed = on_conn_closed;
    relay->shared.self = relay;
    set_access_log(relay, start);
}

static enum status set_upstream(struct relay *relay, const struct relay_start *start)
{
    const struct config *config = start->config;
    relay->upstream = (struct upstream){
        .loop = start->loop,
        .resolver = resolver_new(start->loop),
        .settings = {.limits = {.header_bytes = config->limits.response_header_bytes,
                                .header_count = config->limits.response_header_count,
                                .uri_bytes = config->limits.uri_bytes,
                                .trailer_bytes = config->limits.trailer_bytes,
                                .overhead_bytes = config->limits.chunk_overhead_bytes},
                     .response_ms = config->timeouts.response_ms,
                     .ping_ms = config->timeouts.ping_ms},
        .connect_ms = config->timeouts.connect_ms,
        .resolve_ms = config->timeouts.resolve_ms,
        .backend_idle_ms = config->timeouts.backend_idle_ms,
        .dead_peer_ms = config->timeouts.dead_peer_ms,
        .on_conns_changed = on_server_conns_changed,
        .on_certificate = on_server_certificate,
        .self = relay,
    };
    return relay->upstream.resolver != NULL ? STATUS_OK : STATUS_NOMEM;
}

static enum status open_backends(struct relay *relay)
{
    const struct config *config = relay->shared.config;
    relay->shared.backends = calloc(config->backend_count + 1, sizeof(struct backend *));
    if (relay->shared.backends == NULL) {
        return STATUS_NOMEM;
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        enum status status =
            backend_new(&relay->shared.backends[i], &relay->upstream, &config->backends[i],
                        relay_tls_clients(relay->tls, i), relay_tls_tunnel_clients(relay->tls, i));
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status open_entries(struct relay *relay, const struct relay_start *start)
{
    const struct config *config = start->config;
    relay->entries = calloc(config->listener_count + 1, sizeof(*relay->entries));
    if (relay->entries == NULL) {
        return STATUS_NOMEM;
    }
    size_t descriptor = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        struct entry *entry = &relay->entries[i];
        const struct config_listener *listener = &config->listeners[i];
        if (descriptor + listener->address_count > start->descriptor_count) {
            return STATUS_REFUSED;
        }
        enum status status =
            entry_init(entry, &relay->shared, listener, relay_tls_server(relay->tls, i));
        if (status != STATUS_OK) {
            return status;
        }
        relay->entry_count++;
        status = entry_open(entry, start->descriptors + descriptor, listener->address_count);
        if (status != STATUS_OK) {
            return status;
        }
        descriptor += listener->address_count;
    }
    return STATUS_OK;
}

/* Drained means: no conn is open, and no last response is still on its way (a stream that lingers),
 * unless the time for that is over too. */
static void settle_drain(void *self)
{
    struct relay *relay = self;
    if (relay->shared.conns_open > 0 || relay->on_drained == NULL) {
        return;
    }
    if (loop_is_held(relay->shared.loop) && !relay->is_overdue) {
        deadline_arm(&relay->settle, relay->shared.loop, SETTLE_MS, settle_drain, relay);
        return;
    }
    loop_post_reap(relay->shared.loop, &relay->post_drained);
}

static void on_drained_post(void *self)
{
    struct relay *relay = self;
    if (relay->on_drained != NULL) {
        void (*on_drained)(void *self) = relay->on_drained;
        relay->on_drained = NULL;
        on_drained(relay->on_drained_self);
    }
}

enum status relay_open(struct relay **out, const struct relay_start *start,
                       struct relay_error *error)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    *out = NULL;
    if (relay == NULL) {
        return STATUS_NOMEM;
    }
    relay->post_settle = (struct loop_post){.run = settle_drain, .self = relay};
    relay->post_drained = (struct loop_post){.run = on_drained_post, .self = relay};
    set_shared(relay, start);
    enum status status = set_upstream(relay, start);
    if (status == STATUS_OK) {
        status = relay_tls_open(&relay->tls, start, error);
    }
    if (status == STATUS_OK) {
        status = open_backends(relay);
    }
    if (status == STATUS_OK) {
        status = open_entries(relay, start);
    }
    if (status != STATUS_OK) {
        relay_free(relay);
        return status;
    }
    *out = relay;
    return STATUS_OK;
}

/* ---- draining and the end ---- */

static void close_conns(struct relay *relay)
{
    for (size_t i = 0; i < relay->entry_count; i++) {
        entry_close_conns(&relay->entries[i], FAULT_DRAIN_DEADLINE);
    }
}

static void on_drain_deadline(void *self)
{
    struct relay *relay = self;
    LOG_EVENT(relay->shared.log, LOG_WARN, "drain_deadline",
              log_number("conns", (int64_t)relay->shared.conns_open));
    relay->is_overdue = true;
    close_conns(relay);
    settle_drain(relay);
}

void relay_drain(struct relay *relay, void (*on_drained)(void *self), void *self)
{
    relay->shared.is_draining = true;
    relay->on_drained = on_drained;
    relay->on_drained_self = self;
    for (size_t i = 0; i < relay->entry_count; i++) {
        entry_drain(&relay->entries[i]);
    }
    deadline_arm(&relay->drain, relay->shared.loop, relay->shared.config->timeouts.drain_ms,
                 on_drain_deadline, relay);
    settle_drain(relay);
}

void relay_free(struct relay *relay)
{
    if (relay == NULL) {
        return;
    }
    relay->on_drained = NULL;
    deadline_disarm(&relay->drain);
    deadline_disarm(&relay->settle);
    relay->shared.is_draining = true;
    for (size_t i = 0; i < relay->entry_count; i++) {
        entry_fini(&relay->entries[i]);
    }
    free(relay->entries);
    for (size_t i = 0; relay->shared.backends != NULL && i < relay->shared.config->backend_count;
         i++) {
        backend_free(relay->shared.backends[i]);
    }
    free(relay->shared.backends);
    loop_reap(relay->shared.loop);
    resolver_free(relay->upstream.resolver);
    relay_tls_close(relay->tls);
    relay_exchange_free_all(&relay->shared);
    loop_unpost(&relay->post_drained);
    loop_unpost(&relay->post_settle);
    free(relay);
}

void relay_staple(struct relay *relay, size_t index, slice der)
{
    relay_tls_staple(relay->tls, index, der);
}
