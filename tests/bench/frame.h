/* tests/bench/frame.h
 *
 * WebSocket frames (RFC 6455 §5.2) as the bench uses them: one frame a message, payloads of at most
 * 65,535 bytes, and the answer to the opening key (§4.2.2).
 *
 * Owner: nobody; all functions work on borrowed bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
    FRAME_HEAD_MAX = 8, /* two bytes, a length of two, a mask of four */
    FRAME_ACCEPT_LEN = 28,
};

struct frame {
    int opcode;
    uint8_t *payload; /* borrowed, unmasked in place */
    size_t payload_len;
    size_t frame_len; /* with its head */
};

enum frame_result { FRAME_WHOLE, FRAME_PARTIAL, FRAME_WRONG };

/* Reads the frame at the start of `bytes`, unmasking in place; `masked` says which kind is right
 * (clients mask, servers do not). FRAME_PARTIAL leaves the bytes as they are. */
enum frame_result frame_read(uint8_t *bytes, size_t len, bool masked, struct frame *frame);

/* Writes an unfragmented frame; `mask` is four bytes or NULL. `out` has room for FRAME_HEAD_MAX +
 * payload_len bytes. Returns the length of the frame. */
size_t frame_write(uint8_t *out, int opcode, const uint8_t *mask, const uint8_t *payload,
                   size_t payload_len);

/* Sec-WebSocket-Accept for a key, with its terminating zero. False when the key is too long or
 * the digest fails. */
bool frame_accept(const char *key, size_t key_len, char out[FRAME_ACCEPT_LEN + 1]);
