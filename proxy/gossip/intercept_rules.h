/* proxy/gossip/intercept_rules.h
 *
 * The rules by which the kernel hands us what a node says and what is said to it (mode
 * `transparent`): one nft table and one routing rule with its table, for each cluster.
 *
 * Why it exists: the master installs them and `sallyport gossip rules` prints them for whoever
 * installs them elsewhere, so they are made in one place. They are also what keeps plaintext off
 * the network when we are not there: each way that is steered to us has a second rule, at a later
 * hook, that drops what was not.
 *
 * Names and numbers come from the cluster's name and own port, so that several clusters on one
 * machine neither share nor remove anything of each other's.
 *
 * Owner: nobody; pure functions of the configuration.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "config/model.h"

enum {
    /* What we send carries this mark, and passes. */
    INTERCEPT_OWN_MARK = 0x6753,
    INTERCEPT_COMMANDS_MAX = 6,
    INTERCEPT_COMMAND_BYTES = 96,
};

enum intercept_step { INTERCEPT_INSTALL, INTERCEPT_REMOVE };

/* A call of `ip` (iproute2). */
struct intercept_command {
    char text[INTERCEPT_COMMAND_BYTES]; /* its words, one space between two */
    bool is_ip6;                        /* not due where IPv6 is switched off */
    bool may_fail;                      /* removes what may not be there */
};

/* Writes the script for `nft -f`. It replaces the table, or removes it, at once: no packet sees
 * half of it, and it works whether there is one already or not. */
void intercept_rules_write(const struct config_gossip *gossip, enum intercept_step step, FILE *out);

/* The calls of `ip`, in order: after the script to install, before it to remove. Returns their
 * number. */
size_t intercept_rules_commands(const struct config_gossip *gossip, enum intercept_step step,
                                struct intercept_command commands[INTERCEPT_COMMANDS_MAX]);

/* What of the cluster's packets goes to us is marked with this, and the routing table that brings
 * it there. */
uint32_t intercept_steering_mark(const struct config_gossip *gossip);
uint32_t intercept_routing_table(const struct config_gossip *gossip);
