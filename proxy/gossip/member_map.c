/* proxy/gossip/member_map.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/member_map.h"

#include <stdlib.h>
#include <string.h>

struct member_place {
    struct endpoint at;
    size_t number; /* in the settings: of two that are equal the first is meant */
    const struct config_gossip_peer *member;
};

static int compare(const struct endpoint *a, const struct endpoint *b)
{
    int order = memcmp(a->ip, b->ip, sizeof(a->ip));
    return order != 0 ? order : (int)a->port - (int)b->port;
}

static int compare_places(const void *left, const void *right)
{
    const struct member_place *a = left;
    const struct member_place *b = right;
    int order = compare(&a->at, &b->at);
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

/* Without the port: conns and packets of a member come from any. */
static void add_real(struct member_map *map, const struct config_gossip_peer *peer)
{
    struct member_place *place = &map->real[map->peer_count];
    *place = (struct member_place){.number = map->peer_count++, .member = peer};
    endpoint_from_config(&place->at, &peer->address);
    place->at.port = 0;
}

static void add_stand_in(struct member_map *map, const struct config_gossip_peer *member)
{
    struct member_place *place = &map->stand_ins[map->stand_in_count];
    *place = (struct member_place){.number = map->stand_in_count++, .member = member};
    endpoint_from_config(&place->at, &member->stand_in);
}

enum status member_map_init(struct member_map *map, const struct config_gossip *settings)
{
    *map =
        (struct member_map){.real = calloc(settings->peer_count + 1, sizeof(*map->real)),
                            .stand_ins = calloc(settings->peer_count + 1, sizeof(*map->stand_ins))};
    if (map->real == NULL || map->stand_ins == NULL) {
        member_map_fini(map);
        return STATUS_NOMEM;
    }
    if (settings->mode != CONFIG_GOSSIP_RELAY) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < settings->peer_count; i++) {
        add_real(map, &settings->peers[i]);
        add_stand_in(map, &settings->peers[i]);
    }
    add_stand_in(map, &settings->node);
    qsort(map->real, map->peer_count, sizeof(*map->real), compare_places);
    qsort(map->stand_ins, map->stand_in_count, sizeof(*map->stand_ins), compare_places);
    return STATUS_OK;
}

void member_map_fini(struct member_map *map)
{
    free(map->real);
    free(map->stand_ins);
    *map = (struct member_map){0};
}

/* The first of those that are equal. */
static const struct config_gossip_peer *find(const struct member_place *places, size_t count,
                                             const struct endpoint *wanted)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&places[middle].at, wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_found = low < count && endpoint_equal(&places[low].at, wanted);
    return is_found ? places[low].member : NULL;
}

const struct config_gossip_peer *member_map_at(const struct member_map *map,
                                               const struct endpoint *real)
{
    struct endpoint wanted = *real;
    wanted.port = 0;
    return find(map->real, map->peer_count, &wanted);
}

const struct config_gossip_peer *member_map_for(const struct member_map *map,
                                                const struct endpoint *stand_in)
{
    return find(map->stand_ins, map->stand_in_count, stand_in);
}
