/* proxy/gossip/datagrams.h
 *
 * The UDP half of a sidecar: takes packets in batches, lets the cluster seal or open each in place,
 * and sends them on in batches. Nothing is allocated for a packet, nothing of it is kept.
 *
 *     transparent    node:7946 → peer:7946 comes by the rules, is sealed, and leaves from a raw
 *                    socket with the same addresses; the other way alike
 *     relay          node → stand-in of the peer, sealed, our real address → peer's real address;
 *                    and peer → our real address, opened, stand-in of the peer → node
 *
 * Owner: the sidecar.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/gossip/cluster.h"
#include "proxy/gossip/sockets.h"

struct datagrams;

/* Cluster and sockets stay the caller's and must live longer. SYS: errno. */
MUST_CHECK enum status datagrams_open(struct datagrams **out, struct cluster *cluster,
                                      const struct gossip_sockets *sockets);
void datagrams_close(struct datagrams *datagrams);
