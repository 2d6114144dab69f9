/* proxy/gossip/member_map.h
 *
 * The members of a cluster in mode relay, found by where they really are and by the address that
 * stands for them. Sorted once, searched by halves: each packet asks.
 *
 * Owner: the cluster. Embedded; the settings are borrowed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "config/model.h"
#include "proxy/base/status.h"
#include "proxy/gossip/endpoint.h"

struct member_place;

/* Fields private to member_map.c; all zero is an empty map. */
struct member_map {
    struct member_place *real;      /* of the peers */
    struct member_place *stand_ins; /* of the peers and of the node itself */
    size_t peer_count;
    size_t stand_in_count;
};

/* NOMEM: the map is empty. */
MUST_CHECK enum status member_map_init(struct member_map *map,
                                       const struct config_gossip *settings);
void member_map_fini(struct member_map *map);

/* The first peer with this IP, whatever the port; NULL: none. */
const struct config_gossip_peer *member_map_at(const struct member_map *map,
                                               const struct endpoint *real);

/* The member, perhaps the node itself, for which exactly this address stands; NULL: none. */
const struct config_gossip_peer *member_map_for(const struct member_map *map,
                                                const struct endpoint *stand_in);
