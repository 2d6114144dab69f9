/* proxy/relay/exchange_account.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/exchange_account.h"

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

void exchange_facts_of(const struct relay_exchange *relayed, struct exchange_facts *facts)
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
        .listener = slice_of(relayed->entry->config->name),
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

void exchange_account_facts(struct relay_shared *shared, const struct exchange_facts *facts)
{
    struct counters *counters = shared->counters;
    counter_sub(counters, COUNTER_EXCHANGES_OPEN, 1);
    counter_add(counters, COUNTER_EXCHANGES, 1);
    counter_add(counters, COUNTER_BYTES_IN, facts->bytes_in);
    counter_add(counters, COUNTER_BYTES_OUT, facts->bytes_out);
    counter_add(counters, COUNTER_RETRIES, facts->retries);
    if (facts->is_tunnel) {
        counter_sub(counters, COUNTER_TUNNELS_OPEN, 1);
    }
    if (facts->fault != FAULT_NONE) {
        counter_fault(counters, facts->fault);
    }
    if (shared->access_log.log != NULL) {
        access_log_add(&shared->access_log, facts);
    }
}

void exchange_account(const struct relay_exchange *relayed)
{
    struct exchange_facts facts;
    exchange_facts_of(relayed, &facts);
    exchange_account_facts(relayed->shared, &facts);
}
