/* tests/unit/support/fake_driver.h
 *
 * A driver of exchanges that writes down what codecs tell it, and does in each call what the test
 * wants. Exchanges are freed in the loop's reaper, as the real driver's are, so that a codec which
 * touches one too late is found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "proxy/http/exchange.h"
#include "support/turns.h"

enum { FAKE_ARENA_BYTES = 256 * 1024, FAKE_TOLD_BYTES = 16 * 1024, FAKE_CALLS = 8 };

enum fake_call {
    FAKE_ON_REQUEST,
    FAKE_ON_BAD_REQUEST,
    FAKE_ON_INTERIM,
    FAKE_ON_RESPONSE,
    FAKE_ON_BYTES, /* a body is readable: the consumer is the test */
    FAKE_NEVER,
};

struct fake_exchange {
    bool is_repeated; /* outlives its failure: the test sends it again */
    struct exchange exchange;
    struct fake *fake;
    struct loop_post post_reap;
    bool is_over;
};

struct fake {
    struct loop *loop;
    char told[FAKE_TOLD_BYTES];
    struct fake_exchange *last; /* NULL: over and freed */
    uint64_t begun;
    uint64_t taken;       /* bytes of bodies */
    bool is_slow;         /* takes nothing of bodies */
    bool answers_at_once; /* in on_request and on_bad_request */
    const char *answer;   /* the body of our own answers */
    enum fake_call abandons_in;
    bool tells_bytes; /* bodies are in `told` too */
};

static inline void fake_init(struct fake *fake, struct loop *loop)
{
    *fake =
        (struct fake){.loop = loop, .abandons_in = FAKE_NEVER, .answer = "hi", .tells_bytes = true};
}

__attribute__((format(printf, 2, 3))) static inline void fake_tell(struct fake *fake,
                                                                   const char *format, ...)
{
    size_t len = strlen(fake->told);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fake->told + len, sizeof(fake->told) - len, format, arguments);
    va_end(arguments);
}

static inline struct fake_exchange *fake_of(struct exchange *exchange)
{
    return LIST_OBJECT(exchange, struct fake_exchange, exchange);
}

static inline void fake_reap(void *self)
{
    struct fake_exchange *faked = self;
    body_fini(&faked->exchange.request_body);
    body_fini(&faked->exchange.response_body);
    arena_reset(&faked->exchange.arena);
    if (faked->fake->last == faked) {
        faked->fake->last = NULL;
    }
    free(faked);
}

static inline void fake_end_if_over(struct fake_exchange *faked)
{
    const struct exchange *exchange = &faked->exchange;
    if (exchange->responder == NULL && exchange->requester == NULL && !faked->is_over) {
        faked->is_over = true;
        loop_post_reap(faked->fake->loop, &faked->post_reap);
    }
}

/* As the real driver does: abandons whatever side is left. */
static inline void fake_abandon(struct fake_exchange *faked)
{
    struct exchange *exchange = &faked->exchange;
    if (exchange->responder != NULL) {
        exchange->responder->calls->abandon(exchange->responder);
        assert_null(exchange->responder);
    }
    if (exchange->requester != NULL) {
        exchange->requester->calls->abandon(exchange->requester);
        assert_null(exchange->requester);
    }
    fake_tell(faked->fake, "abandoned\n");
    fake_end_if_over(faked);
}

static inline bool fake_abandons(struct fake_exchange *faked, enum fake_call call)
{
    if (faked->fake->abandons_in != call || faked->is_over) {
        return false;
    }
    fake_abandon(faked);
    return true;
}

/* ---- bodies: the test is the consumer of one, and the producer of the other ---- */

static inline void fake_take(struct fake_exchange *faked, struct body *body)
{
    slice bytes = body_bytes(body);
    if (faked->fake->tells_bytes && bytes.len > 0) {
        fake_tell(faked->fake, "%.*s", SLICE_FORMAT(bytes));
    }
    faked->fake->taken += bytes.len;
    body_take(body, bytes.len);
}

static inline void fake_on_bytes(struct fake_exchange *faked, struct body *body)
{
    if (fake_abandons(faked, FAKE_ON_BYTES) || faked->fake->is_slow) {
        return;
    }
    fake_take(faked, body);
    if (body->state == BODY_ENDED) {
        fake_tell(faked->fake, "|end\n");
        body_detach_consumer(body);
    }
    if (body->state == BODY_CUT) {
        fake_tell(faked->fake, "|cut %s\n", fault_name(body->fault));
        body_detach_consumer(body);
    }
}

static inline void fake_on_request_bytes(void *self)
{
    struct fake_exchange *faked = self;
    fake_on_bytes(faked, &faked->exchange.request_body);
}

static inline void fake_on_response_bytes(void *self)
{
    struct fake_exchange *faked = self;
    fake_on_bytes(faked, &faked->exchange.response_body);
}

/* Puts bytes into a body; returns how many fitted. */
static inline size_t fake_put(struct body *body, const char *bytes, size_t len)
{
    size_t put = 0;
    while (put < len) {
        size_t room = 0;
        char *at = body_room(body, &room);
        if (at == NULL) {
            break;
        }
        size_t part = len - put < room ? len - put : room;
        memcpy(at, bytes + put, part);
        body_filled(body, part);
        put += part;
    }
    return put;
}

/* ---- answers ---- */

static inline void fake_respond(struct fake_exchange *faked, unsigned status,
                                const struct framing *framing)
{
    struct exchange *exchange = &faked->exchange;
    exchange->response->status = status;
    exchange->response->framing = *framing;
    exchange->responder->calls->respond(exchange->responder);
}

/* A complete answer of known length. */
static inline void fake_answer(struct fake_exchange *faked, unsigned status)
{
    struct exchange *exchange = &faked->exchange;
    size_t len = strlen(faked->fake->answer);
    if (exchange->request->method != METHOD_HEAD) {
        assert_int_equal(fake_put(&exchange->response_body, faked->fake->answer, len), len);
    }
    body_end(&exchange->response_body);
    const struct framing framing = {.kind = FRAMING_LENGTH, .length = len};
    fake_respond(faked, status, &framing);
}

/* ---- what codecs tell ---- */

static inline void fake_on_request(struct exchange *exchange)
{
    struct fake_exchange *faked = fake_of(exchange);
    const struct message *request = exchange->request;
    fake_tell(faked->fake, "request %.*s %.*s%.*s\n", SLICE_FORMAT(request->method_name),
              SLICE_FORMAT(request->path), SLICE_FORMAT(request->query));
    if (fake_abandons(faked, FAKE_ON_REQUEST)) {
        return;
    }
    body_attach_consumer(&exchange->request_body, fake_on_request_bytes, faked);
    if (faked->fake->answers_at_once) {
        fake_answer(faked, 200);
    }
}

static inline void fake_on_bad_request(struct exchange *exchange, enum fault_code fault)
{
    struct fake_exchange *faked = fake_of(exchange);
    fake_tell(faked->fake, "bad %s\n", fault_name(fault));
    if (fake_abandons(faked, FAKE_ON_BAD_REQUEST)) {
        return;
    }
    if (exchange->response->status != 0) {
        fake_abandon(faked);
    } else if (faked->fake->answers_at_once) {
        fake_answer(faked, fault_http_status(fault));
    }
}

static inline void fake_on_responded(struct exchange *exchange, enum fault_code fault)
{
    struct fake_exchange *faked = fake_of(exchange);
    assert_null(exchange->responder);
    fake_tell(faked->fake, "responded %s\n", fault_name(fault));
    fake_end_if_over(faked);
}

static inline void fake_on_interim(struct exchange *exchange, const struct message *interim)
{
    struct fake_exchange *faked = fake_of(exchange);
    fake_tell(faked->fake, "interim %u\n", interim->status);
    (void)fake_abandons(faked, FAKE_ON_INTERIM);
}

static inline void fake_on_response(struct exchange *exchange)
{
    struct fake_exchange *faked = fake_of(exchange);
    fake_tell(faked->fake, "response %u\n", exchange->response->status);
    if (fake_abandons(faked, FAKE_ON_RESPONSE)) {
        return;
    }
    if (exchange->response->framing.kind != FRAMING_TUNNEL && exchange->request->upgrade.len > 0) {
        body_end(&exchange->request_body); /* refused: nothing follows the head */
    }
    body_attach_consumer(&exchange->response_body, fake_on_response_bytes, faked);
    if (exchange->response_body.state == BODY_ENDED) {
        fake_on_response_bytes(faked);
    }
}

static inline void fake_on_request_failed(struct exchange *exchange, enum fault_code fault,
                                          enum request_fate fate)
{
    struct fake_exchange *faked = fake_of(exchange);
    assert_null(exchange->requester);
    static const char *const fates[] = {
        [FATE_UNKNOWN] = "", [FATE_PROBABLY_UNSEEN] = " unsent", [FATE_UNSEEN] = " unseen"};
    fake_tell(faked->fake, "failed %s%s\n", fault_name(fault), fates[fate]);
    if (!faked->is_repeated) {
        fake_end_if_over(faked);
    }
}

static inline void fake_on_requester_done(struct exchange *exchange)
{
    struct fake_exchange *faked = fake_of(exchange);
    assert_null(exchange->requester);
    fake_tell(faked->fake, "done\n");
    fake_end_if_over(faked);
}

static const struct exchange_driver fake_driver = {
    .on_request = fake_on_request,
    .on_bad_request = fake_on_bad_request,
    .on_responded = fake_on_responded,
    .on_interim = fake_on_interim,
    .on_response = fake_on_response,
    .on_request_failed = fake_on_request_failed,
    .on_requester_done = fake_on_requester_done,
};

static inline struct fake_exchange *fake_open(struct fake *fake)
{
    struct fake_exchange *faked = calloc(1, sizeof(*faked));
    assert_non_null(faked);
    struct exchange *exchange = &faked->exchange;
    faked->fake = fake;
    faked->post_reap = (struct loop_post){.run = fake_reap, .self = faked};
    exchange->driver = &fake_driver;
    arena_init(&exchange->arena, loop_arena_pool(fake->loop), FAKE_ARENA_BYTES);
    exchange->request = arena_take(&exchange->arena, sizeof(*exchange->request));
    exchange->response = arena_take(&exchange->arena, sizeof(*exchange->response));
    assert_non_null(exchange->request);
    assert_non_null(exchange->response);
    *exchange->request = (struct message){0};
    *exchange->response = (struct message){0};
    body_init(&exchange->request_body, loop_buffer_pool(fake->loop));
    body_init(&exchange->response_body, loop_buffer_pool(fake->loop));
    fake->last = faked;
    fake->begun++;
    return faked;
}

/* For struct exchange_source. */
static inline struct exchange *fake_source(void *self, struct responder *responder)
{
    (void)responder;
    return &fake_open(self)->exchange;
}
