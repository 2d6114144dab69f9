/* proxy/process/sidecars.h
 *
 * The gossip processes as the master sees them, one a cluster: starts them with what each needs,
 * starts them again, gives them their keyring whenever it changes, and keeps what they account for.
 *
 * Their order at the end is that of the keyholder: after the workers, because traffic that is not
 * theirs goes on until then. While one is away its cluster's traffic stands still (the rules of
 * interception see to that), it does not pass in plaintext.
 *
 * Owner: the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/enforcement.h"
#include "proxy/gossip/peer_table.h"
#include "proxy/process/error.h"
#include "proxy/process/roster.h"

struct sidecars;

/* What one cluster's process is and has; for reports. */
struct sidecar_facts {
    const struct config_gossip *settings;
    const struct child *child;
    const struct peer_pages *pages;
    const struct enforcement_gossip_facts *ring; /* that is in use */
    const char *refusal; /* why the keyring file's present content is not in use; "": it is */
    bool has_rules;      /* that are ours to remove */
};

/* Makes them, none running. `events` are those of the master (on_respawn is set here). A sentence
 * on failure; then sidecars_close is due all the same. */
MUST_CHECK enum status sidecars_open(struct sidecars **out, const struct roster_supplies *supplies,
                                     const struct child_events *events,
                                     struct process_error *error);

/* All below take NULL as "there are none". */

/* Installs the rules that are ours to manage, and starts all processes. A sentence on failure. */
MUST_CHECK enum status sidecars_start(struct sidecars *sidecars, struct process_error *error);

/* Reads all keyrings again; those that changed are handed on. */
void sidecars_reload(struct sidecars *sidecars);

struct sidecars_change;

/* Finds out what another configuration changes, and makes what is new in it; nothing of what runs
 * changes. A sentence on failure; then sidecars_forget is due all the same. */
MUST_CHECK enum status sidecars_prepare(struct sidecars *sidecars, const struct config *config,
                                        struct sidecars_change **out, struct process_error *error);

/* Takes the change: clusters that are the same run on, those that are gone or changed end, and the
 * new and changed ones are started when these have. */
void sidecars_commit(struct sidecars_change *change, const struct roster_supplies *supplies);
/* NULL is fine. */
void sidecars_forget(struct sidecars_change *change);

/* A child that sidecars_find has found was waited for; if it was to leave, it is gone now. */
void sidecars_note_exit(struct sidecars *sidecars, const struct child *child);

/* NULL: not one of ours. */
struct child *sidecars_find(struct sidecars *sidecars, pid_t pid);
bool sidecars_own(const struct sidecars *sidecars, const struct child *child);
bool sidecars_are_ready(const struct sidecars *sidecars);
void sidecars_tell(struct sidecars *sidecars, const struct channel_message *message);

/* Ends the processes, waits a moment for them, removes the rules. */
void sidecars_close(struct sidecars *sidecars);

/* The cluster's rules are another's to remove. */
void sidecars_leave_rules(struct sidecars *sidecars, const char *name);

size_t sidecars_count(const struct sidecars *sidecars);
struct sidecar_facts sidecars_at(const struct sidecars *sidecars, size_t index);
