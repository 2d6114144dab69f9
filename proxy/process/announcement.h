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

/* All children are ready: the listeners with the addresses that were really bound, and a summary.
 */
void announcement_ready(const struct master_start *start, const struct foundation *foundation);
