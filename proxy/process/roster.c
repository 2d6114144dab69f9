/* proxy/process/roster.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/process/generation_number.h"
#include "proxy/process/roster_keyholders.h"

static enum status on_respawn(void *self, struct child *child);

static enum status open_first_generation(struct roster *roster, struct snapshot *snapshot)
{
    roster->present = live_generation_new(GENERATION_FIRST, snapshot, roster->supplies.config,
                                          roster->worker_count);
    if (roster->present == NULL) {
        return STATUS_NOMEM;
    }
    list_append(&roster->generations, &roster->present->link);
    roster->supplies.snapshot = &roster->present->snapshot;
    return STATUS_OK;
}

enum status roster_init(struct roster *roster, const struct roster_supplies *supplies,
                        struct snapshot *snapshot, size_t worker_count,
                        const struct child_events *events)
{
    struct child_events own_events = *events;
    *roster = (struct roster){.supplies = *supplies};
    list_init(&roster->generations);
    /* The roster starts children again; what they say is the master's to hear. */
    own_events.on_respawn = on_respawn;
    own_events.respawn_self = roster;
    own_events.log = supplies->log;
    roster->workers = calloc(worker_count + 1, sizeof(*roster->workers)); /* never of nothing */
    if (roster->workers == NULL ||
        roster_keyholders_init(roster, roster_keyholders_wanted(supplies->config, worker_count),
                               &own_events) != STATUS_OK) {
        return STATUS_NOMEM;
    }
    roster->worker_count = worker_count;
    for (size_t i = 0; i < worker_count; i++) {
        char role[32];
        (void)snprintf(role, sizeof(role), "worker %zu", i + 1);
        child_init(&roster->workers[i], supplies->loop, role, i, &own_events);
    }
    return open_first_generation(roster, snapshot);
}

void roster_fini(struct roster *roster)
{
    for (struct list_link *link = roster->present == NULL ? NULL : list_first(&roster->generations);
         link != NULL; link = list_first(&roster->generations)) {
        live_generation_free(LIST_OBJECT(link, struct live_generation, link));
    }
    free(roster->keyholders);
    free(roster->workers);
    *roster = (struct roster){0};
}

/* ---- handing over ---- */

static void send_kind(struct child *child, enum channel_kind kind)
{
    (void)child_send(child, &(struct channel_message){.kind = kind});
}

void roster_send_bundle(struct child *child, const struct live_generation *generation,
                        const struct config *config)
{
    struct channel_message message =
        channel_message_with(CHANNEL_BUNDLE, generation->snapshot.worker_file);
    message.number = generation->number;
    message.payload = slice_of(config->file);
    (void)child_send(child, &message);
}

void roster_send_listeners(struct child *worker, const struct listen_sockets *sockets)
{
    size_t count = listen_sockets_count(sockets);
    size_t all = count * listen_sockets_rounds(sockets, worker->index);
    for (size_t i = 0; i < all;) {
        struct channel_message message = {.kind = CHANNEL_LISTENERS};
        while (i < all && message.descriptor_count < CHANNEL_DESCRIPTORS_MAX) {
            message.descriptors[message.descriptor_count++] =
                listen_sockets_of_worker(sockets, worker->index, i / count, i % count);
            i++;
        }
        (void)child_send(worker, &message);
    }
}

/* ---- starting ---- */

static enum status start_worker(struct roster *roster, struct child *worker)
{
    const struct roster_supplies *supplies = &roster->supplies;
    struct spawn_order order = {.log = supplies->log_descriptor,
                                .slots = slots_descriptor(supplies->slots),
                                .spent = supplies->spent_tickets,
                                .account = &supplies->accounts->worker};
    enum status status = child_start(worker, &order);
    if (status != STATUS_OK) {
        return status;
    }
    live_generation_use(roster->present, worker->index);
    roster_send_bundle(worker, roster->present, supplies->config);
    roster_connect_keys(roster, worker);
    roster_send_listeners(worker, supplies->sockets);
    send_kind(worker, CHANNEL_START);
    return STATUS_OK;
}

enum status roster_start(struct roster *roster)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < roster->keyholder_count && status == STATUS_OK; i++) {
        status = roster_start_keyholder(roster, &roster->keyholders[i]);
    }
    for (size_t i = 0; i < roster->worker_count && status == STATUS_OK; i++) {
        status = start_worker(roster, &roster->workers[i]);
    }
    return status;
}

static enum status on_respawn(void *self, struct child *child)
{
    struct roster *roster = self;
    return roster_is_keyholder(roster, child) ? roster_start_keyholder(roster, child)
                                              : start_worker(roster, child);
}

/* ---- ending ---- */

void roster_tell_workers(struct roster *roster, const struct channel_message *message)
{
    for (size_t i = 0; i < roster->worker_count; i++) {
        (void)child_send(&roster->workers[i], message);
    }
}

void roster_forget_respawns(struct roster *roster)
{
    for (size_t i = 0; i < roster->worker_count; i++) {
        deadline_disarm(&roster->workers[i].respawn);
    }
}

void roster_end_workers(struct roster *roster)
{
    for (size_t i = 0; i < roster->worker_count; i++) {
        child_end(&roster->workers[i]);
    }
}

void roster_kill_workers(struct roster *roster)
{
    for (size_t i = 0; i < roster->worker_count; i++) {
        child_kill(&roster->workers[i]);
    }
}

/* ---- looking ---- */

void roster_each_child(const struct roster *roster,
                       void (*run)(void *self, const struct child *child), void *self)
{
    for (size_t i = 0; i < roster->keyholder_count; i++) {
        run(self, &roster->keyholders[i]);
    }
    for (size_t i = 0; i < roster->worker_count; i++) {
        run(self, &roster->workers[i]);
    }
}

static struct child *find_among(struct child *children, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (children[i].pid == pid) {
            return &children[i];
        }
    }
    return NULL;
}

struct child *roster_find(struct roster *roster, pid_t pid)
{
    struct child *worker = find_among(roster->workers, roster->worker_count, pid);
    return worker != NULL ? worker : find_among(roster->keyholders, roster->keyholder_count, pid);
}

static bool are_ready(const struct child *children, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (children[i].state != CHILD_READY) {
            return false;
        }
    }
    return true;
}

bool roster_is_ready(const struct roster *roster)
{
    return are_ready(roster->workers, roster->worker_count) &&
           are_ready(roster->keyholders, roster->keyholder_count);
}

bool roster_workers_are_down(const struct roster *roster)
{
    for (size_t i = 0; i < roster->worker_count; i++) {
        if (!child_is_down(&roster->workers[i])) {
            return false;
        }
    }
    return true;
}
