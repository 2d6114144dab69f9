/* proxy/route/cidr.h
 *
 * Is this address inside one of these networks? Every address is held as 16 bytes, IPv4 as
 * IPv4-mapped IPv6 (RFC 4291 §2.5.5.2), so a dual-stack listener and an IPv4 one agree about the
 * same client.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"
#include "proxy/base/slice.h"

struct sockaddr;
struct sockaddr_storage;

struct cidr_address {
    uint8_t ip[16];
};

/* Longest text of an address: an IPv6 one with an embedded IPv4 part. */
enum { CIDR_TEXT_BYTES = 46 };

/* False: neither IPv4 nor IPv6 (a unix socket has no address, so it is in no network). */
bool cidr_address_of(const struct sockaddr *from, struct cidr_address *out);

/* The other way: an IPv4-mapped address becomes AF_INET. */
void cidr_address_to(const struct cidr_address *address, uint16_t port,
                     struct sockaddr_storage *out);

/* Reads "192.0.2.1" or "2001:db8::1", without brackets, port or zone. */
bool cidr_parse(slice text, struct cidr_address *out);

/* Writes the address as a person would: an IPv4-mapped one as IPv4. `out` has room for
 * CIDR_TEXT_BYTES. Returns the slice of `out`; empty when the system refuses. */
slice cidr_write(const struct cidr_address *address, char *out);

bool cidr_has(const struct config_network *network, const struct cidr_address *address);
bool cidr_any_has(const struct config_network *networks, size_t count,
                  const struct cidr_address *address);

/* 127.0.0.0/8 and ::1. */
bool cidr_is_loopback(const struct cidr_address *address);
