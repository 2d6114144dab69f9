/* proxy/relay/entry.h
 *
 * An entry is one listener of the configuration at work: its sockets, what conns accepted there
 * are held to, where their requests may go, and the conns themselves.
 *
 * Owner: the relay.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/codec.h"
#include "proxy/net/listener.h"
#include "proxy/relay/relay_shared.h"
#include "proxy/route/redirect.h"
#include "proxy/route/request_rules.h"
#include "proxy/route/response_rules.h"
#include "proxy/route/route_table.h"

struct tls_server;

struct entry {
    struct relay_shared *shared;
    const struct config_listener *config;
    struct tls_server *tls; /* NULL: plaintext; borrowed */
    struct route_table *routes;
    struct redirect redirect;
    struct request_rules request_rules;
    struct response_rules response_rules;
    struct server_settings settings;
    slice scheme; /* "https" or "http" */
    struct listener *listeners;
    size_t listener_count;
    struct list conns;       /* of struct client_conn */
    struct list tunnels;     /* of struct relay_tunnel */
    struct entry *successor; /* in the present generation; NULL: this is it, or there is none */
    bool is_draining;        /* conns end with their exchange */
    bool is_winding_down;    /* those that are idle may have one more */
};

/* STATUS_NOMEM: nothing stays. */
MUST_CHECK enum status entry_init(struct entry *entry, struct relay_shared *shared,
                                  const struct config_listener *config, struct tls_server *tls);

/* Will accept on these sockets too, which are lent. STATUS_NOMEM. */
MUST_CHECK enum status entry_lend(struct entry *entry, const int *descriptors, size_t count);

/* Starts accepting; where that fails it is tried again by itself each second. False: it has
 * failed. */
bool entry_open(struct entry *entry);

/* Stops and starts accepting, at the limit of conns. */
void entry_pause(struct entry *entry);
void entry_resume(struct entry *entry);

/* Accepts no more; conns stay. */
void entry_stop(struct entry *entry);

/* Does every conn of `entry` find the same in `later`: the same addresses, and nothing that it
 * would not have been let in with? */
bool entry_is_continued_by(const struct entry *entry, const struct entry *later);

/* Conns and tunnels go over to `later`, each as soon as it can: conns in their handshake after it.
 * NULL: what is here drains. Tunnels whose route does not lead to their server any more stay. */
void entry_follow(struct entry *entry, struct entry *later);

/* Where would a request go now: to a backend with a server of this URL (empty: to any)? */
bool entry_leads_to(const struct entry *entry, slice authority, slice path, slice server_url,
                    size_t *backend);

/* The end of what did not go over. */
void entry_close_left(struct entry *entry);

/* Accepts no more and lets each conn end with its current exchange. */
void entry_drain(struct entry *entry);

/* The same, but idle conns stay for one exchange more. */
void entry_wind_down(struct entry *entry);

/* Closes whatever is open; exchanges end with `fault`. */
void entry_close_conns(struct entry *entry, enum fault_code fault);

void entry_fini(struct entry *entry);
