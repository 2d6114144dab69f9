/* proxy/process/roster.h
 *
 * All children of the master: the keyholders (when the configuration has certificates) and the
 * workers. Knows what each is handed when it starts; how they are connected is in
 * roster_keyholders.h.
 *
 * Owner: the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config/model.h"
#include "proxy/base/log.h"
#include "proxy/process/account.h"
#include "proxy/process/child.h"
#include "proxy/process/listen_sockets.h"
#include "proxy/process/live_generation.h"
#include "proxy/process/slots.h"
#include "proxy/process/snapshot.h"

/* What children are given. All borrowed. */
struct roster_supplies {
    struct loop *loop;
    const struct config *config;
    struct log *log;
    int log_descriptor;
    const struct accounts *accounts;
    const struct snapshot *snapshot; /* of the present generation */
    const struct listen_sockets *sockets;
    const struct slots *slots;
    int spent_tickets; /* what workers remember together (crypto/spent_tickets.h); -1: none */
};

/* Embedded; fields are for reading, except for roster*.c. */
struct roster {
    struct roster_supplies supplies;
    struct list generations; /* of struct live_generation: those that somebody may have */
    struct live_generation *present;
    const struct live_generation *next; /* being prepared; NULL: none */
    struct child *keyholders;
    size_t keyholder_count; /* 0: there are no certificates */
    struct child *workers;
    size_t worker_count;
};

/* Makes the children, none of them running yet, and takes the first generation's snapshot over.
 * on_respawn is the roster's own: leave it NULL. */
MUST_CHECK enum status roster_init(struct roster *roster, const struct roster_supplies *supplies,
                                   struct snapshot *snapshot, size_t worker_count,
                                   const struct child_events *events);
void roster_fini(struct roster *roster);

/* Starts all. SYS: errno; some may be running. */
MUST_CHECK enum status roster_start(struct roster *roster);

/* Parts of what a child is handed at its start, and again by a reload. */
void roster_send_bundle(struct child *child, const struct live_generation *generation,
                        const struct config *config);
void roster_send_listeners(struct child *worker, const struct listen_sockets *sockets);

/* Sends one message to every worker. */
void roster_tell_workers(struct roster *roster, const struct channel_message *message);

/* No lost worker is started again from now on. */
void roster_forget_respawns(struct roster *roster);

/* Closes the channels of the workers, upon which they end; kills those that are left. */
void roster_end_workers(struct roster *roster);
void roster_kill_workers(struct roster *roster);

/* Calls for each keyholder and worker, whether they are there or not. */
void roster_each_child(const struct roster *roster,
                       void (*run)(void *self, const struct child *child), void *self);

/* NULL: not one of ours. */
struct child *roster_find(struct roster *roster, pid_t pid);
bool roster_is_ready(const struct roster *roster);
bool roster_workers_are_down(const struct roster *roster);
