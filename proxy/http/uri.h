/* proxy/http/uri.h
 *
 * Request targets and authorities (RFC 9112 §3.2, RFC 3986), strictly.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/fault.h"
#include "proxy/http/message.h"

/* host[:port] or [v6][:port]; no user info; a port of 1..65535 without sign or leading zero; an
 * IPv6 address without zone. DEVIATES RFC 3986 §3.2.2: percent-encodings and sub-delims are refused
 * in names, since DNS has none of them and `;`, `,` and `=` mean something in Forwarded. `host` is
 * without brackets and without the dot that may end it, `port` 0 when absent. */
struct authority {
    slice host;
    uint16_t port;
    bool has_port;
    bool is_ipv6;
};
bool authority_parse(slice text, struct authority *out);

/* Splits a request target into path, query and authority of the message, whose method and scheme
 * are set: origin form, absolute form (the scheme must be the message's; its authority must agree
 * with Host: checked in framing), "*" for OPTIONS, authority form for CONNECT. Fragments, user
 * info, white space, control characters and bytes above 0x7e are refused.
 *
 * What browsers send unencoded (WHATWG URL: [ ] { } | ^ `) is accepted although RFC 3986 has it
 * not, and so is a lone % in a query; a backslash in a path is not: some servers read it as "/". */
MUST_CHECK enum fault_code uri_parse_target(slice target, struct message *request);

/* The same for a path with its query alone: HTTP/2's :path. */
MUST_CHECK enum fault_code uri_parse_path(slice path_and_query, struct message *request);

/* The path with unreserved percent-encodings decoded, dot segments removed and repeated slashes
 * kept, for route matching only: what is sent on is the path as received. `out` must have
 * path.len bytes of room. Returns the length in *len; paths that climb above the root or hold an
 * encoded NUL give false. */
bool uri_normalise_path(slice path, char *out, size_t *len);
