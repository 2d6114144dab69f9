/* proxy/process/roster_keyholders.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/roster_keyholders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/process/generation_number.h"

enum { WORKERS_EACH = 2, RENEWALS_APART_MS = 100, KEYHOLDER_GRACE_MS = 1000, POLL_MS = 5 };

/* Signing is half of what a handshake costs, or less: one keyholder keeps up with two workers. */
size_t roster_keyholders_wanted(const struct config *config, size_t worker_count)
{
    if (config->certificate_count == 0) {
        return 0;
    }
    size_t wanted =
        config->keyholders == 0 ? worker_count / WORKERS_EACH : (size_t)config->keyholders;
    wanted = wanted > worker_count ? worker_count : wanted;
    /* At least one, and so many that each worker has room. */
    size_t least = (worker_count == 0 ? 0 : worker_count - 1) / KEYHOLDER_WORKERS_MAX + 1;
    return wanted < least ? least : wanted;
}

enum status roster_keyholders_init(struct roster *roster, size_t count,
                                   const struct child_events *events)
{
    roster->keyholders = calloc(count + 1, sizeof(*roster->keyholders)); /* never of nothing */
    if (roster->keyholders == NULL) {
        return STATUS_NOMEM;
    }
    roster->keyholder_count = count;
    for (size_t i = 0; i < count; i++) {
        char role[32] = "keyholder";
        if (count > 1) {
            (void)snprintf(role, sizeof(role), "keyholder %zu", i + 1);
        }
        child_init(&roster->keyholders[i], roster->supplies.loop, role, i, events);
    }
    return STATUS_OK;
}

bool roster_is_keyholder(const struct roster *roster, const struct child *child)
{
    for (size_t i = 0; i < roster->keyholder_count; i++) {
        if (child == &roster->keyholders[i]) {
            return true;
        }
    }
    return false;
}

struct child *roster_keyholder_of(const struct roster *roster, const struct child *worker)
{
    return roster->keyholder_count == 0
               ? NULL
               : &roster->keyholders[worker->index % roster->keyholder_count];
}

/* ---- handing over ---- */

static size_t write_number(char *room, size_t len, uint32_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        room[len++] = (char)(uint8_t)(number >> shift);
    }
    return len;
}

static size_t write_ids(const struct live_generation *generation, char *room, size_t len)
{
    if (len + 2 * sizeof(uint32_t) > CHANNEL_PAYLOAD_MAX) {
        return len;
    }
    len = write_number(room, len, generation_key_base(generation->number));
    return write_number(room, len, (uint32_t)generation->certificate_count);
}

/* Each worker may use every key of every generation that somebody may have; the present and
 * the next one's come first, should there not be room for all. Told as ranges: thousands of ids for
 * each of many workers would fill the channel of a keyholder that reads its keys. */
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

void roster_send_keys(struct child *keyholder, const struct live_generation *generation)
{
    struct channel_message message =
        channel_message_with(CHANNEL_BUNDLE, generation->snapshot.key_file);
    message.number = generation->number;
    (void)child_send(keyholder, &message);
}

static void give_ends(struct roster *roster, struct child *keyholder, struct child *worker,
                      int keyholder_end, int worker_end)
{
    char ids[CHANNEL_PAYLOAD_MAX];
    struct channel_message message = channel_message_with(CHANNEL_WORKER, keyholder_end);
    message.number = (uint32_t)worker->index;
    message.payload = (slice){ids, write_key_ids(roster, ids)};
    /* A keyholder that cannot be told is dying: the next one is connected to all. */
    if (child_send(keyholder, &message)) {
        message = channel_message_with(CHANNEL_KEYS, worker_end);
        worker->keys_given++;
        (void)child_send(worker, &message);
    }
}

void roster_connect_keys(struct roster *roster, struct child *worker)
{
    struct child *keyholder = roster_keyholder_of(roster, worker);
    if (keyholder == NULL || keyholder->channel < 0 || worker->channel < 0) {
        return; /* whoever is missing is connected when it is started */
    }
    int keyholder_end = -1;
    int worker_end = -1;
    if (channel_pair(&keyholder_end, &worker_end) != STATUS_OK) {
        LOG_EVENT(roster->supplies.log, LOG_ERROR, "channel_failed",
                  log_text("child", worker->role), log_text("reason", strerror(errno)));
        return;
    }
    (void)channel_refuse_descriptors(keyholder_end);
    (void)channel_refuse_descriptors(worker_end);
    give_ends(roster, keyholder, worker, keyholder_end, worker_end);
    (void)close(keyholder_end);
    (void)close(worker_end);
}

static void on_keys_due(void *self)
{
    struct child *worker = self;
    if (worker->keys_lost != worker->keys_given) {
        return; /* a new keyholder has come meanwhile */
    }
    LOG_EVENT(worker->events.log, LOG_WARN, "keys_delayed", log_text("child", worker->role),
              log_text("reason", "it asks for one channel to its keyholder after the other"));
    worker->keys_renewed_ms = 0;
    roster_renew_keys(worker->events.respawn_self, worker, worker->keys_lost);
}

/* At once for who has lost one; later for who loses one after the other, or says so. */
void roster_renew_keys(struct roster *roster, struct child *worker, uint32_t lost)
{
    worker->keys_lost = lost;
    if (lost != worker->keys_given || deadline_is_armed(&worker->keys_due)) {
        return;
    }
    uint64_t now = loop_now_ms(worker->loop);
    if (worker->keys_renewed_ms != 0 && now - worker->keys_renewed_ms < RENEWALS_APART_MS) {
        deadline_arm(&worker->keys_due, worker->loop, RENEWALS_APART_MS, on_keys_due, worker);
        return;
    }
    worker->keys_renewed_ms = now;
    roster_connect_keys(roster, worker);
}

/* ---- life ---- */

enum status roster_start_keyholder(struct roster *roster, struct child *keyholder)
{
    const struct roster_supplies *supplies = &roster->supplies;
    struct spawn_order order = {.log = supplies->log_descriptor,
                                .slots = -1,
                                .spent = -1,
                                .account = &supplies->accounts->keyholder};
    enum status status = child_start(keyholder, &order);
    if (status != STATUS_OK) {
        return status;
    }
    for (struct list_link *link = list_first(&roster->generations); link != NULL;
         link = list_next(&roster->generations, link)) {
        roster_send_keys(keyholder, LIST_OBJECT(link, struct live_generation, link));
    }
    (void)child_send(keyholder, &(struct channel_message){.kind = CHANNEL_START});
    for (size_t i = keyholder->index; i < roster->worker_count; i += roster->keyholder_count) {
        roster_connect_keys(roster, &roster->workers[i]);
    }
    return STATUS_OK;
}

static bool has_ended(struct child *keyholder)
{
    if (keyholder->pid > 0 && waitpid(keyholder->pid, NULL, WNOHANG) != 0) {
        keyholder->pid = -1;
    }
    return keyholder->pid <= 0;
}

static bool have_all_ended(struct roster *roster)
{
    bool have_ended = true;
    for (size_t i = 0; i < roster->keyholder_count; i++) {
        have_ended = has_ended(&roster->keyholders[i]) && have_ended;
    }
    return have_ended;
}

void roster_end_keyholders(struct roster *roster)
{
    for (size_t i = 0; i < roster->keyholder_count; i++) {
        child_end(&roster->keyholders[i]);
    }
    for (int waited = 0; !have_all_ended(roster); waited += POLL_MS) {
        if (waited >= KEYHOLDER_GRACE_MS) {
            break;
        }
        (void)usleep(POLL_MS * 1000);
    }
    for (size_t i = 0; i < roster->keyholder_count; i++) {
        struct child *keyholder = &roster->keyholders[i];
        child_kill(keyholder);
        if (keyholder->pid > 0) {
            (void)waitpid(keyholder->pid, NULL, 0);
        }
    }
}
