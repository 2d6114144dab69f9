/* proxy/gossip/sockets.h
 *
 * The sockets on which a sidecar receives. In mode transparent for each family UDP and TCP on the
 * port of our own that the rules steer to, with what is needed to learn where something was going
 * and whether it came from this machine; in mode relay on the stand-ins of the peers and on our
 * real address.
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
    const struct config_gossip_peer *member; /* relay: for whom it stands; NULL: for ourselves */
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

/* Where a redirected conn was going (the kernel's address translation knows), and which way: what
 * our own machine says is redirected to a loopback address (in the output hook), what comes from
 * others to one that is theirs to reach. False: it was going nowhere else, somebody has connected
 * to our own port. */
MUST_CHECK bool gossip_original_destination(int descriptor, struct endpoint *destination,
                                            enum cluster_direction *direction);
