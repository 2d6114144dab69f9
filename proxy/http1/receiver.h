/* proxy/http1/receiver.h
 *
 * The reading half of an HTTP/1 conn, the same for requests and responses: finds heads, and moves
 * a body from the stream into a struct body by its framing. A body of known length is received
 * straight into the body's own buffer.
 *
 * Owner: the conn that embeds it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/body.h"
#include "proxy/http/message.h"
#include "proxy/http1/chunked.h"
#include "proxy/http1/head.h"
#include "proxy/net/stream.h"

/* Fields private to receiver.c, but for `in` and `scan`, which a conn may look at. */
struct receiver {
    struct buffer_pool *pool;
    const struct message_limits *limits;
    struct buffer in; /* received, not parsed */
    struct http1_head_scan scan;
    struct framing framing;
    uint64_t body_limit;     /* bytes of a streamed body; 0: no limit */
    struct chunked *chunked; /* in the exchange's arena; NULL: not chunked */
};

enum receiver_result {
    RECEIVER_MOVED,    /* a head is complete, or bytes are in the body: look again */
    RECEIVER_WAITS,    /* for the stream, or for room in the body */
    RECEIVER_COMPLETE, /* the body is; it was ended */
    RECEIVER_ENDED,    /* the stream ended before the message did */
    RECEIVER_BROKEN,   /* the stream failed */
    RECEIVER_FAULT,    /* *fault says which rule or limit */
};

void receiver_init(struct receiver *receiver, struct buffer_pool *pool,
                   const struct message_limits *limits);
void receiver_fini(struct receiver *receiver);

/* Other limits for the heads and bodies that begin from now on. */
void receiver_retune(struct receiver *receiver, const struct message_limits *limits);

static inline bool receiver_is_empty(const struct receiver *receiver)
{
    return buffer_is_empty(&receiver->in);
}

/* Receives more into `in`, at least `room` bytes of room at a time. MOVED, WAITS, ENDED, BROKEN or
 * FAULT (memory). */
MUST_CHECK enum receiver_result receiver_fill(struct receiver *receiver, struct stream *stream,
                                              size_t room, enum fault_code *fault);

/* Starts to look for a head of this kind. */
void receiver_expect_head(struct receiver *receiver, enum http1_section section);

/* Looks for the end of a head, receiving `room` at a time. MOVED: *head_len bytes at the start of
 * `in` are it; take them with receiver_take_head. */
MUST_CHECK enum receiver_result receiver_head(struct receiver *receiver, struct stream *stream,
                                              size_t room, size_t *head_len,
                                              enum fault_code *fault);

/* The head as a mutable copy in the arena. at == NULL: no memory. */
slice receiver_take_head(struct receiver *receiver, struct arena *arena, size_t head_len);

/* From here on receiver_body reads a body of this framing. STATUS_NOMEM: the arena is full. */
MUST_CHECK enum status receiver_expect_body(struct receiver *receiver,
                                            const struct framing *framing, uint64_t body_limit,
                                            struct arena *arena);

/* Moves once. The caller offers the body when MOVED or COMPLETE comes. */
MUST_CHECK enum receiver_result receiver_body(struct receiver *receiver, struct stream *stream,
                                              struct body *body, enum fault_code *fault);
