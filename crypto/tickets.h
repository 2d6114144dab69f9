/* crypto/tickets.h
 *
 * The worker's session-ticket keys: those of the previous, the current and the next epoch. Tickets
 * are sealed with the current one (in the form of RFC 5077 §4, with AES-256-CBC) and opened
 * with any of the three. A resumed TLS 1.3 conn gets a new one each time, a TLS 1.2 conn when its
 * ticket was not sealed with the current one.
 *
 * Why it exists: keys change with the epoch under running conns, without dropping one and without
 * two workers or nodes disagreeing while their clocks cross the boundary at different moments.
 *
 * Forward secrecy: a worker's memory opens tickets of at most three epochs (default 12 h each); a
 * ticket lives at most one epoch. What was sealed before is out of its reach. The ticket secret
 * itself opens every epoch; it never leaves the keyholder. Where nodes share one, it is the
 * operator who has to change it.
 *
 * Single use: a list of spent tickets (spent_tickets.h) makes each ticket of TLS 1.3 open one conn
 * at most, where tickets_spend is asked. A ticket of TLS 1.2 is sent again for as long as it lasts,
 * by every client: there it is not asked.
 *
 * Owner: the worker. It must outlive every SSL_CTX that it was installed in.
 *
 * Use, once a second or so: tickets_advance; key_client_ask_tickets for each epoch that
 * tickets_missing names; the answer comes to on_tickets, which calls tickets_put.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/ticket_keys.h"

struct spent_tickets;
struct tickets;

/* Starts with random keys for the current epoch, so that tickets work (in this worker) before the
 * keyholder has answered. NULL: no memory or no randomness. `epoch_seconds` is at least 60. */
struct tickets *tickets_new(uint32_t epoch_seconds, uint64_t unix_seconds);

/* Wipes the keys. NULL is fine. */
void tickets_free(struct tickets *tickets);

/* Installs the ticket callback and the ticket lifetime (one epoch, at most seven days, RFC 8446
 * §4.6.1) in a server's SSL_CTX. False: no memory. Install it in every SSL_CTX that SNI may
 * switch to. */
bool tickets_install(struct tickets *tickets, SSL_CTX *server) __attribute__((warn_unused_result));

/* From now on tickets_spend asks this list, which is borrowed. */
void tickets_set_spent(struct tickets *tickets, struct spent_tickets *spent);

/* Whether the ticket that `ssl` has just opened, and that holds this session, may be used; it is
 * used up then. For a decrypt callback (SSL_CTX_set_session_ticket_cb), and false without a list.
 * The client that has to say hello a second time (RFC 8446 §4.1.4) spends its ticket once. */
bool tickets_spend(struct tickets *tickets, SSL *ssl, const SSL_SESSION *session)
    __attribute__((warn_unused_result));

/* Moves the window to the epoch of `unix_seconds`; keys that leave it are wiped. Until the new
 * current epoch's keys are there, tickets are sealed with the newest ones held. */
void tickets_advance(struct tickets *tickets, uint64_t unix_seconds);

/* Fills `epochs` (room for 3) with those whose keys the keyholder has not given yet, current one
 * first. Returns how many. */
size_t tickets_missing(const struct tickets *tickets, uint64_t *epochs);

/* Copies the keys of one epoch in; an epoch outside the window is ignored. The caller wipes its
 * own copy. */
void tickets_put(struct tickets *tickets, const struct ticket_keys *keys);
