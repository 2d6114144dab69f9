/* proxy/relay/exchange_account.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/exchange_account.h"

#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/relay/exchange_state.h"

static void fill_timings(const struct relay_exchange *relayed, struct exchange_facts *facts)
{
    uint64_t began_us = relayed->exchange.began_us;
    bool has_head = relayed->head_us > 0;
    bool was_sent = relayed->sent_us > 0;
    facts->tls_us = relayed->is_first && facts->is_tls ? relayed->conn->tls_us : ACCESS_LOG_NEVER;
    facts->header_us = has_head ? relayed->head_us - began_us : ACCESS_LOG_NEVER;
    facts->queue_us = ACCESS_LOG_NEVER;
    bool was_dialled = was_sent && !relayed->checkout.is_reused;
    facts->connect_us = was_dialled ? relayed->checkout.connect_us : ACCESS_LOG_NEVER;
    bool has_response = relayed->first_byte_us > 0;
    facts->first_byte_us =
        has_response ? relayed->first_byte_us - relayed->sent_us : ACCESS_LOG_NEVER;
    facts->total_us = loop_now_us(relayed->shared->loop) - began_us;
}

static void fill_facts(const struct relay_exchange *relayed, struct exchange_facts *facts)
{
    const struct exchange *exchange = &relayed->exchange;
    const struct client_conn *conn = relayed->conn;
    const struct message *request = exchange->request;
    const struct config *config = relayed->shared->config;
    const struct field *agent = fields_find(&request->fields, FIELD_USER_AGENT);
    *facts = (struct exchange_facts){
        .end_wall_us = clock_wall_us(),
        .id = {relayed->id, EXCHANGE_ID_BYTES},
        .request_id = relayed->identity.id,
        .trace_id = relayed->identity.trace_id,
        .client = conn->address_slice,
        .listener = slice_of(conn->entry->config->name),
        .is_tls = conn->tls.version != NULL,
        .tls_version = exchange_text(conn->tls.version),
        .tls_cipher = exchange_text(conn->tls.cipher),
        .tls_group = slice_of(conn->tls.group),
        .tls_is_resumed = conn->tls.is_resumed,
        .sni = exchange_text(conn->tls.server_name),
        .client_subject = exchange_text(conn->tls.client_subject),
        .method = request->method_name,
        .host = relayed->identity.client_authority.len > 0 ? relayed->identity.client_authority
                                                           : request->authority,
        .path = request->path,
        .has_query = request->query.len > 0,
        .user_agent = agent != NULL ? agent->value : (slice){"", 0},
        .protocol = relayed->protocol,
        .status = relayed->status,
        .bytes_in = exchange->request_body.moved_in,
        .bytes_out = exchange->response_body.moved_out,
        .route = relayed->route != NULL ? exchange_text(relayed->route->path) : (slice){"", 0},
        .backend = relayed->backend != SIZE_MAX ? slice_of(config->backends[relayed->backend].name)
                                                : (slice){"", 0},
        .server = exchange_text(relayed->checkout.server_url),
        .retries = relayed->checkout.retries,
        .is_tunnel = relayed->phase == PHASE_TUNNEL,
        .fault = relayed->fault,
    };
    fill_timings(relayed, facts);
}

void exchange_account(struct relay_exchange *relayed)
{
    struct relay_shared *shared = relayed->shared;
    struct counters *counters = shared->counters;
    counter_sub(counters, COUNTER_EXCHANGES_OPEN, 1);
    counter_add(counters, COUNTER_EXCHANGES, 1);
    counter_add(counters, COUNTER_BYTES_IN, relayed->exchange.request_body.moved_in);
    counter_add(counters, COUNTER_BYTES_OUT, relayed->exchange.response_body.moved_out);
    counter_add(counters, COUNTER_RETRIES, relayed->checkout.retries);
    if (relayed->phase == PHASE_TUNNEL) {
        counter_sub(counters, COUNTER_TUNNELS_OPEN, 1);
    }
    if (relayed->fault != FAULT_NONE) {
        counter_fault(counters, relayed->fault);
    }
    if (shared->access_log.log != NULL) {
        struct exchange_facts facts;
        fill_facts(relayed, &facts);
        access_log_add(&shared->access_log, &facts);
    }
}

/* ---- what a tunnel keeps ---- */

enum { KEPT_TEXT_BYTES = 512 }; /* of each text: lines cut them too */

struct kept_request {
    struct message request;
    struct field agent;
    char text[];
};

enum { KEPT_TEXTS = 7 };

/* Every text that the line names and the arena holds. */
static void list_texts(struct relay_exchange *relayed, slice *agent, slice *texts[KEPT_TEXTS])
{
    struct message *request = relayed->exchange.request;
    slice *const all[KEPT_TEXTS] = {
        &request->method_name,
        &request->authority,
        &request->path,
        agent,
        &relayed->identity.id,
        &relayed->identity.trace_id,
        &relayed->identity.client_authority,
    };
    memcpy(texts, all, sizeof(all));
}

void exchange_keep_little(struct relay_exchange *relayed)
{
    struct exchange *exchange = &relayed->exchange;
    const struct field *field = fields_find(&exchange->request->fields, FIELD_USER_AGENT);
    slice agent = field != NULL ? field->value : (slice){"", 0};
    slice *texts[KEPT_TEXTS];
    list_texts(relayed, &agent, texts);
    size_t room = 0;
    for (size_t i = 0; i < KEPT_TEXTS; i++) {
        texts[i]->len = texts[i]->len < KEPT_TEXT_BYTES ? texts[i]->len : KEPT_TEXT_BYTES;
        room += texts[i]->len;
    }
    struct kept_request *kept = malloc(sizeof(*kept) + room);
    if (kept == NULL) {
        return;
    }
    char *at = kept->text;
    for (size_t i = 0; i < KEPT_TEXTS; i++) {
        memcpy(at, texts[i]->at, texts[i]->len);
        texts[i]->at = at;
        at += texts[i]->len;
    }
    kept->agent = (struct field){
        .token = FIELD_USER_AGENT, .name = field_name_of(FIELD_USER_AGENT), .value = agent};
    kept->request = *exchange->request;
    kept->request.fields = (struct fields){.at = &kept->agent, .count = 1, .room = 1};
    relayed->kept = kept;
    exchange->request = &kept->request;
    exchange->response = NULL;
    arena_reset(&exchange->arena);
}

void exchange_forget(struct relay_exchange *relayed)
{
    free(relayed->kept);
    relayed->kept = NULL;
}
