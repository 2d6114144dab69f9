/* proxy/http2/websocket.h
 *
 * The handshake of a WebSocket has a key and its answer in HTTP/1.1 (RFC 6455 §4) and neither in
 * HTTP/2 (RFC 8441 §5). A message is always in the spelling of HTTP/1.1: what is missing there is
 * added where it comes in over HTTP/2, and left out where it goes on over HTTP/2.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/fault.h"
#include "proxy/http/message.h"

/* A request that came as an extended CONNECT gets a key. FAULT_LIMIT_MEMORY; FAULT_INTERNAL: no
 * random bytes could be had. */
MUST_CHECK enum fault_code websocket_add_key(struct message *request, struct arena *arena);

/* A tunnel's response gets the answer to the request's key. FAULT_LIMIT_MEMORY. */
MUST_CHECK enum fault_code websocket_add_accept(const struct message *request,
                                                struct message *response, struct arena *arena);

/* Is that answer there, and right? */
bool websocket_is_accepted(const struct message *request, const struct message *response);
