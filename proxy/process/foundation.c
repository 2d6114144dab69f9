/* proxy/process/foundation.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/foundation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/process/log_settings.h"
#include "proxy/process/processors.h"

enum { WORKERS_MAX = 512 };

/* A configuration of gossip alone has nothing for workers to do. */
size_t foundation_count_workers(const struct config *config)
{
    if (config->listener_count == 0) {
        return 0;
    }
    size_t count = config->workers == 0 ? processors_usable() : (size_t)config->workers;
    return count > WORKERS_MAX ? WORKERS_MAX : count;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* ---- log ---- */

static void on_turn_end(void *self)
{
    struct foundation *foundation = self;
    log_flush(foundation->log);
}

static enum status open_log(struct foundation *foundation, struct process_error *error)
{
    const struct config_log *settings = &foundation->config->log;
    foundation->log_descriptor = log_settings_open(settings, error);
    if (foundation->log_descriptor < 0) {
        return STATUS_SYS;
    }
    foundation->log = log_new(log_settings_level(settings), log_settings_format(settings),
                              foundation->log_descriptor, "master");
    if (foundation->log == NULL) {
        process_error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    loop_at_turn_end(foundation->loop, on_turn_end, foundation);
    return STATUS_OK;
}

enum status foundation_reopen_log(struct foundation *foundation, struct process_error *error)
{
    int descriptor = log_settings_open(&foundation->config->log, error);
    if (descriptor < 0) {
        return STATUS_SYS;
    }
    log_flush(foundation->log);
    (void)dup3(descriptor, foundation->log_descriptor, O_CLOEXEC);
    (void)close(descriptor);
    return STATUS_OK;
}

/* ---- all ---- */

enum status foundation_open(struct foundation *foundation, const struct config *config,
                            const struct bundle *overlay, const struct snapshot *former,
                            struct process_error *error)
{
    *foundation = (struct foundation){.config = config,
                                      .log_descriptor = -1,
                                      .spent_tickets = -1,
                                      .snapshot = {-1, -1},
                                      .worker_count = foundation_count_workers(config)};
    raise_descriptor_limit();
    foundation->loop = loop_new();
    if (foundation->loop == NULL) {
        process_error_set(error, "the event loop cannot be made: %s", strerror(errno));
        return STATUS_SYS;
    }
    enum status status = open_log(foundation, error);
    if (status == STATUS_OK) {
        status = accounts_choose(&foundation->accounts, config->user, error);
    }
    if (status == STATUS_OK) {
        status = snapshot_open(&foundation->snapshot, config, overlay, former, error);
    }
    return status;
}

/* Whether or not it is used: a reload may change that, and pages are taken by use alone. */
static bool open_spent_tickets(struct foundation *foundation, int former)
{
    size_t room = (size_t)foundation->config->tickets.spent_max;
    foundation->spent_tickets =
        former < 0 ? spent_tickets_create(room) : fcntl(former, F_DUPFD_CLOEXEC, 0);
    foundation->spent = spent_tickets_attach(foundation->spent_tickets);
    return foundation->spent != NULL;
}

enum status foundation_listen(struct foundation *foundation, const struct listen_sources *sources,
                              int former_spent, struct process_error *error)
{
    enum status status = listen_sockets_open(&foundation->sockets, foundation->config,
                                             foundation->worker_count, sources, error);
    if (status != STATUS_OK) {
        return status;
    }
    foundation->slots = slots_new(foundation->worker_count + 1); /* pages cannot be none */
    if (foundation->slots == NULL || !open_spent_tickets(foundation, former_spent)) {
        process_error_set(error, "no memory for the workers: %s", strerror(errno));
        return STATUS_NOMEM;
    }
    return STATUS_OK;
}

void foundation_stop_listening(struct foundation *foundation)
{
    listen_sockets_close(foundation->sockets);
    foundation->sockets = NULL;
}

void foundation_close(struct foundation *foundation)
{
    foundation_stop_listening(foundation);
    slots_free(foundation->slots);
    spent_tickets_detach(foundation->spent);
    if (foundation->spent_tickets >= 0) {
        (void)close(foundation->spent_tickets);
    }
    snapshot_close(&foundation->snapshot);
    loop_free(foundation->loop);
    log_free(foundation->log);
    if (foundation->log_descriptor >= 0) {
        (void)close(foundation->log_descriptor);
    }
}
