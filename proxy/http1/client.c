/* proxy/http1/client.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1/client.h"

#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/http1/receiver.h"
#include "proxy/http1/response.h"
#include "proxy/http1/sender.h"
#include "proxy/net/timer.h"

enum rx_state {
    RX_IDLE, /* no exchange: any byte is one too many */
    RX_HEAD, /* waiting for a response head, interim ones included */
    RX_BODY,
    RX_DONE, /* the response is complete */
};

enum tx_state {
    TX_BODY, /* the head is staged or sent; the body may still be coming */
    TX_DONE, /* the request is complete (tunnel: our sending side is closed) */
};

struct http1_client {
    struct client_codec codec;
    struct client_codec_start start;
    struct stream *stream; /* NULL: given up */
    struct requester requester;
    struct exchange *exchange; /* NULL: idle */
    struct receiver receiver;
    struct sender sender;
    enum rx_state rx;
    enum tx_state tx;
    bool is_tunnel;
    bool is_pumping;
    bool is_last;    /* the server closes after this response */
    uint64_t served; /* exchanges before this one */
    uint64_t rate_sent;
    uint64_t rate_received;
    struct deadline deadline;
    struct loop_post post_pump;
    struct loop_post post_reap;
};

static void pump_in(struct http1_client *client);
static void arm(struct http1_client *client);

static void reap(void *self)
{
    free(self);
}

/* ---- the end of exchanges and of the conn ---- */

static struct exchange *let_go(struct http1_client *client)
{
    struct exchange *exchange = client->exchange;
    client->exchange = NULL;
    if (exchange != NULL) {
        exchange->requester = NULL;
        body_detach_consumer(&exchange->request_body);
        body_detach_producer(&exchange->response_body);
    }
    return exchange;
}

static void end_client(struct http1_client *client)
{
    struct stream *stream = client->stream;
    if (stream == NULL) {
        return;
    }
    client->stream = NULL;
    deadline_disarm(&client->deadline);
    loop_unpost(&client->post_pump);
    stream_close(stream);
    receiver_fini(&client->receiver);
    sender_fini(&client->sender);
    client->start.on_closed(client->start.self);
    loop_post_reap(client->start.loop, &client->post_reap);
}

/* The exchange cannot go on over this conn. Before a response head that is a failure; later the
 * body is cut, so that the client can tell. */
static void fail(struct http1_client *client, enum fault_code fault)
{
    bool has_response = client->rx == RX_BODY || client->rx == RX_DONE;
    /* A conn that was idle may have been closed by the server just when the request left. */
    bool is_stale = client->served > 0 && client->rx == RX_HEAD && (fault == FAULT_BACKEND_RESET) &&
                    receiver_is_empty(&client->receiver);
    struct exchange *exchange = let_go(client);
    end_client(client);
    if (exchange == NULL) {
        return;
    }
    if (!has_response) {
        bool is_unsent = is_stale && exchange->request_body.moved_out == 0;
        exchange->driver->on_request_failed(exchange, fault,
                                            is_unsent ? FATE_PROBABLY_UNSEEN : FATE_UNKNOWN);
        return;
    }
    body_cut(&exchange->response_body, fault);
    body_offer(&exchange->response_body);
    exchange->driver->on_requester_done(exchange);
}

static void close_now(struct client_codec *codec)
{
    fail(LIST_OBJECT(codec, struct http1_client, codec), FAULT_BACKEND_RESET);
}

/* Nothing came behind the response, the end of the conn included: it may have come with the last
 * bytes, and no event will tell of it again. */
static bool is_quiet(struct http1_client *client)
{
    enum fault_code fault = FAULT_NONE;
    return receiver_is_empty(&client->receiver) &&
           receiver_fill(&client->receiver, client->stream, BUFFER_SMALL_BYTES, &fault) ==
               RECEIVER_WAITS;
}

/* Both directions are complete: the conn is idle again, or has served its time. */
static void finish(struct http1_client *client)
{
    bool is_reusable =
        !client->is_last && !client->is_tunnel && client->tx == TX_DONE && is_quiet(client);
    struct exchange *exchange = let_go(client);
    client->rx = RX_IDLE;
    client->served++;
    deadline_disarm(&client->deadline);
    if (is_reusable) {
        client->start.on_room(client->start.self, true);
    } else {
        end_client(client);
    }
    exchange->driver->on_requester_done(exchange);
}

/* ---- deadlines ---- */

static void on_deadline(void *self)
{
    struct http1_client *client = self;
    if (client->exchange == NULL) {
        return;
    }
    const struct body *request = &client->exchange->request_body;
    const struct body *response = &client->exchange->response_body;
    uint64_t sent = stream_acknowledged_bytes(client->stream);
    uint64_t received = response->moved_in;
    bool waits_for_client = client->tx == TX_BODY && buffer_is_empty(&request->bytes) &&
                            !stream_is_stalled(client->stream);
    bool is_full = !buffer_is_empty(&response->bytes) || response->is_refused;
    /* What left before the request was complete says nothing of the server's answer. */
    bool is_sending = client->tx == TX_BODY || stream_is_stalled(client->stream);
    bool has_moved = (is_sending && sent != client->rate_sent) || received != client->rate_received;
    client->rate_sent = sent;
    client->rate_received = received;
    if (has_moved || waits_for_client || is_full) {
        arm(client);
        return;
    }
    fail(client, FAULT_TIMEOUT_RESPONSE);
}

static void arm(struct http1_client *client)
{
    uint64_t after_ms = client->is_tunnel ? 0 : client->start.settings->response_ms;
    deadline_arm(&client->deadline, client->start.loop, after_ms, on_deadline, client);
}

/* ---- writing ---- */

static void pump_out(struct http1_client *client)
{
    struct exchange *exchange = client->exchange;
    switch (sender_pump(&client->sender, client->stream, &exchange->request_body)) {
    case SENDER_WAITS_FOR_BODY:
        if (sender_has_staged(&client->sender)) {
            loop_post(client->start.loop, &client->post_pump);
        }
        break;
    case SENDER_WAITS_FOR_STREAM:
        break;
    case SENDER_DONE:
        client->tx = TX_DONE;
        if (client->is_tunnel) {
            stream_finish(client->stream);
        }
        if (client->rx == RX_DONE) {
            finish(client);
            return;
        }
        arm(client); /* from here on the server is waited for */
        break;
    case SENDER_CUT:
        fail(client, sender_cut_fault(&exchange->request_body));
        break;
    case SENDER_BROKEN:
        /* The server may have answered and closed without reading everything: hear it out. */
        client->tx = TX_DONE;
        client->is_last = true;
        body_detach_consumer(&exchange->request_body);
        if (client->rx == RX_DONE) {
            finish(client);
        }
        break;
    }
}

static void on_request_readable(void *self)
{
    struct http1_client *client = self;
    if (client->tx == TX_BODY) {
        pump_out(client);
    }
}

/* ---- reading ---- */

static void begin_tunnel(struct http1_client *client)
{
    client->is_tunnel = true;
    client->tx = TX_BODY;
    deadline_disarm(&client->deadline);
    body_attach_consumer(&client->exchange->request_body, on_request_readable, client);
    loop_post(client->start.loop, &client->post_pump);
}

static void on_response_room(void *self)
{
    pump_in(self);
}

static enum fault_code parse_head(struct http1_client *client, size_t head_len,
                                  struct message *response)
{
    struct exchange *exchange = client->exchange;
    slice head = receiver_take_head(&client->receiver, &exchange->arena, head_len);
    if (head.at == NULL) {
        return FAULT_LIMIT_MEMORY;
    }
    const struct http1_asked asked = {
        .method = exchange->request->method,
        .upgrade = exchange->request->upgrade.len > 0,
    };
    struct http1_wire wire = {0};
    enum fault_code fault =
        http1_parse_response((char *)(uintptr_t)head.at, head.len, &asked, &exchange->arena,
                             &client->start.settings->limits, response, &wire);
    client->is_last = client->is_last || wire.close_after;
    return fault;
}

static bool is_interim(const struct message *response)
{
    return response->status < 200 && response->framing.kind != FRAMING_TUNNEL;
}

static enum fault_code begin_response(struct http1_client *client)
{
    struct exchange *exchange = client->exchange;
    const struct framing *framing = &exchange->response->framing;
    if (receiver_expect_body(&client->receiver, framing, 0, &exchange->arena) != STATUS_OK) {
        return FAULT_LIMIT_MEMORY;
    }
    bool has_body =
        framing->kind != FRAMING_NONE && !(framing->kind == FRAMING_LENGTH && framing->length == 0);
    client->rx = has_body ? RX_BODY : RX_DONE;
    client->is_last = client->is_last || framing->kind == FRAMING_UNTIL_CLOSE;
    body_attach_producer(&exchange->response_body, on_response_room, client);
    if (framing->kind == FRAMING_LENGTH) {
        body_expect(&exchange->response_body, framing->length);
    }
    if (!has_body) {
        body_end(&exchange->response_body);
    }
    if (framing->kind == FRAMING_TUNNEL) {
        begin_tunnel(client);
    }
    exchange->driver->on_response(exchange);
    return FAULT_NONE;
}

static bool take_head(struct http1_client *client, size_t head_len)
{
    struct exchange *exchange = client->exchange;
    struct message response;
    enum fault_code fault = parse_head(client, head_len, &response);
    if (fault == FAULT_NONE && is_interim(&response)) {
        receiver_expect_head(&client->receiver, HTTP1_RESPONSE_HEAD);
        exchange->driver->on_interim(exchange, &response);
        return true;
    }
    if (fault == FAULT_NONE) {
        *exchange->response = response;
        fault = begin_response(client);
    }
    if (fault != FAULT_NONE) {
        fail(client, fault);
        return false;
    }
    if (client->exchange != NULL && client->rx == RX_DONE) {
        if (client->tx == TX_DONE) {
            finish(client);
        }
        return false;
    }
    return true;
}

static bool step_head(struct http1_client *client)
{
    size_t head_len = 0;
    enum fault_code fault = FAULT_NONE;
    switch (
        receiver_head(&client->receiver, client->stream, BUFFER_RECORD_BYTES, &head_len, &fault)) {
    case RECEIVER_MOVED:
    case RECEIVER_COMPLETE:
        return take_head(client, head_len);
    case RECEIVER_WAITS:
        return false;
    case RECEIVER_FAULT:
        fail(client, http1_response_fault(fault));
        return false;
    case RECEIVER_ENDED:
    case RECEIVER_BROKEN:
        fail(client, FAULT_BACKEND_RESET);
        return false;
    }
    return false;
}

static void complete(struct http1_client *client, struct body *body)
{
    client->rx = RX_DONE;
    if (client->tx == TX_DONE) {
        /* The conn is free before the last bytes are handed on: the client's next request may
         * follow within this very call. */
        finish(client);
    }
    body_offer(body);
}

static bool step_body(struct http1_client *client)
{
    struct body *body = &client->exchange->response_body;
    enum fault_code fault = FAULT_NONE;
    switch (receiver_body(&client->receiver, client->stream, body, &fault)) {
    case RECEIVER_COMPLETE:
        complete(client, body);
        return false;
    case RECEIVER_MOVED:
        body_offer(body);
        return client->rx == RX_BODY;
    case RECEIVER_WAITS:
        return false;
    case RECEIVER_FAULT:
        fail(client, http1_response_fault(fault));
        return false;
    case RECEIVER_ENDED:
    case RECEIVER_BROKEN:
        fail(client, FAULT_BACKEND_TRUNCATED);
        return false;
    }
    return false;
}

/* An idle conn that is readable was closed by the server, or sent bytes that nobody asked for. */
static bool step_idle(struct http1_client *client)
{
    enum fault_code fault = FAULT_NONE;
    if (receiver_fill(&client->receiver, client->stream, BUFFER_SMALL_BYTES, &fault) !=
        RECEIVER_WAITS) {
        end_client(client);
    }
    return false;
}

static bool step_in(struct http1_client *client)
{
    switch (client->rx) {
    case RX_HEAD:
        return step_head(client);
    case RX_BODY:
        return step_body(client);
    case RX_IDLE:
        return step_idle(client);
    case RX_DONE:
        break;
    }
    return false;
}

static void pump_in(struct http1_client *client)
{
    if (client->is_pumping) {
        return;
    }
    enum { STEPS_MAX = 16 }; /* of up to 512 KiB each: then others have their turn */
    client->is_pumping = true;
    int steps = 0;
    while (client->stream != NULL && steps < STEPS_MAX && step_in(client)) {
        steps++;
    }
    client->is_pumping = false;
    if (client->stream != NULL && steps == STEPS_MAX) {
        loop_post_next_turn(client->start.loop, &client->post_pump);
    }
}

/* ---- the requester's calls ---- */

static struct http1_client *client_of(struct requester *requester)
{
    return LIST_OBJECT(requester, struct http1_client, requester);
}

static void request(struct requester *requester, struct exchange *exchange)
{
    struct http1_client *client = client_of(requester);
    assert_always(client->exchange == NULL && client->stream != NULL);
    client->exchange = exchange;
    exchange->requester = requester;
    client->rx = RX_HEAD;
    client->tx = TX_BODY;
    client->is_tunnel = false;
    client->rate_sent = stream_sent_bytes(client->stream);
    client->rate_received = 0;
    receiver_expect_head(&client->receiver, HTTP1_RESPONSE_HEAD);
    const struct http1_sending sending = {0};
    enum fault_code fault = sender_stage_request(&client->sender, exchange->request, &sending);
    if (fault != FAULT_NONE) {
        fail(client, fault);
        return;
    }
    arm(client);
    if (exchange->request->upgrade.len > 0) {
        /* What follows the head belongs to the tunnel, if there will be one. */
        client->tx = TX_DONE;
        (void)!sender_flush(&client->sender, client->stream);
        return;
    }
    body_attach_consumer(&exchange->request_body, on_request_readable, client);
    pump_out(client);
    if (client->exchange != NULL) {
        body_made_room(&exchange->request_body);
    }
}

static void abandon(struct requester *requester)
{
    struct http1_client *client = client_of(requester);
    (void)let_go(client);
    end_client(client);
}

static struct stream *detach(struct requester *requester, struct buffer *rest)
{
    struct http1_client *client = client_of(requester);
    struct stream *stream = client->stream;
    (void)let_go(client);
    *rest = client->receiver.in;
    client->receiver.in = (struct buffer){0};
    client->stream = NULL;
    deadline_disarm(&client->deadline);
    loop_unpost(&client->post_pump);
    sender_fini(&client->sender);
    client->start.on_closed(client->start.self);
    loop_post_reap(client->start.loop, &client->post_reap);
    return stream;
}

static const struct requester_calls requester_calls = {
    .request = request,
    .abandon = abandon,
    .detach = detach,
};

/* ---- the stream's events ---- */

static void on_readable(void *self)
{
    pump_in(self);
}

static void on_writable(void *self)
{
    struct http1_client *client = self;
    if (client->exchange == NULL) {
        return;
    }
    if (client->tx != TX_BODY) {
        (void)!sender_flush(&client->sender, client->stream); /* the rest of an upgrade's head */
        return;
    }
    pump_out(client);
    if (client->exchange != NULL) {
        body_made_room(&client->exchange->request_body);
    }
}

static void on_failed(void *self, enum stream_failure failure)
{
    (void)failure;
    struct http1_client *client = self;
    fail(client, client->rx == RX_BODY ? FAULT_BACKEND_TRUNCATED : FAULT_BACKEND_RESET);
}

static const struct stream_events stream_events = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_failed = on_failed,
};

static void run_pump(void *self)
{
    struct http1_client *client = self;
    if (client->exchange != NULL && sender_has_staged(&client->sender)) {
        (void)!sender_flush(&client->sender, client->stream);
    }
    if (client->exchange != NULL && client->is_tunnel && client->tx == TX_BODY) {
        on_writable(client);
    }
    if (client->stream != NULL) {
        pump_in(client);
    }
}

static struct requester *requester(struct client_codec *codec)
{
    return &LIST_OBJECT(codec, struct http1_client, codec)->requester;
}

static bool has_room(struct client_codec *codec)
{
    const struct http1_client *client = LIST_OBJECT(codec, struct http1_client, codec);
    return client->exchange == NULL && client->stream != NULL;
}

static const struct client_codec_calls codec_calls = {
    .has_room = has_room,
    .requester = requester,
    .close = close_now,
};

struct client_codec *http1_client_open(struct stream *stream,
                                       const struct client_codec_start *start)
{
    struct http1_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        stream_close(stream);
        return NULL;
    }
    client->codec.calls = &codec_calls;
    client->start = *start;
    client->stream = stream;
    client->requester.calls = &requester_calls;
    client->post_pump = (struct loop_post){.run = run_pump, .self = client};
    client->post_reap = (struct loop_post){.run = reap, .self = client};
    receiver_init(&client->receiver, loop_buffer_pool(start->loop), &start->settings->limits);
    sender_init(&client->sender, loop_buffer_pool(start->loop));
    stream_set_owner(stream, &stream_events, client);
    return &client->codec;
}
