/* proxy/process/sandbox_plan.h
 *
 * What a child's work needs of the system, from its role and its configuration. All else is
 * forbidden to it (sandbox.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "config/model.h"
#include "proxy/process/port_set.h"

/* Bits, so that the tables of calls can name several. */
enum sandbox_role {
    SANDBOX_KEYHOLDER = 1U << 0,
    SANDBOX_WORKER = 1U << 1,
    SANDBOX_GOSSIP = 1U << 2,
    SANDBOX_FETCHER = 1U << 3,
};

/* Embedded. */
struct sandbox_plan {
    enum sandbox_role role;
    bool asks_names;        /* of DNS: UDP, and TCP to port 53 */
    bool has_unix_server;   /* connects to unix sockets */
    bool connects_anywhere; /* to any port over TCP */
    struct port_set ports;  /* that it connects to over TCP, otherwise */
};

void sandbox_plan_keyholder(struct sandbox_plan *plan);

/* The ports of all servers of all backends; with `sandbox: general` whatever the next configuration
 * may need. */
void sandbox_plan_worker(struct sandbox_plan *plan, const struct config *config);

/* The ports of one cluster and of our node. */
void sandbox_plan_gossip(struct sandbox_plan *plan, const struct config_gossip *settings);

/* Whether a process in the sandbox of one plan can do the work of another. Where it cannot it must
 * not try: a sandbox is never widened, and some of what it forbids ends the process. */
bool sandbox_plan_covers(const struct sandbox_plan *plan, const struct sandbox_plan *other);

/* `port` is that of the URL that it fetches. */
void sandbox_plan_fetcher(struct sandbox_plan *plan, uint16_t port);
