/* config/schema_gossip.c: the vocabulary of a gossip section · SPDX-License-Identifier: Apache-2.0
 *
 * None of it is available yet; it is here so that the reference and the editor know it.
 */
#include "config/schema.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define CHOICES(array) .choices = (array), .choice_count = COUNT(array)

static const struct schema_choice MODES[] = {
    {"transparent", 0, "intercepts the node's own packets: nft rules and CAP_NET_RAW",
     SCHEMA_LATER},
    {"relay", 0, "no privilege, static peers", SCHEMA_LATER},
};
static const struct schema_choice RULES[] = {
    {"manage", 0, "the nft table is installed at start and removed at the end", SCHEMA_LATER},
    {"external", 0, "somebody else installs it", SCHEMA_LATER},
};
static const struct schema_choice INCOMING[] = {
    {"encrypted", 0, "plaintext from other nodes is dropped", SCHEMA_LATER},
    {"any", 0, "plaintext is taken as well: a violation", SCHEMA_LATER},
};
static const struct schema_choice OUTGOING[] = {
    {"encrypted", 0, "everything is sent encrypted", SCHEMA_LATER},
    {"plaintext", 0, "nothing is: a violation", SCHEMA_LATER},
};

static const struct schema_key PEER_KEYS[] = {
    {.name = "virtual",
     .type = SCHEMA_TEXT,
     .required = true,
     .doc = "The loopback address that stands for the peer."},
    {.name = "address",
     .type = SCHEMA_ADDRESS,
     .required = true,
     .doc = "The peer's real address."},
};

static const struct schema_section PEER = {
    .title = "a gossip peer",
    .keys = PEER_KEYS,
    .key_count = COUNT(PEER_KEYS),
};

static const struct schema_key GOSSIP_KEYS[] = {
    {.name = "name", .type = SCHEMA_NAME, .required = true, .doc = "What the cluster is called."},
    {.name = "keyring",
     .type = SCHEMA_OUTPUT,
     .doc = "A keyring file: the first key encrypts, all decrypt."},
    {.name = "key",
     .type = SCHEMA_SECRET,
     .doc = "One key instead of a keyring: 16, 24 or 32 bytes in base64."},
    {.name = "ports",
     .type = SCHEMA_NUMBER,
     .shape = SCHEMA_LIST,
     .fallback = "7946",
     .least = 1,
     .most = 65535,
     .doc = "The cluster's ports, UDP and TCP."},
    {.name = "mode",
     .type = SCHEMA_CHOICE,
     CHOICES(MODES),
     .fallback = "transparent",
     .doc = "How the node's packets reach Sallyport."},
    {.name = "rules",
     .type = SCHEMA_CHOICE,
     CHOICES(RULES),
     .fallback = "manage",
     .doc = "Who installs the nft rules of mode `transparent`."},
    {.name = "user",
     .type = SCHEMA_TEXT,
     .fallback = "sallyport",
     .doc = "The account whose own packets are exempt from the rules."},
    {.name = "incoming",
     .type = SCHEMA_CHOICE,
     CHOICES(INCOMING),
     .fallback = "encrypted",
     .doc = "What is accepted from other nodes."},
    {.name = "outgoing",
     .type = SCHEMA_CHOICE,
     CHOICES(OUTGOING),
     .fallback = "encrypted",
     .doc = "What is sent to other nodes."},
    {.name = "version",
     .type = SCHEMA_NUMBER,
     .fallback = "1",
     .least = 0,
     .most = 1,
     .doc = "The version of memberlist's encryption that is sent; both are received."},
    {.name = "label",
     .type = SCHEMA_TEXT,
     .fallback = "from-node",
     .doc = "A label that every packet must carry, or the node's own."},
    {.name = "replay_window",
     .type = SCHEMA_NUMBER,
     .fallback = "65536",
     .least = 0,
     .most = 16777216,
     .doc = "Nonces remembered per peer; repeats are dropped and counted."},
    {.name = "peers",
     .type = SCHEMA_SECTION,
     .shape = SCHEMA_LIST,
     .section = &PEER,
     .doc = "Mode `relay`: which loopback address stands for which node."},
};

const struct schema_section SCHEMA_GOSSIP_SECTION = {
    .title = "a gossip cluster",
    .keys = GOSSIP_KEYS,
    .key_count = COUNT(GOSSIP_KEYS),
};
