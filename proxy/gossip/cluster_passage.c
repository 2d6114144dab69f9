/* proxy/gossip/cluster_passage.c: what passes, and as what · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/cluster.h"
#include "proxy/gossip/message_addresses.h"
#include "proxy/gossip/message_unwrap.h"

enum { PROVEN_RECENTLY_S = 60, EXPLAINED_BYTES_MAX = 16 * 1024 };

static slice slice_of_bytes(struct bytes bytes)
{
    return (slice){(const char *)bytes.at, bytes.len};
}

/* ---- the map of mode relay ---- */

static bool is_mapped(void *self, slice ip, uint16_t port)
{
    const struct cluster *cluster = self;
    struct endpoint endpoint;
    return endpoint_from_ip(&endpoint, ip.at, ip.len, port) &&
           member_map_for(&cluster->members, &endpoint) != NULL;
}

/* A node that learned the address of another would dial it by itself, in plaintext. */
static bool stays_in_map(struct cluster *cluster, struct peer *peer,
                         enum cluster_direction direction, const char *transport,
                         struct bytes message)
{
    if (cluster->settings->mode != CONFIG_GOSSIP_RELAY) {
        return true;
    }
    enum status status = message_addresses(slice_of_bytes(message), is_mapped, cluster);
    if (status == STATUS_OK) {
        return true;
    }
    if (status == STATUS_REFUSED) {
        return cluster_complain(cluster, peer, direction, transport, PEER_UNMAPPED,
                                "the message names an address that is not in the map: whoever "
                                "learned it would be dialled in plaintext");
    }
    return cluster_complain(cluster, peer, direction, transport, PEER_MALFORMED,
                            "the message cannot be understood, so the addresses in it cannot be "
                            "checked");
}

/* ---- labels ---- */

static bool is_last_seen(const struct cluster *cluster, struct bytes label)
{
    return label.len == cluster->label_len &&
           (label.len == 0 || memcmp(label.at, cluster->label, label.len) == 0);
}

bool cluster_knows_label(const struct cluster *cluster, struct bytes label)
{
    return cluster->settings->label == NULL || is_last_seen(cluster, label);
}

/* Unless the settings name it, the label is the node's; that of others is authenticated with what
 * it comes with, and the node's to judge. */
bool cluster_take_label(struct cluster *cluster, enum cluster_direction direction,
                        struct bytes label)
{
    if (!cluster_knows_label(cluster, label)) {
        return false;
    }
    if (direction == CLUSTER_OUT && !is_last_seen(cluster, label)) {
        if (label.len > 0) {
            memcpy(cluster->label, label.at, label.len);
        }
        cluster->label_len = label.len;
    }
    return true;
}

static bool take_packet_label(struct cluster *cluster, struct peer *peer,
                              enum cluster_direction direction, struct cluster_packet *packet,
                              struct bytes *label)
{
    struct bytes rest = {packet->at, packet->len};
    enum gossip_refusal refusal = gossip_label_take(&rest, label);
    if (refusal != GOSSIP_FINE) {
        return cluster_refuse(cluster, peer, direction, "udp", refusal);
    }
    if (!cluster_take_label(cluster, direction, *label)) {
        return cluster_refuse(cluster, peer, direction, "udp", GOSSIP_OTHER_LABEL);
    }
    packet->at += packet->len - rest.len;
    packet->len = rest.len;
    return true;
}

/* Puts the header again before what the packet has become. The label may overlap with where it
 * goes. */
static void put_packet_label(struct cluster_packet *packet, struct bytes label, uint8_t *room)
{
    if (label.len == 0) {
        return;
    }
    uint8_t copy[GOSSIP_LABEL_BYTES_MAX];
    memcpy(copy, label.at, label.len);
    size_t len = gossip_label_put(room, (struct bytes){copy, label.len});
    packet->at = room;
    packet->len += len;
}

static size_t header_bytes(struct bytes label)
{
    return label.len == 0 ? 0 : GOSSIP_LABEL_HEAD_BYTES + label.len;
}

/* ---- packets ---- */

/* In plaintext a packet begins with the type of its message, under which the encrypted ones begin
 * with their version; so only a packet that is understood as a whole is called plaintext. Where
 * that is only to explain a refusal, strangers cannot make us unpack more than a node packs. */
static bool is_plaintext(const struct cluster *cluster, struct bytes packet)
{
    size_t room = cluster->settings->takes_plaintext ? (size_t)MESSAGE_UNPACKED_BYTES_MAX
                                                     : (size_t)EXPLAINED_BYTES_MAX;
    return packet.len > 0 && message_is_understood(slice_of_bytes(packet), room);
}

static bool may_be_tried(struct cluster *cluster, const struct peer *peer)
{
    return peer->proven_s >= cluster->now_s - PROVEN_RECENTLY_S || cluster->trials > 0;
}

/* Says what is known of why nothing fits. */
static enum gossip_refusal explain(const struct cluster *cluster, enum gossip_refusal refusal,
                                   struct bytes packet, struct bytes label)
{
    if (refusal != GOSSIP_NO_KEY && refusal != GOSSIP_VERSION && refusal != GOSSIP_SHORT) {
        return refusal;
    }
    if (is_plaintext(cluster, packet)) {
        return GOSSIP_PLAINTEXT;
    }
    return refusal == GOSSIP_NO_KEY && !is_last_seen(cluster, label) ? GOSSIP_OTHER_LABEL : refusal;
}

static bool refuse_packet(struct cluster *cluster, struct peer *peer, enum gossip_refusal refusal,
                          struct bytes packet, struct bytes label)
{
    refusal = explain(cluster, refusal, packet, label);
    if (refusal == GOSSIP_PLAINTEXT && cluster->settings->takes_plaintext) {
        return cluster_pass_message(cluster, peer, CLUSTER_IN, "udp", packet);
    }
    cluster->trials -= cluster->trials > 0;
    return cluster_refuse(cluster, peer, CLUSTER_IN, "udp", refusal);
}

/* What came before is dropped; so is what we have sealed ourselves, thrown back at us. */
static bool is_new(struct cluster *cluster, struct peer *peer, const uint8_t *nonce,
                   const char *transport)
{
    if (replay_window_add(&cluster->window, nonce)) {
        return true;
    }
    return cluster_complain(cluster, peer, CLUSTER_IN, transport, PEER_REPLAYED,
                            "it was seen before: recorded and sent again, or doubled on the way");
}

bool cluster_open_packet(struct cluster *cluster, struct peer *peer, struct cluster_packet *packet)
{
    struct bytes label = {0};
    struct bytes plain = {0};
    size_t key = 0;
    if (!take_packet_label(cluster, peer, CLUSTER_IN, packet, &label)) {
        return false;
    }
    if (!may_be_tried(cluster, peer)) {
        return cluster_complain(cluster, peer, CLUSTER_IN, "udp", PEER_THROTTLED,
                                "too many packets of strangers that no key fits");
    }
    if (packet->len >= GOSSIP_HEAD_BYTES) {
        replay_window_expect(&cluster->window, gossip_nonce(packet->at));
    }
    enum gossip_refusal refusal =
        gossip_packet_open(cluster->cipher, label, packet->at, packet->len, &plain, &key);
    if (refusal != GOSSIP_FINE) {
        if (!refuse_packet(cluster, peer, refusal, (struct bytes){packet->at, packet->len},
                           label)) {
            return false;
        }
        packet->at -= header_bytes(label); /* plaintext, which is taken: as it came */
        packet->len += header_bytes(label);
        return true;
    }
    if (!is_new(cluster, peer, gossip_nonce(packet->at), "udp")) {
        return false;
    }
    peer_table_prove(cluster->peers, peer, key, cluster->now_s);
    if (!stays_in_map(cluster, peer, CLUSTER_IN, "udp", plain)) {
        return false;
    }
    packet->at += plain.at - packet->at;
    packet->len = plain.len;
    put_packet_label(packet, label, packet->at - header_bytes(label));
    return true;
}

bool cluster_seal_packet(struct cluster *cluster, struct peer *peer, struct cluster_packet *packet)
{
    struct bytes label = {0};
    if (!take_packet_label(cluster, peer, CLUSTER_OUT, packet, &label)) {
        return false;
    }
    const struct bytes message = {packet->at, packet->len};
    if (cluster->settings->sends_plaintext) {
        packet->at -= header_bytes(label);
        packet->len += header_bytes(label);
        return cluster_pass_message(cluster, peer, CLUSTER_OUT, "udp", message);
    }
    if (!stays_in_map(cluster, peer, CLUSTER_OUT, "udp", message)) {
        return false;
    }
    uint8_t *room = packet->at - GOSSIP_HEAD_BYTES;
    struct cluster_packet sealed = {room, 0};
    put_packet_label(&sealed, label, room - header_bytes(label));
    struct bytes moved = {sealed.at + GOSSIP_LABEL_HEAD_BYTES, label.len};
    size_t len = 0;
    enum gossip_refusal refusal = gossip_packet_seal(cluster->cipher, cluster->settings->version,
                                                     moved, room, message.len, &len);
    if (refusal == GOSSIP_FINE && header_bytes(label) + len > GOSSIP_PACKET_BYTES_MAX) {
        refusal = GOSSIP_LONG;
    }
    if (refusal != GOSSIP_FINE) {
        return cluster_refuse(cluster, peer, CLUSTER_OUT, "udp", refusal);
    }
    replay_window_remember(&cluster->window, gossip_nonce(room));
    peer_table_sealed(cluster->peers, peer);
    *packet = (struct cluster_packet){sealed.at, sealed.len + len};
    return true;
}

/* ---- messages of streams ---- */

bool cluster_seal_message(struct cluster *cluster, struct peer *peer, struct bytes label,
                          uint8_t *room, size_t len, size_t *frame_len)
{
    enum { BEFORE = GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES };
    if (!stays_in_map(cluster, peer, CLUSTER_OUT, "tcp", (struct bytes){room + BEFORE, len})) {
        return false;
    }
    enum gossip_refusal refusal =
        gossip_frame_seal(cluster->cipher, cluster->settings->version, label, room, len, frame_len);
    if (refusal != GOSSIP_FINE) {
        return cluster_refuse(cluster, peer, CLUSTER_OUT, "tcp", refusal);
    }
    replay_window_remember(&cluster->window, gossip_nonce(room + GOSSIP_FRAME_HEAD_BYTES));
    peer_table_sealed(cluster->peers, peer);
    return true;
}

bool cluster_open_frame(struct cluster *cluster, struct peer *peer, struct bytes label,
                        uint8_t *frame, size_t len, struct bytes *message)
{
    size_t key = 0;
    if (!may_be_tried(cluster, peer)) {
        return cluster_complain(cluster, peer, CLUSTER_IN, "tcp", PEER_THROTTLED,
                                "too many frames of strangers that no key fits");
    }
    enum gossip_refusal refusal =
        gossip_frame_open(cluster->cipher, label, frame, len, message, &key);
    if (refusal != GOSSIP_FINE) {
        cluster->trials -= cluster->trials > 0;
        refusal = explain(cluster, refusal, (struct bytes){0}, label);
        return cluster_refuse(cluster, peer, CLUSTER_IN, "tcp", refusal);
    }
    if (!is_new(cluster, peer, gossip_nonce(frame + GOSSIP_FRAME_HEAD_BYTES), "tcp")) {
        return false;
    }
    peer_table_prove(cluster->peers, peer, key, cluster->now_s);
    return stays_in_map(cluster, peer, CLUSTER_IN, "tcp", *message);
}

bool cluster_pass_message(struct cluster *cluster, struct peer *peer,
                          enum cluster_direction direction, const char *transport,
                          struct bytes message)
{
    if (!stays_in_map(cluster, peer, direction, transport, message)) {
        return false;
    }
    peer_count(peer, direction == CLUSTER_IN ? PEER_CLEAR_IN : PEER_CLEAR_OUT);
    return true;
}
