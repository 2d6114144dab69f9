/* proxy/http/uri.h
 *
 * Request targets and authorities (RFC 9112 §3.2, RFC 3986), strictly.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/fault.h"
#include "proxy/http/message.h"

/* host[:port] or [v6][:port]; no user info; port 0..65535 without sign; reg-name characters of RFC
 * 3986 §3.2.2. `host` is without brackets, `port` 0 when absent. */
struct authority {
    slice host;
    uint16_t port;
    bool has_port;
    bool is_ipv6;
};
bool authority_parse(slice text, struct authority *out);

/* Splits a request target into the message: origin form, absolute form (its authority must agree
 * with Host: checked in framing), "*" for OPTIONS, authority form for CONNECT. */
MUST_CHECK enum fault_code uri_parse_target(slice target, struct message *request);

/* The path with unreserved percent-encodings decoded, dot segments removed and repeated slashes
 * kept, for route matching only: what is sent on is the path as received. `out` must have
 * path.len bytes of room. Returns the length; paths that climb above the root or decode to NUL
 * give false. */
bool uri_normalise_path(slice path, char *out, size_t *len);
