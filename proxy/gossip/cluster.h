/* proxy/gossip/cluster.h
 *
 * What packets and conns of one cluster have in common: the keys, the policy (what may come and
 * leave in plaintext, which label, which addresses), and the account of what was done with each
 * peer's traffic.
 *
 * Why it exists: whether something passes is decided here and nowhere else, once for packets and
 * once for messages of streams; whoever moves the bytes only asks.
 *
 * Owner: the sidecar. Fields are for reading, except for cluster.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "crypto/gossip_cipher.h"
#include "proxy/gossip/complaints.h"
#include "proxy/gossip/member_map.h"
#include "proxy/gossip/peer_table.h"
#include "proxy/gossip/replay_window.h"
#include "proxy/net/loop.h"

enum cluster_direction {
    CLUSTER_OUT, /* from our node to its peers */
    CLUSTER_IN,  /* from peers to our node */
};

struct cluster {
    const struct config_gossip *settings;
    struct loop *loop;
    struct log *log;
    struct gossip_cipher *cipher; /* NULL: no keyring was taken yet */
    struct peer_table *peers;
    struct replay_window window;
    struct member_map members; /* of mode relay */
    struct complaints complaints;
    int64_t now_s;      /* since 1970; set by cluster_tick */
    uint32_t uptime_s;  /* on the monotonic clock */
    uint64_t trials;    /* packets of strangers that may still be tried in this second */
    uint64_t warned_at; /* sealed with one key when the last warning was due */
    uint8_t label[GOSSIP_LABEL_BYTES_MAX]; /* of the node, as last seen, or as configured */
    size_t label_len;
};

/* The log and all else stay the caller's. NOMEM. */
MUST_CHECK enum status cluster_init(struct cluster *cluster, const struct config_gossip *settings,
                                    struct loop *loop, struct log *log, struct peer_pages *pages);
void cluster_fini(struct cluster *cluster);

/* Takes a keyring's text in place of the one before. REFUSED with a sentence: the old one stays. */
MUST_CHECK enum status cluster_set_ring(struct cluster *cluster, struct bytes text,
                                        struct crypto_error *error);

/* Sets the clocks. Before each batch of work. */
void cluster_tick(struct cluster *cluster);

/* Whether the cluster's members gossip on it. */
bool cluster_has_port(const struct cluster *cluster, uint16_t port);

/* ---- packets ---- */

/* Bytes in a room that has at least GOSSIP_HEAD_BYTES before them and GOSSIP_TAIL_BYTES_MAX
 * behind. */
struct cluster_packet {
    uint8_t *at;
    size_t len;
};

/* Makes what the node sends into what leaves, or what came into what the node gets. False: it is
 * dropped, which has been counted. */
MUST_CHECK bool cluster_seal_packet(struct cluster *cluster, struct peer *peer,
                                    struct cluster_packet *packet);
MUST_CHECK bool cluster_open_packet(struct cluster *cluster, struct peer *peer,
                                    struct cluster_packet *packet);

/* ---- messages of streams ---- */

/* False: the settings name a label, and this is another. */
bool cluster_knows_label(const struct cluster *cluster, struct bytes label);

/* Checks the label that comes first (without its header; empty: there was none). False: it is not
 * the one that the settings name. */
MUST_CHECK bool cluster_take_label(struct cluster *cluster, enum cluster_direction direction,
                                   struct bytes label);

/* The message stands at `room` + GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES; the frame begins at
 * `room`. */
MUST_CHECK bool cluster_seal_message(struct cluster *cluster, struct peer *peer, struct bytes label,
                                     uint8_t *room, size_t len, size_t *frame_len);
MUST_CHECK bool cluster_open_frame(struct cluster *cluster, struct peer *peer, struct bytes label,
                                   uint8_t *frame, size_t len, struct bytes *message);

/* A message that passes in plaintext, by the settings. */
MUST_CHECK bool cluster_pass_message(struct cluster *cluster, struct peer *peer,
                                     enum cluster_direction direction, const char *transport,
                                     struct bytes message);

/* ---- the account ---- */

/* Counts and complains; returns false, for whoever has to. */
bool cluster_refuse(struct cluster *cluster, struct peer *peer, enum cluster_direction direction,
                    const char *transport, enum gossip_refusal refusal);
bool cluster_complain(struct cluster *cluster, struct peer *peer, enum cluster_direction direction,
                      const char *transport, enum peer_counter counter, const char *sentence);
