/* proxy/http2/grpc.h
 *
 * The lengths of the messages in the content of a call of gRPC: one byte that tells of compression,
 * four of the length, the message; so on until the content ends. A call may be open for days and
 * its content has no end that a limit could mean; a message has.
 *
 *   PREFIX (five bytes) ──► MESSAGE ──► PREFIX ...
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/slice.h"

/* Zero is the beginning of the content. */
struct grpc_messages {
    uint64_t left; /* of this message */
    uint32_t len;
    uint8_t prefix_bytes;
};

/* Follows content, cut anywhere. False: a message that is longer than `limit` begins. */
bool grpc_messages_take(struct grpc_messages *messages, slice bytes, uint64_t limit);
