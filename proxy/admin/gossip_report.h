/* proxy/admin/gossip_report.h
 *
 * What is told of the gossip clusters: their keys and how lately each was used, each peer as a hop
 * with what was really seen of it, and totals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "config/enforcement.h"
#include "proxy/gossip/peer_table.h"

enum { GOSSIP_REPORT_STRANGERS = 100 }; /* listed at most */

/* One cluster. All borrowed. */
struct gossip_facts {
    const struct config_gossip *settings;
    size_t index; /* into config.gossip */
    const struct peer_pages *pages;
    const char *refusal; /* why what is in the keyring file is not in use; "": it is */
    bool is_ready;
};

/* Over all peers, and those that have no place in the table. */
struct gossip_totals {
    uint64_t peers;
    uint64_t strangers;
    uint64_t refused;
    uint64_t counts[PEER_COUNTERS];
};

void gossip_totals_of(const struct gossip_facts *facts, struct gossip_totals *totals);

/* All of these give NULL when out of memory; the caller decrefs. */

/* {"name", "keyring", "generation", "error", "keys": [{"id", "bits", "is_primary", "sealed",
 * "opened", "last_opened_seconds"}]}; seconds ago, null: never. */
json_t *gossip_report_keyring(const struct gossip_facts *facts);

/* {"name", "mode", "ready", "peers", "strangers", and the sum of each counter}. */
json_t *gossip_report_summary(const struct gossip_facts *facts);

/* Appends a hop for each peer, in the form of judged_hop_to_json, with "proven_seconds" (ago; null:
 * never), "counters" and "refused"; those of which nothing was ever opened and that our node never
 * spoke to go to `strangers` in the same form. */
bool gossip_report_peers(const struct gossip_facts *facts, const struct posture *posture,
                         json_t *hops, json_t *strangers) __attribute__((warn_unused_result));
