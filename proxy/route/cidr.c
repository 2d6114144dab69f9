/* proxy/route/cidr.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { MAPPED_PREFIX_BYTES = 12 };

static const uint8_t mapped_prefix[MAPPED_PREFIX_BYTES] = {0, 0, 0, 0, 0,    0,
                                                           0, 0, 0, 0, 0xff, 0xff};

static void set_ip4(struct cidr_address *out, const void *ip4)
{
    memcpy(out->ip, mapped_prefix, sizeof(mapped_prefix));
    memcpy(out->ip + MAPPED_PREFIX_BYTES, ip4, 4);
}

static bool is_ip4(const struct cidr_address *address)
{
    return memcmp(address->ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool cidr_address_of(const struct sockaddr *from, struct cidr_address *out)
{
    if (from->sa_family == AF_INET) {
        struct sockaddr_in ip4;
        memcpy(&ip4, from, sizeof(ip4));
        set_ip4(out, &ip4.sin_addr);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 ip6;
        memcpy(&ip6, from, sizeof(ip6));
        memcpy(out->ip, &ip6.sin6_addr, sizeof(out->ip));
        return true;
    }
    return false;
}

void cidr_address_to(const struct cidr_address *address, uint16_t port,
                     struct sockaddr_storage *out)
{
    struct in6_addr ip6;
    memcpy(&ip6, address->ip, sizeof(ip6));
    memset(out, 0, sizeof(*out));
    if (IN6_IS_ADDR_V4MAPPED(&ip6)) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, address->ip + 12, sizeof(in->sin_addr));
        return;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    in6->sin6_addr = ip6;
}

bool cidr_parse(slice text, struct cidr_address *out)
{
    char copy[CIDR_TEXT_BYTES];
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.at, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    uint8_t ip4[4];
    if (inet_pton(AF_INET, copy, ip4) == 1) {
        set_ip4(out, ip4);
        return true;
    }
    return inet_pton(AF_INET6, copy, out->ip) == 1;
}

slice cidr_write(const struct cidr_address *address, char *out)
{
    bool ip4 = is_ip4(address);
    const void *bytes = ip4 ? address->ip + MAPPED_PREFIX_BYTES : address->ip;
    const char *text = inet_ntop(ip4 ? AF_INET : AF_INET6, bytes, out, CIDR_TEXT_BYTES);
    return text != NULL ? slice_of(text) : (slice){out, 0};
}

bool cidr_has(const struct config_network *network, const struct cidr_address *address)
{
    unsigned whole = network->prefix_bits / 8;
    unsigned rest = network->prefix_bits % 8;
    if (memcmp(network->ip, address->ip, whole) != 0) {
        return false;
    }
    return rest == 0 || (network->ip[whole] ^ address->ip[whole]) >> (8 - rest) == 0;
}

bool cidr_any_has(const struct config_network *networks, size_t count,
                  const struct cidr_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (cidr_has(&networks[i], address)) {
            return true;
        }
    }
    return false;
}

bool cidr_is_loopback(const struct cidr_address *address)
{
    if (is_ip4(address)) {
        return address->ip[MAPPED_PREFIX_BYTES] == 127;
    }
    return memcmp(address->ip, &in6addr_loopback, sizeof(address->ip)) == 0;
}
