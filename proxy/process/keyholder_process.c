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
#include "proxy/process/channel.h"
#include "proxy/process/memory_file.h"
#include "proxy/process/role.h"
#include "proxy/process/snapshot.h"
#include "proxy/process/spawn.h"

struct keyholder_process {
    struct keyholder *keyholder;
    struct secret ticket_secret;
    uint8_t packet[CHANNEL_PACKET_MAX];
    bool is_over;
};

static bool on_master(void *self, struct keyholder *keyholder, int master_descriptor);

/* `number` is the index of the certificate that it is about. */
static void tell_failure(uint32_t number, const char *sentence)
{
    struct channel_message message = {
        .kind = CHANNEL_FAILED, .number = number, .payload = slice_of(sentence)};
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
                    const struct bundle_entry *entry, size_t index)
{
    struct secret password = {0};
    struct crypto_error error = {{0}};
    bool is_added = add_password(&password, bundle, index) &&
                    keyholder_add_key(process->keyholder, (uint32_t)index, entry->bytes, entry->len,
                                      secret_len(&password) > 0 ? &password : NULL, &error);
    secret_fini(&password);
    if (!is_added) {
        tell_failure((uint32_t)index, error.text[0] == '\0' ? "out of memory" : error.text);
    }
    return is_added;
}

static bool add_keys(struct keyholder_process *process, const struct bundle *bundle)
{
    for (size_t i = 0; i < bundle_count(bundle); i++) {
        const struct bundle_entry *entry = bundle_at(bundle, i);
        if (strncmp(entry->name, SNAPSHOT_KEY, strlen(SNAPSHOT_KEY)) != 0) {
            continue;
        }
        size_t index = strtoul(entry->name + strlen(SNAPSHOT_KEY), NULL, 10);
        if (!add_key(process, bundle, entry, index)) {
            return false;
        }
    }
    return true;
}

static bool open_keyholder(struct keyholder_process *process, const struct bundle *bundle)
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
        tell_failure(UINT32_MAX, error.text);
        return false;
    }
    return add_keys(process, bundle);
}

static bool take_keys(struct keyholder_process *process, int descriptor)
{
    struct memory_file file;
    if (memory_file_map(&file, descriptor, BUNDLE_BYTES_MAX) != STATUS_OK) {
        tell_failure(UINT32_MAX, "the master's keys cannot be mapped");
        return false;
    }
    struct bundle *bundle = bundle_parse(file.bytes, file.len);
    memory_file_unmap(&file);
    bool is_open = bundle != NULL && open_keyholder(process, bundle);
    snapshot_wipe_bundle(bundle);
    return is_open;
}

/* ---- the master ---- */

static bool take_worker(struct keyholder_process *process, const struct channel_message *message)
{
    size_t count = message->payload.len / sizeof(uint32_t);
    uint32_t *ids = calloc(count + 1, sizeof(*ids));
    if (ids == NULL) {
        (void)close(message->descriptors[0]);
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = (const uint8_t *)message->payload.at + 4 * i;
        ids[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    struct crypto_error error = {{0}};
    if (!keyholder_add_worker(process->keyholder, message->descriptors[0], ids, count, &error)) {
        tell_failure(UINT32_MAX, error.text);
    }
    free(ids);
    return true;
}

static enum status tell_ready(const struct keyholder_process *process)
{
    struct channel_message message = {.kind = CHANNEL_READY};
    message.number = process->keyholder == NULL ? 0 : keyholder_batch_lanes(process->keyholder);
    return channel_send(SPAWN_CHANNEL, &message);
}

static void close_descriptors(const struct channel_message *message)
{
    for (size_t i = 0; i < message->descriptor_count; i++) {
        (void)close(message->descriptors[i]);
    }
}

static bool act(struct keyholder_process *process, const struct channel_message *message)
{
    if (message->kind == CHANNEL_BUNDLE && process->keyholder == NULL) {
        bool is_taken = take_keys(process, message->descriptors[0]);
        close_descriptors(message);
        return is_taken;
    }
    if (message->kind == CHANNEL_WORKER && process->keyholder != NULL) {
        return take_worker(process, message);
    }
    close_descriptors(message);
    return message->kind != CHANNEL_START || tell_ready(process) == STATUS_OK;
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
    role_harden("keyholder");
    if (!role_is_checked()) {
        (void)keyholder_harden();
    }
    wait_for_keys(&process);
    if (!process.is_over) {
        keyholder_run(process.keyholder);
    }
    keyholder_free(process.keyholder);
    secret_fini(&process.ticket_secret);
    return 0;
}
