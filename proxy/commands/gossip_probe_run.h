/* proxy/commands/gossip_probe_run.h
 *
 * The two legs of a probe: sockets, deadlines, and whatever the network says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/base/status.h"
#include "proxy/gossip/probe_message.h"

struct gossip_probe_leg {
    struct probe_reply reply;
    uint64_t took_us;
    int error;        /* errno behind the answer; 0: none */
    bool is_unmarked; /* rules of interception on this machine, if any, do not know its packets */
};

/* Ask, and wait for at most `timeout_ms` (over TCP twice: to find out about labels another conn may
 * be needed). SYS: no socket, or the cipher failed; `error` says why. */
MUST_CHECK enum status gossip_probe_tcp(const struct probe *probe, const struct sockaddr *peer,
                                        socklen_t peer_len, unsigned timeout_ms,
                                        struct gossip_probe_leg *leg);
MUST_CHECK enum status gossip_probe_udp(const struct probe *probe, const struct sockaddr *peer,
                                        socklen_t peer_len, unsigned timeout_ms,
                                        struct gossip_probe_leg *leg);
