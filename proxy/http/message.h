/* proxy/http/message.h
 *
 * What a request or a response means, free of any HTTP version. Codecs make it from their bytes
 * and write it anew in their own spelling, so what cannot be represented here cannot be smuggled.
 * The body is never in it: bytes move through a struct body (proxy/http/body.h).
 *
 * Owner: the exchange; everything it points at is in the exchange's arena.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"
#include "proxy/http/field.h"

enum method {
    METHOD_OTHER,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PATCH,
};

/* How a receiver knows where the message ends; decided once, in proxy/http/framing.h. */
enum framing_kind {
    FRAMING_NONE,        /* no body */
    FRAMING_LENGTH,      /* exactly `length` bytes */
    FRAMING_STREAMED,    /* until the codec says so (chunked, DATA frames); trailers may follow */
    FRAMING_UNTIL_CLOSE, /* responses only: until the conn ends */
    FRAMING_TUNNEL,      /* bytes both ways without meaning, after an upgrade or CONNECT */
};

struct framing {
    enum framing_kind kind;
    uint64_t length; /* bytes, for FRAMING_LENGTH */
    /* FRAMING_NONE in a response to HEAD and in 304: Content-Length was given; it says what GET
     * would bring, and is passed on (RFC 9110 §8.6) */
    bool tells_length;
};

struct message {
    /* request */
    enum method method;
    slice method_name;
    slice scheme;    /* "http" or "https" as the client used it with us */
    slice authority; /* host[:port], lower case, validated */
    slice path;      /* as received: begins with "/" (or is "*" for OPTIONS), no query */
    slice query;     /* with its "?"; empty when there is none */

    /* response */
    unsigned status;

    /* both */
    struct fields fields; /* without hop-by-hop and framing fields: codecs write their own */
    struct framing framing;
    slice upgrade;         /* protocol asked for (request) or switched to (101); else empty */
    bool expects_continue; /* request: 100-continue (RFC 9110 §10.1.1) */
    bool accepts_trailers; /* request: TE: trailers */
};

/* How large a message's head may be; the body has limits of its own. */
struct message_limits {
    size_t header_bytes;   /* of a header section, start line and line ends included */
    size_t header_count;   /* field lines */
    size_t uri_bytes;      /* of a request target */
    size_t trailer_bytes;  /* of a trailer section; 0: as header_bytes */
    size_t overhead_bytes; /* of a body's framing beyond what its content pays for; 0: 16 KiB */
};

/* METHOD_OTHER for a token without a meaning of its own here. Case matters (RFC 9110 §9.1). */
enum method method_of(slice name);

/* A call of gRPC, by its content type. It needs both directions at once, trailers, and an error in
 * trailers of its own; and it may be open for days. */
bool message_is_grpc(const struct message *request);

/* RFC 9110 §9.2.1 and §9.2.2. */
bool method_is_safe(enum method method);
bool method_is_idempotent(enum method method);
