/* config/gossip.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/gossip.h"

#include <string.h>

#include "config/address.h"

static bool is_same_text(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static bool is_same_peer(const struct config_gossip_peer *left,
                         const struct config_gossip_peer *right)
{
    return address_is_same(&left->stand_in, &right->stand_in) &&
           address_is_same(&left->address, &right->address);
}

static bool has_same_peers(const struct config_gossip *left, const struct config_gossip *right)
{
    bool is_same = left->peer_count == right->peer_count && is_same_peer(&left->node, &right->node);
    for (size_t i = 0; is_same && i < left->peer_count; i++) {
        is_same = is_same_peer(&left->peers[i], &right->peers[i]);
    }
    return is_same;
}

static bool has_same_ports(const struct config_gossip *left, const struct config_gossip *right)
{
    bool is_same = left->port_count == right->port_count && left->own_port == right->own_port;
    for (size_t i = 0; is_same && i < left->port_count; i++) {
        is_same = left->ports[i] == right->ports[i];
    }
    return is_same;
}

static bool has_same_keys(const struct config_gossip *left, const struct config_gossip *right)
{
    return is_same_text(left->keyring.path, right->keyring.path) &&
           left->key.kind == right->key.kind && is_same_text(left->key.value, right->key.value);
}

bool gossip_is_same(const struct config_gossip *left, const struct config_gossip *right)
{
    return strcmp(left->name, right->name) == 0 && has_same_keys(left, right) &&
           has_same_ports(left, right) && has_same_peers(left, right) &&
           left->mode == right->mode && left->rules == right->rules &&
           is_same_text(left->user, right->user) &&
           left->takes_plaintext == right->takes_plaintext &&
           left->sends_plaintext == right->sends_plaintext && left->version == right->version &&
           is_same_text(left->label, right->label) && left->replay_window == right->replay_window;
}
