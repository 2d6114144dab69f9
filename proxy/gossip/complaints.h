/* proxy/gossip/complaints.h
 *
 * The log lines about what was refused: peer, direction and cause, the first time at once, then at
 * most one every ten seconds with how many there were; and a few a second in all, whoever forges
 * how many sources.
 *
 * Why it exists: "no key could decrypt" without a name, thousands of times, is what operators of
 * gossip clusters complain about.
 *
 * Owner: embedded in the cluster.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/log.h"
#include "proxy/gossip/endpoint.h"

enum { COMPLAINTS_REMEMBERED = 256 };

struct complaint {
    const char *cluster;
    const char *direction; /* "in", "out" */
    const char *transport; /* "udp", "tcp" */
    const struct endpoint *peer;
    const char *cause;    /* a stable word */
    const char *sentence; /* for people */
};

/* Fields private to complaints.c. `= {0}` is ready. */
struct complaints {
    struct {
        uint64_t about; /* a hash of peer, direction and cause; 0: none */
        uint64_t quiet_until_ms;
        uint64_t unsaid;
    } at[COMPLAINTS_REMEMBERED];
    uint64_t second; /* in which `said` lines were written */
    unsigned said;
};

/* Writes the line, or remembers that it did not. */
void complaints_make(struct complaints *complaints, struct log *log, uint64_t now_ms,
                     const struct complaint *complaint);
