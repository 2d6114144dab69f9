/* proxy/relay/error_page.h
 *
 * Our own answer when an exchange fails: which fault, in a sentence, with the id under which the
 * logs know it. As HTML for browsers, JSON for programs, else plain text. Holds nothing that the
 * peer sent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/arena.h"
#include "proxy/base/fault.h"
#include "proxy/base/status.h"
#include "proxy/http/message.h"

struct error_page_facts {
    enum fault_code fault;
    slice id;     /* ours, never the client's X-Request-Id; empty: none */
    slice accept; /* the request's Accept; empty: plain text */
    bool is_head; /* the request's method is HEAD: the length is told, no body follows */
    bool is_grpc; /* the request is a call of gRPC: the answer is a status of its own */
};

/* True when the fault can be answered; false: close the conn without a word. */
bool error_page_exists(enum fault_code fault);

/* Makes the whole response: status, fields, framing of a known length. `body` is what follows (for
 * HEAD nothing) and lives in the arena. The caller applies the response rules (HSTS, Date).
 * STATUS_REFUSED: error_page_exists is false. STATUS_NOMEM: the arena is full. */
MUST_CHECK enum status error_page_make(const struct error_page_facts *facts,
                                       struct message *response, slice *body, struct arena *arena);
