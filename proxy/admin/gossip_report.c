/* proxy/admin/gossip_report.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/gossip_report.h"

#include <stdio.h>
#include <time.h>

static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

/* 0 for times that cannot be. */
static int64_t seconds_ago(int64_t when_s)
{
    int64_t now_s = (int64_t)time(NULL);
    return when_s < 0 || when_s > now_s ? 0 : now_s - when_s;
}

static json_t *seconds_since(int64_t when_s)
{
    return when_s == 0 ? json_null() : json_integer((json_int_t)seconds_ago(when_s));
}

/* ---- keys ---- */

static json_t *key_to_json(const struct peer_table_key *key, bool is_primary)
{
    return json_pack("{s:s, s:i, s:b, s:I, s:I, s:o}", "id", key->id, "bits", (int)key->bits,
                     "is_primary", is_primary, "sealed", (json_int_t)key->sealed, "opened",
                     (json_int_t)key->opened, "last_opened_seconds", seconds_since(key->opened_s));
}

json_t *gossip_report_keyring(const struct gossip_facts *facts)
{
    struct peer_table_key keys[KEYRING_KEYS_MAX];
    size_t count = 0;
    uint32_t generation = 0;
    json_t *array = json_array();
    if (!peer_pages_read_keys(facts->pages, keys, &count, &generation)) {
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(array, key_to_json(&keys[i], i == 0)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    const char *path = facts->settings->keyring.path;
    return json_pack("{s:s, s:s?, s:I, s:s?, s:o}", "name", facts->settings->name, "keyring", path,
                     "generation", (json_int_t)generation, "error",
                     facts->refusal[0] == '\0' ? NULL : facts->refusal, "keys", array);
}

/* ---- totals ---- */

static void add_peer(struct gossip_totals *totals, const struct peer *peer)
{
    for (size_t k = 0; k < PEER_COUNTERS; k++) {
        totals->counts[k] += peer_counter_get(peer, (enum peer_counter)k);
    }
    for (size_t k = 0; k < GOSSIP_REFUSALS; k++) {
        totals->refused += peer_refused_get(peer, (enum gossip_refusal)k);
    }
}

/* The first entry is no peer: it is for those without a place. */
void gossip_totals_of(const struct gossip_facts *facts, struct gossip_totals *totals)
{
    *totals = (struct gossip_totals){.peers = 0};
    size_t used = peer_pages_used(facts->pages);
    for (size_t i = 0; i < used; i++) {
        const struct peer *peer = &facts->pages->peers[i];
        add_peer(totals, peer);
        if (i > 0 && peer->is_used != 0) {
            *(peer->is_stranger == 0 ? &totals->peers : &totals->strangers) += 1;
        }
    }
}

static bool put_sums(json_t *object, const struct gossip_totals *totals)
{
    bool is_put = put(object, "refused", json_integer((json_int_t)totals->refused));
    for (size_t k = 0; k < PEER_COUNTERS && is_put; k++) {
        is_put = put(object, peer_counter_name((enum peer_counter)k),
                     json_integer((json_int_t)totals->counts[k]));
    }
    return is_put;
}

json_t *gossip_report_summary(const struct gossip_facts *facts)
{
    struct gossip_totals totals;
    gossip_totals_of(facts, &totals);
    bool is_relay = facts->settings->mode == CONFIG_GOSSIP_RELAY;
    json_t *object =
        json_pack("{s:s, s:s, s:b, s:I, s:I}", "name", facts->settings->name, "mode",
                  is_relay ? "relay" : "transparent", "ready", facts->is_ready, "peers",
                  (json_int_t)totals.peers, "strangers", (json_int_t)totals.strangers);
    if (object == NULL || !put_sums(object, &totals)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* ---- peers as hops ---- */

static json_t *counters_to_json(const struct peer *peer)
{
    json_t *object = json_object();
    for (size_t k = 0; k < PEER_COUNTERS; k++) {
        uint64_t count = peer_counter_get(peer, (enum peer_counter)k);
        if (count > 0) {
            (void)put(object, peer_counter_name((enum peer_counter)k),
                      json_integer((json_int_t)count));
        }
    }
    return object;
}

static json_t *refused_to_json(const struct peer *peer)
{
    json_t *object = json_object();
    for (size_t k = 0; k < GOSSIP_REFUSALS; k++) {
        uint64_t count = peer_refused_get(peer, (enum gossip_refusal)k);
        if (count > 0) {
            (void)put(object, gossip_refusal_name((enum gossip_refusal)k),
                      json_integer((json_int_t)count));
        }
    }
    return object;
}

/* The hop of the configuration that a peer's traffic is part of: that in plaintext, if there is any
 * of it. */
static const struct judged_hop *hop_of(const struct posture *posture, size_t cluster,
                                       const struct peer *peer)
{
    bool is_clear_in = peer_counter_get(peer, PEER_CLEAR_IN) > 0;
    bool is_clear_out = peer_counter_get(peer, PEER_CLEAR_OUT) > 0;
    enum hop_kind kind = is_clear_in && !is_clear_out ? HOP_GOSSIP_IN : HOP_GOSSIP_OUT;
    for (size_t i = 0; i < posture->count; i++) {
        const struct hop *hop = &posture->hops[i].hop;
        if (hop->kind == kind && hop->gossip == cluster) {
            return &posture->hops[i];
        }
    }
    return NULL;
}

static void format_evidence(const struct peer *peer, bool is_clear, char *text, size_t size)
{
    if (peer->proven_s == 0) {
        (void)snprintf(text, size, "%s, nothing of it was opened with a key yet",
                       is_clear ? "plaintext was exchanged" : "what is sent is sealed");
    } else {
        (void)snprintf(text, size, "%sproven %lld s ago by a packet that a key opened",
                       is_clear ? "plaintext was exchanged; " : "",
                       (long long)seconds_ago(peer->proven_s));
    }
}

static json_t *peer_to_json(const struct gossip_facts *facts, const struct posture *posture,
                            const struct peer *peer)
{
    char address[ENDPOINT_TEXT_BYTES];
    char name[256];
    char evidence[160];
    const struct judged_hop *judged = hop_of(posture, facts->index, peer);
    bool is_clear =
        peer_counter_get(peer, PEER_CLEAR_IN) > 0 || peer_counter_get(peer, PEER_CLEAR_OUT) > 0;
    if (judged == NULL) {
        return NULL;
    }
    endpoint_format(&peer->endpoint, address);
    (void)snprintf(name, sizeof(name), "gossip/%s/peer/%s", facts->settings->name, address);
    format_evidence(peer, is_clear, evidence, sizeof(evidence));
    json_t *object = judged_hop_to_json(judged);
    bool is_put = object != NULL && put(object, "name", json_string(name)) &&
                  put(object, "to", json_string(address)) &&
                  put(object, "evidence", json_string(evidence)) &&
                  put(object, "proven_seconds", seconds_since(peer->proven_s)) &&
                  put(object, "counters", counters_to_json(peer)) &&
                  put(object, "refused", refused_to_json(peer));
    if (!is_put) {
        json_decref(object);
        return NULL;
    }
    return object;
}

bool gossip_report_peers(const struct gossip_facts *facts, const struct posture *posture,
                         json_t *hops, json_t *strangers)
{
    size_t used = peer_pages_used(facts->pages);
    for (size_t i = 1; i < used; i++) {
        const struct peer *peer = &facts->pages->peers[i];
        bool is_stranger = peer->is_stranger != 0;
        bool is_listed = !is_stranger || json_array_size(strangers) < GOSSIP_REPORT_STRANGERS;
        if (peer->is_used != 0 && is_listed &&
            json_array_append_new(is_stranger ? strangers : hops,
                                  peer_to_json(facts, posture, peer)) != 0) {
            return false;
        }
    }
    return true;
}
