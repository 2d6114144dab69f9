/* proxy/gossip/message_type.h
 *
 * The first byte of each memberlist message, in one place for all that look at one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

enum message_type {
    MESSAGE_PING = 0,
    MESSAGE_INDIRECT_PING = 1, /* packets only */
    MESSAGE_ACK = 2,
    MESSAGE_SUSPECT = 3, /* packets only, as are the next two */
    MESSAGE_ALIVE = 4,
    MESSAGE_DEAD = 5,
    MESSAGE_PUSH_PULL = 6, /* streams only */
    MESSAGE_COMPOUND = 7,  /* packets only: several messages in one */
    MESSAGE_USER = 8,
    MESSAGE_COMPRESS = 9,
    MESSAGE_ENCRYPT = 10,  /* streams only */
    MESSAGE_NACK = 11,     /* packets only */
    MESSAGE_CHECKSUM = 12, /* packets only, outermost */
    MESSAGE_ERROR = 13,    /* streams only */
};
