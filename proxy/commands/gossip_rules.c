/* proxy/commands/gossip_rules.c
 *
 * sallyport gossip rules: the rules of mode `transparent` as a shell script, for whoever installs
 * them himself (`rules: external`): an init container, a boot script. It can be run again at any
 * time; --remove prints the script that takes them away.
 * Exit: 0 fine, 2 bad input, 3 the system failed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "config/load.h"
#include "config/problem.h"
#include "config/spelling.h"
#include "proxy/commands/command.h"
#include "proxy/commands/gossip.h"
#include "proxy/commands/instance.h"
#include "proxy/gossip/intercept_rules.h"

struct rules_options {
    const char *file;
    const char *cluster; /* NULL: all that have rules */
    bool is_removal;
    bool is_help;
};

enum { OPTION_CLUSTER = 256, OPTION_REMOVE, OPTION_HELP };

static const struct option OPTIONS[] = {
    {"config", required_argument, NULL, 'c'},
    {"cluster", required_argument, NULL, OPTION_CLUSTER},
    {"remove", no_argument, NULL, OPTION_REMOVE},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int print_help(void)
{
    (void)printf("Usage: sallyport gossip rules [-c FILE] [--cluster NAME] [--remove]\n\n"
                 "Prints the nft table and the routing rules that steer a node's gossip to us, as "
                 "a\nshell script for root. It can be run again at any time.\n\n"
                 "  -c FILE             the configuration file; default %s\n"
                 "  --cluster NAME      of this cluster alone\n"
                 "  --remove            the script that removes them\n"
                 "\nExit status: 0 fine, 2 bad input, 3 a system failure.\n",
                 INSTANCE_CONFIG_FILE);
    return COMMAND_FINE;
}

/* False: told on standard error. */
static bool read_options(struct rules_options *options, int argc, char **argv)
{
    *options = (struct rules_options){.file = INSTANCE_CONFIG_FILE};
    optind = 1;
    for (;;) {
        switch (getopt_long(argc, argv, "c:h", OPTIONS, NULL)) {
        case 'c':
            options->file = optarg;
            break;
        case OPTION_CLUSTER:
            options->cluster = optarg;
            break;
        case OPTION_REMOVE:
            options->is_removal = true;
            break;
        case 'h':
        case OPTION_HELP:
            options->is_help = true;
            break;
        case -1:
            if (optind < argc) {
                (void)fprintf(stderr, "sallyport gossip rules: `%s` is not understood\n",
                              argv[optind]);
            }
            return optind == argc;
        default:
            return false;
        }
    }
}

/* ---- the script ---- */

static void print_commands(const struct intercept_command *commands, size_t count, bool is_ip6)
{
    for (size_t i = 0; i < count; i++) {
        if (commands[i].is_ip6 == is_ip6) {
            (void)printf("%s%s%s\n", is_ip6 ? "    " : "", commands[i].text,
                         commands[i].may_fail ? " 2>/dev/null || true" : "");
        }
    }
}

static void print_routing(const struct config_gossip *gossip, enum intercept_step step)
{
    struct intercept_command commands[INTERCEPT_COMMANDS_MAX];
    size_t count = intercept_rules_commands(gossip, step, commands);
    print_commands(commands, count, false);
    (void)printf("if [ \"$(cat /proc/sys/net/ipv6/conf/lo/disable_ipv6 2>/dev/null)\" = 0 ]; "
                 "then\n");
    print_commands(commands, count, true);
    (void)printf("fi\n");
}

static void print_table(const struct config_gossip *gossip, enum intercept_step step)
{
    (void)printf("nft -f - <<'RULES'\n");
    intercept_rules_write(gossip, step, stdout);
    (void)printf("RULES\n");
}

/* Conns that are older than the rules are not steered: they are forgotten, and begin anew. */
static void print_flush(const struct config_gossip *gossip)
{
    (void)printf("if command -v conntrack >/dev/null 2>&1; then\n");
    for (size_t i = 0; i < gossip->port_count; i++) {
        (void)printf("    for family in ipv4 ipv6; do\n"
                     "        conntrack -D -f $family -p udp --dport %u >/dev/null 2>&1 || true\n"
                     "        conntrack -D -f $family -p tcp --dport %u >/dev/null 2>&1 || true\n"
                     "    done\n",
                     gossip->ports[i], gossip->ports[i]);
    }
    (void)printf("fi\n");
}

/* The table comes first and goes last, for its guards keep closed what routing does not steer. */
static void print_cluster(const struct config_gossip *gossip, enum intercept_step step)
{
    (void)printf("\n# gossip cluster '%s'\n", gossip->name);
    if (step == INTERCEPT_INSTALL) {
        print_table(gossip, step);
        print_routing(gossip, step);
    } else {
        print_routing(gossip, step);
        print_table(gossip, step);
    }
    print_flush(gossip);
}

/* ---- which clusters ---- */

/* False: told on standard error. */
static bool is_there(const struct config *config, const char *cluster)
{
    const char *meant = NULL;
    for (size_t i = 0; i < config->gossip_count; i++) {
        const struct config_gossip *gossip = &config->gossip[i];
        if (strcmp(gossip->name, cluster) != 0) {
            spelling_consider(cluster, gossip->name, &meant);
            continue;
        }
        if (gossip->mode != CONFIG_GOSSIP_TRANSPARENT) {
            (void)fprintf(stderr,
                          "sallyport gossip rules: cluster '%s' has mode relay, which needs no "
                          "rules\n",
                          cluster);
            return false;
        }
        return true;
    }
    (void)fprintf(stderr, "sallyport gossip rules: there is no gossip cluster '%s'%s%s%s\n",
                  cluster, meant != NULL ? "; did you mean '" : "", meant != NULL ? meant : "",
                  meant != NULL ? "'?" : "");
    return false;
}

static bool has_rules(const struct config_gossip *gossip, const char *cluster)
{
    return gossip->mode == CONFIG_GOSSIP_TRANSPARENT &&
           (cluster == NULL || strcmp(gossip->name, cluster) == 0);
}

static enum command_exit print_script(const struct config *config,
                                      const struct rules_options *options)
{
    if (options->cluster != NULL && !is_there(config, options->cluster)) {
        return COMMAND_BAD_INPUT;
    }
    size_t count = 0;
    for (size_t i = 0; i < config->gossip_count; i++) {
        count += has_rules(&config->gossip[i], options->cluster) ? 1 : 0;
    }
    if (count == 0) {
        (void)fprintf(stderr,
                      "sallyport gossip rules: %s has no gossip cluster of mode "
                      "transparent\n",
                      options->file);
        return COMMAND_BAD_INPUT;
    }
    (void)printf("#!/bin/sh\n"
                 "# Printed by `sallyport gossip rules`. For root; can be run again at any time.\n"
                 "set -eu\n");
    for (size_t i = 0; i < config->gossip_count; i++) {
        if (has_rules(&config->gossip[i], options->cluster)) {
            print_cluster(&config->gossip[i],
                          options->is_removal ? INTERCEPT_REMOVE : INTERCEPT_INSTALL);
        }
    }
    if (ferror(stdout) != 0 || fflush(stdout) != 0) {
        (void)fprintf(stderr, "sallyport gossip rules: the script cannot be written\n");
        return COMMAND_SYSTEM;
    }
    return COMMAND_FINE;
}

int gossip_rules(int argc, char **argv)
{
    struct rules_options options;
    if (!read_options(&options, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        return print_help();
    }
    struct problem_list *problems = problem_list_new();
    if (problems == NULL) {
        (void)fprintf(stderr, "sallyport gossip rules: out of memory\n");
        return COMMAND_SYSTEM;
    }
    struct source source = source_files(NULL);
    struct config *config = config_load(&source, options.file, problems);
    enum command_exit status = COMMAND_BAD_INPUT;
    if (config == NULL) {
        problem_list_print(problems, stderr);
    } else {
        status = print_script(config, &options);
    }
    config_free(config);
    problem_list_free(problems);
    return (int)status;
}
