/* proxy/net/resolver.h
 *
 * Names to addresses without blocking the loop: the hosts file first, then DNS (A and AAAA), with
 * the time to live that the answer came with.
 *
 * Owner: the relay; one a loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/net/loop.h"

enum { RESOLVER_ADDRESSES_MAX = 16 };

/* Without ports. IPv6 first where both are there, in the order of the answer. */
struct resolved {
    struct sockaddr_storage at[RESOLVER_ADDRESSES_MAX];
    size_t count;
    uint64_t ttl_ms; /* at least a second, at most a day */
};

struct resolver;

/* Reads the system's name servers and hosts file now, while the process can. NULL: no memory. */
struct resolver *resolver_new(struct loop *loop);
void resolver_free(struct resolver *resolver);

struct lookup;

/* Begins. on_done is called once, always later from the loop; `resolved` is valid for the call and
 * its count is 0 when the name has no address or nobody answered in `limit_ms`. NULL: no memory. */
struct lookup *resolver_lookup(struct resolver *resolver, const char *name, uint64_t limit_ms,
                               void (*on_done)(void *self, const struct resolved *resolved),
                               void *self);

/* on_done will not be called. */
void lookup_cancel(struct lookup *lookup);
