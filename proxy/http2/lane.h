/* proxy/http2/lane.h
 *
 * One exchange's way through a conn of HTTP/2, on either side: what RFC 9113 calls a stream (in
 * this house a stream is the bytes of a conn). A lane joins frames and bodies: DATA that arrives
 * becomes a body, as far as there is room, and gives the peer credit when the body's consumer has
 * taken it; a body that is to be sent becomes DATA, as far as the peer's windows allow.
 *
 *   in:   HEAD ──► CONTENT ──► ended          out:  (head submitted) ──► CONTENT ──► sent
 *   both over, or a reset ──► closed
 *
 * What the library tells only marks a lane as ready; the framer settles ready lanes afterwards,
 * so nobody is ever called from inside the library.
 *
 * Owner: the codec that embeds it; gone some time after on_closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "proxy/base/list.h"
#include "proxy/http/exchange.h"
#include "proxy/http2/crumbs.h"
#include "proxy/http2/grpc.h"
#include "proxy/http2/stash.h"
#include "proxy/net/timer.h"

struct framer;

/* What waits to be told. */
enum lane_news {
    LANE_HEAD = 1,    /* the message's head is there, good or bad */
    LANE_CONTENT = 2, /* the body holds more than it did, or has ended */
    LANE_BAD = 4,     /* the content breaks a rule: lane->fault */
    LANE_TOOK = 8,    /* bytes of the outgoing body were framed: there is room again */
    LANE_SENT = 16,   /* the last frame of ours was framed */
    LANE_CLOSED = 32, /* the stream is over: lane->code */
};

/* Fields private to lane.c and framer.c, but for exchange, id, fault, code, has_head, is_in_ended,
 * is_begun, is_sent and is_closed, which codecs read, and is_grpc, which they set. */
struct lane {
    struct list_link link; /* in its framer */
    struct list_link ready;
    struct framer *framer;
    int32_t id;
    unsigned news;
    struct exchange *exchange; /* NULL: has let go */
    enum fault_code fault;     /* of the head, or of the content */
    uint32_t code;             /* how the stream was closed (RFC 9113 §7) */

    struct body *in; /* NULL: what arrives is dropped */
    struct stash stash;
    bool has_head;
    bool is_in_ended; /* END_STREAM was received */
    bool is_tunnel;   /* what arrives has no end but END_STREAM: no trailers */
    bool has_length;  /* Content-Length was given */
    uint64_t length;
    uint64_t limit; /* of content, or with gRPC of each message; 0: none */
    bool is_grpc;   /* before lane_receive_into */
    struct grpc_messages messages;
    uint64_t received; /* content, so far */
    uint64_t credited; /* of it, given back to the peer's window */
    uint64_t grown_at; /* `credited` when the window grew last */
    int32_t window;

    struct body *out;
    bool is_deferred; /* the library waits to be told of more */
    struct lane_crumbs crumbs;
    bool is_begun; /* our head was framed: until then the peer knows nothing of the stream */
    bool is_sent;
    bool is_closed; /* the library knows the stream no more */
    struct loop_post post_reap;
};

void lane_open(struct lane *lane, struct framer *framer, int32_t id, struct exchange *exchange,
               void (*reap)(void *self), void *self);

/* What arrives goes to `body`. Declared lengths are checked, and `limit` (0: none): of all of it,
 * or, for a call of gRPC, of each message. */
void lane_receive_into(struct lane *lane, struct body *body, const struct framing *framing,
                       uint64_t limit);

/* What the library read; never calls anybody. */
void lane_take(struct lane *lane, slice bytes);
void lane_end_in(struct lane *lane);

/* Moves on what the body had no room for, lets its consumer take it, and credits what was taken. */
void lane_offer(struct lane *lane);

/* From now on `body` is what the lane sends. */
void lane_send_from(struct lane *lane, struct body *body);

/* The library's call for content to send. */
nghttp2_data_provider lane_provider(struct lane *lane);

/* Lets go of the exchange and its bodies; what arrives from now on is dropped. Returns it. */
struct exchange *lane_let_go(struct lane *lane);

/* What the peer is told of a message that cannot be completed (RFC 9113 §7). */
uint32_t lane_code_of(enum fault_code fault);

/* Ends the stream with RST_STREAM, unless it is over. */
void lane_reset(struct lane *lane, uint32_t code);

/* Tells the framer that there is something to tell. */
void lane_note(struct lane *lane, unsigned news);
