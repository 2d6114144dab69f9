/* proxy/process/report.h
 *
 * What the master answers to `status`, `posture`, `keyrings` and `metrics`: its own facts, its
 * children's, and what the start said.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/process/former_crew.h"
#include "proxy/process/plan.h"
#include "proxy/process/roster.h"
#include "proxy/process/sidecars.h"
#include "proxy/process/staples.h"
#include "proxy/process/upgrade.h"

/* All borrowed for a call. */
struct report_subject {
    const struct plan *plan;
    uint64_t begun_us;        /* when the instance began; monotonic */
    int64_t generation_since; /* when the present configuration was taken; wall clock */
    const struct roster *roster;
    const struct sidecars *sidecars;      /* NULL: there are none */
    const struct staples *staples;        /* NULL: there are none */
    const struct listen_sockets *sockets; /* NULL: closed already */
    const struct spent_tickets *spent;    /* NULL: not yet */
    uint64_t reloads_done;
    uint64_t reloads_failed;
    bool is_draining;
    const struct upgrade *upgrade;
    const struct former_crew *crew; /* NULL: there is none */
};

/* How the last upgrade went, or where it is. */
struct status_upgrade report_upgrade(const struct upgrade *upgrade, size_t former_processes);

/* A line of JSON each, malloc'ed; NULL: out of memory. The posture is judged anew, with the keys
 * and on the day of now. */
char *report_status(const struct report_subject *subject);
char *report_posture(const struct report_subject *subject);
char *report_keyrings(const struct report_subject *subject);
char *report_metrics(const struct report_subject *subject);
