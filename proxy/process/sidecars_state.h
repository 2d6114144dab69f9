/* proxy/process/sidecars_state.h
 *
 * The inside of the gossip processes as the master sees them, shared by sidecars.c (their life) and
 * sidecars_change.c (one configuration after the other). Nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/file_watch.h"
#include "proxy/process/sidecars.h"

enum { SIDECAR_GRACE_MS = 1000 };

struct sidecar_place {
    struct sidecars *sidecars;
    const struct config_gossip *settings;
    struct list_link link; /* among those that leave */
    struct deadline grace; /* of one that leaves */
    bool is_started;
    struct account account;
    struct child child;
    struct secret keyring; /* the text that was handed on last */
    struct file_watch watch;
    int pages_file;
    struct peer_pages *pages;             /* read-only */
    bool has_rules;                       /* that are to be removed */
    struct enforcement_gossip_facts ring; /* what the policy has to know of it */
    char refusal[256]; /* why what is in the keyring file now is not in use; "": it is */
};

struct sidecars {
    struct roster_supplies supplies;
    struct child_events events;
    size_t count;
    struct sidecar_place **at; /* by the index of the cluster */
    struct list leaving;       /* of struct sidecar_place: until their process has ended */
};

/* A place for the cluster at `index` of the config, its process not running. NULL with a sentence.
 */
struct sidecar_place *sidecar_place_new(struct sidecars *sidecars, const struct config *config,
                                        size_t index, struct process_error *error);
void sidecar_place_free(struct sidecar_place *place);

/* The rules first: until the process is there, nothing passes. */
MUST_CHECK enum status sidecar_place_start(struct sidecar_place *place,
                                           struct process_error *error);
void sidecar_place_remove_rules(struct sidecar_place *place);
