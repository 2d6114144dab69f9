/* config/address.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/address.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t MAPPED_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t ZERO[16];

static bool ip6_is_loopback(const uint8_t ip[16])
{
    if (memcmp(ip, MAPPED_PREFIX, sizeof(MAPPED_PREFIX)) == 0) {
        return ip[12] == 127;
    }
    return memcmp(ip, ZERO, 15) == 0 && ip[15] == 1;
}

bool address_is_loopback(const struct config_address *address)
{
    switch (address->kind) {
    case CONFIG_ADDRESS_IP4:
        return address->ip[0] == 127;
    case CONFIG_ADDRESS_IP6:
        return ip6_is_loopback(address->ip);
    case CONFIG_ADDRESS_UNIX:
    case CONFIG_ADDRESS_NONE:
        break;
    }
    return true;
}

bool server_is_loopback(const struct config_server *server)
{
    if (server->unix_path != NULL) {
        return true;
    }
    if (server->host == NULL) {
        return false;
    }
    uint8_t ip[16];
    if (inet_pton(AF_INET, server->host, ip) == 1) {
        return ip[0] == 127;
    }
    if (inet_pton(AF_INET6, server->host, ip) == 1) {
        return ip6_is_loopback(ip);
    }
    return strcmp(server->host, "localhost") == 0;
}

/* The address as IPv6, IPv4 mapped. */
static void as_ip6(const struct config_address *address, uint8_t ip[16])
{
    if (address->kind == CONFIG_ADDRESS_IP6) {
        memcpy(ip, address->ip, 16);
        return;
    }
    memcpy(ip, MAPPED_PREFIX, sizeof(MAPPED_PREFIX));
    memcpy(ip + 12, address->ip, 4);
}

static bool is_wildcard(const struct config_address *address)
{
    return memcmp(address->ip, ZERO, address->kind == CONFIG_ADDRESS_IP4 ? 4 : 16) == 0;
}

/* [::] covers both families; 0.0.0.0 covers IPv4 only. */
static bool covers(const struct config_address *wide, const struct config_address *other)
{
    return is_wildcard(wide) && (wide->kind == CONFIG_ADDRESS_IP6 || other->kind == wide->kind);
}

bool address_clashes(const struct config_address *a, const struct config_address *b)
{
    if (a->kind == CONFIG_ADDRESS_NONE || b->kind == CONFIG_ADDRESS_NONE) {
        return false;
    }
    if (a->kind == CONFIG_ADDRESS_UNIX || b->kind == CONFIG_ADDRESS_UNIX) {
        return a->kind == b->kind && a->path != NULL && b->path != NULL &&
               strcmp(a->path, b->path) == 0;
    }
    if (a->port == 0 || a->port != b->port) {
        return false;
    }
    uint8_t a_ip[16];
    uint8_t b_ip[16];
    as_ip6(a, a_ip);
    as_ip6(b, b_ip);
    return memcmp(a_ip, b_ip, sizeof(a_ip)) == 0 || covers(a, b) || covers(b, a);
}

bool address_is_same(const struct config_address *a, const struct config_address *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    if (a->kind == CONFIG_ADDRESS_UNIX) {
        return strcmp(a->path, b->path) == 0;
    }
    size_t len = a->kind == CONFIG_ADDRESS_IP4 ? 4 : sizeof(a->ip);
    return a->port == b->port && memcmp(a->ip, b->ip, len) == 0;
}

bool config_listens_at(const struct config *config, const struct config_address *address)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        for (size_t j = 0; j < listener->address_count; j++) {
            if (address_is_same(&listener->addresses[j], address)) {
                return true;
            }
        }
    }
    return false;
}

bool network_contains(const struct config_network *network, const uint8_t ip[16])
{
    unsigned whole = network->prefix_bits / 8;
    unsigned rest = network->prefix_bits % 8;
    if (memcmp(network->ip, ip, whole) != 0) {
        return false;
    }
    return rest == 0 || ((network->ip[whole] ^ ip[whole]) & (0xff00U >> rest) & 0xffU) == 0;
}
