/* proxy/gossip/endpoint.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};

bool endpoint_is_ip4(const struct endpoint *endpoint)
{
    return memcmp(endpoint->ip, MAPPED, sizeof(MAPPED)) == 0;
}

bool endpoint_from_ip(struct endpoint *endpoint, const void *ip, size_t len, uint16_t port)
{
    *endpoint = (struct endpoint){.port = port};
    if (len == 4) {
        memcpy(endpoint->ip, MAPPED, sizeof(MAPPED));
        memcpy(endpoint->ip + sizeof(MAPPED), ip, len);
        return true;
    }
    if (len == sizeof(endpoint->ip)) {
        memcpy(endpoint->ip, ip, len);
        return true;
    }
    return false;
}

bool endpoint_from_sockaddr(struct endpoint *endpoint, const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *ip4 = (const void *)address;
        return endpoint_from_ip(endpoint, &ip4->sin_addr, 4, ntohs(ip4->sin_port));
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *ip6 = (const void *)address;
        return endpoint_from_ip(endpoint, &ip6->sin6_addr, 16, ntohs(ip6->sin6_port));
    }
    *endpoint = (struct endpoint){.port = 0};
    return false;
}

void endpoint_from_config(struct endpoint *endpoint, const struct config_address *address)
{
    (void)endpoint_from_ip(endpoint, address->ip, address->kind == CONFIG_ADDRESS_IP4 ? 4 : 16,
                           address->port);
}

socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *address)
{
    *address = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (endpoint_is_ip4(endpoint)) {
        struct sockaddr_in *ip4 = (void *)address;
        ip4->sin_family = AF_INET;
        ip4->sin_port = htons(endpoint->port);
        memcpy(&ip4->sin_addr, endpoint->ip + sizeof(MAPPED), 4);
        return sizeof(*ip4);
    }
    struct sockaddr_in6 *ip6 = (void *)address;
    ip6->sin6_family = AF_INET6;
    ip6->sin6_port = htons(endpoint->port);
    memcpy(&ip6->sin6_addr, endpoint->ip, 16);
    return sizeof(*ip6);
}

void endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    bool is_ip4 = endpoint_is_ip4(endpoint);
    (void)inet_ntop(is_ip4 ? AF_INET : AF_INET6, endpoint->ip + (is_ip4 ? sizeof(MAPPED) : 0), ip,
                    sizeof(ip));
    (void)snprintf(text, ENDPOINT_TEXT_BYTES, is_ip4 ? "%s:%u" : "[%s]:%u", ip, endpoint->port);
}
