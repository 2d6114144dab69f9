/* tests/bench/http2.h
 *
 * As much of HTTP/2 as a client needs to ask once and then be idle: the bytes of one request, and
 * frame by frame whether the answer is right.
 *
 * Why it exists: h2load makes the load of the HTTP/2 scenarios, but holds no idle connections.
 * HPACK (RFC 7541) is written by hand and not decoded, so the bench needs no library for it.
 *
 * Owner: the slot that embeds the answer; bytes are borrowed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    HTTP2_REQUEST_MAX = 512,
    HTTP2_REPLY_MAX = 17, /* an acknowledged PING */
};

struct http2_answer {
    bool has_head;
    bool is_complete;  /* status 200 and the backend's small body came, and the stream ended */
    size_t body_len;   /* so far */
    const char *fault; /* what was wrong; static */
};

/* Writes preface, settings and a GET of /small; its length, 0 when `name` is too long. */
size_t http2_write_request(uint8_t out[HTTP2_REQUEST_MAX], const char *name);

/* Takes one frame from the front of `bytes`. Its length, 0 when it is not whole, -1 when it is not
 * one that may come (then fault says why). `reply` gets the acknowledgement to be sent, if any. */
ssize_t http2_take(struct http2_answer *answer, const uint8_t *bytes, size_t len,
                   uint8_t reply[HTTP2_REPLY_MAX], size_t *reply_len);
