/* proxy/process/inheritance.h
 *
 * The passage of a handover from one program to the next in the same process: a sealed memory file,
 * whose number stands in the environment, and the descriptors that it names, which are not
 * close-on-exec for as long as that takes.
 *
 * Owner: `run` at one end, the master (or whoever holds its place) at the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/status.h"
#include "proxy/process/error.h"
#include "proxy/process/handover.h"
#include "proxy/process/invocation.h"

#define INHERITANCE_VARIABLE "SALLYPORT_HANDOVER"

/* Takes what was left to us, if anything was. The first that a program does: descriptors are
 * close-on-exec from here on. END: nothing was. REFUSED with a sentence: the variable is set, and
 * there is no handover of this process behind it. */
MUST_CHECK enum status inheritance_take(struct handover *handover, struct process_error *error);

/* Executes the program in our place. Returns when that has failed, and nothing has changed: SYS
 * with a sentence. Signals are the caller's: those that are blocked stay so, and wait. */
MUST_CHECK enum status inheritance_leave(const struct handover *handover,
                                         const struct invocation *invocation,
                                         struct process_error *error);

/* Closes the listening sockets that are in it, and forgets them. */
void inheritance_close_sockets(struct handover *handover);

/* Closes all descriptors that are in it. */
void inheritance_close(struct handover *handover);
