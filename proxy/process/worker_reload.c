/* proxy/process/worker_reload.c · SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "proxy/process/generation_number.h"
#include "proxy/process/log_settings.h"
#include "proxy/process/spawn.h"
#include "proxy/process/worker_state.h"

/* ---- what a generation is made of ---- */

static bool open_access_log(struct worker *worker, const struct config_log *settings)
{
    if (settings->access == CONFIG_LOG_ACCESS_OFF || worker->access_log != NULL) {
        return true;
    }
    worker->access_log = log_new_beside(worker->log, LOG_INFO, log_settings_format(settings));
    return worker->access_log != NULL;
}

static bool open_logs(struct worker *worker, const struct config_log *settings)
{
    if (worker->log == NULL) {
        worker->log = log_new(log_settings_level(settings), log_settings_format(settings),
                              SPAWN_LOG, worker->role);
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
    worker->keys = worker_keys_new(worker->loop, worker->log, worker->spent, worker_ask_for_keys,
                                   worker, &error);
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

void worker_take_bundle(struct worker *worker, const struct channel_message *message)
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
        worker_fail(worker, sentence);
        return;
    }
    worker_tell_failure(message->number, sentence);
}

/* False: not taken. */
bool worker_take_listeners(struct worker *worker, const struct channel_message *message)
{
    struct worker_generation *to = worker->next != NULL ? worker->next : worker->present;
    bool is_taken = to != NULL && (worker->next != NULL || worker->relay == NULL) &&
                    worker_generation_take_listeners(to, message);
    if (to != NULL && !is_taken && worker->relay == NULL) {
        worker_fail(worker, "out of memory");
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

struct relay_start worker_relay_start(struct worker *worker, struct worker_generation *generation)
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
void worker_drop_bundle(struct worker_generation *generation)
{
    bundle_free(generation->handed.bundle);
    generation->handed.bundle = NULL;
}

/* ---- the next generation ---- */

static bool is_next(const struct worker *worker, const struct channel_message *message)
{
    return worker->relay != NULL && worker->next != NULL && worker->next->number == message->number;
}

/* A sandbox is never widened, and some of what it forbids would end us. */
static bool is_covered(const struct worker *worker)
{
    struct sandbox_plan needed;
    sandbox_plan_worker(&needed, worker->next->handed.config);
    return sandbox_plan_covers(&worker->plan, &needed);
}

void worker_prepare(struct worker *worker, const struct channel_message *message)
{
    if (!is_next(worker, message)) {
        return; /* it was told why when its bundle came */
    }
    if (!is_covered(worker)) {
        worker_tell_failure(message->number,
                            "it needs more than the sandbox of the running workers allows "
                            "(`sandbox: exact`): another port of a server, a first name or unix "
                            "socket; expected a restart");
        forget_next(worker);
        return;
    }
    const struct relay_start relay_start = worker_relay_start(worker, worker->next);
    struct relay_error error = {{0}};
    if (relay_prepare(worker->relay, &relay_start, &error) != STATUS_OK) {
        worker_tell_failure(message->number,
                            error.text[0] == '\0' ? "the relay cannot be opened" : error.text);
        forget_next(worker);
        return;
    }
    worker_drop_bundle(worker->next);
    (void)!channel_send(SPAWN_CHANNEL, &(struct channel_message){.kind = CHANNEL_PREPARED,
                                                                 .number = message->number});
}

void worker_commit(struct worker *worker, const struct channel_message *message)
{
    if (!is_next(worker, message)) {
        return;
    }
    struct worker_generation *former = worker->present;
    const struct config_log *settings = &worker->next->handed.config->log;
    log_retune(worker->log, log_settings_level(settings), log_settings_format(settings));
    if (worker->access_log != NULL) {
        log_retune(worker->access_log, LOG_INFO, log_settings_format(settings));
    }
    relay_commit(worker->relay);
    worker->present = worker->next;
    worker->next = NULL;
    list_append(&worker->former, &former->link);
    worker_generation_close_listeners(former);
}

void worker_roll_back(struct worker *worker, const struct channel_message *message)
{
    if (is_next(worker, message)) {
        forget_next(worker);
    }
}

/* ---- former generations ---- */

/* Handshakes whose clients have gone wait for their answers still, and should the keyholder die
 * now, its successor is asked again. */
static bool is_released(const struct worker *worker, const struct worker_generation *former)
{
    return former->is_gone &&
           (worker->keys == NULL ||
            !key_client_wants_keys(worker_keys_client(worker->keys),
                                   generation_key_base(former->number), KEYHOLDER_KEYS_MAX));
}

void worker_tell_released(struct worker *worker)
{
    struct list_link *link = worker->former.head.next;
    while (link != &worker->former.head) {
        struct worker_generation *former = LIST_OBJECT(link, struct worker_generation, link);
        link = link->next;
        const struct channel_message message = {.kind = CHANNEL_RELEASED, .number = former->number};
        if (is_released(worker, former) && channel_send(SPAWN_CHANNEL, &message) == STATUS_OK) {
            worker_generation_free(former);
        }
    }
}
