/* proxy/process/report.h
 *
 * What the master answers to `status`: its own facts, its children's, and what the start said.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/process/master.h"
#include "proxy/process/roster.h"

/* A line of JSON, malloc'ed; NULL: out of memory. `sockets` may be NULL: closed already. */
char *report_make(const struct master_start *start, const struct roster *roster,
                  const struct listen_sockets *sockets, bool is_draining);
