/* proxy/process/channel.h
 *
 * The messages between the master and one child, over a SOCK_SEQPACKET socket pair: one packet is
 * one message, and descriptors travel with it.
 *
 *     u8 kind · u8 0 · u16 descriptors · u32 number · payload          (numbers big-endian)
 *
 * Why it exists: a child starts with nothing but its end of this channel, its log and its counters;
 * all else is handed to it, so what it can reach is what was sent.
 *
 * What a child says is not trusted: each kind has its direction, its number of descriptors and its
 * length in one table, and a packet outside of that is refused as a whole.
 *
 * Owner: master.c at one end, the child's main at the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"

enum {
    CHANNEL_DESCRIPTORS_MAX = 64,
    CHANNEL_HEAD_BYTES = 8,
    CHANNEL_PAYLOAD_MAX = 16384,
    CHANNEL_PACKET_MAX = CHANNEL_HEAD_BYTES + CHANNEL_PAYLOAD_MAX,
};

/* clang-format off */
/*    kind         from     descriptors          payload                        meaning */
#define CHANNEL_TABLE(X)                                                                               \
    X(BUNDLE,      MASTER, 1, 1,                       0, CHANNEL_PAYLOAD_MAX) /* sealed file of the config; payload: its name; number: its generation */ \
    X(LISTENERS,   MASTER, 1, CHANNEL_DESCRIPTORS_MAX, 0, 0)    /* listening sockets, after those before */ \
    X(KEYS,        MASTER, 1, 1,                       0, 0)    /* to a worker: its end to the keyholder */ \
    X(WORKER,      MASTER, 1, 1,                       0, CHANNEL_PAYLOAD_MAX) /* to the keyholder: a worker's end; payload: its key ids, each u32 first and u32 count */ \
    X(START,       MASTER, 0, 0,                       0, 0)    /* all was sent: open, and say READY */ \
    X(DRAIN,       MASTER, 0, 0,                       0, 0)    /* accept no more, end, say DRAINED; number 1: others accept, so idle conns have time */ \
    X(STAPLE,      MASTER, 1, 1,                       0, 0)    /* sealed OCSP response; number: id of the certificate's key */ \
    X(LOG,         MASTER, 1, 1,                       0, 0)    /* the log file, opened again */ \
    X(ASK,         MASTER, 1, 1,                       0, 2048) /* to a fetcher: sealed OCSP request; payload: URL */ \
    X(READY,       CHILD,  0, 0,                       0, 0)    /* number: its sandbox (sandbox.h); also signatures (keyholder) or agreements (worker) a batch, in the upper half */ \
    X(FAILED,      CHILD,  0, 0,                       1, CHANNEL_PAYLOAD_MAX) /* why, in one sentence; number: generation_failure() */ \
    X(DRAINED,     CHILD,  0, 0,                       0, 0)    \
    X(NEED_KEYS,   CHILD,  0, 0,                       0, 0)    /* number: which channel to the keyholder ended */ \
    X(ANSWER,      CHILD,  1, 1,                       0, 0)    /* a fetcher's sealed response */ \
    X(KEYRING,     MASTER, 1, 1,                       0, 0)    /* to a gossip process: its sealed keyring */ \
    X(PREPARE,     MASTER, 0, 0,                       0, 0)    /* number: build this generation, from what was sent, and say PREPARED */ \
    X(COMMIT,      MASTER, 0, 0,                       0, 0)    /* number: put it to work */ \
    X(ROLLBACK,    MASTER, 0, 0,                       0, 0)    /* number: forget it */ \
    X(RELEASE,     MASTER, 0, 0,                       0, 0)    /* number: to the keyholder: nobody needs its keys any more */ \
    X(PREPARED,    CHILD,  0, 0,                       0, 0)    /* number: which generation */ \
    X(RELEASED,    CHILD,  0, 0,                       0, 0)    /* number: a former generation is gone from here */ \
    X(REFUSED,     CHILD,  0, 0,                       1, 1024) /* of the keyholder: the worker `number` has no channel; payload: why */
/* clang-format on */

#define CHANNEL_ENUM(kind, from, fewest, most, shortest, longest) CHANNEL_##kind,
enum channel_kind { CHANNEL_TABLE(CHANNEL_ENUM) CHANNEL_KINDS };
#undef CHANNEL_ENUM

enum channel_end { CHANNEL_MASTER, CHANNEL_CHILD };

struct channel_message {
    enum channel_kind kind;
    uint32_t number;
    slice payload;                            /* received: in the caller's packet room */
    int descriptors[CHANNEL_DESCRIPTORS_MAX]; /* received: the caller's to close */
    size_t descriptor_count;
};

/* One that is its kind and a descriptor. */
static inline struct channel_message channel_message_with(enum channel_kind kind, int descriptor)
{
    return (struct channel_message){
        .kind = kind, .descriptors = {descriptor}, .descriptor_count = 1};
}

/* A connected pair, both ends non-blocking and close-on-exec. */
MUST_CHECK enum status channel_pair(int *master_end, int *child_end);

/* From now on whoever sends descriptors to this end is refused. False: the kernel cannot (it is
 * older than 6.16). */
bool channel_refuse_descriptors(int descriptor);

/* Sends one message; its descriptors stay the caller's. AGAIN: the other end does not read;
 * BROKEN: it is gone. */
MUST_CHECK enum status channel_send(int descriptor, const struct channel_message *message);

/* The same for a message that is its kind alone. */
MUST_CHECK enum status channel_send_kind(int descriptor, enum channel_kind kind);

/* Receives one message that `from` may send into `packet` (CHANNEL_PACKET_MAX bytes). AGAIN:
 * nothing there; END: the other end closed; PEER: a bad packet, whose descriptors were closed. */
MUST_CHECK enum status channel_receive(int descriptor, enum channel_end from, uint8_t *packet,
                                       struct channel_message *message);

/* Reads one packet that came with `descriptor_count` descriptors. False: a bad one. */
MUST_CHECK bool channel_decode(struct channel_message *message, enum channel_end from,
                               const uint8_t *packet, size_t len, size_t descriptor_count);
