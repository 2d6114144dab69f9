/* proxy/process/reload.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/process/announcement.h"
#include "proxy/process/generation_number.h"
#include "proxy/process/log_settings.h"
#include "proxy/process/reload_limits.h"
#include "proxy/process/roster_reload.h"

enum {
    ANSWERS_MS = 20000, /* children that take longer to prepare fail the reload */
    AGAIN_MS = 1000,    /* after a failure that was not the files' */
};

static void run(void *self);

static struct log *log_of(const struct master *master)
{
    return master->foundation.log;
}

static bool is_free(const struct master *master)
{
    return master->reload.step == RELOAD_IDLE && master->state == MASTER_RUNNING;
}

/* ---- asking ---- */

static void post_if_wanted(struct master *master)
{
    struct reload *reload = &master->reload;
    if (is_free(master) && (reload->wants_all || reload->wants_files)) {
        reload->post = (struct loop_post){.run = run, .self = master};
        loop_post_next_turn(master->foundation.loop, &reload->post);
    }
}

uint64_t reload_request(struct master *master, enum reload_cause cause)
{
    struct reload *reload = &master->reload;
    if (master->state != MASTER_RUNNING) {
        return 0;
    }
    *(cause == RELOAD_ALL ? &reload->wants_all : &reload->wants_files) = true;
    if (!list_has(&reload->post.link)) {
        post_if_wanted(master);
    }
    return reload->run + 1;
}

static void on_files_changed(void *self)
{
    (void)reload_request(self, RELOAD_FILES);
}

static void watch_files(struct master *master)
{
    struct reload *reload = &master->reload;
    file_watches_close(&reload->watches);
    if (file_watches_open(&reload->watches, master->foundation.loop, master->plan->config,
                          reload->begun_s, on_files_changed, master) != STATUS_OK) {
        LOG_EVENT(log_of(master), LOG_WARN, "files_unwatched", log_text("reason", strerror(errno)),
                  log_text("effect", "some changed certificates are taken at the next reload"));
    }
}

/* ---- the end of a run ---- */

/* Closes what was made for it and was not taken. */
static void clear(struct master *master)
{
    struct reload *reload = &master->reload;
    deadline_disarm(&reload->deadline);
    sidecars_forget(reload->sidecars);
    staples_close(reload->staples);
    listen_sockets_close(reload->sockets);
    live_generation_free(reload->next);
    if (reload->plan != NULL) {
        master->start->planner.free(master->start->planner.self, reload->plan);
    }
    if (reload->complaints != NULL) {
        (void)fclose(reload->complaints);
    }
    free(reload->text);
    reload->sidecars = NULL;
    reload->staples = NULL;
    reload->sockets = NULL;
    reload->next = NULL;
    reload->plan = NULL;
    reload->complaints = NULL;
    reload->text = NULL;
    reload->step = RELOAD_IDLE;
}

static void tell(struct master *master, enum plan_status status, const char *why, uint64_t ms)
{
    const struct reload_outcome outcome = {.status = (int)status,
                                           .complaints = why,
                                           .generation = master->roster.present->number,
                                           .ms = ms};
    admin_server_tell_reloaded(master->admin, master->reload.run, &outcome);
}

static uint64_t spent_ms(const struct master *master)
{
    return (clock_monotonic_us() - master->reload.begun_us) / 1000U;
}

static const char *cause_name(const struct master *master)
{
    return master->reload.is_for_files ? "files" : "request";
}

static void on_again(void *self)
{
    (void)reload_request(self, RELOAD_FILES);
}

/* Nothing has changed. */
static void fail(struct master *master, enum plan_status status)
{
    struct reload *reload = &master->reload;
    reload->failed++;
    (void)fflush(reload->complaints);
    const char *why =
        reload->text == NULL || reload->text_len == 0 ? "out of memory" : reload->text;
    LOG_EVENT(log_of(master), reload->is_for_files ? LOG_WARN : LOG_ERROR, "reload_failed",
              log_text("cause", cause_name(master)), log_text("reason", why),
              log_number("generation", master->roster.present->number),
              log_text("effect", "nothing has changed"));
    tell(master, status, why, spent_ms(master));
    bool was_prepared = reload->next != NULL;
    if (was_prepared) {
        roster_rollback(&master->roster, reload->next);
    }
    bool is_again_due = was_prepared && reload->is_for_files;
    clear(master);
    service_manager_tell_ready(&master->manager);
    if (is_again_due) {
        deadline_arm(&reload->deadline, master->foundation.loop, AGAIN_MS, on_again, master);
    }
    post_if_wanted(master);
}

static void fail_with(struct master *master, const char *sentence)
{
    (void)fprintf(master->reload.complaints, "%s\n", sentence);
    fail(master, PLAN_SYSTEM);
}

static void on_late(void *self)
{
    fail_with(self, "a child process has not prepared the configuration in time");
}

/* ---- commit ---- */

static void tell_listeners(const struct master *master, const struct listen_sockets *sockets)
{
    for (size_t i = 0; i < listen_sockets_count(sockets); i++) {
        if (listen_sockets_is_new(sockets, i)) {
            LOG_EVENT(log_of(master), LOG_INFO, "listener_open",
                      log_text("listener", listen_sockets_name(sockets, i)),
                      log_text("address", listen_sockets_address(sockets, i)));
        }
    }
}

/* What is near its end is told of again, once: the certificates may be others. */
static void watch_expiry(struct master *master)
{
    expiry_watch_close(master->expiry);
    master->expiry = NULL;
    if (expiry_watch_open(&master->expiry, master->foundation.loop, log_of(master),
                          &master->plan->dates) != STATUS_OK) {
        LOG_EVENT(log_of(master), LOG_ERROR, "expiry_not_watched",
                  log_text("reason", "out of memory"));
    }
}

static void take_plan(struct master *master)
{
    struct reload *reload = &master->reload;
    const struct plan *former = master->plan;
    const struct config_log *log = &reload->plan->config->log;
    master->plan = reload->plan;
    reload->plan = NULL;
    master->foundation.config = master->plan->config;
    log_retune(log_of(master), log_settings_level(log), log_settings_format(log));
    watch_files(master);
    watch_expiry(master);
    announcement_must_staple(master->plan, log_of(master));
    master->start->planner.free(master->start->planner.self, former);
}

static void commit(struct master *master)
{
    struct reload *reload = &master->reload;
    tell_listeners(master, reload->sockets);
    roster_commit(&master->roster, reload->next, reload->plan->config, reload->sockets);
    reload->next = NULL;
    listen_sockets_succeed(reload->sockets, master->foundation.sockets);
    master->foundation.sockets = reload->sockets;
    reload->sockets = NULL;
    staples_close(master->staples);
    master->staples = reload->staples;
    reload->staples = NULL;
    staples_start(master->staples);
    sidecars_commit(reload->sidecars, &master->roster.supplies);
    reload->sidecars = NULL;
    take_plan(master);
    reload->done_s = (int64_t)time(NULL);
    reload->done++;
    LOG_EVENT(log_of(master), LOG_INFO, "reloaded", log_text("cause", cause_name(master)),
              log_number("generation", master->roster.present->number),
              log_number("ms", (int64_t)spent_ms(master)),
              log_number("hops", (int64_t)master->plan->hops),
              log_number("violations", (int64_t)master->plan->violations),
              log_number("waived", (int64_t)master->plan->waived));
    tell(master, PLAN_FINE, "", spent_ms(master));
    clear(master);
    service_manager_tell_ready(&master->manager);
    post_if_wanted(master);
}

/* ---- prepare ---- */

/* Goes on for as long as nobody has to be waited for. */
static void advance(struct master *master)
{
    struct reload *reload = &master->reload;
    if (reload->step == RELOAD_IDLE || !roster_is_prepared(&master->roster)) {
        return;
    }
    if (reload->step == RELOAD_KEYS) {
        reload->step = RELOAD_WORKERS;
        roster_prepare_workers(&master->roster, reload->next, reload->plan->config, reload->sockets,
                               reload->staples);
        if (!roster_is_prepared(&master->roster)) {
            return;
        }
    }
    commit(master);
}

static enum plan_status plan(struct master *master, const struct bundle *yaml)
{
    struct reload *reload = &master->reload;
    const struct planner *planner = &master->start->planner;
    enum plan_status status = planner->make(planner->self, yaml, reload->complaints, &reload->plan);
    if (status == PLAN_FINE &&
        reload_limits_tell(master->plan->config, reload->plan->config,
                           master->roster.keyholder_count, reload->complaints) > 0) {
        return PLAN_BAD_INPUT;
    }
    return status;
}

/* Where only files are read anew the YAML stays as it was. */
static enum plan_status plan_and_read(struct master *master, struct snapshot *snapshot)
{
    struct reload *reload = &master->reload;
    const struct snapshot *present = &master->roster.present->snapshot;
    struct process_error error = {{0}};
    struct bundle *yaml =
        reload->is_for_files ? snapshot_yaml(present, master->plan->config) : NULL;
    if (reload->is_for_files && yaml == NULL) {
        return PLAN_SYSTEM;
    }
    enum plan_status status = plan(master, yaml);
    bundle_free(yaml);
    if (status == PLAN_FINE && snapshot_open(snapshot, reload->plan->config, reload->plan->overlay,
                                             present, &error) != STATUS_OK) {
        (void)fprintf(reload->complaints, "%s\n", error.text);
        status = PLAN_BAD_INPUT;
    }
    return status;
}

/* Snapshot, sockets, OCSP responses, gossip: what the children will need. */
static enum plan_status gather(struct master *master, struct snapshot *snapshot)
{
    struct reload *reload = &master->reload;
    struct roster *roster = &master->roster;
    const struct config *config = reload->plan->config;
    struct process_error error = {"out of memory"};
    enum status status = STATUS_NOMEM;
    reload->next = live_generation_new(++reload->number, snapshot, config, roster->worker_count);
    if (reload->next != NULL) {
        const struct listen_sources sources = {.former = master->foundation.sockets};
        status =
            listen_sockets_open(&reload->sockets, config, roster->worker_count, &sources, &error);
    }
    if (status == STATUS_OK) {
        status = staples_open(&reload->staples, roster, reload->next, config, master->staples);
    }
    if (status == STATUS_OK) {
        status = sidecars_prepare(master->sidecars, config, &reload->sidecars, &error);
    }
    if (status != STATUS_OK) {
        (void)fprintf(reload->complaints, "%s\n", error.text);
        return status == STATUS_REFUSED ? PLAN_BAD_INPUT : PLAN_SYSTEM;
    }
    return PLAN_FINE;
}

static void begin_children(struct master *master)
{
    struct reload *reload = &master->reload;
    reload->step = RELOAD_KEYS;
    deadline_arm(&reload->deadline, master->foundation.loop, ANSWERS_MS, on_late, master);
    if (!roster_prepare_keys(&master->roster, reload->next)) {
        fail_with(master, "a keyholder is being started again; try again");
        return;
    }
    advance(master);
}

static void take_up(struct master *master)
{
    struct reload *reload = &master->reload;
    reload->is_for_files = !reload->wants_all;
    reload->wants_all = false;
    reload->wants_files = false;
    reload->run++;
    reload->begun_us = clock_monotonic_us();
    reload->begun_s = (int64_t)time(NULL);
    reload->complaints = open_memstream(&reload->text, &reload->text_len);
    deadline_disarm(&reload->deadline);
}

/* A file was written, and says what it said. */
static bool is_nothing_new(const struct master *master, const struct snapshot *snapshot)
{
    return master->reload.is_for_files &&
           snapshot_is_same(snapshot, &master->roster.present->snapshot);
}

static void run(void *self)
{
    struct master *master = self;
    struct reload *reload = &master->reload;
    struct snapshot snapshot = {-1, -1};
    if (!is_free(master)) {
        return;
    }
    take_up(master);
    if (reload->complaints == NULL) {
        tell(master, PLAN_SYSTEM, "out of memory", 0);
        clear(master);
        return;
    }
    if (!reload->is_for_files) {
        service_manager_tell_reloading(&master->manager);
    }
    enum plan_status status = plan_and_read(master, &snapshot);
    if (status == PLAN_FINE && is_nothing_new(master, &snapshot)) {
        snapshot_close(&snapshot);
        clear(master);
        post_if_wanted(master);
        return;
    }
    if (status == PLAN_FINE) {
        status = gather(master, &snapshot);
    }
    snapshot_close(&snapshot);
    if (status != PLAN_FINE) {
        fail(master, status);
        return;
    }
    begin_children(master);
}

/* ---- what children say and do ---- */

void reload_on_prepared(struct master *master, struct child *child, uint32_t number)
{
    roster_note_prepared(&master->roster, child, number);
    advance(master);
}

static bool is_asked(const struct master *master, const struct child *child)
{
    const struct reload *reload = &master->reload;
    return reload->step != RELOAD_IDLE && child->asked == reload->next->number;
}

/* Not of one that was given up before. */
static bool is_about_next(const struct master *master, uint32_t failure)
{
    const struct reload *reload = &master->reload;
    return reload->step != RELOAD_IDLE && generation_has_failed(reload->next->number, failure);
}

void reload_on_failed(struct master *master, uint32_t failure, const char *sentence)
{
    if (is_about_next(master, failure)) {
        fail_with(master, sentence);
    }
}

void reload_on_lost(struct master *master, const struct child *child)
{
    if (is_asked(master, child)) {
        char sentence[96];
        (void)snprintf(sentence, sizeof(sentence), "%s ended while it prepared the configuration",
                       child->role);
        fail_with(master, sentence);
    }
}

const struct config *reload_config_of(const struct master *master, uint32_t failure)
{
    return is_about_next(master, failure) ? master->reload.plan->config : master->plan->config;
}

/* ---- life ---- */

void reload_open(struct master *master)
{
    master->reload.number = master->roster.present->number;
    master->reload.begun_s =
        (int64_t)time(NULL) -
        (int64_t)((clock_monotonic_us() - master->start->begun_us) / 1000000U) - 1;
    master->reload.done_s = (int64_t)time(NULL);
    watch_files(master);
}

void reload_close(struct master *master)
{
    struct reload *reload = &master->reload;
    if (reload->next != NULL) {
        roster_rollback(&master->roster, reload->next);
    }
    if (reload->step != RELOAD_IDLE || reload->wants_all) {
        reload->run += reload->wants_all ? 1U : 0U;
        tell(master, PLAN_SYSTEM, "the instance is ending", 0);
        reload->wants_all = false;
    }
    loop_unpost(&reload->post);
    clear(master);
    file_watches_close(&reload->watches);
}
