/* proxy/commands/gossip.c
 *
 * sallyport gossip: what is done for the clusters of gossip beside running them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/commands/gossip.h"

#include <stdio.h>
#include <string.h>

#include "config/spelling.h"
#include "proxy/commands/command.h"

struct deed {
    const char *name;
    const char *doc;
    int (*run)(int argc, char **argv); /* argv[0] is the name */
};

static const struct deed DEEDS[] = {
    {"probe", "find out what is between us and a peer: key, label, firewall, or nobody",
     gossip_probe},
    {"rules", "print the rules that steer a node's packets to us, as a shell script", gossip_rules},
};

enum { DEEDS_COUNT = sizeof(DEEDS) / sizeof(DEEDS[0]) };

static int print_help(FILE *out)
{
    (void)fprintf(out, "Usage: sallyport gossip WHAT [OPTIONS]\n\n");
    for (size_t i = 0; i < DEEDS_COUNT; i++) {
        (void)fprintf(out, "  %-8s %s\n", DEEDS[i].name, DEEDS[i].doc);
    }
    return out == stderr ? COMMAND_BAD_INPUT : COMMAND_FINE;
}

int command_gossip(int argc, char **argv)
{
    if (argc < 2) {
        return print_help(stderr);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return print_help(stdout);
    }
    const char *meant = NULL;
    for (size_t i = 0; i < DEEDS_COUNT; i++) {
        if (strcmp(DEEDS[i].name, argv[1]) == 0) {
            return DEEDS[i].run(argc - 1, argv + 1);
        }
        spelling_consider(argv[1], DEEDS[i].name, &meant);
    }
    (void)fprintf(stderr,
                  "sallyport gossip: `%s` is not understood; expected one that `sallyport gossip "
                  "--help` lists%s%s%s\n",
                  argv[1], meant != NULL ? "; did you mean `" : "", meant != NULL ? meant : "",
                  meant != NULL ? "`?" : "");
    return COMMAND_BAD_INPUT;
}
