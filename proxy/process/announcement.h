/* proxy/process/announcement.h
 *
 * What the log says when an instance starts and when it is ready: who reads the log first wants to
 * see under which policy it runs and where it listens.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/foundation.h"
#include "proxy/process/master.h"

/* Before the children are started: kept privileges, report mode, notices, the posture. */
void announcement_start(const struct master_start *start, const struct foundation *foundation);

/* Certificates that demand a stapled response (RFC 7633) and for which `ocsp` is off; at the start
 * and at each reload. Those that are stapled are told of when their responder was asked. */
void announcement_must_staple(const struct plan *plan, struct log *log);

/* All children are ready: the listeners with the addresses that were really bound, and a summary.
 */
void announcement_ready(const struct master_start *start, const struct foundation *foundation);
