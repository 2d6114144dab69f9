/* tests/fuzz/http2_stage.h
 *
 * What the two fuzz targets of HTTP/2's codecs share: a loop that turns without waiting, a driver
 * of exchanges that holds the codecs to their contract (proxy/http/exchange.h), and frames made of
 * the input.
 *
 *   input:  what the driver does (1 byte), the size of pieces (1 byte, 0: whole), frames
 *   frame:  type, flags, stream, length (1 byte each), and the payload
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/websocket.h"
#include "proxy/base/assert.h"
#include "proxy/http/codec.h"

enum stage_habit {
    STAGE_ANSWERS_AT_ONCE = 1, /* or when the request is complete */
    STAGE_IS_SLOW = 2,         /* takes nothing of bodies until the end */
    STAGE_ABANDONS = 4,        /* at the first bytes */
    STAGE_SENDS_MUCH = 8,
    STAGE_SENDS_TRAILERS = 16,
    STAGE_DRAINS = 32,
    STAGE_IS_DEAF = 64, /* the peer reads nothing */
    STAGE_IS_RAW = 128, /* the input's bytes are the peer's as they are */
};

enum { STAGE_TURNS = 8, STAGE_ROOM = 1 << 17, STAGE_ARENA_BYTES = 1 << 18, STAGE_MUCH = 80000 };

struct stage {
    struct loop *loop;
    struct loop_post post;
    int turns_left;
    unsigned habits;
    int peer;     /* the other end of the conn */
    long running; /* exchanges */
    struct list exchanges;
    bool is_closed;
};

struct staged {
    struct exchange exchange;
    struct stage *stage;
    struct list_link link;
    struct loop_post post_reap;
    bool was_begun;
    bool was_responded; /* we have answered */
    bool has_response;
    bool is_over;
};

static inline void stage_nothing(void *self)
{
    (void)self;
}

static inline void stage_on_turn_end(void *self)
{
    struct stage *stage = self;
    if (--stage->turns_left > 0) {
        loop_post(stage->loop, &stage->post);
    } else {
        loop_stop(stage->loop);
    }
}

/* Once for all inputs. */
static inline void stage_init(struct stage *stage)
{
    if (stage->loop == NULL) {
        stage->loop = loop_new();
        assert_always(stage->loop != NULL);
        stage->post = (struct loop_post){.run = stage_nothing, .self = stage};
        loop_at_turn_end(stage->loop, stage_on_turn_end, stage);
        list_init(&stage->exchanges);
    }
    stage->is_closed = false;
}

static inline void stage_drop_heard(struct stage *stage)
{
    char bytes[16 * 1024];
    while (stage->peer >= 0 && recv(stage->peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
    }
}

static inline void stage_turn(struct stage *stage)
{
    stage->turns_left = STAGE_TURNS;
    loop_post(stage->loop, &stage->post);
    loop_run(stage->loop);
    if ((stage->habits & STAGE_IS_DEAF) == 0) {
        stage_drop_heard(stage);
    }
}

/* Our end, of which a codec may be made. */
static inline struct stream *stage_connect(struct stage *stage)
{
    int pair[2];
    struct stream *stream = NULL;
    assert_always(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    stage->peer = pair[1];
    assert_always(stream_adopt(&stream, stage->loop, pair[0], NULL, NULL) == STATUS_OK);
    return stream;
}

static inline void stage_hang_up(struct stage *stage)
{
    if (stage->peer >= 0) {
        (void)close(stage->peer);
    }
    stage->peer = -1;
}

/* ---- the driver ---- */

static inline struct staged *staged_of(struct exchange *exchange)
{
    return LIST_OBJECT(exchange, struct staged, exchange);
}

static inline void staged_reap(void *self)
{
    struct staged *staged = self;
    body_fini(&staged->exchange.request_body);
    body_fini(&staged->exchange.response_body);
    arena_reset(&staged->exchange.arena);
    staged->stage->running--;
    list_remove(&staged->link);
    free(staged);
}

static inline void staged_end_if_over(struct staged *staged)
{
    const struct exchange *exchange = &staged->exchange;
    if (exchange->responder == NULL && exchange->requester == NULL && !staged->is_over) {
        staged->is_over = true;
        loop_post_reap(staged->stage->loop, &staged->post_reap);
    }
}

static inline void staged_abandon(struct staged *staged)
{
    struct exchange *exchange = &staged->exchange;
    if (exchange->responder != NULL) {
        exchange->responder->calls->abandon(exchange->responder);
    }
    if (exchange->requester != NULL) {
        exchange->requester->calls->abandon(exchange->requester);
    }
    assert_always(exchange->responder == NULL && exchange->requester == NULL);
    staged_end_if_over(staged);
}

static inline void staged_put(struct staged *staged, struct body *body)
{
    static const char bytes[STAGE_MUCH];
    bool is_much = (staged->stage->habits & STAGE_SENDS_MUCH) != 0;
    (void)body_put(body, (slice){bytes, is_much ? sizeof(bytes) : 2});
    if ((staged->stage->habits & STAGE_SENDS_TRAILERS) != 0) {
        struct fields *trailers = arena_take(&staged->exchange.arena, sizeof(*trailers));
        if (trailers != NULL) {
            *trailers = (struct fields){0};
            (void)!fields_add_named(trailers, &staged->exchange.arena, SLICE("x-sum"), SLICE("1"));
            body->trailers = trailers;
        }
    }
    body_end(body);
}

/* As a backend of HTTP/1.1 would agree to a WebSocket. */
static inline bool staged_accepts(struct staged *staged)
{
    struct exchange *exchange = &staged->exchange;
    const struct field *key = fields_find(&exchange->request->fields, FIELD_SEC_WEBSOCKET_KEY);
    char text[WEBSOCKET_ACCEPT_BYTES];
    if (exchange->request->upgrade.len == 0 || key == NULL ||
        !websocket_accept_of(key->value.at, key->value.len, text)) {
        return false;
    }
    slice accept = arena_copy(&exchange->arena, (slice){text, sizeof(text)});
    return accept.at != NULL && fields_add(&exchange->response->fields, &exchange->arena,
                                           FIELD_SEC_WEBSOCKET_ACCEPT, accept) == STATUS_OK;
}

static inline void staged_answer(struct staged *staged, unsigned status)
{
    struct exchange *exchange = &staged->exchange;
    if (staged->was_responded || exchange->responder == NULL) {
        return;
    }
    staged->was_responded = true;
    const struct message hints = {.status = 103};
    exchange->responder->calls->interim(exchange->responder, &hints);
    exchange->response->status = status;
    exchange->response->framing = (struct framing){.kind = FRAMING_STREAMED};
    if (status == 200 && staged_accepts(staged)) {
        exchange->response->status = 101;
        exchange->response->upgrade = exchange->request->upgrade;
        exchange->response->framing = (struct framing){.kind = FRAMING_TUNNEL};
    }
    staged_put(staged, &exchange->response_body);
    exchange->responder->calls->respond(exchange->responder);
}

static inline bool staged_takes(struct staged *staged, struct body *body)
{
    if ((staged->stage->habits & STAGE_ABANDONS) != 0 && !staged->is_over) {
        staged_abandon(staged);
        return false;
    }
    if ((staged->stage->habits & STAGE_IS_SLOW) == 0) {
        body_take(body, body_bytes(body).len);
    }
    return !staged->is_over;
}

static inline void staged_on_request_bytes(void *self)
{
    struct staged *staged = self;
    struct body *body = &staged->exchange.request_body;
    if (staged_takes(staged, body) && body_is_done(body)) {
        staged_answer(staged, 200);
    }
}

static inline void staged_on_response_bytes(void *self)
{
    struct staged *staged = self;
    (void)staged_takes(staged, &staged->exchange.response_body);
}

static inline void staged_on_request(struct exchange *exchange)
{
    struct staged *staged = staged_of(exchange);
    assert_always(!staged->was_begun && !staged->is_over && exchange->responder != NULL);
    assert_always(exchange->request->path.len > 0 && exchange->request->authority.len > 0);
    staged->was_begun = true;
    body_attach_consumer(&exchange->request_body, staged_on_request_bytes, staged);
    if ((staged->stage->habits & STAGE_ANSWERS_AT_ONCE) != 0) {
        staged_answer(staged, 200);
    }
}

static inline void staged_on_bad_request(struct exchange *exchange, enum fault_code fault)
{
    struct staged *staged = staged_of(exchange);
    assert_always(!staged->is_over && exchange->responder != NULL && fault != FAULT_NONE);
    if (staged->was_responded) {
        staged_abandon(staged);
    } else {
        staged_answer(staged, 400);
    }
}

static inline void staged_on_responded(struct exchange *exchange, enum fault_code fault)
{
    (void)fault;
    assert_always(exchange->responder == NULL && !staged_of(exchange)->is_over);
    staged_end_if_over(staged_of(exchange));
}

static inline void staged_on_interim(struct exchange *exchange, const struct message *interim)
{
    assert_always(interim->status >= 100 && interim->status < 200 && interim->status != 101);
    assert_always(!staged_of(exchange)->has_response && !staged_of(exchange)->is_over);
}

static inline void staged_on_response(struct exchange *exchange)
{
    struct staged *staged = staged_of(exchange);
    assert_always(!staged->has_response && !staged->is_over && exchange->response->status >= 101);
    staged->has_response = true;
    if (exchange->response->framing.kind != FRAMING_TUNNEL && exchange->request->upgrade.len > 0) {
        body_end(&exchange->request_body);
    }
    body_attach_consumer(&exchange->response_body, staged_on_response_bytes, staged);
}

static inline void staged_on_request_failed(struct exchange *exchange, enum fault_code fault,
                                            enum request_fate fate)
{
    struct staged *staged = staged_of(exchange);
    assert_always(exchange->requester == NULL && !staged->has_response && !staged->is_over);
    assert_always(fault != FAULT_NONE);
    assert_always(fate <= FATE_UNSEEN);
    staged_end_if_over(staged);
}

static inline void staged_on_requester_done(struct exchange *exchange)
{
    struct staged *staged = staged_of(exchange); /* over already, if it was abandoned just now */
    assert_always(exchange->requester == NULL && staged->has_response);
    assert_always(exchange->response_body.state != BODY_OPEN);
    staged_end_if_over(staged);
}

static const struct exchange_driver staged_driver = {
    .on_request = staged_on_request,
    .on_bad_request = staged_on_bad_request,
    .on_responded = staged_on_responded,
    .on_interim = staged_on_interim,
    .on_response = staged_on_response,
    .on_request_failed = staged_on_request_failed,
    .on_requester_done = staged_on_requester_done,
};

static inline struct staged *stage_open_exchange(struct stage *stage)
{
    struct staged *staged = calloc(1, sizeof(*staged));
    assert_always(staged != NULL);
    struct exchange *exchange = &staged->exchange;
    staged->stage = stage;
    staged->post_reap = (struct loop_post){.run = staged_reap, .self = staged};
    exchange->driver = &staged_driver;
    arena_init(&exchange->arena, loop_arena_pool(stage->loop), STAGE_ARENA_BYTES);
    exchange->request = arena_take(&exchange->arena, sizeof(*exchange->request));
    exchange->response = arena_take(&exchange->arena, sizeof(*exchange->response));
    assert_always(exchange->request != NULL && exchange->response != NULL);
    *exchange->request = (struct message){0};
    *exchange->response = (struct message){0};
    body_init(&exchange->request_body, loop_buffer_pool(stage->loop));
    body_init(&exchange->response_body, loop_buffer_pool(stage->loop));
    list_append(&stage->exchanges, &staged->link);
    stage->running++;
    return staged;
}

/* Those who took nothing so far take what there is. */
static inline void stage_take_all(struct stage *stage)
{
    stage->habits &= ~(unsigned)STAGE_IS_SLOW;
    struct list_link *next = NULL;
    for (struct list_link *link = stage->exchanges.head.next; link != &stage->exchanges.head;
         link = next) {
        next = link->next;
        struct staged *staged = LIST_OBJECT(link, struct staged, link);
        body_offer(&staged->exchange.request_body);
        body_made_room(&staged->exchange.request_body);
        body_offer(&staged->exchange.response_body);
        body_made_room(&staged->exchange.response_body);
    }
    stage_turn(stage);
}

/* ---- the input ---- */

/* Frames of the input; returns how many bytes they are. */
static inline size_t stage_write_frames(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    enum { SHORT = 4, HEADER = 9 };
    size_t written = 0;
    while (len >= SHORT) {
        size_t payload = in[3] < len - SHORT ? in[3] : len - SHORT;
        if (written + HEADER + payload > room) {
            break;
        }
        const uint8_t header[HEADER] = {0, 0, (uint8_t)payload, in[0], in[1], 0, 0, 0, in[2]};
        memcpy(out + written, header, HEADER);
        memcpy(out + written + HEADER, in + SHORT, payload);
        written += HEADER + payload;
        in += SHORT + payload;
        len -= SHORT + payload;
    }
    return written;
}

static inline void stage_send(struct stage *stage, const uint8_t *bytes, size_t len, size_t piece)
{
    while (len > 0 && !stage->is_closed) {
        size_t part = piece > 0 && piece < len ? piece : len;
        ssize_t sent = send(stage->peer, bytes, part, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) {
            return;
        }
        bytes += sent;
        len -= (size_t)sent;
        stage_turn(stage);
    }
}
