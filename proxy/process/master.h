/* proxy/process/master.h
 *
 * The master: opens what needs privilege, starts the keyholder and the workers, hands each what it
 * needs, starts again what dies, drains and stops on command. It never reads a byte from the
 * network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "config/bundle.h"
#include "config/enforcement.h"
#include "config/model.h"
#include "proxy/admin/status.h"
#include "proxy/base/log.h"
#include "proxy/process/error.h"
#include "proxy/process/expiry_watch.h"

/* All borrowed; must outlive the run. */
struct master_start {
    const struct config *config;
    const struct bundle *overlay; /* files that are not in the file system; NULL: none */
    uint64_t begun_us;            /* clock_monotonic_us when the program began */
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
    void (*tell)(const void *self, struct log *log); /* logs the posture at the start; or NULL */
    const void *self;
};

enum master_exit { MASTER_STOPPED = 0, MASTER_FAILED = 3 };

/* Runs until the instance was told to end. FAILED: it could not start (or could not go on), with a
 * sentence in `error`. */
enum master_exit master_run(const struct master_start *start, struct process_error *error);
