/* proxy/http1/request.h
 *
 * From the bytes of a request head to a message (RFC 9112 §3, §5). Strict: what two servers might
 * read differently is refused with a fault that names the reason. What the fields mean is decided
 * in proxy/http/framing.h, not here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/arena.h"
#include "proxy/base/fault.h"
#include "proxy/http/message.h"
#include "proxy/http1/head.h"

/* What a message has no place for: facts of this conn. */
struct http1_wire {
    bool is_http10;
    bool close_after;       /* the conn ends with this exchange (RFC 9112 §9.3) */
    enum fault_code detail; /* responses: the rule that was broken, for the log */
};

/* `head` is what http1_head_scan found. It must live as long as the message (be in its arena) and
 * is changed: names become lower case in place, and the message points into it. `scheme` is what
 * the client used with us ("http" or "https"; a literal); a target in absolute form must agree.
 * `out` and `wire` are overwritten. FAULT_NONE, or why the request is refused; then `out` holds
 * what was understood so far (for the log). FAULT_LIMIT_MEMORY: the arena is full. */
MUST_CHECK enum fault_code http1_parse_request(char *head, size_t len, slice scheme,
                                               struct arena *arena,
                                               const struct message_limits *limits,
                                               struct message *out, struct http1_wire *wire);
