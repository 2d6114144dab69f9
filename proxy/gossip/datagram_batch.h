/* proxy/gossip/datagram_batch.h
 *
 * The memory into which packets are received: a fixed number of rooms, each large enough for any
 * UDP packet with what sealing adds before and behind it.
 *
 * Owner: the datagrams.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/gossip/cluster.h"

enum { DATAGRAM_BATCH = 64 };

struct datagram_batch;

/* What was received. */
struct datagram {
    struct cluster_packet packet;
    struct endpoint source;
    struct endpoint destination; /* where it was going; port 0: the system did not say */
    bool is_from_here;           /* this machine has sent it: it came by the loopback interface */
};

/* NULL: no memory. */
struct datagram_batch *datagram_batch_new(void) __attribute__((warn_unused_result));
void datagram_batch_free(struct datagram_batch *batch);

/* Receives what is there, at most DATAGRAM_BATCH packets. Returns how many; 0: none. They hold
 * until the next call. */
size_t datagram_batch_receive(struct datagram_batch *batch, int descriptor);

struct datagram *datagram_batch_at(struct datagram_batch *batch, size_t index);
