/* proxy/commands/choice.h
 *
 * What `run` and `check` are told: a configuration file, or a configuration without a file by
 * options and environment.
 *
 * Why it exists: `check` must judge exactly what `run` would run.
 *
 * Owner: the command; borrows the words of the command line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "config/arguments.h"

struct choice {
    const char *verb;
    const char *file; /* -c; NULL: not given */
    struct arguments arguments;
    bool takes_json; /* set by the caller */
    bool is_json;
    bool is_help;
};

/* Reads the options behind the verb. False: bad ones, which were told on standard error. */
bool choice_read(struct choice *choice, int argc, char **argv);

/* Settles between file and arguments: reads the environment if no file was named, and takes the
 * file at its usual place if that says nothing. False: nothing, or too much, was said; told on
 * standard error. */
bool choice_settle(struct choice *choice);

/* Prints -c and the options of a configuration without a file, a line each. */
void choice_print_options(void);
