/* proxy/http/framing.h
 *
 * The one place that decides where a message ends and which fields belong to one hop only. Codecs
 * call it with the fields as received; afterwards the message holds no framing or hop-by-hop field
 * (RFC 9110 §7.6.1), and the sending codec writes its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/fault.h"
#include "proxy/http/message.h"

/* What the codec knows about the wire it read the message from. */
struct framing_facts {
    bool is_http10;             /* HTTP/1.0: no transfer codings, no persistence by default */
    bool has_stream_ends;       /* HTTP/2 and later: the codec marks the end itself */
    enum method request_method; /* responses: what was asked (HEAD and CONNECT matter) */
    bool upgrade_was_asked;     /* responses: 101 is allowed only then */
};

/* What framing_decide_* learnt about the conn (RFC 9112 §9.3). */
struct framing_verdict {
    bool close_after; /* the conn ends with this message */
};

/* The message's method, path and authority (:authority or an absolute target's; else empty) or
 * its status are set before. Reads Content-Length, Transfer-Encoding, Connection, Upgrade, TE,
 * Expect, Keep-Alive, Host, sets message->framing, upgrade, expects_continue, accepts_trailers,
 * authority, and removes the hop-by-hop fields and those that Connection names. FAULT_NONE or the
 * reason to refuse.
 *
 * What Connection may not name: the fields that we act on ourselves, so that no client can have
 * removed what we add (RFC 9110 §7.6.1 forbids it to name fields meant for all recipients).
 * Of the protocols in Upgrade only websocket is kept, for GET without a body in HTTP/1.1, when
 * Connection names Upgrade (RFC 9110 §7.8); for all others the request is an ordinary one.
 * Removed from requests besides: Proxy (CGI would make a proxy setting of it), and names that
 * become one that we act on when `_` is read as `-`, as CGI and its like do. */
MUST_CHECK enum fault_code framing_decide_request(struct message *request, struct arena *arena,
                                                  const struct framing_facts *facts,
                                                  struct framing_verdict *verdict);
MUST_CHECK enum fault_code framing_decide_response(struct message *response,
                                                   const struct framing_facts *facts,
                                                   struct framing_verdict *verdict);

/* RFC 9110 §6.5.1: may this field come in trailers? Not if it decides framing, routing, identity,
 * caching or how the content is read, and not if we act on it. */
bool framing_allows_trailer(const struct field *field);
