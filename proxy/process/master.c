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
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/process/announcement.h"
#include "proxy/process/master_admin.h"
#include "proxy/process/master_children.h"
#include "proxy/process/master_upgrade.h"
#include "proxy/process/reload.h"
#include "proxy/process/role.h"
#include "proxy/process/roster_keyholders.h"

enum {
    DRAIN_GRACE_MS = 2000, /* after the workers' own deadline */
    STOP_GRACE_MS = 1000,
};

static struct log *log_of(const struct master *master)
{
    return master->foundation.log;
}

bool master_is_ending(const struct master *master)
{
    return master->state == MASTER_DRAINING || master->state == MASTER_STOPPING;
}

/* ---- the end ---- */

/* The keyholders are the last: what workers still do may need them. */
void master_end_if_over(struct master *master)
{
    bool is_alone = master_goes_back(master) || former_crew_count(master->crew) == 0;
    if (master_is_ending(master) && roster_workers_are_down(&master->roster) && is_alone) {
        master->is_over = true;
        loop_stop(master->foundation.loop);
    }
}

static void on_stop_deadline(void *self)
{
    struct master *master = self;
    roster_kill_workers(&master->roster);
}

void master_begin_stop(struct master *master)
{
    if (master->state == MASTER_STOPPING) {
        return;
    }
    reload_close(master);
    upgrade_close(&master->upgrade);
    master->state = MASTER_STOPPING;
    if (!master_goes_back(master)) {
        service_manager_tell_stopping(&master->manager);
        LOG_EVENT(log_of(master), LOG_INFO, "stopping", log_number("pid", getpid()));
        former_crew_end(master->crew);
    }
    roster_end_workers(&master->roster);
    deadline_arm(&master->deadline, master->foundation.loop, STOP_GRACE_MS, on_stop_deadline,
                 master);
    master_end_if_over(master);
}

static void on_drain_deadline(void *self)
{
    master_begin_stop(self);
}

void master_begin_drain(struct master *master)
{
    if (master->state == MASTER_STARTING && former_crew_count(master->crew) == 0) {
        master_begin_stop(master);
        return;
    }
    if (master_is_ending(master)) {
        return;
    }
    reload_close(master);
    upgrade_close(&master->upgrade);
    uint64_t drain_ms = master->plan->config->timeouts.drain_ms;
    master->state = MASTER_DRAINING;
    service_manager_tell_stopping(&master->manager);
    LOG_EVENT(log_of(master), LOG_INFO, "draining", log_number("deadline_ms", (int64_t)drain_ms));
    roster_forget_respawns(&master->roster);
    roster_tell_workers(&master->roster, &(struct channel_message){.kind = CHANNEL_DRAIN});
    foundation_stop_listening(&master->foundation);
    master_drain_former(master, drain_ms);
    deadline_arm(&master->deadline, master->foundation.loop, drain_ms + DRAIN_GRACE_MS,
                 on_drain_deadline, master);
    master_end_if_over(master);
}

/* ---- the start ---- */

void master_fail_start(struct master *master, const char *sentence)
{
    if (master->exit == MASTER_STOPPED) {
        process_error_set(master->error, "%s", sentence);
        master->exit = MASTER_FAILED;
        master_begin_stop(master);
    }
}

/* After all that can go wrong with the others: those of a former program must end before, since the
 * ports are the same. */
static enum status start_sidecars(struct master *master)
{
    master->has_sidecars = true;
    former_crew_end_gossip(master->crew);
    return sidecars_start(master->sidecars, master->error);
}

static void begin_running(struct master *master)
{
    master->state = MASTER_RUNNING;
    announcement_ready(master->start, &master->foundation);
    service_manager_tell_ready(&master->manager);
    reload_open(master);
    master_succeed(master);
    if (master->hangs_up_later) {
        (void)reload_request(master, RELOAD_ALL);
    }
}

void master_note_ready(struct master *master)
{
    if (master->state != MASTER_STARTING || !roster_is_ready(&master->roster)) {
        return;
    }
    if (!master->has_sidecars && start_sidecars(master) != STATUS_OK) {
        struct process_error error = *master->error;
        master_fail_start(master, error.text);
        return;
    }
    if (sidecars_are_ready(master->sidecars)) {
        begin_running(master);
    }
}

/* ---- signals ---- */

static void reopen_log(struct master *master)
{
    struct process_error error = {{0}};
    if (foundation_reopen_log(&master->foundation, &error) != STATUS_OK) {
        LOG_EVENT(log_of(master), LOG_ERROR, "log_not_reopened", log_text("reason", error.text));
        return;
    }
    const struct channel_message message =
        channel_message_with(CHANNEL_LOG, master->foundation.log_descriptor);
    roster_tell_workers(&master->roster, &message);
    former_crew_tell_workers(master->crew, &message);
    sidecars_tell(master->sidecars, &message);
    LOG_EVENT(log_of(master), LOG_INFO, "log_reopened", log_number("pid", getpid()));
}

/* Keyrings are read again whatever becomes of the rest. */
static void hang_up(struct master *master)
{
    sidecars_reload(master->sidecars);
    if (master->state == MASTER_STARTING && master->crew != NULL) {
        master->hangs_up_later = true;
        return;
    }
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
        master_reap(master);
        return;
    case SIGHUP:
        hang_up(master);
        return;
    case SIGUSR1:
        reopen_log(master);
        return;
    case SIGUSR2:
        master_ask_for_upgrade(master);
        return;
    default: /* SIGTERM, SIGINT: politely at first */
        if (master_is_ending(master)) {
            master_begin_stop(master);
        } else {
            master_begin_drain(master);
        }
    }
}

/* ---- the run ---- */

static enum status watch_signals(struct master *master)
{
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
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
    struct snapshot former;
    return foundation_open(&master->foundation, master->plan->config, master->plan->overlay,
                           master_former_snapshot(master, &former), master->error);
}

static enum status open_signals(struct master *master)
{
    service_manager_open(&master->manager, master->foundation.loop);
    enum status status = watch_signals(master);
    if (status != STATUS_OK) {
        process_error_set(master->error, "signals cannot be watched: %s", strerror(errno));
        return status;
    }
    return master_open_upgrade(master);
}

static enum status open_sockets(struct master *master)
{
    const struct listen_sources sources = {.former = master->inherited,
                                           .inherited = master->start->inherited};
    return foundation_listen(&master->foundation, &sources, master_former_spent(master),
                             master->error);
}

static enum status open_children(struct master *master)
{
    const struct child_events events = master_child_events(master);
    struct foundation *foundation = &master->foundation;
    const struct roster_supplies supplies = {
        .loop = foundation->loop,
        .config = master->plan->config,
        .log = foundation->log,
        .log_descriptor = foundation->log_descriptor,
        .accounts = &foundation->accounts,
        .sockets = foundation->sockets,
        .slots = foundation->slots,
        .spent_tickets = foundation->spent_tickets,
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
    bool is_first = master->start->handover == NULL || roster_is_ready(&master->roster);
    return is_first ? start_sidecars(master) : STATUS_OK;
}

/* In this order; the first that fails has said why. */
static enum status open_all(struct master *master)
{
    static enum status (*const STEPS[])(struct master * master) = {
        open_foundation, open_signals,  master_open_admin,
        open_sockets,    open_children, start_children,
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
    upgrade_close(&master->upgrade);
    expiry_watch_close(master->expiry);
    roster_end_workers(&master->roster);
    roster_end_keyholders(&master->roster);
    master_close_upgrade(master);
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

static void run(struct master *master)
{
    while (!master->is_over) {
        loop_run(master->foundation.loop);
        if (master->is_leaving && !master->is_over) {
            master_leave(master); /* returns when that fails */
        }
    }
}

enum master_exit master_run(const struct master_start *start, struct process_error *error)
{
    struct master master = {
        .start = start,
        .plan = start->plan,
        .error = error,
        .exit = MASTER_STOPPED,
        .manager = {.descriptor = -1},
        .foundation = {.log_descriptor = -1, .spent_tickets = -1, .snapshot = {-1, -1}},
    };
    if (open_all(&master) == STATUS_OK) {
        run(&master);
    } else {
        master.exit = MASTER_FAILED;
    }
    close_all(&master);
    start->planner.free(start->planner.self, master.plan);
    return master.exit;
}
