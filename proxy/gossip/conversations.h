/* proxy/gossip/conversations.h
 *
 * The TCP half of a sidecar: accepts what was steered or addressed to it, finds out where it was
 * going, and keeps the conversations within limits.
 *
 * Owner: the sidecar.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/gossip/cluster.h"
#include "proxy/gossip/sockets.h"

enum { CONVERSATIONS_MAX = 1024 };

struct conversations;

/* Cluster and sockets stay the caller's and must live longer. */
MUST_CHECK enum status conversations_open(struct conversations **out, struct cluster *cluster,
                                          const struct gossip_sockets *sockets);

/* Ends all of them. Outside of any callback; the loop frees them. NULL is fine. */
void conversations_close(struct conversations *conversations);
