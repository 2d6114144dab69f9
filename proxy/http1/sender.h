/* proxy/http1/sender.h
 *
 * The writing half of an HTTP/1 conn, the same for requests and responses: stages heads, frames a
 * body (as it is, or in chunks), and hands both to the stream so that a head and a short body
 * leave in one TLS record.
 *
 * A staged head waits for the first bytes of its body until the end of the loop turn
 * (sender_flush), no longer.
 *
 * Owner: the conn that embeds it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/body.h"
#include "proxy/http1/serialise.h"
#include "proxy/net/stream.h"

/* Fields private to sender.c. */
struct sender {
    struct buffer_pool *pool;
    struct buffer out; /* staged */
    bool is_chunked;
    bool is_ended;      /* the last chunk is staged */
    bool has_only_head; /* what is staged can wait for the body */
};

enum sender_result {
    SENDER_WAITS_FOR_BODY,
    SENDER_WAITS_FOR_STREAM, /* on_writable follows */
    SENDER_DONE,             /* the body is complete and handed to the stream */
    SENDER_CUT,              /* the body cannot be completed: the peer must be able to tell */
    SENDER_BROKEN,           /* the stream failed */
};

void sender_init(struct sender *sender, struct buffer_pool *pool);
void sender_fini(struct sender *sender);

/* Stage a head; what is sent afterwards is framed as the head says. FAULT_LIMIT_MEMORY, or
 * FAULT_INTERNAL if the message cannot be said in HTTP/1. */
MUST_CHECK enum fault_code sender_stage_request(struct sender *sender,
                                                const struct message *request,
                                                const struct http1_sending *sending);
MUST_CHECK enum fault_code sender_stage_response(struct sender *sender,
                                                 const struct message *response,
                                                 const struct http1_sending *sending);

/* Moves as much of the body as the stream takes. */
MUST_CHECK enum sender_result sender_pump(struct sender *sender, struct stream *stream,
                                          struct body *body);

/* After SENDER_CUT: why. */
static inline enum fault_code sender_cut_fault(const struct body *body)
{
    return body->state == BODY_CUT ? body->fault : FAULT_LIMIT_MEMORY;
}

/* Writes what is staged without waiting for more. */
MUST_CHECK enum sender_result sender_flush(struct sender *sender, struct stream *stream);

static inline bool sender_has_staged(const struct sender *sender)
{
    return !buffer_is_empty(&sender->out);
}
