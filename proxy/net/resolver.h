/* proxy/net/resolver.h
 *
 * Names to addresses without blocking the loop: the hosts file first, then DNS (A and AAAA), with
 * the time to live that the answer came with.
 *
 * It asks by itself instead of through libevent's evdns, because that gives up on truncated
 * answers, asks name servers in turn instead of in their order, searches domains for A and AAAA
 * apart (so that one lookup may mix the addresses of two names), and probes a silent server with a
 * name that nobody asked for.
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
    uint64_t ttl_ms; /* at least a second, at most a day; without addresses, when to ask again */
};

struct resolver;

/* Where the system's answers come from. */
struct resolver_sources {
    const char *resolv_conf; /* paths */
    const char *hosts;
    uint16_t port; /* of the name servers */
};

/* Reads the system's name servers and hosts file now, while the process can; later changes of the
 * files are not seen. NULL: no memory. */
struct resolver *resolver_new(struct loop *loop);
struct resolver *resolver_new_with(struct loop *loop, const struct resolver_sources *sources);

/* Lookups under way are cancelled. NULL is fine. */
void resolver_free(struct resolver *resolver);

struct lookup;

/* Begins. on_done is called once, always later from the loop; `resolved` is valid for the call and
 * its count is 0 when the name has no address or nobody answered in `limit_ms`. A name without
 * dots is looked for in the system's search domains; an IP address is its own answer. NULL: no
 * memory. */
struct lookup *resolver_lookup(struct resolver *resolver, const char *name, uint64_t limit_ms,
                               void (*on_done)(void *self, const struct resolved *resolved),
                               void *self);

/* on_done will not be called. NULL is fine. */
void lookup_cancel(struct lookup *lookup);
