/* proxy/gossip/cluster.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/cluster.h"

#include <time.h>

#include "proxy/base/clock.h"

enum {
    TRIALS_PER_SECOND = 1000, /* a decryption that fails costs as much as one that does not */
    NONCE_WARNING_FIRST = 1U << 30,
};

/* NIST SP 800-38D §8.3: random nonces of 96 bits, at most 2^32 messages with one key, of all nodes
 * together. */
static const uint64_t NONCE_BUDGET = UINT64_C(1) << 32;
static const uint64_t NONCES_COUNTED = UINT64_C(1) << 62; /* what is above was never sealed */

enum status cluster_init(struct cluster *cluster, const struct config_gossip *settings,
                         struct loop *loop, struct log *log, struct peer_pages *pages)
{
    *cluster = (struct cluster){.settings = settings,
                                .loop = loop,
                                .log = log,
                                .trials = TRIALS_PER_SECOND,
                                .warned_at = NONCE_WARNING_FIRST};
    if (settings->label != NULL) {
        cluster->label_len = strlen(settings->label);
        memcpy(cluster->label, settings->label, cluster->label_len);
    }
    cluster->peers = peer_table_new(pages);
    enum status status = cluster->peers == NULL
                             ? STATUS_NOMEM
                             : replay_window_init(&cluster->window, settings->replay_window);
    if (status == STATUS_OK) {
        status = member_map_init(&cluster->members, settings);
    }
    if (status != STATUS_OK) {
        cluster_fini(cluster);
        return status;
    }
    cluster_tick(cluster);
    return STATUS_OK;
}

void cluster_fini(struct cluster *cluster)
{
    gossip_cipher_free(cluster->cipher);
    replay_window_fini(&cluster->window);
    member_map_fini(&cluster->members);
    peer_table_free(cluster->peers);
    cluster->cipher = NULL;
    cluster->peers = NULL;
}

/* ---- the keyring ---- */

static void tell_ring(const struct cluster *cluster, const struct keyring *ring)
{
    char id[KEYRING_ID_BYTES];
    keyring_id(ring, 0, id);
    LOG_EVENT(cluster->log, LOG_INFO, "keyring_taken", log_text("cluster", cluster->settings->name),
              log_text("primary", id), log_number("bits", keyring_key_bits(ring, 0)),
              log_number("keys", (int64_t)keyring_count(ring)));
}

enum status cluster_set_ring(struct cluster *cluster, struct bytes text, struct crypto_error *error)
{
    struct keyring *ring = keyring_parse(text, error);
    if (ring == NULL) {
        return STATUS_REFUSED;
    }
    struct gossip_cipher *cipher = gossip_cipher_new(ring, error);
    if (cipher == NULL) {
        keyring_free(ring);
        return STATUS_REFUSED;
    }
    gossip_cipher_free(cluster->cipher);
    cluster->cipher = cipher;
    peer_table_set_ring(cluster->peers, ring);
    cluster->warned_at = NONCE_WARNING_FIRST;
    tell_ring(cluster, ring);
    keyring_free(ring);
    return STATUS_OK;
}

/* ---- clocks ---- */

/* Counts only what this node seals: with n nodes about the n-th part of what the key is used for.
 * Told at 2^30, and at each doubling. */
static void watch_nonces(struct cluster *cluster)
{
    uint64_t sealed = peer_table_primary_sealed(cluster->peers);
    sealed = sealed > NONCES_COUNTED ? NONCES_COUNTED : sealed;
    if (sealed < cluster->warned_at) {
        return;
    }
    while (cluster->warned_at <= sealed) {
        cluster->warned_at *= 2;
    }
    LOG_EVENT(cluster->log, LOG_WARN, "key_wears_out", log_text("cluster", cluster->settings->name),
              log_number("sealed_here", (int64_t)sealed),
              log_number("budget_of_all_nodes", (int64_t)NONCE_BUDGET),
              log_text("advice", "sallyport keyring rotate"));
}

void cluster_tick(struct cluster *cluster)
{
    uint32_t uptime_s = (uint32_t)(clock_monotonic_us() / 1000000U);
    if (uptime_s == cluster->uptime_s) {
        return;
    }
    cluster->uptime_s = uptime_s;
    cluster->now_s = (int64_t)time(NULL);
    cluster->trials = TRIALS_PER_SECOND;
    watch_nonces(cluster);
}

bool cluster_has_port(const struct cluster *cluster, uint16_t port)
{
    for (size_t i = 0; i < cluster->settings->port_count; i++) {
        if (cluster->settings->ports[i] == port) {
            return true;
        }
    }
    return false;
}

/* ---- the account ---- */

static void complain(struct cluster *cluster, const struct peer *peer,
                     enum cluster_direction direction, const char *transport, const char *cause,
                     const char *sentence)
{
    const struct complaint complaint = {
        .cluster = cluster->settings->name,
        .direction = direction == CLUSTER_OUT ? "out" : "in",
        .transport = transport,
        .peer = &peer->endpoint,
        .cause = cause,
        .sentence = sentence,
    };
    complaints_make(&cluster->complaints, cluster->log, clock_monotonic_us() / 1000U, &complaint);
}

bool cluster_refuse(struct cluster *cluster, struct peer *peer, enum cluster_direction direction,
                    const char *transport, enum gossip_refusal refusal)
{
    uint64_t *count = &peer->refused[refusal];
    __atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
    complain(cluster, peer, direction, transport, gossip_refusal_name(refusal),
             gossip_refusal_sentence(refusal));
    return false;
}

bool cluster_complain(struct cluster *cluster, struct peer *peer, enum cluster_direction direction,
                      const char *transport, enum peer_counter counter, const char *sentence)
{
    peer_count(peer, counter);
    complain(cluster, peer, direction, transport, peer_counter_name(counter), sentence);
    return false;
}
