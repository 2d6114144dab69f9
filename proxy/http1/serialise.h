/* proxy/http1/serialise.h
 *
 * The one spelling in which we send heads (RFC 9112): lower-case names, one space after the colon,
 * framing and connection fields made from the message and the conn, never copied. Each name and
 * value is checked again here, so that no rule, configuration or bug can split a message.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/fault.h"
#include "proxy/http/message.h"

/* What the conn adds to a message. */
struct http1_sending {
    bool close;        /* this is its last exchange: connection: close */
    bool to_http10;    /* responses: the client speaks HTTP/1.0: no chunked, keep-alive is said */
    bool answers_head; /* responses: to HEAD, so no body follows */
};

/* Writes a request head. *needed is its length; it is in `out` if that is at most `room` (else
 * `out` holds rubbish: ask again with more). FAULT_INTERNAL: the message cannot be sent as HTTP/1
 * (a field that is ours to write, a forbidden character, a framing that requests do not have). */
MUST_CHECK enum fault_code http1_write_request(const struct message *request,
                                               const struct http1_sending *sending, char *out,
                                               size_t room, size_t *needed);

/* The same for a response, interim ones (1xx) and 101 included. */
MUST_CHECK enum fault_code http1_write_response(const struct message *response,
                                                const struct http1_sending *sending, char *out,
                                                size_t room, size_t *needed);

/* Will the body of this response be sent in chunks? */
bool http1_response_is_chunked(const struct message *response, const struct http1_sending *sending);

/* Must the conn end after this response: asked for by `sending`, or the only way to end its body?
 */
bool http1_response_ends_conn(const struct message *response, const struct http1_sending *sending);

/* RFC 9110 §15; "Unknown" for a status without a phrase. */
slice http1_reason_phrase(unsigned status);
