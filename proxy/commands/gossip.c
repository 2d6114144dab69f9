/* proxy/commands/gossip.c
 *
 * sallyport gossip: what an operator asks of gossip clusters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/commands/gossip.h"

#include <stdio.h>
#include <string.h>

#include "proxy/commands/command.h"

static const struct command DEEDS[] = {
    {"probe", "tell what is between us and a peer: key, label, firewall, or nobody", gossip_probe},
    {"rules", "print the rules of interception", NULL},
    {NULL, NULL, NULL},
};

static int help(bool is_error)
{
    FILE *out = is_error ? stderr : stdout;
    (void)fputs("Usage: sallyport gossip COMMAND [OPTIONS]\n\n", out);
    for (const struct command *deed = DEEDS; deed->verb != NULL; deed++) {
        (void)fprintf(out, "  %-6s %s%s\n", deed->verb, deed->doc,
                      deed->run == NULL ? " (not available yet)" : "");
    }
    (void)fputs("\n`sallyport gossip COMMAND --help` tells more.\n", out);
    return is_error ? COMMAND_BAD_INPUT : COMMAND_FINE;
}

int command_gossip(int argc, char **argv)
{
    if (argc < 2) {
        return help(true);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return help(false);
    }
    return command_dispatch(DEEDS, argc - 1, argv + 1);
}
