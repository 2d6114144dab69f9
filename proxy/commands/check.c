/* proxy/commands/check.c
 *
 * sallyport check: reads a configuration as `run` would, looks at the certificates, judges the
 * hops, prints the verdicts, and starts nothing. Exit: 0 fine, 1 a violation without a valid waiver
 * (in report mode too: that only lets `run` start), 2 bad input, 3 a system failure.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "proxy/commands/command.h"
#include "proxy/commands/preparation.h"

static void print_help(void)
{
    (void)printf("Usage: sallyport check [-c FILE] [--json]\n"
                 "       sallyport check --to URL [OPTIONS] [--json]\n\n"
                 "Validates what `run` would run with the same words, its certificates and its\n"
                 "authorities, and judges every hop, without starting or writing anything.\n"
                 "Mistakes go to standard error as FILE:LINE:COLUMN, all of them at once; the\n"
                 "hops to standard output.\n\n"
                 "  --json               {\"hops\": [...], \"violations\": N} instead of a "
                 "table\n");
    choice_print_options();
    (void)printf("\nExit status: 0 fine, 1 a violation, 2 bad input, 3 a system failure.\n");
}

static bool print_json(const struct posture *posture)
{
    json_t *json = posture_to_json(posture);
    bool is_printed = json != NULL && json_dumpf(json, stdout, JSON_INDENT(2)) == 0;
    json_decref(json);
    return is_printed && printf("\n") == 1;
}

static enum command_exit tell(const struct posture *posture, bool is_json)
{
    bool is_printed = true;
    if (is_json) {
        is_printed = print_json(posture);
    } else {
        posture_print(posture, stdout);
    }
    if (!is_printed || fflush(stdout) != 0) {
        (void)fprintf(stderr, "sallyport check: the result cannot be written\n");
        return COMMAND_SYSTEM;
    }
    posture_print_violations(posture, stderr);
    return posture->violations > 0 ? COMMAND_REFUSED : COMMAND_FINE;
}

int command_check(int argc, char **argv)
{
    struct choice choice = {.takes_json = true};
    if (!choice_read(&choice, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (choice.is_help) {
        print_help();
        return COMMAND_FINE;
    }
    struct preparation preparation;
    enum command_exit status = preparation_make(&preparation, &choice, true);
    if (status == COMMAND_FINE) {
        status = tell(preparation.posture, choice.is_json);
    }
    preparation_fini(&preparation);
    return (int)status;
}
