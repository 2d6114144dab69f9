/* proxy/process/system_program.h
 *
 * One run of a system's program: started, given its input, waited for, killed when it takes too
 * long.
 *
 * Why it exists: what root runs has to be chosen with care. It comes from fixed folders and never
 * from PATH, has an empty environment, and inherits no descriptor.
 *
 * Owner: the caller; nothing outlives the call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/status.h"

enum {
    SYSTEM_PROGRAM_WORDS_MAX = 16,
    SYSTEM_PROGRAM_SAID_BYTES = 256,
    SYSTEM_PROGRAM_PATH_BYTES = 64
};

struct system_program_run {
    const char *words[SYSTEM_PROGRAM_WORDS_MAX]; /* the program's name first, NULL at the end */
    const char *input;                           /* its standard input; NULL: nothing */
    size_t input_len;
    int timeout_ms;
};

/* Finds a program by name in the folders of the system. False: it is not installed. */
bool system_program_find(const char *name, char path[SYSTEM_PROGRAM_PATH_BYTES]);

/* Runs it to its end. OK: it ended with 0. REFUSED: it did not, or it is not installed; `said` is
 * the first line that it wrote to standard error, or what became of it. SYS: it could not be
 * started. */
MUST_CHECK enum status system_program_run(const struct system_program_run *run,
                                          char said[SYSTEM_PROGRAM_SAID_BYTES]);
