/* proxy/process/gossip_process.c
 *
 *     BUNDLE      configuration; log
 *     KEYRING     kept until START; afterwards: the sidecar takes it
 *     START       sidecar_open, into the sandbox, then READY
 *     (end)       the master has closed the channel: over
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/gossip_process.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "proxy/gossip/sidecar.h"
#include "proxy/process/channel.h"
#include "proxy/process/handed_config.h"
#include "proxy/process/log_settings.h"
#include "proxy/process/memory_file.h"
#include "proxy/process/role.h"
#include "proxy/process/sandbox.h"
#include "proxy/process/spawn.h"

struct gossip_process {
    char role[32]; /* "gossip 1" */
    size_t index;  /* of the cluster, from 0 */
    struct loop *loop;
    struct watch channel;
    struct handed_config handed;
    struct log *log;
    struct secret keyring; /* its text, until there is a sidecar */
    struct peer_pages *pages;
    struct sidecar *sidecar;
    uint8_t packet[CHANNEL_PACKET_MAX];
};

/* Says why and ends: the master decides what follows. */
static void fail(struct gossip_process *process, const char *sentence)
{
    struct channel_message message = {.kind = CHANNEL_FAILED, .payload = slice_of(sentence)};
    if (message.payload.len > CHANNEL_PAYLOAD_MAX) {
        message.payload.len = CHANNEL_PAYLOAD_MAX;
    }
    (void)!channel_send(SPAWN_CHANNEL, &message);
    loop_stop(process->loop);
}

static void on_turn_end(void *self)
{
    struct gossip_process *process = self;
    if (process->log != NULL) {
        log_flush(process->log);
    }
}

/* ---- what the master sends ---- */

static void take_bundle(struct gossip_process *process, const struct channel_message *message)
{
    char sentence[HANDED_CONFIG_SENTENCE_BYTES];
    if (process->handed.config != NULL) {
        return;
    }
    if (!handed_config_take(&process->handed, message->descriptors[0], message->payload,
                            sentence)) {
        fail(process, sentence);
        return;
    }
    const struct config *config = process->handed.config;
    if (process->index >= config->gossip_count) {
        fail(process, "there is no such cluster in the configuration");
        return;
    }
    process->log = log_new(log_settings_level(&config->log), log_settings_format(&config->log),
                           SPAWN_LOG, process->role);
    if (process->log == NULL) {
        fail(process, "out of memory");
    }
}

static void take_keyring(struct gossip_process *process, int descriptor)
{
    struct memory_file file;
    if (memory_file_map(&file, descriptor, KEYRING_TEXT_BYTES_MAX) != STATUS_OK) {
        fail(process, "the master's keyring cannot be mapped");
        return;
    }
    if (process->sidecar != NULL) {
        sidecar_set_keyring(process->sidecar, (struct bytes){file.bytes, file.len});
    } else if (!secret_init(&process->keyring, KEYRING_TEXT_BYTES_MAX) ||
               !secret_set(&process->keyring, file.bytes, file.len)) {
        fail(process, "out of memory");
    }
    memory_file_unmap(&file);
}

/* All sockets are open, and nothing was received yet. */
static void enter_sandbox(struct gossip_process *process)
{
    struct sandbox_plan plan;
    sandbox_plan_gossip(&plan, &process->handed.config->gossip[process->index]);
    struct channel_message ready = {.kind = CHANNEL_READY};
    ready.number = sandbox_to_number(sandbox_enter(&plan));
    if (channel_send(SPAWN_CHANNEL, &ready) != STATUS_OK) {
        loop_stop(process->loop);
    }
}

static void start(struct gossip_process *process)
{
    char error[SIDECAR_ERROR_BYTES];
    if (process->handed.config == NULL || process->sidecar != NULL) {
        return;
    }
    const struct sidecar_start begin = {
        .settings = &process->handed.config->gossip[process->index],
        .loop = process->loop,
        .log = process->log,
        .pages = process->pages,
        .keyring = {secret_bytes(&process->keyring), secret_len(&process->keyring)},
    };
    enum status status = sidecar_open(&process->sidecar, &begin, error);
    secret_fini(&process->keyring);
    if (status != STATUS_OK) {
        fail(process, error);
    } else {
        enter_sandbox(process);
    }
}

static void act(struct gossip_process *process, const struct channel_message *message)
{
    if (message->kind == CHANNEL_BUNDLE) {
        take_bundle(process, message);
    } else if (message->kind == CHANNEL_KEYRING) {
        take_keyring(process, message->descriptors[0]);
    } else if (message->kind == CHANNEL_START) {
        start(process);
    } else if (message->kind == CHANNEL_LOG) {
        (void)dup3(message->descriptors[0], SPAWN_LOG, O_CLOEXEC);
    }
    for (size_t i = 0; i < message->descriptor_count; i++) {
        (void)close(message->descriptors[i]);
    }
}

static void on_channel(void *self, unsigned events)
{
    (void)events;
    struct gossip_process *process = self;
    struct channel_message message;
    enum status status = channel_receive(SPAWN_CHANNEL, CHANNEL_MASTER, process->packet, &message);
    if (status == STATUS_OK) {
        act(process, &message);
    } else if (status != STATUS_AGAIN) {
        loop_stop(process->loop); /* the master is gone, or wants us to */
    }
}

/* ---- the process ---- */

static bool open_process(struct gossip_process *process, size_t index)
{
    (void)snprintf(process->role, sizeof(process->role), "gossip %zu", index);
    process->index = index - 1;
    role_harden(process->role);
    process->pages = peer_pages_map(SPAWN_SLOTS, true);
    (void)close(SPAWN_SLOTS);
    process->loop = loop_new();
    if (process->pages == NULL || process->loop == NULL) {
        return false;
    }
    loop_at_turn_end(process->loop, on_turn_end, process);
    return watch_open_level(&process->channel, process->loop, SPAWN_CHANNEL, WATCH_READ, on_channel,
                            process) == STATUS_OK;
}

static void close_process(struct gossip_process *process)
{
    sidecar_close(process->sidecar);
    secret_fini(&process->keyring);
    watch_close(&process->channel);
    loop_free(process->loop);
    peer_pages_unmap(process->pages);
    log_free(process->log);
    handed_config_fini(&process->handed);
}

int gossip_process_run(size_t index)
{
    static struct gossip_process process;
    if (index == 0 || !open_process(&process, index)) {
        return 2;
    }
    loop_run(process.loop);
    close_process(&process);
    return 0;
}
