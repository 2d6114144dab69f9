/* proxy/http1/server.c
 *
 * Reading is in pump_in, writing in pump_out; each is a loop of small steps that ends when it has
 * to wait for the socket or for the other side of a body.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http1/server.h"

#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/http1/receiver.h"
#include "proxy/http1/request.h"
#include "proxy/http1/sender.h"
#include "proxy/http1/serialise.h"
#include "proxy/net/timer.h"

/* A window that was full opens again in one large step: a steady reader may take nothing for a
 * while, and only one that takes nothing for several checks in a row is slow. */
enum { SLOW_CHECKS_MAX = 3 };

enum rx_state {
    RX_HEAD,   /* between requests, or in the middle of a head */
    RX_BODY,   /* the framing of exchange->request says how */
    RX_DONE,   /* the request is complete; what comes now is pipelined */
    RX_CLOSED, /* the client sends no more */
};

enum tx_state {
    TX_NONE, /* no final response yet */
    TX_BODY, /* its head is staged or sent */
    TX_DONE, /* complete (tunnel: our sending side is closed) */
};

struct http1_server {
    struct server_codec codec;
    struct server_codec_start start;
    struct stream *stream; /* NULL: given up */
    struct responder responder;
    struct exchange *exchange; /* NULL: between exchanges */
    struct receiver receiver;
    struct sender sender;
    struct http1_wire wire;
    enum rx_state rx;
    enum tx_state tx;
    bool is_tunnel;
    bool is_pumping;
    bool is_last;         /* close after this exchange */
    bool is_winding_down; /* close after the next response that can say so */
    bool is_continued;    /* 100 (Continue) was sent, or nobody asked for it */
    uint64_t requests;
    uint64_t written_before; /* to the stream, when the exchange began */
    uint64_t head_began_us;
    struct deadline deadline;
    uint64_t rate_received; /* counters at the last check */
    uint64_t rate_sent;
    uint8_t slow_checks; /* how often in a row the client took too little */
    struct loop_post post_pump;
    struct loop_post post_reap;
};

static void pump_in(struct http1_server *server);
static void pump_out(struct http1_server *server);
static void arm(struct http1_server *server);
static void refuse(struct http1_server *server, enum fault_code fault);
static void refuse_head(struct http1_server *server, enum fault_code fault);

/* ---- the end ---- */

static void reap(void *self)
{
    free(self);
}

/* Lets go of the exchange and tells its driver; the server lives on. */
static void end_exchange(struct http1_server *server, enum fault_code fault)
{
    struct exchange *exchange = server->exchange;
    if (exchange == NULL) {
        return;
    }
    server->exchange = NULL;
    exchange->responder = NULL;
    body_detach_producer(&exchange->request_body);
    body_detach_consumer(&exchange->response_body);
    exchange->driver->on_responded(exchange, fault);
}

enum ending {
    ENDING_LINGER,
    ENDING_CLOSE,
    ENDING_CUT, /* a reset, once the client has the responses before this one */
    ENDING_RESET,
};

static void end_server(struct http1_server *server, enum ending how, enum fault_code fault)
{
    struct stream *stream = server->stream;
    if (stream == NULL) {
        return;
    }
    server->stream = NULL;
    deadline_disarm(&server->deadline);
    loop_unpost(&server->post_pump);
    switch (how) {
    case ENDING_LINGER:
        stream_linger(stream);
        break;
    case ENDING_CLOSE:
        stream_close(stream);
        break;
    case ENDING_CUT:
        stream_reset_after(stream, server->written_before);
        break;
    case ENDING_RESET:
        stream_reset(stream);
        break;
    }
    bool was_idle = server->exchange == NULL;
    end_exchange(server, fault);
    receiver_fini(&server->receiver);
    sender_fini(&server->sender);
    server->start.on_closed(server->start.self, was_idle ? fault : FAULT_NONE);
    loop_post_reap(server->start.loop, &server->post_reap);
}

static struct http1_server *server_of_codec(struct server_codec *codec)
{
    return LIST_OBJECT(codec, struct http1_server, codec);
}

static void close_now(struct server_codec *codec, enum fault_code fault)
{
    struct http1_server *server = server_of_codec(codec);
    /* A response that has begun must not look complete. */
    bool is_cut = server->tx == TX_BODY && !server->is_tunnel;
    end_server(server, is_cut ? ENDING_RESET : ENDING_CLOSE, fault);
}

static void drain(struct server_codec *codec)
{
    struct http1_server *server = server_of_codec(codec);
    server->is_last = true;
    if (server->exchange == NULL && receiver_is_empty(&server->receiver)) {
        end_server(server, ENDING_LINGER, FAULT_NONE);
    }
}

/* A body that is being decoded keeps the limits that it began with: they are its exchange's. */
static void retune(struct server_codec *codec, const struct server_settings *settings)
{
    struct http1_server *server = server_of_codec(codec);
    server->start.settings = settings;
    receiver_retune(&server->receiver, &settings->limits);
}

/* A response whose head has left without saying so is not the last. */
static void wind_down(struct server_codec *codec)
{
    server_of_codec(codec)->is_winding_down = true;
}

static const struct server_codec_calls codec_calls = {
    .drain = drain,
    .wind_down = wind_down,
    .close = close_now,
    .retune = retune,
};

/* ---- deadlines: a function of the state ---- */

static bool waits_for_body(const struct http1_server *server)
{
    const struct body *body = &server->exchange->request_body;
    bool may_begin = server->is_continued || body->moved_in > 0;
    return server->rx == RX_BODY && !server->is_tunnel && may_begin &&
           buffer_is_empty(&body->bytes);
}

/* A large write goes past the stream's own buffer, and a small one may still gather there. */
static bool waits_for_reader(const struct http1_server *server)
{
    return stream_has_unsent(server->stream) || stream_is_stalled(server->stream);
}

static void on_rate_check(struct http1_server *server)
{
    uint64_t received = server->exchange->request_body.moved_in;
    uint64_t sent = stream_acknowledged_bytes(server->stream);
    const struct server_settings *settings = server->start.settings;
    uint64_t least = settings->minimum_rate * settings->rate_grace_ms / 1000;
    bool is_slow_sender = waits_for_body(server) && received - server->rate_received < least;
    bool is_slow_reader = stream_is_stalled(server->stream) && sent - server->rate_sent < least;
    server->rate_received = received;
    server->rate_sent = sent;
    server->slow_checks = is_slow_reader ? (uint8_t)(server->slow_checks + 1) : 0;
    if (server->slow_checks >= SLOW_CHECKS_MAX) {
        end_server(server, ENDING_RESET, FAULT_TIMEOUT_SEND);
        return;
    }
    if (is_slow_sender) {
        refuse(server, FAULT_TIMEOUT_BODY);
    }
    arm(server);
}

static void on_deadline(void *self)
{
    struct http1_server *server = self;
    if (server->exchange != NULL) {
        on_rate_check(server);
        return;
    }
    if (receiver_is_empty(&server->receiver)) {
        end_server(server, ENDING_LINGER, FAULT_TIMEOUT_IDLE);
        return;
    }
    refuse_head(server, FAULT_TIMEOUT_HEADER);
}

static void arm(struct http1_server *server)
{
    const struct server_settings *settings = server->start.settings;
    if (server->stream == NULL) {
        return;
    }
    uint64_t after_ms = 0;
    if (server->exchange == NULL) {
        bool is_idle = receiver_is_empty(&server->receiver);
        after_ms = is_idle && server->requests > 0 ? settings->idle_ms : settings->header_ms;
    } else if (!server->is_tunnel && settings->minimum_rate > 0 &&
               (server->rx == RX_BODY || waits_for_reader(server))) {
        after_ms = settings->rate_grace_ms;
    }
    deadline_arm(&server->deadline, server->start.loop, after_ms, on_deadline, server);
}

/* ---- reading ---- */

static void client_gone(struct http1_server *server, enum fault_code fault)
{
    bool was_quiet = server->exchange == NULL && receiver_is_empty(&server->receiver);
    if (!was_quiet && stream_failure(server->stream) == STREAM_RECORD_REFUSED) {
        fault = FAULT_TLS_RECORD;
    }
    end_server(server, ENDING_CLOSE, was_quiet ? FAULT_NONE : fault);
}

static struct exchange *open_exchange(struct http1_server *server)
{
    struct exchange *exchange =
        server->start.source.open(server->start.source.self, &server->responder);
    if (exchange == NULL) {
        end_server(server, ENDING_CLOSE, FAULT_LIMIT_MEMORY);
        return NULL;
    }
    exchange->responder = &server->responder;
    exchange->began_us = server->head_began_us;
    server->exchange = exchange;
    server->requests++;
    server->written_before = stream_written_bytes(server->stream);
    server->tx = TX_NONE;
    server->rate_received = 0;
    server->rate_sent = 0;
    server->slow_checks = 0;
    return exchange;
}

/* The request is refused, and nothing of what follows on this conn can be trusted to be one. */
static void refuse(struct http1_server *server, enum fault_code fault)
{
    server->rx = RX_CLOSED;
    server->is_last = true;
    body_cut(&server->exchange->request_body, fault);
    server->exchange->driver->on_bad_request(server->exchange, fault);
}

/* A head that will never be good is answered through the driver, so that it is logged as any other
 * exchange is. */
static void refuse_head(struct http1_server *server, enum fault_code fault)
{
    if (open_exchange(server) == NULL) {
        return;
    }
    server->wire = (struct http1_wire){0};
    refuse(server, fault);
}

static void on_request_room(void *self)
{
    pump_in(self);
}

static enum fault_code parse_head(struct http1_server *server, size_t head_len)
{
    struct exchange *exchange = server->exchange;
    const struct server_settings *settings = server->start.settings;
    slice head = receiver_take_head(&server->receiver, &exchange->arena, head_len);
    if (head.at == NULL) {
        return FAULT_LIMIT_MEMORY;
    }
    enum fault_code fault =
        http1_parse_request((char *)(uintptr_t)head.at, head.len, server->start.scheme,
                            &exchange->arena, &settings->limits, exchange->request, &server->wire);
    const struct framing *framing = &exchange->request->framing;
    if (fault != FAULT_NONE) {
        return fault;
    }
    if (framing->kind == FRAMING_LENGTH && settings->body_bytes > 0 &&
        framing->length > settings->body_bytes) {
        return FAULT_LIMIT_BODY_BYTES;
    }
    return receiver_expect_body(&server->receiver, framing, settings->body_bytes,
                                &exchange->arena) == STATUS_OK
               ? FAULT_NONE
               : FAULT_LIMIT_MEMORY;
}

/* The head is complete in the receiver. */
static void begin_request(struct http1_server *server, size_t head_len)
{
    struct exchange *exchange = open_exchange(server);
    if (exchange == NULL) {
        return;
    }
    enum fault_code fault = parse_head(server, head_len);
    if (fault != FAULT_NONE) {
        refuse(server, fault);
        return;
    }
    const struct server_settings *settings = server->start.settings;
    bool is_full =
        settings->requests_per_conn > 0 && server->requests >= settings->requests_per_conn;
    server->is_last = server->is_last || server->wire.close_after || is_full;
    const struct framing *framing = &exchange->request->framing;
    bool has_body = framing->kind == FRAMING_STREAMED ||
                    (framing->kind == FRAMING_LENGTH && framing->length > 0);
    server->rx = has_body ? RX_BODY : RX_DONE;
    /* A client that waits for 100 (Continue) is not slow (RFC 9110 §10.1.1). */
    server->is_continued = !exchange->request->expects_continue;
    body_attach_producer(&exchange->request_body, on_request_room, server);
    if (framing->kind == FRAMING_LENGTH) {
        body_expect(&exchange->request_body, framing->length);
    }
    if (!has_body && exchange->request->upgrade.len == 0) {
        body_end(&exchange->request_body);
    }
    deadline_disarm(&server->deadline);
    exchange->driver->on_request(exchange);
}

/* Each step: true when something moved and the next step should be looked at. */
static bool step_head(struct http1_server *server)
{
    if (receiver_is_empty(&server->receiver)) {
        receiver_expect_head(&server->receiver, HTTP1_REQUEST_HEAD);
        server->head_began_us = loop_now_us(server->start.loop);
    }
    bool was_empty = receiver_is_empty(&server->receiver);
    size_t head_len = 0;
    enum fault_code fault = FAULT_NONE;
    switch (
        receiver_head(&server->receiver, server->stream, BUFFER_SMALL_BYTES, &head_len, &fault)) {
    case RECEIVER_MOVED:
    case RECEIVER_COMPLETE:
        begin_request(server, head_len);
        return true;
    case RECEIVER_WAITS:
        if (was_empty && !receiver_is_empty(&server->receiver)) {
            arm(server); /* a head has begun: its deadline counts from its first byte */
        }
        return false;
    case RECEIVER_FAULT:
        refuse_head(server, fault);
        return true;
    case RECEIVER_ENDED:
        client_gone(server, FAULT_CLIENT_GONE);
        return false;
    case RECEIVER_BROKEN:
        client_gone(server, FAULT_CLIENT_RESET);
        return false;
    }
    return false;
}

static bool step_body(struct http1_server *server)
{
    struct body *body = &server->exchange->request_body;
    enum fault_code fault = FAULT_NONE;
    switch (receiver_body(&server->receiver, server->stream, body, &fault)) {
    case RECEIVER_COMPLETE:
        server->rx = server->is_tunnel ? RX_CLOSED : RX_DONE;
        body_offer(body);
        if (server->is_tunnel && server->tx == TX_DONE && server->stream != NULL) {
            end_server(server, ENDING_CLOSE, FAULT_NONE);
        }
        return true;
    case RECEIVER_MOVED:
        body_offer(body);
        return true;
    case RECEIVER_WAITS:
        return false;
    case RECEIVER_FAULT:
        refuse(server, fault);
        return false;
    case RECEIVER_ENDED:
        client_gone(server, FAULT_CLIENT_GONE);
        return false;
    case RECEIVER_BROKEN:
        client_gone(server, FAULT_CLIENT_RESET);
        return false;
    }
    return false;
}

/* While a response is awaited, one small read notices a client that has gone. */
static bool step_pipelined(struct http1_server *server)
{
    if (!receiver_is_empty(&server->receiver)) {
        return false;
    }
    enum fault_code fault = FAULT_NONE;
    switch (receiver_fill(&server->receiver, server->stream, BUFFER_SMALL_BYTES, &fault)) {
    case RECEIVER_ENDED:
        /* Half-closed: no more requests, but the response is still wanted. */
        server->is_last = true;
        server->rx = RX_CLOSED;
        break;
    case RECEIVER_BROKEN:
    case RECEIVER_FAULT:
        client_gone(server, FAULT_CLIENT_RESET);
        break;
    case RECEIVER_MOVED:
        receiver_expect_head(&server->receiver, HTTP1_REQUEST_HEAD);
        server->head_began_us = loop_now_us(server->start.loop);
        break;
    case RECEIVER_WAITS:
    case RECEIVER_COMPLETE:
        break;
    }
    return false;
}

static bool step_in(struct http1_server *server)
{
    switch (server->rx) {
    case RX_HEAD:
        return step_head(server);
    case RX_BODY:
        return step_body(server);
    case RX_DONE:
        return step_pipelined(server);
    case RX_CLOSED:
        break;
    }
    return false;
}

static void pump_in(struct http1_server *server)
{
    if (server->is_pumping) {
        return;
    }
    enum { STEPS_MAX = 16 }; /* of up to 512 KiB each: then others have their turn */
    server->is_pumping = true;
    int steps = 0;
    while (server->stream != NULL && steps < STEPS_MAX && step_in(server)) {
        steps++;
    }
    server->is_pumping = false;
    if (server->stream != NULL && steps == STEPS_MAX) {
        loop_post_next_turn(server->start.loop, &server->post_pump);
    }
    if (server->stream != NULL && server->rx == RX_BODY && !deadline_is_armed(&server->deadline)) {
        arm(server);
    }
}

/* ---- writing ---- */

static void next_request(struct http1_server *server)
{
    server->rx = RX_HEAD;
    server->tx = TX_NONE;
    arm(server);
    if (!server->is_pumping) {
        /* We may be deep inside the other side's call: go on from the loop. */
        loop_post(server->start.loop, &server->post_pump);
    }
}

static void finish_response(struct http1_server *server)
{
    server->tx = TX_DONE;
    if (server->is_tunnel) {
        stream_finish(server->stream);
        if (server->rx != RX_CLOSED) {
            return; /* the other direction goes on */
        }
    }
    bool is_over = server->is_last || server->rx != RX_DONE;
    if (is_over) {
        end_server(server, ENDING_LINGER, FAULT_NONE);
        return;
    }
    end_exchange(server, FAULT_NONE);
    if (server->stream != NULL) {
        next_request(server);
    }
}

static void cut_response(struct http1_server *server)
{
    end_server(server, ENDING_CUT, sender_cut_fault(&server->exchange->response_body));
}

static void pump_out(struct http1_server *server)
{
    struct body *body = &server->exchange->response_body;
    switch (sender_pump(&server->sender, server->stream, body)) {
    case SENDER_WAITS_FOR_BODY:
        if (sender_has_staged(&server->sender)) {
            loop_post(server->start.loop, &server->post_pump);
        }
        break;
    case SENDER_WAITS_FOR_STREAM:
        break;
    case SENDER_DONE:
        finish_response(server);
        return;
    case SENDER_CUT:
        cut_response(server);
        return;
    case SENDER_BROKEN:
        end_server(server, ENDING_CLOSE, FAULT_CLIENT_RESET);
        return;
    }
    if (!deadline_is_armed(&server->deadline) && waits_for_reader(server)) {
        arm(server);
    }
}

static void on_response_readable(void *self)
{
    pump_out(self);
}

/* ---- the responder's calls ---- */

static struct http1_server *server_of(struct responder *responder)
{
    return LIST_OBJECT(responder, struct http1_server, responder);
}

static void interim(struct responder *responder, const struct message *message)
{
    struct http1_server *server = server_of(responder);
    if (server->tx != TX_NONE || server->wire.is_http10) {
        return; /* RFC 9110 §15.2: HTTP/1.0 has no interim responses */
    }
    const struct http1_sending sending = {0};
    server->is_continued = true;
    if (sender_stage_response(&server->sender, message, &sending) != FAULT_NONE) {
        return;
    }
    if (sender_flush(&server->sender, server->stream) == SENDER_BROKEN) {
        end_server(server, ENDING_CLOSE, FAULT_CLIENT_RESET);
    }
}

static void respond(struct responder *responder)
{
    struct http1_server *server = server_of(responder);
    struct exchange *exchange = server->exchange;
    const struct message *response = exchange->response;
    assert_always(server->tx == TX_NONE);
    server->is_tunnel = response->framing.kind == FRAMING_TUNNEL;
    bool is_unread = server->rx == RX_BODY && !server->is_tunnel;
    server->is_last = server->is_last || server->is_winding_down;
    const struct http1_sending sending = {
        .close = server->is_last || is_unread,
        .to_http10 = server->wire.is_http10,
        .answers_head = exchange->request->method == METHOD_HEAD,
    };
    server->is_last = server->is_last || is_unread || http1_response_ends_conn(response, &sending);
    if (sender_stage_response(&server->sender, response, &sending) != FAULT_NONE) {
        end_server(server, ENDING_CUT, FAULT_INTERNAL);
        return;
    }
    server->tx = TX_BODY;
    body_attach_consumer(&exchange->response_body, on_response_readable, server);
    if (server->is_tunnel) {
        const struct framing tunnel = {.kind = FRAMING_TUNNEL};
        (void)!receiver_expect_body(&server->receiver, &tunnel, 0, &exchange->arena);
        server->rx = RX_BODY;
        deadline_disarm(&server->deadline);
        loop_post(server->start.loop, &server->post_pump);
    }
    pump_out(server);
}

static void abandon(struct responder *responder)
{
    struct http1_server *server = server_of(responder);
    struct exchange *exchange = server->exchange;
    server->exchange = NULL;
    exchange->responder = NULL;
    body_detach_producer(&exchange->request_body);
    body_detach_consumer(&exchange->response_body);
    end_server(server, ENDING_CUT, FAULT_NONE);
}

static struct stream *detach(struct responder *responder, struct buffer *rest)
{
    struct http1_server *server = server_of(responder);
    struct stream *stream = server->stream;
    if (!server->is_tunnel || sender_flush(&server->sender, stream) != SENDER_DONE) {
        return NULL;
    }
    struct exchange *exchange = server->exchange;
    server->exchange = NULL;
    exchange->responder = NULL;
    body_detach_producer(&exchange->request_body);
    body_detach_consumer(&exchange->response_body);
    *rest = server->receiver.in;
    server->receiver.in = (struct buffer){0};
    server->stream = NULL;
    deadline_disarm(&server->deadline);
    loop_unpost(&server->post_pump);
    sender_fini(&server->sender);
    loop_post_reap(server->start.loop, &server->post_reap);
    return stream;
}

static slice protocol(const struct responder *responder)
{
    const struct http1_server *server = server_of((struct responder *)(uintptr_t)responder);
    return server->wire.is_http10 ? SLICE("HTTP/1.0") : SLICE("HTTP/1.1");
}

static const struct responder_calls responder_calls = {
    .interim = interim,
    .respond = respond,
    .abandon = abandon,
    .detach = detach,
    .protocol = protocol,
};

/* ---- the stream's events ---- */

static void on_readable(void *self)
{
    pump_in(self);
}

static void on_writable(void *self)
{
    struct http1_server *server = self;
    if (server->tx != TX_BODY) {
        /* An interim response found the socket full of the response before. */
        if (sender_flush(&server->sender, server->stream) == SENDER_BROKEN) {
            end_server(server, ENDING_CLOSE, FAULT_CLIENT_RESET);
        }
        return;
    }
    pump_out(server);
    if (server->exchange != NULL) {
        body_made_room(&server->exchange->response_body);
    }
}

static void on_failed(void *self, enum stream_failure failure)
{
    (void)failure;
    client_gone(self, FAULT_CLIENT_RESET);
}

static const struct stream_events stream_events = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_failed = on_failed,
};

static void run_pump(void *self)
{
    struct http1_server *server = self;
    if (sender_flush(&server->sender, server->stream) == SENDER_BROKEN) {
        end_server(server, ENDING_CLOSE, FAULT_CLIENT_RESET);
        return;
    }
    pump_in(server);
}

struct server_codec *http1_server_open(struct stream *stream,
                                       const struct server_codec_start *start)
{
    struct http1_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        stream_close(stream);
        return NULL;
    }
    server->codec.calls = &codec_calls;
    server->start = *start;
    server->stream = stream;
    server->responder.calls = &responder_calls;
    server->post_pump = (struct loop_post){.run = run_pump, .self = server};
    server->post_reap = (struct loop_post){.run = reap, .self = server};
    receiver_init(&server->receiver, loop_buffer_pool(start->loop), &start->settings->limits);
    sender_init(&server->sender, loop_buffer_pool(start->loop));
    stream_set_owner(stream, &stream_events, server);
    arm(server);
    loop_post(start->loop, &server->post_pump);
    return &server->codec;
}
