/* proxy/process/master.h
 *
 * The master: opens what needs privilege, starts the keyholder and the workers, hands each what it
 * needs, starts again what dies, reloads, drains and stops on command. It never reads a byte from
 * the network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/process/error.h"
#include "proxy/process/inherited_sockets.h"
#include "proxy/process/plan.h"

struct handover;
struct invocation;

/* All borrowed; must outlive the run. */
struct master_start {
    const struct plan *plan; /* the first; freed by the master */
    struct planner planner;
    struct inherited_sockets *inherited; /* each is at a listener of the plan; NULL: none */
    uint64_t begun_us;                   /* clock_monotonic_us when the program began */
    const struct invocation *invocation; /* NULL: unknown, so there is no upgrade */
    struct handover *handover;           /* what a former program has left; NULL: none has */
};

enum master_exit { MASTER_STOPPED = 0, MASTER_FAILED = 3 };

/* Runs until the instance was told to end. FAILED: it could not start (or could not go on), with a
 * sentence in `error`; what was handed over is as it was, but for those who have ended. */
enum master_exit master_run(const struct master_start *start, struct process_error *error);
