/* proxy/route/response_rules.h
 *
 * What changes in a response between backend (or our own error page) and client. Call it for the
 * final response and for 101, not for other 1xx.
 *
 *   HSTS      on every response over TLS, our own errors too; never for loopback names, never over
 *             plaintext (RFC 6797 §7.2); a backend's own value wins and is sent once (§6.1 allows
 *             one field)
 *   cookies   Secure is added where it is missing and the client uses TLS
 *   Location  http to our own name becomes https (proxy/route/location.h)
 *   presets   proxy/route/security_headers.h
 *   Server    passed on, or removed by option
 *   Date      added where it is missing (RFC 9110 §6.6.1)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"
#include "proxy/base/arena.h"
#include "proxy/base/status.h"
#include "proxy/http/message.h"
#include "proxy/route/hsts.h"

/* From one listener. Zero is a valid "nothing but Date". */
struct response_rules {
    struct hsts hsts;
    enum config_security_headers security_headers;
    bool removes_server;
};

struct response_facts {
    bool is_tls;             /* TLS between client and us */
    slice client_authority;  /* as the client sent it: host[:port]; empty: unknown */
    slice backend_authority; /* what was sent as Host instead; empty: the client's own */
    bool secure_cookies;     /* of the backend; false for our own responses */
    slice date;              /* proxy/route/date.h; must live as long as the response */
};

void response_rules_init(struct response_rules *rules, const struct config_listener *listener);

/* Changes `response` in place; call once. STATUS_NOMEM: the arena is full. */
MUST_CHECK enum status response_rules_apply(const struct response_rules *rules,
                                            const struct response_facts *facts,
                                            struct message *response, struct arena *arena);
