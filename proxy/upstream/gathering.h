/* proxy/upstream/gathering.h
 *
 * A dial, and the exchanges that wait for what comes of it. Where conns are shared, exchanges that
 * come while one is dialled wait for the same, so that a burst opens few conns and not one each.
 *
 * Owner: its server's list; it is gone when everybody who waited was told, or has left.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/upstream/server.h"

struct gathering;
struct proxy_protocol;

/* What an exchange needs of a conn. */
struct conn_need {
    const struct proxy_protocol *client; /* whom a PROXY header names; NULL: no header */
    bool is_tunnel;
};

/* One exchange's place; embedded. Zero is a valid start. Fields private to gathering.c. */
struct waiter {
    struct list_link link;
    struct gathering *gathering; /* NULL: waits for nothing */
    struct conn_need need;
    void (*on_done)(void *self, struct requester *requester, enum fault_code fault);
    void *self;
};

/* Joins a dial that is under way, or begins one. on_done is called later, with a requester or the
 * reason. STATUS_NOMEM: it will not be. `need` stays valid until then. */
MUST_CHECK enum status gathering_join(
    struct server *server, struct waiter *waiter, const struct conn_need *need,
    void (*on_done)(void *self, struct requester *requester, enum fault_code fault), void *self);

/* Leaves; the dial ends with the last one. Harmless for one who waits for nothing. */
void gathering_leave(struct waiter *waiter);
