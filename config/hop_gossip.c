/* config/hop_gossip.c: the hops of a cluster of gossip · SPDX-License-Identifier: Apache-2.0
 *
 * Declared in hop.h.
 */
#include "config/address.h"
#include "config/hop.h"
#include "config/memory.h"

static const char *ports_text(const struct config_gossip *gossip, struct memory *memory)
{
    const char *text = gossip->port_count > 1 ? "ports " : "port ";
    for (size_t i = 0; i < gossip->port_count && text != NULL; i++) {
        text = memory_format(memory, "%s%s%u", text, i == 0 ? "" : ", ", gossip->ports[i]);
    }
    return text;
}

static const char *shown(const struct config_address *address)
{
    return address->text != NULL ? address->text : "?";
}

static const char *peers_text(const struct config_gossip *gossip, struct memory *memory)
{
    if (gossip->mode == CONFIG_GOSSIP_TRANSPARENT) {
        return memory_format(memory, "peers, %s", ports_text(gossip, memory));
    }
    const char *text = "";
    for (size_t i = 0; i < gossip->peer_count && text != NULL; i++) {
        text = memory_format(memory, "%s%s%s", text, i == 0 ? "" : ", ",
                             shown(&gossip->peers[i].address));
    }
    return text;
}

/* What a relay and all its peers say never leaves the machine if all of them are on it. Where
 * transparent traffic goes is up to the node. */
static bool peers_are_loopback(const struct config_gossip *gossip)
{
    if (gossip->mode == CONFIG_GOSSIP_TRANSPARENT) {
        return false;
    }
    for (size_t i = 0; i < gossip->peer_count; i++) {
        if (!address_is_loopback(&gossip->peers[i].address)) {
            return false;
        }
    }
    return address_is_loopback(&gossip->node.address);
}

static const char *peers_evidence(bool is_plaintext, bool is_loopback, const char *plaintext,
                                  const char *encrypted)
{
    if (!is_plaintext) {
        return encrypted;
    }
    return is_loopback ? "loopback: never on a network" : plaintext;
}

static struct hop node_hop(const struct config_gossip *gossip)
{
    bool is_relay = gossip->mode == CONFIG_GOSSIP_RELAY;
    return (struct hop){
        .kind = HOP_GOSSIP_NODE,
        .protection = HOP_PLAINTEXT,
        .from = is_relay ? shown(&gossip->node.stand_in) : "node",
        .to = "sallyport",
        .evidence = is_relay ? "loopback: never on a network"
                             : "steered to us before it leaves the machine: never on a network",
        .is_loopback = true,
    };
}

static struct hop out_hop(const struct config_gossip *gossip, struct memory *memory)
{
    bool is_loopback = peers_are_loopback(gossip);
    return (struct hop){
        .kind = HOP_GOSSIP_OUT,
        .protection = gossip->sends_plaintext ? HOP_PLAINTEXT : HOP_GOSSIP_AES,
        .from = "sallyport",
        .to = peers_text(gossip, memory),
        .evidence = peers_evidence(
            gossip->sends_plaintext, is_loopback, "none: readable by whoever sees it",
            memory_format(memory, "AES-GCM, shared key (version %u)", gossip->version)),
        .is_loopback = is_loopback,
    };
}

static struct hop in_hop(const struct config_gossip *gossip, struct memory *memory)
{
    bool is_loopback = peers_are_loopback(gossip);
    return (struct hop){
        .kind = HOP_GOSSIP_IN,
        .protection = gossip->takes_plaintext ? HOP_PLAINTEXT : HOP_GOSSIP_AES,
        .from = "peers",
        .to = gossip->mode == CONFIG_GOSSIP_RELAY ? shown(&gossip->node.address)
                                                  : ports_text(gossip, memory),
        .evidence = peers_evidence(gossip->takes_plaintext, is_loopback,
                                   "none: plaintext of anybody is taken as well",
                                   "AES-GCM, shared key (version 0 or 1)"),
        .is_loopback = is_loopback,
    };
}

void hop_gossip_make(const struct config *config, size_t index, struct memory *memory,
                     struct hop hops[HOP_GOSSIP_HOPS])
{
    static const char *const LEGS[HOP_GOSSIP_HOPS] = {"node", "out", "in"};
    const struct config_gossip *gossip = &config->gossip[index];
    hops[0] = node_hop(gossip);
    hops[1] = out_hop(gossip, memory);
    hops[2] = in_hop(gossip, memory);
    for (size_t i = 0; i < HOP_GOSSIP_HOPS; i++) {
        hops[i].name = memory_format(memory, "gossip/%s/%s",
                                     gossip->name != NULL ? gossip->name : "?", LEGS[i]);
        hops[i].gossip = index;
        hops[i].place = gossip->place;
    }
}
