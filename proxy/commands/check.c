/* proxy/commands/check.c
 *
 * sallyport check: reads a configuration as `run` would, looks at the certificates, judges the
 * hops, prints the verdicts, and starts nothing. Exit: 0 fine, 1 a violation without a valid waiver
 * (in report mode too: that only lets `run` start), 2 bad input, 3 a system failure.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config/enforcement.h"
#include "config/load.h"
#include "proxy/commands/command.h"
#include "proxy/commands/inspection.h"
#include "proxy/commands/instance.h"

struct options {
    const char *file;
    bool is_json;
    bool is_help;
};

/* What one check holds. */
struct check {
    struct problem_list *problems;
    struct config *config;
    struct inspection inspection;
    struct posture *posture;
};

static void print_help(void)
{
    (void)printf("Usage: sallyport check [-c FILE] [--json]\n\n"
                 "Validates the configuration and its certificates and judges every hop, without\n"
                 "starting anything. Mistakes go to standard error as FILE:LINE:COLUMN, all of\n"
                 "them at once; the hops to standard output.\n\n"
                 "  -c FILE    the configuration; default %s\n"
                 "  --json     {\"hops\": [...], \"violations\": N} instead of a table\n\n"
                 "Exit status: 0 fine, 1 a violation, 2 bad input, 3 a system failure.\n",
                 INSTANCE_CONFIG_FILE);
}

static bool is_config_option(const char *argument)
{
    return strcmp(argument, "-c") == 0 || strcmp(argument, "--config") == 0;
}

/* False: bad ones, which were told on standard error. */
static bool read_options(struct options *options, int argc, char **argv)
{
    *options = (struct options){.file = INSTANCE_CONFIG_FILE};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            options->is_json = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options->is_help = true;
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            options->file = argv[i] + 9;
        } else if (is_config_option(argv[i]) && i + 1 < argc) {
            options->file = argv[++i];
        } else if (is_config_option(argv[i])) {
            (void)fprintf(stderr, "sallyport check: %s takes a file\n", argv[i]);
            return false;
        } else {
            (void)fprintf(stderr, "sallyport check: there is no option `%s`; see --help\n",
                          argv[i]);
            return false;
        }
    }
    return true;
}

static enum command_exit system_failure(const char *what)
{
    (void)fprintf(stderr, "sallyport check: %s\n", what);
    return COMMAND_SYSTEM;
}

/* Reads everything that `run` would read. */
static enum command_exit read_all(struct check *check, const char *file)
{
    struct source source = source_files(NULL);
    check->problems = problem_list_new();
    if (check->problems == NULL) {
        return system_failure("out of memory");
    }
    check->config = config_load(&source, file, check->problems);
    if (check->config != NULL &&
        !inspection_make(&check->inspection, check->config, &source, check->problems)) {
        return system_failure("out of memory");
    }
    if (problem_count(check->problems) > 0) {
        problem_list_print(check->problems, stderr);
        return COMMAND_BAD_INPUT;
    }
    return COMMAND_FINE;
}

static bool print_json(const struct posture *posture)
{
    json_t *json = posture_to_json(posture);
    bool is_printed = json != NULL && json_dumpf(json, stdout, JSON_INDENT(2)) == 0;
    json_decref(json);
    return is_printed && printf("\n") == 1;
}

static enum command_exit judge(struct check *check, bool is_json)
{
    check->posture = posture_new(check->config, check->inspection.facts,
                                 check->inspection.fact_count, (int64_t)time(NULL));
    if (check->posture == NULL) {
        return system_failure("out of memory");
    }
    if (is_json && !print_json(check->posture)) {
        return system_failure("the result cannot be written");
    }
    if (!is_json) {
        posture_print(check->posture, stdout);
    }
    if (fflush(stdout) != 0) {
        return system_failure("the result cannot be written");
    }
    posture_print_violations(check->posture, stderr);
    return check->posture->violations > 0 ? COMMAND_REFUSED : COMMAND_FINE;
}

int command_check(int argc, char **argv)
{
    struct options options;
    if (!read_options(&options, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        print_help();
        return COMMAND_FINE;
    }
    struct check check = {0};
    enum command_exit status = read_all(&check, options.file);
    if (status == COMMAND_FINE) {
        status = judge(&check, options.is_json);
    }
    posture_free(check.posture);
    inspection_fini(&check.inspection);
    config_free(check.config);
    problem_list_free(check.problems);
    return (int)status;
}
