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

#include "proxy/base/clock.h"
#include "proxy/net/timer.h"
#include "proxy/process/channel.h"
#include "proxy/process/generation_number.h"
#include "proxy/process/log_settings.h"
#include "proxy/process/memory_file.h"
#include "proxy/process/memory_trim.h"
#include "proxy/process/role.h"
#include "proxy/process/sandbox.h"
#include "proxy/process/slots.h"
#include "proxy/process/spawn.h"
#include "proxy/process/worker_generation.h"
#include "proxy/process/worker_keys.h"
#include "proxy/relay/relay.h"

enum { STAPLE_BYTES_MAX = 64 * 1024, TICK_MS = 1000 };

struct worker {
    char role[32]; /* "worker 1"; room for any number */
    struct loop *loop;
    struct watch channel;
    struct deadline tick;
    struct memory_trim trim;
    struct counters *counters;
    struct worker_generation *present;
    struct worker_generation *next; /* being prepared; NULL: none */
    struct list former;             /* of struct worker_generation */
    struct log *log;
    struct log *access_log;
    struct worker_keys *keys; /* NULL: the configuration has no certificate */
    struct relay *relay;
    struct sandbox_plan plan; /* what it is shut in with */
    uint32_t keys_taken;      /* channels to the keyholder, so far */
    uint64_t dropped_told;
    uint8_t packet[CHANNEL_PACKET_MAX];
};

static void tell_failure(const char *sentence)
{
    struct channel_message message = {.kind = CHANNEL_FAILED, .payload = slice_of(sentence)};
    if (message.payload.len > 1024) {
        message.payload.len = 1024;
    }
    (void)!channel_send(SPAWN_CHANNEL, &message);
}

/* Says why and ends: the master decides what follows. */
static void fail(struct worker *worker, const char *sentence)
{
    tell_failure(sentence);
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

/* Not at once: what was asked of the keyholder before is read there by now. */
static void tell_released(struct worker *worker)
{
    struct list_link *link = worker->former.head.next;
    while (link != &worker->former.head) {
        struct worker_generation *former = LIST_OBJECT(link, struct worker_generation, link);
        link = link->next;
        const struct channel_message message = {.kind = CHANNEL_RELEASED, .number = former->number};
        if (former->is_gone && channel_send(SPAWN_CHANNEL, &message) == STATUS_OK) {
            worker_generation_free(former);
        }
    }
}

static void on_tick(void *self)
{
    struct worker *worker = self;
    deadline_arm(&worker->tick, worker->loop, TICK_MS, on_tick, worker);
    tell_released(worker);
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
static void ask_for_keys(void *self)
{
    const struct worker *worker = self;
    struct channel_message message = {.kind = CHANNEL_NEED_KEYS, .number = worker->keys_taken};
    (void)!channel_send(SPAWN_CHANNEL, &message);
}

static bool open_access_log(struct worker *worker, const struct config_log *settings)
{
    if (settings->access == CONFIG_LOG_ACCESS_OFF || worker->access_log != NULL) {
        return true;
    }
    worker->access_log =
        log_new(LOG_INFO, log_settings_access_format(settings, SPAWN_LOG), SPAWN_LOG, worker->role);
    return worker->access_log != NULL;
}

static bool open_logs(struct worker *worker, const struct config_log *settings)
{
    if (worker->log == NULL) {
        worker->log = log_new(log_settings_level(settings),
                              log_settings_format(settings, SPAWN_LOG), SPAWN_LOG, worker->role);
    }
    return worker->log != NULL && open_access_log(worker, settings);
}

/* False, with a sentence that says why. */
static bool open_generation(struct worker *worker, struct worker_generation *generation,
                            const struct channel_message *message, char *sentence)
{
    struct handed_config *handed = &generation->handed;
    if (!handed_config_take(handed, message->descriptors[0], message->payload, sentence)) {
        return false;
    }
    if (!open_logs(worker, &handed->config->log)) {
        (void)snprintf(sentence, HANDED_CONFIG_SENTENCE_BYTES, "out of memory");
        return false;
    }
    if (handed->config->certificate_count == 0 || worker->keys != NULL) {
        return true;
    }
    struct crypto_error error = {{0}};
    worker->keys = worker_keys_new(worker->loop, worker->log, ask_for_keys, worker, &error);
    (void)snprintf(sentence, HANDED_CONFIG_SENTENCE_BYTES, "%s", error.text);
    return worker->keys != NULL;
}

static void forget_next(struct worker *worker)
{
    if (worker->relay != NULL) {
        relay_rollback(worker->relay);
    }
    worker_generation_free(worker->next);
    worker->next = NULL;
}

static void take_bundle(struct worker *worker, const struct channel_message *message)
{
    char sentence[HANDED_CONFIG_SENTENCE_BYTES] = "out of memory";
    bool is_first = worker->present == NULL;
    struct worker_generation *taken = worker_generation_new(message->number);
    forget_next(worker);
    bool is_open = taken != NULL && open_generation(worker, taken, message, sentence);
    if (is_open) {
        *(is_first ? &worker->present : &worker->next) = taken;
        return;
    }
    worker_generation_free(taken);
    if (is_first) {
        fail(worker, sentence);
        return;
    }
    tell_failure(sentence);
}

/* False: not taken. */
static bool take_listeners(struct worker *worker, const struct channel_message *message)
{
    struct worker_generation *to = worker->next != NULL ? worker->next : worker->present;
    bool is_taken = to != NULL && (worker->next != NULL || worker->relay == NULL) &&
                    worker_generation_take_listeners(to, message);
    if (to != NULL && !is_taken && worker->relay == NULL) {
        fail(worker, "out of memory");
    }
    return is_taken;
}

static void on_gone(void *self, const struct config *config)
{
    struct worker_generation *generation = self;
    (void)config;
    handed_config_fini(&generation->handed);
    generation->is_gone = true;
}

static struct relay_start relay_start_of(struct worker *worker,
                                         struct worker_generation *generation)
{
    return (struct relay_start){
        .loop = worker->loop,
        .config = generation->handed.config,
        .bundle = generation->handed.bundle,
        .key_client = worker->keys == NULL ? NULL : worker_keys_client(worker->keys),
        .key_provider = worker->keys == NULL ? NULL : worker_keys_provider(worker->keys),
        .tickets = worker->keys == NULL ? NULL : worker_keys_tickets(worker->keys),
        .key_base = generation_key_base(generation->number),
        .log = worker->log,
        .access_log = worker->access_log,
        .counters = worker->counters,
        .descriptors = generation->listeners,
        .descriptor_count = generation->listener_count,
        .on_gone = on_gone,
        .self = generation,
    };
}

/* Certificates and authorities are objects by now, their files can go. */
static void drop_bundle(struct worker_generation *generation)
{
    bundle_free(generation->handed.bundle);
    generation->handed.bundle = NULL;
}

/* All that it needs is open, and no conn was accepted yet. */
static void enter_sandbox(struct worker *worker)
{
    struct channel_message ready = {.kind = CHANNEL_READY};
    sandbox_plan_worker(&worker->plan, worker->present->handed.config);
    ready.number = sandbox_to_number(sandbox_enter(&worker->plan));
    if (channel_send(SPAWN_CHANNEL, &ready) != STATUS_OK) {
        loop_stop(worker->loop);
    }
}

static void start(struct worker *worker)
{
    if (worker->present == NULL || worker->relay != NULL) {
        return;
    }
    const struct relay_start relay_start = relay_start_of(worker, worker->present);
    struct relay_error error = {{0}};
    if (relay_open(&worker->relay, &relay_start, &error) != STATUS_OK) {
        worker->relay = NULL;
        fail(worker, error.text[0] == '\0' ? "the relay cannot be opened" : error.text);
        return;
    }
    drop_bundle(worker->present);
    enter_sandbox(worker);
}

/* ---- the next generation ---- */

static bool is_next(const struct worker *worker, const struct channel_message *message)
{
    return worker->relay != NULL && worker->next != NULL && worker->next->number == message->number;
}

static void prepare(struct worker *worker, const struct channel_message *message)
{
    if (!is_next(worker, message)) {
        return; /* it was told why when its bundle came */
    }
    struct sandbox_plan needed;
    sandbox_plan_worker(&needed, worker->next->handed.config);
    if (!sandbox_plan_covers(&worker->plan, &needed)) {
        tell_failure("it needs more than the sandbox of the running workers allows (`sandbox: "
                     "exact`): another port of a server, a first name or unix socket; expected a "
                     "restart");
        forget_next(worker);
        return;
    }
    const struct relay_start relay_start = relay_start_of(worker, worker->next);
    struct relay_error error = {{0}};
    if (relay_prepare(worker->relay, &relay_start, &error) != STATUS_OK) {
        tell_failure(error.text[0] == '\0' ? "the relay cannot be opened" : error.text);
        forget_next(worker);
        return;
    }
    drop_bundle(worker->next);
    (void)!channel_send(SPAWN_CHANNEL, &(struct channel_message){.kind = CHANNEL_PREPARED,
                                                                 .number = message->number});
}

static void commit(struct worker *worker, const struct channel_message *message)
{
    if (!is_next(worker, message)) {
        return;
    }
    struct worker_generation *former = worker->present;
    const struct config_log *settings = &worker->next->handed.config->log;
    log_retune(worker->log, log_settings_level(settings), log_settings_format(settings, SPAWN_LOG));
    relay_commit(worker->relay);
    worker->present = worker->next;
    worker->next = NULL;
    list_append(&worker->former, &former->link);
    worker_generation_close_listeners(former);
}

static void roll_back(struct worker *worker, const struct channel_message *message)
{
    if (is_next(worker, message)) {
        forget_next(worker);
    }
}

static void on_drained(void *self)
{
    struct worker *worker = self;
    (void)!channel_send_kind(SPAWN_CHANNEL, CHANNEL_DRAINED);
    loop_stop(worker->loop);
}

static void drain(struct worker *worker)
{
    if (worker->relay == NULL) {
        on_drained(worker);
        return;
    }
    relay_drain(worker->relay, on_drained, worker);
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
        if (take_listeners(worker, message)) {
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
        take_bundle(worker, message);
        break;
    case CHANNEL_START:
        start(worker);
        break;
    case CHANNEL_DRAIN:
        drain(worker);
        break;
    case CHANNEL_STAPLE:
        take_staple(worker, message);
        break;
    case CHANNEL_LOG:
        take_log(message);
        break;
    case CHANNEL_PREPARE:
        prepare(worker, message);
        break;
    case CHANNEL_COMMIT:
        commit(worker, message);
        break;
    case CHANNEL_ROLLBACK:
        roll_back(worker, message);
        break;
    case CHANNEL_WORKER:
    case CHANNEL_RELEASE:
    case CHANNEL_PREPARED:
    case CHANNEL_RELEASED:
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
    worker->loop = loop_new();
    if (worker->counters == NULL || worker->loop == NULL) {
        tell_failure("the worker has no memory to start in");
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
