/* proxy/gossip/sockets.h
 *
 * The sockets on which a sidecar receives: for each family UDP and TCP, in mode transparent on two
 * ports of our own (one a direction) with what is needed to learn where a packet was going, in mode
 * relay on the stand-ins of the peers and on our real address.
 *
 * Owner: the sidecar.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/status.h"
#include "proxy/gossip/cluster.h"
#include "proxy/gossip/endpoint.h"

enum gossip_transport { GOSSIP_UDP, GOSSIP_TCP };

struct gossip_socket {
    int descriptor;
    enum gossip_transport transport;
    enum cluster_direction direction;
    const struct config_gossip_peer *member; /* relay, direction out: for whom it stands */
};

struct gossip_sockets {
    struct gossip_socket *at;
    size_t count;
};

/* Opens all that the settings ask for. SYS: errno, and what was being opened in `what`. */
MUST_CHECK enum status gossip_sockets_open(struct gossip_sockets *sockets,
                                           const struct config_gossip *settings,
                                           struct endpoint *what);
void gossip_sockets_close(struct gossip_sockets *sockets);

/* Where a redirected conn was going (the kernel's address translation knows). False: nowhere, or to
 * our own port: somebody has connected to us directly. */
MUST_CHECK bool gossip_original_destination(int descriptor, struct endpoint *destination);
