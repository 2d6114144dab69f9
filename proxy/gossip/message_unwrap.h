/* proxy/gossip/message_unwrap.h
 *
 * Takes the wrappers off a memberlist message: the checksum of a packet, compounds (several
 * messages in one) and compression, in whichever order they were put on.
 *
 * Why it exists: whoever asks what a message says must see every one that the reader will see, or
 * be told that this one cannot be looked into.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/slice.h"
#include "proxy/base/status.h"

enum {
    MESSAGE_WRAPPERS_MAX = 4,                     /* around one message; real ones have 2 */
    MESSAGE_UNPACKED_BYTES_MAX = 20 * 1024 * 1024 /* of all that is packed in one message */
};

/* One message without wrappers, its type first; valid until the callback returns. What is not OK
 * ends the unwrapping and is its answer. */
typedef enum status message_part_callback(void *self, slice part);

/* `message` is a whole packet or a whole stream message. What is packed in it may be `room` bytes
 * in all: MESSAGE_UNPACKED_BYTES_MAX, or less where a stranger can make us do the work. PEER also
 * when it is empty, cut short, has more behind its end, fails its checksum, needs more room, or has
 * too many wrappers; NOMEM. The callback may have seen some parts then. */
MUST_CHECK enum status message_unwrap(slice message, size_t room, message_part_callback *on_part,
                                      void *self);
