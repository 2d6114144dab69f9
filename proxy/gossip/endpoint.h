/* proxy/gossip/endpoint.h
 *
 * An IP address with a port, of either family in one form: IPv4 is held as IPv4-mapped IPv6
 * (RFC 4291 §2.5.5.2), so that one comparison and one hash serve both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "config/model.h"

enum { ENDPOINT_TEXT_BYTES = 56 }; /* "[IPv6]:65535" and NUL */

struct endpoint {
    uint8_t ip[16];
    uint16_t port; /* host order */
};

static inline bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static inline bool endpoint_same_ip(const struct endpoint *a, const struct endpoint *b)
{
    return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool endpoint_is_ip4(const struct endpoint *endpoint);

/* False: of another family; the endpoint is then all zero. */
bool endpoint_from_sockaddr(struct endpoint *endpoint, const struct sockaddr *address);

/* Of 4 or 16 bytes. False: of another length. */
bool endpoint_from_ip(struct endpoint *endpoint, const void *ip, size_t len, uint16_t port);

/* An address of the configuration that has an IP. */
void endpoint_from_config(struct endpoint *endpoint, const struct config_address *address);

/* Writes the socket address and returns its length. */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *address);

/* "10.0.0.6:7946" or "[fd00::6]:7946". */
void endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES]);
