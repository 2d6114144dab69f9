/* proxy/process/gossip_rules.h
 *
 * Installs and removes the rules of a gossip cluster (proxy/gossip/intercept_rules.h) on this
 * machine, by the programs `nft` and `ip`, and lets `conntrack` forget conns that are older than
 * they are.
 *
 * Why it exists: with `rules: manage` an operator needs no second tool. The programs are run from
 * their fixed places, without our environment and descriptors, and not for longer than some
 * seconds.
 *
 * Owner: the master, which is the only one with the right to do it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/base/status.h"
#include "proxy/process/error.h"

/* Installs the rules, or replaces those that an earlier run has left. REFUSED (a program is missing
 * or says no) or SYS, with a sentence. What is there after a failure blocks the cluster's packets,
 * or is what was there before; it is never half a table. */
MUST_CHECK enum status gossip_rules_install(const struct config_gossip *gossip,
                                            struct process_error *error);

/* Removes everything of that cluster. From then on the node speaks for itself, in plaintext. */
void gossip_rules_remove(const struct config_gossip *gossip);
