/* crypto/spent_tickets.h
 *
 * The session tickets that were used already: one list in memory that all workers of an instance
 * share, so that each ticket opens at most one conn (RFC 8446 §8.1, §C.4), whichever worker gets
 * it.
 *
 * Why it exists: a ticket is kept by the client and opened by any worker; that it was used is known
 * only to the one that opened it.
 *
 *     [header][slot][slot]...   a slot: when the ticket ends (24 bits) │ part of its IV (40 bits)
 *
 * A ticket is known by its IV, which is random and covered by the ticket's MAC: nobody but us
 * chooses where in the list it comes. Open addressing, linear, with a bound; no lock, since whoever
 * held one could be killed. A slot is taken by one compare-and-swap, never emptied, and taken
 * again once the ticket in it has ended. What does not fit is not let through: a full list makes
 * full handshakes, never a second use.
 *
 * Owner: the master makes it and keeps the descriptor; it outlives workers and configurations. A
 * worker that was taken over can write to it: fill it, or have it forget (it could as well seal
 * tickets of its own). Readers trust nothing in it but numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    SPENT_TICKETS_MIN = 64,
    SPENT_TICKETS_MAX = 1 << 26,
    SPENT_TICKETS_IV_BYTES = 16,
};

struct spent_tickets;

enum spent_verdict {
    SPENT_NOW,     /* it was not used before, and is used from now on: let it in */
    SPENT_BEFORE,  /* it was used */
    SPENT_NO_ROOM, /* nobody can tell, nor remember */
};

/* Since the list was made. */
struct spent_facts {
    uint64_t spent;
    uint64_t refused; /* used before */
    uint64_t no_room;
    size_t room; /* slots: twice as many or more as tickets were asked for */
};

/* The shared memory for at least so many tickets at a time, of a fixed size and close-on-exec.
 * Pages come into being with their first ticket. -1 with errno. */
int spent_tickets_create(size_t tickets);

/* Maps it for this process; the descriptor stays the caller's. NULL: not such a list, or no
 * memory. */
struct spent_tickets *spent_tickets_attach(int descriptor);

/* Unmaps. NULL is fine. */
void spent_tickets_detach(struct spent_tickets *list);

/* Uses the ticket whose IV this is and which nobody opens from `ends` on. Of all who ask about one
 * ticket, at whatever moment, at most one is told SPENT_NOW; and exactly one unless another ticket
 * ends in the very instant in which they ask. */
enum spent_verdict spent_tickets_spend(struct spent_tickets *list,
                                       const uint8_t iv[SPENT_TICKETS_IV_BYTES], time_t ends,
                                       time_t now);

struct spent_facts spent_tickets_facts(const struct spent_tickets *list);
