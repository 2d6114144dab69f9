/* proxy/upstream/backend.h
 *
 * A named set of servers that take each other's place. An exchange asks for a conn to any of them
 * and gets an idle one at once, or a new one later; a server that cannot be reached is passed over
 * for the next (nothing was sent yet, so any request may be tried elsewhere).
 *
 * Owner: the snapshot's upstream side (proxy/relay/).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/upstream/balance.h"
#include "proxy/upstream/gathering.h"
#include "proxy/upstream/server.h"

struct backend;

/* One exchange's need for a conn; embedded in its driver. Fields private to backend.c but for the
 * facts at the end. */
struct checkout {
    struct backend *backend;
    struct waiter waiter;
    struct conn_need need;
    balance_tried tried;
    int server; /* index, or BALANCE_NONE: none is held */
    void (*on_done)(void *self, struct requester *requester, enum fault_code fault);
    void *self;

    bool is_reused;      /* the conn was there already */
    unsigned retries;    /* servers passed over */
    uint64_t connect_us; /* how long the conn was waited for; 0 when reused */
    uint64_t wait_began_us;
    const char *server_url; /* of the last server tried; NULL: none */
};

/* `tls` has one entry a server (NULL for those without TLS), and so has `tls_tunnel` (NULL where
 * the same serves); borrowed. STATUS_NOMEM. */
MUST_CHECK enum status backend_new(struct backend **out, const struct upstream *upstream,
                                   const struct config_backend *config,
                                   struct tls_client *const *tls,
                                   struct tls_client *const *tls_tunnel);
void backend_free(struct backend *backend);

/* Starts with a zeroed checkout. STATUS_OK: *requester is ready now. STATUS_AGAIN: on_done will be
 * called. STATUS_REFUSED: *fault says why. What `need` points at is borrowed until then. */
MUST_CHECK enum status backend_take(
    struct backend *backend, struct checkout *checkout, const struct conn_need *need,
    void (*on_done)(void *self, struct requester *requester, enum fault_code fault), void *self,
    struct requester **requester, enum fault_code *fault);

/* The request was not acted on by the server that took it: try another one, as backend_take does.
 * A conn that was reused and stale does not count against its server, and neither does one whose
 * server has refused the request for now (`was_refused`), some times. */
MUST_CHECK enum status backend_take_another(struct checkout *checkout, bool was_refused,
                                            struct requester **requester, enum fault_code *fault);

/* A place at a server outlives its checkout in a tunnel: what is left of it then. */
struct backend_place {
    struct backend *backend;
    int server;
};

/* Moves the place out of the checkout, which holds none any more. */
struct backend_place backend_take_place(struct checkout *checkout);
void backend_leave_place(const struct backend_place *place);

/* Takes a place at the server of this URL, whatever its limit: its conn is there already. No place
 * when there is no such server. */
struct backend_place backend_place_at(struct backend *backend, slice url);

/* The exchange is over, or does not want a conn any more. Harmless when repeated. */
void backend_release(struct checkout *checkout);
