/* proxy/process/handover_text.h
 *
 * A handover as a text of lines:
 *
 *     sallyport-handover 1
 *     pid 4711                                  the process, which stays the same
 *     begun 81723661                            when the instance began, monotonic microseconds
 *     crew 2                                    how many upgrades there were, this one included
 *     drain 30000                               how long its children take to end, milliseconds
 *     log 5 2 0                                 descriptor, level, format
 *     admin 7 /run/sallyport/admin.sock
 *     tickets 9                                 the random secret of the tickets, sealed
 *     spent 10                                  the list of spent tickets
 *     socket 11 0 4:00000000:8443 0.0.0.0:8443  descriptor, row, as asked for, as bound
 *     lent 12 0 unix unix:/run/web.sock         the same of a socket that a service manager opened
 *     child 14 4712 1 0 worker 1                channel, pid, crew, when it must be gone, role
 *     rules 7947 7946,8301 nodes                own port, ports, name of a cluster
 *     end
 *
 * Why it exists: two versions of the program have to agree on it, and who reads it must not believe
 * that all of it is there. The number in its first line is what a rehearsal answers
 * (proxy/process/rehearsal.h); a text of another version is never handed over.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"
#include "proxy/process/handover.h"

enum { HANDOVER_VERSION = 1, HANDOVER_BYTES_MAX = 8 * 1024 * 1024 };

void handover_write(const struct handover *handover, FILE *out);

/* REFUSED: it is not such a text, of this version, and whole. On failure nothing stays. */
MUST_CHECK enum status handover_parse(struct handover *handover, slice text);
