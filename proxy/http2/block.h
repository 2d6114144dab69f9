/* proxy/http2/block.h
 *
 * A header block as it is decoded, field by field, and the message that it becomes (RFC 9113 §8).
 * Nothing is repaired here: what breaks a rule is refused, so that nothing of it can mean another
 * thing to a server that speaks another version.
 *
 * Owner: the framer; a conn receives one block at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/fault.h"
#include "proxy/http/message.h"

/* The pseudo-header fields (RFC 9113 §8.3.1, §8.3.2; RFC 8441 §4). */
enum pseudo {
    PSEUDO_METHOD,
    PSEUDO_SCHEME,
    PSEUDO_AUTHORITY,
    PSEUDO_PATH,
    PSEUDO_PROTOCOL,
    PSEUDO_STATUS,
    PSEUDOS,
};

/* Fields private to block.c, but for `fault`. */
struct block {
    struct arena *arena; /* NULL: nobody wants it; it is decoded and dropped */
    const struct message_limits *limits;
    struct fields fields;
    slice pseudo[PSEUDOS]; /* at == NULL: was not there */
    bool is_trailers;
    bool has_regular; /* a field that is no pseudo-header field has come */
    enum fault_code fault;
    uint64_t bytes; /* RFC 9113 §6.5.2: names, values and 32 for each */
    uint32_t count;
};

/* Names and values will be copied to `arena`. */
void block_begin(struct block *block, struct arena *arena, const struct message_limits *limits,
                 bool is_trailers);

/* One decoded field. False: so much came that the conn must end. */
MUST_CHECK bool block_add(struct block *block, slice name, slice value);

/* What the codec knows beside the block. */
struct block_facts {
    bool is_last;           /* the stream ends with it */
    bool takes_tunnels;     /* requests: we have offered RFC 8441 */
    slice scheme;           /* requests: what the client uses with us, a literal */
    enum method method;     /* responses: what was asked */
    bool upgrade_was_asked; /* responses: the request was an extended CONNECT */
};

/* The message of a block that is complete. `out` is overwritten; with a fault it holds what was
 * understood so far. A WebSocket (extended CONNECT) becomes the GET with `upgrade` that it is in
 * HTTP/1.1, so that everybody but the codecs sees one spelling. */
MUST_CHECK enum fault_code block_to_request(struct block *block, const struct block_facts *facts,
                                            struct message *out);

/* The same for a response; 2xx to an extended CONNECT becomes 101. Faults are those that a client
 * is told of: FAULT_BACKEND_... */
MUST_CHECK enum fault_code block_to_response(struct block *block, const struct block_facts *facts,
                                             struct message *out);

/* Trailers; *out lives in the arena and is NULL when there are none. */
MUST_CHECK enum fault_code block_to_trailers(struct block *block, struct fields **out);

/* False: the request cannot be understood at all (RFC 9113 §8.1.1, malformed): a stream error. The
 * others can be answered. */
bool block_fault_has_answer(enum fault_code fault);
