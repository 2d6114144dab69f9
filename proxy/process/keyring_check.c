/* proxy/process/keyring_check.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/keyring_check.h"

#include <time.h>

void keyring_facts(const struct keyring *ring, size_t cluster,
                   struct enforcement_gossip_facts *facts)
{
    *facts = (struct enforcement_gossip_facts){
        .cluster = cluster,
        .primary_bits = keyring_key_bits(ring, 0),
        .least_bits = keyring_key_bits(ring, 0),
    };
    keyring_id(ring, 0, facts->primary_id);
    for (size_t i = 1; i < keyring_count(ring); i++) {
        unsigned bits = keyring_key_bits(ring, i);
        facts->least_bits = bits < facts->least_bits ? bits : facts->least_bits;
    }
}

static bool is_about_keys(const struct judged_hop *judged, size_t cluster)
{
    return judged->hop.protection == HOP_GOSSIP_AES && judged->hop.gossip == cluster;
}

static enum status judge(const struct config *config, const struct enforcement_gossip_facts *facts,
                         struct process_error *error)
{
    const struct enforcement_findings findings = {
        .gossip = facts, .gossip_count = 1, .now = (int64_t)time(NULL)};
    struct posture *posture = posture_new(config, &findings);
    enum status status = posture == NULL ? STATUS_NOMEM : STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < posture->count; i++) {
        const struct judged_hop *judged = &posture->hops[i];
        if (is_about_keys(judged, facts->cluster) && judged->verdict == VERDICT_VIOLATION) {
            process_error_set(error, "hop %s: %s", judged->hop.name, judged->reason);
            status = STATUS_REFUSED;
        }
    }
    posture_free(posture);
    return status;
}

enum status keyring_check(const struct config *config, size_t cluster, struct bytes text,
                          struct enforcement_gossip_facts *facts, struct process_error *error)
{
    struct crypto_error why = {{0}};
    struct keyring *ring = keyring_parse(text, &why);
    if (ring == NULL) {
        process_error_set(error, "%s", why.text);
        return STATUS_REFUSED;
    }
    struct enforcement_gossip_facts found;
    keyring_facts(ring, cluster, &found);
    keyring_free(ring);
    enum status status =
        config->enforcement.mode == CONFIG_MODE_STRICT ? judge(config, &found, error) : STATUS_OK;
    if (status == STATUS_OK) {
        *facts = found;
    }
    return status;
}
