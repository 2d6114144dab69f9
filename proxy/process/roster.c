/* proxy/process/roster.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/roster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/process/generation_number.h"

enum { KEYHOLDER_GRACE_MS = 1000, POLL_MS = 5 };

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
    struct child_events worker_events = *events;
    *roster = (struct roster){.supplies = *supplies,
                              .has_keyholder = supplies->config->certificate_count > 0};
    list_init(&roster->generations);
    /* The roster starts children again; what they say is the master's to hear. */
    worker_events.on_respawn = on_respawn;
    worker_events.respawn_self = roster;
    worker_events.log = supplies->log;
    child_init(&roster->keyholder, supplies->loop, "keyholder", 0, &worker_events);
    roster->workers = calloc(worker_count + 1, sizeof(*roster->workers)); /* never of nothing */
    if (roster->workers == NULL) {
        return STATUS_NOMEM;
    }
    roster->worker_count = worker_count;
    for (size_t i = 0; i < worker_count; i++) {
        char role[32];
        (void)snprintf(role, sizeof(role), "worker %zu", i + 1);
        child_init(&roster->workers[i], supplies->loop, role, i, &worker_events);
    }
    return open_first_generation(roster, snapshot);
}

void roster_fini(struct roster *roster)
{
    for (struct list_link *link = roster->present == NULL ? NULL : list_first(&roster->generations);
         link != NULL; link = list_first(&roster->generations)) {
        live_generation_free(LIST_OBJECT(link, struct live_generation, link));
    }
    free(roster->workers);
    *roster = (struct roster){0};
}

/* ---- handing over ---- */

static struct channel_message with_descriptor(enum channel_kind kind, int descriptor)
{
    return (struct channel_message){
        .kind = kind, .descriptors = {descriptor}, .descriptor_count = 1};
}

static void send_kind(struct child *child, enum channel_kind kind)
{
    (void)child_send(child, &(struct channel_message){.kind = kind});
}

static size_t write_ids(const struct live_generation *generation, char *room, size_t len)
{
    for (size_t i = 0; i < generation->certificate_count && len + 4 <= CHANNEL_PAYLOAD_MAX; i++) {
        uint32_t id = generation_key_base(generation->number) + (uint32_t)i;
        const uint8_t bytes[4] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                                  (uint8_t)id};
        memcpy(room + len, bytes, sizeof(bytes));
        len += sizeof(bytes);
    }
    return len;
}

/* Each worker may use every key of every generation that somebody may have; the present and
 * the next one's come first, should there not be room for all. */
static size_t write_key_ids(const struct roster *roster, char *room)
{
    size_t len = write_ids(roster->present, room, 0);
    len = roster->next == NULL ? len : write_ids(roster->next, room, len);
    for (struct list_link *link = list_first(&roster->generations); link != NULL;
         link = list_next(&roster->generations, link)) {
        const struct live_generation *generation = LIST_OBJECT(link, struct live_generation, link);
        len = generation == roster->present ? len : write_ids(generation, room, len);
    }
    return len;
}

void roster_connect_keys(struct roster *roster, struct child *worker)
{
    if (!roster->has_keyholder || roster->keyholder.channel < 0 || worker->channel < 0) {
        return; /* whoever is missing is connected when it is started */
    }
    int keyholder_end = -1;
    int worker_end = -1;
    if (channel_pair(&keyholder_end, &worker_end) != STATUS_OK) {
        LOG_EVENT(roster->supplies.log, LOG_ERROR, "channel_failed",
                  log_text("child", worker->role), log_text("reason", strerror(errno)));
        return;
    }
    char ids[CHANNEL_PAYLOAD_MAX];
    struct channel_message message = with_descriptor(CHANNEL_WORKER, keyholder_end);
    message.number = (uint32_t)worker->index;
    message.payload = (slice){ids, write_key_ids(roster, ids)};
    /* A keyholder that cannot be told is dying: the next one is connected to all. */
    if (child_send(&roster->keyholder, &message)) {
        message = with_descriptor(CHANNEL_KEYS, worker_end);
        worker->keys_given++;
        (void)child_send(worker, &message);
    }
    (void)close(keyholder_end);
    (void)close(worker_end);
}

void roster_renew_keys(struct roster *roster, struct child *worker, uint32_t lost)
{
    if (lost == worker->keys_given) {
        roster_connect_keys(roster, worker);
    }
}

void roster_send_keys(struct roster *roster, const struct live_generation *generation)
{
    struct channel_message message = with_descriptor(CHANNEL_BUNDLE, generation->snapshot.key_file);
    message.number = generation->number;
    (void)child_send(&roster->keyholder, &message);
}

void roster_send_bundle(struct child *child, const struct live_generation *generation,
                        const struct config *config)
{
    struct channel_message message =
        with_descriptor(CHANNEL_BUNDLE, generation->snapshot.worker_file);
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

static enum status start_keyholder(struct roster *roster)
{
    const struct roster_supplies *supplies = &roster->supplies;
    struct spawn_order order = {.log = supplies->log_descriptor,
                                .slots = -1,
                                .spent = -1,
                                .account = &supplies->accounts->keyholder};
    enum status status = child_start(&roster->keyholder, &order);
    if (status != STATUS_OK) {
        return status;
    }
    for (struct list_link *link = list_first(&roster->generations); link != NULL;
         link = list_next(&roster->generations, link)) {
        roster_send_keys(roster, LIST_OBJECT(link, struct live_generation, link));
    }
    send_kind(&roster->keyholder, CHANNEL_START);
    for (size_t i = 0; i < roster->worker_count; i++) {
        roster_connect_keys(roster, &roster->workers[i]);
    }
    return STATUS_OK;
}

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
    enum status status = roster->has_keyholder ? start_keyholder(roster) : STATUS_OK;
    for (size_t i = 0; i < roster->worker_count && status == STATUS_OK; i++) {
        status = start_worker(roster, &roster->workers[i]);
    }
    return status;
}

static enum status on_respawn(void *self, struct child *child)
{
    struct roster *roster = self;
    return child == &roster->keyholder ? start_keyholder(roster) : start_worker(roster, child);
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

void roster_end_keyholder(struct roster *roster)
{
    if (!roster->has_keyholder) {
        return;
    }
    child_end(&roster->keyholder);
    for (int waited = 0; roster->keyholder.pid > 0; waited += POLL_MS) {
        if (waitpid(roster->keyholder.pid, NULL, WNOHANG) != 0) {
            return;
        }
        if (waited >= KEYHOLDER_GRACE_MS) {
            child_kill(&roster->keyholder);
            (void)waitpid(roster->keyholder.pid, NULL, 0);
            return;
        }
        (void)usleep(POLL_MS * 1000);
    }
}

/* ---- looking ---- */

void roster_each_child(const struct roster *roster,
                       void (*run)(void *self, const struct child *child), void *self)
{
    if (roster->has_keyholder) {
        run(self, &roster->keyholder);
    }
    for (size_t i = 0; i < roster->worker_count; i++) {
        run(self, &roster->workers[i]);
    }
}

struct child *roster_find(struct roster *roster, pid_t pid)
{
    if (roster->keyholder.pid == pid) {
        return &roster->keyholder;
    }
    for (size_t i = 0; i < roster->worker_count; i++) {
        if (roster->workers[i].pid == pid) {
            return &roster->workers[i];
        }
    }
    return NULL;
}

bool roster_is_ready(const struct roster *roster)
{
    for (size_t i = 0; i < roster->worker_count; i++) {
        if (roster->workers[i].state != CHILD_READY) {
            return false;
        }
    }
    return !roster->has_keyholder || roster->keyholder.state == CHILD_READY;
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
