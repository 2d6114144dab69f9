/* proxy/process/worker_process.c
 *
 * The start of a worker, message by message:
 *
 *     BUNDLE      configuration from the bundle; log; key provider
 *     KEYS        channel to the keyholder (again, whenever there is a new keyholder)
 *     LISTENERS   listening sockets, in parts
 *     START       relay_open, into the sandbox, then READY
 *     DRAIN       relay_drain, then DRAINED and the end
 *
 * A reload is BUNDLE and LISTENERS again, then PREPARE (relay_prepare, then PREPARED), then COMMIT
 * or ROLLBACK; later RELEASED for the former generation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/worker_process.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/spent_tickets.h"
#include "proxy/base/clock.h"
#include "proxy/net/timer.h"
#include "proxy/process/channel.h"
#include "proxy/process/child.h"
#include "proxy/process/generation_number.h"
#include "proxy/process/log_settings.h"
#include "proxy/process/memory_file.h"
#include "proxy/process/memory_trim.h"
#include "proxy/process/role.h"
#include "proxy/process/sandbox.h"
#include "proxy/process/slots.h"
#include "proxy/process/spawn.h"
#include "proxy/process/worker_state.h"
#include "proxy/relay/relay.h"

enum { STAPLE_BYTES_MAX = 64 * 1024, TICK_MS = 1000 };

void worker_tell_failure(uint32_t generation, const char *sentence)
{
    struct channel_message message = {
        .kind = CHANNEL_FAILED,
        .number = generation_failure(generation, GENERATION_NO_CERTIFICATE),
        .payload = slice_of(sentence),
    };
    if (message.payload.len > CHANNEL_PAYLOAD_MAX) {
        message.payload.len = CHANNEL_PAYLOAD_MAX;
    }
    (void)!channel_send(SPAWN_CHANNEL, &message);
}

/* Says why and ends: the master decides what follows. */
void worker_fail(struct worker *worker, const char *sentence)
{
    worker_tell_failure(0, sentence);
    loop_stop(worker->loop);
}

/* ---- turns and ticks ---- */

static void on_turn_end(void *self)
{
    struct worker *worker = self;
    if (worker->keys != NULL) {
        worker_keys_flush(worker->keys);
    }
    if (worker->log != NULL) {
        log_flush(worker->log);
    }
    if (worker->access_log != NULL) {
        log_flush(worker->access_log);
    }
}

static void count_dropped_lines(struct worker *worker)
{
    uint64_t dropped = worker->log == NULL ? 0 : log_dropped(worker->log);
    dropped += worker->access_log == NULL ? 0 : log_dropped(worker->access_log);
    counter_add(worker->counters, COUNTER_LOG_LINES_DROPPED, dropped - worker->dropped_told);
    worker->dropped_told = dropped;
}

static void on_tick(void *self)
{
    struct worker *worker = self;
    deadline_arm(&worker->tick, worker->loop, TICK_MS, on_tick, worker);
    worker_tell_released(worker);
    if (worker->keys != NULL) {
        worker_keys_tick(worker->keys);
    }
    count_dropped_lines(worker);
    uint64_t conns = counter_get(worker->counters, COUNTER_CONNS_OPEN);
    if (memory_trim_is_due(&worker->trim, conns, loop_now_ms(worker->loop))) {
        (void)malloc_trim(0);
    }
}

/* ---- what the master sends ---- */

/* The number tells the master which channel ended: it may have sent the next one already. */
void worker_ask_for_keys(void *self)
{
    const struct worker *worker = self;
    struct channel_message message = {.kind = CHANNEL_NEED_KEYS, .number = worker->keys_taken};
    (void)!channel_send(SPAWN_CHANNEL, &message);
}

/* All that it needs is open, and no conn was accepted yet. */
static void enter_sandbox(struct worker *worker)
{
    struct channel_message ready = {.kind = CHANNEL_READY};
    sandbox_plan_worker(&worker->plan, worker->present->handed.config);
    uint32_t lanes = worker->keys == NULL ? 0 : worker_keys_agreement_lanes(worker->keys);
    ready.number = sandbox_to_number(sandbox_enter(&worker->plan)) | lanes << CHILD_LANES_SHIFT;
    if (channel_send(SPAWN_CHANNEL, &ready) != STATUS_OK) {
        loop_stop(worker->loop);
    }
}

static void start(struct worker *worker)
{
    if (worker->present == NULL || worker->relay != NULL) {
        return;
    }
    const struct relay_start relay_start = worker_relay_start(worker, worker->present);
    struct relay_error error = {{0}};
    if (relay_open(&worker->relay, &relay_start, &error) != STATUS_OK) {
        worker->relay = NULL;
        worker_fail(worker, error.text[0] == '\0' ? "the relay cannot be opened" : error.text);
        return;
    }
    worker_drop_bundle(worker->present);
    enter_sandbox(worker);
}

static void on_drained(void *self)
{
    struct worker *worker = self;
    (void)!channel_send_kind(SPAWN_CHANNEL, CHANNEL_DRAINED);
    loop_stop(worker->loop);
}

static void drain(struct worker *worker, const struct channel_message *message)
{
    if (worker->relay == NULL) {
        on_drained(worker);
        return;
    }
    (message->number == 1 ? relay_wind_down : relay_drain)(worker->relay, on_drained, worker);
    worker_generation_close_listeners(worker->present);
}

static void take_staple(struct worker *worker, const struct channel_message *message)
{
    struct memory_file file;
    if (worker->relay == NULL ||
        memory_file_map(&file, message->descriptors[0], STAPLE_BYTES_MAX) != STATUS_OK) {
        return;
    }
    relay_staple(worker->relay, message->number, (slice){(const char *)file.bytes, file.len});
    memory_file_unmap(&file);
}

/* The number stays the same, so whoever holds it writes to the new file. */
static void take_log(const struct channel_message *message)
{
    (void)dup3(message->descriptors[0], SPAWN_LOG, O_CLOEXEC);
}

static void close_descriptors(const struct channel_message *message)
{
    for (size_t i = 0; i < message->descriptor_count; i++) {
        (void)close(message->descriptors[i]);
    }
}

static void act(struct worker *worker, const struct channel_message *message)
{
    switch (message->kind) {
    case CHANNEL_LISTENERS:
        if (worker_take_listeners(worker, message)) {
            return; /* they stay open */
        }
        break;
    case CHANNEL_KEYS:
        if (worker->keys != NULL) {
            worker->keys_taken++;
            worker_keys_attach(worker->keys, message->descriptors[0]);
            return;
        }
        break;
    case CHANNEL_BUNDLE:
        worker_take_bundle(worker, message);
        break;
    case CHANNEL_START:
        start(worker);
        break;
    case CHANNEL_DRAIN:
        drain(worker, message);
        break;
    case CHANNEL_STAPLE:
        take_staple(worker, message);
        break;
    case CHANNEL_LOG:
        take_log(message);
        break;
    case CHANNEL_PREPARE:
        worker_prepare(worker, message);
        break;
    case CHANNEL_COMMIT:
        worker_commit(worker, message);
        break;
    case CHANNEL_ROLLBACK:
        worker_roll_back(worker, message);
        break;
    case CHANNEL_WORKER:
    case CHANNEL_RELEASE:
    case CHANNEL_PREPARED:
    case CHANNEL_RELEASED:
    case CHANNEL_REFUSED:
    case CHANNEL_ASK:
    case CHANNEL_KEYRING:
    case CHANNEL_READY:
    case CHANNEL_FAILED:
    case CHANNEL_DRAINED:
    case CHANNEL_NEED_KEYS:
    case CHANNEL_ANSWER:
    case CHANNEL_KINDS:
        break;
    }
    close_descriptors(message);
}

static void on_channel(void *self, unsigned events)
{
    (void)events;
    struct worker *worker = self;
    struct channel_message message;
    enum status status = channel_receive(SPAWN_CHANNEL, CHANNEL_MASTER, worker->packet, &message);
    if (status == STATUS_OK) {
        act(worker, &message);
    } else if (status != STATUS_AGAIN) {
        loop_stop(worker->loop); /* the master is gone */
    }
}

/* ---- the process ---- */

static bool open_worker(struct worker *worker, size_t index)
{
    (void)snprintf(worker->role, sizeof(worker->role), "worker %zu", index);
    list_init(&worker->former);
    role_harden(worker->role);
    worker->counters = slots_attach(SPAWN_SLOTS, index - 1);
    (void)close(SPAWN_SLOTS);
    worker->spent = spent_tickets_attach(SPAWN_SPENT);
    (void)close(SPAWN_SPENT);
    worker->loop = loop_new();
    if (worker->counters == NULL || worker->spent == NULL || worker->loop == NULL) {
        worker_tell_failure(0, "the worker has no memory to start in");
        return false;
    }
    loop_at_turn_end(worker->loop, on_turn_end, worker);
    deadline_arm(&worker->tick, worker->loop, TICK_MS, on_tick, worker);
    return watch_open_level(&worker->channel, worker->loop, SPAWN_CHANNEL, WATCH_READ, on_channel,
                            worker) == STATUS_OK;
}

static void close_worker(struct worker *worker)
{
    relay_free(worker->relay);
    watch_close(&worker->channel);
    deadline_disarm(&worker->tick);
    worker_keys_free(worker->keys);
    loop_free(worker->loop);
    log_free(worker->access_log);
    log_free(worker->log);
    spent_tickets_detach(worker->spent);
    worker_generation_free(worker->next);
    worker_generation_free(worker->present);
    for (struct list_link *link = list_first(&worker->former); link != NULL;
         link = list_first(&worker->former)) {
        worker_generation_free(LIST_OBJECT(link, struct worker_generation, link));
    }
}

int worker_process_run(size_t index)
{
    static struct worker worker;
    if (index == 0) {
        return 2;
    }
    if (open_worker(&worker, index)) {
        loop_run(worker.loop);
    }
    close_worker(&worker);
    return 0;
}
