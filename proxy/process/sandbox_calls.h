/* proxy/process/sandbox_calls.h
 *
 * The system calls that each role may make, as tables for reading: what is not here ends the
 * process. They were found by running all end-to-end tests, in release and sanitizer builds, and by
 * reading what the C library and OpenSSL do when things go wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <seccomp.h>
#include <stddef.h>

#include "proxy/process/sandbox_plan.h"

enum { SANDBOX_CHECKS_MAX = 3 };

/* What else the plan must say for a rule to hold. */
enum sandbox_need { SANDBOX_ALWAYS, SANDBOX_FOR_NAMES, SANDBOX_FOR_UNIX };

/* One rule. Several of one name add up; without checks, any arguments pass. */
struct sandbox_call {
    const char *name;
    unsigned roles; /* bits of enum sandbox_role */
    enum sandbox_need need;
    unsigned check_count;
    struct scmp_arg_cmp checks[SANDBOX_CHECKS_MAX]; /* all must hold */
    int refusal; /* the call fails with this number of errno(3); 0: it is allowed */
};

struct sandbox_calls {
    const struct sandbox_call *at;
    size_t count;
};

struct sandbox_calls sandbox_calls(void);
