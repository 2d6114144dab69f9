/* proxy/process/foundation.h
 *
 * What stands before the first child is started, and outlives every child: the loop, the log, the
 * users that children become, the files that they get, the sockets, the shared counters.
 *
 * Owner: the master. Embedded; fields are for reading, except for foundation.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/bundle.h"
#include "config/model.h"
#include "crypto/spent_tickets.h"
#include "proxy/base/log.h"
#include "proxy/base/status.h"
#include "proxy/net/loop.h"
#include "proxy/process/account.h"
#include "proxy/process/error.h"
#include "proxy/process/listen_sockets.h"
#include "proxy/process/slots.h"
#include "proxy/process/snapshot.h"

struct foundation {
    const struct config *config;
    struct loop *loop;
    struct log *log;
    int log_descriptor;
    struct accounts accounts;
    struct snapshot snapshot;
    struct listen_sockets *sockets; /* NULL: not yet, or no more */
    struct slots *slots;
    int spent_tickets;           /* the list's memory; -1: not yet */
    struct spent_tickets *spent; /* the same, for reading */
    size_t worker_count;
};

/* Makes all but sockets and counters. On failure `error` says why, and foundation_close is due in
 * any case. `overlay` and `former` as in snapshot_open. */
MUST_CHECK enum status foundation_open(struct foundation *foundation, const struct config *config,
                                       const struct bundle *overlay, const struct snapshot *former,
                                       struct process_error *error);

/* Opens the listening sockets, as listen_sockets_open does, the counters, one of each a worker, and
 * the list of spent tickets, which is the former program's (-1: there is none). */
MUST_CHECK enum status foundation_listen(struct foundation *foundation,
                                         const struct listen_sources *sources, int former_spent,
                                         struct process_error *error);

/* How many a configuration asks for. */
size_t foundation_count_workers(const struct config *config);

/* The master's own sockets; workers have theirs. */
void foundation_stop_listening(struct foundation *foundation);

/* Opens the log file again, under the same descriptor: it was rotated. */
MUST_CHECK enum status foundation_reopen_log(struct foundation *foundation,
                                             struct process_error *error);

/* Closes whatever is open, the log last. */
void foundation_close(struct foundation *foundation);
