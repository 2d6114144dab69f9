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
};

/* Makes them, none running; *out is NULL when the configuration has no cluster. `events` are those
 * of the master (on_respawn is set here). A sentence on failure. */
MUST_CHECK enum status sidecars_open(struct sidecars **out, const struct roster_supplies *supplies,
                                     const struct child_events *events,
                                     struct process_error *error);

/* All below take NULL as "there are none". */

/* Installs the rules that are ours to manage, and starts all processes. A sentence on failure. */
MUST_CHECK enum status sidecars_start(struct sidecars *sidecars, struct process_error *error);

/* Reads all keyrings again; those that changed are handed on. */
void sidecars_reload(struct sidecars *sidecars);

/* NULL: not one of ours. */
struct child *sidecars_find(struct sidecars *sidecars, pid_t pid);
bool sidecars_own(const struct sidecars *sidecars, const struct child *child);
bool sidecars_are_ready(const struct sidecars *sidecars);
void sidecars_tell(struct sidecars *sidecars, const struct channel_message *message);

/* Ends the processes, waits a moment for them, removes the rules. */
void sidecars_close(struct sidecars *sidecars);

size_t sidecars_count(const struct sidecars *sidecars);
struct sidecar_facts sidecars_at(const struct sidecars *sidecars, size_t index);
