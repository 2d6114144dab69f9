/* proxy/http2/client_lane.c
 *
 * One exchange on a conn to a server: its place there, request, response, and the deadline.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/base/assert.h"
#include "proxy/base/pool.h"
#include "proxy/http2/client_state.h"
#include "proxy/http2/head.h"
#include "proxy/http2/websocket.h"

static void arm_lane(struct client_lane *asked);

static struct client_lane *asked_of(struct lane *lane)
{
    return LIST_OBJECT(lane, struct client_lane, lane);
}

/* ---- the end of exchanges ---- */

static void reap_lane(void *self)
{
    struct client_lane *asked = self;
    pool_give(asked->pool, asked);
}

void client_lane_forget(struct client_lane *asked)
{
    if (!list_has(&asked->lane.link)) {
        return;
    }
    list_remove(&asked->lane.ready);
    list_remove(&asked->lane.link);
    asked->client->framer.lane_count--;
    loop_post_reap(asked->client->start.loop, &asked->lane.post_reap);
}

static struct exchange *let_go(struct client_lane *asked)
{
    struct exchange *exchange = asked->lane.exchange;
    deadline_disarm(&asked->deadline);
    list_remove(&asked->waiting);
    if (asked->is_open) {
        (void)lane_let_go(&asked->lane);
    }
    asked->lane.exchange = NULL;
    if (exchange != NULL) {
        exchange->requester = NULL;
    }
    return exchange;
}

/* The exchange's place is free again; the lane goes when the library knows its stream no more. */
static void leave(struct client_lane *asked)
{
    struct http2_client *client = asked->client;
    client->lanes--;
    client->grpc_lanes -= asked->lane.is_grpc ? 1 : 0;
    if (!asked->is_open) {
        loop_post_reap(client->start.loop, &asked->lane.post_reap);
    } else if (asked->is_over) {
        client_lane_forget(asked);
    }
    if (client->framer.stream == NULL) {
        return;
    }
    if (client->is_leaving) {
        framer_wake(&client->framer);
        return;
    }
    client->start.on_room(client->start.self, client->lanes == 0);
}

void client_lane_fail(struct client_lane *asked, enum fault_code fault, enum request_fate fate)
{
    bool has_response = asked->is_responded;
    struct exchange *exchange = let_go(asked);
    if (exchange == NULL) {
        return;
    }
    lane_reset(&asked->lane, NGHTTP2_CANCEL);
    leave(asked);
    if (!has_response) {
        exchange->driver->on_request_failed(exchange, fault, fate);
        return;
    }
    body_cut(&exchange->response_body, fault);
    body_offer(&exchange->response_body);
    exchange->driver->on_requester_done(exchange);
}

static void finish(struct client_lane *asked)
{
    struct exchange *exchange = let_go(asked);
    asked->client->has_served = true;
    leave(asked);
    exchange->driver->on_requester_done(exchange);
}

/* Bytes that came since the request left show that the server was there to read it. */
enum request_fate client_lane_fate(const struct client_lane *asked)
{
    const struct http2_client *client = asked->client;
    if (!asked->lane.is_begun) {
        return FATE_UNSEEN;
    }
    bool is_stale = client->has_served && !asked->is_responded &&
                    client->framer.read_at_ms < asked->submitted_ms;
    return is_stale ? FATE_PROBABLY_UNSEEN : FATE_UNKNOWN;
}

/* ---- the deadline ---- */

static void on_lane_deadline(void *self)
{
    struct client_lane *asked = self;
    const struct lane *lane = &asked->lane;
    const struct body *request = &lane->exchange->request_body;
    const struct body *response = &lane->exchange->response_body;
    bool waits_for_client = asked->is_open && !lane->is_sent && buffer_is_empty(&request->bytes) &&
                            request->state == BODY_OPEN;
    bool is_full = !buffer_is_empty(&response->bytes); /* its client is slow, not the server */
    bool has_moved =
        request->moved_out != asked->rate_sent || response->moved_in != asked->rate_received;
    asked->rate_sent = request->moved_out;
    asked->rate_received = response->moved_in;
    if (has_moved || waits_for_client || is_full) {
        arm_lane(asked);
        return;
    }
    client_lane_fail(asked, FAULT_TIMEOUT_RESPONSE, FATE_UNKNOWN);
}

/* Calls of gRPC may be open for days without a word; PING finds out whether the conn lives, and
 * the caller's own deadline ends them. */
static void arm_lane(struct client_lane *asked)
{
    bool is_open_ended = asked->is_tunnel || asked->lane.is_grpc;
    uint64_t after_ms = is_open_ended ? 0 : asked->client->start.settings->response_ms;
    deadline_arm(&asked->deadline, asked->client->start.loop, after_ms, on_lane_deadline, asked);
}

/* ---- requests ---- */

static bool has_content(const struct exchange *exchange)
{
    const struct message *request = exchange->request;
    bool is_empty =
        request->framing.kind == FRAMING_NONE ||
        (body_is_done(&exchange->request_body) && exchange->request_body.trailers == NULL);
    return request->upgrade.len > 0 || !is_empty;
}

static enum fault_code submit(struct client_lane *asked)
{
    struct http2_client *client = asked->client;
    struct lane *lane = &asked->lane;
    struct exchange *exchange = lane->exchange;
    struct head head;
    enum fault_code fault = head_of_request(exchange->request, &exchange->arena, &head);
    if (fault != FAULT_NONE) {
        return fault;
    }
    const nghttp2_data_provider provider = lane_provider(lane);
    int32_t id = nghttp2_submit_request(client->framer.library, NULL, head.at, head.count,
                                        has_content(exchange) ? &provider : NULL, lane);
    if (id < 0) {
        return id == NGHTTP2_ERR_NOMEM ? FAULT_LIMIT_MEMORY : FAULT_BACKEND_RESET;
    }
    lane_open(lane, &client->framer, id, exchange, reap_lane, asked);
    asked->is_open = true;
    return FAULT_NONE;
}

void client_lane_begin(struct client_lane *asked)
{
    struct http2_client *client = asked->client;
    struct lane *lane = &asked->lane;
    struct exchange *exchange = lane->exchange;
    bool is_upgrade = exchange->request->upgrade.len > 0;
    if (is_upgrade && nghttp2_session_get_remote_settings(
                          client->framer.library, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) != 1) {
        client_lane_fail(asked, FAULT_BACKEND_NO_TUNNEL, FATE_UNKNOWN);
        return;
    }
    asked->submitted_ms = loop_now_ms(client->start.loop);
    enum fault_code fault = submit(asked);
    if (fault != FAULT_NONE) {
        bool is_conns = fault == FAULT_BACKEND_RESET;
        client_lane_fail(asked, fault, is_conns ? FATE_UNSEEN : FATE_UNKNOWN);
        return;
    }
    arm_lane(asked);
    http2_client_watch(client);
    if (!is_upgrade) {
        lane_send_from(lane, &exchange->request_body);
    }
    framer_wake(&client->framer);
}

static struct client_lane *asked_of_requester(struct requester *requester)
{
    return LIST_OBJECT(requester, struct client_lane, requester);
}

/* RFC 8441 §3: an extended CONNECT may be sent only to a server that has offered it. Other
 * exchanges wait too, all but the first one: how many the server takes is in its SETTINGS, and to
 * one that takes few a burst would be an attack. */
static void request(struct requester *requester, struct exchange *exchange)
{
    struct client_lane *asked = asked_of_requester(requester);
    struct http2_client *client = asked->client;
    assert_always(asked->lane.exchange == NULL && !asked->is_open);
    asked->lane.exchange = exchange;
    asked->lane.is_grpc = message_is_grpc(exchange->request);
    client->grpc_lanes += asked->lane.is_grpc ? 1 : 0;
    exchange->requester = requester;
    if (client->framer.stream == NULL) {
        client_lane_fail(asked, FAULT_BACKEND_RESET, FATE_UNSEEN);
        return;
    }
    bool must_wait = client->has_begun || exchange->request->upgrade.len > 0;
    if (must_wait && !client->has_settings) {
        list_append(&client->waiting, &asked->waiting);
        arm_lane(asked);
        return;
    }
    client->has_begun = true;
    client_lane_begin(asked);
}

static void abandon(struct requester *requester)
{
    struct client_lane *asked = asked_of_requester(requester);
    (void)let_go(asked);
    lane_reset(&asked->lane, NGHTTP2_CANCEL);
    leave(asked);
}

static const struct requester_calls requester_calls = {
    .request = request,
    .abandon = abandon,
    .is_duplex = true,
    .may_be_refused = true,
};

struct requester *client_lane_new(struct http2_client *client)
{
    struct pool *pool = loop_small_pool(client->start.loop);
    struct client_lane *asked = pool_take(pool, sizeof(*asked));
    if (asked == NULL) {
        return NULL;
    }
    *asked = (struct client_lane){0};
    asked->requester.calls = &requester_calls;
    asked->client = client;
    asked->pool = pool;
    asked->lane.framer = &client->framer;
    asked->lane.is_closed = true; /* until the library has a stream for it */
    asked->lane.post_reap = (struct loop_post){.run = reap_lane, .self = asked};
    client->lanes++;
    return &asked->requester;
}

/* ---- responses ---- */

void client_lane_parse_head(struct lane *lane, struct block *block, bool is_last)
{
    struct exchange *exchange = lane->exchange;
    const struct block_facts facts = {
        .is_last = is_last,
        .method = exchange->request->method,
        .upgrade_was_asked = exchange->request->upgrade.len > 0,
    };
    struct message response;
    lane->fault = block_to_response(block, &facts, &response);
    if (lane->fault == FAULT_NONE && response.status < 200 &&
        response.framing.kind != FRAMING_TUNNEL) {
        exchange->driver->on_interim(exchange, &response);
        return;
    }
    if (lane->fault == FAULT_NONE && response.framing.kind == FRAMING_TUNNEL) {
        lane->fault = websocket_add_accept(exchange->request, &response, &exchange->arena);
    }
    lane->has_head = true;
    *exchange->response = response;
    if (lane->fault == FAULT_NONE) {
        lane_receive_into(lane, &exchange->response_body, &response.framing, 0);
    }
    lane_note(lane, LANE_HEAD);
}

void client_lane_on_head(struct lane *lane)
{
    struct client_lane *asked = asked_of(lane);
    struct exchange *exchange = lane->exchange;
    bool is_head_bad = lane->fault != FAULT_NONE && lane->in == NULL;
    if (is_head_bad) {
        client_lane_fail(asked, lane->fault, FATE_UNKNOWN);
        return;
    }
    asked->is_responded = true;
    if (exchange->response->framing.kind == FRAMING_TUNNEL) {
        asked->is_tunnel = true;
        arm_lane(asked);
        lane_send_from(lane, &exchange->request_body);
    }
    exchange->driver->on_response(exchange);
    bool was_refused = exchange->request->upgrade.len > 0 && !asked->is_tunnel;
    if (was_refused && lane->exchange != NULL) {
        lane_send_from(lane, &exchange->request_body); /* nothing but its end */
    }
}

/* A length that differs is a response that was cut, or worse. */
void client_lane_on_bad_content(struct lane *lane)
{
    client_lane_fail(asked_of(lane),
                     lane->fault == FAULT_LIMIT_MEMORY ? FAULT_LIMIT_MEMORY
                                                       : FAULT_BACKEND_RESPONSE,
                     FATE_UNKNOWN);
}

void client_lane_on_moved(struct lane *lane)
{
    bool is_received = lane->in != NULL && lane->in->state == BODY_ENDED;
    if (is_received && (lane->is_sent || lane->is_closed)) {
        finish(asked_of(lane));
    }
}

/* A call of gRPC that its server cancels must not look to its client like an error of the proxy. */
static enum fault_code reset_fault(const struct client_lane *asked)
{
    if (asked->lane.code == NGHTTP2_CANCEL) {
        return FAULT_BACKEND_CANCELLED;
    }
    return asked->is_responded ? FAULT_BACKEND_TRUNCATED : FAULT_BACKEND_RESET;
}

void client_lane_on_closed(struct lane *lane)
{
    struct client_lane *asked = asked_of(lane);
    bool is_received = lane->in != NULL && lane->in->state == BODY_ENDED;
    if (lane->exchange != NULL && is_received) {
        finish(asked); /* what was left of the request was not wanted */
    } else if (lane->exchange != NULL && asked->is_responded && lane->in != NULL &&
               lane->is_in_ended && lane->fault == FAULT_NONE) {
        asked->is_over = true; /* all of it is here, and waits for room */
        return;
    } else if (lane->exchange != NULL) {
        bool was_refused = lane->code == NGHTTP2_REFUSED_STREAM || !lane->is_begun;
        client_lane_fail(asked, reset_fault(asked), was_refused ? FATE_UNSEEN : FATE_UNKNOWN);
    }
    client_lane_forget(asked);
}
