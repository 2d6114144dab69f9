/* config/hop.h
 *
 * The hops that a configuration makes: each leg on which somebody's bytes travel, with how they are
 * protected there.
 *
 * Why it exists: the policy judges hops, not keys; waivers name them; `check`, `posture`, `status`
 * and the logs call them the same.
 *
 * Owner: the hop list, which borrows the config.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"

enum hop_kind {
    HOP_LISTENER, /* client → proxy, "listener/web" */
    HOP_REDIRECT, /* the same, but only redirects are sent: nothing of the client's goes further */
    HOP_BACKEND,  /* proxy → server, "backend/mattermost/0" */
    HOP_ADMIN,    /* operator → proxy, "admin" */
    HOP_GOSSIP_NODE, /* the node that gossips → proxy, "gossip/serf/node" */
    HOP_GOSSIP_OUT,  /* proxy → the other nodes, "gossip/serf/out" */
    HOP_GOSSIP_IN,   /* the other nodes → proxy, "gossip/serf/in" */
};

enum hop_protection { HOP_PLAINTEXT, HOP_TLS, HOP_GOSSIP_AES };

struct hop {
    enum hop_kind kind;
    enum hop_protection protection;
    const char *name;
    const char *from;
    const char *to;
    const char *evidence;       /* what has to be seen on the wire or in the handshake */
    bool is_loopback;           /* never leaves the machine */
    size_t listener;            /* index, for HOP_LISTENER and HOP_REDIRECT */
    size_t backend;             /* index, for HOP_BACKEND */
    size_t server;              /* index within the backend */
    size_t gossip;              /* index of the cluster, for HOP_GOSSIP_* */
    unsigned key_bits;          /* HOP_GOSSIP_AES: of the weakest key; 0: not known */
    const size_t *certificates; /* ours that are shown on it: indexes into config.certificates */
    size_t certificate_count;
    struct place place;
};

struct hop_list {
    struct hop *hops;
    size_t count;
};

/* Lists the hops in the order of the configuration. What is listed comes from `memory`. False when
 * out of memory. */
bool hop_list_make(const struct config *config, struct memory *memory, struct hop_list *list)
    __attribute__((warn_unused_result));

/* Three hops a cluster of gossip: for hop_list_make. */
enum { HOP_GOSSIP_HOPS = 3 };
void hop_gossip_make(const struct config *config, size_t index, struct memory *memory,
                     struct hop hops[HOP_GOSSIP_HOPS]);

/* "plaintext", "tls", "gossip-aes-256-gcm"; "gossip-aes" while the key is not known */
const char *hop_protection_name(const struct hop *hop);
