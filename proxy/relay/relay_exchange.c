/* proxy/relay/relay_exchange.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/relay_exchange.h"

#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/base/clock.h"
#include "proxy/base/hex.h"
#include "proxy/relay/error_page.h"
#include "proxy/relay/exchange_account.h"
#include "proxy/relay/exchange_state.h"
#include "proxy/relay/relay_tunnel.h"
#include "proxy/relay/upload_copy.h"

enum {
    FREE_EXCHANGES_MAX = 256,
    ARENA_SPARE_BYTES = 64 * 1024, /* beside the heads of request and response */
};

static const struct exchange_driver driver;

static struct relay_exchange *relayed_of(struct exchange *exchange)
{
    return LIST_OBJECT(exchange, struct relay_exchange, exchange);
}

static uint64_t now_us(const struct relay_exchange *relayed)
{
    return loop_now_us(relayed->shared->loop);
}

/* ---- birth and end ---- */

static void reap(void *self)
{
    struct relay_exchange *relayed = self;
    struct relay_shared *shared = relayed->shared;
    upload_copy_end(relayed);
    body_fini(&relayed->exchange.request_body);
    body_fini(&relayed->exchange.response_body);
    arena_reset(&relayed->exchange.arena);
    list_remove(&relayed->link);
    if (shared->free_exchange_count >= FREE_EXCHANGES_MAX) {
        free(relayed);
    } else {
        relayed->next_free = shared->free_exchanges;
        shared->free_exchanges = relayed;
        shared->free_exchange_count++;
    }
    relay_shared_leave(shared);
}

void relay_exchange_free_all(struct relay_shared *shared)
{
    while (shared->free_exchanges != NULL) {
        struct relay_exchange *relayed = shared->free_exchanges;
        shared->free_exchanges = relayed->next_free;
        free(relayed);
    }
    shared->free_exchange_count = 0;
}

static struct relay_exchange *take_free(struct relay_shared *shared)
{
    struct relay_exchange *relayed = shared->free_exchanges;
    if (relayed == NULL) {
        return malloc(sizeof(*relayed));
    }
    shared->free_exchanges = relayed->next_free;
    shared->free_exchange_count--;
    return relayed;
}

static void make_id(struct relay_exchange *relayed)
{
    uint8_t bytes[EXCHANGE_ID_BYTES / 2];
    relayed->shared->random.fill(relayed->shared->random.self, bytes, sizeof(bytes));
    hex_put_bytes(relayed->id, bytes, sizeof(bytes));
}

struct exchange *relay_exchange_open(struct client_conn *conn, const struct responder *responder)
{
    struct relay_shared *shared = conn->entry->shared;
    struct relay_exchange *relayed = take_free(shared);
    if (relayed == NULL) {
        return NULL;
    }
    *relayed = (struct relay_exchange){
        .shared = shared,
        .entry = conn->entry,
        .conn = conn,
        .backend = SIZE_MAX,
        .is_first = conn->is_first,
        /* So that the line of a request that nobody can understand says it too. */
        .protocol = responder->calls->protocol(responder),
    };
    conn->is_first = false;
    list_append(&shared->exchanges, &relayed->link);
    relay_shared_use(shared);
    relayed->checkout.server = BALANCE_NONE;
    relayed->post_reap = (struct loop_post){.run = reap, .self = relayed};
    const struct config_limits *limits = &shared->config->limits;
    struct exchange *exchange = &relayed->exchange;
    exchange->driver = &driver;
    arena_init(&exchange->arena, loop_arena_pool(shared->loop),
               2 * limits->header_bytes + 2 * limits->response_header_bytes + ARENA_SPARE_BYTES);
    exchange->request = arena_take(&exchange->arena, sizeof(*exchange->request));
    exchange->response = arena_take(&exchange->arena, sizeof(*exchange->response));
    if (exchange->request == NULL || exchange->response == NULL) {
        reap(relayed);
        return NULL;
    }
    *exchange->request = (struct message){0};
    *exchange->response = (struct message){0};
    body_init(&exchange->request_body, loop_buffer_pool(shared->loop));
    body_init(&exchange->response_body, loop_buffer_pool(shared->loop));
    make_id(relayed);
    counter_add(shared->counters, COUNTER_EXCHANGES_OPEN, 1);
    return exchange;
}

/* Over when both codecs have let go. */
static void end_if_over(struct relay_exchange *relayed)
{
    if (relayed->exchange.responder != NULL || relayed->exchange.requester != NULL) {
        return;
    }
    deadline_disarm(&relayed->tunnel_idle);
    backend_release(&relayed->checkout);
    loop_post_reap(relayed->shared->loop, &relayed->post_reap);
}

static void let_requester_go(struct relay_exchange *relayed)
{
    struct requester *requester = relayed->exchange.requester;
    if (requester != NULL) {
        requester->calls->abandon(requester);
    }
    backend_release(&relayed->checkout);
}

/* ---- our own answers ---- */

static bool fill_body(struct exchange *exchange, slice bytes)
{
    if (bytes.len == 0) {
        return true;
    }
    size_t room = 0;
    char *at = body_room(&exchange->response_body, &room);
    if (at == NULL || room < bytes.len) {
        return false;
    }
    memcpy(at, bytes.at, bytes.len);
    body_filled(&exchange->response_body, bytes.len);
    return true;
}

/* What the backend is told as Host instead of the client's own; empty: the client's own. Of several
 * servers the first one names the backend: the request may go to any of them. */
static slice sent_authority(const struct config_backend *backend)
{
    if (backend->host_header != CONFIG_HOST_HEADER_BACKEND || backend->servers[0].host == NULL) {
        return (slice){"", 0};
    }
    slice url = slice_of(backend->servers[0].url);
    slice rest = slice_from(url, slice_find(url, ':') + 1);
    while (rest.len > 0 && rest.at[0] == '/') {
        rest = slice_from(rest, 1);
    }
    return slice_first(rest, slice_find(rest, '/'));
}

static slice client_authority(const struct relay_exchange *relayed)
{
    bool was_ruled = relayed->identity.client_authority.len > 0;
    slice asked =
        was_ruled ? relayed->identity.client_authority : relayed->exchange.request->authority;
    /* A head that was refused names no host: then the one that the handshake was for. */
    const char *name = relayed->conn->tls.server_name;
    return asked.len > 0 || name == NULL ? asked : slice_of(name);
}

/* gRPC needs both directions at once and trailers on each hop; without them a call would hang or
 * end in a way that its caller does not understand. */
static bool client_lacks_duplex(const struct exchange *exchange)
{
    return !exchange->responder->calls->is_duplex && message_is_grpc(exchange->request);
}

static bool server_lacks_duplex(const struct exchange *exchange, const struct requester *requester)
{
    return !requester->calls->is_duplex && message_is_grpc(exchange->request);
}

/* The rules that hold for each response, ours and the backend's. */
static enum status rule_response(struct relay_exchange *relayed)
{
    struct exchange *exchange = &relayed->exchange;
    struct relay_shared *shared = relayed->shared;
    bool is_ours = relayed->first_byte_us == 0;
    const struct config_backend *backend =
        is_ours ? NULL : &shared->config->backends[relayed->backend];
    slice date = arena_copy(&exchange->arena, date_field_at(&shared->date, clock_wall_us()));
    if (date.at == NULL) {
        return STATUS_NOMEM;
    }
    const struct response_facts facts = {
        .is_tls = relayed->conn->tls.version != NULL,
        .client_authority = client_authority(relayed),
        .backend_authority = backend != NULL ? sent_authority(backend) : (slice){"", 0},
        .secure_cookies = backend != NULL && backend->secure_cookies,
        .date = date,
    };
    return response_rules_apply(&relayed->entry->response_rules, &facts, exchange->response,
                                &exchange->arena);
}

static void abandon(struct relay_exchange *relayed)
{
    struct responder *responder = relayed->exchange.responder;
    if (!relayed->is_logged) {
        relayed->is_logged = true;
        exchange_account(relayed);
    }
    if (responder != NULL) {
        responder->calls->abandon(responder);
    }
    let_requester_go(relayed);
    end_if_over(relayed);
}

static void respond(struct relay_exchange *relayed)
{
    struct responder *responder = relayed->exchange.responder;
    relayed->status = relayed->exchange.response->status;
    if (relayed->phase != PHASE_TUNNEL) {
        relayed->phase = PHASE_RESPONDING;
    }
    responder->calls->respond(responder);
}

/* Answers with the error page of `fault`, or ends the conn where no answer exists. */
static void answer_fault(struct relay_exchange *relayed, enum fault_code fault)
{
    struct exchange *exchange = &relayed->exchange;
    relayed->fault = fault;
    let_requester_go(relayed);
    upload_copy_end(relayed);
    if (exchange->responder == NULL) {
        end_if_over(relayed);
        return;
    }
    const struct field *accept = fields_find(&exchange->request->fields, FIELD_ACCEPT);
    const struct error_page_facts facts = {
        .fault = fault,
        .id = {relayed->id, EXCHANGE_ID_BYTES},
        .accept = accept != NULL ? accept->value : (slice){"", 0},
        .is_head = exchange->request->method == METHOD_HEAD,
        .is_grpc = message_is_grpc(exchange->request) && exchange->responder->calls->is_duplex,
    };
    slice body = {"", 0};
    relayed->first_byte_us = 0;
    *exchange->response = (struct message){0};
    if (error_page_make(&facts, exchange->response, &body, &exchange->arena) != STATUS_OK ||
        rule_response(relayed) != STATUS_OK || !fill_body(exchange, body)) {
        abandon(relayed);
        return;
    }
    body_end(&exchange->response_body);
    respond(relayed);
}

/* ---- the request ---- */

static void hand_over(struct relay_exchange *relayed, struct requester *requester)
{
    if (server_lacks_duplex(&relayed->exchange, requester)) {
        requester->calls->abandon(requester);
        answer_fault(relayed, FAULT_BACKEND_NO_GRPC);
        return;
    }
    upload_copy_begin(relayed, requester);
    relayed->phase = PHASE_WAITING;
    relayed->sent_us = now_us(relayed);
    requester->calls->request(requester, &relayed->exchange);
}

static void on_checkout(void *self, struct requester *requester, enum fault_code fault)
{
    struct relay_exchange *relayed = self;
    if (requester == NULL) {
        answer_fault(relayed, fault);
        return;
    }
    hand_over(relayed, requester);
}

static void follow_checkout(struct relay_exchange *relayed, enum status status,
                            struct requester *requester, enum fault_code fault)
{
    if (status == STATUS_OK) {
        hand_over(relayed, requester);
    } else if (status == STATUS_AGAIN) {
        relayed->phase = PHASE_CONNECTING;
    } else {
        answer_fault(relayed, fault);
    }
}

static enum fault_code rule_request(struct relay_exchange *relayed)
{
    struct exchange *exchange = &relayed->exchange;
    const struct client_conn *conn = relayed->conn;
    const struct config_backend *backend = &relayed->shared->config->backends[relayed->backend];
    struct request_rules rules = relayed->entry->request_rules;
    rules.backend_authority = sent_authority(backend);
    const struct request_facts facts = {
        .client_address = conn->address_slice,
        .client_is_trusted = conn->is_trusted,
        .listener_port = conn->listener_port,
        .is_tls = conn->tls.version != NULL,
        .tls_version = exchange_text(conn->tls.version),
        .tls_cipher = exchange_text(conn->tls.cipher),
        .tls_group = slice_of(conn->tls.group),
        .tls_is_resumed = conn->tls.is_resumed,
        .client_certificate = exchange_text(conn->tls.client_cert),
        .id = {relayed->id, EXCHANGE_ID_BYTES},
    };
    enum status status =
        request_rules_apply(&rules, &facts, &relayed->shared->random, exchange->request,
                            &exchange->arena, &relayed->identity);
    return status == STATUS_OK ? FAULT_NONE : FAULT_LIMIT_MEMORY;
}

/* For backends that are told by a PROXY header whose conn it is. */
static bool describe_client(struct relay_exchange *relayed)
{
    relayed->need = (struct conn_need){.is_tunnel = relayed->exchange.request->upgrade.len > 0};
    const struct config_backend *backend = &relayed->shared->config->backends[relayed->backend];
    if (backend->proxy_protocol == CONFIG_PROXY_PROTOCOL_OFF) {
        return true;
    }
    struct proxy_protocol *proxied = arena_take(&relayed->exchange.arena, sizeof(*proxied));
    if (proxied != NULL) {
        client_conn_describe(relayed->conn, proxied);
    }
    relayed->need.client = proxied;
    return proxied != NULL;
}

static void answer_redirect(struct relay_exchange *relayed)
{
    struct exchange *exchange = &relayed->exchange;
    enum fault_code fault = redirect_answer(&relayed->entry->redirect, exchange->request,
                                            exchange->response, &exchange->arena);
    if (fault == FAULT_NONE && rule_response(relayed) != STATUS_OK) {
        fault = FAULT_LIMIT_MEMORY;
    }
    if (fault != FAULT_NONE) {
        answer_fault(relayed, fault);
        return;
    }
    body_end(&exchange->response_body);
    respond(relayed);
}

static void on_request(struct exchange *exchange)
{
    struct relay_exchange *relayed = relayed_of(exchange);
    const struct entry *entry = relayed->entry;
    relayed->head_us = now_us(relayed);
    relayed->protocol = exchange->responder->calls->protocol(exchange->responder);
    if (entry->routes == NULL) {
        answer_redirect(relayed);
        return;
    }
    struct route_match match;
    enum fault_code fault =
        route_table_find(entry->routes, exchange->request, &exchange->arena, &match);
    if (fault == FAULT_NONE) {
        relayed->backend = match.backend;
        relayed->route = match.route;
        fault = client_lacks_duplex(exchange) ? FAULT_CLIENT_NO_GRPC : rule_request(relayed);
    }
    if (fault != FAULT_NONE) {
        answer_fault(relayed, fault);
        return;
    }
    if (!describe_client(relayed)) {
        answer_fault(relayed, FAULT_LIMIT_MEMORY);
        return;
    }
    struct requester *requester = NULL;
    enum status status =
        backend_take(relayed->shared->backends[relayed->backend], &relayed->checkout,
                     &relayed->need, on_checkout, relayed, &requester, &fault);
    follow_checkout(relayed, status, requester, fault);
}

static void on_bad_request(struct exchange *exchange, enum fault_code fault)
{
    struct relay_exchange *relayed = relayed_of(exchange);
    if (relayed->status == 0) {
        answer_fault(relayed, fault);
        return;
    }
    relayed->fault = fault;
    abandon(relayed);
}

/* ---- the response ---- */

static void on_interim(struct exchange *exchange, const struct message *interim)
{
    if (exchange->responder != NULL) {
        exchange->responder->calls->interim(exchange->responder, interim);
    }
}

static void on_tunnel_idle(void *self)
{
    struct relay_exchange *relayed = self;
    struct exchange *exchange = &relayed->exchange;
    uint64_t moved = exchange->request_body.moved_in + exchange->response_body.moved_in;
    if (moved == relayed->tunnel_moved) {
        relayed->fault = FAULT_TIMEOUT_TUNNEL;
        body_cut(&exchange->response_body, FAULT_TIMEOUT_TUNNEL);
        abandon(relayed);
        return;
    }
    relayed->tunnel_moved = moved;
    deadline_arm(&relayed->tunnel_idle, relayed->shared->loop,
                 relayed->shared->config->timeouts.tunnel_idle_ms, on_tunnel_idle, relayed);
}

static void begin_tunnel(struct relay_exchange *relayed)
{
    relayed->phase = PHASE_TUNNEL;
    counter_add(relayed->shared->counters, COUNTER_TUNNELS_OPEN, 1);
    deadline_arm(&relayed->tunnel_idle, relayed->shared->loop,
                 relayed->shared->config->timeouts.tunnel_idle_ms, on_tunnel_idle, relayed);
}

static bool client_takes_tunnel(const struct exchange *exchange)
{
    const struct responder *responder = exchange->responder;
    return responder->calls->takes_tunnel == NULL || responder->calls->takes_tunnel(responder);
}

static void on_response(struct exchange *exchange)
{
    struct relay_exchange *relayed = relayed_of(exchange);
    bool is_tunnel = exchange->response->framing.kind == FRAMING_TUNNEL;
    relayed->first_byte_us = now_us(relayed);
    upload_copy_end(relayed);
    if (!is_tunnel && exchange->request->upgrade.len > 0) {
        /* Refused: nothing follows the head, not even what the client sent too early. */
        body_take(&exchange->request_body, body_bytes(&exchange->request_body).len);
        body_end(&exchange->request_body);
    }
    if (is_tunnel && !client_takes_tunnel(exchange)) {
        answer_fault(relayed, FAULT_BACKEND_UPGRADE);
        return;
    }
    if (rule_response(relayed) != STATUS_OK) {
        answer_fault(relayed, FAULT_LIMIT_MEMORY);
        return;
    }
    if (is_tunnel) {
        begin_tunnel(relayed);
    }
    respond(relayed);
    if (is_tunnel && relay_tunnel_begin(relayed)) {
        deadline_disarm(&relayed->tunnel_idle);
        loop_post_reap(relayed->shared->loop, &relayed->post_reap);
    }
}

/* ---- one generation after the other ---- */

static struct relay_exchange *relayed_of_link(struct list_link *link)
{
    return LIST_OBJECT(link, struct relay_exchange, link);
}

static bool is_continued(const struct relay_exchange *relayed)
{
    const struct entry *successor = relayed->entry->successor;
    const struct message *request = relayed->exchange.request;
    bool was_ruled = relayed->identity.client_authority.len > 0;
    size_t backend = 0;
    return successor != NULL &&
           (relayed->backend == SIZE_MAX ||
            entry_leads_to(successor,
                           was_ruled ? relayed->identity.client_authority : request->authority,
                           request->path, exchange_text(relayed->checkout.server_url), &backend));
}

bool relay_exchange_follow(struct list_link *link, uint64_t drain_at_ms)
{
    struct relay_exchange *relayed = relayed_of_link(link);
    if (is_continued(relayed)) {
        relayed->drain_at_ms = 0;
    } else if (relayed->drain_at_ms == 0) {
        relayed->drain_at_ms = drain_at_ms;
    }
    return relayed->drain_at_ms > 0;
}

uint64_t relay_exchange_drain(struct list_link *link, uint64_t now_ms)
{
    struct relay_exchange *relayed = relayed_of_link(link);
    if (relayed->drain_at_ms == 0 || relayed->drain_at_ms > now_ms) {
        return relayed->drain_at_ms;
    }
    relayed->drain_at_ms = 0;
    if (relayed->exchange.responder != NULL) {
        relayed->fault = FAULT_DRAIN_DEADLINE;
        body_cut(&relayed->exchange.response_body, FAULT_DRAIN_DEADLINE);
        abandon(relayed);
    }
    return 0;
}

static bool may_be_repeated(const struct message *request, enum request_fate fate)
{
    return fate == FATE_UNSEEN ||
           (fate == FATE_PROBABLY_UNSEEN && method_is_idempotent(request->method));
}

static void on_request_failed(struct exchange *exchange, enum fault_code fault,
                              enum request_fate fate)
{
    struct relay_exchange *relayed = relayed_of(exchange);
    if (exchange->responder == NULL) {
        end_if_over(relayed);
        return;
    }
    if (may_be_repeated(exchange->request, fate) && body_rewind(&exchange->request_body)) {
        struct requester *requester = NULL;
        enum fault_code retry_fault = fault;
        enum status status =
            backend_take_another(&relayed->checkout, fate == FATE_UNSEEN, &requester, &retry_fault);
        follow_checkout(relayed, status, requester, status == STATUS_REFUSED ? fault : retry_fault);
        return;
    }
    answer_fault(relayed, fault);
}

static void on_requester_done(struct exchange *exchange)
{
    struct relay_exchange *relayed = relayed_of(exchange);
    backend_release(&relayed->checkout);
    if (relayed->phase == PHASE_TUNNEL) {
        /* Nobody is left to hear the client's direction. */
        body_made_room(&exchange->request_body);
        body_cut(&exchange->request_body, FAULT_BACKEND_TRUNCATED);
    }
    end_if_over(relayed);
}

static void on_responded(struct exchange *exchange, enum fault_code fault)
{
    struct relay_exchange *relayed = relayed_of(exchange);
    if (fault != FAULT_NONE) {
        relayed->fault = fault;
    }
    if (!relayed->is_logged) {
        relayed->is_logged = true;
        exchange_account(relayed);
    }
    /* A requester whose both directions are complete is about to let go by itself, and its conn
     * can be used again. In a tunnel the last bytes of the client count, though its server has said
     * all it had to say. */
    bool is_sent = relayed->phase == PHASE_TUNNEL ? exchange->request_body.state == BODY_ENDED
                                                  : body_is_done(&exchange->request_body);
    bool is_complete =
        fault == FAULT_NONE && exchange->response_body.state == BODY_ENDED && is_sent;
    if (!is_complete || exchange->requester == NULL) {
        let_requester_go(relayed);
    }
    end_if_over(relayed);
}

static const struct exchange_driver driver = {
    .on_request = on_request,
    .on_bad_request = on_bad_request,
    .on_responded = on_responded,
    .on_interim = on_interim,
    .on_response = on_response,
    .on_request_failed = on_request_failed,
    .on_requester_done = on_requester_done,
};
