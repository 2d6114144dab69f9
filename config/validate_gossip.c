/* config/validate_gossip.c: the rules between the settings of gossip clusters
 *
 * Declared in validate.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "config/address.h"
#include "config/validate.h"

enum { LABEL_BYTES_MAX = 255 /* its length is one byte on the wire */ };

static const char *name_of(const struct config_gossip *gossip)
{
    return gossip->name != NULL ? gossip->name : "?";
}

static const char *shown(const struct config_address *address)
{
    return address->text != NULL ? address->text : "?";
}

static bool has_port(const struct config_gossip *gossip, uint16_t port)
{
    for (size_t i = 0; i < gossip->port_count; i++) {
        if (gossip->ports[i] == port) {
            return true;
        }
    }
    return false;
}

/* --- one cluster -------------------------------------------------------------------------------
 */

static void validate_keys(const struct config_gossip *gossip, bool is_complete,
                          struct problem_list *problems)
{
    bool has_keyring = gossip->keyring.path != NULL;
    bool has_key = gossip->key.kind != CONFIG_SECRET_NONE;
    if (has_keyring && has_key) {
        problem_add(problems, &gossip->key.place,
                    "'key' stands beside 'keyring'; expected one of them: two places for a key "
                    "disagree sooner or later");
    }
    if (is_complete && !has_keyring && !has_key) {
        problem_add(problems, &gossip->place,
                    "cluster '%s' has no key; expected 'keyring' or 'key'", name_of(gossip));
    }
}

static void validate_ports(const struct config_gossip *gossip, bool is_complete,
                           struct problem_list *problems)
{
    if (is_complete && gossip->port_count == 0) {
        problem_add(problems, &gossip->place, "cluster '%s' has no ports; expected at least one",
                    name_of(gossip));
    }
    for (size_t i = 1; i < gossip->port_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (gossip->ports[i] == gossip->ports[k] && gossip->ports[i] != 0) {
                problem_add(problems, &gossip->place,
                            "ports of cluster '%s': %u stands there twice; expected it once",
                            name_of(gossip), gossip->ports[i]);
                break;
            }
        }
    }
    if (gossip->mode == CONFIG_GOSSIP_TRANSPARENT && has_port(gossip, gossip->own_port)) {
        problem_add(problems, &gossip->place,
                    "own_port of cluster '%s': %u is one of its 'ports'; expected a port that "
                    "nothing else uses",
                    name_of(gossip), gossip->own_port);
    }
}

static void validate_label(const struct config_gossip *gossip, struct problem_list *problems)
{
    if (gossip->label != NULL && strlen(gossip->label) > LABEL_BYTES_MAX) {
        problem_add(problems, &gossip->place,
                    "label of cluster '%s': %zu bytes are too many; expected at most %d",
                    name_of(gossip), strlen(gossip->label), LABEL_BYTES_MAX);
    }
}

static bool is_unspecified(const struct config_address *address)
{
    static const uint8_t ZERO[4];
    return memcmp(address->ip, ZERO, sizeof(ZERO)) == 0;
}

/* Packets are told apart by where they come from, so it has to be one address with a port. */
static void validate_real_address(const struct config_address *address,
                                  struct problem_list *problems)
{
    if (address->kind == CONFIG_ADDRESS_NONE) {
        return;
    }
    if (address->kind != CONFIG_ADDRESS_IP4 || address->port == 0 || is_unspecified(address)) {
        problem_add(problems, &address->place,
                    "address: '%s' is not where a node can be reached; expected IPv4:PORT",
                    shown(address));
    }
}

/* The number-th member: the node itself, then its peers. */
static struct config_gossip_peer *member_at(struct config_gossip *gossip, size_t number)
{
    return number == 0 ? &gossip->node : &gossip->peers[number - 1];
}

static void validate_member(struct config_gossip *gossip, size_t number,
                            struct problem_list *problems)
{
    struct config_gossip_peer *member = member_at(gossip, number);
    if (member->stand_in.port == 0 && gossip->port_count > 0) {
        member->stand_in.port = gossip->ports[0];
    }
    validate_real_address(&member->address, problems);
    for (size_t i = 0; i < number; i++) {
        const struct config_gossip_peer *other = member_at(gossip, i);
        if (address_clashes(&member->address, &other->address)) {
            problem_add(problems, &member->address.place,
                        "address: '%s' is that of the member at line %u as well; expected each "
                        "once",
                        shown(&member->address), other->address.place.line);
            return;
        }
    }
}

static void validate_relay(struct config_gossip *gossip, bool is_complete,
                           struct problem_list *problems)
{
    const struct config_gossip_peer *node = &gossip->node;
    bool is_whole =
        node->stand_in.kind != CONFIG_ADDRESS_NONE && node->address.kind != CONFIG_ADDRESS_NONE;
    if (is_complete && !is_whole) {
        problem_add(problems, node->place.line != 0 ? &node->place : &gossip->place,
                    "cluster '%s' does not say who its own node is; expected 'node: {virtual: "
                    "127.X.Y.Z, address: IPv4:PORT}'",
                    name_of(gossip));
    }
    if (is_complete && gossip->peer_count == 0) {
        problem_add(problems, &gossip->place,
                    "cluster '%s' has nobody to relay to; expected 'peers'", name_of(gossip));
    }
    for (size_t i = 0; i <= gossip->peer_count; i++) {
        validate_member(gossip, i, problems);
    }
}

static void validate_transparent(const struct config_gossip *gossip, struct problem_list *problems)
{
    if (gossip->node.place.line != 0) {
        problem_add(problems, &gossip->node.place,
                    "'node' is for 'mode: relay' alone; expected it to be left out");
    }
    if (gossip->peer_count > 0) {
        problem_add(problems, &gossip->peers[0].place,
                    "'peers' are for 'mode: relay' alone: here everybody may come and go; expected "
                    "them to be left out");
    }
}

/* --- several clusters --------------------------------------------------------------------------
 */

/* What is steered by the rules of one cluster is nobody else's. */
static void validate_steering(const struct config_gossip *gossip, const struct config_gossip *other,
                              struct problem_list *problems)
{
    for (size_t i = 0; i < gossip->port_count; i++) {
        if (has_port(other, gossip->ports[i]) || gossip->ports[i] == other->own_port) {
            problem_add(problems, &gossip->place,
                        "ports of cluster '%s': %u belongs to cluster '%s' at line %u already; "
                        "expected each port in one cluster",
                        name_of(gossip), gossip->ports[i], name_of(other), other->place.line);
            return;
        }
    }
    if (gossip->own_port == other->own_port || has_port(other, gossip->own_port)) {
        problem_add(problems, &gossip->place,
                    "own_port of cluster '%s': %u belongs to cluster '%s' at line %u already; "
                    "expected another one",
                    name_of(gossip), gossip->own_port, name_of(other), other->place.line);
    }
}

/* What a relay sends would be taken by the rules of the other cluster, and be encrypted twice. */
static void validate_relay_beside(struct config_gossip *relay, const struct config_gossip *other,
                                  struct problem_list *problems)
{
    for (size_t i = 0; i <= relay->peer_count; i++) {
        const struct config_address *address = &member_at(relay, i)->address;
        if (address->kind == CONFIG_ADDRESS_IP4 && has_port(other, address->port)) {
            problem_add(problems, &address->place,
                        "address: port %u is intercepted for cluster '%s' at line %u; expected a "
                        "port that is not one of its 'ports'",
                        address->port, name_of(other), other->place.line);
            return;
        }
    }
}

static void validate_pair(struct config_gossip *gossip, struct config_gossip *other,
                          struct problem_list *problems)
{
    if (gossip->name != NULL && other->name != NULL && strcmp(gossip->name, other->name) == 0) {
        problem_add(problems, &gossip->place,
                    "a second cluster is called '%s'; expected each name once, the first is at "
                    "line %u",
                    gossip->name, other->place.line);
    }
    bool is_steered = gossip->mode == CONFIG_GOSSIP_TRANSPARENT;
    bool is_other_steered = other->mode == CONFIG_GOSSIP_TRANSPARENT;
    if (is_steered && is_other_steered) {
        validate_steering(gossip, other, problems);
    } else if (is_other_steered) {
        validate_relay_beside(gossip, other, problems);
    } else if (is_steered) {
        validate_relay_beside(other, gossip, problems);
    }
}

/* --- beside listeners --------------------------------------------------------------------------
 */

static void validate_listener_address(const struct config_gossip *gossip,
                                      const struct config_address *address,
                                      struct problem_list *problems)
{
    if (address->kind != CONFIG_ADDRESS_IP4 && address->kind != CONFIG_ADDRESS_IP6) {
        return;
    }
    bool is_steered = !address_is_loopback(address) && has_port(gossip, address->port);
    if (is_steered || address->port == gossip->own_port) {
        problem_add(problems, &address->place,
                    "'%s' is a port of gossip cluster '%s' at line %u; expected another port",
                    shown(address), name_of(gossip), gossip->place.line);
    }
}

/* Clients would be steered to the cluster, or find its port taken. */
static void validate_beside_listeners(const struct config *config,
                                      const struct config_gossip *gossip,
                                      struct problem_list *problems)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        for (size_t k = 0; k < config->listeners[i].address_count; k++) {
            validate_listener_address(gossip, &config->listeners[i].addresses[k], problems);
        }
    }
    validate_listener_address(gossip, &config->admin.address, problems);
}

void validate_gossip(struct config *config, bool is_complete, struct problem_list *problems)
{
    for (size_t i = 0; i < config->gossip_count; i++) {
        struct config_gossip *gossip = &config->gossip[i];
        validate_keys(gossip, is_complete, problems);
        validate_ports(gossip, is_complete, problems);
        validate_label(gossip, problems);
        if (gossip->mode == CONFIG_GOSSIP_RELAY) {
            validate_relay(gossip, is_complete, problems);
        } else {
            validate_transparent(gossip, problems);
            validate_beside_listeners(config, gossip, problems);
        }
        for (size_t k = 0; k < i; k++) {
            validate_pair(gossip, &config->gossip[k], problems);
        }
    }
}
