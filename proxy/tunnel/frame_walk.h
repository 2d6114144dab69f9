/* proxy/tunnel/frame_walk.h
 *
 * Where in the frames of a WebSocket one direction of a tunnel is (RFC 6455 §5.2): whoever ends it
 * in between may put a frame of its own there. Headers are looked at, payload is passed over.
 *
 * Owner: embedded in the tunnel. Zero is the start: the first byte behind the 101.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

/* Fields private to frame_walk.c. */
struct frame_walk {
    uint64_t left; /* of the payload; while the header comes, what is known of its length */
    uint8_t header_left;
    uint8_t length_left; /* of the bytes of a long length */
    uint8_t mask_left;
    bool has_closed; /* a close frame has begun: nothing may follow it */
};

/* The next bytes of the direction. */
void frame_walk_pass(struct frame_walk *walk, slice bytes);

/* May a frame be put here? */
bool frame_walk_is_between(const struct frame_walk *walk);
