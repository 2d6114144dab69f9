/* proxy/gossip/marks.h
 *
 * The numbers by which the rules of interception and the sidecar know each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

enum {
    GOSSIP_OWN_MARK = 0x6753,   /* on whatever the sidecar sends: it passes untouched */
    GOSSIP_STEER_MARK = 0x6754, /* on what the rules turn round to the sidecar */
    GOSSIP_ROUTE_TABLE = 6753,  /* the routing table that the steering mark leads to */
};

/* What the node sends is steered to own_port, what peers send to the port above it: so that the
 * direction is never a guess about which addresses are ours at the moment. */
static inline unsigned gossip_port_in(unsigned own_port)
{
    return own_port + 1;
}
