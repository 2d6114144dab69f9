/* proxy/gossip/msgpack.h
 *
 * The head of one msgpack object: what it is, and how many bytes or objects belong to it.
 *
 * Why it exists: the walker, which sees a stream grow, and those who look into whole messages need
 * the same table. Old "raw" strings (a0-bf, da, db), which memberlist writes, and the newer d9 and
 * c4-c6 are one kind here, as they are to memberlist.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"

enum msgpack_kind {
    MSGPACK_INVALID, /* never handed out */
    MSGPACK_NIL,
    MSGPACK_BOOL,
    MSGPACK_NUMBER,   /* 0 or above, in whichever width */
    MSGPACK_NEGATIVE, /* below 0: nothing here has a use for its value */
    MSGPACK_FLOAT,
    MSGPACK_BYTES, /* text or binary */
    MSGPACK_EXTENSION,
    MSGPACK_ARRAY,
    MSGPACK_MAP,
};

enum { MSGPACK_HEAD_BYTES_MAX = 9 };

struct msgpack_head {
    enum msgpack_kind kind;
    size_t len; /* of the head itself: 1 to MSGPACK_HEAD_BYTES_MAX */
    /* NUMBER: the value. BYTES, EXTENSION: the bytes that follow the head. ARRAY: the objects that
     * follow, MAP: the pairs of them. Whatever the bytes say: to be held against a limit. */
    uint64_t number;
};

/* Bytes follow the head. */
static inline bool msgpack_has_content(enum msgpack_kind kind)
{
    return kind == MSGPACK_BYTES || kind == MSGPACK_EXTENSION;
}

/* Other objects follow the head. */
static inline bool msgpack_has_objects(enum msgpack_kind kind)
{
    return kind == MSGPACK_ARRAY || kind == MSGPACK_MAP;
}

/* Reads the head at the beginning of `bytes`. AGAIN: it is cut short. PEER: it is none. */
MUST_CHECK enum status msgpack_head_read(slice bytes, struct msgpack_head *head);

/* ---- whole messages ---- */

enum { MSGPACK_DEPTH_MAX = 8 };

/* Take the next object off the beginning of `rest`. PEER: it is not there, not of this kind, or
 * malformed. */
MUST_CHECK enum status msgpack_take_map(slice *rest, uint64_t *pairs);
MUST_CHECK enum status msgpack_take_bytes(slice *rest, slice *bytes);
MUST_CHECK enum status msgpack_take_number(slice *rest, uint64_t *number);

/* Passes over one object with all that is in it, down to MSGPACK_DEPTH_MAX. */
MUST_CHECK enum status msgpack_skip(slice *rest);
