/* proxy/process/master_upgrade.h
 *
 * The master between two programs: what it takes over from the one that was here before, and what
 * it leaves to the next. It is the same process all the time; its program is another.
 *
 *     old program                                 new program
 *     SIGUSR2 ─ rehearsal ─ master_leave() ──────► inheritance_take()
 *                                                  starts its children, beside the former ones
 *                                                  all ready: master_succeed(), the former ones
 * drain else: holding_run(), the former ones serve on
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/master_state.h"

/* Takes the former children and sockets up, if there are some. A sentence in master->error. */
MUST_CHECK enum status master_open_upgrade(struct master *master);
/* Leaves a handover as it was after a start that has failed; ends all of it otherwise. */
void master_close_upgrade(struct master *master);

/* The start has failed, and what is here from a former program is to go on. */
bool master_goes_back(const struct master *master);

/* Whether the admin socket is where the former program has had it. */
bool master_inherits_admin(const struct master *master);

/* Where the ticket secret of the former program is; NULL: none, or another is configured. */
const struct snapshot *master_former_snapshot(const struct master *master, struct snapshot *former);

/* The former program's list of spent tickets, whose size stays what it was; -1: none. */
int master_former_spent(const struct master *master);

uint64_t master_instance_begun_us(const struct master *master);

/* The start is done. */
void master_succeed(struct master *master);

/* The instance ends: nobody listens any more, and what the former children do is their last. */
void master_drain_former(struct master *master, uint64_t drain_ms);

void master_ask_for_upgrade(struct master *master);

/* Makes way for the next program. Outside of the loop; returns when there is no way. */
void master_leave(struct master *master);
