/* proxy/process/sandbox.h
 *
 * What every child does before it reads a byte from the network: it gives up all system calls but
 * those of its role (seccomp), and files and ports (Landlock), for good. Whoever takes the process
 * over afterwards has no more than that.
 *
 * A call that is not in the tables ends the process at once with SIGSYS; the master says so
 * (`child_forbidden_call`) and starts another. A file or a port that is not in the plan is refused
 * with EACCES.
 *
 * Where the kernel, or a container, has one of the two not, the child works without it: the master
 * says so, and `sallyport status` shows it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/process/sandbox_plan.h"

enum { SANDBOX_TEXT_BYTES = 32 };

/* What is in force, as READY tells it to the master: a number that it can make sense of whatever
 * the child says. */
struct sandbox_facts {
    bool has_seccomp;
    unsigned landlock; /* its version; 0: none */
};

/* Enters, as far as the system lets it. The process must have no_new_privs, and all descriptors
 * that the plan says nothing of. */
struct sandbox_facts sandbox_enter(const struct sandbox_plan *plan);

uint32_t sandbox_to_number(struct sandbox_facts facts);
struct sandbox_facts sandbox_from_number(uint32_t number);

/* "seccomp, landlock 6", "seccomp", ... or "none". */
void sandbox_describe(struct sandbox_facts facts, char text[SANDBOX_TEXT_BYTES]);

/* What is not in force at all: "seccomp", "landlock", both; NULL: nothing is missing. */
const char *sandbox_missing(struct sandbox_facts facts);
