/* proxy/gossip/message_addresses.h
 *
 * Every address that a memberlist message tells its reader: of alive messages, of the nodes of a
 * push/pull, and those that a ping or an indirect ping asks to be answered at or to be passed to;
 * looking into compound, compressed (LZW) and checksummed messages.
 *
 * Why it exists: in relay mode a node must never learn an address that is not one of the map's,
 * because it would dial it by itself, in plaintext.
 *
 * Not looked into: the content of user messages and user state, which is the application's. Serf's
 * queries have the address in there to which answers go, over UDP.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"

/* `ip` has 4 or 16 bytes (as the message has it; of another length, or none, when the sender is
 * odd). Port 0 makes the reader take its own port number. Returns false to stop. */
typedef bool message_address_callback(void *self, slice ip, uint16_t port);

/* `message` is a whole packet or a whole stream message. OK: all were shown; REFUSED: the callback
 * stopped; PEER: the message is malformed, of no known type or wrapped too often
 * (proxy/gossip/message_unwrap.h), so nothing can be said of it; NOMEM. */
MUST_CHECK enum status message_addresses(slice message, message_address_callback *on_address,
                                         void *self);

/* Whether it is one that could be shown, with at most `room` bytes packed in it. */
bool message_is_understood(slice message, size_t room);
