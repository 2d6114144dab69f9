/* proxy/process/holding.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/holding.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/admin/metrics.h"
#include "proxy/admin/server.h"
#include "proxy/admin/status.h"
#include "proxy/base/clock.h"
#include "proxy/process/former_crew.h"
#include "proxy/process/former_rules.h"
#include "proxy/process/inheritance.h"
#include "proxy/process/listen_sockets.h"
#include "proxy/process/report.h"
#include "proxy/process/role.h"
#include "proxy/process/service_manager.h"
#include "proxy/process/upgrade.h"

enum {
    AGAIN_MS = 5000, /* after a failure when nobody serves */
};

struct holding {
    struct handover *handover;
    struct loop *loop;
    struct log *log;
    struct admin_server *admin;
    struct former_crew *crew;
    struct service_manager manager;
    struct upgrade upgrade;
    struct deadline again;
    bool is_ending;
    bool is_leaving;
    bool is_over;
};

/* ---- the end ---- */

static void end_if_over(struct holding *holding)
{
    if (holding->is_ending && former_crew_count(holding->crew) == 0) {
        holding->is_over = true;
        loop_stop(holding->loop);
    }
}

/* Nobody may come any more; with the sockets go their paths. */
static void stop_listening(struct holding *holding)
{
    struct listen_sockets *sockets = NULL;
    if (listen_sockets_inherit(&sockets, holding->handover, NULL) == STATUS_OK) {
        listen_sockets_close(sockets);
    }
    inheritance_close_sockets(holding->handover);
}

static void begin_end(struct holding *holding)
{
    if (holding->is_ending) {
        return;
    }
    holding->is_ending = true;
    upgrade_close(&holding->upgrade);
    deadline_disarm(&holding->again);
    service_manager_tell_stopping(&holding->manager);
    stop_listening(holding);
}

static void drain(struct holding *holding)
{
    if (!holding->is_ending) {
        begin_end(holding);
        LOG_EVENT(holding->log, LOG_INFO, "draining",
                  log_number("deadline_ms", (int64_t)holding->handover->drain_ms));
        former_crew_drain(holding->crew, holding->handover->drain_ms, false);
    }
    end_if_over(holding);
}

static void stop(struct holding *holding)
{
    begin_end(holding);
    LOG_EVENT(holding->log, LOG_INFO, "stopping", log_number("pid", getpid()));
    former_crew_end(holding->crew);
    end_if_over(holding);
}

/* ---- another attempt ---- */

static void on_again(void *self)
{
    struct holding *holding = self;
    upgrade_request(&holding->upgrade);
    deadline_arm(&holding->again, holding->loop, AGAIN_MS, on_again, holding);
}

/* Without anybody who serves there is nothing to lose. */
static void try_again_if_alone(struct holding *holding)
{
    if (!holding->is_ending && !former_crew_serves(holding->crew) &&
        !deadline_is_armed(&holding->again)) {
        on_again(holding);
    }
}

static bool is_free(void *self)
{
    const struct holding *holding = self;
    return !holding->is_ending;
}

static void leave_loop(void *self)
{
    struct holding *holding = self;
    holding->is_leaving = true;
    loop_stop(holding->loop);
}

static void leave(struct holding *holding, const struct invocation *invocation)
{
    struct process_error error = {{0}};
    holding->is_leaving = false;
    upgrade_hold_signals();
    admin_server_settle(holding->admin, holding->loop);
    if (holding->upgrade.step == UPGRADE_WAITING) {
        service_manager_tell_reloading(&holding->manager);
        log_flush(holding->log);
        (void)!inheritance_leave(holding->handover, invocation, &error);
        upgrade_fail(&holding->upgrade, error.text);
        service_manager_tell_ready(&holding->manager);
        log_flush(holding->log);
    }
    upgrade_release_signals();
}

/* ---- signals and the admin socket ---- */

static void reap(struct holding *holding)
{
    int status = 0;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        if (!upgrade_on_exit(&holding->upgrade, pid, status)) {
            (void)former_crew_on_exit(holding->crew, pid, status);
        }
    }
    try_again_if_alone(holding);
    end_if_over(holding);
}

static void on_signal(void *self, int number)
{
    struct holding *holding = self;
    switch (number) {
    case SIGCHLD:
        reap(holding);
        return;
    case SIGHUP:
    case SIGUSR2:
        if (!holding->is_ending) {
            upgrade_request(&holding->upgrade);
        }
        return;
    case SIGUSR1:
        LOG_EVENT(holding->log, LOG_WARN, "log_not_reopened",
                  log_text("reason", "the last upgrade has failed; expected another one"));
        return;
    default:
        if (holding->is_ending) {
            stop(holding);
        } else {
            drain(holding);
        }
    }
}

static size_t gather_children(const struct holding *holding, struct status_child *children)
{
    const struct handover *handover = holding->handover;
    for (size_t i = 0; i < handover->child_count; i++) {
        const struct handover_child *child = &handover->children[i];
        children[i] = (struct status_child){
            .role = child->role, .pid = child->pid, .is_ready = child->gone_ms == 0};
    }
    return handover->child_count;
}

/* By one of the ways in which it can be told. */
static char *tell(const struct holding *holding,
                  char *(*to_json)(const struct holding_status *status))
{
    const struct handover *handover = holding->handover;
    struct status_child *children = calloc(handover->child_count + 1, sizeof(*children));
    if (children == NULL) {
        return NULL;
    }
    const struct holding_status status = {
        .pid = getpid(),
        .uptime_s = (clock_monotonic_us() - handover->begun_us) / 1000000U,
        .serves = former_crew_serves(holding->crew),
        .is_draining = holding->is_ending,
        .children = children,
        .child_count = gather_children(holding, children),
        .upgrade = report_upgrade(&holding->upgrade, handover->child_count),
    };
    char *text = to_json(&status);
    free(children);
    return text;
}

static char *on_admin_status(void *self)
{
    return tell(self, instance_holding_to_json);
}

static char *on_admin_metrics(void *self)
{
    return tell(self, instance_holding_metrics_to_json);
}

static char *on_admin_other(void *self)
{
    (void)self;
    return strdup("{\"ok\":false,\"error\":\"the last upgrade has failed; see `status`\"}");
}

static void on_admin_drain(void *self)
{
    drain(self);
}

static void on_admin_stop(void *self)
{
    stop(self);
}

static uint64_t on_admin_reload(void *self)
{
    struct holding *holding = self;
    if (!holding->is_ending) {
        upgrade_request(&holding->upgrade);
    }
    return 0;
}

/* ---- the run ---- */

static enum status open_signals(struct holding *holding)
{
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        enum status status = loop_on_signal(holding->loop, NUMBERS[i], on_signal, holding);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* What cannot be asked can still serve. */
static void open_admin(struct holding *holding)
{
    const struct admin_events events = {.self = holding,
                                        .on_status = on_admin_status,
                                        .on_posture = on_admin_other,
                                        .on_keyrings = on_admin_other,
                                        .on_metrics = on_admin_metrics,
                                        .on_drain = on_admin_drain,
                                        .on_stop = on_admin_stop,
                                        .on_reload = on_admin_reload};
    const struct handover *handover = holding->handover;
    if (handover->admin >= 0 &&
        admin_server_inherit(&holding->admin, holding->loop, handover->admin, handover->admin_path,
                             &events) != STATUS_OK) {
        LOG_EVENT(holding->log, LOG_ERROR, "admin_socket_closed",
                  log_text("reason", strerror(errno)));
    }
}

static enum status open_all(struct holding *holding, const struct invocation *invocation)
{
    const struct handover *handover = holding->handover;
    holding->loop = loop_new();
    holding->log = log_new(handover->log_level, handover->log_format, handover->log, "master");
    if (holding->loop == NULL || holding->log == NULL) {
        return STATUS_NOMEM;
    }
    const struct former_crew_place place = {
        .loop = holding->loop, .log = holding->log, .handover = holding->handover};
    const struct upgrade_host host = {.loop = holding->loop,
                                      .log = holding->log,
                                      .invocation = invocation,
                                      .self = holding,
                                      .is_free = is_free,
                                      .leave = leave_loop};
    upgrade_open(&holding->upgrade, &host);
    enum status status = former_crew_open(&holding->crew, &place);
    if (status == STATUS_OK) {
        status = open_signals(holding);
    }
    if (status == STATUS_OK) {
        open_admin(holding);
        service_manager_open(&holding->manager, holding->loop);
    }
    return status;
}

static void close_all(struct holding *holding)
{
    struct handover *handover = holding->handover;
    deadline_disarm(&holding->again);
    upgrade_close(&holding->upgrade);
    former_crew_close(holding->crew);
    for (size_t i = 0; i < handover->rule_count; i++) {
        former_rules_remove(&handover->rules[i], holding->log);
    }
    if (holding->log != NULL) {
        LOG_EVENT(holding->log, LOG_INFO, "stopped", log_number("pid", getpid()));
        log_flush(holding->log);
    }
    admin_server_own_path(holding->admin, true);
    admin_server_close(holding->admin);
    service_manager_close(&holding->manager);
    loop_free(holding->loop);
    log_free(holding->log);
}

static void on_turn_end(void *self)
{
    struct holding *holding = self;
    log_flush(holding->log);
}

enum status holding_run(struct handover *handover, const struct invocation *invocation,
                        const char *reason, struct process_error *error)
{
    struct holding holding = {.handover = handover, .manager = {.descriptor = -1}};
    (void)umask(077);
    role_harden("sallyport");
    enum status status = open_all(&holding, invocation);
    if (status != STATUS_OK) {
        process_error_set(error, "the former children cannot be kept: %s", strerror(errno));
        close_all(&holding);
        return STATUS_SYS;
    }
    loop_at_turn_end(holding.loop, on_turn_end, &holding);
    upgrade_fail(&holding.upgrade, reason);
    service_manager_tell_ready(&holding.manager);
    upgrade_release_signals();
    reap(&holding);
    log_flush(holding.log);
    while (!holding.is_over) {
        loop_run(holding.loop);
        if (holding.is_leaving && !holding.is_over) {
            leave(&holding, invocation);
        }
    }
    close_all(&holding);
    return STATUS_OK;
}
