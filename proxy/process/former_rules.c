/* proxy/process/former_rules.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/former_rules.h"

#include "proxy/process/gossip_rules.h"

void former_rules_remove(const struct handover_rules *rules, struct log *log)
{
    struct handover_rules copy = *rules;
    const struct config_gossip settings = {.name = copy.name,
                                           .mode = CONFIG_GOSSIP_TRANSPARENT,
                                           .own_port = copy.own_port,
                                           .ports = copy.ports,
                                           .port_count = copy.port_count};
    gossip_rules_remove(&settings);
    LOG_EVENT(log, LOG_WARN, "rules_removed", log_text("cluster", copy.name),
              log_text("effect", "what the node gossips from now on is not encrypted"));
}
