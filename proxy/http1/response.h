/* proxy/http1/response.h
 *
 * From the bytes of a response head to a message (RFC 9112 §4, §5), as strict as for requests: a
 * backend that breaks the rules is answered for with 502, never passed on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/arena.h"
#include "proxy/base/fault.h"
#include "proxy/http/message.h"
#include "proxy/http1/head.h"
#include "proxy/http1/request.h"

/* What the response answers; how it ends and whether it may switch protocols depend on it. */
struct http1_asked {
    enum method method;
    bool upgrade; /* the request was sent with Upgrade: websocket */
};

/* As http1_parse_request. The reason phrase is not looked at and not kept. A status of 1xx other
 * than 101 is interim: another head follows. The fault is already http1_response_fault's;
 * wire->detail is the exact rule. */
MUST_CHECK enum fault_code http1_parse_response(char *head, size_t len,
                                                const struct http1_asked *asked,
                                                struct arena *arena,
                                                const struct message_limits *limits,
                                                struct message *out, struct http1_wire *wire);

/* What the client is told when a backend's bytes break the rule `detail` (which has a status for
 * clients' own mistakes): a fault with status 502. For chunked bodies of responses too. */
enum fault_code http1_response_fault(enum fault_code detail);
