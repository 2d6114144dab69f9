/* proxy/gossip/raw_sender.h
 *
 * Sends UDP packets from any source address and port, one system call for many of them.
 *
 * Why it exists: what is sealed must leave from the node's own address and port, and what is opened
 * must reach the node from the peer's. The node is bound to the one, and binding to the other is
 * refused while the node is bound to the wildcard address; so the UDP header is written here, and a
 * raw socket sends it. Packets that are too large for the path leave in fragments, as the node's
 * own would.
 *
 * Needs CAP_NET_RAW. Owner: the sidecar's datagrams.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"
#include "proxy/gossip/endpoint.h"

enum { RAW_SENDER_BATCH = 64 };

struct raw_sender;

struct raw_packet {
    struct endpoint source;
    struct endpoint destination; /* of the source's family */
    slice payload;               /* stays where it is until the flush */
    void *owner;                 /* whom on_unsent names */
};

/* `mark` is set on everything that is sent, so that the rules of interception let it pass.
 * `on_unsent`: the system did not take a packet. SYS: errno; EPERM without the capability. */
MUST_CHECK enum status raw_sender_open(struct raw_sender **out, uint32_t mark,
                                       void (*on_unsent)(void *self, void *owner), void *self);
void raw_sender_close(struct raw_sender *sender);

/* Queues one; the queue is flushed by itself when it is full. */
void raw_sender_send(struct raw_sender *sender, const struct raw_packet *packet);

/* Sends what is queued. Payloads may be used again afterwards. */
void raw_sender_flush(struct raw_sender *sender);

/* The UDP checksum (RFC 768, RFC 8200 §8.1) of header and payload, in network order. For tests. */
uint16_t raw_sender_checksum(const struct raw_packet *packet);
