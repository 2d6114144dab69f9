/* proxy/process/upgrade.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/upgrade.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "proxy/process/error.h"

enum {
    REHEARSAL_MS = 30000,
    LOOK_MS = 20, /* a reload lasts that long at least; it ends by itself */
};

void upgrade_open(struct upgrade *upgrade, const struct upgrade_host *host)
{
    *upgrade = (struct upgrade){.host = *host};
}

static void forget(struct upgrade *upgrade)
{
    deadline_disarm(&upgrade->deadline);
    rehearsal_close(&upgrade->rehearsal);
    upgrade->step = UPGRADE_IDLE;
}

void upgrade_close(struct upgrade *upgrade)
{
    forget(upgrade);
}

void upgrade_fail(struct upgrade *upgrade, const char *reason)
{
    forget(upgrade);
    upgrade->outcome = UPGRADE_FAILED;
    upgrade->outcome_s = (int64_t)time(NULL);
    (void)snprintf(upgrade->reason, sizeof(upgrade->reason), "%s", reason);
    LOG_EVENT(upgrade->host.log, LOG_ERROR, "upgrade_failed", log_text("reason", upgrade->reason),
              log_text("effect", "what has served goes on serving"));
}

void upgrade_finish(struct upgrade *upgrade)
{
    forget(upgrade);
    upgrade->outcome = UPGRADE_DONE;
    upgrade->outcome_s = (int64_t)time(NULL);
    upgrade->reason[0] = '\0';
    LOG_EVENT(upgrade->host.log, LOG_INFO, "upgraded", log_text("version", SALLYPORT_VERSION));
}

static void leave_when_free(void *self)
{
    struct upgrade *upgrade = self;
    if (upgrade->host.is_free(upgrade->host.self)) {
        upgrade->host.leave(upgrade->host.self);
        return;
    }
    upgrade_put_off(upgrade);
}

void upgrade_put_off(struct upgrade *upgrade)
{
    deadline_arm(&upgrade->deadline, upgrade->host.loop, LOOK_MS, leave_when_free, upgrade);
}

static void on_rehearsed(void *self, const char *fault)
{
    struct upgrade *upgrade = self;
    if (fault != NULL) {
        upgrade_fail(upgrade, fault);
        return;
    }
    upgrade->step = UPGRADE_WAITING;
    leave_when_free(upgrade);
}

void upgrade_request(struct upgrade *upgrade)
{
    struct process_error error = {{0}};
    struct upgrade_host *host = &upgrade->host;
    if (upgrade->step != UPGRADE_IDLE) {
        LOG_EVENT(host->log, LOG_WARN, "upgrade_refused",
                  log_text("reason", "one is under way already"));
        return;
    }
    if (host->invocation == NULL) {
        upgrade_fail(upgrade, "it is not known how this program was started");
        return;
    }
    LOG_EVENT(host->log, LOG_INFO, "upgrade_begun", log_text("program", host->invocation->path));
    if (rehearsal_begin(&upgrade->rehearsal, host->loop, host->invocation, REHEARSAL_MS,
                        on_rehearsed, upgrade, &error) != STATUS_OK) {
        upgrade_fail(upgrade, error.text);
        return;
    }
    upgrade->step = UPGRADE_REHEARSING;
}

bool upgrade_on_exit(struct upgrade *upgrade, pid_t pid, int status)
{
    return rehearsal_on_exit(&upgrade->rehearsal, pid, status);
}

const char *upgrade_state_name(const struct upgrade *upgrade)
{
    static const char *const OUTCOMES[] = {
        [UPGRADE_NONE] = "none", [UPGRADE_DONE] = "done", [UPGRADE_FAILED] = "failed"};
    switch (upgrade->step) {
    case UPGRADE_REHEARSING:
        return "rehearsing";
    case UPGRADE_WAITING:
        return "waiting";
    case UPGRADE_IDLE:
        break;
    }
    return OUTCOMES[upgrade->outcome];
}

static void fill_held(sigset_t *held)
{
    static const int HELD[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    (void)sigemptyset(held);
    for (size_t i = 0; i < sizeof(HELD) / sizeof(HELD[0]); i++) {
        (void)sigaddset(held, HELD[i]);
    }
}

void upgrade_hold_signals(void)
{
    sigset_t held;
    fill_held(&held);
    (void)sigprocmask(SIG_BLOCK, &held, NULL);
}

void upgrade_release_signals(void)
{
    sigset_t held;
    fill_held(&held);
    (void)sigprocmask(SIG_UNBLOCK, &held, NULL);
}
