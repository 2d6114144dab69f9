/* proxy/commands/program.h
 *
 * Runs another program to its end: a few bytes for its standard input, what it writes to standard
 * output kept. Its standard error is ours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "crypto/bytes.h"
#include "proxy/base/status.h"

enum {
    PROGRAM_INPUT_BYTES_MAX = 4096, /* what a pipe takes at once */
    PROGRAM_OUTPUT_BYTES_MAX = 64 * 1024,
};

struct program_result {
    int exit_status;                           /* 128 and more: ended by a signal */
    char output[PROGRAM_OUTPUT_BYTES_MAX + 1]; /* with a NUL; what is longer is dropped */
};

/* `argv` ends with NULL; argv[0] is looked for in PATH. SYS: it could not be started, errno.
 * BROKEN: it did not end within the time, and was killed. */
MUST_CHECK enum status program_run(char *const *argv, struct bytes input, long timeout_ms,
                                   struct program_result *result);
