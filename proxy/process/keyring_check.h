/* proxy/process/keyring_check.h
 *
 * Whether the text of a cluster's keyring may be used: it has to be one, and its keys have to be as
 * long as the policy asks.
 *
 * Why it exists: a keyring changes while the instance runs; what would have stopped the start must
 * not come in by that door.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/enforcement.h"
#include "crypto/bytes.h"
#include "crypto/keyring.h"
#include "proxy/base/status.h"
#include "proxy/process/error.h"

/* What the policy has to know of the ring of that cluster (an index into config.gossip). */
void keyring_facts(const struct keyring *ring, size_t cluster,
                   struct enforcement_gossip_facts *facts);

/* `facts` are set when it may be used. REFUSED or NOMEM with a sentence; in report mode and with a
 * waiver the policy refuses nothing. */
MUST_CHECK enum status keyring_check(const struct config *config, size_t cluster, struct bytes text,
                                     struct enforcement_gossip_facts *facts,
                                     struct process_error *error);
