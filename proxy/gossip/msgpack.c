/* proxy/gossip/msgpack.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/msgpack.h"

enum {
    FIXED_MAP = 0x80, /* up to here: a number in the byte itself */
    FIXED_ARRAY = 0x90,
    FIXED_BYTES = 0xa0,
    FIRST_SHAPE = 0xc0,
    FIRST_NEGATIVE = 0xe0,
    SMALL_MASK = 0x0f,
    BYTES_MASK = 0x1f,
    SHAPES = FIRST_NEGATIVE - FIRST_SHAPE,
};

/* `width` bytes of a number follow, in network order. `extra` is added to it: an extension has a
 * byte for its type, which counts as content here. */
struct shape {
    uint8_t kind;
    uint8_t width;
    uint8_t extra;
    bool is_signed;
};

/* c0 to df, in order. */
static const struct shape shapes[SHAPES] = {
    {MSGPACK_NIL, 0, 0, false},       {MSGPACK_INVALID, 0, 0, false}, /* c1 */
    {MSGPACK_BOOL, 0, 0, false},      {MSGPACK_BOOL, 0, 0, false},
    {MSGPACK_BYTES, 1, 0, false}, /* c4 */
    {MSGPACK_BYTES, 2, 0, false},     {MSGPACK_BYTES, 4, 0, false},
    {MSGPACK_EXTENSION, 1, 1, false}, /* c7 */
    {MSGPACK_EXTENSION, 2, 1, false}, {MSGPACK_EXTENSION, 4, 1, false},
    {MSGPACK_FLOAT, 4, 0, false},                                    /* ca */
    {MSGPACK_FLOAT, 8, 0, false},     {MSGPACK_NUMBER, 1, 0, false}, /* cc */
    {MSGPACK_NUMBER, 2, 0, false},    {MSGPACK_NUMBER, 4, 0, false},
    {MSGPACK_NUMBER, 8, 0, false},    {MSGPACK_NUMBER, 1, 0, true}, /* d0 */
    {MSGPACK_NUMBER, 2, 0, true},     {MSGPACK_NUMBER, 4, 0, true},
    {MSGPACK_NUMBER, 8, 0, true},     {MSGPACK_EXTENSION, 0, 2, false}, /* d4 */
    {MSGPACK_EXTENSION, 0, 3, false}, {MSGPACK_EXTENSION, 0, 5, false},
    {MSGPACK_EXTENSION, 0, 9, false}, {MSGPACK_EXTENSION, 0, 17, false},
    {MSGPACK_BYTES, 1, 0, false}, /* d9 */
    {MSGPACK_BYTES, 2, 0, false},     {MSGPACK_BYTES, 4, 0, false},
    {MSGPACK_ARRAY, 2, 0, false},                                 /* dc */
    {MSGPACK_ARRAY, 4, 0, false},     {MSGPACK_MAP, 2, 0, false}, /* de */
    {MSGPACK_MAP, 4, 0, false},
};

/* What fits in one byte, number included. */
static struct msgpack_head head_of_byte(uint8_t byte)
{
    if (byte < FIXED_MAP) {
        return (struct msgpack_head){MSGPACK_NUMBER, 1, byte};
    }
    if (byte < FIXED_ARRAY) {
        return (struct msgpack_head){MSGPACK_MAP, 1, byte & SMALL_MASK};
    }
    if (byte < FIXED_BYTES) {
        return (struct msgpack_head){MSGPACK_ARRAY, 1, byte & SMALL_MASK};
    }
    if (byte < FIRST_SHAPE) {
        return (struct msgpack_head){MSGPACK_BYTES, 1, byte & BYTES_MASK};
    }
    return (struct msgpack_head){MSGPACK_NEGATIVE, 1, 0};
}

enum status msgpack_head_read(slice bytes, struct msgpack_head *head)
{
    if (bytes.len == 0) {
        return STATUS_AGAIN;
    }
    uint8_t first = (uint8_t)bytes.at[0];
    if (first < FIRST_SHAPE || first >= FIRST_NEGATIVE) {
        *head = head_of_byte(first);
        return STATUS_OK;
    }
    struct shape shape = shapes[first - FIRST_SHAPE];
    if (shape.kind == MSGPACK_INVALID) {
        return STATUS_PEER;
    }
    if (bytes.len < 1U + shape.width) {
        return STATUS_AGAIN;
    }
    uint64_t number = 0;
    for (size_t i = 1; i <= shape.width; i++) {
        number = number << 8 | (uint8_t)bytes.at[i];
    }
    bool is_negative = shape.is_signed && ((uint8_t)bytes.at[1] & 0x80) != 0;
    *head = (struct msgpack_head){is_negative ? MSGPACK_NEGATIVE : (enum msgpack_kind)shape.kind,
                                  1U + shape.width, number + shape.extra};
    return STATUS_OK;
}

/* ---- whole messages ---- */

static enum status take_head(slice *rest, struct msgpack_head *head)
{
    if (msgpack_head_read(*rest, head) != STATUS_OK) {
        return STATUS_PEER;
    }
    *rest = slice_from(*rest, head->len);
    return STATUS_OK;
}

enum status msgpack_take_map(slice *rest, uint64_t *pairs)
{
    struct msgpack_head head;
    if (take_head(rest, &head) != STATUS_OK || head.kind != MSGPACK_MAP) {
        return STATUS_PEER;
    }
    *pairs = head.number;
    return STATUS_OK;
}

enum status msgpack_take_bytes(slice *rest, slice *bytes)
{
    struct msgpack_head head;
    if (take_head(rest, &head) != STATUS_OK || head.kind != MSGPACK_BYTES ||
        head.number > rest->len) {
        return STATUS_PEER;
    }
    *bytes = slice_first(*rest, (size_t)head.number);
    *rest = slice_from(*rest, (size_t)head.number);
    return STATUS_OK;
}

enum status msgpack_take_number(slice *rest, uint64_t *number)
{
    struct msgpack_head head;
    if (take_head(rest, &head) != STATUS_OK || head.kind != MSGPACK_NUMBER) {
        return STATUS_PEER;
    }
    *number = head.number;
    return STATUS_OK;
}

enum status msgpack_skip(slice *rest)
{
    uint64_t left[MSGPACK_DEPTH_MAX] = {1}; /* objects still to come, at each depth */
    size_t depth = 0;
    for (;;) {
        while (left[depth] == 0) {
            if (depth-- == 0) {
                return STATUS_OK;
            }
        }
        left[depth]--;
        struct msgpack_head head;
        if (take_head(rest, &head) != STATUS_OK) {
            return STATUS_PEER;
        }
        bool has_content = msgpack_has_content(head.kind);
        bool has_objects = msgpack_has_objects(head.kind);
        /* An object has a byte at least, so no count is taken that the rest cannot hold. */
        if ((has_content || has_objects) && head.number > rest->len) {
            return STATUS_PEER;
        }
        if (has_content) {
            *rest = slice_from(*rest, (size_t)head.number);
        } else if (has_objects && ++depth == MSGPACK_DEPTH_MAX) {
            return STATUS_PEER;
        } else if (has_objects) {
            left[depth] = head.kind == MSGPACK_MAP ? 2 * head.number : head.number;
        }
    }
}
