/* proxy/process/bind_address.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/bind_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/net/stream.h"

struct bind_address bind_address_of(const struct config_address *address)
{
    struct bind_address to = {0};
    if (address->kind == CONFIG_ADDRESS_IP4) {
        to.ip4.sin_family = AF_INET;
        to.ip4.sin_port = htons(address->port);
        memcpy(&to.ip4.sin_addr, address->ip, sizeof(to.ip4.sin_addr));
        to.len = sizeof(to.ip4);
        return to;
    }
    to.ip6.sin6_family = AF_INET6;
    to.ip6.sin6_port = htons(address->port);
    memcpy(&to.ip6.sin6_addr, address->ip, sizeof(to.ip6.sin6_addr));
    to.len = sizeof(to.ip6);
    return to;
}

void bind_address_format(const struct bind_address *address, char *text, size_t size)
{
    char ip[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &address->ip4.sin_addr, ip, sizeof(ip));
        (void)snprintf(text, size, "%s:%u", ip, (unsigned)ntohs(address->ip4.sin_port));
        return;
    }
    (void)inet_ntop(AF_INET6, &address->ip6.sin6_addr, ip, sizeof(ip));
    (void)snprintf(text, size, "[%s]:%u", ip, (unsigned)ntohs(address->ip6.sin6_port));
}

static void set_port(struct bind_address *address, in_port_t port)
{
    if (address->any.sa_family == AF_INET) {
        address->ip4.sin_port = port;
    } else {
        address->ip6.sin6_port = port;
    }
}

/* [::] on a machine without IPv6 means every address that there is. */
static struct bind_address without_ip6(const struct bind_address *address)
{
    struct bind_address to = {.len = sizeof(to.ip4)};
    to.ip4.sin_family = AF_INET;
    to.ip4.sin_port = address->ip6.sin6_port;
    return to;
}

static int close_keeping_errno(int descriptor)
{
    int saved = errno;
    (void)close(descriptor);
    errno = saved;
    return -1;
}

static int open_bound(const struct bind_address *address, bool is_shared)
{
    static const int ON = 1;
    static const int OFF = 0;
    int descriptor =
        socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (descriptor < 0) {
        return -1;
    }
    bool is_set =
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &ON, sizeof(ON)) == 0 &&
        (!is_shared || setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &ON, sizeof(ON)) == 0) &&
        (address->any.sa_family != AF_INET6 ||
         setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &OFF, sizeof(OFF)) == 0);
    if (!is_set || bind(descriptor, &address->any, address->len) != 0) {
        return close_keeping_errno(descriptor);
    }
    return descriptor;
}

/* SO_REUSEPORT lets a second instance of the same user share our port unseen and take half of the
 * conns. A socket without it finds out whether somebody listens there already; with port 0 it also
 * finds the port. */
enum status bind_address_probe(struct bind_address *address)
{
    int descriptor = open_bound(address, false);
    if (descriptor < 0 && errno == EAFNOSUPPORT && address->any.sa_family == AF_INET6 &&
        IN6_IS_ADDR_UNSPECIFIED(&address->ip6.sin6_addr)) {
        *address = without_ip6(address);
        descriptor = open_bound(address, false);
    }
    if (descriptor < 0) {
        return STATUS_SYS;
    }
    struct bind_address bound = {.len = sizeof(bound.ip6)};
    int got = getsockname(descriptor, &bound.any, &bound.len);
    in_port_t port = bound.any.sa_family == AF_INET ? bound.ip4.sin_port : bound.ip6.sin6_port;
    set_port(address, port);
    (void)close_keeping_errno(descriptor);
    return got == 0 ? STATUS_OK : STATUS_SYS;
}

int bind_address_listen(const struct bind_address *address, uint64_t dead_peer_ms)
{
    int descriptor = open_bound(address, true);
    if (descriptor < 0) {
        return -1;
    }
    /* Conns inherit them when the kernel accepts, which it does before any worker runs. */
    stream_set_tcp_options(descriptor, dead_peer_ms);
    return listen(descriptor, SOMAXCONN) == 0 ? descriptor : close_keeping_errno(descriptor);
}
