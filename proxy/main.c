/* proxy/main.c
 *
 * The program: a table of verbs, and the entry of child processes, which are this same program
 * started with a role as their name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "crypto/wiped_memory.h"
#include "proxy/commands/command.h"
#include "proxy/process/role.h"

static const struct command COMMANDS[] = {
    {"run", "start the proxy in the foreground", command_run},
    {"check", "validate a configuration and judge its hops", command_check},
    {"config", "print the reference or the JSON Schema", command_config},
    {"cert", "make and show certificates", command_cert},
    {"keyring", "make, list, change and rotate the keys of a gossip cluster", command_keyring},
    {"status", "show the running instance", command_status},
    {"wait", "wait until the instance is ready", command_wait},
    {"drain", "end the instance after its exchanges", command_drain},
    {"stop", "end the instance at once", command_stop},
    {"reload", "take a changed configuration", command_reload},
    {"posture", "show the running instance's hops", command_posture},
    {"probe", "test an endpoint against the policy", NULL},
    {"secret", "manage sealed credentials", NULL},
    {"gossip", "probe peers of gossip clusters, print the rules", command_gossip},
    {NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
    int exit_status = 0;
    if (argc > 0 && role_run(argv[0], &exit_status)) {
        return exit_status;
    }
    (void)wiped_memory_install(); /* verbs read keys, and `run` lives on with what they leave */
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        return command_help(COMMANDS, argc < 2);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        return command_version();
    }
    return command_dispatch(COMMANDS, argc - 1, argv + 1);
}
