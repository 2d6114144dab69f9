/* proxy/process/roster_keyholders.h
 *
 * The keyholders of a roster: how many there are, what each is handed, and which workers it signs
 * for. All have the same keys and the same ticket secret, so a session of one worker is resumed at
 * any other.
 *
 *     worker 1 ──► keyholder 1 ◄── worker 3        (by index, for good)
 *     worker 2 ──► keyholder 2 ◄── worker 4
 *
 * A worker whose keyholder dies waits for its successor and is not given to another: it is there
 * within milliseconds, and no worker ever has channels to two.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/roster.h"

/* None without certificates; at least one with them, and never more than workers. */
size_t roster_keyholders_wanted(const struct config *config, size_t worker_count);

/* Makes them, none running yet. Freed by roster_fini. */
MUST_CHECK enum status roster_keyholders_init(struct roster *roster, size_t count,
                                              const struct child_events *events);

bool roster_is_keyholder(const struct roster *roster, const struct child *child);

/* NULL: there are none. */
struct child *roster_keyholder_of(const struct roster *roster, const struct child *worker);

/* Starts one, and connects its workers that run to it. */
MUST_CHECK enum status roster_start_keyholder(struct roster *roster, struct child *keyholder);

/* A generation's keys: at its start, and again by a reload. */
void roster_send_keys(struct child *keyholder, const struct live_generation *generation);

/* A fresh channel between a worker and its keyholder, if both are there. */
void roster_connect_keys(struct roster *roster, struct child *worker);

/* The same when the worker says that its channel number `lost` (from 1) ended, unless it has been
 * given another one meanwhile; a little later when that was only just done before. */
void roster_renew_keys(struct roster *roster, struct child *worker, uint32_t lost);

/* Closes their channels, and waits a moment for their end. */
void roster_end_keyholders(struct roster *roster);
