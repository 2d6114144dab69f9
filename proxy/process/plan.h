/* proxy/process/plan.h
 *
 * A configuration that was loaded, looked at and judged, and what was found: all that the master
 * needs to put it to work. A planner makes the next one for a reload, by the same code that made
 * the first.
 *
 * Why it exists: how a configuration is found and judged is the command line's business, when to do
 * it again is the master's.
 *
 * Owner: the planner made it, and frees it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "config/bundle.h"
#include "config/enforcement.h"
#include "config/model.h"
#include "proxy/admin/status.h"
#include "proxy/base/log.h"
#include "proxy/process/expiry_watch.h"

struct plan {
    const struct config *config;
    const struct bundle *overlay; /* the YAML as it was judged, and what is in no file system */
    size_t hops;
    size_t violations;
    size_t waived;
    const struct enforcement_facts *facts; /* of the certificates, for judging again later */
    size_t fact_count;
    const struct status_certificate *certificates;
    size_t certificate_count;
    struct expiry_subjects dates; /* of certificates and authorities */
    const char *const *notices;
    size_t notice_count;
};

/* The numbers are exit statuses. */
enum plan_status {
    PLAN_FINE = 0,
    PLAN_REFUSED = 1, /* by policy, which is strict */
    PLAN_BAD_INPUT = 2,
    PLAN_SYSTEM = 3,
};

struct planner {
    void *self;
    /* Loads, looks and judges again. `yaml` has the YAML files as they were (only what they name is
     * read anew); NULL: they are read anew too. What is wrong, all of it, is written to
     * `complaints`. FINE: *out is the new plan. */
    enum plan_status (*make)(void *self, const struct bundle *yaml, FILE *complaints,
                             const struct plan **out);
    void (*free)(void *self, const struct plan *plan);
    void (*tell)(void *self, const struct plan *plan, struct log *log); /* logs the posture */
};
