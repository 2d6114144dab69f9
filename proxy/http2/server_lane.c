/* proxy/http2/server_lane.c
 *
 * One exchange on a client's conn: request, response, and the pace that is asked of the client.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/base/assert.h"
#include "proxy/base/pool.h"
#include "proxy/http2/head.h"
#include "proxy/http2/limits.h"
#include "proxy/http2/priority.h"
#include "proxy/http2/server_state.h"
#include "proxy/http2/websocket.h"

/* A window that was full opens again in one large step: a steady reader may take nothing for a
 * while, and only one that takes nothing for several checks in a row is slow. */
enum { SLOW_CHECKS_MAX = 3 };

static void arm_lane(struct server_lane *served);

static struct server_lane *served_of(struct lane *lane)
{
    return LIST_OBJECT(lane, struct server_lane, lane);
}

/* ---- the end of exchanges ---- */

static void reap_lane(void *self)
{
    struct server_lane *served = self;
    pool_give(loop_small_pool(served->lane.framer->loop), served);
}

static void end_exchange(struct server_lane *served, enum fault_code fault)
{
    struct exchange *exchange = lane_let_go(&served->lane);
    deadline_disarm(&served->deadline);
    if (exchange != NULL) {
        exchange->responder = NULL;
        exchange->driver->on_responded(exchange, fault);
    }
}

/* Ends the stream too. */
static void cut(struct server_lane *served, uint32_t code, enum fault_code fault)
{
    lane_reset(&served->lane, code);
    end_exchange(served, fault);
}

/* Harmless when repeated. */
static void forget_lane(struct server_lane *served)
{
    struct framer *framer = served->lane.framer;
    if (!list_has(&served->lane.link)) {
        return;
    }
    list_remove(&served->lane.ready);
    list_remove(&served->lane.link);
    framer->lane_count--;
    loop_post_reap(framer->loop, &served->lane.post_reap);
}

void server_lane_end(struct lane *lane, enum fault_code fault)
{
    struct server_lane *served = served_of(lane);
    end_exchange(served, fault);
    forget_lane(served);
}

/* ---- the minimum rate, either way ---- */

/* Does our side wait for the client: for its windows, or for its conn to take what was written? */
static bool waits_for_reader(const struct server_lane *served)
{
    const struct lane *lane = &served->lane;
    return served->is_responded && !lane->is_sent && lane->out != NULL &&
           (!buffer_is_empty(&lane->out->bytes) || lane->out->state == BODY_ENDED);
}

static bool waits_for_body(const struct server_lane *served)
{
    const struct lane *lane = &served->lane;
    bool may_begin = served->is_continued || lane->received > 0;
    bool is_for_tunnel = lane->exchange->request->upgrade.len > 0; /* begins with the response */
    bool may_send = nghttp2_session_get_local_window_size(lane->framer->library) > 0;
    return !lane->is_in_ended && !is_for_tunnel && !served->is_refused && may_begin && may_send &&
           lane->in != NULL && buffer_is_empty(&lane->in->bytes);
}

static bool is_rated(const struct server_lane *served)
{
    return !served->is_tunnel && !served->lane.is_grpc;
}

static void refuse(struct server_lane *served, enum fault_code fault)
{
    struct exchange *exchange = served->lane.exchange;
    served->is_refused = true;
    body_cut(&exchange->request_body, fault);
    exchange->driver->on_bad_request(exchange, fault);
}

/* What the client takes of the conn goes to other streams, and what there is of it is too little
 * to be used. */
static bool waits_for_others(const struct server_lane *served, uint64_t acknowledged,
                             uint64_t least)
{
    const struct framer *framer = served->lane.framer;
    bool is_full = stream_is_stalled(framer->stream) ||
                   nghttp2_session_get_remote_window_size(framer->library) < H2_WHOLE_BYTES;
    return is_full && acknowledged - served->rate_acknowledged >= least;
}

static void on_lane_deadline(void *self)
{
    struct server_lane *served = self;
    struct lane *lane = &served->lane;
    const struct server_settings *settings = served->server->start.settings;
    uint64_t least = settings->minimum_rate * settings->rate_grace_ms / 1000;
    uint64_t sent = lane->exchange->response_body.moved_out;
    uint64_t acknowledged = stream_acknowledged_bytes(lane->framer->stream);
    bool is_slow_sender = waits_for_body(served) && lane->received - served->rate_received < least;
    bool is_slow_reader = waits_for_reader(served) && sent - served->rate_sent < least &&
                          !waits_for_others(served, acknowledged, least);
    served->rate_received = lane->received;
    served->rate_sent = sent;
    served->rate_acknowledged = acknowledged;
    served->slow_checks = is_slow_reader ? (uint8_t)(served->slow_checks + 1) : 0;
    if (served->slow_checks >= SLOW_CHECKS_MAX) {
        cut(served, NGHTTP2_ENHANCE_YOUR_CALM, FAULT_TIMEOUT_SEND);
        return;
    }
    if (is_slow_sender) {
        refuse(served, FAULT_TIMEOUT_BODY);
    }
    if (lane->exchange != NULL) {
        arm_lane(served);
    }
}

static void arm_lane(struct server_lane *served)
{
    const struct server_settings *settings = served->server->start.settings;
    /* Whether there is something to wait for is looked at when the time has come. */
    bool is_sending = served->is_responded && !served->lane.is_sent;
    bool is_watched =
        settings->minimum_rate > 0 && is_rated(served) && (!served->lane.is_in_ended || is_sending);
    deadline_arm(&served->deadline, served->server->start.loop,
                 is_watched ? settings->rate_grace_ms : 0, on_lane_deadline, served);
}

/* ---- requests ---- */

static const struct responder_calls responder_calls;

struct lane *server_lane_open(struct framer *framer, int32_t id)
{
    struct http2_server *server = http2_server_of_framer(framer);
    struct pool *pool = loop_small_pool(framer->loop);
    struct server_lane *served = pool_take(pool, sizeof(*served));
    if (served == NULL) {
        return NULL;
    }
    *served = (struct server_lane){0};
    served->responder.calls = &responder_calls;
    served->server = server;
    struct exchange *exchange =
        server->start.source.open(server->start.source.self, &served->responder);
    if (exchange == NULL) {
        pool_give(pool, served);
        return NULL;
    }
    exchange->responder = &served->responder;
    exchange->began_us = loop_now_us(server->start.loop);
    lane_open(&served->lane, framer, id, exchange, reap_lane, served);
    server->requests++;
    return &served->lane;
}

static void prioritise(struct server_lane *served)
{
    const struct field *field =
        fields_find(&served->lane.exchange->request->fields, FIELD_PRIORITY);
    if (field == NULL) {
        return;
    }
    struct priority priority = priority_parse(field->value);
    const nghttp2_extpri wanted = {.urgency = priority.urgency, .inc = priority.is_incremental};
    (void)nghttp2_session_change_extpri_stream_priority(served->lane.framer->library,
                                                        served->lane.id, &wanted, 0);
}

void server_lane_parse_head(struct lane *lane, struct block *block, bool is_last)
{
    struct server_lane *served = served_of(lane);
    const struct server_settings *settings = served->server->start.settings;
    struct message *request = lane->exchange->request;
    const struct block_facts facts = {
        .is_last = is_last,
        .takes_tunnels = settings->takes_tunnels,
        .scheme = served->server->start.scheme,
    };
    lane->has_head = true;
    lane->fault = block_to_request(block, &facts, request);
    if (lane->fault == FAULT_NONE && request->framing.kind == FRAMING_LENGTH &&
        settings->body_bytes > 0 && request->framing.length > settings->body_bytes) {
        lane->fault = FAULT_LIMIT_BODY_BYTES;
    }
    if (lane->fault == FAULT_NONE) {
        bool is_tunnel = request->upgrade.len > 0;
        lane->is_grpc = message_is_grpc(request);
        const struct framing tunnel = {.kind = FRAMING_TUNNEL};
        lane_receive_into(lane, &lane->exchange->request_body,
                          is_tunnel ? &tunnel : &request->framing,
                          is_tunnel ? 0 : settings->body_bytes);
        prioritise(served);
    }
    lane_note(lane, LANE_HEAD);
}

/* What cannot be understood gets no page (RFC 9113 §8.1.1): who sends it may want to see what two
 * servers make of the answer. */
static void refuse_head(struct server_lane *served)
{
    enum fault_code fault = served->lane.fault;
    if (block_fault_has_answer(fault)) {
        refuse(served, fault);
        return;
    }
    meter_charge_reset(&served->lane.framer->meter);
    cut(served, NGHTTP2_PROTOCOL_ERROR, fault);
}

void server_lane_on_head(struct lane *lane)
{
    struct server_lane *served = served_of(lane);
    struct http2_server *server = served->server;
    struct exchange *exchange = lane->exchange;
    server->is_rested = false;
    uint64_t most = server->start.settings->requests_per_conn;
    if (most > 0 && server->requests >= most) {
        http2_server_drain(server);
    }
    /* A fault that came with the content is told after the head. */
    bool is_head_bad = lane->fault != FAULT_NONE && lane->in == NULL;
    if (is_head_bad) {
        refuse_head(served);
        return;
    }
    served->is_continued = !exchange->request->expects_continue;
    exchange->driver->on_request(exchange);
    if (lane->exchange != NULL) {
        arm_lane(served);
    }
}

void server_lane_on_bad_content(struct lane *lane)
{
    struct server_lane *served = served_of(lane);
    if (block_fault_has_answer(lane->fault)) {
        refuse(served, lane->fault);
        return;
    }
    meter_charge_reset(&lane->framer->meter);
    cut(served, NGHTTP2_PROTOCOL_ERROR, lane->fault);
}

/* ---- responses ---- */

/* A stream without frames to come: the conn may be idle now, or done. */
static void leave(struct server_lane *served)
{
    struct http2_server *server = served->server;
    forget_lane(served);
    if (server->framer.lane_count == 0) {
        http2_server_arm(server);
        framer_wake(&server->framer);
    }
}

/* The client's direction of a tunnel goes on, or waits for room. */
static bool is_half_open(const struct server_lane *served)
{
    const struct lane *lane = &served->lane;
    return served->is_tunnel && lane->in != NULL && lane->in->state == BODY_OPEN;
}

static void finish(struct server_lane *served)
{
    struct lane *lane = &served->lane;
    if (is_half_open(served)) {
        return;
    }
    if (!lane->is_in_ended) {
        /* RFC 9113 §8.1: the response is complete; what is left of the request is not wanted. */
        lane_reset(lane, NGHTTP2_NO_ERROR);
    }
    end_exchange(served, FAULT_NONE);
    if (served->is_over) {
        leave(served);
    }
}

void server_lane_on_moved(struct lane *lane)
{
    if (lane->is_sent) {
        finish(served_of(lane));
    }
}

void server_lane_on_closed(struct lane *lane)
{
    struct server_lane *served = served_of(lane);
    struct exchange *exchange = lane->exchange;
    if (exchange != NULL && lane->is_sent && lane->is_in_ended && is_half_open(served)) {
        served->is_over = true;
        return;
    }
    if (exchange != NULL) {
        bool is_cut = lane->out != NULL && lane->out->state == BODY_CUT;
        bool is_whole = lane->is_sent && (lane->is_in_ended || lane->code == NGHTTP2_NO_ERROR);
        enum fault_code reset =
            lane->code == NGHTTP2_FLOW_CONTROL_ERROR ? FAULT_H2_PROTOCOL : FAULT_CLIENT_RESET;
        enum fault_code fault = is_cut ? lane->out->fault : reset;
        end_exchange(served, is_whole ? FAULT_NONE : fault);
    }
    leave(served);
}

static struct server_lane *served_of_responder(struct responder *responder)
{
    return LIST_OBJECT(responder, struct server_lane, responder);
}

static void interim(struct responder *responder, const struct message *message)
{
    struct server_lane *served = served_of_responder(responder);
    struct lane *lane = &served->lane;
    struct head head;
    served->is_continued = true;
    if (served->is_responded || lane->is_closed ||
        head_of_response(message, &lane->exchange->arena, &head) != FAULT_NONE) {
        return;
    }
    (void)nghttp2_submit_headers(lane->framer->library, NGHTTP2_FLAG_NONE, lane->id, NULL, head.at,
                                 head.count, NULL);
    framer_wake(lane->framer);
}

static bool has_content(const struct exchange *exchange)
{
    const struct message *response = exchange->response;
    bool is_head = exchange->request->method == METHOD_HEAD;
    bool is_empty =
        response->framing.kind == FRAMING_NONE || is_head ||
        (body_is_done(&exchange->response_body) && exchange->response_body.trailers == NULL);
    return !is_empty;
}

static bool submit_response(struct server_lane *served)
{
    struct lane *lane = &served->lane;
    struct exchange *exchange = lane->exchange;
    struct head head;
    if (head_of_response(exchange->response, &exchange->arena, &head) != FAULT_NONE) {
        return false;
    }
    const nghttp2_data_provider provider = lane_provider(lane);
    return nghttp2_submit_response(lane->framer->library, lane->id, head.at, head.count,
                                   has_content(exchange) ? &provider : NULL) == 0;
}

static void respond(struct responder *responder)
{
    struct server_lane *served = served_of_responder(responder);
    struct lane *lane = &served->lane;
    assert_always(!served->is_responded);
    served->is_responded = true;
    served->is_tunnel = lane->exchange->response->framing.kind == FRAMING_TUNNEL;
    if (lane->is_closed) {
        return; /* on_closed is on its way */
    }
    /* Whoever drives the exchange has asked takes_tunnel before; a tunnel to somebody who did not
     * agree to one must not begin all the same. */
    if (served->is_tunnel &&
        !websocket_is_accepted(lane->exchange->request, lane->exchange->response)) {
        cut(served, NGHTTP2_INTERNAL_ERROR, FAULT_BACKEND_UPGRADE);
        return;
    }
    if (!submit_response(served)) {
        cut(served, NGHTTP2_INTERNAL_ERROR, FAULT_INTERNAL);
        return;
    }
    lane_send_from(lane, &lane->exchange->response_body);
    arm_lane(served);
}

static void abandon(struct responder *responder)
{
    struct server_lane *served = served_of_responder(responder);
    struct exchange *exchange = served->lane.exchange;
    const struct body *response = &exchange->response_body;
    enum fault_code fault = response->state == BODY_CUT ? response->fault : FAULT_INTERNAL;
    lane_reset(&served->lane, lane_code_of(fault));
    deadline_disarm(&served->deadline);
    exchange->responder = NULL;
    (void)lane_let_go(&served->lane);
    if (served->is_over) {
        leave(served);
    }
}

static slice protocol(const struct responder *responder)
{
    (void)responder;
    return SLICE("HTTP/2");
}

static bool takes_tunnel(const struct responder *responder)
{
    const struct exchange *exchange =
        served_of_responder((struct responder *)(uintptr_t)responder)->lane.exchange;
    return websocket_is_accepted(exchange->request, exchange->response);
}

static const struct responder_calls responder_calls = {
    .interim = interim,
    .takes_tunnel = takes_tunnel,
    .respond = respond,
    .abandon = abandon,
    .protocol = protocol,
    .is_duplex = true,
};
