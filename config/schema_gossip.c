/* config/schema_gossip.c: the vocabulary of a gossip section · SPDX-License-Identifier: Apache-2.0
 */
#include "config/model.h"
#include "config/schema.h"

#define COUNT(array)     (sizeof(array) / sizeof((array)[0]))
#define CHOICES(array)   .choices = (array), .choice_count = COUNT(array)
#define AT(noun, member) .offset = offsetof(struct config_##noun, member)
#define LIST_AT(noun, member, counter)                                                             \
    .shape = SCHEMA_LIST, .offset = offsetof(struct config_##noun, member),                        \
    .beside = offsetof(struct config_##noun, counter),                                             \
    .item_size = sizeof(*((struct config_##noun *)0)->member)

static const struct schema_choice MODES[] = {
    {"transparent", CONFIG_GOSSIP_TRANSPARENT,
     "intercepts the node's own packets, wherever they go: nft rules and CAP_NET_RAW", SCHEMA_NOW},
    {"relay", CONFIG_GOSSIP_RELAY,
     "no privilege: loopback addresses stand for the members, all of which are behind a Sallyport",
     SCHEMA_NOW},
};
static const struct schema_choice RULES[] = {
    {"manage", CONFIG_GOSSIP_RULES_MANAGE,
     "installed at the start and removed at an orderly end, after which the node gossips in "
     "plaintext; needs root or CAP_NET_ADMIN",
     SCHEMA_NOW},
    {"keep", CONFIG_GOSSIP_RULES_KEEP,
     "installed at the start, which needs root or CAP_NET_ADMIN, and left at the end: the node's "
     "gossip stands still until the next start, or until `sallyport gossip rules --remove | sh`",
     SCHEMA_NOW},
    {"external", CONFIG_GOSSIP_RULES_EXTERNAL,
     "somebody else installs what `sallyport gossip rules` prints", SCHEMA_NOW},
};
static const struct schema_choice INCOMING[] = {
    {"encrypted", false, "plaintext from other nodes is dropped", SCHEMA_NOW},
    {"any", true, "plaintext is taken as well: a violation", SCHEMA_NOW},
};
static const struct schema_choice OUTGOING[] = {
    {"encrypted", false, "everything is sent encrypted", SCHEMA_NOW},
    {"plaintext", true, "nothing is: a violation", SCHEMA_NOW},
};
static const struct schema_choice VERSIONS[] = {
    {"0", 0, "padded to 16 bytes, for clusters of old", SCHEMA_NOW},
    {"1", 1, "not padded", SCHEMA_NOW},
};

#define VIRTUAL_DOC                                                                                \
    "The loopback address that stands for it on this machine, the same one on all machines. "      \
    "Without a port: the first of `ports`."

/* Not required one by one: the whole is there in one mode only. */
static const struct schema_key NODE_KEYS[] = {
    {.name = "virtual",
     .type = SCHEMA_STAND_IN,
     AT(gossip_peer, stand_in),
     .doc = VIRTUAL_DOC " The node binds it."},
    {.name = "address",
     .type = SCHEMA_ADDRESS,
     AT(gossip_peer, address),
     .doc = "The real address, at which the other machines reach this one: IPv4 with a port."},
};

static const struct schema_section NODE = {
    .title = "the node of a gossip cluster",
    .keys = NODE_KEYS,
    .key_count = COUNT(NODE_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_gossip_peer, place),
};

static const struct schema_key PEER_KEYS[] = {
    {.name = "virtual",
     .type = SCHEMA_STAND_IN,
     .required = true,
     AT(gossip_peer, stand_in),
     .doc = VIRTUAL_DOC},
    {.name = "address",
     .type = SCHEMA_ADDRESS,
     .required = true,
     AT(gossip_peer, address),
     .doc = "The peer's real address: IPv4 with a port."},
};

static const struct schema_section PEER = {
    .title = "a gossip peer",
    .keys = PEER_KEYS,
    .key_count = COUNT(PEER_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_gossip_peer, place),
};

static const struct schema_key GOSSIP_KEYS[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     AT(gossip, name),
     .doc = "What the cluster is called."},
    /* It may be made later, by `sallyport keyring create`, which reads this file too. */
    {.name = "keyring",
     .type = SCHEMA_OUTPUT,
     AT(gossip, keyring),
     .doc = "A keyring file: the first key encrypts, all decrypt. It is read again when it "
            "changes."},
    {.name = "key",
     .type = SCHEMA_SECRET,
     AT(gossip, key),
     .doc = "One key instead of a keyring: 16, 24 or 32 bytes in base64."},
    {.name = "ports",
     .type = SCHEMA_PORT,
     .fallback = "7946",
     .least = 1,
     .most = 65535,
     LIST_AT(gossip, ports, port_count),
     .doc = "The cluster's ports, UDP and TCP."},
    {.name = "mode",
     .type = SCHEMA_CHOICE,
     CHOICES(MODES),
     .fallback = "transparent",
     AT(gossip, mode),
     .doc = "How the node's packets reach Sallyport."},
    {.name = "rules",
     .type = SCHEMA_CHOICE,
     CHOICES(RULES),
     .fallback = "keep",
     AT(gossip, rules),
     .doc = "Who installs the nft rules of mode `transparent`, and whether they outlive us."},
    {.name = "user",
     .type = SCHEMA_NAME,
     .word = "auto",
     .fallback = "auto",
     AT(gossip, user),
     .doc = "The account that the cluster's process runs as when started by root. `auto`: "
            "`sallyport-gossip` if there is one, else a number that nobody has."},
    {.name = "own_port",
     .type = SCHEMA_PORT,
     .fallback = "15946",
     .least = 1,
     .most = 65535,
     AT(gossip, own_port),
     .doc = "Mode `transparent`: the port of our own to which the rules steer the cluster's "
            "packets. Nothing else uses it, and each cluster has another one."},
    {.name = "incoming",
     .type = SCHEMA_CHOICE_FLAG,
     CHOICES(INCOMING),
     .fallback = "encrypted",
     AT(gossip, takes_plaintext),
     .doc = "What is accepted from other nodes."},
    {.name = "outgoing",
     .type = SCHEMA_CHOICE_FLAG,
     CHOICES(OUTGOING),
     .fallback = "encrypted",
     AT(gossip, sends_plaintext),
     .doc = "What is sent to other nodes."},
    {.name = "version",
     .type = SCHEMA_CHOICE,
     CHOICES(VERSIONS),
     .fallback = "1",
     AT(gossip, version),
     .doc = "The version of memberlist's encryption that is sent; both are received."},
    {.name = "label",
     .type = SCHEMA_TEXT,
     .word = "from-node",
     .fallback = "from-node",
     AT(gossip, label),
     .doc = "The label that everything must carry, of at most 255 bytes. `from-node`: whatever "
            "the node itself uses."},
    {.name = "replay_window",
     .type = SCHEMA_NUMBER,
     .fallback = "65536",
     .least = 0,
     .most = 16777216,
     AT(gossip, replay_window),
     .doc = "Nonces remembered, of the whole cluster: at least that many. What repeats one of them "
            "is dropped and counted. 0: none are."},
    {.name = "node",
     .type = SCHEMA_SECTION,
     .section = &NODE,
     AT(gossip, node),
     .doc = "Mode `relay`: the node beside this Sallyport."},
    {.name = "peers",
     .type = SCHEMA_SECTION,
     .section = &PEER,
     LIST_AT(gossip, peers, peer_count),
     .doc = "Mode `relay`: the other members, and which loopback address stands for which."},
};

const struct schema_section SCHEMA_GOSSIP_SECTION = {
    .title = "a gossip cluster",
    .keys = GOSSIP_KEYS,
    .key_count = COUNT(GOSSIP_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_gossip, place),
};
