/* proxy/relay/generation.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/generation.h"

#include <stdlib.h>

#include "proxy/relay/relay_exchange.h"
#include "proxy/upstream/backend.h"

/* ---- birth ---- */

static enum log_format access_format(const struct relay_start *start)
{
    const struct config_log *log = &start->config->log;
    if (log->access != CONFIG_LOG_ACCESS_ERRORS_ONLY) {
        return log->access == CONFIG_LOG_ACCESS_TEXT ? LOG_TEXT : LOG_JSON;
    }
    if (log->format == CONFIG_LOG_FORMAT_AUTO && start->access_log != NULL) {
        return log_resolve(start->access_log, LOG_AUTO);
    }
    return log->format == CONFIG_LOG_FORMAT_TEXT ? LOG_TEXT : LOG_JSON;
}

static void set_access_log(struct relay_shared *shared, const struct relay_start *start)
{
    const struct config_log *log = &start->config->log;
    shared->access_log = (struct access_log){
        .log = log->access == CONFIG_LOG_ACCESS_OFF ? NULL : start->access_log,
        .format = access_format(start),
        .errors_only = log->access == CONFIG_LOG_ACCESS_ERRORS_ONLY,
    };
}

static void on_unused(struct relay_shared *shared)
{
    struct generation *generation = LIST_OBJECT(shared, struct generation, shared);
    loop_post_reap(shared->loop, &generation->post_empty);
}

static void set_shared(struct generation *generation, const struct generation_host *host,
                       const struct relay_start *start)
{
    generation->shared = (struct relay_shared){
        .loop = start->loop,
        .config = start->config,
        .log = start->log,
        .counters = start->counters,
        .random = host->random,
        .on_conn_opened = host->on_conn_opened,
        .on_conn_closed = host->on_conn_closed,
        .self = host->self,
        .users = 1, /* the relay */
        .on_unused = on_unused,
    };
    list_init(&generation->shared.exchanges);
    set_access_log(&generation->shared, start);
}

static void set_upstream(struct generation *generation, const struct generation_host *host,
                         const struct relay_start *start)
{
    const struct config *config = start->config;
    generation->upstream = (struct upstream){
        .loop = start->loop,
        .resolver = host->resolver,
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
        .on_conns_changed = host->on_server_conns_changed,
        .on_certificate = host->on_server_certificate,
        .self = host->self,
    };
}

static enum status open_backends(struct generation *generation)
{
    struct relay_shared *shared = &generation->shared;
    const struct config *config = shared->config;
    shared->backends = calloc(config->backend_count + 1, sizeof(struct backend *));
    if (shared->backends == NULL) {
        return STATUS_NOMEM;
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        enum status status = backend_new(
            &shared->backends[i], &generation->upstream, &config->backends[i],
            relay_tls_clients(generation->tls, i), relay_tls_tunnel_clients(generation->tls, i));
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static size_t count_addresses(const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        count += config->listeners[i].address_count;
    }
    return count;
}

/* Its addresses begin at `first` of all; what comes after all of them is for them again. */
static enum status lend(struct entry *entry, const struct relay_start *start, size_t first)
{
    size_t all = count_addresses(start->config);
    size_t own = entry->config->address_count;
    for (; first + own <= start->descriptor_count; first += all) {
        enum status status = entry_lend(entry, start->descriptors + first, own);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status open_entries(struct generation *generation, const struct relay_start *start)
{
    const struct config *config = start->config;
    generation->entries = calloc(config->listener_count + 1, sizeof(*generation->entries));
    if (generation->entries == NULL) {
        return STATUS_NOMEM;
    }
    size_t descriptor = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        struct entry *entry = &generation->entries[i];
        const struct config_listener *listener = &config->listeners[i];
        if (descriptor + listener->address_count > start->descriptor_count) {
            return STATUS_REFUSED;
        }
        enum status status =
            entry_init(entry, &generation->shared, listener, relay_tls_server(generation->tls, i));
        if (status != STATUS_OK) {
            return status;
        }
        generation->entry_count++;
        status = lend(entry, start, descriptor);
        if (status != STATUS_OK) {
            return status;
        }
        descriptor += listener->address_count;
    }
    return STATUS_OK;
}

static void empty(void *self);
static void free_now(void *self);

enum status generation_new(struct generation **out, const struct generation_host *host,
                           const struct relay_start *start, struct relay_error *error)
{
    struct generation *generation = calloc(1, sizeof(*generation));
    *out = NULL;
    if (generation == NULL) {
        return STATUS_NOMEM;
    }
    generation->key_base = start->key_base;
    generation->post_empty = (struct loop_post){.run = empty, .self = generation};
    generation->post_free = (struct loop_post){.run = free_now, .self = generation};
    set_shared(generation, host, start);
    set_upstream(generation, host, start);
    enum status status = relay_tls_open(&generation->tls, start, error);
    if (status == STATUS_OK) {
        status = open_backends(generation);
    }
    if (status == STATUS_OK) {
        status = open_entries(generation, start);
    }
    if (status != STATUS_OK) {
        generation_close_backends(generation);
        generation_free(generation);
        return status;
    }
    generation->on_gone = start->on_gone;
    generation->on_gone_self = start->self;
    *out = generation;
    return STATUS_OK;
}

/* ---- the present one ---- */

bool generation_open(struct generation *generation)
{
    bool is_open = true;
    for (size_t i = 0; i < generation->entry_count; i++) {
        is_open = entry_open(&generation->entries[i]) && is_open;
    }
    return is_open;
}

void generation_pause(struct generation *generation)
{
    for (size_t i = 0; i < generation->entry_count; i++) {
        entry_pause(&generation->entries[i]);
    }
}

void generation_resume(struct generation *generation)
{
    for (size_t i = 0; i < generation->entry_count; i++) {
        entry_resume(&generation->entries[i]);
    }
}

void generation_wind_down(struct generation *generation)
{
    for (size_t i = 0; i < generation->entry_count; i++) {
        entry_wind_down(&generation->entries[i]);
    }
}

void generation_drain(struct generation *generation)
{
    for (size_t i = 0; i < generation->entry_count; i++) {
        entry_drain(&generation->entries[i]);
    }
}

void generation_close_conns(struct generation *generation, enum fault_code fault)
{
    for (size_t i = 0; i < generation->entry_count; i++) {
        entry_close_conns(&generation->entries[i], fault);
    }
}

/* ---- a former one ---- */

static struct entry *find_successor(const struct generation *generation, const struct entry *entry)
{
    for (size_t i = 0; i < generation->entry_count; i++) {
        if (entry_is_continued_by(entry, &generation->entries[i])) {
            return &generation->entries[i];
        }
    }
    return NULL;
}

static void on_drain_deadline(void *self)
{
    struct generation *generation = self;
    struct relay_shared *shared = &generation->shared;
    uint64_t now_ms = loop_now_ms(shared->loop);
    uint64_t next_ms = 0;
    for (size_t i = 0; i < generation->entry_count; i++) {
        entry_close_left(&generation->entries[i]);
    }
    for (struct list_link *link = list_first(&shared->exchanges); link != NULL;
         link = list_next(&shared->exchanges, link)) {
        uint64_t at_ms = relay_exchange_drain(link, now_ms);
        next_ms = at_ms > 0 && (next_ms == 0 || at_ms < next_ms) ? at_ms : next_ms;
    }
    if (next_ms > 0) {
        deadline_arm(&generation->drain, shared->loop, next_ms - now_ms, on_drain_deadline,
                     generation);
    }
}

void generation_follow(struct generation *generation, struct generation *later, uint64_t drain_ms)
{
    struct relay_shared *shared = &generation->shared;
    uint64_t drain_at_ms = loop_now_ms(shared->loop) + drain_ms;
    for (size_t i = 0; i < generation->entry_count; i++) {
        struct entry *entry = &generation->entries[i];
        entry_follow(entry, find_successor(later, entry));
    }
    for (struct list_link *link = list_first(&shared->exchanges); link != NULL;
         link = list_next(&shared->exchanges, link)) {
        (void)relay_exchange_follow(link, drain_at_ms);
    }
    if (!deadline_is_armed(&generation->drain)) {
        deadline_arm(&generation->drain, shared->loop, drain_ms, on_drain_deadline, generation);
    }
}

void generation_retire(struct generation *generation)
{
    for (size_t i = 0; i < generation->entry_count; i++) {
        entry_stop(&generation->entries[i]);
    }
    relay_shared_leave(&generation->shared);
}

/* ---- the end ---- */

void generation_close_backends(struct generation *generation)
{
    struct relay_shared *shared = &generation->shared;
    deadline_disarm(&generation->drain);
    for (size_t i = 0; shared->backends != NULL && i < shared->config->backend_count; i++) {
        backend_free(shared->backends[i]);
    }
    free(shared->backends);
    shared->backends = NULL;
}

/* What closing the backends' conns leaves to be reaped goes first. */
static void empty(void *self)
{
    struct generation *generation = self;
    generation_close_backends(generation);
    loop_post_reap(generation->shared.loop, &generation->post_free);
}

static void free_now(void *self)
{
    generation_free(self);
}

void generation_free(struct generation *generation)
{
    struct relay_shared *shared = &generation->shared;
    void (*on_gone)(void *self, const struct config *config) = generation->on_gone;
    void *on_gone_self = generation->on_gone_self;
    const struct config *config = shared->config;
    loop_unpost(&generation->post_empty);
    loop_unpost(&generation->post_free);
    list_remove(&generation->link);
    for (size_t i = 0; i < generation->entry_count; i++) {
        entry_fini(&generation->entries[i]);
    }
    free(generation->entries);
    relay_tls_close(generation->tls);
    relay_exchange_free_all(shared);
    free(generation);
    if (on_gone != NULL) {
        on_gone(on_gone_self, config);
    }
}
