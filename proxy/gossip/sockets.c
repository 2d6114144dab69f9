/* proxy/gossip/sockets.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BACKLOG = 512,
    RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024, /* as much of it as the system allows */
    TRANSPARENT_SOCKETS = 4,                /* two families and transports */
    /* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST, whose headers clash with netinet/in.h. */
    ORIGINAL_DESTINATION = 80,
};

static bool switch_on(int descriptor, int level, int option)
{
    static const int ON = 1;
    return setsockopt(descriptor, level, option, &ON, sizeof(ON)) == 0;
}

/* A wildcard socket of one family: the other one has a socket of its own. */
static bool set_transparent(int descriptor, int family, enum gossip_transport transport)
{
    if (family == AF_INET6 && !switch_on(descriptor, SOL_IPV6, IPV6_V6ONLY)) {
        return false;
    }
    if (transport == GOSSIP_TCP) {
        return true; /* redirected by address translation: nothing else is needed */
    }
    return family == AF_INET ? switch_on(descriptor, SOL_IP, IP_TRANSPARENT) &&
                                   switch_on(descriptor, SOL_IP, IP_RECVORIGDSTADDR) &&
                                   switch_on(descriptor, SOL_IP, IP_PKTINFO)
                             : switch_on(descriptor, SOL_IPV6, IPV6_TRANSPARENT) &&
                                   switch_on(descriptor, SOL_IPV6, IPV6_RECVORIGDSTADDR) &&
                                   switch_on(descriptor, SOL_IPV6, IPV6_RECVPKTINFO);
}

/* As the node's own packets: fragmented on the way rather than refused. */
static void set_udp(int descriptor, int family)
{
    static const int BUFFER = RECEIVE_BUFFER_BYTES;
    static const int IP4_DISCOVERY = IP_PMTUDISC_DONT;
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &BUFFER, sizeof(BUFFER));
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &BUFFER, sizeof(BUFFER));
    if (family == AF_INET) {
        (void)setsockopt(descriptor, SOL_IP, IP_MTU_DISCOVER, &IP4_DISCOVERY,
                         sizeof(IP4_DISCOVERY));
    }
}

static int open_socket(const struct endpoint *at, enum gossip_transport transport,
                       bool is_transparent)
{
    struct sockaddr_storage address;
    socklen_t len = endpoint_to_sockaddr(at, &address);
    int family = address.ss_family;
    int type = transport == GOSSIP_UDP ? SOCK_DGRAM : SOCK_STREAM;
    int descriptor = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -1;
    }
    if (transport == GOSSIP_UDP) {
        set_udp(descriptor, family);
    }
    bool is_open = (transport == GOSSIP_UDP || switch_on(descriptor, SOL_SOCKET, SO_REUSEADDR)) &&
                   (!is_transparent || set_transparent(descriptor, family, transport)) &&
                   bind(descriptor, (const struct sockaddr *)&address, len) == 0 &&
                   (transport == GOSSIP_UDP || listen(descriptor, BACKLOG) == 0);
    if (!is_open) {
        int why = errno;
        (void)close(descriptor);
        errno = why;
        return -1;
    }
    return descriptor;
}

static enum status add(struct gossip_sockets *sockets, enum gossip_transport transport,
                       const struct config_gossip_peer *member, const struct endpoint *at,
                       bool is_transparent)
{
    struct gossip_socket *socket = &sockets->at[sockets->count];
    *socket = (struct gossip_socket){.descriptor = open_socket(at, transport, is_transparent),
                                     .transport = transport,
                                     .member = member};
    if (socket->descriptor < 0) {
        return STATUS_SYS;
    }
    sockets->count++;
    return STATUS_OK;
}

static enum status add_both(struct gossip_sockets *sockets, const struct config_gossip_peer *member,
                            const struct endpoint *at, bool is_transparent)
{
    enum status status = add(sockets, GOSSIP_UDP, member, at, is_transparent);
    return status == STATUS_OK ? add(sockets, GOSSIP_TCP, member, at, is_transparent) : status;
}

/* ---- mode transparent ---- */

static enum status open_family(struct gossip_sockets *sockets, const struct config_gossip *settings,
                               size_t ip_bytes, struct endpoint *what)
{
    static const uint8_t ANY[16] = {0};
    (void)endpoint_from_ip(what, ANY, ip_bytes, settings->own_port);
    return add_both(sockets, NULL, what, true);
}

static enum status open_transparent(struct gossip_sockets *sockets,
                                    const struct config_gossip *settings, struct endpoint *what)
{
    enum status status = open_family(sockets, settings, 4, what);
    if (status != STATUS_OK) {
        return status;
    }
    status = open_family(sockets, settings, 16, what);
    /* A system without IPv6 has no IPv6 gossip either. */
    return status != STATUS_OK && errno == EAFNOSUPPORT ? STATUS_OK : status;
}

/* ---- mode relay ---- */

static enum status open_relay(struct gossip_sockets *sockets, const struct config_gossip *settings,
                              struct endpoint *what)
{
    endpoint_from_config(what, &settings->node.address);
    enum status status = add_both(sockets, NULL, what, false);
    for (size_t i = 0; i < settings->peer_count && status == STATUS_OK; i++) {
        endpoint_from_config(what, &settings->peers[i].stand_in);
        status = add_both(sockets, &settings->peers[i], what, false);
    }
    return status;
}

enum status gossip_sockets_open(struct gossip_sockets *sockets,
                                const struct config_gossip *settings, struct endpoint *what)
{
    bool is_relay = settings->mode == CONFIG_GOSSIP_RELAY;
    size_t most = is_relay ? 2 * (settings->peer_count + 1) : TRANSPARENT_SOCKETS;
    *sockets = (struct gossip_sockets){.at = calloc(most, sizeof(*sockets->at))};
    *what = (struct endpoint){.port = 0};
    if (sockets->at == NULL) {
        return STATUS_NOMEM;
    }
    enum status status =
        is_relay ? open_relay(sockets, settings, what) : open_transparent(sockets, settings, what);
    if (status != STATUS_OK) {
        int why = errno;
        gossip_sockets_close(sockets);
        errno = why;
    }
    return status;
}

void gossip_sockets_close(struct gossip_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        (void)close(sockets->at[i].descriptor);
    }
    free(sockets->at);
    *sockets = (struct gossip_sockets){.at = NULL};
}

/* ---- destinations ---- */

static bool is_loopback(const struct endpoint *endpoint)
{
    static const uint8_t LOOPBACK_IP6[16] = {[15] = 1};
    return endpoint_is_ip4(endpoint)
               ? endpoint->ip[12] == 127
               : memcmp(endpoint->ip, LOOPBACK_IP6, sizeof(LOOPBACK_IP6)) == 0;
}

bool gossip_original_destination(int descriptor, struct endpoint *destination,
                                 enum cluster_direction *direction)
{
    struct sockaddr_storage own;
    struct sockaddr_storage original = {.ss_family = AF_UNSPEC};
    socklen_t own_len = sizeof(own);
    socklen_t len = sizeof(original);
    if (getsockname(descriptor, (struct sockaddr *)&own, &own_len) != 0) {
        return false;
    }
    int status = own.ss_family == AF_INET
                     ? getsockopt(descriptor, SOL_IP, ORIGINAL_DESTINATION, &original, &len)
                     : getsockopt(descriptor, SOL_IPV6, ORIGINAL_DESTINATION, &original, &len);
    struct endpoint ours;
    if (status != 0 || !endpoint_from_sockaddr(destination, (const struct sockaddr *)&original) ||
        !endpoint_from_sockaddr(&ours, (const struct sockaddr *)&own)) {
        return false;
    }
    *direction = is_loopback(&ours) ? CLUSTER_OUT : CLUSTER_IN;
    return destination->port != ours.port;
}
