/* proxy/route/redirect.h
 *
 * What a redirect listener answers: the same host, path and query on https, byte for byte.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/base/arena.h"
#include "proxy/base/fault.h"
#include "proxy/http/message.h"

struct redirect {
    unsigned status; /* 308; or 301, which is used for GET and HEAD only (others keep their method
                        with 308) */
    uint16_t port;   /* of the https listener; 443 is left out of the Location */
};

void redirect_init(struct redirect *redirect, const struct config_listener *listener);

/* Makes `response` (no body). Otherwise the fault whose error page is the answer:
 * FAULT_NO_ROUTE for /.well-known/acme-challenge/, which a certificate authority fetches over
 * plaintext (RFC 8555 §8.3) and which must never be redirected; FAULT_HOST_MISSING,
 * FAULT_HOST_MALFORMED; FAULT_METHOD_REFUSED for a target without a path (CONNECT, OPTIONS *);
 * FAULT_LIMIT_MEMORY. The caller adds no HSTS: it must not be said over plaintext (RFC 6797 §7.2).
 */
MUST_CHECK enum fault_code redirect_answer(const struct redirect *redirect,
                                           const struct message *request, struct message *response,
                                           struct arena *arena);
