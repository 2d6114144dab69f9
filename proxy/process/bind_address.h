/* proxy/process/bind_address.h
 *
 * An IP address with a port as the socket calls want it, and TCP sockets bound to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "config/model.h"
#include "proxy/base/status.h"

struct bind_address {
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
    };
    socklen_t len;
};

/* Of an address that is not a unix path. */
struct bind_address bind_address_of(const struct config_address *address);

/* "127.0.0.1:443", "[::]:443" */
void bind_address_format(const struct bind_address *address, char *text, size_t size);

/* Whether somebody listens there already, which errno tells (EADDRINUSE). Port 0 becomes the one
 * that the kernel chooses, and [::] becomes 0.0.0.0 where there is no IPv6. */
MUST_CHECK enum status bind_address_probe(struct bind_address *address);

/* A listening socket that shares the address with others of ours (SO_REUSEPORT), non-blocking and
 * close-on-exec. -1 with errno: it cannot be. */
int bind_address_listen(const struct bind_address *address, uint64_t dead_peer_ms);
