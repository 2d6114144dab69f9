/* proxy/http1/chunked.h
 *
 * The chunked transfer coding (RFC 9112 §7.1), both ways. The decoder takes bytes in any pieces
 * and keeps none but those of an unfinished trailer section. Sizes are 1 to 15 hex digits;
 * extensions must be well-formed and are thrown away; trailers are read as strictly as fields.
 *
 * Chunk framing is a cost without content, so it has a limit: a bucket fills with each byte of
 * framing (size lines, extensions, line ends) and loses CHUNKED_CREDIT for each byte of content;
 * more in it than the limit (`overhead_bytes`, CHUNKED_OVERHEAD_BYTES when not set) is refused. A
 * sender of one-byte chunks (five bytes of framing each) never fills it; one of long extensions
 * does soon.
 *
 * Owner: the conn.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/fault.h"
#include "proxy/base/status.h"
#include "proxy/http/field.h"
#include "proxy/http1/head.h"

enum {
    CHUNKED_OVERHEAD_BYTES = 16 * 1024,
    CHUNKED_CREDIT = 6,
    CHUNKED_SIZE_LINE_BYTES = 18, /* room for any size line: 16 digits and CRLF */
};

/* Fields private to chunked.c, but for `trailers`. */
struct chunked {
    int state;
    unsigned digits;   /* of the size line so far */
    uint64_t left;     /* content bytes of the current chunk still to come */
    uint64_t overhead; /* the bucket */
    struct arena *arena;
    const struct message_limits *limits;
    struct http1_head_scan scan; /* of the trailer section */
    char *section;               /* its bytes, in the arena */
    size_t section_len;
    size_t section_room;
    struct fields trailers; /* complete at STATUS_END; in the arena */
};

/* `arena` holds the trailers, and must live as long as they; `limits` as long as the decoder. */
void chunked_init(struct chunked *chunked, struct arena *arena,
                  const struct message_limits *limits);

/* Takes framing up to the next content. *consumed bytes of `in` are done with when it returns.
 *   STATUS_OK     *content is the next 1..room bytes of content, inside `in` and already counted
 *                 in *consumed: call again for more
 *   STATUS_AGAIN  all of `in` is consumed (or room is 0 and content is next): more is needed
 *   STATUS_END    the body is complete; what follows *consumed is the next message's
 *   STATUS_PEER, STATUS_REFUSED, STATUS_NOMEM   *fault says why; the conn cannot be used again
 * A conn that ends before STATUS_END cut the body short. */
MUST_CHECK enum status chunked_next(struct chunked *chunked, slice in, size_t room,
                                    size_t *consumed, slice *content, enum fault_code *fault);

/* The same, copying all the content that `in` holds and `out` has room for; `out` may be where
 * `in` begins, or before it. Never STATUS_OK. STATUS_AGAIN: `in` is consumed or `out` is full. */
MUST_CHECK enum status chunked_decode(struct chunked *chunked, slice in, size_t *consumed,
                                      char *out, size_t room, size_t *produced,
                                      enum fault_code *fault);

/* The line that begins a chunk of `bytes` (at least 1) of content, which is followed by CRLF.
 * Returns its length. */
size_t chunked_write_size(char out[static CHUNKED_SIZE_LINE_BYTES], uint64_t bytes);

/* The end of a body: the last chunk, trailers (NULL: none), the empty line. *needed is its length;
 * it is in `out` if that is at most `room`. FAULT_INTERNAL: a trailer that must not be sent. */
MUST_CHECK enum fault_code chunked_write_end(const struct fields *trailers, char *out, size_t room,
                                             size_t *needed);
