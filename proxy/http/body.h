/* proxy/http/body.h
 *
 * The bytes of one message in flight, from the codec that receives them (producer) to the codec
 * that sends them (consumer). It is the one place where a fast side meets a slow side: it holds a
 * bounded number of bytes, and a producer that finds it full stops reading its conn.
 *
 *   producer: body_room → write there → body_filled … body_end | body_cut, then body_offer
 *   consumer: on_readable → body_bytes → body_take …; later, when its conn takes bytes again:
 *             the same, then body_made_room
 *
 * The producer looks for room again by itself after body_offer returns, so on_room is called only
 * for room that was made at another time: neither side ever calls into itself.
 *
 * Owner: the exchange. Both codecs let go (body_detach_*) before it ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/fault.h"
#include "proxy/http/field.h"
#include "proxy/net/buffer.h"

enum body_state {
    BODY_OPEN,  /* more may come */
    BODY_ENDED, /* complete: what it holds is the rest */
    BODY_CUT,   /* never complete: whoever receives it must be able to tell */
};

/* What several bodies may hold together; owned by the codec that consumes them. When it is used up,
 * those that are empty get no room until there is some again: then their consumer calls
 * body_made_room for each. */
struct body_budget {
    uint64_t held; /* bytes */
    uint64_t limit;
    bool has_refused; /* somebody waits for room */
};

struct body {
    struct buffer bytes;
    struct buffer kept;  /* what was taken so far, while keep_bytes > 0 */
    uint32_t keep_bytes; /* 0: nothing is kept */
    struct buffer_pool *pool;
    uint64_t moved_in;  /* bytes from the producer so far */
    uint64_t moved_out; /* bytes to the consumer so far */
    enum body_state state;
    enum fault_code fault; /* of BODY_CUT */
    uint32_t wish;         /* how much room the next fill should have; grows with full fills */
    bool is_offering;
    bool is_refused;            /* the budget had no room for it */
    struct body_budget *budget; /* NULL: none */
    struct fields *trailers;    /* NULL: none; in the exchange's arena */
    void (*on_readable)(void *consumer);
    void *consumer;
    void (*on_room)(void *producer);
    void *producer;
};

/* Empty, open, with nobody at its ends. */
void body_init(struct body *body, struct buffer_pool *pool);
void body_fini(struct body *body);

/* Each end has one codec at a time; attaching does not call anybody. */
void body_attach_consumer(struct body *body, void (*on_readable)(void *consumer), void *consumer);
void body_attach_producer(struct body *body, void (*on_room)(void *producer), void *producer);
void body_join_budget(struct body *body, struct body_budget *budget);
void body_leave_budget(struct body *body);
void body_detach_consumer(struct body *body);
void body_detach_producer(struct body *body);

/* ---- producer ---- */

/* All of it will be this long: it needs no larger block. Before the first byte. */
void body_expect(struct body *body, uint64_t bytes);

/* Where to write next and how much; NULL: full, or the budget is used up (or memory is out: *room
 * is SIZE_MAX then). The size adapts: it starts at a record and grows while fills are complete, to
 * 512 KiB. */
char *body_room(struct body *body, size_t *room);

/* `bytes` of the room last given were written. */
void body_filled(struct body *body, size_t bytes);

/* The same in one: copies as many of the bytes as fit, up to the largest block, and tells how many
 * (0: full, or memory is out). For producers whose bytes come in a place of their own and are
 * bounded by other means, so the budget counts them and refuses none. */
size_t body_put(struct body *body, slice bytes);

/* No more bytes come. */
void body_end(struct body *body);
void body_cut(struct body *body, enum fault_code fault);

/* Lets the consumer take what there is, now. */
void body_offer(struct body *body);

/* ---- consumer ---- */

static inline slice body_bytes(const struct body *body)
{
    return buffer_bytes(&body->bytes);
}

static inline bool body_is_done(const struct body *body)
{
    return body->state == BODY_ENDED && buffer_is_empty(&body->bytes);
}

/* The first `bytes` are done with. */
void body_take(struct body *body, size_t bytes);

/* To be called after body_take outside of on_readable: the producer goes on. */
void body_made_room(struct body *body);

/* ---- driver ---- */

/* Keeps what is taken, as long as that is no more than `bytes`; before the first one is. */
void body_keep(struct body *body, uint32_t bytes);

/* Nothing is kept any more. */
void body_forget(struct body *body);

/* For another consumer: it holds all its bytes from the first one on. False: some are gone. */
MUST_CHECK bool body_rewind(struct body *body);
