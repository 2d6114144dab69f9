/* proxy/tunnel/frame_walk.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tunnel/frame_walk.h"

enum {
    OPCODE_BITS = 0x0f,
    OPCODE_CLOSE = 8,
    MASK_BIT = 0x80,
    LENGTH_BITS = 0x7f,
    LENGTH_IN_2_BYTES = 126,
    LENGTH_IN_8_BYTES = 127,
    MASK_BYTES = 4,
};

static void take_length(struct frame_walk *walk, uint8_t byte)
{
    uint8_t length = byte & LENGTH_BITS;
    walk->header_left = 0;
    walk->mask_left = (byte & MASK_BIT) != 0 ? MASK_BYTES : 0;
    walk->length_left = length == LENGTH_IN_2_BYTES ? 2 : length == LENGTH_IN_8_BYTES ? 8 : 0;
    walk->left = walk->length_left > 0 ? 0 : length;
}

static void take_header_byte(struct frame_walk *walk, uint8_t byte)
{
    if (walk->header_left > 0) {
        take_length(walk, byte);
    } else if (walk->length_left > 0) {
        walk->left = walk->left << 8 | byte;
        walk->length_left--;
    } else if (walk->mask_left > 0) {
        walk->mask_left--;
    } else {
        walk->has_closed = walk->has_closed || (byte & OPCODE_BITS) == OPCODE_CLOSE;
        walk->header_left = 1;
    }
}

static bool is_in_payload(const struct frame_walk *walk)
{
    return walk->left > 0 && walk->header_left == 0 && walk->length_left == 0 &&
           walk->mask_left == 0;
}

void frame_walk_pass(struct frame_walk *walk, slice bytes)
{
    while (bytes.len > 0) {
        size_t passed = 1;
        if (is_in_payload(walk)) {
            passed = walk->left < bytes.len ? (size_t)walk->left : bytes.len;
            walk->left -= passed;
        } else {
            take_header_byte(walk, (uint8_t)bytes.at[0]);
        }
        bytes = slice_from(bytes, passed);
    }
}

bool frame_walk_is_between(const struct frame_walk *walk)
{
    return walk->left == 0 && walk->header_left == 0 && walk->length_left == 0 &&
           walk->mask_left == 0 && !walk->has_closed;
}
