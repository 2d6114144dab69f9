/* proxy/process/keyholder_process.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/keyholder_process.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/bundle.h"
#include "crypto/error.h"
#include "crypto/keyholder.h"
#include "crypto/secret.h"
#include "crypto/wiped_memory.h"
#include "proxy/process/channel.h"
#include "proxy/process/child.h"
#include "proxy/process/generation_number.h"
#include "proxy/process/memory_file.h"
#include "proxy/process/role.h"
#include "proxy/process/sandbox.h"
#include "proxy/process/snapshot.h"
#include "proxy/process/spawn.h"

struct keyholder_process {
    struct keyholder *keyholder;
    struct secret ticket_secret;
    uint32_t taken;     /* the generation whose keys came last */
    size_t taken_count; /* how many */
    uint8_t packet[CHANNEL_PACKET_MAX];
    bool is_locked; /* no part of its memory is ever written to a disk */
    bool is_open;   /* START has come */
    bool is_over;
};

static bool on_master(void *self, struct keyholder *keyholder, int master_descriptor);

static void tell_failure(uint32_t generation, uint32_t certificate, const char *sentence)
{
    struct channel_message message = {.kind = CHANNEL_FAILED,
                                      .number = generation_failure(generation, certificate),
                                      .payload = slice_of(sentence)};
    (void)!channel_send(SPAWN_CHANNEL, &message);
}

/* ---- keys ---- */

static bool add_password(struct secret *password, const struct bundle *bundle, size_t index)
{
    char name[SNAPSHOT_NAME_BYTES];
    (void)snprintf(name, sizeof(name), SNAPSHOT_PASSWORD "%zu", index);
    const struct bundle_entry *entry = bundle_find(bundle, name);
    return entry == NULL || (secret_init(password, entry->len + 1) &&
                             secret_set(password, entry->bytes, entry->len));
}

static bool add_key(struct keyholder_process *process, const struct bundle *bundle,
                    const struct bundle_entry *entry, uint32_t generation, size_t index)
{
    uint32_t id = generation_key_base(generation) + (uint32_t)index;
    struct secret password = {0};
    struct crypto_error error = {{0}};
    bool is_added = add_password(&password, bundle, index) &&
                    keyholder_add_key(process->keyholder, id, entry->bytes, entry->len,
                                      secret_len(&password) > 0 ? &password : NULL, &error);
    secret_fini(&password);
    if (!is_added) {
        tell_failure(generation, (uint32_t)index,
                     error.text[0] == '\0' ? "out of memory" : error.text);
    }
    return is_added;
}

/* Keys of a generation stand beside those of the others. */
static bool add_keys(struct keyholder_process *process, const struct bundle *bundle,
                     uint32_t generation)
{
    process->taken_count = 0;
    for (size_t i = 0; i < bundle_count(bundle); i++) {
        const struct bundle_entry *entry = bundle_at(bundle, i);
        if (strncmp(entry->name, SNAPSHOT_KEY, strlen(SNAPSHOT_KEY)) != 0) {
            continue;
        }
        size_t index = strtoul(entry->name + strlen(SNAPSHOT_KEY), NULL, 10);
        if (index >= KEYHOLDER_KEYS_MAX || !add_key(process, bundle, entry, generation, index)) {
            return false;
        }
        process->taken_count = index + 1 > process->taken_count ? index + 1 : process->taken_count;
    }
    process->taken = generation;
    return true;
}

static bool open_keyholder(struct keyholder_process *process, const struct bundle *bundle,
                           uint32_t generation)
{
    const struct bundle_entry *secret = bundle_find(bundle, SNAPSHOT_TICKET_SECRET);
    bool has_secret = secret != NULL && secret_init(&process->ticket_secret, secret->len) &&
                      secret_set(&process->ticket_secret, secret->bytes, secret->len);
    const struct keyholder_settings settings = {
        .master_descriptor = SPAWN_CHANNEL,
        .on_master = on_master,
        .self = process,
        .ticket_secret = has_secret ? &process->ticket_secret : NULL,
    };
    struct crypto_error error = {{0}};
    process->keyholder = keyholder_new(&settings, &error);
    if (process->keyholder == NULL) {
        tell_failure(generation, GENERATION_NO_CERTIFICATE, error.text);
        return false;
    }
    return true;
}

/* The first one brings the ticket secret, which stays. */
static bool take_keys(struct keyholder_process *process, const struct channel_message *message)
{
    struct memory_file file;
    if (memory_file_map(&file, message->descriptors[0], BUNDLE_BYTES_MAX) != STATUS_OK) {
        tell_failure(message->number, GENERATION_NO_CERTIFICATE,
                     "the master's keys cannot be mapped");
        return false;
    }
    struct bundle *bundle = bundle_parse(file.bytes, file.len);
    memory_file_unmap(&file);
    bool is_taken =
        bundle != NULL &&
        (process->keyholder != NULL || open_keyholder(process, bundle, message->number)) &&
        add_keys(process, bundle, message->number);
    snapshot_wipe_bundle(bundle);
    return is_taken;
}

/* ---- generations ---- */

static void release(struct keyholder_process *process, uint32_t generation)
{
    keyholder_remove_keys(process->keyholder, generation_key_base(generation), KEYHOLDER_KEYS_MAX);
}

/* The master knows already why a bundle was not taken. */
static void prepare(struct keyholder_process *process, const struct channel_message *message)
{
    struct crypto_error error = {{0}};
    if (message->number != process->taken) {
        return;
    }
    if (!keyholder_grant(process->keyholder, generation_key_base(message->number),
                         process->taken_count, &error)) {
        tell_failure(message->number, GENERATION_NO_CERTIFICATE, error.text);
        return;
    }
    (void)!channel_send(SPAWN_CHANNEL, &(struct channel_message){.kind = CHANNEL_PREPARED,
                                                                 .number = message->number});
}

/* ---- the master ---- */

static uint32_t number_at(slice payload, size_t index)
{
    const uint8_t *at = (const uint8_t *)payload.at + sizeof(uint32_t) * index;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Returns how many; at most KEYHOLDER_HELD_MAX. */
static size_t read_ids(slice payload, uint32_t *ids)
{
    size_t count = 0;
    for (size_t i = 0; i + 1 < payload.len / sizeof(uint32_t); i += 2) {
        uint32_t first = number_at(payload, i);
        uint32_t more = number_at(payload, i + 1);
        for (uint32_t j = 0; j < more && count < KEYHOLDER_HELD_MAX; j++) {
            ids[count++] = first + j;
        }
    }
    return count;
}

/* The master knows its worker by the number; the worker sees its channel end. */
static void take_worker(struct keyholder_process *process, const struct channel_message *message)
{
    struct crypto_error error = {"out of memory"};
    uint32_t *ids = calloc(KEYHOLDER_HELD_MAX, sizeof(*ids));
    if (ids == NULL) {
        (void)close(message->descriptors[0]);
    } else if (keyholder_add_worker(process->keyholder, message->number, message->descriptors[0],
                                    ids, read_ids(message->payload, ids), &error)) {
        error.text[0] = '\0';
    }
    free(ids);
    if (error.text[0] != '\0') {
        (void)!channel_send(SPAWN_CHANNEL,
                            &(struct channel_message){.kind = CHANNEL_REFUSED,
                                                      .number = message->number,
                                                      .payload = slice_of(error.text)});
    }
}

static void close_descriptors(const struct channel_message *message)
{
    for (size_t i = 0; i < message->descriptor_count; i++) {
        (void)close(message->descriptors[i]);
    }
}

/* The keys are loaded, and no worker was listened to yet. */
static bool enter_sandbox(const struct keyholder_process *process)
{
    struct sandbox_plan plan;
    sandbox_plan_keyholder(&plan);
    struct channel_message ready = {.kind = CHANNEL_READY};
    uint32_t lanes = process->keyholder == NULL ? 0 : keyholder_batch_lanes(process->keyholder);
    ready.number = sandbox_to_number(sandbox_enter(&plan)) | lanes << CHILD_LANES_SHIFT |
                   (process->is_locked ? CHILD_LOCKED : 0);
    return channel_send(SPAWN_CHANNEL, &ready) == STATUS_OK;
}

static bool act(struct keyholder_process *process, const struct channel_message *message)
{
    if (message->kind == CHANNEL_BUNDLE) {
        bool is_taken = take_keys(process, message);
        close_descriptors(message);
        return is_taken || process->is_open; /* at the start it is fatal */
    }
    if (message->kind == CHANNEL_WORKER && process->keyholder != NULL) {
        take_worker(process, message);
        return true;
    }
    close_descriptors(message);
    if (message->kind == CHANNEL_START) {
        process->is_open = true;
        return enter_sandbox(process);
    }
    if (process->keyholder != NULL && message->kind == CHANNEL_PREPARE) {
        prepare(process, message);
    } else if (process->keyholder != NULL &&
               (message->kind == CHANNEL_RELEASE || message->kind == CHANNEL_ROLLBACK)) {
        release(process, message->number);
    }
    return true;
}

/* Reads all that is there. False: over. */
static bool read_master(struct keyholder_process *process)
{
    for (;;) {
        struct channel_message message;
        enum status status =
            channel_receive(SPAWN_CHANNEL, CHANNEL_MASTER, process->packet, &message);
        if (status == STATUS_AGAIN) {
            return true;
        }
        if (status != STATUS_OK || !act(process, &message)) {
            process->is_over = true;
            return false;
        }
    }
}

static bool on_master(void *self, struct keyholder *keyholder, int master_descriptor)
{
    (void)keyholder;
    (void)master_descriptor;
    return read_master(self);
}

/* Until the keys are here there is no keyholder to turn. */
static void wait_for_keys(struct keyholder_process *process)
{
    struct pollfd entry = {.fd = SPAWN_CHANNEL, .events = POLLIN};
    while (process->keyholder == NULL && !process->is_over) {
        if (poll(&entry, 1, -1) > 0) {
            (void)read_master(process);
        }
    }
}

int keyholder_process_run(size_t index)
{
    (void)index;
    static struct keyholder_process process;
    (void)wiped_memory_install();
    role_harden("keyholder");
    if (!role_is_checked()) {
        process.is_locked = keyholder_harden();
    }
    wait_for_keys(&process);
    if (!process.is_over) {
        keyholder_run(process.keyholder);
    }
    keyholder_free(process.keyholder);
    secret_fini(&process.ticket_secret);
    return 0;
}
