/* proxy/process/role.h
 *
 * Which of the children this process is: a child is this same program, started with the role as
 * its only argument ("sallyport: worker 1").
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The role begins here in argv[0]. */
#define ROLE_PREFIX "sallyport: "

/* Runs the role that `title` names, for the life of the process, and sets its exit status. False:
 * `title` names none, so this is a command. */
bool role_run(const char *title, int *exit_status);

/* What every role does first: takes no core dump, shows a short name in process lists. */
void role_harden(const char *name);

/* Whether a leak checker watches this process. It attaches like a debugger, so hardening spares a
 * build with one. */
bool role_is_checked(void);
