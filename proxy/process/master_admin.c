/* proxy/process/master_admin.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/master_admin.h"

#include <errno.h>
#include <string.h>

#include "proxy/process/master_upgrade.h"
#include "proxy/process/reload.h"
#include "proxy/process/report.h"

static uint64_t on_admin_reload(void *self)
{
    return reload_request(self, RELOAD_ALL);
}

static void on_admin_drain(void *self)
{
    master_begin_drain(self);
}

static void on_admin_stop(void *self)
{
    master_begin_stop(self);
}

static struct report_subject subject_of(const struct master *master)
{
    return (struct report_subject){.plan = master->plan,
                                   .begun_us = master_instance_begun_us(master),
                                   .generation_since = master->reload.done_s,
                                   .roster = &master->roster,
                                   .sidecars = master->sidecars,
                                   .staples = master->staples,
                                   .sockets = master->foundation.sockets,
                                   .spent = master->foundation.spent,
                                   .reloads_done = master->reload.done,
                                   .reloads_failed = master->reload.failed,
                                   .is_draining = master_is_ending(master),
                                   .upgrade = &master->upgrade,
                                   .crew = master->crew};
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

static char *on_admin_metrics(void *self)
{
    struct report_subject subject = subject_of(self);
    return report_metrics(&subject);
}

enum status master_open_admin(struct master *master)
{
    const struct config_address *address = &master->plan->config->admin.address;
    if (address->kind != CONFIG_ADDRESS_UNIX) {
        return STATUS_OK;
    }
    const struct admin_events events = {.self = master,
                                        .on_status = on_admin_status,
                                        .on_posture = on_admin_posture,
                                        .on_keyrings = on_admin_keyrings,
                                        .on_metrics = on_admin_metrics,
                                        .on_drain = on_admin_drain,
                                        .on_stop = on_admin_stop,
                                        .on_reload = on_admin_reload};
    struct loop *loop = master->foundation.loop;
    const struct handover *left = master->start->handover;
    enum status status =
        master_inherits_admin(master)
            ? admin_server_inherit(&master->admin, loop, left->admin, address->path, &events)
            : admin_server_open(&master->admin, loop, address->path, &events);
    if (status != STATUS_OK) {
        process_error_set(master->error, "admin socket %s: %s", address->path,
                          errno == EADDRINUSE ? "another instance answers there" : strerror(errno));
    }
    return status;
}
