/* proxy/http2/client.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/client.h"

#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/base/pool.h"
#include "proxy/http2/framer.h"
#include "proxy/http2/head.h"
#include "proxy/http2/limits.h"
#include "proxy/http2/websocket.h"

struct http2_client {
    struct client_codec codec;
    struct client_codec_start start;
    struct framer framer;
    size_t lanes;        /* exchanges that run, waiting ones and promised ones included */
    size_t grpc_lanes;   /* those of them that are calls of gRPC */
    struct list waiting; /* of struct client_lane: for the server's SETTINGS */
    bool has_begun;      /* one exchange did not wait for them */
    bool has_settings;
    bool is_leaving;     /* takes no more exchanges */
    bool is_asked;       /* a PING waits for its answer */
    uint64_t pong_at_ms; /* when the last answer came */
    bool has_served;
    struct deadline ping;
    struct loop_post post_reap;
};

/* One exchange. */
struct client_lane {
    struct lane lane;
    struct requester requester;
    struct http2_client *client;
    struct pool *pool; /* where it comes from; the conn may be gone before it */
    struct list_link waiting;
    bool is_open;      /* the library has a stream for it */
    bool is_responded; /* the driver was told of the response */
    bool is_tunnel;
    bool is_grpc;
    uint64_t submitted_ms;
    uint64_t rate_sent;
    uint64_t rate_received;
    struct deadline deadline;
    bool is_over; /* the library knows the stream no more, and content still waits for room */
};

static void arm_lane(struct client_lane *asked);
static void arm_ping(struct http2_client *client);

static struct http2_client *client_of_framer(struct framer *framer)
{
    return LIST_OBJECT(framer, struct http2_client, framer);
}

static struct client_lane *asked_of(struct lane *lane)
{
    return LIST_OBJECT(lane, struct client_lane, lane);
}

/* ---- room ---- */

static bool has_room(struct client_codec *codec)
{
    struct http2_client *client = LIST_OBJECT(codec, struct http2_client, codec);
    nghttp2_session *library = client->framer.library;
    uint32_t most =
        nghttp2_session_get_remote_settings(library, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    uint32_t bounded = most < H2_SERVER_STREAMS ? most : H2_SERVER_STREAMS;
    return client->framer.stream != NULL && !client->is_leaving && client->lanes < bounded &&
           nghttp2_session_check_request_allowed(library) != 0;
}

/* ---- the end of exchanges ---- */

static void reap_lane(void *self)
{
    struct client_lane *asked = self;
    pool_give(asked->pool, asked);
}

/* Harmless when repeated. */
static void forget_lane(struct client_lane *asked)
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
    client->grpc_lanes -= asked->is_grpc ? 1 : 0;
    if (!asked->is_open) {
        loop_post_reap(client->start.loop, &asked->lane.post_reap);
    } else if (asked->is_over) {
        forget_lane(asked);
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

/* The exchange cannot go on. Before a response that is a failure; later the body is cut, so that
 * the client can tell. */
static void fail(struct client_lane *asked, enum fault_code fault, enum request_fate fate)
{
    bool has_response = asked->is_responded;
    struct exchange *exchange = let_go(asked);
    if (exchange == NULL) {
        return;
    }
    lane_reset(&asked->lane, NGHTTP2_CANCEL);
    leave(asked);
    if (!has_response) {
        bool is_whole = exchange->request_body.moved_out == 0;
        exchange->driver->on_request_failed(exchange, fault, is_whole ? fate : FATE_UNKNOWN);
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

/* ---- the end of the conn ---- */

static void reap(void *self)
{
    struct http2_client *client = self;
    framer_fini(&client->framer);
    free(client);
}

/* Bytes that came since the request left show that the server was there to read it. */
static enum request_fate fate_of(const struct client_lane *asked)
{
    const struct http2_client *client = asked->client;
    if (!asked->lane.is_begun) {
        return FATE_UNSEEN;
    }
    bool is_stale = client->has_served && !asked->is_responded &&
                    client->framer.read_at_ms < asked->submitted_ms;
    return is_stale ? FATE_PROBABLY_UNSEEN : FATE_UNKNOWN;
}

static void end_client(struct http2_client *client, enum fault_code fault)
{
    struct stream *stream = framer_take_stream(&client->framer);
    if (stream == NULL) {
        return;
    }
    deadline_disarm(&client->ping);
    stream_close(stream);
    for (struct list_link *link = list_first(&client->waiting); link != NULL;
         link = list_first(&client->waiting)) {
        fail(LIST_OBJECT(link, struct client_lane, waiting), fault, FATE_UNSEEN);
    }
    for (struct list_link *link = list_first(&client->framer.lanes); link != NULL;
         link = list_first(&client->framer.lanes)) {
        struct client_lane *asked = asked_of(LIST_OBJECT(link, struct lane, link));
        bool is_cut = asked->is_responded && fault == FAULT_BACKEND_RESET;
        fail(asked, is_cut ? FAULT_BACKEND_TRUNCATED : fault, fate_of(asked));
        forget_lane(asked);
    }
    client->start.on_closed(client->start.self);
    loop_post_reap(client->start.loop, &client->post_reap);
}

static void close_now(struct client_codec *codec)
{
    struct http2_client *client = LIST_OBJECT(codec, struct http2_client, codec);
    if (client->framer.stream != NULL) {
        (void)nghttp2_session_terminate_session(client->framer.library, NGHTTP2_NO_ERROR);
        framer_flush_last(&client->framer);
    }
    end_client(client, FAULT_BACKEND_RESET);
}

static void on_over(struct framer *framer, enum fault_code fault)
{
    bool is_broken =
        fault == FAULT_H2_PROTOCOL || fault == FAULT_H2_FLOOD || fault == FAULT_LIMIT_HEADER_BYTES;
    bool is_ours = fault == FAULT_LIMIT_MEMORY || fault == FAULT_TIMEOUT_RESPONSE;
    end_client(client_of_framer(framer), is_broken ? FAULT_BACKEND_RESPONSE
                                         : is_ours ? fault
                                                   : FAULT_BACKEND_RESET);
}

/* ---- deadlines ---- */

static uint64_t silence_to_ask_ms(const struct http2_client *client)
{
    uint64_t after_ms = client->start.settings->ping_ms;
    bool has_only_answered = client->framer.read_at_ms == client->pong_at_ms;
    bool is_quiet_grpc = client->grpc_lanes > 0 && has_only_answered;
    return is_quiet_grpc && after_ms < H2_GRPC_PING_MS ? H2_GRPC_PING_MS : after_ms;
}

/* A conn that is silent while exchanges wait is asked whether it lives (RFC 9113 §6.7). */
static void on_ping_deadline(void *self)
{
    struct http2_client *client = self;
    struct framer *framer = &client->framer;
    if (client->lanes == 0) {
        return;
    }
    uint64_t silent_ms = loop_now_ms(client->start.loop) - framer->read_at_ms;
    if (silent_ms < client->start.settings->ping_ms) {
        client->is_asked = false;
    } else if (client->is_asked) {
        end_client(client, FAULT_TIMEOUT_RESPONSE);
        return;
    } else if (silent_ms >= silence_to_ask_ms(client)) {
        client->is_asked = true;
        (void)nghttp2_submit_ping(framer->library, NGHTTP2_FLAG_NONE, NULL);
        framer_wake(framer);
    }
    arm_ping(client);
}

static void arm_ping(struct http2_client *client)
{
    uint64_t after_ms = client->lanes > 0 ? client->start.settings->ping_ms : 0;
    deadline_arm(&client->ping, client->start.loop, after_ms, on_ping_deadline, client);
}

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
    fail(asked, FAULT_TIMEOUT_RESPONSE, FATE_UNKNOWN);
}

/* Calls of gRPC may be open for days without a word; PING finds out whether the conn lives, and
 * the caller's own deadline ends them. */
static void arm_lane(struct client_lane *asked)
{
    bool is_open_ended = asked->is_tunnel || asked->is_grpc;
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

static void begin(struct client_lane *asked)
{
    struct http2_client *client = asked->client;
    struct lane *lane = &asked->lane;
    struct exchange *exchange = lane->exchange;
    bool is_upgrade = exchange->request->upgrade.len > 0;
    if (is_upgrade && nghttp2_session_get_remote_settings(
                          client->framer.library, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) != 1) {
        fail(asked, FAULT_BACKEND_NO_TUNNEL, FATE_UNKNOWN);
        return;
    }
    asked->submitted_ms = loop_now_ms(client->start.loop);
    enum fault_code fault = submit(asked);
    if (fault != FAULT_NONE) {
        bool is_conns = fault == FAULT_BACKEND_RESET;
        fail(asked, fault, is_conns ? FATE_UNSEEN : FATE_UNKNOWN);
        return;
    }
    arm_lane(asked);
    if (!deadline_is_armed(&client->ping)) {
        client->is_asked = false;
        arm_ping(client);
    }
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
    asked->is_grpc = message_is_grpc(exchange->request);
    client->grpc_lanes += asked->is_grpc ? 1 : 0;
    exchange->requester = requester;
    if (client->framer.stream == NULL) {
        fail(asked, FAULT_BACKEND_RESET, FATE_UNSEEN);
        return;
    }
    bool must_wait = client->has_begun || exchange->request->upgrade.len > 0;
    if (must_wait && !client->has_settings) {
        list_append(&client->waiting, &asked->waiting);
        arm_lane(asked);
        return;
    }
    client->has_begun = true;
    begin(asked);
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
};

static struct requester *requester(struct client_codec *codec)
{
    struct http2_client *client = LIST_OBJECT(codec, struct http2_client, codec);
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

static void parse_head(struct lane *lane, struct block *block, bool is_last)
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

static void on_head(struct lane *lane)
{
    struct client_lane *asked = asked_of(lane);
    struct exchange *exchange = lane->exchange;
    bool is_head_bad = lane->fault != FAULT_NONE && lane->in == NULL;
    if (is_head_bad) {
        fail(asked, lane->fault, FATE_UNKNOWN);
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
static void on_bad_content(struct lane *lane)
{
    fail(asked_of(lane),
         lane->fault == FAULT_LIMIT_MEMORY ? FAULT_LIMIT_MEMORY : FAULT_BACKEND_RESPONSE,
         FATE_UNKNOWN);
}

static void on_moved(struct lane *lane)
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

static void on_closed(struct lane *lane)
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
        fail(asked, reset_fault(asked), was_refused ? FATE_UNSEEN : FATE_UNKNOWN);
    }
    forget_lane(asked);
}

/* ---- the conn's news ---- */

static void on_settings(struct framer *framer)
{
    struct http2_client *client = client_of_framer(framer);
    client->has_settings = true;
    framer_wake(framer);
}

static void begin_waiting(struct http2_client *client)
{
    while (client->has_settings && client->framer.stream != NULL) {
        struct list_link *link = list_first(&client->waiting);
        if (link == NULL) {
            return;
        }
        struct client_lane *asked = LIST_OBJECT(link, struct client_lane, waiting);
        list_remove(link);
        begin(asked);
    }
}

/* Exchanges above the last id are closed by the library, as refused. */
static void on_goaway(struct framer *framer)
{
    client_of_framer(framer)->is_leaving = true;
}

static void on_pong(struct framer *framer)
{
    struct http2_client *client = client_of_framer(framer);
    client->is_asked = false;
    client->pong_at_ms = framer->read_at_ms;
}

static void on_read(struct framer *framer)
{
    begin_waiting(client_of_framer(framer));
}

static struct lane *open_lane(struct framer *framer, int32_t id)
{
    (void)framer; /* a server opens none: push is off (RFC 9113 §8.4) */
    (void)id;
    return NULL;
}

static const struct framer_role role = {
    .open_lane = open_lane,
    .parse_head = parse_head,
    .on_head = on_head,
    .on_bad_content = on_bad_content,
    .on_moved = on_moved,
    .on_closed = on_closed,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
    .on_pong = on_pong,
    .on_read = on_read,
    .on_over = on_over,
};

/* ---- birth ---- */

static const struct client_codec_calls codec_calls = {
    .has_room = has_room,
    .requester = requester,
    .close = close_now,
    .is_multiplexed = true,
};

struct client_codec *http2_client_open(struct stream *stream,
                                       const struct client_codec_start *start)
{
    struct http2_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        stream_close(stream);
        return NULL;
    }
    client->codec.calls = &codec_calls;
    client->start = *start;
    client->post_reap = (struct loop_post){.run = reap, .self = client};
    list_init(&client->waiting);
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_SERVER_WINDOW_FIRST},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)start->settings->limits.header_bytes},
    };
    const struct framer_start framer_start = {
        .role = &role,
        .loop = start->loop,
        .limits = &client->start.settings->limits,
        .settings = entries,
        .setting_count = sizeof(entries) / sizeof(entries[0]),
        .stream_window = H2_SERVER_WINDOW_FIRST,
        .stream_window_max = H2_SERVER_WINDOW_MOST,
        .conn_window = H2_SERVER_CONN_WINDOW,
        .credits_at_once = true,
    };
    if (framer_init(&client->framer, stream, &framer_start) != STATUS_OK) {
        free(client);
        stream_close(stream);
        return NULL;
    }
    return &client->codec;
}
