/* proxy/http/field.h
 *
 * Header and trailer fields of a message: an ordered list of (token, lower-case name, value). The
 * names that we act on have a token, so that nobody compares strings on the path of a request.
 *
 * Owner: the message. Names and values are slices into the exchange's arena (or literals).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/slice.h"
#include "proxy/base/status.h"

/* clang-format off */
#define FIELD_TABLE(X)                               \
    X(OTHER, "")                                     \
    X(ACCEPT, "accept")                              \
    X(AUTHORIZATION, "authorization")                \
    X(CACHE_CONTROL, "cache-control")                \
    X(CLIENT_CERT, "client-cert")                    \
    X(CLIENT_CERT_CHAIN, "client-cert-chain")        \
    X(CONNECTION, "connection")                      \
    X(CONTENT_LENGTH, "content-length")              \
    X(CONTENT_TYPE, "content-type")                  \
    X(COOKIE, "cookie")                              \
    X(DATE, "date")                                  \
    X(EARLY_DATA, "early-data")                      \
    X(EXPECT, "expect")                              \
    X(FORWARDED, "forwarded")                        \
    X(HOST, "host")                                  \
    X(HTTP2_SETTINGS, "http2-settings")              \
    X(KEEP_ALIVE, "keep-alive")                      \
    X(LOCATION, "location")                          \
    X(PRIORITY, "priority")                          \
    X(PROXY, "proxy")                                \
    X(PROXY_AUTHENTICATE, "proxy-authenticate")      \
    X(PROXY_AUTHORIZATION, "proxy-authorization")    \
    X(PROXY_CONNECTION, "proxy-connection")          \
    X(SALLYPORT_SESSION, "sallyport-session")        \
    X(SEC_WEBSOCKET_ACCEPT, "sec-websocket-accept")  \
    X(SEC_WEBSOCKET_KEY, "sec-websocket-key")        \
    X(SEC_WEBSOCKET_VERSION, "sec-websocket-version") \
    X(SERVER, "server")                              \
    X(SET_COOKIE, "set-cookie")                      \
    X(STRICT_TRANSPORT_SECURITY, "strict-transport-security") \
    X(TE, "te")                                      \
    X(TRACEPARENT, "traceparent")                    \
    X(TRACESTATE, "tracestate")                      \
    X(TRAILER, "trailer")                            \
    X(TRANSFER_ENCODING, "transfer-encoding")        \
    X(UPGRADE, "upgrade")                            \
    X(USER_AGENT, "user-agent")                      \
    X(VIA, "via")                                    \
    X(X_FORWARDED_FOR, "x-forwarded-for")            \
    X(X_FORWARDED_HOST, "x-forwarded-host")          \
    X(X_FORWARDED_PORT, "x-forwarded-port")          \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")        \
    X(X_REAL_IP, "x-real-ip")                        \
    X(X_REQUEST_ID, "x-request-id")
/* clang-format on */

#define FIELD_ENUM(token, name) FIELD_##token,
enum field_token { FIELD_TABLE(FIELD_ENUM) FIELD_TOKENS };
#undef FIELD_ENUM

struct field {
    slice name; /* lower case */
    slice value;
    enum field_token token;
};

/* Zero is a valid empty list. */
struct fields {
    struct field *at;
    size_t count;
    size_t room;
};

/* The token of a lower-case name; FIELD_OTHER when it has none. */
enum field_token field_token_of(slice lower_name);

/* The lower-case name of a token. */
slice field_name_of(enum field_token token);

/* The lower-case form of a field name's byte; 0: the byte may not be in a name (RFC 9110 §5.6.2).
 */
extern const unsigned char field_name_bytes[256];

/* RFC 9110 §5.1: a token of at least one character. Lower-cases it in place: names are compared
 * in one spelling everywhere. False: not a field name. */
bool field_name_make_lower(char *at, size_t len);

/* RFC 9110 §5.5: visible characters, spaces, tabs and bytes above 0x7f; no NUL, CR, LF, DEL or
 * other control character. */
bool field_value_is_valid(slice value);

/* The place of the first byte that may not be in a value, or value.len. */
size_t field_value_find_control(slice value);

/* RFC 9110 §5.6.2. */
bool field_is_token(slice text);

/* Appends; name and value must live as long as the list. STATUS_NOMEM: the arena is full. */
MUST_CHECK enum status fields_add(struct fields *fields, struct arena *arena,
                                  enum field_token token, slice value);
MUST_CHECK enum status fields_add_named(struct fields *fields, struct arena *arena,
                                        slice lower_name, slice value);

/* The first field of that name, or NULL. Valid until the next change of the list. */
struct field *fields_find(const struct fields *fields, enum field_token token);
struct field *fields_find_named(const struct fields *fields, slice lower_name);

/* How many fields have that token. */
size_t fields_count(const struct fields *fields, enum field_token token);

/* Removes all of that name, keeping the order of the others. */
void fields_remove(struct fields *fields, enum field_token token);
void fields_remove_named(struct fields *fields, slice lower_name);

/* True when any member of any field of that name equals `member` but for case: `close` in
 * Connection, `websocket` in Upgrade. */
bool fields_has_member(const struct fields *fields, enum field_token token, slice member);
