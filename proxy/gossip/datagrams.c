/* proxy/gossip/datagrams.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/gossip/datagram_batch.h"
#include "proxy/gossip/intercept_rules.h"
#include "proxy/gossip/raw_sender.h"

enum {
    BATCHES_PER_TURN = 8, /* then the streams and the master have their turn */
    PATH_ASKED_AT = 1200, /* smaller packets fit any path (RFC 8200 §5: 1280 with headers) */
    PATH_ASKED_AGAIN_S = 60,
    PATH_UNKNOWN_BYTES = 1452, /* of an Ethernet, by IPv6 */
    HEADERS_IP4 = 28,
    HEADERS_IP6 = 48,
};

/* One socket with its watch. */
struct port {
    struct datagrams *datagrams;
    const struct gossip_socket *socket;
    struct watch watch;
};

struct datagrams {
    struct cluster *cluster;
    struct raw_sender *raw; /* transparent only */
    struct datagram_batch *batch;
    struct port *ports;
    size_t port_count;
};

/* ---- sizes ---- */

/* Asks the kernel's routes, which know what routers have said. Costs a few calls, once a minute and
 * peer, and only for those who send large packets. */
static uint16_t ask_path(const struct endpoint *peer)
{
    bool is_ip4 = endpoint_is_ip4(peer);
    struct sockaddr_storage address;
    socklen_t address_len = endpoint_to_sockaddr(peer, &address);
    int bytes = 0;
    socklen_t len = sizeof(bytes);
    int descriptor = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 &&
        connect(descriptor, (const struct sockaddr *)&address, address_len) == 0) {
        (void)getsockopt(descriptor, is_ip4 ? SOL_IP : SOL_IPV6, is_ip4 ? IP_MTU : IPV6_MTU, &bytes,
                         &len);
    }
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
    int headers = is_ip4 ? HEADERS_IP4 : HEADERS_IP6;
    bytes = bytes > 65535 + headers ? 65535 + headers : bytes;
    return bytes > headers ? (uint16_t)(bytes - headers) : PATH_UNKNOWN_BYTES;
}

static void count_oversize(struct datagrams *datagrams, struct peer *peer, size_t len)
{
    struct cluster *cluster = datagrams->cluster;
    if (len <= PATH_ASKED_AT || peer->endpoint.port == 0) {
        return;
    }
    if (peer->path_bytes == 0 || cluster->uptime_s - peer->path_asked_s >= PATH_ASKED_AGAIN_S) {
        peer->path_bytes = ask_path(&peer->endpoint);
        peer->path_asked_s = cluster->uptime_s;
    }
    if (len > peer->path_bytes) {
        (void)cluster_complain(cluster, peer, CLUSTER_OUT, "udp", PEER_OVERSIZE,
                               "the packet is larger than the path takes and leaves in fragments: "
                               "the node's UDPBufferSize should be 29 bytes less than without us");
    }
}

/* ---- mode transparent ---- */

static void on_unsent(void *self, void *owner)
{
    struct datagrams *datagrams = self;
    struct peer *peer = owner;
    (void)cluster_complain(datagrams->cluster, peer, CLUSTER_OUT, "udp", PEER_NOT_SENT,
                           "the system did not take a packet");
}

/* Sent with the addresses that it came with, but for what was done to the payload. */
static void pass_transparent(struct datagrams *datagrams, struct datagram *datagram)
{
    struct cluster *cluster = datagrams->cluster;
    bool is_out = datagram->is_from_here;
    if (!cluster_has_port(cluster, datagram->destination.port) &&
        !(is_out && cluster_has_port(cluster, datagram->source.port))) {
        return; /* sent to our own port: nobody's gossip */
    }
    struct peer *peer =
        peer_table_get(cluster->peers, is_out ? &datagram->destination : &datagram->source, is_out,
                       cluster->now_s);
    bool passes = is_out ? cluster_seal_packet(cluster, peer, &datagram->packet)
                         : cluster_open_packet(cluster, peer, &datagram->packet);
    if (!passes) {
        return;
    }
    if (is_out) {
        count_oversize(datagrams, peer, datagram->packet.len);
    }
    raw_sender_send(datagrams->raw,
                    &(struct raw_packet){
                        .source = datagram->source,
                        .destination = datagram->destination,
                        .payload = {(const char *)datagram->packet.at, datagram->packet.len},
                        .owner = peer,
                    });
}

/* ---- mode relay ---- */

/* The socket that speaks for a member towards our node; with NULL the one on our real address. */
static int socket_of(const struct datagrams *datagrams, const struct config_gossip_peer *member)
{
    for (size_t i = 0; i < datagrams->port_count; i++) {
        if (datagrams->ports[i].socket->member == member) {
            return datagrams->ports[i].socket->descriptor;
        }
    }
    return -1;
}

static void send_from(struct datagrams *datagrams, const struct config_gossip_peer *member,
                      const struct config_address *to, const struct datagram *datagram,
                      struct peer *peer)
{
    struct endpoint endpoint;
    struct sockaddr_storage address;
    endpoint_from_config(&endpoint, to);
    socklen_t len = endpoint_to_sockaddr(&endpoint, &address);
    if (sendto(socket_of(datagrams, member), datagram->packet.at, datagram->packet.len,
               MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address, len) < 0) {
        on_unsent(datagrams, peer);
    }
}

static void relay_out(struct datagrams *datagrams, const struct config_gossip_peer *member,
                      struct datagram *datagram)
{
    struct cluster *cluster = datagrams->cluster;
    struct endpoint node;
    struct endpoint real;
    endpoint_from_config(&node, &cluster->settings->node.stand_in);
    endpoint_from_config(&real, &member->address);
    struct peer *peer = peer_table_get(cluster->peers, &real, true, cluster->now_s);
    if (!endpoint_same_ip(&datagram->source, &node)) {
        (void)cluster_complain(cluster, peer, CLUSTER_OUT, "udp", PEER_UNMAPPED,
                               "it was not sent by our node, whose stand-in is another address");
        return;
    }
    if (cluster_seal_packet(cluster, peer, &datagram->packet)) {
        count_oversize(datagrams, peer, datagram->packet.len);
        send_from(datagrams, NULL, &member->address, datagram, peer);
    }
}

static void relay_in(struct datagrams *datagrams, struct datagram *datagram)
{
    struct cluster *cluster = datagrams->cluster;
    const struct config_gossip_peer *member = member_map_at(&cluster->members, &datagram->source);
    struct peer *peer = peer_table_get(cluster->peers, &datagram->source, false, cluster->now_s);
    if (member == NULL) {
        (void)cluster_complain(cluster, peer, CLUSTER_IN, "udp", PEER_UNMAPPED,
                               "it came from an address that is not in the map");
        return;
    }
    if (cluster_open_packet(cluster, peer, &datagram->packet)) {
        send_from(datagrams, member, &cluster->settings->node.stand_in, datagram, peer);
    }
}

/* ---- receiving ---- */

static void pass(struct datagrams *datagrams, const struct gossip_socket *socket,
                 struct datagram *datagram)
{
    if (datagrams->raw != NULL) {
        pass_transparent(datagrams, datagram);
    } else if (socket->member != NULL) {
        relay_out(datagrams, socket->member, datagram);
    } else {
        relay_in(datagrams, datagram);
    }
}

static void on_ready(void *self, unsigned events)
{
    (void)events;
    struct port *port = self;
    struct datagrams *datagrams = port->datagrams;
    cluster_tick(datagrams->cluster);
    for (int i = 0; i < BATCHES_PER_TURN; i++) {
        size_t count = datagram_batch_receive(datagrams->batch, port->socket->descriptor);
        for (size_t k = 0; k < count; k++) {
            pass(datagrams, port->socket, datagram_batch_at(datagrams->batch, k));
        }
        if (datagrams->raw != NULL) {
            raw_sender_flush(datagrams->raw);
        }
        if (count < DATAGRAM_BATCH) {
            return; /* watched by level: what is left tells again */
        }
    }
}

/* ---- life ---- */

static enum status open_ports(struct datagrams *datagrams, const struct gossip_sockets *sockets)
{
    datagrams->ports = calloc(sockets->count + 1, sizeof(*datagrams->ports));
    if (datagrams->ports == NULL) {
        return STATUS_NOMEM;
    }
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->at[i].transport != GOSSIP_UDP) {
            continue;
        }
        struct port *port = &datagrams->ports[datagrams->port_count];
        *port = (struct port){.datagrams = datagrams, .socket = &sockets->at[i]};
        enum status status = watch_open_level(&port->watch, datagrams->cluster->loop,
                                              port->socket->descriptor, WATCH_READ, on_ready, port);
        if (status != STATUS_OK) {
            return status;
        }
        datagrams->port_count++;
    }
    return STATUS_OK;
}

enum status datagrams_open(struct datagrams **out, struct cluster *cluster,
                           const struct gossip_sockets *sockets)
{
    struct datagrams *datagrams = calloc(1, sizeof(*datagrams));
    if (datagrams == NULL) {
        return STATUS_NOMEM;
    }
    datagrams->cluster = cluster;
    datagrams->batch = datagram_batch_new();
    enum status status = datagrams->batch == NULL ? STATUS_NOMEM : STATUS_OK;
    if (status == STATUS_OK && cluster->settings->mode == CONFIG_GOSSIP_TRANSPARENT) {
        status = raw_sender_open(&datagrams->raw, INTERCEPT_OWN_MARK, on_unsent, datagrams);
    }
    if (status == STATUS_OK) {
        status = open_ports(datagrams, sockets);
    }
    if (status != STATUS_OK) {
        int why = errno;
        datagrams_close(datagrams);
        errno = why;
        return status;
    }
    *out = datagrams;
    return STATUS_OK;
}

void datagrams_close(struct datagrams *datagrams)
{
    if (datagrams == NULL) {
        return;
    }
    for (size_t i = 0; i < datagrams->port_count; i++) {
        watch_close(&datagrams->ports[i].watch);
    }
    raw_sender_close(datagrams->raw);
    datagram_batch_free(datagrams->batch);
    free(datagrams->ports);
    free(datagrams);
}
