/* proxy/relay/access_log.h
 *
 * One line for each exchange or tunnel, at its end. Written straight into memory: no format
 * strings, no allocation.
 *
 * What is never in it: cookies, authorization, bodies, and the query, which often carries tokens
 * (only that there was one). Text from peers is escaped: control characters, invalid UTF-8, and
 * direction and line marks of Unicode cannot forge a line or a terminal sequence. Long texts are
 * cut, so that a line always fits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/fault.h"
#include "proxy/base/log.h"
#include "proxy/base/slice.h"

/* A phase that did not happen. */
#define ACCESS_LOG_NEVER UINT64_MAX

/* Empty slices are left out of the line. All borrowed for the call. */
struct exchange_facts {
    uint64_t end_wall_us; /* microseconds since 1970 */
    slice id;
    slice request_id; /* X-Request-Id as sent to the backend; left out when it equals id */
    slice trace_id;
    slice client; /* address of the peer, without port */
    slice listener;

    bool is_tls;
    slice tls_version;
    slice tls_cipher;
    slice tls_group;
    bool tls_is_resumed;
    slice sni;
    slice client_subject; /* of the verified client certificate */

    slice method;
    slice host; /* authority */
    slice path; /* as received, without query */
    bool has_query;
    slice user_agent;
    slice protocol; /* the codec's own name for itself */

    unsigned status;    /* 0: no response was sent */
    uint64_t bytes_in;  /* body bytes from the client (tunnels: all bytes) */
    uint64_t bytes_out; /* body bytes to the client */

    slice route;   /* its host and path, or a name */
    slice backend; /* name */
    slice server;  /* address or URL */
    unsigned retries;

    /* Durations in µs; ACCESS_LOG_NEVER: did not happen in this exchange. */
    uint64_t tls_us;        /* handshake with the client, on a conn's first exchange */
    uint64_t header_us;     /* from the first byte of the head to its last */
    uint64_t queue_us;      /* waiting for a place at a server */
    uint64_t connect_us;    /* transport and TLS to the server; 0 or never when reused */
    uint64_t first_byte_us; /* from the request sent to the first byte of the response */
    uint64_t total_us;      /* from the first byte of the request to the end */

    bool is_tunnel; /* total_us is then how long it was open */
    enum fault_code fault;
};

/* A line never needs more room than this, its line feed included: what a pipe takes whole, so that
 * lines of several workers do not mix. */
enum { ACCESS_LOG_LINE_BYTES = LOG_LINE_BYTES_MAX };

/* Does "errors only" keep it? Status 400 and above, none at all, or a fault. */
bool access_log_is_error(const struct exchange_facts *facts);

/* Writes one line with its line feed into `out` (ACCESS_LOG_LINE_BYTES of room); returns its
 * length. */
size_t access_log_write(const struct exchange_facts *facts, enum log_format format, char *out);

struct access_log {
    struct log *log; /* NULL: off; borrowed */
    enum log_format format;
    bool errors_only;
};

/* Writes the line and hands it to the log. */
void access_log_add(const struct access_log *access, const struct exchange_facts *facts);
