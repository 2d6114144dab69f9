/* proxy/process/sandbox_plan.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/sandbox_plan.h"

#include <stddef.h>

enum { DNS_PORT = 53 };

void sandbox_plan_keyholder(struct sandbox_plan *plan)
{
    *plan = (struct sandbox_plan){.role = SANDBOX_KEYHOLDER};
}

static void add_server(struct sandbox_plan *plan, const struct config_server *server)
{
    if (server->unix_path != NULL) {
        plan->has_unix_server = true;
        return;
    }
    port_set_add(&plan->ports, server->port);
    if (!server->host_is_ip) {
        plan->asks_names = true;
        port_set_add(&plan->ports, DNS_PORT); /* for answers too long for UDP */
    }
}

void sandbox_plan_worker(struct sandbox_plan *plan, const struct config *config)
{
    *plan = (struct sandbox_plan){.role = SANDBOX_WORKER};
    if (config->sandbox == CONFIG_SANDBOX_GENERAL) {
        plan->asks_names = true;
        plan->has_unix_server = true;
        plan->connects_anywhere = true;
        return;
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        for (size_t j = 0; j < config->backends[i].server_count; j++) {
            add_server(plan, &config->backends[i].servers[j]);
        }
    }
}

void sandbox_plan_gossip(struct sandbox_plan *plan, const struct config_gossip *settings)
{
    *plan = (struct sandbox_plan){.role = SANDBOX_GOSSIP};
    if (settings->mode == CONFIG_GOSSIP_TRANSPARENT) {
        for (size_t i = 0; i < settings->port_count; i++) {
            port_set_add(&plan->ports, settings->ports[i]);
        }
        return;
    }
    port_set_add(&plan->ports, settings->node.stand_in.port);
    for (size_t i = 0; i < settings->peer_count; i++) {
        port_set_add(&plan->ports, settings->peers[i].address.port);
    }
}

bool sandbox_plan_covers(const struct sandbox_plan *plan, const struct sandbox_plan *other)
{
    return plan->role == other->role && (plan->asks_names || !other->asks_names) &&
           (plan->has_unix_server || !other->has_unix_server) &&
           (plan->connects_anywhere ||
            (!other->connects_anywhere && port_set_has_all(&plan->ports, &other->ports)));
}

void sandbox_plan_fetcher(struct sandbox_plan *plan, uint16_t port)
{
    *plan = (struct sandbox_plan){.role = SANDBOX_FETCHER, .asks_names = true};
    port_set_add(&plan->ports, port);
    port_set_add(&plan->ports, DNS_PORT);
}
