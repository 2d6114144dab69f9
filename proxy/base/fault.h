/* proxy/base/fault.h
 *
 * Every way in which an exchange, conn or start can go wrong, in one table: the name that logs and
 * metrics use, the HTTP status that a client gets, and a sentence for people. One table, so that
 * logs, metrics, tests and the manual cannot disagree. A status of 0 means that no response can be
 * sent: the conn is closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* clang-format off */
#define FAULT_TABLE(X)                                                                                      \
    X(NONE,                  "none",                    0,   "no fault")                                    \
    /* what a client's HTTP/1 head may do wrong: 400 and close (RFC 9112) */                                \
    X(H1_REQUEST_LINE,       "h1_request_line",         400, "the request line is malformed")               \
    X(H1_METHOD,             "h1_method",               400, "the method is not a token")                   \
    X(H1_TARGET,             "h1_target",               400, "the request target is malformed")             \
    X(H1_VERSION,            "h1_version",              505, "the HTTP version is not supported")           \
    X(H1_STATUS_LINE,        "h1_status_line",          502, "the status line is malformed")                \
    X(H1_BARE_CR,            "h1_bare_cr",              400, "CR without LF")                               \
    X(H1_BARE_LF,            "h1_bare_lf",              400, "LF without CR")                               \
    X(H1_OBS_FOLD,           "h1_obs_fold",             400, "a folded field line")                         \
    X(H1_FIELD_NAME,         "h1_field_name",           400, "a field name is malformed")                   \
    X(H1_FIELD_VALUE,        "h1_field_value",          400, "a field value holds a forbidden character")   \
    X(H1_SPACE_BEFORE_COLON, "h1_space_before_colon",   400, "white space between field name and colon")    \
    X(H1_CHUNK_SIZE,         "h1_chunk_size",           400, "a chunk size is malformed")                   \
    X(H1_CHUNK_END,          "h1_chunk_end",            400, "a chunk does not end where its size says")    \
    X(H1_CHUNK_EXTENSION,    "h1_chunk_extension",      400, "a chunk extension is malformed")              \
    X(H1_CHUNK_OVERHEAD,     "h1_chunk_overhead",       400, "too much chunk framing for the content")      \
    X(H1_TRAILER,            "h1_trailer",              400, "a trailer field is malformed or forbidden")   \
    /* what a peer may do wrong in HTTP/2: the stream or the conn is reset, there is no page */             \
    X(H2_PROTOCOL,           "h2_protocol",             0,   "the HTTP/2 connection broke the protocol")    \
    X(H2_FLOOD,              "h2_flood",                0,   "too many HTTP/2 frames that carry nothing, or resets") \
    X(H2_PSEUDO_FIELD,       "h2_pseudo_field",         0,   "a pseudo-header field is missing, repeated, misplaced or wrong") \
    X(H2_FIELD_NAME,         "h2_field_name",           0,   "a field name is malformed or not in lower case") \
    X(H2_FIELD_VALUE,        "h2_field_value",          0,   "a field value holds a forbidden character")   \
    X(H2_LENGTH,             "h2_length",               0,   "the content is not as long as Content-Length says") \
    X(H2_TRAILER,            "h2_trailer",              0,   "a trailer field is malformed, forbidden or not the last") \
    X(HTTP_ON_TLS_PORT,      "http_on_tls_port",        400, "a plaintext HTTP request came to a TLS port") \
    /* what a message may mean wrongly, whatever its version (RFC 9110, RFC 9112 §6) */                     \
    X(LENGTH_AND_CODING,     "length_and_coding",       400, "Content-Length together with Transfer-Encoding") \
    X(LENGTH_REPEATED,       "length_repeated",         400, "more than one Content-Length")                \
    X(LENGTH_MALFORMED,      "length_malformed",        400, "Content-Length is not a number")              \
    X(CODING_UNKNOWN,        "coding_unknown",          501, "a transfer coding other than chunked")        \
    X(CODING_MALFORMED,      "coding_malformed",        400, "Transfer-Encoding is malformed")              \
    X(CODING_IN_HTTP10,      "coding_in_http10",        400, "Transfer-Encoding in an HTTP/1.0 message")    \
    X(HOST_MISSING,          "host_missing",            400, "no Host field")                               \
    X(HOST_REPEATED,         "host_repeated",           400, "more than one Host field")                    \
    X(HOST_MALFORMED,        "host_malformed",          400, "Host is malformed")                           \
    X(HOST_CLASH,            "host_clash",              400, "Host differs from the request target")        \
    X(URI_MALFORMED,         "uri_malformed",           400, "the path or query is malformed")              \
    X(CONNECTION_MALFORMED,  "connection_malformed",    400, "Connection names a field that it may not")    \
    X(UPGRADE_MALFORMED,     "upgrade_malformed",       400, "Upgrade is malformed")                        \
    X(EXPECT_UNKNOWN,        "expect_unknown",          417, "an expectation other than 100-continue")      \
    X(METHOD_REFUSED,        "method_refused",          405, "the method is not allowed here")              \
    /* limits and deadlines */                                                                              \
    X(LIMIT_HEADER_BYTES,    "limit_header_bytes",      431, "the header section is too large")             \
    X(LIMIT_HEADER_COUNT,    "limit_header_count",      431, "too many field lines")                        \
    X(LIMIT_URI_BYTES,       "limit_uri_bytes",         414, "the request target is too long")              \
    X(LIMIT_BODY_BYTES,      "limit_body_bytes",        413, "the body is too large")                       \
    X(LIMIT_CONNECTIONS,     "limit_connections",       503, "too many connections")                              \
    X(LIMIT_MEMORY,          "limit_memory",            503, "out of memory")                               \
    X(TIMEOUT_HANDSHAKE,     "timeout_handshake",       0,   "the TLS handshake took too long")             \
    X(TIMEOUT_HEADER,        "timeout_header",          408, "the header section came too slowly")          \
    X(TIMEOUT_BODY,          "timeout_body",            408, "the body came below the minimum rate")        \
    X(TIMEOUT_SEND,          "timeout_send",            0,   "the client takes the response below the minimum rate") \
    X(TIMEOUT_IDLE,          "timeout_idle",            0,   "the connection was idle too long")                  \
    X(TIMEOUT_TUNNEL,        "timeout_tunnel",          0,   "the tunnel was idle too long")                \
    X(TIMEOUT_RESPONSE,      "timeout_response",        504, "the backend did not answer in time")          \
    X(TIMEOUT_CONNECT,       "timeout_connect",         504, "the backend did not accept in time")          \
    X(DRAIN_DEADLINE,        "drain_deadline",          0,   "still open when the drain deadline came")     \
    /* transport */                                                                                         \
    X(CLIENT_GONE,           "client_gone",             0,   "the client closed before the exchange ended") \
    X(CLIENT_RESET,          "client_reset",            0,   "the client reset the connection")                   \
    X(TLS_HANDSHAKE,         "tls_handshake",           0,   "the TLS handshake failed")                    \
    X(TLS_RECORD,            "tls_record",              0,   "a TLS record was refused")                    \
    X(PROXY_PROTOCOL,        "proxy_protocol",          0,   "the PROXY protocol header is malformed")      \
    X(PROXY_UNTRUSTED,       "proxy_untrusted",         0,   "a PROXY protocol header from an untrusted address") \
    /* routes and backends */                                                                               \
    X(NO_ROUTE,              "no_route",                404, "no route for this host and path")             \
    X(BACKEND_NAME,          "backend_name",            502, "the backend's name does not resolve")         \
    X(BACKEND_REFUSED,       "backend_refused",         502, "the backend refused the connection")                \
    X(BACKEND_UNREACHABLE,   "backend_unreachable",     502, "the backend cannot be reached")               \
    X(BACKEND_RESET,         "backend_reset",           502, "the backend closed before it answered")       \
    X(BACKEND_TLS,           "backend_tls",             502, "the TLS handshake with the backend failed")   \
    X(BACKEND_UNVERIFIED,    "backend_unverified",      502, "the backend's certificate was not accepted")  \
    X(BACKEND_RESPONSE,      "backend_response",        502, "the backend's response breaks the rules")     \
    X(BACKEND_TRUNCATED,     "backend_truncated",       502, "the backend's response was cut short")        \
    X(BACKEND_HEADER_BYTES,  "backend_header_bytes",    502, "the backend's header section is too large")   \
    X(BACKEND_UPGRADE,       "backend_upgrade",         502, "the backend switched protocols unasked")      \
    X(BACKEND_CANCELLED,     "backend_cancelled",       502, "the backend cancelled the request")           \
    X(BACKEND_NO_TUNNEL,     "backend_no_tunnel",       502, "the backend takes no WebSocket over HTTP/2")  \
    X(BACKEND_NO_GRPC,       "backend_no_grpc",         502, "gRPC needs a backend of h2:// or h2c://, this one speaks HTTP/1.1") \
    X(CLIENT_NO_GRPC,        "client_no_grpc",          505, "gRPC needs HTTP/2, the request came over HTTP/1.1") \
    X(BACKEND_BUSY,          "backend_busy",            503, "every server of the backend is at its limit") \
    X(INTERNAL,              "internal",                500, "a fault of our own")
/* clang-format on */

#define FAULT_ENUM(code, name, http_status, sentence) FAULT_##code,
enum fault_code { FAULT_TABLE(FAULT_ENUM) FAULT_CODES };
#undef FAULT_ENUM

/* The stable name in logs and metrics. */
const char *fault_name(enum fault_code code);

/* The status of the response that the client gets; 0: none, the conn is closed. */
unsigned fault_http_status(enum fault_code code);

/* A sentence for people, without the peer's bytes. */
const char *fault_sentence(enum fault_code code);
