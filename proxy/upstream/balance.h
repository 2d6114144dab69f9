/* proxy/upstream/balance.h
 *
 * Which server of a backend takes the next request? Decided from plain numbers that the caller
 * keeps for each server, so that the choice can be tested without a socket.
 *
 * A server that failed is left alone until its time is over, unless all others are worse: when
 * every server has failed, the one whose time ends first is tried, since an answer may come and a
 * refusal certainly does not help.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"

enum { BALANCE_NONE = -1, BALANCE_SERVERS_MAX = 64 };

/* Of one server, in this worker. */
struct balance_server {
    uint32_t in_flight;       /* requests on the way, or waiting for a conn */
    uint32_t limit;           /* most in flight at once; 0: no limit */
    uint64_t failed_until_us; /* monotonic; 0: it has not failed */
};

/* Of one backend, in this worker. Zero is a valid start. */
struct balance {
    enum config_balance kind;
    uint32_t next; /* where the next search begins */
};

/* Servers that this request tried already, by index. */
typedef uint64_t balance_tried;

static inline balance_tried balance_mark(balance_tried tried, int server)
{
    return tried | (UINT64_C(1) << server);
}

/* The index of a server that this request has not tried and that is below its limit; or
 * BALANCE_NONE. `count` at most BALANCE_SERVERS_MAX. */
int balance_choose(struct balance *balance, const struct balance_server *servers, size_t count,
                   balance_tried tried, uint64_t now_us);

/* True when BALANCE_NONE means "all are at their limit" rather than "all were tried". */
bool balance_is_busy(const struct balance_server *servers, size_t count, balance_tried tried);
