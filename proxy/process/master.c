/* proxy/process/master.c
 *
 *     starting --all READY--> running --drain--> draining --all workers gone--> over
 *         |                      |                  |
 *         +--a child fails-------+-------stop-------+--------> stopping ------> over
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/process/announcement.h"
#include "proxy/process/master_state.h"
#include "proxy/process/reload.h"
#include "proxy/process/report.h"
#include "proxy/process/role.h"
#include "proxy/process/roster_keyholders.h"
#include "proxy/process/roster_reload.h"

enum {
    DRAIN_GRACE_MS = 2000, /* after the workers' own deadline */
    STOP_GRACE_MS = 1000,
    SENTENCE_BYTES = 1200,
};

static struct log *log_of(const struct master *master)
{
    return master->foundation.log;
}

static bool is_ending(const struct master *master)
{
    return master->state == MASTER_DRAINING || master->state == MASTER_STOPPING;
}

/* ---- the end ---- */

/* The keyholders are the last: what workers still do may need it. */
static void end_if_over(struct master *master)
{
    if (is_ending(master) && roster_workers_are_down(&master->roster)) {
        loop_stop(master->foundation.loop);
    }
}

static void on_stop_deadline(void *self)
{
    struct master *master = self;
    roster_kill_workers(&master->roster);
}

static void begin_stop(struct master *master)
{
    if (master->state == MASTER_STOPPING) {
        return;
    }
    reload_close(master);
    master->state = MASTER_STOPPING;
    service_manager_tell_stopping(&master->manager);
    LOG_EVENT(log_of(master), LOG_INFO, "stopping", log_number("pid", getpid()));
    roster_end_workers(&master->roster);
    deadline_arm(&master->deadline, master->foundation.loop, STOP_GRACE_MS, on_stop_deadline,
                 master);
    end_if_over(master);
}

static void on_drain_deadline(void *self)
{
    begin_stop(self);
}

static void begin_drain(struct master *master)
{
    if (master->state == MASTER_STARTING) {
        begin_stop(master);
        return;
    }
    if (is_ending(master)) {
        return;
    }
    reload_close(master);
    uint64_t drain_ms = master->plan->config->timeouts.drain_ms;
    master->state = MASTER_DRAINING;
    service_manager_tell_stopping(&master->manager);
    LOG_EVENT(log_of(master), LOG_INFO, "draining", log_number("deadline_ms", (int64_t)drain_ms));
    roster_forget_respawns(&master->roster);
    roster_tell_workers(&master->roster, &(struct channel_message){.kind = CHANNEL_DRAIN});
    foundation_stop_listening(&master->foundation);
    deadline_arm(&master->deadline, master->foundation.loop, drain_ms + DRAIN_GRACE_MS,
                 on_drain_deadline, master);
    end_if_over(master);
}

/* ---- the start ---- */

static void fail_start(struct master *master, const char *sentence)
{
    if (master->exit == MASTER_STOPPED) {
        process_error_set(master->error, "%s", sentence);
        master->exit = MASTER_FAILED;
        begin_stop(master);
    }
}

static void note_ready(struct master *master)
{
    if (master->state == MASTER_STARTING && roster_is_ready(&master->roster) &&
        sidecars_are_ready(master->sidecars)) {
        master->state = MASTER_RUNNING;
        announcement_ready(master->start, &master->foundation);
        service_manager_tell_ready(&master->manager);
        reload_open(master);
    }
}

/* ---- what children say, and their end ---- */

static bool is_worker(const struct master *master, const struct child *child)
{
    return !roster_is_keyholder(&master->roster, child) && !sidecars_own(master->sidecars, child);
}

/* A keyholder's failures are about a certificate, whose place the operator needs. */
static void format_failure(const struct master *master, const struct child *child,
                           const struct channel_message *message, char *sentence)
{
    const struct config *config = reload_config_of(master, child);
    if (!roster_is_keyholder(&master->roster, child) ||
        message->number >= config->certificate_count) {
        (void)snprintf(sentence, SENTENCE_BYTES, "%.*s", SLICE_FORMAT(message->payload));
        return;
    }
    const struct config_certificate *certificate = &config->certificates[message->number];
    const struct place *place = &certificate->key.place;
    (void)snprintf(sentence, SENTENCE_BYTES, "%s:%u:%u: certificate %s: %.*s",
                   place->file == NULL ? config->file : place->file, place->line, place->column,
                   certificate->name, SLICE_FORMAT(message->payload));
}

static void on_failed(struct master *master, const struct child *child,
                      const struct channel_message *message)
{
    char sentence[SENTENCE_BYTES];
    format_failure(master, child, message, sentence);
    LOG_EVENT(log_of(master), LOG_ERROR, "child_failed", log_text("child", child->role),
              log_text("reason", sentence));
    if (master->state == MASTER_STARTING) {
        fail_start(master, sentence);
        return;
    }
    reload_on_failed(master, child, sentence);
}

/* Once, not for each child: they all run on the same kernel. */
static void note_sandbox(struct master *master, const struct child *child)
{
    const char *missing = sandbox_missing(child->sandbox);
    if (missing == NULL || missing == master->sandbox_told) {
        return;
    }
    master->sandbox_told = missing;
    LOG_EVENT(log_of(master), LOG_WARN, "sandbox_missing", log_text("child", child->role),
              log_text("missing", missing),
              log_text("effect", "a child that is taken over can do more"));
}

/* Once: they all have the same limit. */
static void note_memory(struct master *master, const struct child *keyholder)
{
    if (keyholder->is_locked || master->is_unlocked_told) {
        return;
    }
    master->is_unlocked_told = true;
    LOG_EVENT(log_of(master), LOG_WARN, "memory_unlocked", log_text("child", keyholder->role),
              log_text("effect", "private keys may be written to swap; raise the limit of locked "
                                 "memory (LimitMEMLOCK, ulimit -l)"));
}

static void on_refused(struct master *master, const struct child *keyholder,
                       const struct channel_message *message)
{
    char sentence[SENTENCE_BYTES];
    (void)snprintf(sentence, sizeof(sentence), "%.*s", SLICE_FORMAT(message->payload));
    LOG_EVENT(log_of(master), LOG_ERROR, "keys_refused", log_text("child", keyholder->role),
              log_number("worker", (int64_t)message->number + 1), log_text("reason", sentence));
    if (master->state == MASTER_STARTING) {
        fail_start(master, sentence);
    }
}

static void on_keyholder_message(struct master *master, const struct child *keyholder,
                                 const struct channel_message *message)
{
    if (message->kind == CHANNEL_READY) {
        note_memory(master, keyholder);
    } else if (message->kind == CHANNEL_REFUSED) {
        on_refused(master, keyholder, message);
    }
}

static void on_message(void *self, struct child *child, const struct channel_message *message)
{
    struct master *master = self;
    for (size_t i = 0; i < message->descriptor_count; i++) {
        (void)close(message->descriptors[i]);
    }
    if (roster_is_keyholder(&master->roster, child)) {
        on_keyholder_message(master, child, message);
    }
    if (message->kind == CHANNEL_READY) {
        note_sandbox(master, child);
        if (is_worker(master, child)) {
            staples_give(master->staples, child);
        }
        note_ready(master);
    } else if (message->kind == CHANNEL_FAILED) {
        on_failed(master, child, message);
    } else if (message->kind == CHANNEL_NEED_KEYS && is_worker(master, child)) {
        roster_renew_keys(&master->roster, child, message->number);
    } else if (message->kind == CHANNEL_PREPARED) {
        reload_on_prepared(master, child, message->number);
    } else if (message->kind == CHANNEL_RELEASED && is_worker(master, child)) {
        roster_note_released(&master->roster, child, message->number);
    }
}

static void on_garbage(void *self, struct child *child)
{
    struct master *master = self;
    LOG_EVENT(log_of(master), LOG_ERROR, "child_garbage", log_text("child", child->role),
              log_text("effect", "it was killed"));
}

static void on_lost(struct master *master, struct child *child, pid_t pid, int status)
{
    const char *how = WIFSIGNALED(status) ? "signal" : "status";
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    LOG_EVENT(log_of(master), LOG_ERROR, "child_lost", log_text("child", child->role),
              log_number("pid", pid), log_number(how, number));
    if (master->state == MASTER_STARTING) {
        char sentence[SENTENCE_BYTES];
        (void)snprintf(sentence, sizeof(sentence), "%s ended during the start (%s %d)", child->role,
                       how, number);
        fail_start(master, sentence);
        return;
    }
    reload_on_lost(master, child);
    if (is_worker(master, child)) {
        slots_clear_open(master->foundation.slots, child->index);
        roster_note_lost(&master->roster, child);
    }
    (void)child_respawn_later(child);
}

/* The kernel has ended it in the middle of a call that its sandbox does not have. Which one, only
 * the kernel's own log knows. */
static void note_forbidden_call(struct master *master, const char *role, pid_t pid, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
        LOG_EVENT(log_of(master), LOG_ERROR, "child_forbidden_call", log_text("child", role),
                  log_number("pid", pid), log_text("effect", "the kernel has killed it"));
    }
}

/* A drained worker that ends is no loss; the others stay wanted until the workers are gone. */
static bool is_expected(const struct master *master, const struct child *child)
{
    return child->state == CHILD_ENDING || master->state == MASTER_STOPPING ||
           (master->state == MASTER_DRAINING && is_worker(master, child));
}

/* As the first process of a container we also inherit, and so have to wait for, strangers. */
static void reap(struct master *master)
{
    int status = 0;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        struct child *child = roster_find(&master->roster, pid);
        child = child == NULL ? sidecars_find(master->sidecars, pid) : child;
        if (child == NULL) {
            if (staples_on_exit(master->staples, pid)) {
                note_forbidden_call(master, "fetcher", pid, status);
            }
            continue;
        }
        note_forbidden_call(master, child->role, pid, status);
        bool was_expected = is_expected(master, child);
        child_on_exit(child);
        if (!was_expected) {
            on_lost(master, child, pid, status);
        } else {
            sidecars_note_exit(master->sidecars, child);
        }
    }
    end_if_over(master);
}

/* ---- signals and the admin socket ---- */

static void reopen_log(struct master *master)
{
    struct process_error error = {{0}};
    if (foundation_reopen_log(&master->foundation, &error) != STATUS_OK) {
        LOG_EVENT(log_of(master), LOG_ERROR, "log_not_reopened", log_text("reason", error.text));
        return;
    }
    const struct channel_message message = {.kind = CHANNEL_LOG,
                                            .descriptors = {master->foundation.log_descriptor},
                                            .descriptor_count = 1};
    roster_tell_workers(&master->roster, &message);
    sidecars_tell(master->sidecars, &message);
    LOG_EVENT(log_of(master), LOG_INFO, "log_reopened", log_number("pid", getpid()));
}

static uint64_t on_admin_reload(void *self)
{
    return reload_request(self, RELOAD_ALL);
}

/* Keyrings are read again whatever becomes of the rest. */
static void hang_up(struct master *master)
{
    sidecars_reload(master->sidecars);
    if (reload_request(master, RELOAD_ALL) == 0) {
        LOG_EVENT(log_of(master), LOG_WARN, "reload_refused",
                  log_text("reason", "the instance is starting or ending"));
    }
}

static void on_signal(void *self, int number)
{
    struct master *master = self;
    switch (number) {
    case SIGCHLD:
        reap(master);
        return;
    case SIGHUP:
        hang_up(master);
        return;
    case SIGUSR1:
        reopen_log(master);
        return;
    default: /* SIGTERM, SIGINT: politely at first */
        if (is_ending(master)) {
            begin_stop(master);
        } else {
            begin_drain(master);
        }
    }
}

static void on_admin_drain(void *self)
{
    begin_drain(self);
}

static void on_admin_stop(void *self)
{
    begin_stop(self);
}

static struct report_subject subject_of(const struct master *master)
{
    return (struct report_subject){.plan = master->plan,
                                   .begun_us = master->start->begun_us,
                                   .generation_since = master->reload.done_s,
                                   .roster = &master->roster,
                                   .sidecars = master->sidecars,
                                   .sockets = master->foundation.sockets,
                                   .is_draining = is_ending(master)};
}

static char *on_admin_status(void *self)
{
    struct report_subject subject = subject_of(self);
    return report_status(&subject);
}

static char *on_admin_posture(void *self)
{
    struct report_subject subject = subject_of(self);
    return report_posture(&subject);
}

static char *on_admin_keyrings(void *self)
{
    struct report_subject subject = subject_of(self);
    return report_keyrings(&subject);
}

static enum status open_admin(struct master *master)
{
    const struct config_address *address = &master->plan->config->admin.address;
    if (address->kind != CONFIG_ADDRESS_UNIX) {
        return STATUS_OK;
    }
    const struct admin_events events = {.self = master,
                                        .on_status = on_admin_status,
                                        .on_posture = on_admin_posture,
                                        .on_keyrings = on_admin_keyrings,
                                        .on_drain = on_admin_drain,
                                        .on_stop = on_admin_stop,
                                        .on_reload = on_admin_reload};
    enum status status =
        admin_server_open(&master->admin, master->foundation.loop, address->path, &events);
    if (status != STATUS_OK) {
        process_error_set(master->error, "admin socket %s: %s", address->path,
                          errno == EADDRINUSE ? "another instance answers there" : strerror(errno));
    }
    return status;
}

/* ---- the run ---- */

static enum status watch_signals(struct master *master)
{
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        enum status status = loop_on_signal(master->foundation.loop, NUMBERS[i], on_signal, master);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status open_foundation(struct master *master)
{
    return foundation_open(&master->foundation, master->plan->config, master->plan->overlay,
                           master->error);
}

static enum status open_signals(struct master *master)
{
    service_manager_open(&master->manager, master->foundation.loop);
    enum status status = watch_signals(master);
    if (status != STATUS_OK) {
        process_error_set(master->error, "signals cannot be watched: %s", strerror(errno));
    }
    return status;
}

static enum status open_sockets(struct master *master)
{
    return foundation_listen(&master->foundation, master->error);
}

static enum status open_children(struct master *master)
{
    const struct child_events events = {
        .on_message = on_message, .on_garbage = on_garbage, .self = master};
    struct foundation *foundation = &master->foundation;
    const struct roster_supplies supplies = {
        .loop = foundation->loop,
        .config = master->plan->config,
        .log = foundation->log,
        .log_descriptor = foundation->log_descriptor,
        .accounts = &foundation->accounts,
        .sockets = foundation->sockets,
        .slots = foundation->slots,
    };
    enum status status = roster_init(&master->roster, &supplies, &foundation->snapshot,
                                     foundation->worker_count, &events);
    if (status != STATUS_OK) {
        process_error_set(master->error, "no memory for the workers: %s", strerror(errno));
        return status;
    }
    return sidecars_open(&master->sidecars, &master->roster.supplies, &events, master->error);
}

static enum status start_children(struct master *master)
{
    announcement_start(master->start, &master->foundation);
    enum status status = roster_start(&master->roster);
    if (status != STATUS_OK) {
        process_error_set(master->error, "a child process cannot be started: %s", strerror(errno));
        return status;
    }
    status = staples_open(&master->staples, &master->roster, master->roster.present,
                          master->plan->config, NULL);
    if (status == STATUS_OK) {
        status = expiry_watch_open(&master->expiry, master->foundation.loop, log_of(master),
                                   &master->plan->dates);
    }
    if (status != STATUS_OK) {
        process_error_set(master->error, "out of memory");
        return status;
    }
    staples_start(master->staples);
    return sidecars_start(master->sidecars, master->error);
}

/* In this order; the first that fails has said why. */
static enum status open_all(struct master *master)
{
    static enum status (*const STEPS[])(struct master * master) = {
        open_foundation, open_signals, open_admin, open_sockets, open_children, start_children,
    };
    (void)umask(077);
    role_harden("sallyport"); /* it holds the memory file with the keys */
    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        enum status status = STEPS[i](master);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static void close_all(struct master *master)
{
    deadline_disarm(&master->deadline);
    reload_close(master);
    staples_close(master->staples);
    expiry_watch_close(master->expiry);
    roster_end_workers(&master->roster);
    roster_end_keyholders(&master->roster);
    sidecars_close(master->sidecars);
    foundation_stop_listening(&master->foundation);
    if (log_of(master) != NULL && master->exit == MASTER_STOPPED) {
        LOG_EVENT(log_of(master), LOG_INFO, "stopped", log_number("pid", getpid()));
        log_flush(log_of(master));
    }
    admin_server_close(master->admin); /* whoever waits for the end sees it now */
    roster_fini(&master->roster);
    service_manager_close(&master->manager);
    foundation_close(&master->foundation);
}

enum master_exit master_run(const struct master_start *start, struct process_error *error)
{
    struct master master = {
        .start = start,
        .plan = start->plan,
        .error = error,
        .exit = MASTER_STOPPED,
        .manager = {.descriptor = -1},
        .foundation = {.log_descriptor = -1, .snapshot = {-1, -1}},
    };
    if (open_all(&master) == STATUS_OK) {
        loop_run(master.foundation.loop);
    } else {
        master.exit = MASTER_FAILED;
    }
    close_all(&master);
    start->planner.free(start->planner.self, master.plan);
    return master.exit;
}
