/* proxy/process/staples.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/staples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "config/bundle.h"
#include "crypto/certificate.h"
#include "crypto/error.h"
#include "proxy/process/generation_number.h"
#include "proxy/process/memory_file.h"
#include "proxy/process/staple.h"

enum {
    TICK_MS = 1000,
    FETCH_MS = 20000, /* a fetcher that takes longer is killed */
};

struct staples {
    struct roster *roster;
    const struct config *config;
    uint32_t key_base; /* of its generation */
    struct child fetcher;
    struct deadline tick;
    struct deadline patience;
    struct staple *asking; /* whom the running fetcher asks for; NULL: none runs */
    size_t count;
    struct staple at[];
};

static struct log *log_of(const struct staples *staples)
{
    return staples->roster->supplies.log;
}

static const char *name_of(const struct staples *staples, const struct staple *staple)
{
    return staples->config->certificates[staple->index].name;
}

/* ---- workers ---- */

static struct channel_message staple_message(const struct staples *staples,
                                             const struct staple *staple)
{
    struct channel_message message = channel_message_with(CHANNEL_STAPLE, staple->response);
    message.number = staples->key_base + (uint32_t)staple->index;
    return message;
}

void staples_give(struct staples *staples, struct child *worker)
{
    for (size_t i = 0; staples != NULL && i < staples->count; i++) {
        const struct staple *staple = &staples->at[i];
        if (staple->response >= 0 && staple->facts.usable_until > time(NULL)) {
            struct channel_message message = staple_message(staples, staple);
            (void)child_send(worker, &message);
        }
    }
}

/* ---- asking ---- */

/* 0 is as good as any where the kernel has none. */
static uint32_t chance(void)
{
    uint32_t number = 0;
    (void)!getrandom(&number, sizeof(number), GRND_NONBLOCK);
    return number;
}

/* Its clients are the ones that notice. */
static void tell_unmet(const struct staples *staples, const struct staple *staple, time_t now)
{
    if (certificate_facts(staple->certificate)->must_staple &&
        staple_state(staple, now) != STAPLE_GOOD) {
        LOG_EVENT(log_of(staples), LOG_ERROR, "must_staple_unmet",
                  log_text("certificate", name_of(staples, staple)),
                  log_text("effect", "it demands a stapled response (RFC 7633), and clients that "
                                     "heed it refuse it without"));
    }
}

static void retry(struct staples *staples, struct staple *staple, const char *why)
{
    time_t now = time(NULL);
    int64_t seconds = staple_schedule_note_failure(&staple->schedule, now, chance());
    LOG_EVENT(log_of(staples), LOG_WARN, "ocsp_failed",
              log_text("certificate", name_of(staples, staple)), log_text("reason", why),
              log_number("retry_seconds", seconds));
    tell_unmet(staples, staple, now);
}

static void tell_kept(const struct staples *staples, const struct staple *staple)
{
    bool is_good = staple->facts.status == OCSP_GOOD;
    LOG_EVENT(log_of(staples), is_good ? LOG_INFO : LOG_ERROR, "ocsp_response",
              log_text("certificate", name_of(staples, staple)),
              log_text("status", ocsp_status_name(staple->facts.status)),
              log_number("next_update", (int64_t)staple->facts.next_update),
              log_text("effect", is_good ? "it is stapled"
                                         : "nothing is stapled any more: get another certificate"));
}

/* Takes the descriptor. */
static void on_answer(struct staples *staples, struct staple *staple, int descriptor)
{
    struct crypto_error error = {{0}};
    time_t now = time(NULL);
    if (!staple_take(staple, descriptor, now, &error)) {
        retry(staples, staple, error.text);
        return;
    }
    staple_schedule_note_answer(&staple->schedule, staple->facts.refresh_at,
                                staple->facts.usable_until, now, chance());
    tell_kept(staples, staple);
    tell_unmet(staples, staple, now);
    struct channel_message message = staple_message(staples, staple);
    roster_tell_workers(staples->roster, &message);
}

static void on_message(void *self, struct child *child, const struct channel_message *message)
{
    (void)child;
    struct staples *staples = self;
    struct staple *staple = staples->asking;
    staples->asking = NULL; /* one answer a fetcher */
    if (message->kind == CHANNEL_ANSWER && staple != NULL) {
        on_answer(staples, staple, message->descriptors[0]);
        return;
    }
    for (size_t i = 0; i < message->descriptor_count; i++) {
        (void)close(message->descriptors[i]);
    }
    if (staple != NULL) {
        char why[200] = "the fetcher says what it has no word for";
        if (message->kind == CHANNEL_FAILED) {
            (void)snprintf(why, sizeof(why), "%.*s", SLICE_FORMAT(message->payload));
        }
        retry(staples, staple, why);
    }
}

static void on_garbage(void *self, struct child *child)
{
    (void)self; /* its end is a failure like any other */
    (void)child;
}

static void on_patience(void *self)
{
    struct staples *staples = self;
    child_kill(&staples->fetcher);
}

static void ask(struct staples *staples, struct staple *staple)
{
    const struct roster_supplies *supplies = &staples->roster->supplies;
    const char *url = certificate_facts(staple->certificate)->ocsp_url;
    struct crypto_error error = {"the request cannot be made"};
    int request = staple_request(staple, &error);
    struct spawn_order order = {.log = supplies->log_descriptor,
                                .slots = -1,
                                .spent = -1,
                                .account = &supplies->accounts->worker,
                                .sends_files = true};
    if (request < 0 || child_start(&staples->fetcher, &order) != STATUS_OK) {
        retry(staples, staple, error.text);
    } else {
        struct channel_message message = {.kind = CHANNEL_ASK,
                                          .payload = slice_of(url),
                                          .descriptors = {request},
                                          .descriptor_count = 1};
        (void)child_send(&staples->fetcher, &message);
        staples->asking = staple;
        deadline_arm(&staples->patience, supplies->loop, FETCH_MS, on_patience, staples);
    }
    if (request >= 0) {
        (void)close(request);
    }
}

bool staples_on_exit(struct staples *staples, pid_t pid)
{
    if (staples == NULL || staples->fetcher.pid != pid) {
        return false;
    }
    child_on_exit(&staples->fetcher);
    deadline_disarm(&staples->patience);
    if (staples->asking != NULL) {
        retry(staples, staples->asking, "the fetcher ended without an answer");
        staples->asking = NULL;
    }
    return true;
}

static void on_tick(void *self)
{
    struct staples *staples = self;
    time_t now = time(NULL);
    deadline_arm(&staples->tick, staples->roster->supplies.loop, TICK_MS, on_tick, staples);
    for (size_t i = 0; i < staples->count && child_is_down(&staples->fetcher); i++) {
        if (staple_schedule_is_due(&staples->at[i].schedule, now)) {
            ask(staples, &staples->at[i]);
            return;
        }
    }
}

/* ---- opening ---- */

static bool wants_staple(const struct config_certificate *own)
{
    return own->ocsp.path == NULL && config_certificate_staples(own);
}

static void add(struct staples *staples, const struct bundle *bundle, size_t index)
{
    const struct config_certificate *own = &staples->config->certificates[index];
    const struct bundle_entry *entry = bundle_find(bundle, own->chain.path);
    struct crypto_error error = {"the chain is not there"};
    struct certificate *certificate =
        entry == NULL ? NULL
                      : certificate_read((struct bytes){entry->bytes, entry->len}, NULL, &error);
    const char *why = certificate == NULL ? error.text : staple_why_not(certificate);
    if (why != NULL) {
        LOG_EVENT(log_of(staples), LOG_WARN, "ocsp_unavailable", log_text("certificate", own->name),
                  log_text("reason", why));
        certificate_unref(certificate);
        return;
    }
    staples->at[staples->count++] =
        (struct staple){.index = index, .certificate = certificate, .response = -1};
}

static struct bundle *parse_bundle(const struct live_generation *generation)
{
    struct memory_file file;
    if (memory_file_map(&file, generation->snapshot.worker_file, BUNDLE_BYTES_MAX) != STATUS_OK) {
        return NULL;
    }
    struct bundle *bundle = bundle_parse(file.bytes, file.len);
    memory_file_unmap(&file);
    return bundle;
}

static size_t count_wanted(const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->certificate_count; i++) {
        count += wants_staple(&config->certificates[i]);
    }
    return count;
}

static void keep_former(struct staple *staple, const struct staples *former)
{
    for (size_t i = 0; former != NULL && i < former->count; i++) {
        if (staple_succeed(staple, &former->at[i])) {
            return;
        }
    }
}

static void add_all(struct staples *staples, const struct bundle *bundle,
                    const struct staples *former)
{
    for (size_t i = 0; i < staples->config->certificate_count; i++) {
        size_t before = staples->count;
        if (wants_staple(&staples->config->certificates[i])) {
            add(staples, bundle, i);
        }
        if (staples->count > before) {
            keep_former(&staples->at[before], former);
        }
    }
}

enum status staples_open(struct staples **out, struct roster *roster,
                         const struct live_generation *generation, const struct config *config,
                         const struct staples *former)
{
    size_t wanted = count_wanted(config);
    *out = NULL;
    if (wanted == 0) {
        return STATUS_OK;
    }
    struct staples *staples = calloc(1, sizeof(*staples) + wanted * sizeof(staples->at[0]));
    struct bundle *bundle = parse_bundle(generation);
    if (staples == NULL || bundle == NULL) {
        free(staples);
        bundle_free(bundle);
        return STATUS_NOMEM;
    }
    const struct child_events events = {
        .on_message = on_message, .on_garbage = on_garbage, .self = staples};
    staples->roster = roster;
    staples->config = config;
    staples->key_base = generation_key_base(generation->number);
    child_init(&staples->fetcher, roster->supplies.loop, "fetcher", 0, &events);
    add_all(staples, bundle, former);
    bundle_free(bundle);
    *out = staples;
    return STATUS_OK;
}

void staples_start(struct staples *staples)
{
    if (staples != NULL) {
        deadline_arm(&staples->tick, staples->roster->supplies.loop, TICK_MS / 10, on_tick,
                     staples);
    }
}

struct staple_facts staples_facts(const struct staples *staples, size_t certificate, time_t now)
{
    for (size_t i = 0; staples != NULL && i < staples->count; i++) {
        const struct staple *staple = &staples->at[i];
        if (staple->index == certificate) {
            return (struct staple_facts){
                .state = staple_state(staple, now),
                .failures = staple->schedule.failures,
                .ends_at = staple->response < 0 ? 0 : staple->facts.usable_until,
            };
        }
    }
    return (struct staple_facts){.state = STAPLE_OFF};
}

void staples_close(struct staples *staples)
{
    if (staples == NULL) {
        return;
    }
    deadline_disarm(&staples->tick);
    deadline_disarm(&staples->patience);
    child_kill(&staples->fetcher);
    child_end(&staples->fetcher);
    for (size_t i = 0; i < staples->count; i++) {
        staple_fini(&staples->at[i]);
    }
    free(staples);
}
