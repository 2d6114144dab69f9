/* proxy/process/holding.h
 *
 * The place of a master whose start has failed in an upgrade: the children of the former program
 * serve on, and it is tried again when somebody asks for it, or when the last of them that served
 * is lost.
 *
 *     holding ──SIGUSR2, SIGHUP, reload──► rehearsal ──► the next program
 *        └──────SIGTERM, drain, stop─────► draining ──all gone──► over
 *
 * Why it exists: there is no way back to the former program, whose file may be gone. Without a
 * configuration of its own it can start nobody again; but it can keep all that is left, and say
 * why.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/status.h"
#include "proxy/process/error.h"
#include "proxy/process/handover.h"
#include "proxy/process/invocation.h"

/* Runs until all has ended. `reason` says why the start has failed. SYS with a sentence: it cannot
 * even do that, and those who served end with us. */
MUST_CHECK enum status holding_run(struct handover *handover, const struct invocation *invocation,
                                   const char *reason, struct process_error *error);
