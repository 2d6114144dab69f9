/* proxy/gossip/message_walk.h
 *
 * Finds the end of one plaintext memberlist message in a TCP stream. Such a stream has no length,
 * and its opener waits for the answer without closing its half; so that an encrypted frame, which
 * begins with a length, can be made of it, the message's own msgpack is walked to its end.
 *
 *     type 0, 2, 9, 13    type, one map
 *     8 (user)            type, header map, then UserMsgLen bytes
 *     6 (push/pull)       type, header map, Nodes maps, then UserStateLen bytes
 *
 * Goes on where it was when more bytes have come: content is passed over unseen, and nothing but
 * an object's head or a header's field that was cut short (some 20 bytes) is looked at again.
 * Bounded in depth, in counts and in length, whatever the bytes say.
 *
 * Owner: embedded in whoever reads the stream. The label header before a message, if any, is taken
 * off by them (gossip_label_take).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"

enum { MESSAGE_WALK_DEPTH_MAX = 8 };

/* Why a message is refused. */
enum message_fault {
    MESSAGE_FINE,
    MESSAGE_TYPE,      /* no message that a stream may have */
    MESSAGE_FOREIGN,   /* type 1: another transport (dskit), which is not this protocol */
    MESSAGE_ENCRYPTED, /* type 10: the sender encrypts by itself */
    MESSAGE_MALFORMED, /* no msgpack, or not of the shape that this type has */
    MESSAGE_TOO_DEEP,
    MESSAGE_TOO_LONG, /* longer than the limit, or says that it will be */
};

/* Fields private to message_walk.c, but for `fault`. */
struct message_walk {
    size_t limit;
    size_t at; /* bytes that have been walked */
    enum message_fault fault;
    uint8_t type;
    uint8_t stage;
    uint8_t fields;                      /* of the header that were seen, a bit each */
    size_t depth;                        /* of the map or array that is being walked; 0: none */
    size_t pairs;                        /* of the header still to come */
    size_t maps;                         /* of nodes still to come */
    size_t tail;                         /* bytes after the last map: user message or state */
    size_t left[MESSAGE_WALK_DEPTH_MAX]; /* objects still to come, at each depth */
};

/* `limit`: the longest message that is taken, in bytes. */
void message_walk_init(struct message_walk *walk, size_t limit);

/* `message` begins where it began at the first call, and has grown. END: `*len` bytes of it are the
 * message; AGAIN: more is needed; PEER: refused, see `fault`. */
MUST_CHECK enum status message_walk(struct message_walk *walk, slice message, size_t *len);

/* A stable word for logs. */
const char *message_fault_name(enum message_fault fault);
