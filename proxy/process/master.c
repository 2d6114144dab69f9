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
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/admin/server.h"
#include "proxy/base/clock.h"
#include "proxy/process/log_settings.h"
#include "proxy/process/processors.h"
#include "proxy/process/report.h"
#include "proxy/process/role.h"
#include "proxy/process/roster.h"
#include "proxy/process/staples.h"

enum {
    WORKERS_MAX = 512,
    DRAIN_GRACE_MS = 2000, /* after the workers' own deadline */
    STOP_GRACE_MS = 1000,
    SENTENCE_BYTES = 1200,
};

enum master_state { MASTER_STARTING, MASTER_RUNNING, MASTER_DRAINING, MASTER_STOPPING };

struct master {
    const struct master_start *start;
    const struct config *config;
    struct process_error *error;
    enum master_exit exit;
    enum master_state state;
    struct loop *loop;
    struct log *log;
    int log_descriptor;
    struct accounts accounts;
    struct listen_sockets *sockets;
    struct slots *slots;
    struct snapshot snapshot;
    struct admin_server *admin;
    struct roster roster;
    struct staples *staples;  /* NULL: no certificate wants one */
    struct deadline deadline; /* of draining or stopping */
};

static bool is_ending(const struct master *master)
{
    return master->state == MASTER_DRAINING || master->state == MASTER_STOPPING;
}

/* ---- the end ---- */

/* The keyholder is the last: what workers still do may need it. */
static void end_if_over(struct master *master)
{
    if (is_ending(master) && roster_workers_are_down(&master->roster)) {
        loop_stop(master->loop);
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
    master->state = MASTER_STOPPING;
    LOG_EVENT(master->log, LOG_INFO, "stopping", log_number("pid", getpid()));
    roster_end_workers(&master->roster);
    deadline_arm(&master->deadline, master->loop, STOP_GRACE_MS, on_stop_deadline, master);
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
    uint64_t drain_ms = master->config->timeouts.drain_ms;
    master->state = MASTER_DRAINING;
    LOG_EVENT(master->log, LOG_INFO, "draining", log_number("deadline_ms", (int64_t)drain_ms));
    roster_forget_respawns(&master->roster);
    roster_tell_workers(&master->roster, &(struct channel_message){.kind = CHANNEL_DRAIN});
    listen_sockets_close(master->sockets);
    master->sockets = NULL;
    deadline_arm(&master->deadline, master->loop, drain_ms + DRAIN_GRACE_MS, on_drain_deadline,
                 master);
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

static void tell_ready(struct master *master)
{
    const struct master_start *start = master->start;
    for (size_t i = 0; i < listen_sockets_count(master->sockets); i++) {
        LOG_EVENT(master->log, LOG_INFO, "listener_open",
                  log_text("listener", listen_sockets_name(master->sockets, i)),
                  log_text("address", listen_sockets_address(master->sockets, i)));
    }
    bool is_report = master->config->enforcement.mode == CONFIG_MODE_REPORT;
    LOG_EVENT(
        master->log, LOG_INFO, "ready", log_text("version", SALLYPORT_VERSION),
        log_number("pid", getpid()), log_number("workers", (int64_t)master->roster.worker_count),
        log_text("mode", is_report ? "report" : "strict"), log_number("hops", (int64_t)start->hops),
        log_number("violations", (int64_t)start->violations),
        log_number("waived", (int64_t)start->waived),
        log_number("start_ms", (int64_t)((clock_monotonic_us() - start->begun_us) / 1000U)));
}

static void note_ready(struct master *master)
{
    if (master->state == MASTER_STARTING && roster_is_ready(&master->roster)) {
        master->state = MASTER_RUNNING;
        tell_ready(master);
    }
}

/* ---- what children say, and their end ---- */

/* The keyholder's failures are about a certificate, whose place the operator needs. */
static void format_failure(const struct master *master, const struct child *child,
                           const struct channel_message *message, char *sentence)
{
    const struct config *config = master->config;
    if (child != &master->roster.keyholder || message->number >= config->certificate_count) {
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
    LOG_EVENT(master->log, LOG_ERROR, "child_failed", log_text("child", child->role),
              log_text("reason", sentence));
    if (master->state == MASTER_STARTING) {
        fail_start(master, sentence);
    }
}

static void on_message(void *self, struct child *child, const struct channel_message *message)
{
    struct master *master = self;
    for (size_t i = 0; i < message->descriptor_count; i++) {
        (void)close(message->descriptors[i]);
    }
    if (message->kind == CHANNEL_READY) {
        if (child != &master->roster.keyholder) {
            staples_give(master->staples, child);
        }
        note_ready(master);
    } else if (message->kind == CHANNEL_FAILED) {
        on_failed(master, child, message);
    } else if (message->kind == CHANNEL_NEED_KEYS && child != &master->roster.keyholder) {
        roster_renew_keys(&master->roster, child, message->number);
    }
}

static void on_garbage(void *self, struct child *child)
{
    struct master *master = self;
    LOG_EVENT(master->log, LOG_ERROR, "child_garbage", log_text("child", child->role),
              log_text("effect", "it was killed"));
}

static void on_lost(struct master *master, struct child *child, pid_t pid, int status)
{
    const char *how = WIFSIGNALED(status) ? "signal" : "status";
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    LOG_EVENT(master->log, LOG_ERROR, "child_lost", log_text("child", child->role),
              log_number("pid", pid), log_number(how, number));
    if (master->state == MASTER_STARTING) {
        char sentence[SENTENCE_BYTES];
        (void)snprintf(sentence, sizeof(sentence), "%s ended during the start (%s %d)", child->role,
                       how, number);
        fail_start(master, sentence);
        return;
    }
    if (child != &master->roster.keyholder) {
        slots_clear_open(master->slots, child->index);
    }
    roster_respawn(&master->roster, child);
}

/* A drained worker that ends is no loss; the keyholder stays wanted until the workers are gone. */
static bool is_expected(const struct master *master, const struct child *child)
{
    return child->state == CHILD_ENDING || master->state == MASTER_STOPPING ||
           (master->state == MASTER_DRAINING && child != &master->roster.keyholder);
}

/* As the first process of a container we also inherit, and so have to wait for, strangers. */
static void reap(struct master *master)
{
    int status = 0;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        struct child *child = roster_find(&master->roster, pid);
        if (child == NULL) {
            (void)staples_on_exit(master->staples, pid);
            continue;
        }
        bool was_expected = is_expected(master, child);
        child_on_exit(child);
        if (!was_expected) {
            on_lost(master, child, pid, status);
        }
    }
    end_if_over(master);
}

/* ---- signals and the admin socket ---- */

static void reopen_log(struct master *master)
{
    struct process_error error = {{0}};
    int descriptor = log_settings_open(&master->config->log, &error);
    if (descriptor < 0) {
        LOG_EVENT(master->log, LOG_ERROR, "log_not_reopened", log_text("reason", error.text));
        return;
    }
    log_flush(master->log);
    (void)dup3(descriptor, master->log_descriptor, O_CLOEXEC);
    (void)close(descriptor);
    roster_tell_workers(&master->roster,
                        &(struct channel_message){.kind = CHANNEL_LOG,
                                                  .descriptors = {master->log_descriptor},
                                                  .descriptor_count = 1});
    LOG_EVENT(master->log, LOG_INFO, "log_reopened", log_number("pid", getpid()));
}

static const char *refuse_reload(void *self)
{
    static const char WHY[] = "reload is not available yet";
    struct master *master = self;
    LOG_EVENT(master->log, LOG_WARN, "reload_refused", log_text("reason", WHY));
    return WHY;
}

static void on_signal(void *self, int number)
{
    struct master *master = self;
    switch (number) {
    case SIGCHLD:
        reap(master);
        return;
    case SIGHUP:
        (void)refuse_reload(master);
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

static char *on_admin_status(void *self)
{
    struct master *master = self;
    return report_make(master->start, &master->roster, master->sockets, is_ending(master));
}

static enum status open_admin(struct master *master)
{
    const struct config_address *address = &master->config->admin.address;
    if (address->kind != CONFIG_ADDRESS_UNIX) {
        return STATUS_OK;
    }
    const struct admin_events events = {.self = master,
                                        .on_status = on_admin_status,
                                        .on_drain = on_admin_drain,
                                        .on_stop = on_admin_stop,
                                        .on_reload = refuse_reload};
    enum status status = admin_server_open(&master->admin, master->loop, address->path, &events);
    if (status != STATUS_OK) {
        process_error_set(master->error, "admin socket %s: %s", address->path,
                          errno == EADDRINUSE ? "another instance answers there" : strerror(errno));
    }
    return status;
}

/* ---- the run ---- */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum status watch_signals(struct master *master)
{
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        enum status status = loop_on_signal(master->loop, NUMBERS[i], on_signal, master);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static void on_turn_end(void *self)
{
    struct master *master = self;
    log_flush(master->log);
}

static enum status open_log(struct master *master)
{
    const struct config_log *settings = &master->config->log;
    master->log_descriptor = log_settings_open(settings, master->error);
    if (master->log_descriptor < 0) {
        return STATUS_SYS;
    }
    master->log =
        log_new(log_settings_level(settings), log_settings_format(settings, master->log_descriptor),
                master->log_descriptor, "master");
    if (master->log == NULL) {
        process_error_set(master->error, "out of memory");
        return STATUS_NOMEM;
    }
    loop_at_turn_end(master->loop, on_turn_end, master);
    return STATUS_OK;
}

static enum status open_loop(struct master *master)
{
    master->loop = loop_new();
    if (master->loop == NULL || watch_signals(master) != STATUS_OK) {
        process_error_set(master->error, "the event loop cannot be made: %s", strerror(errno));
        return STATUS_SYS;
    }
    return STATUS_OK;
}

static size_t count_workers(const struct master *master)
{
    uint64_t wanted = master->config->workers;
    size_t count = wanted == 0 ? processors_usable() : (size_t)wanted;
    return count > WORKERS_MAX ? WORKERS_MAX : count;
}

static enum status open_sockets(struct master *master)
{
    return listen_sockets_open(&master->sockets, master->config, count_workers(master),
                               master->error);
}

static enum status open_snapshot(struct master *master)
{
    return snapshot_open(&master->snapshot, master->config, master->start->overlay, master->error);
}

static enum status choose_accounts(struct master *master)
{
    return accounts_choose(&master->accounts, master->config->user, master->error);
}

static enum status open_roster(struct master *master)
{
    const struct child_events events = {
        .on_message = on_message, .on_garbage = on_garbage, .self = master};
    size_t workers = count_workers(master);
    master->slots = slots_new(workers);
    const struct roster_supplies supplies = {
        .loop = master->loop,
        .config = master->config,
        .log = master->log,
        .log_descriptor = master->log_descriptor,
        .accounts = &master->accounts,
        .snapshot = &master->snapshot,
        .sockets = master->sockets,
        .slots = master->slots,
    };
    if (master->slots == NULL ||
        roster_init(&master->roster, &supplies, workers, &events) != STATUS_OK) {
        process_error_set(master->error, "no memory for the workers: %s", strerror(errno));
        return STATUS_NOMEM;
    }
    return STATUS_OK;
}

static void tell_start(const struct master *master)
{
    const struct master_start *start = master->start;
    if (master->accounts.worker.is_own && geteuid() == 0) {
        LOG_EVENT(master->log, LOG_WARN, "privileges_kept",
                  log_text("reason", "root without CAP_SETUID and CAP_SETGID"));
    }
    if (master->config->enforcement.mode == CONFIG_MODE_REPORT) {
        LOG_EVENT(master->log, LOG_WARN, "report_mode",
                  log_number("violations", (int64_t)start->violations),
                  log_text("effect", "violations are reported and not refused"));
    }
    for (size_t i = 0; i < start->notice_count; i++) {
        LOG_EVENT(master->log, LOG_WARN, "notice", log_text("text", start->notices[i]));
    }
    if (start->tell != NULL) {
        start->tell(start->self, master->log);
    }
}

static enum status start_children(struct master *master)
{
    tell_start(master);
    enum status status = roster_start(&master->roster);
    if (status != STATUS_OK) {
        process_error_set(master->error, "a child process cannot be started: %s", strerror(errno));
        return status;
    }
    status = staples_open(&master->staples, &master->roster);
    if (status != STATUS_OK) {
        process_error_set(master->error, "out of memory");
    }
    return status;
}

/* In this order; the first that fails has said why. */
static enum status open_all(struct master *master)
{
    static enum status (*const STEPS[])(struct master * master) = {
        open_loop,  open_log,     choose_accounts, open_snapshot,
        open_admin, open_sockets, open_roster,     start_children,
    };
    (void)umask(077);
    role_harden("sallyport"); /* it holds the memory file with the keys */
    raise_descriptor_limit();
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
    staples_close(master->staples);
    roster_end_workers(&master->roster);
    roster_end_keyholder(&master->roster);
    listen_sockets_close(master->sockets);
    if (master->log != NULL && master->exit == MASTER_STOPPED) {
        LOG_EVENT(master->log, LOG_INFO, "stopped", log_number("pid", getpid()));
        log_flush(master->log);
    }
    admin_server_close(master->admin); /* whoever waits for the end sees it now */
    slots_free(master->slots);
    snapshot_close(&master->snapshot);
    roster_fini(&master->roster);
    loop_free(master->loop);
    log_free(master->log);
    if (master->log_descriptor >= 0) {
        (void)close(master->log_descriptor);
    }
}

enum master_exit master_run(const struct master_start *start, struct process_error *error)
{
    struct master master = {
        .start = start,
        .config = start->config,
        .error = error,
        .exit = MASTER_STOPPED,
        .log_descriptor = -1,
        .snapshot = {-1, -1},
    };
    if (open_all(&master) == STATUS_OK) {
        loop_run(master.loop);
    } else {
        master.exit = MASTER_FAILED;
    }
    close_all(&master);
    return master.exit;
}
