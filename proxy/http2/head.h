/* proxy/http2/head.h
 *
 * The one spelling in which we send heads and trailers in HTTP/2 (RFC 9113 §8.3): pseudo-header
 * fields first, framing said by the message and never copied. Each name and value is checked again
 * here, so that no rule, configuration or bug can send what we would refuse.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "proxy/base/fault.h"
#include "proxy/http/message.h"

/* Points into the message and lives in its arena; the library copies it when it is submitted. */
struct head {
    nghttp2_nv *at;
    size_t count;
};

/* FAULT_INTERNAL: the message cannot be said in HTTP/2 (a field of one hop, a forbidden
 * character). FAULT_LIMIT_MEMORY: the arena is full. */
MUST_CHECK enum fault_code head_of_request(const struct message *request, struct arena *arena,
                                           struct head *out);
/* Interim responses too; 101 becomes the 200 of an extended CONNECT (RFC 8441 §5). */
MUST_CHECK enum fault_code head_of_response(const struct message *response, struct arena *arena,
                                            struct head *out);
MUST_CHECK enum fault_code head_of_trailers(const struct fields *trailers, struct arena *arena,
                                            struct head *out);
