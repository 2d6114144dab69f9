/* proxy/commands/command.h
 *
 * The verbs of the command line, one file each, and what they share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

/* What a command ends with. */
enum command_exit {
    COMMAND_FINE = 0,
    COMMAND_REFUSED = 1, /* by policy; or `status` of an instance that is not ready */
    COMMAND_BAD_INPUT = 2,
    COMMAND_SYSTEM = 3,
};

struct command {
    const char *verb; /* NULL ends the table */
    const char *doc;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; NULL: not available yet */
};

/* Runs the command that argv[0] names, or says what was meant. */
int command_dispatch(const struct command *commands, int argc, char **argv);

/* Lists the verbs, on standard error as an error if `is_error`. */
int command_help(const struct command *commands, bool is_error);
int command_version(void);

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_config(int argc, char **argv);
int command_cert(int argc, char **argv);
int command_gossip(int argc, char **argv);
int command_posture(int argc, char **argv);
int command_keyring(int argc, char **argv);
int command_status(int argc, char **argv);
int command_wait(int argc, char **argv);
int command_drain(int argc, char **argv);
int command_stop(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_gossip(int argc, char **argv);
